"""The newest entries of the outbox in a node's memory, as the frames in which they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.domain.entry import Offset
from shared.feed import Framed

ENTRY_BYTES = 200  # of an entry's own, beside its frames


class Ring:
    """Consecutive entries, the oldest of which go when there are too many or they are too large together."""

    __slots__ = ("_bytes", "_first", "_max_bytes", "_next", "_sizes", "_slots")

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._slots: list[Sequence[Framed]] = [()] * max_entries
        self._sizes = [0] * max_entries  # bytes of the frames of each
        self._max_bytes = max_bytes
        self._first = self._next = 0  # seqs; equal while it is empty
        self._bytes = 0

    def __len__(self) -> int:
        return self._next - self._first

    def clear(self) -> None:
        """Forget everything."""
        self._slots = [()] * len(self._slots)
        self._first = self._next = self._bytes = 0

    def extend(self, first: int, said: Sequence[Sequence[Framed]], sizes: Sequence[int]) -> None:
        """Append consecutive entries from the seq ``first`` on, with the bytes of the frames of each; where they do not
        follow the last one, it begins anew."""
        if first != self._next:
            self.clear()
            self._first = self._next = first
        count, most = len(said), len(self._slots)
        if count > most:
            self.extend(first, said[:most], sizes[:most])
            self.extend(first + most, said[most:], sizes[most:])
            return
        if (over := len(self) + count - most) > 0:
            self._drop(over)
        begin = 0
        for part in self._parts(first, count):
            end = begin + part.stop - part.start
            self._slots[part], self._sizes[part] = said[begin:end], sizes[begin:end]
            begin = end
        self._next += count
        self._bytes += sum(sizes) + count * ENTRY_BYTES
        while self._bytes > self._max_bytes and len(self) > 1:
            self._drop(1)

    def _drop(self, count: int) -> None:
        for part in self._parts(self._first, count):
            self._bytes -= sum(self._sizes[part])
            self._slots[part] = [()] * (part.stop - part.start)
        self._bytes -= count * ENTRY_BYTES
        self._first += count

    def _parts(self, first: int, count: int) -> Iterator[slice]:
        """Where these entries are: in one piece, or in two where they go over the end of the slots."""
        most = len(self._slots)
        start = first % most
        yield slice(start, min(start + count, most))
        if start + count > most:
            yield slice(0, start + count - most)

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
