"""The past as the database keeps it: what the columns of ``chain_events`` say, for all who fold it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from msgspec.json import decode

from shared import tables
from shared.domain.catalogue import read_event
from shared.domain.chain import BlockRef, Contracts, Place
from shared.domain.clarity import Json
from shared.domain.event import Event

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
