"""The past as the database keeps it: events in their rows, and back, for all who fold them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from msgspec import Raw
from msgspec.json import decode, encode

from ingest.together import Writes, in_json
from shared import tables
from shared.database import insert_all
from shared.domain.catalogue import read_event
from shared.domain.chain import BlockRef, Contracts, Place
from shared.domain.clarity import Json
from shared.domain.event import Event, Misfit
from shared.domain.fold import Order, in_order
from shared.domain.workset import Happened
from shared.outbox import moment

EVENT_COLUMNS: Final = tuple(column.name for column in tables.chain_events.c)

EventRow: TypeAlias = Mapping[str, Any]


def place_of(row: EventRow) -> Place:
    """Where the event of this row stands."""
    return Place(
        block=BlockRef(row["block_height"], row["block_hash"], row["block_time"]),
        tx_hash=row["tx_hash"],
        tx_index=row["tx_index"],
        tx_sender=row["tx_sender"],
        source=row["source"],
        rank=row["rank"],
        event_index=row["event_index"],
    )


def value_of(row: EventRow) -> Any:
    """What was printed; integers of 128 bits stay exact."""
    return decode(row["value"])


def event_of(row: EventRow, value: Json, contracts: Contracts) -> Event | None:
    """The typed event; None where the catalogue does not know its name (yet). Raises ``Misfit``.

    What did not fit was never stored, so a ``Misfit`` here says that the catalogue has become stricter since.
    """
    return read_event(contracts.role_of(row["contract"]) or "", row["name"], value)


@dataclass(slots=True)
class Stored:
    """An event as the database has it, or will have it when this transaction ends."""

    place: Place
    kind: str
    name: str
    value: dict[str, Any]
    event: Event | None
    canonical: bool
    fresh: bool  # not in the database yet
    seen_at: datetime
    reverted_at: datetime | None = None
    changed: bool = False

    @property
    def aggregates(self) -> frozenset[str]:
        return self.event.aggregates if self.event else frozenset()

    @property
    def happened(self) -> Happened | None:
        """The event in its place, if the catalogue knows it."""
        return Happened(self.place, self.event) if self.event else None

    @property
    def trace(self) -> tuple[str, str, str]:
        """What it is in whichever block: its transaction, contract and name."""
        return self.place.tx_hash, self.place.source, self.name

    @property
    def order(self) -> Order:
        """Its place among all events."""
        return in_order(self.place)

    @classmethod
    def of(cls, columns: Sequence[Any], contracts: Contracts) -> Stored:
        """From a row of ``EVENT``."""
        row = dict(zip(EVENT_COLUMNS, columns, strict=True))
        value = value_of(row)
        return cls(
            place=place_of(row),
            kind=row["kind"],
            name=row["name"],
            value=value,
            event=_kept(row, value, contracts),
            canonical=row["canonical"],
            fresh=False,
            seen_at=moment(row["seen_at"]),
            reverted_at=None if row["reverted_at"] is None else moment(row["reverted_at"]),
        )

    def columns(self) -> tuple[object, ...]:
        """The row, as ``EVENT_COLUMNS`` has it."""
        place, block = self.place, self.place.block
        return (
            place.event_id,
            block.hash,
            block.height,
            block.time,
            place.tx_hash,
            place.tx_index,
            place.tx_sender,
            place.source,
            place.rank,
            place.event_index,
            place.contract,
            self.kind,
            self.name,
            Raw(encode(self.value)),
            self.canonical,
            self.seen_at,
            self.reverted_at,
        )


def write(writes: Writes, events: Collection[Stored]) -> None:
    """Add what is new among these events, and what is on the chain now, or no longer."""
    fresh = [it for it in events if it.fresh]
    if fresh:
        writes.add(_INSERT_EVENTS, in_json(EVENT_COLUMNS, [it.columns() for it in fresh]))
        # what another hook told readably, where the first one had told it in a way that we could not read
        writes.add("DELETE FROM quarantine WHERE id = ANY($1)", [it.place.event_id for it in fresh])
        keys = [(name, it.place.event_id) for it in fresh for name in sorted(it.aggregates)]
        writes.add(_INSERT_KEYS, in_json(("aggregate", "event_id"), keys))
    # a re-applied event keeps reverted_at: it was reverted once, which is what `reapplied` asks
    flipped = [(it.place.event_id, it.canonical, it.reverted_at) for it in events if it.changed and not it.fresh]
    if flipped:
        writes.add(_FLIP_EVENTS, in_json(("id", "canonical", "reverted_at"), flipped))


def _kept(row: EventRow, value: Any, contracts: Contracts) -> Event | None:
    """What the catalogue reads more strictly since it was stored counts as not known, as a rebuild has it too."""
    try:
        return event_of(row, value, contracts)
    except Misfit:
        return None


QUARANTINE_COLUMNS = (
    "id",
    "block_hash",
    "block_height",
    "tx_hash",
    "source",
    "rank",
    "tx_index",
    "event_index",
    "reason",
    "raw",
    "seen_at",
)
_IN_JSON = {"value": "value::text"} | {
    it: f"(extract(epoch FROM {it}) * 1000000)::bigint" for it in ("seen_at", "reverted_at")
}
# what selects a row as ``Stored.of`` reads it
EVENT = ", ".join(_IN_JSON.get(name, name) for name in EVENT_COLUMNS)
ASIDE = "SELECT id, tx_index, event_index FROM quarantine WHERE block_hash = ANY($1)"
INSERT_QUARANTINE = insert_all(tables.quarantine, QUARANTINE_COLUMNS, "ON CONFLICT DO NOTHING")
_INSERT_EVENTS = insert_all(tables.chain_events, EVENT_COLUMNS)
_FLIP_EVENTS = """
UPDATE chain_events SET canonical = it.canonical, reverted_at = it.reverted_at
FROM json_populate_recordset(NULL::chain_events, $1::json) AS it WHERE chain_events.id = it.id
"""
_INSERT_KEYS = insert_all(tables.event_keys, ("aggregate", "event_id"))
