"""The feed: the outbox's copy in Redis, one stream entry a ``seq`` with the id ``<seq>-0``.

Its one field holds a ``FeedEntry`` in MessagePack, with the frames as browsers get them: they are made once for all
nodes, and a node decodes an entry in one step. Redis may lose the feed at any time; the relay writes it anew from the
outbox.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha1
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import NoScriptError, RedisError

from shared.domain.entry import Entry
from shared.line import Line, Word
from shared.wire import event_frame

StreamEntry: TypeAlias = tuple[bytes, dict[bytes, bytes]]  # id and fields

FIELD = b"entry"
ANSWER_S = 15.0  # how long Redis may take, beside the time that a read may wait

OUTAGES = (RedisError, OSError, TimeoutError)  # whatever Redis answers or does not: later is another try

# Appends only behind the entry it was told to; so any number of relays write one gapless feed.
# KEYS[1] feed; ARGV[1] the id it must end with, or '' for no feed; ARGV[2] MAXLEN; ARGV[3] the field; then id and value
# of each entry. Returns 1, or 0 where another relay was faster or the feed is not what it was.
_APPEND = """
local last = ''
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if tail[1] then last = tail[1][1] end
if last ~= ARGV[1] then return 0 end
for i = 4, #ARGV, 2 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[i], ARGV[3], ARGV[i + 1])
end
return 1
"""
_APPEND_SHA = sha1(_APPEND.encode(), usedforsecurity=False).hexdigest()


class NotFeed(RedisError):
    """What stands in the feed's place is not what this version writes."""


class RedisClient(Redis):
    """The library's client, and ``ask`` for what is asked all the time: over connections that are kept (``Line``)."""

    def __init__(self, pool: BlockingConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self._kept: list[Line] = []

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As the library does, but for a lost cancellation."""
        with _no_cancellation_lost():
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    async def ask(self, *words: Word, wait_s: float = 0) -> Any:
        """The answer to one command, which may wait so long. Raises one of ``OUTAGES``."""
        line = self._kept.pop() if self._kept else None
        if line is None or line.closed:
            line = await self._connected()
        try:
            return await line.ask(words, wait_s + ANSWER_S)
        finally:
            if not line.closed:
                self._kept.append(line)

    async def _connected(self) -> Line:
        connection = self.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            with _no_cancellation_lost():
                async with asyncio.timeout(ANSWER_S):
                    await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Line(connection)

    async def forget(self) -> None:
        """Connect anew for what is asked next: perhaps to another server."""
        kept, self._kept = self._kept, []
        for line in kept:
            line.close()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """As the library does."""
        await self.forget()
        await super().aclose(close_connection_pool)


@contextmanager
def _no_cancellation_lost() -> Iterator[None]:
    """The library sends within ``asyncio.wait_for``, which before Python 3.12 forgets a cancellation that comes when it
    is about to return: a loop that was to end would go on for ever."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


@asynccontextmanager
async def open_redis(url: str, *, size: int = 10) -> AsyncIterator[RedisClient]:
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
    client = RedisClient(pool)
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


Framed: TypeAlias = tuple[str, bytes]  # an emission as it goes out: its room, the whole WebSocket frame with its cursor


class FeedEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of the outbox as the feed has it; in Redis the array of these fields.

    ``at`` is when its cause reached us, ``relayed`` when the feed got it, 0 where it comes from the outbox; unix µs.
    """

    seq: int
    at: int
    said: tuple[Framed, ...]
    relayed: int = 0

    @classmethod
    def of(cls, entry: Entry, epoch: str, relayed: int = 0) -> FeedEntry:
        """This entry of the outbox, with cursors of this epoch."""
        before = f"{epoch}.{entry.seq}-"
        said = tuple([(room, event_frame(words, f"{before}{n}")) for n, (room, words) in enumerate(entry.spoken)])
        return cls(entry.seq, entry.at, said, relayed)


class Feed:
    """The feed of one epoch."""

    def __init__(self, redis: RedisClient, prefix: str, epoch: str) -> None:
        self._redis, self._epoch, self.key = redis, epoch, feed_key(prefix, epoch)

    async def last(self) -> FeedEntry | None:
        """The newest entry; None where there is no feed. Raises ``NotFeed``."""
        found = _entries(await self._redis.ask("XREVRANGE", self.key, "+", "-", "COUNT", 1))
        return found[0] if found else None

    async def append(self, entries: Sequence[Entry], *, behind: int | None, keep: int) -> bool:
        """Append consecutive entries behind the seq ``behind``, or (None) begin a feed. False: it ends elsewhere."""
        now = time.time_ns() // 1000
        arguments: list[Word] = [self.key, "" if behind is None else f"{behind}-0", keep, FIELD]
        for it in entries:
            arguments += [f"{it.seq}-0", value_of(FeedEntry.of(it, self._epoch, now))]
        try:
            return bool(await self._redis.ask("EVALSHA", _APPEND_SHA, 1, *arguments))
        except NoScriptError:
            return bool(await self._redis.ask("EVAL", _APPEND, 1, *arguments))

    async def read(self, *, after: int, count: int = 500, block_s: float | None = None) -> list[FeedEntry]:
        """Entries behind the seq ``after``, waiting up to ``block_s`` for one. Raises ``NotFeed``."""
        block = () if block_s is None else ("BLOCK", max(1, round(block_s * 1000)))
        words = ("XREAD", "COUNT", count, *block, "STREAMS", self.key, f"{after}-0")
        answer = await self._redis.ask(*words, wait_s=block_s or 0)
        return _entries(answer[0][1]) if answer else []

    async def range(self, first: int, count: int = 500) -> list[FeedEntry]:
        """Entries from the seq ``first`` on, at most ``count``. Raises ``NotFeed``."""
        return _entries(await self._redis.ask("XRANGE", self.key, f"{first}-0", "+", "COUNT", count))

    async def delete(self) -> None:
        """There is no feed any more; whoever appends next begins one."""
        await self._redis.ask("DEL", self.key)


value_of: Callable[[FeedEntry], bytes] = msgspec.msgpack.Encoder().encode  # of ``FIELD``
_decode = msgspec.msgpack.Decoder(FeedEntry).decode


def _entries(answer: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[FeedEntry]:
    try:
        return [_decode(value) for _, (_, value) in answer]
    except (ValueError, msgspec.MsgspecError) as wrong:
        raise NotFeed(str(wrong)) from None


async def newest(redis: RedisClient, key: str) -> StreamEntry | None:
    """The last entry of a Redis Stream; None where there is none."""
    found = await redis.ask("XREVRANGE", key, "+", "-", "COUNT", 1)
    return _with_fields(found[0]) if found else None


async def read_stream(
    redis: RedisClient, key: str, after: str | bytes, count: int, block_s: float
) -> list[StreamEntry]:
    """Entries of a Redis Stream behind the id ``after``, waiting up to ``block_s`` for one."""
    words = ("XREAD", "COUNT", count, "BLOCK", max(1, round(block_s * 1000)), "STREAMS", key, after)
    answer = await redis.ask(*words, wait_s=block_s)
    return [_with_fields(it) for it in answer[0][1]] if answer else []


def _with_fields(entry: tuple[bytes, Sequence[bytes]]) -> StreamEntry:
    stream_id, words = entry
    return stream_id, dict(zip(words[::2], words[1::2], strict=True))
