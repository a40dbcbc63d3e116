"""What the page is told of the nodes: how far each is, and how long the last entries were on their way.

Every node writes its line into one hash in Redis and reads the others' there. Nothing else depends on it: while Redis
is away a node tells of itself alone.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypedDict

import msgspec
from redis.asyncio import Redis

from shared.feed import OUTAGES, FeedEntry

EVERY_S: Final = 2.0
GONE_S: Final = 10.0  # a node that was silent for so long is not shown, and its line is removed
KEPT: Final = 100


class NodeLine(TypedDict):
    """One node: its last spoken entry, how many it has not spoken yet, its sockets; ``at`` in unix µs."""

    node: str
    seq: int
    lag: int
    connections: int
    at: int


class Status(TypedDict):
    """What the page asks for every other second.

    ``now`` in unix µs. ``entries``: of the last ones seq, and when, in unix µs, ingest had the delivery, the relay gave
    it to the feed, and this node had it; a relay time of 0 is not known.
    """

    node: str
    now: int
    epoch: str
    nodes: list[NodeLine]
    entries: list[tuple[int, int, int, int]]
    control: str | None


class Board:
    """One node's part of it."""

    def __init__(self, redis: Redis, prefix: str, name: str, look: Callable[[], tuple[str, int, int, int]]) -> None:
        """``look`` gives epoch, last spoken seq, lag and the number of sockets."""
        self._redis, self._key = redis, f"{prefix}:nodes"
        self._node = f"{name}-{secrets.token_hex(2)}"
        self._look = look
        self._entries: deque[tuple[int, int, int, int]] = deque(maxlen=KEPT)
        self._others: list[NodeLine] = []

    def note(self, entries: Sequence[FeedEntry]) -> None:
        """These have just been read from the feed."""
        now = _now()
        self._entries.extend((it.seq, it.at, it.relayed, now) for it in entries[-KEPT:])

    async def run(self) -> None:
        """Write this node's line and read the others', for ever."""
        try:
            while True:
                try:
                    await self._exchange()
                except OUTAGES:
                    self._others = []
                await asyncio.sleep(EVERY_S)
        finally:
            try:
                async with asyncio.timeout(1):
                    await self._redis.hdel(self._key, self._node)
            except OUTAGES:
                pass

    def status(self, control: str | None) -> Status:
        """All that is known now."""
        nodes = sorted([self._line(), *self._others], key=lambda it: it["node"])
        return {
            "node": self._node,
            "now": _now(),
            "epoch": self._look()[0],
            "nodes": nodes,
            "entries": list(self._entries),
            "control": control,
        }

    async def _exchange(self) -> None:
        await self._redis.hset(self._key, self._node, msgspec.json.encode(self._line()).decode())
        lines = [msgspec.json.decode(it, type=NodeLine) for it in (await self._redis.hgetall(self._key)).values()]
        since = _now() - GONE_S * 1e6
        if gone := [it["node"] for it in lines if it["at"] < since]:
            await self._redis.hdel(self._key, *gone)
        self._others = [it for it in lines if it["at"] >= since and it["node"] != self._node]

    def _line(self) -> NodeLine:
        _, seq, lag, connections = self._look()
        return {"node": self._node, "seq": seq, "lag": lag, "connections": connections, "at": _now()}


def _now() -> int:
    return time.time_ns() // 1000
