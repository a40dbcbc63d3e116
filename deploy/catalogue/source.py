"""All that is written down: the names, the types, the answers of HTTP, what clients may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, get_args, get_type_hints, is_typeddict

from fanout.messages import MESSAGES, SIGNALS, Refused
from fanout.notifications import OPERATIONS
from fanout.openapi import Refusal, Tip
from fanout.routes import ROUTES
from shared.domain.catalogue import CATALOGUE
from shared.domain.notice import TYPES
from shared.domain.now import ChainFacts
from shared.domain.schema import ROLES, SAID, RoomKind, Said
from shared.wire import FLAT, Meta

COMMAND: Final = "python -m deploy.catalogue"
EVENTS: Final = tuple(dict.fromkeys(event.name for event in CATALOGUE))
ROOMS: Final[tuple[RoomKind, ...]] = get_args(RoomKind)
ABOUT_ROOMS: Final[Mapping[RoomKind, tuple[str, str]]] = {
    "user": ("user:{address}", "What concerns one address; with its token only"),
    "stream": ("stream:{streamId}", "One stream"),
    "marketplace": ("marketplace", "All listings and sales"),
    "treasury": ("treasury", "The treasury and its admins' proposals"),
    "access-control": ("access-control", "Roles, contracts and back ends"),
    "global": ("global", "The pause; every connection is in it"),
}
SNAPSHOTS: Final[Mapping[str, str]] = {
    "/api/streams": "StreamsSnapshot",
    "/api/streams/{id}": "StreamSnapshot",
    "/api/marketplace": "MarketplaceSnapshot",
    "/api/marketplace/listings": "ListingsSnapshot",
    "/api/marketplace/sales": "SalesSnapshot",
    "/api/treasury": "TreasurySnapshot",
    "/api/treasury/proposals": "ProposalsSnapshot",
    "/api/treasury/fees": "FeesSnapshot",
    "/api/access-control": "AccessControlSnapshot",
}
NARROWED: Final[Mapping[tuple[str, str], str]] = {
    ("Meta", "event"): "EventName",
    ("Reverted", "event"): "EventName",
    ("Reverted", "names"): "EmissionName",
    ("NotificationView", "type"): "NotificationType",
    ("NotificationPushed", "type"): "NotificationType",
}
WORDS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "EmissionName": ("A durable name.", tuple(SAID)),
    "EventName": ("An event of the chain, by the name that it has there.", EVENTS),
    "NotificationType": ("What a notification is about.", tuple(TYPES)),
    "Role": ("A listener's part in an event.", ROLES),
    "RoomKind": ("Kinds of rooms: `user:<address>`, `stream:<id>`, and four that are one room each.", ROOMS),
}
assert set(SNAPSHOTS) == {route.path for route in ROUTES}, "a snapshot has no name"


class Way(NamedTuple):
    """One way in which a name is said in one kind of room; ``roles`` are empty where a listener has no part."""

    data: type
    types: tuple[str, ...]
    roles: tuple[str, ...]


def ways(name: str, room: RoomKind) -> list[Way]:
    """How a name is said in rooms of this kind."""
    return [Way(it.data, it.types, it.heard[room]) for it in SAID[name] if room in it.heard]


def rooms_of(name: str) -> list[RoomKind]:
    """The kinds of rooms that hear a name."""
    return [room for room in ROOMS if any(room in it.heard for it in SAID[name])]


def is_flat(name: str) -> bool:
    """Whether the fields of ``data`` are repeated at the top level."""
    return name.startswith(FLAT)


def said() -> Iterator[tuple[str, Said]]:
    """Every way of every name."""
    for name, its in SAID.items():
        for it in its:
            yield name, it


def typed_dicts(*roots: Any) -> list[type]:
    """The TypedDicts that these types are made of, each after those that it needs."""
    found: dict[type, None] = {}

    def visit(it: Any) -> None:
        if is_typeddict(it):
            if it not in found:
                for hint in get_type_hints(it).values():
                    visit(hint)
                found[it] = None
        elif get_args(it) and not isinstance(get_args(it)[0], str | int):
            for part in get_args(it):
                visit(part)

    for root in roots:
        visit(root)
    return list(found)


def about(it: type) -> str:
    """The first paragraph of a type's docstring, in one line."""
    return " ".join((it.__doc__ or "").split("\n\n")[0].replace("``", "`").split())


SPOKEN: Final = typed_dicts(ChainFacts, Meta, *(it.data for _, it in said()))
CLIENT: Final = typed_dicts(
    *(it.options for it in MESSAGES.values() if it.options),
    *(it.answer for it in MESSAGES.values()),
    Refused,
    *(it for _, it in SIGNALS.values()),
)
ANSWERED: Final = typed_dicts(
    Tip,
    *(it.item for it in ROUTES),
    *(it.answer for it in OPERATIONS),
    *(it.body for it in OPERATIONS if it.body),
    Refusal,
)
