"""The catalogue: every event that we know, by the contract that prints it.

To add an event, write its class beside its siblings (``core.py`` shows four) and name it in ``CATALOGUE``. An event
of an accepted contract that is not named here is kept as it came and told to nobody.
"""

from __future__ import annotations

from typing import Final

from shared.domain.catalogue.core import StreamCancelled, StreamCreated, StreamSenderUpdated, StreamWithdrawal
from shared.domain.clarity import Json
from shared.domain.event import Event

CATALOGUE: Final[tuple[type[Event], ...]] = (
    StreamCreated,
    StreamWithdrawal,
    StreamCancelled,
    StreamSenderUpdated,
)

_BY_NAME: Final = {(event.role, event.name): event for event in CATALOGUE}


def read_event(role: str, name: str, value: Json) -> Event | None:
    """The typed event, or None where the catalogue does not know its name. Raises ``Misfit``."""
    event = _BY_NAME.get((role, name))
    return event.read(value) if event else None
