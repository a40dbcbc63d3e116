"""What all actions are: a signed call, and its outcome. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from deploy.local.chainhook import OK, Call, Event, Print
from deploy.local.world import Cast, Value, World
from shared.domain import clarity

Said: TypeAlias = int | str | clarity.Value  # an int is a uint, a str a principal


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did: the world after it, what is told, what the call answered."""

    world: World
    events: tuple[Event, ...]
    result: clarity.Value = OK


class Signed(Value, frozen=True, tag=True):
    """A call that ``sender`` signed. The fields of the actions are the call's arguments, in its order."""

    sender: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        """Contract, function, arguments."""
        raise NotImplementedError

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        """What comes of it in a block of that height; None where the contract refuses."""
        raise NotImplementedError

    def call(self, cast: Cast) -> Call:
        contract, function, args = self.called(cast)
        return Call(contract, function, tuple(_value(arg) for arg in args))


def printed(contract: str, event: str, /, **fields: Said) -> Print:
    """A print as all our contracts make them: a tuple that names its event.

    ``stream_id`` is printed ``stream-id``, and ``from_`` is ``from``.
    """
    named = {name.strip("_").replace("_", "-"): _value(said) for name, said in fields.items()}
    return Print(contract, clarity.Tuple({"event": clarity.Ascii(event), **named}))


def number(answer: int) -> clarity.Value:
    """``(ok u7)``."""
    return clarity.Ok(clarity.UInt(answer))


def _value(said: Said) -> clarity.Value:
    if isinstance(said, int):
        return clarity.UInt(said)
    return clarity.Principal(said) if isinstance(said, str) else said
