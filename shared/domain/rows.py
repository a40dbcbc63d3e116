"""The rows that the fold writes: one frozen dataclass a projection, field for field its table.

``Rows`` is the set that one recording transaction works on. It remembers what was loaded, so that only what
changed is written, and it stamps each row with the event that last changed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar, cast

from shared.domain.chain import Place


class Row(Protocol):
    """A row of a projection, and the aggregate that owns it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    last_event_id: str
    updated_block: int

    @property
    def key(self) -> int | str: ...

    @property
    def aggregate(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """A payment stream. Amounts in sats, starts and ends as Stacks heights; None is not known yet."""

    stream_id: int
    sender: str | None = None
    original_sender: str | None = None
    recipient: str | None = None
    amount: int | None = None
    start_block: int | None = None
    end_block: int | None = None
    withdrawn: int = 0
    withdrawal_count: int = 0
    last_withdrawal_block: int | None = None
    status: str = "active"  # active, completed or cancelled
    completed_at_block: int | None = None
    cancelled_at_block: int | None = None
    cancelled_by: str | None = None
    unvested_returned: int | None = None
    vested_paid: int | None = None
    cancellation_fee: int | None = None
    complete: bool = False  # whether its creation was seen
    created_block: int | None = None
    created_at: int | None = None  # unix seconds
    created_tx: str | None = None
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> int:
        return self.stream_id

    @property
    def aggregate(self) -> str:
        return stream_aggregate(self.stream_id)


@dataclass(frozen=True, slots=True)
class StreamSender:
    """One change of a stream's payer."""

    event_id: str
    stream_id: int
    old_sender: str
    new_sender: str
    transfer_type: str
    sale_id: int | None
    block: int
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> str:
        return self.event_id

    @property
    def aggregate(self) -> str:
        return stream_aggregate(self.stream_id)


AnyRow: TypeAlias = Stream | StreamSender
R = TypeVar("R", bound=AnyRow)
Key: TypeAlias = tuple[type[AnyRow], int | str]


def stream_aggregate(stream_id: int) -> str:
    """Name of the aggregate that folds all about one stream."""
    return f"stream:{stream_id}"


class Rows:
    """Rows at hand, as loaded and as they are now."""

    def __init__(self, loaded: Iterable[AnyRow] = ()) -> None:
        self._loaded: dict[Key, AnyRow] = {}
        self._now: dict[Key, AnyRow] = {}
        self._scope: frozenset[str] | None = None
        self.load(loaded)

    def load(self, rows: Iterable[AnyRow]) -> None:
        """Take rows as the database has them; what was written since stays."""
        for row in rows:
            self._loaded[type(row), row.key] = row
            self._now.setdefault((type(row), row.key), row)

    def get(self, kind: type[R], key: int | str) -> R | None:
        """The row as it is now."""
        return cast("R | None", self._now.get(cast("Key", (kind, key))))

    def put(self, row: AnyRow, place: Place) -> None:
        """Write a row on behalf of the event at ``place``."""
        if self._scope is not None and row.aggregate not in self._scope:
            return
        stamped = replace(row, last_event_id=place.event_id, updated_block=place.block.height)
        self._now[type(row), row.key] = stamped

    @contextmanager
    def only(self, aggregates: frozenset[str]) -> Iterator[None]:
        """Write to these aggregates alone: an event of two may be folded into one of them again."""
        self._scope = aggregates
        try:
            yield
        finally:
            self._scope = None

    def copy(self) -> Rows:
        """The rows as they are now, to compare with later."""
        return Rows(self._now.values())

    def forget(self, aggregates: frozenset[str]) -> None:
        """Take these aggregates back to genesis, before they are folded anew."""
        self._now = {key: row for key, row in self._now.items() if row.aggregate not in aggregates}

    def written(self) -> Iterator[AnyRow]:
        """Rows that differ from what was loaded."""
        return (row for key, row in self._now.items() if self._loaded.get(key) != row)

    def gone(self) -> Iterator[AnyRow]:
        """Rows that were loaded and are no more."""
        return (row for key, row in self._loaded.items() if key not in self._now)
