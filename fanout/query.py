"""What a route may be asked: parameters, each read in one place and described from there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shared.domain.clarity import Json, is_principal
from shared.domain.rooms import parse_stream_id

LIMIT_MAX = 200
LIMIT_DEFAULT = 50
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
T_co = TypeVar("T_co", covariant=True)


class BadQuery(Exception):
    """A parameter is wrong; the message names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Generic[T_co]):
    """One parameter: ``read`` raises ValueError for all but what ``must`` says."""

    name: str
    read: Callable[[str], T_co]
    must: str
    schema: Mapping[str, Json] = field(default_factory=lambda: {"type": "string"})
    needs: str = ""  # another parameter, without which this one means nothing
    in_path: bool = False


class Query:
    """The values that were given; a parameter that was not has None."""

    def __init__(self, parameters: Collection[Parameter[Any]], given: Iterable[tuple[str, str]]) -> None:
        """Raises ``BadQuery``: nothing is guessed, nothing passed over."""
        known = {it.name: it for it in parameters}
        self._values: dict[str, Any] = {}
        for name, text in given:
            if name not in known:
                raise BadQuery(f"{name} is no parameter here")
            if name in self._values:
                raise BadQuery(f"{name} is given more than once")
            try:
                self._values[name] = known[name].read(text)
            except ValueError:
                raise BadQuery(f"{name} must be {known[name].must}") from None
        for name in self._values:
            if (needed := known[name].needs) and needed not in self._values:
                raise BadQuery(f"{name} needs {needed}")

    def __getitem__(self, parameter: Parameter[T_co]) -> T_co | None:
        value: T_co | None = self._values.get(parameter.name)
        return value


def one_of(name: str, *words: str, needs: str = "", otherwise: str = "") -> Parameter[str]:
    """One of these words; ``otherwise`` says what its absence means, where that is not all of them."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    must = f"one of {', '.join(words)}" + (f"; {otherwise}" if otherwise else "")
    return Parameter(name, read, must, {"type": "string", "enum": list(words)}, needs)


def principal(name: str) -> Parameter[str]:
    """An account or a contract, in its canonical spelling."""

    def read(text: str) -> str:
        if not is_principal(text):
            raise ValueError(text)
        return text

    return Parameter(name, read, "an address", {"type": "string", "format": "stacks-principal"})


def stream_id(name: str, *, in_path: bool = False) -> Parameter[int]:
    """The number of a stream."""
    must = "a stream id: a decimal number up to 2^63-1, without leading zeros"
    return Parameter(name, _whole, must, {"type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$"}, in_path=in_path)


def after(columns: Collection[str]) -> Parameter[tuple[object, ...]]:
    """Where the page before ended: that row's columns, in an order's words. Opaque to those who give it back."""

    def read(text: str) -> tuple[object, ...]:
        return tuple(
            _event_id(part) if column == "event_id" else _whole(part)
            for column, part in zip(columns, text.split("."), strict=True)
        )

    return Parameter("after", read, "the next of an earlier answer")


def _limit(text: str) -> int:
    limit = _whole(text)
    if not 1 <= limit <= LIMIT_MAX:
        raise ValueError(text)
    return limit


def _whole(text: str) -> int:
    number = parse_stream_id(text)
    if number is None:
        raise ValueError(text)
    return number


def _event_id(text: str) -> str:
    if not _EVENT_ID.fullmatch(text):
        raise ValueError(text)
    return text


LIMIT = Parameter(
    "limit",
    _limit,
    f"a whole number from 1 to {LIMIT_MAX}",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
)
