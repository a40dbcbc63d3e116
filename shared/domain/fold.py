"""Events into rows, one transaction of the chain after the other.

A transaction is the unit: its events fold in their order, then each listing that they touched gets its status. An
event may belong to several aggregates, and each aggregate can be folded anew by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from shared.domain.chain import Place
from shared.domain.listing import settle
from shared.domain.rows import id_of
from shared.domain.workset import Happened, Rows, Step

Order: TypeAlias = tuple[int, int, str, str, int, str, int]


def in_order(place: Place) -> Order:
    """The place of an event among all, transactions in one piece.

    Behind height and index, hashes decide between forks that both count until one of them is rolled back.
    """
    height, tx_index, event_index = place.position
    return height, tx_index, place.tx_hash, place.block.hash, event_index, place.source, place.rank


def fold(rows: Rows, happened: Happened, transaction: Sequence[Happened], aggregates: frozenset[str]) -> None:
    """Fold one event into these of its aggregates; ``transaction`` are all the events of its own, in order."""
    place, event = happened
    with rows.only(aggregates):
        event.fold(Step.folding(rows, place, transaction))


def settle_all(rows: Rows, transaction: Iterable[Happened], aggregates: frozenset[str]) -> None:
    """Give every listing of these aggregates that a transaction touched its status at the end."""
    for name, happened in last_of_streams(transaction).items():
        if name in aggregates:
            settle(rows, id_of(name), happened.place)


def last_of_streams(transaction: Iterable[Happened]) -> dict[str, Happened]:
    """The last event of every stream's aggregate in a transaction."""
    return {name: it for it in transaction for name in it.event.aggregates if name.startswith("stream:")}


def fold_anew(rows: Rows, canonical: Iterable[Happened], aggregates: frozenset[str]) -> Iterator[Happened]:
    """Fold aggregates from genesis; yields every event of theirs right before it is folded.

    ``canonical`` are all their events in order, with the other events of the same transactions.
    """
    rows.forget(aggregates)
    for transaction in transactions(canonical):
        for happened in transaction:
            if mine := happened.event.aggregates & aggregates:
                yield happened
                fold(rows, happened, transaction, mine)
        settle_all(rows, transaction, aggregates)


def transactions(happened: Iterable[Happened]) -> Iterator[tuple[Happened, ...]]:
    """Events in order, put together by transaction."""
    for _, events in groupby(happened, key=lambda it: (it.place.block.hash, it.place.tx_hash)):
        yield tuple(events)
