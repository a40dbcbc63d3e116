"""One connection: what it asks, what it may, and what it is answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fanout.access import Denied, asked
from fanout.manager import NAMESPACE, RedisStreamManager
from fanout.metrics import CONNECTIONS, ROOM_JOINS
from fanout.upstream import Answer, Server
from shared.domain.entry import Cursor
from shared.settings import FanoutSettings


@dataclass(slots=True)
class _Connection:
    tokens: float  # client messages it may send at once
    at: float
    rooms: set[str] = field(default_factory=set)

    def may_send(self, rate: float, burst: float) -> bool:
        now = time.monotonic()
        self.tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Sockets:
    """The connections of this node, by Socket.IO id."""

    def __init__(self, server: Server, manager: RedisStreamManager, settings: FanoutSettings) -> None:
        self._manager, self._settings = manager, settings
        self._connections: dict[str, _Connection] = {}
        server.on("connect", self._connect, namespace=NAMESPACE)
        server.on("disconnect", self._disconnect, namespace=NAMESPACE)
        server.on_message = self._message

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        self._connections[sid] = _Connection(self._settings.message_burst, time.monotonic())
        CONNECTIONS.set(len(self._connections))

    async def _disconnect(self, sid: str, reason: str) -> None:
        self._connections.pop(sid, None)
        CONNECTIONS.set(len(self._connections))

    async def _message(self, sid: str, name: str, arguments: list[Any]) -> Answer | None:
        """The answer to one client message; None for one that is ignored."""
        connection = self._connections.get(sid)
        if connection is None:
            return None
        what = asked(name, arguments, open_user_rooms=self._settings.dev_user_rooms)
        if what is None:
            return None
        if not connection.may_send(self._settings.message_rate, self._settings.message_burst):
            return _denied(Denied("RATE_LIMITED", "too many messages; wait a second"))
        if isinstance(what, Denied):
            return _denied(what)
        if not what.joins:
            connection.rooms.discard(what.room)
            self._manager.basic_leave_room(sid, NAMESPACE, what.room)
            return {"ok": True, "room": what.room}
        if what.room not in connection.rooms and len(connection.rooms) >= self._settings.rooms_max:
            message = f"a connection has at most {self._settings.rooms_max} rooms"
            return _denied(Denied("TOO_MANY_ROOMS", message, what.room))
        cursor = self._manager.join(sid, what.room)
        connection.rooms.add(what.room)
        ROOM_JOINS.labels(result="ok").inc()
        # Nothing is replayed yet: a client that missed something is told so and fetches the snapshot.
        complete = what.since is None or Cursor.parse(what.since) == cursor
        return {"ok": True, "room": what.room, "cursor": str(cursor), "replayed": 0, "complete": complete}


def _denied(why: Denied) -> Answer:
    ROOM_JOINS.labels(result=why.code).inc()
    return {"ok": False, "room": why.room, "error": {"code": why.code, "message": why.message}}
