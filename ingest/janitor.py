"""Retention: what the outbox has kept long enough goes, in small bites."""

from __future__ import annotations

import asyncio
import logging

from shared import outbox
from shared.database import COMMAND_S, Pool, borrowed, is_outage

log = logging.getLogger("ingest.janitor")

EVERY_S = 3600.0


async def keep_tidy(database: Pool, days: int) -> None:
    """Delete outbox entries older than ``days``, once an hour, for ever."""
    while True:
        try:
            await delete_expired(database, days)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("retention waits for postgres", extra={"error": repr(error)})
        await asyncio.sleep(EVERY_S)


async def delete_expired(database: Pool, days: int) -> int:
    """Delete them now; returns the number of emissions deleted."""
    total = 0
    while True:
        async with borrowed(database, COMMAND_S) as connection, connection.transaction():
            gone = await outbox.delete_older(connection, days)
        total += gone
        if not gone:
            if total:
                log.info("outbox entries deleted by age", extra={"rows": total})
            return total
