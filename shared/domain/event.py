"""What an event of the catalogue is: typed fields read from a print, what it folds into, who hears of it.

An event class is the one place that says all about its event. Its fields stand in the order of the print; the
printed name is the field's with hyphens (``from_``, a word of Python's, is ``from``). Each field's type says how it is
read, see the aliases below.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeAlias, get_args, get_type_hints

from shared.domain.chain import INT64_MAX
from shared.domain.clarity import U128_MAX, Json, is_principal
from shared.domain.entry import Emission
from shared.domain.notice import Link, Notice, Priority
from shared.domain.rooms import user_room
from shared.domain.rows import Ref
from shared.domain.workset import Step
from shared.errors import Rejected


class Misfit(Rejected):
    """A print that does not have the fields of its event."""


def _read_uint(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= U128_MAX:
        raise Misfit("is no uint")
    return value


def _read_id(value: Json) -> int:
    number = _read_uint(value)
    if number > INT64_MAX:
        raise Misfit(f"is {number}, above 2^63-1")
    return number


def _read_principal(value: Json) -> str:
    if not isinstance(value, str) or not is_principal(value):
        raise Misfit("is no principal")
    return value


def ascii_text(length: int) -> Callable[[Json], str]:
    """A reader of ``(string-ascii length)``."""

    def read(value: Json) -> str:
        if not isinstance(value, str) or not value.isascii() or len(value) > length:
            raise Misfit(f"is no (string-ascii {length})")
        return value

    return read


Uint = Annotated[int, _read_uint]  # 0 to 2^128 - 1
Id = Annotated[int, _read_id]  # a uint of ours that must fit a bigint
Party = Annotated[str, _read_principal]


Data: TypeAlias = Mapping[str, object]  # the fields of an emission; a TypedDict is one

_CONTRACT_PREFIX = re.compile("^(market|treasury|access)-")


@dataclass(frozen=True, slots=True)
class Event(ABC):
    """One print or asset event that the catalogue knows."""

    role: ClassVar[str]  # of the contract that prints it
    name: ClassVar[str]

    @classmethod
    def read(cls, value: Json) -> Self:
        """The event that this decoded print is. Raises ``Misfit`` naming the field."""
        if not isinstance(value, dict):
            raise Misfit("the print is no tuple")
        found: dict[str, Any] = {}
        for field, printed, reader in _readers(cls):
            if printed not in value:
                raise Misfit(f"{cls.name} without {printed}")
            try:
                found[field] = reader(value[printed])
            except Misfit as misfit:
                raise Misfit(f"{printed} of {cls.name} {misfit}") from None
        return cls(**found)

    @property
    @abstractmethod
    def aggregates(self) -> frozenset[str]:
        """What it folds into."""

    @property
    def looks_up(self) -> tuple[Ref, ...]:
        """Rows that its fold reads beyond those that come with its aggregates."""
        return ()

    @abstractmethod
    def fold(self, at: Step) -> None:
        """Change the rows as the event did. A missing parent becomes a stub that its own event completes."""

    @abstractmethod
    def emissions(self, at: Step) -> Iterator[Emission]:
        """Say who hears of it, from the rows as they are after it; their order numbers the offsets."""

    def notices(self, at: Step) -> Iterator[Notice]:
        """Say whom it concerns so much that it shall wait for them, read or unread. Most events concern nobody so."""
        return iter(())

    @property
    def link(self) -> Link | None:
        """Where in the application its notices lead."""
        return None

    @property
    def type(self) -> str:
        """Its short name, which most of its emissions have as their type."""
        return _CONTRACT_PREFIX.sub("", self.name, count=1)

    def say(self, room: str, name: str, data: Data, *, type: str | None = None, role: str | None = None) -> Emission:
        """One emission of this event."""
        return Emission(room, name, type or self.type, data, role)

    def tell(self, name: str, data: Data, *, type: str | None = None, **parties: str | None) -> Iterator[Emission]:
        """The same to each party whose address is known, by role (``old_sender`` is the role ``old-sender``)."""
        for role, address in parties.items():
            if address is not None:
                yield self.say(user_room(address), name, data, type=type, role=role.replace("_", "-"))

    def notify(
        self, type: str, priority: Priority, title: str, message: str, data: Data, *addresses: str | None
    ) -> Iterator[Notice]:
        """The same notice to each of these addresses that is known."""
        for address in addresses:
            if address is not None:
                yield Notice(address, type, priority, title, message, data, self.link)


@cache
def _readers(event: type[Event]) -> tuple[tuple[str, str, Callable[[Json], Any]], ...]:
    hints = get_type_hints(event, include_extras=True)
    return tuple(
        (field.name, field.name.rstrip("_").replace("_", "-"), get_args(hints[field.name])[1])
        for field in fields(event)
    )
