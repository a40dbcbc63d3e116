"""The Redis manager of Socket.IO, in two lanes.

*Data lane*: the feed. ``speak`` takes entry after entry from this node's tail and queues each emission for the members
of its room on this node; there is no await in it, so a join falls before an entry or after it and never inside.
*Control lane*: a short Redis Stream in which nodes tell each other what is not durable: enter, leave and close room,
disconnect, callbacks, ephemeral emits. JSON only.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from redis.asyncio import Redis
from socketio.async_pubsub_manager import AsyncPubSubManager

from fanout.metrics import DELIVER_SECONDS, NODE_SEQ, SENT
from fanout.upstream import Server, close_connection, event_packet, queue_packet
from shared.domain.entry import Cursor, Entry, Offset
from shared.domain.rooms import GLOBAL
from shared.feed import OUTAGES, newest, read_stream
from shared.outbox import Head

log = logging.getLogger("fanout.manager")

NAMESPACE = "/"
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

    def __init__(self, redis: Redis, prefix: str, *, write_only: bool = False) -> None:
        super().__init__(channel=f"{prefix}:control", write_only=write_only)
        self._redis = redis
        self._epoch = ""
        self._position = Offset(0, 0)

    def initialize(self) -> None:
        """Upstream starts its listener here, as a task of nobody; ours is a child of the composition root."""

    # -- data lane

    @property
    def cursor(self) -> Cursor:
        """This node's position: all up to there has been queued for the members of its rooms."""
        return Cursor(self._epoch, self._position)

    async def restart(self, head: Head) -> None:
        """Begin at ``head``. Connections of an earlier epoch are closed: their cursors are void."""
        first = not self._epoch
        self._epoch, self._position = head.epoch, head.offset
        NODE_SEQ.set(head.offset.seq)
        if not first:
            log.warning("a new epoch begins, all connections start anew", extra={"epoch": head.epoch})
            await self.close_all(0)

    def speak(self, entry: Entry) -> None:
        """Queue one entry's emissions for the members of their rooms on this node, and move its position."""
        rooms = self.rooms.get(NAMESPACE, {})
        sent = 0
        for n, (room, words) in enumerate(entry.spoken):
            self._position = Offset(entry.seq, n)
            members = rooms.get(room)
            if members:
                packet = event_packet(words, str(self.cursor))
                sent += sum(queue_packet(self.server, eio_sid, packet) for eio_sid in members.values())
        if sent:
            DELIVER_SECONDS.observe(max(0.0, time.time() - entry.at / 1e6))
            SENT.inc(sent)
        NODE_SEQ.set(entry.seq)

    def join(self, sid: str, room: str) -> Cursor:
        """Enter a room now; its emissions after the returned cursor will come."""
        self.basic_enter_room(sid, NAMESPACE, room)
        return self.cursor

    async def connect(self, sid: str, namespace: str) -> str:
        """Called right after the CONNECT reply is queued, so nothing comes before it."""
        connected: str = await super().connect(sid, namespace)
        if namespace == NAMESPACE:
            self.join(connected, GLOBAL)
        return connected

    async def close_all(self, over_s: float) -> None:
        """Close every connection, spread over ``over_s`` seconds, so that its client comes back elsewhere."""
        names = list(self.server.eio.sockets)
        random.shuffle(names)
        for i, eio_sid in enumerate(names):
            await close_connection(self.server, eio_sid)
            if i % 50 == 49:
                await asyncio.sleep(over_s * 50 / len(names))

    # -- control lane

    async def emit(self, event: str, data: Any, namespace: str | None = None, room: Any = None, **kwargs: Any) -> None:
        """An ephemeral event: whoever is there hears it. Durable words go through the outbox."""
        arguments = data if isinstance(data, tuple) else () if data is None else (data,)
        if not arguments or isinstance(arguments[-1], str):
            raise EndsWithText(f"{event} ends with text or has no argument")
        await super().emit(event, data, namespace=namespace, room=room, **kwargs)

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
                yield message
