"""``python -m ingest rebuild``: everything folded anew from ``chain_events``, beside the tables that are live.

It works in a schema of its own with tables like the live ones, through the very statements that recording uses, and
touches nothing else until the swap, which is one transaction. So it may end at any moment: the next run begins anew.

It goes by rounds. A round takes the events that were stored, or put on or off the chain, since the last one: the first
takes all there are, the next ones what a live ingest recorded in between, so each is shorter. What is behind all that
its aggregates have folded is folded into them; every other aggregate concerned is emptied and folded from genesis.
Memory is bounded by a chunk of events, and each chunk ends with a whole transaction of the chain.

The comparison needs no lock: it and the last round see one snapshot. The swap repeats both while it holds the outbox.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from msgspec.json import decode

from ingest import projections
from ingest.compare import LONG_S, Compared, compare, mend
from ingest.history import EVENT_COLUMNS, EventRow, event_of, place_of, value_of
from shared import outbox, tables
from shared.database import COMMAND_S, Connection, Pool, schema_is_current, upsert_into
from shared.domain.chain import Contracts, Position
from shared.domain.event import Event, Misfit
from shared.domain.fold import fold, settle_all, transactions
from shared.domain.rows import Ref, genesis
from shared.domain.workset import Happened, Rows
from shared.errors import Unavailable

SCHEMA: Final = "rebuild"
CHUNK: Final = 1000  # events between two commits
ROUNDS: Final = 20  # to catch up with a live ingest; whatever is left then is taken in the last one
LOCK: Final = 0x6269747061790001  # one rebuild at a time in one database

_PROJECTIONS: Final = tuple(stored.table for stored in projections.STORED.values())
_BOOKS: Final = (tables.aggregates, tables.event_keys)

Tell = Callable[[str, int, int], Awaitable[None]]  # what is being done, how many of how many


class NotNow(Unavailable):
    """A rebuild cannot begin as things are."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found and did. ``locked_s`` is how long the swap kept recording waiting."""

    events: int
    misfits: Mapping[str, int]  # events that do not fit their class any more, by name
    tables: tuple[Compared, ...]
    swapped: bool = False
    epoch: str | None = None  # the one that the swap began
    locked_s: float = 0.0

    @property
    def same(self) -> bool:
        return all(it.same for it in self.tables)


async def rebuild(pool: Pool, contracts: Contracts, tell: Tell, *, swap: bool = False, chunk: int = CHUNK) -> Rebuilt:
    """Fold everything anew, compare it with the live tables, and with ``swap`` make these the same.

    ``tell`` hears of the progress after every chunk. Raises ``NotNow``.
    """
    async with _alone(pool) as connection:
        live = await _begun(connection, contracts)
        work = _Rebuild(connection, contracts, tell, chunk)
        await work.begin(live)
        for _ in range(ROUNDS):
            if await work.round() <= chunk:
                break
        async with connection.transaction(isolation="repeatable_read"):
            await work.round()
            await tell("comparing", 0, 0)
            compared = await compare(connection, (*_PROJECTIONS, *_BOOKS), live, SCHEMA)
        found = Rebuilt(work.events, work.misfits, tuple(compared))
        if swap and not found.same:
            found = await _swap(connection, work, live)
        await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE", timeout=LONG_S)
        return found


async def _swap(connection: Connection, work: _Rebuild, live: str) -> Rebuilt:
    """Take the last events, compare and mend, in one transaction in which nobody records.

    What was shown before may have been wrong, so a new epoch begins with it and everybody fetches anew.
    """
    async with connection.transaction():
        # a rebuild that hangs must not keep the outbox locked for the others
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '15s'")
        await outbox.head(connection, lock=True)
        since = time.monotonic()
        await work.round()
        await work.tell("swapping", 0, 0)
        compared = await compare(connection, (*_PROJECTIONS, *_BOOKS), live, SCHEMA)
        differing = [it for it in compared if not it.same]
        await mend(connection, differing, live, SCHEMA)
        shown = any(it.table in _PROJECTIONS for it in differing)
        epoch = await outbox.new_epoch(connection) if shown else None
        if differing and not shown:
            await outbox.renew(connection)
    locked_s = time.monotonic() - since
    return Rebuilt(work.events, work.misfits, tuple(compared), bool(differing), epoch, locked_s)


@asynccontextmanager
async def _alone(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for one rebuild; it gives up its lock and its settings when it goes back to the pool."""
    async with pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise NotNow("another rebuild is at work in this database")
        # folding a long chunk, or waiting for one that listens to the progress, is no hanging
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        try:
            yield connection
        finally:
            if not connection.is_closed():
                await connection.reset(timeout=COMMAND_S)


async def _begun(connection: Connection, contracts: Contracts) -> str:
    """The schema that the live tables are in. Raises ``NotNow`` where they are not this deployment's."""
    if not await schema_is_current(connection):
        raise NotNow("the schema is older than this code; migrate first")
    kept = await connection.fetchval("SELECT contracts::text FROM deployment")
    if kept is None:
        raise NotNow("ingest has not begun with this database yet, there is nothing to rebuild")
    if decode(kept) != contracts.as_dict():
        raise NotNow(f"this database belongs to {kept}, not to {contracts.as_dict()}")
    schema: str = await connection.fetchval("SELECT quote_ident(current_schema())")
    return schema


class _Rebuild:
    """What is rebuilt so far: each round brings it up to the events that are stored."""

    def __init__(self, connection: Connection, contracts: Contracts, tell: Tell, chunk: int) -> None:
        self._connection, self._contracts, self._chunk = connection, contracts, chunk
        self._genesis = tuple(genesis(contracts))
        self._first = True
        self.tell = tell
        self.events = 0
        self.misfits: dict[str, int] = {}

    async def begin(self, live: str) -> None:
        """Make the tables, empty but for genesis. From here on this connection's unqualified names mean them."""
        await self._connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE", timeout=LONG_S)
        # unlogged: a server that crashes ends the rebuild anyway
        like = [
            f"CREATE UNLOGGED TABLE {SCHEMA}.{table.name} (LIKE {live}.{table.name} INCLUDING ALL)"
            for table in (*_PROJECTIONS, *_BOOKS)
        ]
        await self._connection.execute(";\n".join((f"CREATE SCHEMA {SCHEMA}", *like, *_OWN)))
        await self._connection.execute(f"SET search_path = {SCHEMA}, {live}")
        await projections.begin(self._connection, self._genesis)

    async def round(self) -> int:
        """Take the events that are new or have flipped since the last round; returns how many these were."""
        await self.tell("looking for events", 0, 0)
        await self._connection.execute("TRUNCATE news, plan")
        news = _count(await self._connection.execute(_NEWS, timeout=LONG_S))
        if not news:
            return 0
        await self._write_keys(news)
        behind: frozenset[str] = frozenset()
        if not self._first:
            found = await self._connection.fetch(_BEHIND, timeout=LONG_S)
            behind = frozenset(it["aggregate"] for it in found)
        await self._connection.execute(_TAKE, timeout=LONG_S)
        await self._empty(behind)
        if self._first:
            status = await self._connection.execute(f"{_PLAN} {_IN_ORDER}", timeout=LONG_S)
        else:
            status = await self._connection.execute(f"{_PLAN} {_CONCERNED} {_IN_ORDER}", list(behind), timeout=LONG_S)
        await self._fold_plan(_count(status), behind)
        self._first = False
        return news

    async def _write_keys(self, news: int) -> None:
        """Which aggregates the new events belong to, canonical or not: they may be on the chain again one day."""
        for begin in range(0, news, self._chunk):
            rows = await self._connection.fetch(_NEW_EVENTS, begin, begin + self._chunk)
            keys: list[tuple[str, str]] = []
            for row in rows:
                self.events += 1
                try:
                    event = event_of(row, value_of(row), self._contracts)
                except Misfit:
                    self.misfits[row["name"]] = self.misfits.get(row["name"], 0) + 1
                else:
                    keys += [(name, row["id"]) for name in event.aggregates] if event else []
            await self._connection.execute(_INSERT_KEYS, [it[0] for it in keys], [it[1] for it in keys])
            await self.tell("reading", min(begin + self._chunk, news), news)

    async def _empty(self, aggregates: frozenset[str]) -> None:
        """Take aggregates back to genesis."""
        if not aggregates:
            return
        await projections.forget(self._connection, aggregates)
        await projections.begin(self._connection, (row for row in self._genesis if row.aggregate in aggregates))
        await self._connection.execute("DELETE FROM aggregates WHERE aggregate = ANY($1)", list(aggregates))

    async def _fold_plan(self, total: int, behind: frozenset[str]) -> None:
        """Fold the planned events in chunks of whole transactions."""
        done = 0
        while done < total:
            end = await self._connection.fetchval(_CHUNK_END, done + self._chunk)
            end = total if end is None else int(end)
            async with self._connection.transaction():
                await self._fold_chunk(await self._connection.fetch(_PLANNED, done, end), behind)
            done = end
            await self.tell("folding", done, total)

    async def _fold_chunk(self, rows: list[Any], behind: frozenset[str]) -> None:
        """Fold transactions whose events are news into all their aggregates, and others into those that are behind."""
        news = {row["id"] for row in rows if row["news"]}
        happened = [Happened(place_of(row), event) for row in rows if (event := self._event(row))]
        todo: list[tuple[tuple[Happened, ...], frozenset[str]]] = []
        for transaction in transactions(happened):
            names = frozenset(name for it in transaction for name in it.event.aggregates)
            todo.append(
                (transaction, names if any(it.place.event_id in news for it in transaction) else names & behind)
            )
        touched = {name for _, names in todo for name in names}
        looked_up: set[Ref] = {ref for it in happened for ref in it.event.looks_up}
        found = Rows(self._genesis)
        found.load(await projections.load(self._connection, touched, looked_up))
        ends: dict[str, Position] = {}
        for transaction, names in todo:
            for it in transaction:
                if mine := it.event.aggregates & names:
                    fold(found, it, transaction, mine)
                    ends.update(dict.fromkeys(mine, it.place.position))
            settle_all(found, transaction, names)
        await projections.save(self._connection, found)
        await self._connection.executemany(_UPSERT_END, [(name, *position) for name, position in ends.items()])

    def _event(self, row: EventRow) -> Event | None:
        try:
            return event_of(row, value_of(row), self._contracts)
        except Misfit:  # counted when its keys were due
            return None


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])


_OWN: Final = (
    f"CREATE UNLOGGED TABLE {SCHEMA}.taken (event_id text PRIMARY KEY, canonical boolean NOT NULL)",
    f"CREATE UNLOGGED TABLE {SCHEMA}.news"
    " (n bigint PRIMARY KEY, event_id text NOT NULL, canonical boolean NOT NULL, fresh boolean NOT NULL)",
    f"CREATE UNLOGGED TABLE {SCHEMA}.plan"
    " (n bigint PRIMARY KEY, event_id text NOT NULL, begins boolean NOT NULL, news boolean NOT NULL)",
)
_NEWS: Final = """
INSERT INTO news SELECT row_number() OVER (), id, it.canonical, taken.event_id IS NULL
FROM chain_events it LEFT JOIN taken ON taken.event_id = id
WHERE taken.event_id IS NULL OR taken.canonical <> it.canonical
"""
_NEW_EVENTS: Final = (
    f"SELECT {', '.join(f'it.{name}' for name in EVENT_COLUMNS)}"  # noqa: S608 - names of ours, here and below
    " FROM news JOIN chain_events it ON id = news.event_id WHERE n > $1 AND n <= $2 AND fresh"
)
_INSERT_KEYS: Final = "INSERT INTO event_keys (aggregate, event_id) SELECT * FROM unnest($1::text[], $2::text[])"
_TAKE: Final = """
INSERT INTO taken SELECT event_id, canonical FROM news
ON CONFLICT (event_id) DO UPDATE SET canonical = excluded.canonical
"""
# Aggregates whose past has changed: an event of theirs left the chain, or came before one that is folded already, or
# came as a further part of a transaction that is folded, where events may now say something else of each other.
_BEHIND: Final = """
WITH it AS (
    SELECT news.event_id, news.canonical, block_hash, tx_hash, block_height, tx_index
    FROM news JOIN chain_events ON id = news.event_id
), parts AS (
    SELECT DISTINCT block_hash, tx_hash FROM chain_events JOIN taken ON taken.event_id = id AND taken.canonical
    WHERE (block_hash, tx_hash) IN (SELECT block_hash, tx_hash FROM it)
    AND NOT EXISTS (SELECT FROM it WHERE it.event_id = id)
)
SELECT aggregate FROM it JOIN event_keys USING (event_id) WHERE NOT canonical
UNION
SELECT aggregate FROM it JOIN event_keys USING (event_id) JOIN aggregates end_ USING (aggregate)
WHERE canonical AND (it.block_height, it.tx_index) <= (end_.block_height, end_.tx_index)
UNION
SELECT aggregate FROM parts JOIN chain_events USING (block_hash, tx_hash) JOIN event_keys ON event_id = id
"""
# The order is that of ``shared.domain.fold.in_order``, where texts compare by their characters' codes.
_PLAN: Final = """
INSERT INTO plan
SELECT row_number() OVER place, id,
    (block_hash, tx_hash) IS DISTINCT FROM (lag(block_hash) OVER place, lag(tx_hash) OVER place),
    news.event_id IS NOT NULL
FROM chain_events JOIN taken ON taken.event_id = id LEFT JOIN news ON news.event_id = id
WHERE taken.canonical
"""
# whole transactions: of the canonical news, and of the events of aggregates that are folded from genesis
_CONCERNED: Final = """
AND (block_hash, tx_hash) IN (
    SELECT block_hash, tx_hash FROM news JOIN chain_events ON id = news.event_id WHERE news.canonical
    UNION
    SELECT block_hash, tx_hash FROM event_keys JOIN chain_events ON id = event_id WHERE aggregate = ANY($1)
)
"""
_IN_ORDER: Final = """
WINDOW place AS (
    ORDER BY block_height, tx_index, tx_hash COLLATE "C", block_hash COLLATE "C", event_index, source COLLATE "C", rank
)
"""
_CHUNK_END: Final = "SELECT n - 1 FROM plan WHERE begins AND n > $1 ORDER BY n LIMIT 1"
_PLANNED: Final = (
    f"SELECT {', '.join(f'it.{name}' for name in EVENT_COLUMNS)}, plan.news"  # noqa: S608
    " FROM plan JOIN chain_events it ON id = plan.event_id WHERE n > $1 AND n <= $2 ORDER BY n"
)
_UPSERT_END: Final = upsert_into(tables.aggregates, [column.name for column in tables.aggregates.c])
