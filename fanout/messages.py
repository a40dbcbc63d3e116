"""What a client may say and how it is answered, as types; and what a node says besides the outbox.

``access.py`` reads these messages, ``sockets.py`` answers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypedDict

Code: TypeAlias = Literal[
    "UNAUTHENTICATED",
    "TOKEN_EXPIRED",
    "FORBIDDEN",
    "BAD_REQUEST",
    "TOO_MANY_ROOMS",
    "RATE_LIMITED",
    "UNAVAILABLE",
]


class Since(TypedDict, total=False):
    """From which cursor on a room is to be told: a snapshot's ``asOf``, or the last cursor that was heard."""

    since: str


class _Token(TypedDict):
    token: str


class Credentials(_Token, Since):
    """A token, and from which cursor on its address's room is to be told."""


class Fault(TypedDict):
    """Why not."""

    code: Code
    message: str


class Joined(TypedDict):
    """The room is joined. ``complete`` false: ``since`` could not be resumed, so fetch the room's snapshot."""

    ok: Literal[True]
    room: str
    cursor: str
    replayed: int
    complete: bool


class Authenticated(Joined):
    """The room of the token's address is joined, until ``expiresAt``, unix seconds."""

    address: str
    expiresAt: int


class Left(TypedDict):
    """The room is left."""

    ok: Literal[True]
    room: str


class Refused(TypedDict):
    """What was asked is not done."""

    ok: Literal[False]
    room: str | None
    error: Fault


class Nothing(TypedDict):
    """No fields."""


class RoomError(TypedDict):
    """A refusal of a message that had no acknowledgement function."""

    room: str | None
    error: Fault


class Resync(TypedDict):
    """Rooms of which something was missed that cannot be told any more: fetch their snapshots."""

    rooms: list[str]


@dataclass(frozen=True, slots=True)
class Message:
    """One client message. ``target`` is the type of its first argument, if it has one; ``options`` of the last."""

    about: str
    answer: type
    target: Any = None
    options: type | None = None
    target_optional: bool = False


_TOPICS: Final[Mapping[str, tuple[str, Any, bool]]] = {
    "user-room": ("the room of the token's address", str, True),
    "stream-room": ("the room of a stream, by its id", str | int, False),
    "marketplace": ("the marketplace's room", None, False),
    "treasury": ("the treasury's room", None, False),
    "access-control": ("access control's room", None, False),
}
MESSAGES: Final[Mapping[str, Message]] = {
    "authenticate": Message("Show a token, to become its address or to renew it", Authenticated, options=Credentials),
    **{
        f"join-{topic}": Message(f"Join {about}", Joined, target, Since, optional)
        for topic, (about, target, optional) in _TOPICS.items()
    },
    **{
        f"leave-{topic}": Message(f"Leave {about}", Left, target, None, optional)
        for topic, (about, target, optional) in _TOPICS.items()
    },
}
SIGNALS: Final[Mapping[str, tuple[str, type]]] = {
    "system:cursor": (
        "Nothing was said to this connection for a while; behind it comes the cursor",
        Nothing,
    ),
    "system:resync": ("Something was missed that cannot be told any more", Resync),
    "system:auth-expired": ("The token has expired: the address's room is left, public rooms are kept", Nothing),
    "room:error": ("A message without an acknowledgement function was refused", RoomError),
}
