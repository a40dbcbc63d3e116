"""A node hears every entry once and in order, from the feed or from Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from fanout.tail import CROWD, CROWD_LINGER_S, LINGER_S, Tail
from ingest.relay import Relay
from shared import outbox
from shared.database import Pool
from shared.feed import Feed, FeedEntry, RedisClient
from shared.outbox import Head, new_epoch
from shared.settings import IngestSettings
from tests.ingest.test_relay import commit, feed_of


async def hear(following: AsyncIterator[Head | list[FeedEntry]], count: int) -> list[int]:
    """The seqs of the next ``count`` entries."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            heard = await anext(following)
            assert isinstance(heard, list)
            found += [entry.seq for entry in heard]
    return found


async def test_a_node_starts_at_the_head_and_hears_what_comes(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    relay = Relay(database, redis, prefix, keep=100)
    await commit(database, ingest_config, 1, count=3)
    await relay.publish()
    async with aclosing(Tail(database, redis, prefix).follow()) as following:
        head = await anext(following)
        assert isinstance(head, Head)
        assert (3, 4) == head.offset
        await commit(database, ingest_config, 1001, count=3)
        await relay.publish()
        assert [4, 5, 6] == await hear(following, 3)


async def test_what_the_feed_does_not_bring_comes_from_postgres(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    async with aclosing(Tail(database, redis, prefix, look_s=0.1).follow()) as following:
        await anext(following)
        await commit(database, ingest_config, 1, count=3)  # and no relay at all
        assert [1, 2, 3] == await hear(following, 3)


async def test_a_hole_in_the_feed_is_filled_from_postgres(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    async with aclosing(Tail(database, redis, prefix).follow()) as following:
        await anext(following)
        await commit(database, ingest_config, 1, count=9)
        await Relay(database, redis, prefix, keep=100).publish()
        feed = await feed_of(database, redis, prefix)
        await redis.xdel(feed.key, *(f"{seq}-0" for seq in (1, 2, 3, 6)))
        assert list(range(1, 10)) == await hear(following, 9)


async def test_a_new_epoch_is_told_and_followed(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    async with aclosing(Tail(database, redis, prefix, look_s=0.1).follow()) as following:
        first = await anext(following)
        async with database.acquire() as connection:
            epoch = await new_epoch(connection)
        async with asyncio.timeout(10):
            told = await anext(following)
        assert isinstance(told, Head)
        assert isinstance(first, Head)
        assert (epoch, True) == (told.epoch, told.epoch != first.epoch)
        await commit(database, ingest_config, 1, count=2)
        await Relay(database, redis, prefix, keep=100).publish()
        assert [1, 2] == await hear(following, 2)


async def test_while_the_feed_cannot_be_read_the_entries_come_from_postgres(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    async with aclosing(Tail(database, redis, prefix, look_s=0.1).follow()) as following:
        await anext(following)
        await commit(database, ingest_config, 1, count=3)
        feed = await feed_of(database, redis, prefix)
        await redis.xadd(feed.key, {"at": "1", "rooms": "[]"}, id="1-0")
        assert [1, 2, 3] == await hear(following, 3)
        await Relay(database, redis, prefix, keep=100).publish()
        await commit(database, ingest_config, 1001)
        await Relay(database, redis, prefix, keep=100).publish()
        assert [4] == await hear(following, 1)


@pytest.mark.parametrize(("together", "apart_s"), [(1, LINGER_S), (CROWD + 2, CROWD_LINGER_S)])
async def test_entries_that_come_fast_share_a_read(
    database: Pool,
    redis: RedisClient,
    prefix: str,
    ingest_config: IngestSettings,
    monkeypatch: pytest.MonkeyPatch,
    together: int,
    apart_s: float,
) -> None:
    """However many there are, a node asks Redis a thousand times a second at most, and where many come each time 250
    times; every node reads all of them."""
    read, brought = Feed.read, 0

    async def counted(self: Feed, **how: Any) -> list[FeedEntry]:
        nonlocal brought
        entries = await read(self, **how)
        brought += bool(entries)
        return entries

    await commit(database, ingest_config, 1, count=300)
    async with database.acquire() as connection:
        entries = await outbox.read(connection, after=0)
        await connection.execute("UPDATE outbox_head SET seq = 0, n = 0")  # so that this node hears them all
    feed = await feed_of(database, redis, prefix)
    async with aclosing(Tail(database, redis, prefix, look_s=60).follow()) as following:
        await anext(following)
        monkeypatch.setattr(Feed, "read", counted)
        hearing = asyncio.create_task(hear(following, 300))
        began = asyncio.get_running_loop().time()
        for first in range(0, 300, together):
            assert await feed.append(entries[first : first + together], behind=first or None, keep=1000)
        assert list(range(1, 301)) == await hearing
        took_s = asyncio.get_running_loop().time() - began
    assert brought <= took_s / apart_s + 2
