"""Runs migrations against ``DATABASE_URL``: one transaction, one runner at a time, harmless when repeated."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shared.database import sqlalchemy_url
from shared.settings import BadSettings, database_url
from shared.tables import metadata

_LOCK = 0x62697470  # two releases may migrate at the same time


def _migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


async def _run(url: str) -> None:
    engine = create_async_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


try:
    asyncio.run(_run(database_url(os.environ)))
except BadSettings as bad:
    sys.stderr.write(f"migrations: {bad}\n")
    sys.exit(2)
