"""What all will hear: emissions, the entries that number them, and how far one was told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

_CURSOR = re.compile(r"([0-9a-f]{8})\.([0-9]{1,19})-([0-9]{1,9})")


class Offset(NamedTuple):
    """Place of one emission in the total order: the entry's seq, and which of its emissions."""

    seq: int
    n: int

    def __str__(self) -> str:
        return f"{self.seq}-{self.n}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one was told, within one history (epoch) of the outbox. Opaque to applications."""

    epoch: str
    offset: Offset

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}"

    @classmethod
    def parse(cls, text: object) -> Cursor | None:
        """The cursor that this text is, or None."""
        match = _CURSOR.fullmatch(text) if isinstance(text, str) else None
        return cls(match[1], Offset(int(match[2]), int(match[3]))) if match else None


@dataclass(frozen=True, slots=True)
class Emission:
    """One message to one room, in the words of the catalogue; ``data`` without the chain's facts."""

    room: str
    name: str  # Socket.IO event name, such as ``stream:updated``
    type: str  # short name of what happened, such as ``withdrawal``
    data: Mapping[str, object]  # texts, truths, null, and lists of these
    role: str | None = None  # in user rooms: the listener's part in it


class Spoken(NamedTuple):
    """An emission as it stands in the outbox: where it goes, and its encoded ``"name",payload``."""

    room: str
    words: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """The emissions of one event, rollback or broadcast; ``at`` is when its cause reached us, unix µs."""

    seq: int
    at: int
    spoken: tuple[Spoken, ...]
