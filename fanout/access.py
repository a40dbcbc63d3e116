"""Which room a client message names, and whether that client may be in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.domain.clarity import is_principal
from shared.domain.rooms import ACCESS_CONTROL, MARKETPLACE, TREASURY, parse_stream_id, stream_room, user_room

_PUBLIC: Final = {"marketplace": MARKETPLACE, "treasury": TREASURY, "access-control": ACCESS_CONTROL}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks: to join or to leave a room, and from which cursor on."""

    joins: bool
    room: str
    since: object = None


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not, in a code of the protocol."""

    code: str
    message: str
    room: str | None = None


def asked(name: str, arguments: list[Any], *, open_user_rooms: bool) -> Asked | Denied | None:
    """What this message asks, or None where it is none of ours and to be ignored.

    ``open_user_rooms`` is the development switch: without it nobody has an address yet, and so no user room.
    """
    verb, _, topic = name.partition("-")
    if name == "authenticate":
        return Denied("UNAUTHENTICATED", "this server has no sign-in yet")
    if verb not in ("join", "leave"):
        return None
    target = arguments[0] if arguments and not isinstance(arguments[0], dict) else None
    options = next((it for it in arguments if isinstance(it, dict)), {})
    since = options.get("since")
    joins = verb == "join"
    if topic in _PUBLIC:
        return Asked(joins, _PUBLIC[topic], since)
    if topic == "stream-room":
        stream_id = parse_stream_id(target)
        if stream_id is None:
            return Denied("BAD_REQUEST", "a stream id is a decimal number up to 2^63-1, without leading zeros")
        return Asked(joins, stream_room(stream_id), since)
    if topic == "user-room":
        if not open_user_rooms:
            return Denied("UNAUTHENTICATED", "a user room needs a token of its address")
        if not isinstance(target, str) or not is_principal(target):
            return Denied("BAD_REQUEST", "an address is needed")
        return Asked(joins, user_room(target), since)
    return None
