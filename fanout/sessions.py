"""What survives a connection: its session in Redis, a hash per pid.

Written whole, at connect and at every join and leave, never at disconnect: a node may be killed. A write that belongs
to a connection which another one has taken over is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from fanout.batched import Batched
from shared.domain.entry import Cursor, Offset

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

    def __init__(self, redis: Redis, batched: Batched, prefix: str, ttl_s: int) -> None:
        self._batched, self._prefix, self._ttl_s = batched, prefix, ttl_s
        self._write, self._take = redis.register_script(_WRITE), redis.register_script(_TAKE)

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

    async def _do(self, script: AsyncScript, pid: str, arguments: list[Any]) -> Any:
        key = f"{self._prefix}:session:{pid}"
        return await self._batched.ask(lambda pipeline: script(keys=[key], args=arguments, client=pipeline))


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
