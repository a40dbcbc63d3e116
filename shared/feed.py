"""The feed: the outbox's copy in Redis, one stream entry a ``seq`` with the id ``<seq>-0``.

Fields: ``at`` and ``relayed`` (unix µs), ``rooms`` (JSON list; a room's place is the emission's n) and ``0``, ``1``, …
(each emission's encoded ``"name",payload``). Redis may lose it at any time; the relay writes it anew from the outbox.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import RedisError

from shared.domain.entry import Entry, Spoken

StreamEntry: TypeAlias = tuple[bytes, dict[bytes, bytes]]  # id and fields

OUTAGES = (RedisError, OSError, TimeoutError)  # whatever Redis answers or does not: later is another try

# Appends only behind the entry it was told to; so any number of relays write one gapless feed.
# KEYS[1] feed; ARGV[1] the id it must end with, or '' for no feed; ARGV[2] MAXLEN; then per entry: id, number of
# field arguments, the arguments. Returns 1, or 0 where another relay was faster or the feed is not what it was.
_APPEND = """
local last = ''
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if tail[1] then last = tail[1][1] end
if last ~= ARGV[1] then return 0 end
local i = 3
while i <= #ARGV do
  local count = tonumber(ARGV[i + 1])
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[i], unpack(ARGV, i + 2, i + 1 + count))
  i = i + 2 + count
end
return 1
"""


@asynccontextmanager
async def open_redis(url: str, *, size: int = 10) -> AsyncIterator[Redis]:
    """A client on a pool that waits for a free connection instead of failing; bytes in, bytes out.

    ``url``: ``redis://``, ``rediss://``, or ``redis+sentinel://[user:password@]host[:port][,host…]/service[/db]`` (with
    ``rediss+sentinel`` over TLS), where the sentinels say which server is the master now.
    """
    options: dict[str, Any] = {
        "protocol": 2,  # XREAD answers in one shape
        "max_connections": size,
        "timeout": 5,
        "socket_timeout": 15,
        "socket_connect_timeout": 5,
        "health_check_interval": 15,
    }
    sentinels: Sentinel | None = None
    pool: BlockingConnectionPool
    if "+sentinel://" in url:
        sentinels, pool = _behind_sentinels(url, options)
    else:
        pool = BlockingConnectionPool.from_url(url, **options)
    client = Redis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.aclose()
        for sentinel in sentinels.sentinels if sentinels else ():
            await sentinel.aclose()


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """The library has each of them alone."""


def _behind_sentinels(url: str, options: Mapping[str, Any]) -> tuple[Sentinel, _SentinelPool]:
    parts = urlsplit(url)
    hosts, service, db = sentinels_of(url)
    who = {"username": unquote(parts.username or "") or None, "password": unquote(parts.password or "") or None}
    tls = {"ssl": True} if parts.scheme.startswith("rediss") else {}
    asked = {"socket_timeout": 5, "socket_connect_timeout": 5, "protocol": 2, **tls}
    sentinel = Sentinel(hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    pool = _SentinelPool(service, sentinel, db=db, **who, **tls, **options)  # type: ignore[no-untyped-call]
    return sentinel, pool


def sentinels_of(url: str) -> tuple[list[tuple[str, int]], str, int]:
    """Hosts with ports, the service's name and the database in a ``redis+sentinel`` URL. Raises ``ValueError``."""
    parts = urlsplit(url)
    hosts: list[tuple[str, int]] = []
    for item in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = item.rpartition(":") if re.search(r":[0-9]+$", item) else (item, "", "26379")
        if not host:
            raise ValueError("a sentinel has a host")
        hosts.append((host.strip("[]"), int(port)))
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("the path names the service that the sentinels watch")
    return hosts, service, int(db or 0)


def feed_key(prefix: str, epoch: str) -> str:
    """Where the feed of one epoch is kept."""
    return f"{prefix}:feed:{epoch}"


def _fields(entry: Entry) -> list[bytes]:
    fields = [
        b"at",
        str(entry.at).encode(),
        b"relayed",
        str(time.time_ns() // 1000).encode(),
        b"rooms",
        msgspec.json.encode([room for room, _ in entry.spoken]),
    ]
    for n, (_, said) in enumerate(entry.spoken):
        fields += [str(n).encode(), said]
    return fields


def _entry(stream_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    spoken = tuple([Spoken(room, fields[b"%d" % n]) for n, room in enumerate(_rooms(fields[b"rooms"]))])
    return Entry(int(stream_id.partition(b"-")[0]), int(fields[b"at"]), spoken, int(fields.get(b"relayed", 0)))


_rooms = msgspec.json.Decoder(list[str]).decode


class Feed:
    """The feed of one epoch."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis, self.key = redis, key
        self._append = redis.register_script(_APPEND)

    async def last(self) -> Entry | None:
        """The newest entry; None where there is no feed."""
        found = await newest(self._redis, self.key)
        return _entry(*found) if found else None

    async def append(self, entries: Sequence[Entry], *, behind: int | None, keep: int) -> bool:
        """Append consecutive entries behind the seq ``behind``, or (None) begin a feed. False: it ends elsewhere."""
        arguments: list[bytes | str | int] = ["" if behind is None else f"{behind}-0", keep]
        for entry in entries:
            fields = _fields(entry)
            arguments += [f"{entry.seq}-0", len(fields), *fields]
        return bool(await self._append(keys=[self.key], args=arguments))

    async def read(self, *, after: int, count: int = 500, block_s: float | None = None) -> list[Entry]:
        """Entries behind the seq ``after``, waiting up to ``block_s`` for one."""
        return [_entry(*it) for it in await read_stream(self._redis, self.key, f"{after}-0", count, block_s)]

    async def range(self, first: int, count: int = 500) -> list[Entry]:
        """Entries from the seq ``first`` on, at most ``count``."""
        found = cast("list[StreamEntry]", await self._redis.xrange(self.key, min=f"{first}-0", count=count))
        return [_entry(*it) for it in found]


async def newest(redis: Redis, key: str) -> StreamEntry | None:
    """The last entry of a Redis Stream; None where there is none."""
    found = cast("list[StreamEntry]", await redis.xrevrange(key, count=1))
    return found[0] if found else None


async def read_stream(
    redis: Redis, key: str, after: str | bytes, count: int, block_s: float | None
) -> list[StreamEntry]:
    """Entries of a Redis Stream behind the id ``after``, waiting up to ``block_s`` for one."""
    block = None if block_s is None else max(1, round(block_s * 1000))
    answer = cast("list[Any]", await redis.xread({key: after}, count=count, block=block))
    return cast("list[StreamEntry]", answer[0][1]) if answer else []
