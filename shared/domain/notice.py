"""What one address is told of an event, beside the emissions of its room: a notice, and the row that is kept of it.

A notice is for people: it has a title and a sentence, waits for whoever was not there, and can be marked as read. No
text that somebody chose on the chain is put into its words; what a page needs of it is in ``data``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, TypedDict, get_args

Category: TypeAlias = Literal["streams", "marketplace", "treasury", "security", "system"]
Priority: TypeAlias = Literal["low", "normal", "high", "urgent"]
Status: TypeAlias = Literal["unread", "read", "archived", "retracted"]
Channel: TypeAlias = Literal["toast", "sound", "desktop", "e-mail"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)  # the least pressing first
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)

TYPES: Final[Mapping[str, Category]] = {
    "stream_received": "streams",
    "stream_created": "streams",
    "stream_withdrawal": "streams",
    "stream_cancelled": "streams",
    "stream_sender_updated": "streams",
    "nft_received": "marketplace",
    "nft_transferred": "marketplace",
    "nft_listed": "marketplace",
    "listing_updated": "marketplace",
    "listing_cancelled": "marketplace",
    "purchase_initiated": "marketplace",
    "purchase_expired": "marketplace",
    "purchase_completed": "marketplace",
    "sale_completed": "marketplace",
    "treasury_withdrawal": "treasury",
    "treasury_distribution": "treasury",
    "withdrawal_proposed": "treasury",
    "withdrawal_approved": "treasury",
    "withdrawal_executed": "treasury",
    "admin_action_required": "treasury",
    "admin_added": "security",
    "admin_removed": "security",
    "admin_transfer": "security",
    "operator_added": "security",
    "operator_removed": "security",
    "security_alert": "security",
    "protocol_paused": "security",
    "protocol_unpaused": "security",
}

NEW: Final = "notification:new"  # how a notification is told, and that it no longer holds
RETRACTED: Final = "notification:retracted"
_SATS: Final = 10**8  # of one sBTC


@dataclass(frozen=True, slots=True)
class Link:
    """Where in the application something can be seen or done: its path there, and the words of the button."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One address's notice of one event; ``type`` is one of ``TYPES``, ``data`` as in an emission."""

    address: str
    type: str
    priority: Priority
    title: str
    message: str
    data: Mapping[str, object]
    link: Link | None = None

    @property
    def category(self) -> Category:
        return TYPES[self.type]

    def id(self, event_id: str) -> str:
        """The same whenever that event is applied: 32 hexadecimal digits."""
        return hashlib.sha256(f"{event_id}:{self.address}:{self.type}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Notification:
    """A notice as it is kept; ``data`` ends with the four facts of the chain."""

    id: str
    address: str
    type: str
    category: str
    priority: str
    status: str
    title: str
    message: str
    data: Mapping[str, object]
    action_url: str | None
    action_text: str | None
    event_id: str
    created_at: datetime  # when it was told for the first time


class NotificationView(TypedDict):
    """A notification; ``createdAt`` is an ISO 8601 time in UTC, ``actionUrl`` a path of the application."""

    id: str
    address: str
    type: str
    category: Category
    priority: Priority
    status: Status
    title: str
    message: str
    data: dict[str, str | int | None]
    actionUrl: str | None
    actionText: str | None
    eventId: str
    createdAt: str


def notification_view(row: Notification) -> dict[str, object]:
    """A ``NotificationView``, as it is listed and pushed."""
    return {
        "id": row.id,
        "address": row.address,
        "type": row.type,
        "category": row.category,
        "priority": row.priority,
        "status": row.status,
        "title": row.title,
        "message": row.message,
        "data": row.data,
        "actionUrl": row.action_url,
        "actionText": row.action_text,
        "eventId": row.event_id,
        "createdAt": row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def one_each(notices: Iterable[Notice]) -> list[Notice]:
    """Who has several parts in an event hears once of each type, as pressingly as the most pressing of them."""
    chosen: dict[tuple[str, str], Notice] = {}
    for it in notices:
        known = chosen.setdefault((it.address, it.type), it)
        if PRIORITIES.index(it.priority) > PRIORITIES.index(known.priority):
            chosen[it.address, it.type] = it
    return list(chosen.values())


def sbtc(sats: int) -> str:
    """An amount in words: all eight decimals, exact whatever its size."""
    return f"{sats // _SATS}.{sats % _SATS:08} sBTC"


def short(address: str) -> str:
    """An address as people compare it: its ends, and the contract's name."""
    account, dot, contract = address.partition(".")
    return f"{account[:5]}…{account[-5:]}{dot}{contract}"
