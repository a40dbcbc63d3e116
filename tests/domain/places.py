"""Where events stand, for tests that need no delivery."""

from __future__ import annotations

from deploy.local.chainhook import Print
from shared.domain import clarity
from shared.domain.catalogue import read_event
from shared.domain.chain import BlockRef, Place
from shared.domain.entry import Emission
from shared.domain.event import Event
from shared.domain.fold import fold as fold_one
from shared.domain.rows import genesis
from shared.domain.workset import Happened, Rows, Step, View
from tests.builders import ALICE, CONTRACTS, GENESIS_S, block_hash


def at(height: int = 7, index: int = 0) -> Place:
    """A place in a block, in a transaction of its own."""
    ref = BlockRef(height, block_hash(height), GENESIS_S + 10 * height)
    return Place(ref, f"0x{height:062x}{index:02x}", index, ALICE, CONTRACTS.core, 0, index)


def typed(told: Print) -> Event:
    """The event of the catalogue that a print is."""
    value = clarity.plain(told.value)
    assert isinstance(value, dict)
    event = read_event(CONTRACTS.role_of(told.contract) or "", str(value["event"]), value)
    assert event is not None
    return event


def then(rows: Rows, told: Print, place: Place) -> Rows:
    """The same rows, after one more print in a transaction of its own."""
    happened = Happened(place, typed(told))
    fold_one(rows, happened, (happened,), happened.event.aggregates)
    return rows


def fold(*told: Print, into: Rows | None = None) -> Rows:
    """Rows after these prints, one a block from height 7 on."""
    rows = into or Rows(genesis(CONTRACTS))
    for number, it in enumerate(told):
        then(rows, it, at(7 + number))
    return rows


def last_words(*told: Print) -> list[Emission]:
    """What is said of the last of these prints."""
    place = at(7 + len(told) - 1)
    prior, now = now_of(fold(*told[:-1])), now_of(fold(*told))
    event = typed(told[-1])
    return list(event.emissions(Step(place, now, prior, prior, now, (Happened(place, event),))))


def now_of(rows: Rows) -> View:
    """The rows as they are, to look at."""
    return View(rows, {})
