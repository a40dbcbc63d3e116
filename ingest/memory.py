"""What a process still knows of the state when it has recorded, so that the next delivery need not read it again.

It is true until somebody else records, and whoever writes finds that out: the outbox's head is then another one, and
nothing is written (``shared/outbox.py``). So a memory may be wrong, and never does harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shared.domain.chain import Contracts, Position
from shared.domain.entry import Offset
from shared.domain.rows import Ref, genesis
from shared.domain.workset import Rows
from shared.outbox import Head

ROWS_MAX = 20_000  # some 30 MiB; with more it begins anew
TOLD_MAX = 1_000


class Memory:
    """The state at one version of the outbox's head, as far as it was looked at."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._begin()

    def _begin(self) -> None:
        self.rows = Rows(genesis(self._contracts))
        self.folded: dict[str, Position] = {}  # how far each aggregate is; one that is not in it has no events
        self.aggregates: set[str] = set()  # that are at hand
        self.looked_up: set[Ref] = set()
        self.tip: tuple[int, str | None, int | None] | None = None
        self.end = Head("", Offset(0, 0))
        self._told: dict[str, None] = {}  # hashes, the oldest first
        self._alone = False  # nobody else had recorded when it was last read
        self._whole = True

    def open(self) -> None:
        """A transaction begins. What one has left half-way is forgotten."""
        if not self._whole or len(self.rows) > ROWS_MAX:
            self._begin()

    def knows(self, aggregates: Collection[str], looked_up: Collection[Ref]) -> bool:
        """Whether nothing of these need be read, by what is known here: writing will tell."""
        return self._alone and self.aggregates.issuperset(aggregates) and self.looked_up.issuperset(looked_up)

    def told(self, hashes: Iterable[str]) -> bool:
        """Whether one of these names a block of events that are stored or a transaction of such as were reverted, as
        far as is known here."""
        return any(it in self._told for it in hashes)

    def read(self, end: Head) -> None:
        """The state has been read; ``end`` is the outbox's in the same snapshot. What was true of another is
        forgotten."""
        self._alone = end.version == self.end.version
        if not self._alone:
            self._begin()
        self.end = end

    def change(self) -> None:
        """From here on it is ahead of the database, until all has been ``written``."""
        self._whole = False

    def written(self, end: Head, told: Iterable[str]) -> None:
        """What is here is what the database has, up to the outbox's new ``end``; ``told`` are more such hashes."""
        self.rows.stored()
        self.end, self._whole = end, True
        self._told |= dict.fromkeys(told)
        while len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]
