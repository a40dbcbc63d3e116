"""Notifications: kept and pushed in the transaction that applies their event, retracted in the one that reverts it.

A row has one id for its event, its address and its type, so an event that comes back finds its rows and opens them
again, as read as they were. Fanout marks rows at any time, while recording transactions run one by one; whoever changes
a row takes the rows in the order of their ids and then the address's count, and so nobody waits in a circle. The count
decides who was first: a push says how many are unread after all that was marked before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Final

from msgspec.json import decode, encode

from ingest.together import Writes
from shared.database import Connection
from shared.domain.entry import Emission
from shared.domain.notice import NEW, RETRACTED, Notice, Notification, notification_view
from shared.domain.rooms import user_room
from shared.domain.views import text
from shared.outbox import moment
from shared.wire import Cause


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row; ``reopens_as`` is its status before it was retracted."""

    row: Notification
    reopens_as: str | None = None


class Notifications:
    """Those of one recording transaction: loaded at its start, written at its end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[str, _Kept] = {}
        self._written: set[str] = set()
        self._more: dict[str, int] = {}  # unread ones of an address, since this transaction began
        self._said: list[tuple[str, int, dict[str, object]]] = []

    async def load(self, event_ids: Collection[str]) -> None:
        """Take the rows of events that were applied before and may be reverted, or applied again, and hold them."""
        if event_ids:
            found = await self._connection.fetch(_SELECT, list(event_ids))
            for _, reopens_as, *columns in sorted(found, key=lambda it: it["number"]):
                columns[_DATA] = decode(columns[_DATA])
                row = Notification(*columns)
                self._kept[row.id] = _Kept(row, reopens_as)

    def open(self, cause: Cause, notice: Notice, at: int) -> Emission:
        """A notice becomes a row, or its row is there again; returns what its address hears of it.

        ``at`` is when the event reached us, unix µs. How many are unread is put into the emission by ``save``.
        """
        id_ = notice.id(cause.id)
        known = self._kept.get(id_)
        row = Notification(
            id=id_,
            address=notice.address,
            type=notice.type,
            category=notice.category,
            priority=notice.priority,
            status=(known.reopens_as or known.row.status) if known else "unread",
            title=notice.title,
            message=notice.message,
            data={**notice.data, **cause.facts()},
            action_url=notice.link.url if notice.link else None,
            action_text=notice.link.text if notice.link else None,
            event_id=cause.id,
            created_at=known.row.created_at if known else moment(at),
        )
        self._keep(_Kept(row), unread=row.status == "unread")
        return self._emission(NEW, row, notification_view(row))

    def retract(self, event_id: str) -> Iterator[Emission]:
        """What an event told does not hold (any more); yields what those who were told hear."""
        for it in [it for it in self._kept.values() if it.row.event_id == event_id and it.row.status != "retracted"]:
            was = it.row.status
            self._keep(_Kept(replace(it.row, status="retracted"), reopens_as=was), unread=-(was == "unread"))
            yield self._emission(RETRACTED, it.row, {"id": it.row.id})

    def write(self, writes: Writes) -> None:
        """Write the rows and count what is unread, together with what else is written."""
        if not self._written:
            return
        columns: list[list[object]] = [[] for _ in _COLUMNS]
        for it in (it for id_, it in self._kept.items() if id_ in self._written):
            for name, values in zip(_COLUMNS, columns, strict=True):
                value = it.reopens_as if name == "reopens_as" else getattr(it.row, name)
                values.append(encode(value).decode() if name == "data" else value)
        writes.add(_KEEP, *columns)
        writes.add(_COUNT, list(self._more), list(self._more.values()), name="counts")

    @property
    def counted(self) -> str:
        """What ``write`` returns, for ``count``."""
        return "SELECT address, unread FROM counts" if self._written else "SELECT WHERE false"

    def count(self, counts: Iterable[tuple[str, int]]) -> None:
        """Complete what is said of the rows."""
        before = {address: unread - self._more[address] for address, unread in counts}
        for address, more, data in self._said:
            data["unread"] = text(before[address] + more)

    def _keep(self, it: _Kept, *, unread: int) -> None:
        self._kept[it.row.id] = it
        self._written.add(it.row.id)
        self._more[it.row.address] = self._more.get(it.row.address, 0) + unread

    def _emission(self, name: str, row: Notification, data: dict[str, object]) -> Emission:
        data["unread"] = None
        self._said.append((row.address, self._more[row.address], data))
        return Emission(user_room(row.address), name, row.type, data)


_ROW: Final = [field.name for field in fields(Notification)]
_DATA: Final = _ROW.index("data")
_COLUMNS: Final = ["reopens_as", *_ROW]
_TOLD: Final = ("category", "priority", "status", "reopens_as", "title", "message", "data", "action_url", "action_text")
_ARRAYS: Final = {"data": "json", "created_at": "timestamptz"}
_SELECT: Final = (
    f"SELECT number, {', '.join(_COLUMNS)} FROM notifications"  # noqa: S608 - names of ours, here and below
    " WHERE event_id = ANY($1) ORDER BY id FOR UPDATE"
)
_LISTS: Final = ", ".join(f"${i}::{_ARRAYS.get(name, 'text')}[]" for i, name in enumerate(_COLUMNS, 1))
_KEEP: Final = f"""
INSERT INTO notifications ({", ".join(_COLUMNS)}) SELECT * FROM unnest({_LISTS})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _TOLD)}
"""  # noqa: S608
_COUNT: Final = """
INSERT INTO notification_counts AS it (address, unread) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (address) DO UPDATE SET unread = it.unread + excluded.unread
RETURNING address, unread
"""
