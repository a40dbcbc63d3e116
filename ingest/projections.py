"""The fold's results in the tables that are read. A row class and its table have the same fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar

from msgspec.json import encode
from sqlalchemy import Table

from ingest.together import Reads, Writes
from shared import tables
from shared.database import Connection, insert_into, upsert_all
from shared.domain import rows as r
from shared.domain.rows import AnyRow, Ref, id_of
from shared.domain.workset import Rows

R = TypeVar("R", bound=AnyRow)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the rows of a class are. ``of`` is the kind of aggregate that owns them.

    ``owner`` is the column that names the one aggregate of that kind, where there are many. ``read`` says which rows a
    fold or an emission looks at: all of the aggregate (empty), those that fit a condition, or none (None): those are
    loaded only where their aggregate is folded anew, or where an event names them.
    """

    table: Table
    of: str
    owner: str = ""
    read: str | None = None


STORED: dict[type, Stored] = {
    r.Stream: Stored(tables.streams, "stream", "stream_id", ""),
    r.StreamSender: Stored(tables.stream_sender_history, "stream", "stream_id"),
    r.Nft: Stored(tables.nfts, "stream", "stream_id", ""),
    r.NftTransfer: Stored(tables.nft_transfers, "stream", "stream_id"),
    r.Listing: Stored(tables.market_listings, "stream", "stream_id", ""),
    r.PriceChange: Stored(tables.market_price_history, "stream", "stream_id"),
    r.Purchase: Stored(tables.market_purchases, "stream", "stream_id", "status = 'pending'"),
    r.Sale: Stored(tables.market_sales, "market"),
    r.MarketState: Stored(tables.market_state, "market", read=""),
    r.MarketBackend: Stored(tables.market_backends, "market"),
    r.TreasuryState: Stored(tables.treasury_state, "treasury", read=""),
    r.TreasuryFee: Stored(tables.treasury_fees, "treasury"),
    r.TreasuryTransfer: Stored(tables.treasury_transfers, "treasury"),
    r.RecipientTotal: Stored(tables.treasury_recipient_totals, "treasury"),
    r.TreasuryAdmin: Stored(tables.treasury_admins, "treasury", read=""),
    r.Proposal: Stored(tables.treasury_proposals, "proposal", "proposal_id", ""),
    r.AccessRole: Stored(tables.access_roles, "access", read="kind = 'admin'"),
    r.AccessContract: Stored(tables.access_contracts, "access"),
    r.ProtocolState: Stored(tables.protocol_state, "access", read=""),
    r.ConfigChange: Stored(tables.config_changes, "", "scope"),
}

_SCOPES = (r.MARKET, r.TREASURY)  # the aggregates that own changes of a configuration

NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in STORED}
_VALUES = {kind: attrgetter(*names) for kind, names in NAMES.items()}  # astuple() would copy every field deeply
_UPSERTS = {kind: upsert_all(stored.table, NAMES[kind]) for kind, stored in STORED.items()}
_COLUMNS = {kind: ", ".join(names) for kind, names in NAMES.items()}
_KEYS = {kind: [column.name for column in stored.table.primary_key] for kind, stored in STORED.items()}


async def load(
    connection: Connection, aggregates: Iterable[str], looked_up: Collection[Ref] = (), *, history: bool = False
) -> list[AnyRow]:
    """The rows of these aggregates that a fold looks at, or with ``history`` all of them, and those looked up."""
    reads = Reads()
    kinds = ask(reads, aggregates, looked_up, history=history)
    return [read(kinds[number], columns) for number, columns in await reads.fetch(connection)]


def ask(
    reads: Reads, aggregates: Iterable[str], looked_up: Collection[Ref] = (), *, history: bool = False
) -> dict[int, type[AnyRow]]:
    """What ``load`` reads, together with what else is read; returns the class that each number stands for."""
    owners = _owners(aggregates)
    of_scope = [name for name in _SCOPES if name in owners]
    shown = {"treasury"} if "proposal" in owners and "treasury" not in owners else set()
    kinds: dict[int, type[AnyRow]] = {}
    for kind, stored in STORED.items():
        conditions: list[str] = []
        arguments: list[list[Any]] = []
        if history and (stored.of in owners or (not stored.of and of_scope)):
            conditions += [f"{stored.owner} = ANY($1)"] if stored.owner else []
            arguments += [owners.get(stored.of, of_scope)] if stored.owner else []
        elif stored.read is not None and (stored.of in owners or stored.of in shown):
            conditions += [f"{stored.owner} = ANY($1)"] if stored.owner else []
            arguments += [owners[stored.of]] if stored.owner else []
            conditions += [stored.read] if stored.read else []
        elif keys := [key for it, key in looked_up if it is kind]:
            conditions, arguments = [f"{_KEYS[kind][0]} = ANY($1)"], [keys]
        else:
            continue
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        kinds[reads.add(_COLUMNS[kind], f"{stored.table.name}{where}", *arguments)] = kind
    return kinds


def _owners(aggregates: Iterable[str]) -> dict[str, list[Any]]:
    """Aggregates by kind: ids where there are many of the kind, else its name."""
    owners: dict[str, list[Any]] = {}
    for name in aggregates:
        kind = name.partition(":")[0]
        owners.setdefault(kind, []).append(id_of(name) if ":" in name else name)
    return owners


def read(kind: type[R], record: Iterable[Any]) -> R:
    """A row of that class from its columns, in the order of its fields."""
    if kind is r.Proposal:  # the one that has a list
        record = (tuple(value) if isinstance(value, list) else value for value in record)
    return kind(*record)


async def begin(connection: Connection, genesis: Iterable[AnyRow]) -> None:
    """Write the rows that are true before the first event, where they are not there yet."""
    for row in genesis:
        kind = type(row)
        statement = insert_into(STORED[kind].table, NAMES[kind], "ON CONFLICT DO NOTHING")
        await connection.execute(statement, *_VALUES[kind](row))


async def forget(connection: Connection, aggregates: Iterable[str]) -> None:
    """Delete every row of these aggregates, those of genesis too."""
    owners = _owners(aggregates)
    for stored in STORED.values():
        ids = owners.get(stored.of) if stored.of else [name for name in _SCOPES if name in owners]
        if ids and stored.owner:
            await connection.execute(f"DELETE FROM {stored.table.name} WHERE {stored.owner} = ANY($1)", ids)  # noqa: S608
        elif ids:
            await connection.execute(f"DELETE FROM {stored.table.name}")  # noqa: S608


async def save(connection: Connection, rows: Rows) -> None:
    """Write what the fold changed."""
    await delete_gone(connection, rows)
    writes = Writes()
    write(writes, rows)
    await writes.execute(connection)


async def delete_gone(connection: Connection, rows: Rows) -> None:
    """Delete the rows that the fold has taken away."""
    gone: dict[type, list[tuple[Any, ...]]] = {}
    for row in rows.gone():
        gone.setdefault(type(row), []).append(row.key if isinstance(row.key, tuple) else (row.key,))
    for kind, keys in gone.items():
        same = " AND ".join(f"{name} = ${i}" for i, name in enumerate(_KEYS[kind], 1))
        await connection.executemany(f"DELETE FROM {STORED[kind].table.name} WHERE {same}", keys)  # noqa: S608


def write(writes: Writes, rows: Rows) -> None:
    """What ``save`` writes, together with what else is written."""
    written: dict[type, list[dict[str, Any]]] = {}
    for row in rows.written():
        values = zip(NAMES[type(row)], _VALUES[type(row)](row), strict=True)
        written.setdefault(type(row), []).append({name: _in_json(value) for name, value in values})
    for kind, statement in _UPSERTS.items():  # in one order: the fewer texts, the more of them are prepared
        if kind in written:
            writes.add(statement, encode(written[kind]).decode())


def _in_json(value: object) -> object:
    """As Postgres reads it from JSON; numbers as text, for they may have 128 bits."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
