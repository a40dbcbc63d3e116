"""What survives a connection: its session in Redis, a hash per pid.

Written whole, at connect and at every join and leave, never at disconnect: a node may be killed. A write that belongs
to a connection which another one has taken over is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec
from redis.asyncio import Redis

from fanout.batched import Batched
from shared.domain.entry import Cursor, Offset

_ROOM: Final = b"r:"

# Scripts over many sessions: a command of its own for each would cost a node more than the rest of a handshake.

# KEYS sessions; ARGV[1] life in seconds; then for each, in MessagePack, its connection number, fields and values.
# Answers 1 for each that was written, 0 for one that another connection has taken over.
_WRITE = """
local stored = {}
for i, key in ipairs(KEYS) do
  local fields = cmsgpack.unpack(ARGV[i + 1])
  local kept = redis.call('HGET', key, 'number')
  if kept and tonumber(kept) > fields[1] then
    stored[i] = 0
  else
    redis.call('DEL', key)
    redis.call('HSET', key, 'number', unpack(fields))
    redis.call('EXPIRE', key, ARGV[1])
    stored[i] = 1
  end
end
return stored
"""
# KEYS sessions; ARGV[1] life; then user and epoch for each. Answers all fields of each that is theirs, after giving
# out the next connection number, and nothing for the others.
_TAKE = """
local taken = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HMGET', key, 'user', 'epoch')
  taken[i] = {}
  if kept[1] == ARGV[2 * i] and kept[2] == ARGV[2 * i + 1] then
    redis.call('HINCRBY', key, 'number', 1)
    redis.call('EXPIRE', key, ARGV[1])
    taken[i] = redis.call('HGETALL', key)
  end
end
return taken
"""


@dataclass(slots=True)
class Session:
    """A connection as it can be resumed. ``rooms`` say from where each counts."""

    pid: str
    user: str  # an address; "" is anonymous
    start: Cursor
    number: int = 1  # which connection of this session
    rooms: dict[str, Offset] = field(default_factory=dict)


_Wanted: TypeAlias = tuple[str, str, str]  # pid, user, epoch


class Sessions:
    """The sessions of all nodes."""

    def __init__(self, redis: Redis, prefix: str, ttl_s: int) -> None:
        self._prefix, self._ttl_s = prefix, ttl_s
        self._write, self._take = redis.register_script(_WRITE), redis.register_script(_TAKE)
        self._writes: Batched[tuple[str, bytes], int] = Batched(self._write_all)
        self._takes: Batched[_Wanted, list[bytes]] = Batched(self._take_all)

    async def write(self, session: Session) -> bool:
        """Store it. False: another connection has taken it over. Raises one of ``OUTAGES``."""
        start = session.start
        fields: list[Any] = [session.number, "user", session.user, "epoch", start.epoch, "start", str(start.offset)]
        for room, offset in session.rooms.items():
            fields += (f"r:{room}", str(offset))
        return bool(await self._writes.ask((session.pid, msgspec.msgpack.encode(fields))))

    async def take(self, pid: str, user: str, epoch: str) -> Session | None:
        """The session of that pid, now with the next number; None where there is none for this user and epoch.

        Raises one of ``OUTAGES``.
        """
        flat = await self._takes.ask((pid, user, epoch))
        return _session(pid, dict(zip(flat[::2], flat[1::2], strict=True))) if flat else None

    async def _write_all(self, sessions: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        keys = [self._key(pid) for pid, _ in sessions]
        stored: list[int] = await self._write(keys=keys, args=[self._ttl_s, *(fields for _, fields in sessions)])
        return stored

    async def _take_all(self, wanted: Sequence[_Wanted]) -> Sequence[list[bytes]]:
        arguments: list[str | int] = [self._ttl_s]
        for _, user, epoch in wanted:
            arguments += (user, epoch)
        taken: list[list[bytes]] = await self._take(keys=[self._key(pid) for pid, _, _ in wanted], args=arguments)
        return taken

    def _key(self, pid: str) -> str:
        return f"{self._prefix}:session:{pid}"

    def end(self) -> None:
        """Nothing more is written or taken."""
        self._writes.end()
        self._takes.end()


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
