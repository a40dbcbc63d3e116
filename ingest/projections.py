"""The fold's results in the tables that are read. A row class and its table have the same fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import Table

from shared.database import Connection, upsert_into
from shared.domain.rows import AnyRow, Rows, Stream, StreamSender
from shared.tables import stream_sender_history, streams

# Every row class: its table, the column that names its aggregate, and whether a fold looks at the row again. Rows of
# history are only written; they are loaded where their aggregate is folded anew.
_TABLES: dict[type[AnyRow], tuple[Table, str, bool]] = {
    Stream: (streams, "stream_id", True),
    StreamSender: (stream_sender_history, "stream_id", False),
}

_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _TABLES}
_VALUES = {kind: attrgetter(*names) for kind, names in _NAMES.items()}  # astuple() would copy every field deeply
_UPSERTS = {kind: upsert_into(table, _NAMES[kind]) for kind, (table, _, _) in _TABLES.items()}
_SELECTS = {
    kind: f"SELECT {', '.join(_NAMES[kind])} FROM {table.name} WHERE {owner} = ANY($1)"  # noqa: S608 - names of ours
    for kind, (table, owner, _) in _TABLES.items()
}
_DELETES = {
    kind: f"DELETE FROM {table.name} WHERE {next(iter(table.primary_key)).name} = ANY($1)"  # noqa: S608
    for kind, (table, _, _) in _TABLES.items()
}


async def load(connection: Connection, aggregates: Iterable[str], *, history: bool = False) -> list[AnyRow]:
    """The rows of these aggregates; with ``history`` also those that a fold never looks at."""
    stream_ids = [int(key) for kind, _, key in (name.partition(":") for name in aggregates) if kind == "stream"]
    found: list[AnyRow] = []
    for kind, (_, _, current) in _TABLES.items():
        if stream_ids and (current or history):
            found += [kind(*row) for row in await connection.fetch(_SELECTS[kind], stream_ids)]
    return found


async def save(connection: Connection, rows: Rows) -> None:
    """Write what the fold changed, one statement a table."""
    gone: dict[type[AnyRow], list[int | str]] = {}
    for row in rows.gone():
        gone.setdefault(type(row), []).append(row.key)
    for kind, keys in gone.items():
        await connection.execute(_DELETES[kind], keys)
    written: dict[type[AnyRow], list[tuple[Any, ...]]] = {}
    for row in rows.written():
        written.setdefault(type(row), []).append(_VALUES[type(row)](row))
    for kind, values in written.items():
        await connection.executemany(_UPSERTS[kind], values)
