"""The Redis manager of Socket.IO, in two lanes.

*Data lane*: the feed, which this node's tail reads and ``Clients`` speaks.
*Control lane*: a short Redis Stream in which nodes tell each other what is not durable: enter, leave and close room,
disconnect, takeover of a session, callbacks, ephemeral emits. JSON only.

The rooms of python-socketio's API are those of ``Clients``: nothing is kept twice, and a socket that goes costs its own
rooms only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import msgspec
from socketio.async_pubsub_manager import AsyncPubSubManager

from fanout import frames
from fanout.clients import Client, Clients
from fanout.metrics import DROPPED
from fanout.upstream import NAMESPACE, Server
from shared.feed import OUTAGES, RedisClient, newest, read_stream

log = logging.getLogger("fanout.manager")

CONTROL_MAX = 10_000  # entries of the control lane
CONTROL_WAIT_S = 5.0
PUBLISH_TRIES = 5
PAUSE_S = (0.05, 2.0)


class EndsWithText(ValueError):
    """An ephemeral event must have an argument and not end with text: clients would take that for a cursor."""


class RedisStreamManager(AsyncPubSubManager):
    """``client_manager`` of every node; with ``write_only`` a voice for processes that serve no sockets."""

    name = "redis-streams"
    server: Server
    clients: Clients
    on_order: Callable[[str, dict[str, Any]], None]  # what another node orders, beside python-socketio's own methods
    on_room: Callable[[Client], None]  # the rooms of a client have changed, and not by its own join or leave
    on_gone: Callable[[Client], None]  # a client has left the namespace, its link stays

    def __init__(self, redis: RedisClient, prefix: str, *, write_only: bool = False) -> None:
        super().__init__(channel=f"{prefix}:control", write_only=write_only)
        self._redis = redis
        self.rooms: dict[str, Any] = {NAMESPACE: {}}  # upstream's emit looks whether there is the namespace

    def initialize(self) -> None:
        """Upstream starts its listener here, as a task of nobody; ours is a child of the composition root."""

    # -- rooms: upstream's ``base_manager.py``, over ``Clients``

    def get_namespaces(self) -> Iterable[str]:
        return (NAMESPACE,)

    def get_participants(self, namespace: str, room: str | Iterable[str] | None) -> Iterator[tuple[str, str]]:
        for client in self._members(namespace, room):
            yield client.sid, client.link.sid

    def _members(self, namespace: str, room: str | Iterable[str] | None) -> list[Client]:
        """Each once, however many of the rooms it is in."""
        if namespace != NAMESPACE or self.write_only:
            return []
        if room is None:
            return list(self.clients.by_sid.values())
        found: dict[str, Client] = {}
        for name in (room,) if isinstance(room, str) else room:
            alone = self._client(name)
            found |= {it.sid: it for it in ([alone] if alone else self.clients.members(name))}
        return list(found.values())

    def _client(self, sid: str) -> Client | None:
        """None also in a process that serves no sockets: they are all other nodes'."""
        return None if self.write_only else self.clients.by_sid.get(sid)

    def is_connected(self, sid: str, namespace: str) -> bool:
        return namespace == NAMESPACE and self._client(sid) is not None

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        return False

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        link = self.server.eio.sockets.get(eio_sid)
        return link.client.sid if link is not None and link.client is not None and namespace == NAMESPACE else None

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        client = self._client(sid)
        return client.link.sid if client and namespace == NAMESPACE else None

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        return self.eio_sid_from_sid(sid, namespace)

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        self.callbacks.pop(sid, None)
        client = self._client(sid)
        if client is not None:
            self.clients.forget(client)
            client.link.client = None
            self.on_gone(client)

    def is_sid_room(self, namespace: str, room: str) -> bool:
        return self._client(room) is not None

    def basic_enter_room(self, sid: str, namespace: str, room: str, eio_sid: str | None = None) -> None:
        client = self._client(sid)
        if client is None or namespace != NAMESPACE:
            raise ValueError("sid is not connected to requested namespace")
        if self.is_sid_room(namespace, room):
            raise ValueError("cannot enter a sid room")
        if room not in client.rooms:
            self.clients.enter(client, room)
            self.on_room(client)

    def basic_leave_room(self, sid: str, namespace: str, room: str) -> None:
        client = self._client(sid)
        if client is not None and room in client.rooms:
            self.clients.leave(client, room)
            self.on_room(client)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        client = self._client(sid)
        return [sid, *client.rooms] if client else []

    # -- control lane

    async def emit(self, event: str, data: Any, namespace: str | None = None, room: Any = None, **kwargs: Any) -> None:
        """An ephemeral event: whoever is there hears it. Durable words go through the outbox."""
        arguments = data if isinstance(data, tuple) else () if data is None else (data,)
        if not arguments or isinstance(arguments[-1], str):
            raise EndsWithText(f"{event} ends with text or has no argument")
        await super().emit(event, data, namespace=namespace, room=room, **kwargs)

    async def _handle_emit(self, message: dict[str, Any]) -> None:
        """Upstream (``async_pubsub_manager.py``, same name) starts a task for every recipient."""
        if self.write_only:
            return
        if message.get("callback") is not None or message.get("binary"):
            await super()._handle_emit(message)  # each recipient has a packet of its own, or several
            return
        skipped = message.get("skip_sid")
        skip = frozenset(skipped if isinstance(skipped, list) else (skipped,))
        frame = frames.frame(b"42" + msgspec.json.encode([message["event"], *message["data"]]))
        for client in self._members(message.get("namespace") or NAMESPACE, message.get("room")):
            if client.sid in skip:
                continue
            if client.link.paused and client.link.waiting > self.server.eio.high:
                DROPPED.inc()
            else:
                client.link.push(frame)

    async def _handle_disconnect(self, message: dict[str, Any]) -> None:
        if not self.write_only:  # upstream asks its server, and here is none
            await super()._handle_disconnect(message)

    async def order(self, what: str, **details: str | int) -> None:
        """Tell the other nodes. Raises one of ``OUTAGES``."""
        await self._publish({"method": "order", "order": what, **details, "host_id": self.host_id})

    async def listen(self) -> None:
        """Hear what other nodes ask of this one, for ever."""
        await self._thread()

    async def _publish(self, data: Any) -> None:
        pause = PAUSE_S[0]
        for left in reversed(range(PUBLISH_TRIES)):
            try:
                body = msgspec.json.encode(data)
                await self._redis.xadd(self.channel, {"message": body}, maxlen=CONTROL_MAX, approximate=True)
                return
            except OUTAGES:
                if not left:
                    raise
                await asyncio.sleep(pause)
                pause *= 2

    async def _listen(self) -> AsyncIterator[dict[str, Any]]:
        last: bytes | None = None
        pause = PAUSE_S[0]
        while True:
            try:
                if last is None:
                    end = await newest(self._redis, self.channel)
                    last = end[0] if end else b"0-0"
                found = await read_stream(self._redis, self.channel, last, 100, CONTROL_WAIT_S)
                if not found and await newest(self._redis, self.channel) is None:
                    last = b"0-0"  # emptied: what comes next may have a lower id
                pause = PAUSE_S[0]
            except OUTAGES as error:
                log.warning("the control lane does not answer", extra={"error": repr(error)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_S[1])
                continue
            for stream_id, fields in found:
                last = stream_id
                try:
                    message = msgspec.json.decode(fields[b"message"], type=dict[str, Any])
                except (KeyError, msgspec.DecodeError):
                    log.warning("a message of the control lane is not ours", extra={"id": stream_id})
                    continue
                if message.get("method") == "order" and message.get("host_id") != self.host_id:
                    self.on_order(str(message.get("order")), message)
                yield message
