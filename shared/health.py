"""Whether the neighbours answer, for readiness."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from shared.database import Pool, borrowed, is_outage, schema_is_current
from shared.feed import OUTAGES

ANSWER_S = 2.0  # how long a neighbour may take


async def neighbours(database: Pool, redis: Redis) -> dict[str, str]:
    """``database``, ``schema`` and ``redis``: each ``ok``, or what is the matter. Never raises, never hangs."""
    checks = {"database": "ok", "schema": "unknown", "redis": "ok"}
    try:
        async with borrowed(database, ANSWER_S) as connection:
            checks["schema"] = "ok" if await schema_is_current(connection) else "older than this process"
    except Exception as error:
        if not is_outage(error):
            raise
        checks["database"] = "does not answer"
    try:
        async with asyncio.timeout(ANSWER_S):
            await redis.ping()
    except OUTAGES:
        checks["redis"] = "does not answer"
    return checks
