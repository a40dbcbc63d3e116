"""Notifications: kept and pushed in the transaction that applies their event, retracted in the one that reverts it.

A row has one id for its event, its address and its type, so an event that comes back finds its rows and opens them
again, as read as they were. Fanout marks rows at any time, while recording transactions run one by one; whoever changes
a row takes the rows in the order of their ids and then the address's count, and so nobody waits in a circle. The count
decides who was first: a push says how many are unread after all that was marked before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from secrets import token_hex
from typing import Final, NamedTuple

from msgspec.json import decode

from ingest.together import Writes, in_json
from shared import outbox, tables
from shared.database import Connection, insert_all, upsert_all
from shared.domain.entry import Emission
from shared.domain.notice import NEW, RETRACTED, Notice, Notification, notification_view
from shared.domain.rooms import user_room
from shared.domain.views import text
from shared.outbox import Row, moment
from shared.wire import Cause


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row; ``reopens_as`` is its status before it was retracted."""

    row: Notification
    reopens_as: str | None = None


class _Parts(NamedTuple):
    """A payload around the count that it tells: that of ``address``, but for ``less`` that came behind it."""

    before: str
    address: str | None
    less: int
    behind: str


class Notifications:
    """Those of one recording transaction: loaded at its start, written at its end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[str, _Kept] = {}
        self._written: set[str] = set()
        self._more: dict[str, int] = {}  # unread ones of an address, since this transaction began
        self._said: list[tuple[str, int]] = []  # whose count an emission tells, and how many more it was then
        self._mark = token_hex(8)  # stands in payloads for a count, and nowhere else: nobody can know it

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

        ``at`` is when the event reached us, unix µs. How many are unread is put into its payload by ``say``.
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
        kept = [it for id_, it in self._kept.items() if id_ in self._written]
        writes.add(_KEEP, in_json(_COLUMNS, [(it.reopens_as, *_values(it.row)) for it in kept]))
        writes.add(_COUNT, in_json(("address", "unread"), self._more.items()), name="counts")

    def say(self, writes: Writes, said: Sequence[Row]) -> None:
        """Append these rows to the outbox, together with what else is written. Postgres puts the counts into their
        payloads: they are known only when ``write`` has counted."""
        if not self._said:
            writes.add(outbox.INSERT, *outbox.columns(said))
            return
        parts = [self._parts(row.payload) for row in said]
        payloads = [it.before for it in parts]
        *others, _, at = outbox.columns(said)
        whose = [[it.address for it in parts], [it.less for it in parts], [it.behind for it in parts]]
        writes.add(_SAY, *others, payloads, at, *whose)

    @property
    def counted(self) -> str:
        """Selects what ``write`` has counted, for ``complete``."""
        return "SELECT address, unread FROM counts" if self._written else "SELECT NULL, NULL WHERE false"

    def complete(self, said: Sequence[Row], counts: Mapping[str, int]) -> list[Row]:
        """The same rows, with the counts in their payloads."""
        rows = []
        for row in said:
            it = self._parts(row.payload)
            if it.address is not None:
                payload = f"{it.before}{text(counts[it.address] - it.less)}{it.behind}".encode()
                row = row._replace(payload=payload)  # noqa: PLW2901
            rows.append(row)
        return rows

    def _parts(self, payload: bytes) -> _Parts:
        before, mark, rest = payload.decode().partition(self._mark)
        if not mark:
            return _Parts(before, None, 0, "")
        number, quote, behind = rest.partition('"')
        address, more = self._said[int(number)]
        return _Parts(before, address, self._more[address] - more, quote + behind)

    def _keep(self, it: _Kept, *, unread: int) -> None:
        self._kept[it.row.id] = it
        self._written.add(it.row.id)
        self._more[it.row.address] = self._more.get(it.row.address, 0) + unread

    def _emission(self, name: str, row: Notification, data: dict[str, object]) -> Emission:
        data["unread"] = f"{self._mark}{len(self._said)}"
        self._said.append((row.address, self._more[row.address]))
        return Emission(user_room(row.address), name, row.type, data)


_ROW: Final = [field.name for field in fields(Notification)]
_DATA: Final = _ROW.index("data")
_COLUMNS: Final = ["reopens_as", *_ROW]
_TOLD: Final = ("category", "priority", "status", "reopens_as", "title", "message", "data", "action_url", "action_text")
_values: Final = attrgetter(*_ROW)
_SELECT: Final = (
    f"SELECT number, {', '.join(_COLUMNS)} FROM notifications"  # noqa: S608 - names of ours, here and below
    " WHERE event_id = ANY($1) ORDER BY id FOR UPDATE"
)
_KEEP: Final = upsert_all(tables.notifications, _COLUMNS, _TOLD)
_COUNT: Final = f"""
{insert_all(tables.notification_counts, ("address", "unread"))}
ON CONFLICT (address) DO UPDATE SET unread = notification_counts.unread + excluded.unread
RETURNING address, unread
"""
_SAY: Final = f"""
INSERT INTO outbox (seq, n, event_id, op, room, name, payload, created_at)
SELECT seq, n, event_id, op, room, name, (before || coalesce((unread - less)::text || behind, ''))::json, at
FROM unnest({outbox.LISTS}, $9::text[], $10::bigint[], $11::text[])
    AS it (seq, n, event_id, op, room, name, before, at, address, less, behind)
LEFT JOIN counts USING (address)
"""  # noqa: S608
