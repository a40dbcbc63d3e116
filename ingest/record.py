"""What is now true: deliveries into events, state and outbox, in one transaction.

Invariants, whatever is delivered, in whatever order, however often:

- an event is stored once, under its identity; ``canonical`` says whether its block is on the chain now;
- every projection equals a fold of the canonical events of its aggregate, in the order of the chain;
- what an event or a rollback says stands in the outbox exactly when it took effect, numbered without gaps.

Recording transactions happen one by one. Each holds ``outbox_head`` from its beginning, or is one statement that does
nothing where that row has changed since the batch was read, which is how most deliveries go: one statement reads, one
writes. Where all that a batch can touch is still in the process' memory from what it recorded before, nothing is read.
Several deliveries may share a transaction, which is what makes many small ones cheap. The work in between is in memory:
all that a batch can touch is loaded at its start and written at its end, except the past of an aggregate that has to be
folded anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import asyncpg

from ingest import history, projections
from ingest.delivery import Block, Delivery, Readable, Unreadable, ascii_json
from ingest.history import Stored
from ingest.memory import Memory
from ingest.notifications import Notifications
from ingest.together import Reads, Writes, in_json
from shared import outbox, tables
from shared.database import Connection, upsert_all
from shared.domain.catalogue import read_event
from shared.domain.chain import Contracts, Place, Position
from shared.domain.derived import derived, derived_notices
from shared.domain.entry import Emission, Offset
from shared.domain.event import Event, Misfit
from shared.domain.fold import Order, fold, fold_anew, in_order, last_of_streams, settle_all
from shared.domain.notice import NEW, Notice, one_each
from shared.domain.reorg import Told, compensation, reverted
from shared.domain.rows import Ref, id_of
from shared.domain.workset import Happened, Step, Unit, View
from shared.outbox import Draft, Head, moment
from shared.wire import Cause


@dataclass(frozen=True, slots=True)
class Incoming:
    """A delivery and when it reached us, unix µs."""

    delivery: Delivery
    at: int


@dataclass(slots=True)
class Outcome:
    """What became of one delivery, in events."""

    applied: int = 0
    known: int = 0
    reverted: int = 0
    quarantined: int = 0
    results: list[tuple[str, str]] = field(default_factory=list)  # (event name, result), for the metric


@dataclass(frozen=True, slots=True)
class _Said:
    """What one applied event says, to rooms and to people."""

    cause: Cause
    aggregates: frozenset[str]
    emissions: list[Emission]
    notices: list[Notice]


class Unheld(Exception):
    """This has to be done while the outbox is held; nothing was written."""


async def record(
    connection: Connection,
    batch: Sequence[Incoming],
    contracts: Contracts,
    memory: Memory | None = None,
    *,
    held: bool = True,
) -> tuple[list[Outcome], Head]:
    """Record deliveries in order, within a transaction of the caller that holds the outbox (``outbox.held``).

    Returns what became of each, and the outbox's end. Recording the same again changes nothing. ``memory`` is of what
    the caller recorded before, whatever became of that. Not ``held``: outside of any transaction, in one statement that
    reads, where that is needed, and one that writes, which does nothing where somebody else has recorded in between.
    Raises ``Unheld`` then, and for what cannot be done so: what was told before is told again or taken back, or
    something has to be folded anew.
    """
    if not held and any(it.delivery.rollback for it in batch):
        raise Unheld
    memory = memory or Memory(contracts)
    memory.open()
    work = _Work(connection, contracts, memory, held=held)
    await work.load(batch)
    memory.change()
    outcomes = [await work.take(incoming) for incoming in batch]
    return outcomes, await work.close()


class _Work:
    """One recording transaction: what is at hand, and what it will write."""

    def __init__(self, connection: Connection, contracts: Contracts, memory: Memory, *, held: bool) -> None:
        self._connection, self._contracts, self._held = connection, contracts, held
        self._memory, self._rows = memory, memory.rows
        self._unread: tuple[list[str], list[str]] | None = None  # blocks and transactions that nobody looked up
        self._events: dict[str, Stored] = {}
        self._blocks: dict[str, list[Stored]] = {}
        self._reverted: set[tuple[str, str, str]] = set()
        self._moved: set[str] = set()  # aggregates whose end is another one
        self._quarantine: dict[str, tuple[object, ...]] = {}
        self._aside: dict[str, tuple[int, int]] = {}
        self._tip_moved = False
        self._notifications = Notifications(connection)
        self._drafts: list[Draft] = []

    async def load(self, batch: Sequence[Incoming]) -> None:
        """Have at hand what these deliveries can touch."""
        self._blocks = {block.ref.hash: [] for it in batch for block in (*it.delivery.rollback, *it.delivery.apply)}
        applied = [event for it in batch for block in it.delivery.apply for event in block.events]
        told = [event for it in applied if (event := _event(it, self._contracts))]
        names = {name for event in told for name in event.aggregates}
        refs = {ref for event in told for ref in event.looks_up}
        before = list(self._blocks), list({it.place.tx_hash for it in applied})
        if not self._held and self._memory.knows(names, refs):
            if self._memory.told(chain(*before)):
                raise Unheld
            self._unread = before
            return
        for stored in await self._read(names, refs, before):
            if stored.reverted_at is not None:
                self._reverted.add(stored.trace)
            if stored.place.block.hash in self._blocks:
                self._keep(stored)
        if not self._events:
            return
        # told before
        self._need_hold()
        leaving = {block.ref.hash for it in batch for block in it.delivery.rollback}
        again = [it for it in self._events.values() if not it.canonical or it.place.block.hash in leaving]
        await self._notifications.load([it.place.event_id for it in again])
        events = [it.event for it in self._events.values() if it.event]
        names = {name for event in events for name in event.aggregates} - self._memory.aggregates
        refs = {ref for event in events for ref in event.looks_up} - self._memory.looked_up
        await self._read(names, refs)
        # perhaps in part unreadable, and then its places were given then
        asides = await self._connection.fetch(history.ASIDE, list(self._blocks))
        self._aside = {row["id"]: (row["tx_index"], row["event_index"]) for row in asides}

    def _need_hold(self) -> None:
        if not self._held:
            raise Unheld

    async def take(self, incoming: Incoming) -> Outcome:
        """Roll back, then apply, whatever their order in the body."""
        outcome = Outcome()
        await self._roll_back(incoming, outcome)
        for block in incoming.delivery.apply:
            await self._apply(block, incoming.at, outcome)
        return outcome

    # -- apply

    async def _apply(self, block: Block, at: int, outcome: Outcome) -> None:
        listed: set[str] = set()
        for observed in block.events:
            if observed.place.event_id in listed:
                continue
            listed.add(observed.place.event_id)
            known = self._events.get(observed.place.event_id)
            if known is None and (fault := self._store(observed, at)):
                self._set_aside(observed.place, fault, at)
                outcome.quarantined += 1
                outcome.results.append(("other", "quarantined"))
            elif known is not None and known.canonical:
                outcome.known += 1
                outcome.results.append((_label(known), "known"))
        due = sorted((it for it in self._blocks[block.ref.hash] if not it.canonical), key=lambda it: it.order)
        transactions: dict[str, list[Stored]] = {}
        for it in due:
            transactions.setdefault(it.place.tx_hash, []).append(it)
        for events in transactions.values():
            await self._apply_transaction(events, at)
        outcome.applied += len(due)
        outcome.results += [(_label(it), "applied" if it.event else "unknown") for it in due]
        tip = self._memory.tip
        if tip is None or block.ref.height > tip[0]:
            self._memory.tip, self._tip_moved = (block.ref.height, block.ref.hash, block.ref.time), True

    def _store(self, observed: Readable | Unreadable, at: int) -> Unreadable | None:
        """Keep a new event; what does not fit its event's fields comes back as unreadable."""
        if isinstance(observed, Unreadable):
            return observed
        try:
            event = _read(observed, self._contracts)
        except Misfit as misfit:
            return Unreadable(observed.place, str(misfit), ascii_json(observed.value))
        tx_index, event_index = self._aside.get(
            observed.place.event_id, (observed.place.tx_index, observed.place.event_index)
        )
        self._keep(
            Stored(
                place=replace(observed.place, tx_index=tx_index, event_index=event_index),
                kind=observed.kind,
                name=observed.name,
                value=observed.value,
                event=event,
                canonical=False,
                fresh=True,
                seen_at=moment(at),
            )
        )
        return None

    async def _apply_transaction(self, due: Sequence[Stored], at: int) -> None:
        """Fold one transaction's events as a unit, and say what they did."""
        for stored in due:
            stored.canonical, stored.changed = True, True
        first = due[0].place
        whole = [
            it
            for it in self._blocks[first.block.hash]
            if it.canonical and it.event and it.place.tx_hash == first.tx_hash
        ]
        whole.sort(key=lambda it: it.order)
        known = [it for it in due if it.event]
        if not known:
            return
        transaction = [happened for it in whole if (happened := it.happened)]
        behind = {
            name
            for it in known
            for name in it.aggregates
            # two transactions may have one place: of two forks, while the one is not rolled back yet
            if (end := self._memory.folded.get(name)) is not None and end[:2] >= it.place.position[:2]
        }
        if len(whole) > len(known):  # told in parts: what its events say of each other may have changed
            behind = {name for it in whole for name in it.aggregates}
        ids = {it.place.event_id for it in known}
        with self._rows.unit() as unit:
            unit.step()
            steps, ends = await self._fold_anew(behind, unit, ids)
            fresh = frozenset(name for it in known for name in it.aggregates) - behind
            for it in known:
                if mine := it.aggregates & fresh:
                    number = unit.step()
                    steps.setdefault(it.place.event_id, number)
                    assert it.happened is not None
                    fold(self._rows, it.happened, transaction, mine)
                    self._memory.folded |= dict.fromkeys(mine, it.place.position)
                    self._moved |= mine
            unit.step()
            settle_all(self._rows, transaction, fresh)
            self._say_transaction(known, transaction, unit, steps, behind, ends, at)

    def _say_transaction(
        self,
        known: Sequence[Stored],
        transaction: Sequence[Happened],
        unit: Unit,
        steps: Mapping[str, int],
        behind: set[str],
        ends: Mapping[str, Order],
        at: int,
    ) -> None:
        """One entry an event. What a listing became without a print is said with the stream's last event.

        ``ends`` has, of what was folded anew, the last place that had been folded before.
        """
        begin, end = unit.after(-1), View(self._rows, {})
        told = begin
        said: list[_Said] = []
        for it in known:
            assert it.event is not None
            number = steps[it.place.event_id]
            now = end if it.aggregates & behind else unit.after(number)
            step = Step(it.place, now, unit.after(number - 1), told, end, transaction)
            late = any(name in ends and ends[name] > it.order for name in it.aggregates)
            cause = Cause(it.place, it.name, "apply", reapplied=it.trace in self._reverted, late=late)
            emissions = list(_once(it.event.emissions(step)))
            said.append(_Said(cause, it.aggregates, emissions, list(it.event.notices(step))))
            told = now
        own = [emission for entry in said for emission in entry.emissions]
        for name in last_of_streams(happened for it in known if (happened := it.happened)):
            entry = next(it for it in reversed(said) if name in it.aggregates)
            more = list(derived(id_of(name), begin, end, own))
            entry.emissions.extend(more)
            entry.notices.extend(derived_notices(id_of(name), more))
        for entry in said:
            pushed = (self._notifications.open(entry.cause, notice, at) for notice in one_each(entry.notices))
            self._say(((entry.cause, emission) for emission in chain(entry.emissions, pushed)), at)

    # -- roll back

    async def _roll_back(self, incoming: Incoming, outcome: Outcome) -> None:
        """Take blocks off the chain with all their events, listed or not; blocks that we do not know change nothing."""
        gone: list[Stored] = []
        for block in incoming.delivery.rollback:
            on_chain = [it for it in self._blocks[block.ref.hash] if it.canonical]
            gone += sorted(on_chain, key=lambda it: it.order, reverse=True)
            for stored in on_chain:
                stored.canonical, stored.reverted_at, stored.changed = False, moment(incoming.at), True
                self._reverted.add(stored.trace)
            tip = self._memory.tip
            if tip and block.ref.height <= tip[0]:
                self._memory.tip, self._tip_moved = (block.ref.height - 1, None, None), True
        outcome.reverted += len(gone)
        outcome.results += [(_label(it), "reverted") for it in gone]
        if not gone:
            return
        touched = {name for stored in gone for name in stored.aggregates}
        with self._rows.unit() as unit:
            unit.step()
            await self._fold_anew(touched, unit)
            before, after = unit.after(-1), View(self._rows, {})
            heard = await self._heard({stored.place.event_id for stored in gone})
            for stored in gone:
                told = heard.get(stored.place.event_id, ())
                cause = Cause(stored.place, stored.name, "rollback", reapplied=False)
                said = reverted(stored.event, stored.place, told, after) if stored.event else ()
                retracted = self._notifications.retract(stored.place.event_id)
                self._say(((cause, emission) for emission in chain(said, retracted)), incoming.at)
            earliest = {name: it for it in gone for name in it.aggregates}  # descending: the last wins
            self._say(
                (
                    (Cause(earliest[name].place, earliest[name].name, "rollback"), emission)
                    for name, emission in compensation(touched, before, after)
                ),
                incoming.at,
            )

    async def _heard(self, event_ids: set[str]) -> dict[str, tuple[Told, ...]]:
        """Who heard of these events when they were last applied, in the order of then; notifications aside."""
        rows = await self._connection.fetch(_HEARD, list(event_ids), NEW)
        entries: dict[str, tuple[int, tuple[Told, ...]]] = {}
        for event_id, seq, room, name, role in rows:
            last, told = entries.get(event_id, (seq, ()))
            entries[event_id] = (seq, (*(told if last == seq else ()), Told(room, name, role)))
        heard = {name: told for name, (_, told) in entries.items()}
        for draft in self._drafts:  # said in this very transaction
            for event_id in {cause.place.event_id for cause, _ in draft.spoken if cause.op == "apply"} & event_ids:
                heard[event_id] = tuple(Told(it.room, it.name, it.role) for _, it in draft.spoken if it.name != NEW)
        return heard

    # -- fold

    async def _fold_anew(
        self, names: Collection[str], unit: Unit, watched: Collection[str] = ()
    ) -> tuple[dict[str, int], dict[str, Order]]:
        """Fold aggregates from genesis: from the canonical events of the database and of the blocks at hand.

        Returns the number of the step that each watched event took, and the place of each aggregate's last other one.
        """
        steps: dict[str, int] = {}
        ends: dict[str, Order] = {}
        if not names:
            return steps, ends
        self._need_hold()
        aggregates = frozenset(names)
        self._rows.load(await projections.load(self._connection, aggregates, history=True))
        past = await self._select(_OF_AGGREGATES, list(self._blocks), list(aggregates))
        here = [it for it in self._events.values() if it.canonical and it.event]
        canonical = [it for stored in sorted((*past, *here), key=lambda it: it.order) if (it := stored.happened)]
        for name in aggregates:
            self._memory.folded.pop(name, None)
        self._moved |= aggregates
        apart = False
        for place, event in fold_anew(self._rows, canonical, aggregates):
            if apart or place.event_id in watched:
                number = unit.step()
            if apart := place.event_id in watched:
                steps[place.event_id] = number
            for name in event.aggregates & aggregates:
                self._memory.folded[name] = place.position
                if not apart:
                    ends[name] = in_order(place)
        return steps, ends

    # -- what is at hand

    def _keep(self, stored: Stored) -> None:
        self._events[stored.place.event_id] = stored
        self._blocks[stored.place.block.hash].append(stored)

    def _say(self, spoken: Iterable[tuple[Cause, Emission]], at: int) -> None:
        if said := tuple(spoken):
            self._drafts.append(Draft(said, at))

    def _set_aside(self, place: Place, fault: Unreadable, at: int) -> None:
        reason = fault.reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        block = place.block
        # a delivery in this very transaction may tell it readably: at the place that its neighbours have
        tx_index, event_index = self._aside.setdefault(place.event_id, (place.tx_index, place.event_index))
        self._quarantine[place.event_id] = (
            place.event_id,
            block.hash,
            block.height,
            place.tx_hash,
            place.source,
            place.rank,
            tx_index,
            event_index,
            reason,
            fault.raw,
            moment(at),
        )

    async def _read(
        self, names: Collection[str], refs: Collection[Ref], told: tuple[list[str], list[str]] | None = None
    ) -> list[Stored]:
        """Load these aggregates and rows. The first time also, in the same round trip, the outbox's end, the tip, and
        what was ``told`` before: the events of such blocks and the reverted ones of such transactions."""
        reads = Reads()
        kinds = projections.ask(reads, names, refs)
        stored = ends = tip = head = -1
        if names:
            ends = reads.add(", ".join(_FOLDED_COLUMNS), "aggregates WHERE aggregate = ANY($1)", list(names))
        if told:
            stored = reads.add(history.EVENT, f"chain_events WHERE {_TOLD_BEFORE % (1, 2)}", *told)
            tip, head = reads.add("height", "chain_tip"), reads.add(f"epoch, seq, n, {outbox.VERSION}", "outbox_head")
        found: dict[int, list[list[Any]]] = {}
        for number, columns in await reads.fetch(self._connection):
            found.setdefault(number, []).append(columns)
        memory = self._memory
        for epoch, seq, n, version in found.get(head, ()):
            memory.read(Head(epoch, Offset(seq, n), version))
            self._rows = memory.rows
        for (height,) in found.get(tip, ()):
            memory.tip = height, None, None  # the rest of it is only ever replaced
        memory.folded |= {name: Position(*place) for name, *place in found.get(ends, ())}
        self._rows.load(
            projections.read(kind, columns) for number, kind in kinds.items() for columns in found.get(number, ())
        )
        memory.aggregates |= set(names)
        memory.looked_up |= set(refs)
        return [Stored.of(columns, self._contracts) for columns in found.get(stored, ())]

    async def _select(self, where: str, *arguments: object) -> list[Stored]:
        reads = Reads()
        reads.add(history.EVENT, f"chain_events WHERE {where}", *arguments)
        return [Stored.of(columns, self._contracts) for _, columns in await reads.fetch(self._connection)]

    # -- write

    async def close(self) -> Head:
        """Write everything; returns the outbox's new end."""
        if next(iter(self._rows.gone()), None) is not None:
            self._need_hold()
            await projections.delete_gone(self._connection, self._rows)
        writes = Writes()
        history.write(writes, self._events.values())
        aside = [it for id_, it in self._quarantine.items() if not (id_ in self._events and self._events[id_].fresh)]
        if aside:
            writes.add(history.INSERT_QUARANTINE, in_json(history.QUARANTINE_COLUMNS, aside))
        folded = self._memory.folded
        if gone := self._moved - folded.keys():
            writes.add("DELETE FROM aggregates WHERE aggregate = ANY($1)", list(gone))
        projections.write(writes, self._rows)
        self._notifications.write(writes)
        if ends := [(name, *folded[name]) for name in self._moved if name in folded]:
            writes.add(_UPSERT_ENDS, in_json(_FOLDED_COLUMNS, ends))
        if self._tip_moved and self._memory.tip:
            writes.add(_UPSERT_TIP, *self._memory.tip)
        head = await self._finish(writes)
        blocks = (hash_ for hash_, events in self._blocks.items() if events)
        transactions = (it.place.tx_hash for it in self._events.values() if it.reverted_at)
        self._memory.written(head, chain(blocks, transactions))
        return head

    async def _finish(self, writes: Writes) -> Head:
        """Write this and the outbox in one statement, if nobody has recorded since the outbox's end was read."""
        end = self._memory.end
        said = outbox.numbered(end, self._drafts)
        if said:
            self._notifications.say(writes, said)
        if not writes:
            if self._unread:
                raise Unheld  # nothing would say whether what is remembered is still true
            return end
        offset = said[-1].offset if said else end.offset
        if self._unread:
            writes.add(_ADVANCE_UNREAD, *offset, end.version, *self._unread, name="head", first=True)
        else:
            writes.add(_ADVANCE, *offset, end.version, name="head", first=True)
        try:
            (version, _), *counts = await writes.execute(
                self._connection, _ONLY_BEHIND_HEAD + self._notifications.counted
            )
        except asyncpg.DivisionByZeroError:
            raise Unheld from None
        return outbox.behind(end, self._notifications.complete(said, dict(counts)), version)


_FOLDED_COLUMNS = ("aggregate", "block_height", "tx_index", "event_index")
_TOLD_BEFORE = "block_hash = ANY($%d) OR (tx_hash = ANY($%d) AND reverted_at IS NOT NULL)"
_HEARD = (
    "SELECT event_id, seq, room, name, payload ->> 'role' FROM outbox"
    " WHERE event_id = ANY($1) AND op = 'apply' AND name <> $2 ORDER BY seq, n"
)
# The events of aggregates with all others of their transactions, but for those of blocks that are at hand.
_OF_AGGREGATES = """canonical AND NOT block_hash = ANY($1) AND (block_hash, tx_hash) IN (
    SELECT it.block_hash, it.tx_hash FROM event_keys JOIN chain_events it ON it.id = event_id WHERE aggregate = ANY($2)
)"""
_UPSERT_ENDS = upsert_all(tables.aggregates, _FOLDED_COLUMNS)
_UPSERT_TIP = """
INSERT INTO chain_tip (id, height, hash, time) VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET height = excluded.height, hash = excluded.hash, time = excluded.time
"""
# This comes first: where the row is another one by now, there is no ``head`` and the statement fails, before it has
# taken any row that somebody waits for.
_ONLY_BEHIND_HEAD = "SELECT max(version) AS address, 1 / count(*) AS unread FROM head UNION ALL "
_ADVANCE = outbox.ADVANCE.format(and_so="")
# There is no ``head`` either where something was told before, which would have been read. It is counted, and not asked
# whether it EXISTS: for that Postgres may read the whole table, expecting to find some soon.
_ADVANCE_UNREAD = outbox.ADVANCE.format(
    and_so=f"AND 0 = (SELECT count(*) FROM chain_events WHERE {_TOLD_BEFORE % (4, 5)})"  # noqa: S608
)


def _once(emissions: Iterable[Emission]) -> Iterator[Emission]:
    """Each room hears one name of one event once: where sender and recipient are one, the first role stands."""
    heard: set[tuple[str, str]] = set()
    for emission in emissions:
        if (emission.room, emission.name) not in heard:
            heard.add((emission.room, emission.name))
            yield emission


def _read(observed: Readable, contracts: Contracts) -> Event | None:
    return read_event(contracts.role_of(observed.place.contract) or "", observed.name, observed.value)


def _event(observed: Readable | Unreadable, contracts: Contracts) -> Event | None:
    try:
        return _read(observed, contracts) if isinstance(observed, Readable) else None
    except Misfit:
        return None


def _label(stored: Stored) -> str:
    return stored.name if stored.event else "other"
