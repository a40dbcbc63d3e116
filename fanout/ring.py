"""The newest entries of the outbox in a node's memory, as the frames in which they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from shared.domain.entry import Offset

ENTRY_BYTES = 200  # of an entry's own, beside its frames

Framed: TypeAlias = tuple[str, bytes]  # an emission as it goes out: its room, the whole WebSocket frame with its cursor


class Ring:
    """Consecutive entries, the oldest of which go when there are too many or they are too large together."""

    __slots__ = ("_bytes", "_first", "_max_bytes", "_next", "_sizes", "_slots")

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._slots: list[Sequence[Framed]] = [()] * max_entries
        self._sizes = [0] * max_entries  # bytes of each
        self._max_bytes = max_bytes
        self._first = self._next = 0  # seqs; equal while it is empty
        self._bytes = 0

    def __len__(self) -> int:
        return self._next - self._first

    def clear(self) -> None:
        """Forget everything."""
        self._slots = [()] * len(self._slots)
        self._first = self._next = self._bytes = 0

    def add(self, seq: int, said: Sequence[Framed], size: int) -> None:
        """Append the entry ``seq``, with the bytes of its frames; where it does not follow the last one, it begins
        anew."""
        if seq != self._next:
            self.clear()
            self._first = self._next = seq
        slots = self._slots
        if seq - self._first == len(slots):
            self._drop()
        slot = seq % len(slots)
        slots[slot] = said
        self._sizes[slot] = size = size + ENTRY_BYTES
        self._next = seq + 1
        self._bytes += size
        while self._bytes > self._max_bytes and len(self) > 1:
            self._drop()

    def _drop(self) -> None:
        slot = self._first % len(self._slots)
        self._bytes -= self._sizes[slot]
        self._slots[slot] = ()
        self._first += 1

    def holds(self, offset: Offset) -> bool:
        """Whether everything behind that offset is here, up to the newest entry."""
        return self._first <= offset.seq < self._next or (offset.seq == 0 and self._first == 1)

    def after(self, offset: Offset) -> Iterator[tuple[Offset, Framed]]:
        """All emissions behind an offset that it ``holds``, in order. Nothing may be added meanwhile."""
        slots, size = self._slots, len(self._slots)
        for seq in range(max(offset.seq, self._first), self._next):
            for n, framed in enumerate(slots[seq % size]):
                if seq > offset.seq or n > offset.n:
                    yield Offset(seq, n), framed
