"""The rows at hand: what one recording transaction works on, and what an event sees of them.

``Rows`` remembers what was loaded, so that only what changed is written; then it may be kept for the next one. Within
one transaction of the chain it also remembers, step by step, what was there before: an event speaks of the rows as they
were right after itself, while a later event of the same transaction has changed them already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

from shared.domain.chain import Place
from shared.domain.rows import AnyRow, Ref

if TYPE_CHECKING:
    from shared.domain.event import Event

R = TypeVar("R", bound=AnyRow)
E = TypeVar("E")

_Mask = Mapping[Ref, AnyRow | None]


class Happened(NamedTuple):
    """An event and where it stands on the chain."""

    place: Place
    event: Event


class Rows:
    """Rows by class and key, as loaded and as they are now."""

    def __init__(self, genesis: Iterable[AnyRow] = ()) -> None:
        self._genesis: dict[Ref, AnyRow] = {(type(row), row.key): row for row in genesis}
        self._loaded: dict[Ref, AnyRow] = {}
        self._now: dict[type, dict[Any, AnyRow]] = {}
        self._owned: dict[str, set[Ref]] = {}
        self._touched: dict[Ref, None] = {}  # since it was loaded or stored: written, or taken away
        self._steps: list[dict[Ref, AnyRow | None]] | None = None
        self._scope: frozenset[str] | None = None

    def __len__(self) -> int:
        return len(self._loaded)

    def load(self, rows: Iterable[AnyRow]) -> None:
        """Take rows as the database has them; what became of them since stays, also that one is no more."""
        for row in rows:
            ref = type(row), row.key
            if ref in self._loaded:
                continue
            self._loaded[ref] = row
            if row.key not in self._now.setdefault(type(row), {}):
                self._keep(ref, row)

    def get(self, kind: type[R], key: object) -> R | None:
        """The row as it is now."""
        found = self._now.get(kind, {}).get(key)
        return cast("R | None", self._genesis.get((kind, key)) if found is None else found)

    def all(self, kind: type[R]) -> list[R]:
        """All rows of a class that are at hand."""
        begun = {key: row for (it, key), row in self._genesis.items() if it is kind}
        return cast("list[R]", list({**begun, **self._now.get(kind, {})}.values()))

    def put(self, row: AnyRow, place: Place) -> None:
        """Write a row on behalf of the event at ``place``."""
        if self._scope is not None and row.aggregate not in self._scope:
            return
        ref = type(row), row.key
        if self._steps:
            self._steps[-1].setdefault(ref, self.get(*ref))
        self._touched[ref] = None
        self._keep(ref, replace(row, last_event_id=place.event_id, updated_block=place.block.height))

    @contextmanager
    def only(self, aggregates: frozenset[str]) -> Iterator[None]:
        """Write to these aggregates alone: an event of two may be folded into one of them again."""
        self._scope = aggregates
        try:
            yield
        finally:
            self._scope = None

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Begin to remember what is overwritten, until the end of the block."""
        self._steps = []
        try:
            yield Unit(self, self._steps)
        finally:
            self._steps = None

    def forget(self, aggregates: Iterable[str]) -> None:
        """Take these aggregates back to genesis, before they are folded anew."""
        names = frozenset(aggregates)
        for name in names:
            for ref in self._owned.pop(name, ()):
                if self._steps:
                    self._steps[-1].setdefault(ref, self.get(*ref))
                self._touched[ref] = None
                del self._now[ref[0]][ref[1]]
        for ref, row in self._genesis.items():
            if row.aggregate in names:
                self._touched[ref] = None
                self._keep(ref, row)

    def written(self) -> Iterator[AnyRow]:
        """Rows that differ from what was loaded."""
        for ref in self._touched:
            row = self._now.get(ref[0], {}).get(ref[1])
            if row is not None and self._loaded.get(ref, self._genesis.get(ref)) != row:
                yield row

    def gone(self) -> Iterator[AnyRow]:
        """Rows that were loaded and are no more."""
        return (
            row
            for kind, key in self._touched
            if (row := self._loaded.get((kind, key))) is not None and key not in self._now.get(kind, {})
        )

    def stored(self) -> None:
        """The database has them as they are now."""
        for kind, key in self._touched:
            row = self._now.get(kind, {}).get(key)
            if row is None:
                self._loaded.pop((kind, key), None)
            else:
                self._loaded[kind, key] = row
        self._touched.clear()

    def _keep(self, ref: Ref, row: AnyRow) -> None:
        self._now.setdefault(ref[0], {})[ref[1]] = row
        self._owned.setdefault(row.aggregate, set()).add(ref)


class View:
    """The rows as they were at one moment of a unit."""

    def __init__(self, rows: Rows, mask: _Mask) -> None:
        self._rows, self._mask = rows, mask

    def get(self, kind: type[R], key: object) -> R | None:
        """The row as it was then."""
        ref = kind, key
        if ref in self._mask:
            return cast("R | None", self._mask[ref])
        return self._rows.get(kind, key)

    def one(self, kind: type[R]) -> R:
        """The only row of its class, which genesis made."""
        row = self.get(kind, 1)
        assert row is not None
        return row

    def all(self, kind: type[R]) -> list[R]:
        """All rows of a class that were at hand."""
        now = {row.key: row for row in self._rows.all(kind)}
        for (it, key), row in self._mask.items():
            if it is kind:
                now.pop(key, None)
                if row is not None:
                    now[key] = cast("R", row)
        return list(now.values())


class Unit:
    """The steps of one transaction, or of one rollback: each is what one event wrote."""

    def __init__(self, rows: Rows, steps: list[dict[Ref, AnyRow | None]]) -> None:
        self._rows, self._steps = rows, steps

    def step(self) -> int:
        """Begin the next step; returns its number."""
        self._steps.append({})
        return len(self._steps) - 1

    def after(self, step: int) -> View:
        """The rows as that step left them; -1 is before the first."""
        mask: dict[Ref, AnyRow | None] = {}
        for later in reversed(self._steps[step + 1 :]):
            mask |= later
        return View(self._rows, mask)


@dataclass(frozen=True, slots=True)
class Step:
    """What one event sees: where it stands, the rows, and the other events of its transaction.

    While it folds, all views are the rows as they are. When it speaks, ``rows`` are those right after it (for a late
    event after all that was known before it), ``prior`` those right before it in the order of the chain, ``told``
    those that everyone was told of last, and ``end`` those at the end of its transaction.
    """

    place: Place
    rows: View
    prior: View
    told: View
    end: View
    transaction: Sequence[Happened]
    writer: Rows | None = None  # while it folds

    @classmethod
    def folding(cls, rows: Rows, place: Place, transaction: Sequence[Happened]) -> Step:
        """The step of an event that is about to fold."""
        now = View(rows, {})
        return cls(place, now, now, now, now, transaction, rows)

    @property
    def height(self) -> int:
        return self.place.block.height

    def get(self, kind: type[R], key: object) -> R | None:
        return self.rows.get(kind, key)

    def one(self, kind: type[R]) -> R:
        return self.rows.one(kind)

    def all(self, kind: type[R]) -> list[R]:
        return self.rows.all(kind)

    def put(self, row: AnyRow) -> None:
        """Write a row, stamped with this event."""
        assert self.writer is not None, "an event that speaks changes nothing"
        self.writer.put(row, self.place)

    def others(
        self, kind: type[E] | tuple[type[E], ...], *, where: Literal["anywhere", "earlier", "later"] = "anywhere"
    ) -> Iterator[E]:
        """What is of this kind in the same transaction, in order, perhaps only on one side of this event."""
        here = self.place.position
        for place, event in self.transaction:
            there = place.position
            if isinstance(event, kind) and (
                where == "anywhere" or (there > here if where == "later" else there < here)
            ):
                yield event
