"""What the database holds, for tests to compare."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import msgspec
from sqlalchemy import JSON, Table

from ingest.memory import Memory
from ingest.record import Incoming, Outcome, Unheld, record
from shared.database import Connection, Pool
from shared.outbox import Head, held
from shared.tables import metadata, outbox
from tests.builders import CONTRACTS


async def contents(database: Pool) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    return {
        name: [str(tuple(row)) for row in await database.fetch(_all(table))] for name, table in metadata.tables.items()
    }


async def rows(where: Pool | Connection, table: Table) -> list[Any]:
    """The rows of one table in the order of its primary key: columns are attributes, JSON is decoded."""
    encoded = {column.name for column in table.columns if isinstance(column.type, JSON)}
    return [
        SimpleNamespace(**{name: msgspec.json.decode(it) if name in encoded else it for name, it in row.items()})
        for row in await where.fetch(_all(table))
    ]


async def emissions(where: Pool | Connection) -> list[tuple[int, int, str, str, dict[str, Any]]]:
    """The outbox as (seq, n, room, name, payload), in order; notifications, which end an entry, aside."""
    return [it for it in await spoken(where) if not it[3].startswith("notification:")]


async def notified(where: Pool | Connection) -> list[tuple[int, int, str, str, dict[str, Any]]]:
    """The notifications in the outbox, alike."""
    return [it for it in await spoken(where) if it[3].startswith("notification:")]


async def spoken(where: Pool | Connection) -> list[tuple[int, int, str, str, dict[str, Any]]]:
    """All of the outbox, alike."""
    return [(row.seq, row.n, row.room, row.name, row.payload) for row in await rows(where, outbox)]


def _all(table: Table) -> str:
    return f"SELECT * FROM {table.name} ORDER BY {', '.join(column.name for column in table.primary_key)}"


async def recorded(
    connection: Connection, batch: list[Incoming], memory: Memory | None = None, *, alone: bool = True
) -> tuple[list[Outcome], Head]:
    """Record as a process does: at once where that is possible. ``alone``: in a transaction that the caller undoes."""
    try:
        return await record(connection, batch, CONTRACTS, memory, held=False)
    except Unheld:
        async with nullcontext() if alone else held(connection):
            return await record(connection, batch, CONTRACTS, memory)
