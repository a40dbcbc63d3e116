"""The outbox: the append-only log in Postgres that the feed copies and that nodes read when the feed has a hole.

``seq`` comes from the row ``outbox_head``. Every recording transaction holds that row from its beginning, or changes it
first of all and only where nobody has since it was read (``ADVANCE``). So they happen one by one, commit order is
``seq`` order, and no reader by cursor can miss a row; a database sequence would not promise that.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from shared.database import Connection
from shared.domain.entry import Cursor, Emission, Entry, Offset, Spoken
from shared.wire import Broadcast, Cause, payload, words

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the outbox: its epoch, and the last emission; ``version`` is another whenever somebody recorded.

    After an append also the ``entries`` that it appended, as ``read`` would return them.
    """

    epoch: str
    offset: Offset
    version: str = field(default="", compare=False)
    entries: tuple[Entry, ...] = field(default=(), compare=False)

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.offset)


@dataclass(frozen=True, slots=True)
class Draft:
    """What one entry will say, before it has a number."""

    spoken: tuple[tuple[Cause | Broadcast, Emission], ...]
    at: int  # unix µs, when what it speaks of reached us


def moment(at: int) -> datetime:
    """Unix µs as Postgres keeps them."""
    return _EPOCH + at * _MICROSECOND


def microseconds(at: datetime) -> int:
    """The inverse of ``moment``."""
    return (at - _EPOCH) // _MICROSECOND


async def head(connection: Connection, *, lock: bool = False) -> Head:
    """The outbox's end; with ``lock`` every other recording transaction waits until this one ends."""
    row = await connection.fetchrow(_LOCKED_HEAD if lock else _HEAD)
    assert row is not None
    return Head(row["epoch"], Offset(row["seq"], row["n"]), row["version"])


class Row(NamedTuple):
    """An emission with its number and its encoded payload; ``at`` in unix µs."""

    offset: Offset
    event_id: str
    op: str
    room: str
    name: str
    payload: bytes
    at: int


def numbered(end: Head, drafts: Iterable[Draft]) -> list[Row]:
    """What these entries say, with the numbers behind ``end``."""
    return [
        Row(offset, cause.id, cause.op, it.room, it.name, payload(it, cause, offset), draft.at)
        for seq, draft in enumerate(drafts, end.offset.seq + 1)
        for offset, (cause, it) in ((Offset(seq, n), spoken) for n, spoken in enumerate(draft.spoken))
    ]


def columns(rows: Sequence[Row]) -> list[list[object]]:
    """The parameters of ``INSERT``."""
    return [
        [it.offset.seq for it in rows],
        [it.offset.n for it in rows],
        [it.event_id for it in rows],
        [it.op for it in rows],
        [it.room for it in rows],
        [it.name for it in rows],
        [it.payload.decode() for it in rows],
        [moment(it.at) for it in rows],
    ]


def behind(end: Head, rows: Sequence[Row], version: str = "") -> Head:
    """The outbox's end when these rows have been appended behind ``end``, which made it this version."""
    if not rows:
        return replace(end, version=version, entries=())
    entries = [
        Entry(seq, parts[0].at, tuple([Spoken(it.room, words(it.name, it.payload)) for it in parts]))
        for seq, parts in ((seq, list(found)) for seq, found in groupby(rows, key=lambda it: it.offset.seq))
    ]
    return Head(end.epoch, rows[-1].offset, version, tuple(entries))


async def append(connection: Connection, end: Head, drafts: Iterable[Draft]) -> Head:
    """Append entries behind ``end``, which the caller has locked; returns the new end."""
    rows = numbered(end, drafts)
    if rows:
        await connection.execute(_APPEND, *columns(rows), *rows[-1].offset)
    return behind(end, rows)


@asynccontextmanager
async def held(connection: Connection) -> AsyncIterator[None]:
    """A transaction that holds the outbox from its first round trip on: whoever else records waits for its end."""
    try:
        await connection.execute("BEGIN; SELECT FROM outbox_head FOR UPDATE")
        yield
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")


async def renew(connection: Connection) -> None:
    """Say, within a transaction that holds the outbox, that what is recorded has changed though nothing is said of it.
    Whoever has read it before looks again."""
    await connection.execute("UPDATE outbox_head SET seq = seq")


VERSION = "xmin::text"  # the transaction that wrote the row; locking it writes nothing
_HEAD = f"SELECT epoch, seq, n, {VERSION} AS version FROM outbox_head"  # noqa: S608 - names of ours, here and below
_LOCKED_HEAD = f"{_HEAD} FOR UPDATE"
LISTS = "$1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[]"
INSERT = f"""
INSERT INTO outbox (seq, n, event_id, op, room, name, payload, created_at)
SELECT seq, n, event_id, op, room, name, payload::json, at
FROM unnest({LISTS}) AS it (seq, n, event_id, op, room, name, payload, at)
"""  # noqa: S608
ADVANCE = f"""
UPDATE outbox_head SET seq = $1, n = $2 WHERE {VERSION} = $3 {{and_so}}
RETURNING pg_current_xact_id()::xid::text AS version
"""  # noqa: S608 - ``version`` is what VERSION says from now on
_APPEND = f"WITH said AS ({INSERT}) UPDATE outbox_head SET seq = $9, n = $10"  # noqa: S608


async def read(connection: Connection, *, after: int, limit: int = 500) -> list[Entry]:
    """Whole entries behind ``after``, in order, at most ``limit`` of them."""
    rows = await connection.fetch(
        "SELECT seq, room, name, payload::text, created_at FROM outbox WHERE seq > $1 AND seq <= $2 ORDER BY seq, n",
        after,
        after + limit,
    )

    def entries() -> Iterator[Entry]:
        for seq, group in groupby(rows, key=lambda row: int(row["seq"])):
            parts = list(group)
            spoken = (Spoken(row["room"], words(row["name"], row["payload"].encode())) for row in parts)
            yield Entry(seq, microseconds(parts[0]["created_at"]), tuple(spoken))

    return list(entries())


async def read_rooms(
    connection: Connection, rooms: Collection[str], *, after: Offset, upto: Offset, limit: int
) -> list[tuple[Offset, Spoken]]:
    """What was said in these rooms behind ``after`` and up to ``upto``, in order, at most ``limit`` emissions."""
    rows = await connection.fetch(_READ_ROOMS, list(rooms), *after, *upto, limit)
    return [
        (Offset(row["seq"], row["n"]), Spoken(row["room"], words(row["name"], row["payload"].encode()))) for row in rows
    ]


async def count_rooms(
    connection: Connection, rooms: Collection[str], *, after: Offset, upto: Offset, limit: int
) -> int:
    """How many emissions ``read_rooms`` would find, counted up to ``limit``."""
    count: int = await connection.fetchval(_COUNT_ROOMS, list(rooms), *after, *upto, limit)
    return count


# Room by room, so that each uses the index (room, seq, n) and reads no more than it may return.
_OF_ROOMS = """
FROM unnest($1::text[]) AS it (name) CROSS JOIN LATERAL (
    SELECT {columns} FROM outbox
    WHERE room = it.name AND (seq, n) > ($2, $3) AND (seq, n) <= ($4, $5)
    ORDER BY seq, n LIMIT $6
) AS said
"""
_READ_ROOMS = (
    "SELECT said.* "
    + _OF_ROOMS.format(columns="seq, n, room, outbox.name, payload::text AS payload")
    + " ORDER BY seq, n LIMIT $6"
)
_COUNT_ROOMS = f"SELECT count(*) FROM (SELECT {_OF_ROOMS.format(columns='seq')} LIMIT $6) AS found"  # noqa: S608


async def broadcast_of(connection: Connection, event_id: str) -> tuple[Offset, Spoken] | None:
    """The broadcast with this id and where it stands; None where there is no such entry (any more)."""
    row = await connection.fetchrow(
        "SELECT seq, n, room, name, payload::text FROM outbox WHERE event_id = $1 AND op = $2", event_id, Broadcast.op
    )
    if row is None:
        return None
    return Offset(row["seq"], row["n"]), Spoken(row["room"], words(row["name"], row["payload"].encode()))


async def written_at(connection: Connection, seq: int) -> int | None:
    """When the entry ``seq`` was written, unix µs; None where there is no such entry (any more)."""
    at = await connection.fetchval("SELECT created_at FROM outbox WHERE seq = $1 LIMIT 1", seq)
    return None if at is None else microseconds(at)


async def oldest(connection: Connection) -> int | None:
    """The first seq that is still kept."""
    first: int | None = await connection.fetchval("SELECT min(seq) FROM outbox")
    return first


async def new_epoch(connection: Connection, *, instead_of: str | None = None) -> str:
    """Begin a new history: every cursor given out so far is void. With ``instead_of`` only if that is the epoch.

    For a database that went back to an earlier state, where numbers would be given out a second time.
    """
    epoch: str | None = await connection.fetchval(
        "UPDATE outbox_head SET epoch = $1 WHERE epoch = $2 OR $2 IS NULL RETURNING epoch",
        secrets.token_hex(4),
        instead_of,
    )
    return epoch or (await head(connection)).epoch


async def delete_older(connection: Connection, days: int, *, limit: int = 5000) -> int:
    """Delete up to ``limit`` whole entries older than ``days``, within a transaction; returns how many rows went.

    The trigger that makes the outbox append-only lets a delete pass only where this setting says so. The last
    entry always stays: the relay needs it to see that the database did not go back.
    """
    await connection.execute("SET LOCAL bitpay.retention = 'on'")
    status = await connection.execute(
        "DELETE FROM outbox WHERE created_at < now() - make_interval(days => $1)"
        " AND seq < (SELECT min(seq) FROM outbox) + $2 AND seq < (SELECT seq FROM outbox_head)",
        days,
        limit,
    )
    return int(status.rpartition(" ")[2])
