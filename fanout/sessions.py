"""What survives a connection: its session in Redis, a hash per pid.

Written whole, at connect and at every join and leave, never at disconnect: a node may be killed. A write that belongs
to a connection which another one has taken over is refused. Writes that wait share one round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from shared.domain.entry import Cursor, Offset
from shared.feed import OUTAGES

AT_ONCE: Final = 500  # commands of one round trip
_ROOM: Final = b"r:"

# KEYS[1] session; ARGV[1] connection number; ARGV[2] life in seconds; then fields and values. 0: somebody took it over.
_WRITE = """
local number = redis.call('HGET', KEYS[1], 'number')
if number and tonumber(number) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'number', ARGV[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""
# KEYS[1] session; ARGV[1] user; ARGV[2] epoch; ARGV[3] life. All fields, after giving out the next connection number.
_TAKE = """
local kept = redis.call('HMGET', KEYS[1], 'user', 'epoch')
if kept[1] ~= ARGV[1] or kept[2] ~= ARGV[2] then return {} end
redis.call('HINCRBY', KEYS[1], 'number', 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HGETALL', KEYS[1])
"""


@dataclass(slots=True)
class Session:
    """A connection as it can be resumed. ``rooms`` say from where each counts."""

    pid: str
    user: str  # an address; "" is anonymous
    start: Cursor
    number: int = 1  # which connection of this session
    rooms: dict[str, Offset] = field(default_factory=dict)


class Sessions:
    """The sessions of all nodes."""

    def __init__(self, redis: Redis, prefix: str, ttl_s: int) -> None:
        self._redis, self._prefix, self._ttl_s = redis, prefix, ttl_s
        self._write, self._take = redis.register_script(_WRITE), redis.register_script(_TAKE)
        self._waiting: list[tuple[AsyncScript, str, list[Any], asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()
        self._ended = False

    async def write(self, session: Session) -> bool:
        """Store it. False: another connection has taken it over. Raises one of ``OUTAGES``."""
        fields: list[Any] = ["user", session.user, "epoch", session.start.epoch, "start", str(session.start.offset)]
        for room, offset in session.rooms.items():
            fields += (f"r:{room}", str(offset))
        return bool(await self._do(self._write, session.pid, [session.number, self._ttl_s, *fields]))

    async def take(self, pid: str, user: str, epoch: str) -> Session | None:
        """The session of that pid, now with the next number; None where there is none for this user and epoch.

        Raises one of ``OUTAGES``.
        """
        flat = await self._do(self._take, pid, [user, epoch, self._ttl_s])
        return _session(pid, dict(zip(flat[::2], flat[1::2], strict=True))) if flat else None

    async def run(self) -> None:
        """Send what waits, for ever."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                    await self._send(batch)
        finally:
            self._ended = True
            for *_, future in self._waiting:
                if not future.done():
                    future.set_exception(ConnectionError("this node ends"))

    async def _do(self, script: AsyncScript, pid: str, arguments: list[Any]) -> Any:
        if self._ended:
            raise ConnectionError("this node ends")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((script, f"{self._prefix}:session:{pid}", arguments, future))
        self._wake.set()
        return await future

    async def _send(self, batch: list[tuple[AsyncScript, str, list[Any], asyncio.Future[Any]]]) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for script, key, arguments, _ in batch:
                    await script(keys=[key], args=arguments, client=pipeline)
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
        except OUTAGES as error:
            answers = [error] * len(batch)
        for (*_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _session(pid: str, kept: Mapping[bytes, bytes]) -> Session | None:
    try:
        start = _offset(kept[b"start"])
        rooms = {name[2:].decode(): _offset(at) for name, at in kept.items() if name.startswith(_ROOM)}
        cursor = Cursor(kept[b"epoch"].decode(), start)
        return Session(pid, kept[b"user"].decode(), cursor, int(kept[b"number"]), rooms)
    except (KeyError, ValueError):
        return None


def _offset(text: bytes) -> Offset:
    seq, _, n = text.partition(b"-")
    return Offset(int(seq), int(n))
