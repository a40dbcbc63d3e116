"""Which room a client message names, and whether that client may be in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fanout.messages import Code
from shared.domain.clarity import is_principal
from shared.domain.rooms import ACCESS_CONTROL, GLOBAL, MARKETPLACE, TREASURY, parse_stream_id, stream_room, user_room

_PUBLIC: Final = {"marketplace": MARKETPLACE, "treasury": TREASURY, "access-control": ACCESS_CONTROL}
_USER: Final = user_room("")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks: to join or to leave a room, and from which cursor on."""

    joins: bool
    room: str
    since: object = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A token, to become somebody or to stay so."""

    token: object
    since: object = None


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not, in a code of the protocol."""

    code: Code
    message: str
    room: str | None = None


def asked(
    name: str, arguments: list[Any], user: str, *, open_user_rooms: bool = False
) -> Asked | Shown | Denied | None:
    """What this message of ``user`` (an address, or "") asks, or None where it is none of ours and to be ignored.

    ``open_user_rooms`` is the development switch: anybody may hear any address.
    """
    verb, _, topic = name.partition("-")
    options = next((it for it in arguments if isinstance(it, dict)), {})
    since = options.get("since")
    if name == "authenticate":
        return Shown(options.get("token"), since)
    if verb not in ("join", "leave"):
        return None
    target = arguments[0] if arguments and not isinstance(arguments[0], dict) else None
    joins = verb == "join"
    if topic in _PUBLIC:
        return Asked(joins, _PUBLIC[topic], since)
    if topic == "stream-room":
        stream_id = parse_stream_id(target)
        if stream_id is None:
            return Denied("BAD_REQUEST", "a stream id is a decimal number up to 2^63-1, without leading zeros")
        return Asked(joins, stream_room(stream_id), since)
    if topic == "user-room":
        return _user_room(joins, user if target is None and user else target, user, since, open_user_rooms)
    return None


def _user_room(joins: bool, address: object, user: str, since: object, open_to_all: bool) -> Asked | Denied:
    if not user and not open_to_all:
        return Denied("UNAUTHENTICATED", "a user room needs a token of its address")
    if not isinstance(address, str) or not is_principal(address):
        return Denied("BAD_REQUEST", "an address is needed")
    if address != user and not open_to_all:
        return Denied("FORBIDDEN", "this is another address than the token's", user_room(address))
    return Asked(joins, user_room(address), since)


def allowed(rooms: Iterable[str], user: str, *, open_user_rooms: bool = False) -> set[str]:
    """Those of the rooms that ``user`` may be in now, those that everybody is in included."""
    mine = {user_room(user)} if user else set()
    return {room for room in {*rooms, *mine, GLOBAL} if not room.startswith(_USER) or room in mine or open_user_rooms}
