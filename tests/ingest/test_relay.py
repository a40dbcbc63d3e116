"""What is committed is heard: one gapless feed, whatever becomes of Redis, and however many relays there are."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from bench.deliveries import block, body, created
from ingest.delivery import parse_json, read_delivery
from ingest.janitor import delete_expired
from ingest.record import Incoming, record
from ingest.relay import Relay
from shared import outbox
from shared.database import Pool
from shared.domain.entry import Entry
from shared.feed import Feed, FeedEntry, NotFeed, RedisClient
from shared.outbox import Head
from shared.settings import IngestSettings


async def commit(database: Pool, settings: IngestSettings, first: int, count: int = 1) -> Head:
    """Record so many streams, one entry each; returns the outbox's end."""
    sent = body(block(first, [created(first + i) for i in range(count)]))
    delivery = read_delivery(parse_json(sent), settings.contracts, "testnet")
    async with database.acquire() as connection, outbox.held(connection):
        _, head = await record(connection, [Incoming(delivery, time.time_ns() // 1000)], settings.contracts)
    return head


async def feed_of(database: Pool, redis: RedisClient, prefix: str) -> Feed:
    async with database.acquire() as connection:
        return Feed(redis, prefix, (await outbox.head(connection)).epoch)


def unrelayed(entries: list[FeedEntry]) -> list[FeedEntry]:
    """As they would come from the outbox."""
    assert all(it.at <= it.relayed <= time.time_ns() // 1000 for it in entries)
    return [msgspec.structs.replace(it, relayed=0) for it in entries]


async def test_the_feed_says_what_the_outbox_says(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    await commit(database, ingest_config, 1, count=450)
    await Relay(database, redis, prefix, keep=100_000).publish()
    feed = await feed_of(database, redis, prefix)
    async with database.acquire() as connection:
        head = await outbox.head(connection)
        due = [FeedEntry.of(it, head.epoch) for it in await outbox.read(connection, after=0)]
    assert due == unrelayed(await feed.read(after=0))
    assert list(range(1, 451)) == [entry.seq for entry in await feed.read(after=0)]


async def test_many_relays_at_once_write_one_feed(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    relays = [Relay(database, redis, prefix, keep=100_000) for _ in range(4)]
    for first in (1, 1001, 2001):
        await commit(database, ingest_config, first, count=300)
        await asyncio.gather(*(relay.publish() for relay in relays))
    feed = await feed_of(database, redis, prefix)
    found = await feed.read(after=0, count=2000)
    assert list(range(1, 901)) == [entry.seq for entry in found]


async def test_nothing_is_appended_but_the_entry_that_is_due(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    await commit(database, ingest_config, 1, count=5)
    async with database.acquire() as connection:
        entries = await outbox.read(connection, after=0)
    feed = await feed_of(database, redis, prefix)
    assert not await feed.append(entries[1:2], behind=1, keep=100)  # there is no feed
    assert await feed.append(entries[:2], behind=None, keep=100)
    assert not await feed.append(entries[:2], behind=None, keep=100)  # there is one
    assert not await feed.append(entries[3:4], behind=3, keep=100)  # a hole
    assert not await feed.append(entries[1:2], behind=1, keep=100)  # said already
    assert await feed.append(entries[2:], behind=2, keep=100)
    assert [1, 2, 3, 4, 5] == [entry.seq for entry in await feed.read(after=0)]


async def test_a_lost_feed_begins_anew_with_the_newest_entries(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    relay = Relay(database, redis, prefix, keep=100)
    await commit(database, ingest_config, 1, count=250)
    await relay.publish()
    feed = await feed_of(database, redis, prefix)
    await redis.delete(feed.key)
    await commit(database, ingest_config, 1001)
    await relay.publish()
    assert list(range(152, 252)) == [entry.seq for entry in await feed.read(after=0)]


async def test_a_database_that_went_back_begins_a_new_epoch(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    await commit(database, ingest_config, 1, count=5)
    await Relay(database, redis, prefix, keep=100).publish()
    before = await feed_of(database, redis, prefix)
    async with database.acquire() as connection:  # as a restored dump would look
        await connection.execute("ALTER TABLE outbox DISABLE TRIGGER ALL")
        await connection.execute("DELETE FROM outbox WHERE seq > 2")
        await connection.execute("UPDATE outbox_head SET seq = 2, n = 2")
        await connection.execute("ALTER TABLE outbox ENABLE TRIGGER ALL")
    await commit(database, ingest_config, 1001, count=4)  # numbers 3 to 6 a second time
    await Relay(database, redis, prefix, keep=100).publish()
    after = await feed_of(database, redis, prefix)
    assert before.key != after.key
    assert [1, 2, 3, 4, 5, 6] == [entry.seq for entry in await after.read(after=0)]


async def test_a_feed_older_than_all_that_is_kept_begins_anew(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    relay = Relay(database, redis, prefix, keep=100)
    await commit(database, ingest_config, 1, count=3)
    await relay.publish()
    async with database.acquire() as connection:
        await connection.execute("ALTER TABLE outbox DISABLE TRIGGER ALL")
        await connection.execute("UPDATE outbox SET created_at = created_at - interval '91 days'")
        await connection.execute("ALTER TABLE outbox ENABLE TRIGGER ALL")
    await commit(database, ingest_config, 1001, count=3)
    async with database.acquire() as connection:
        await connection.execute("ALTER TABLE outbox DISABLE TRIGGER ALL")
        await connection.execute("UPDATE outbox SET created_at = created_at - interval '91 days' WHERE seq <= 5")
        await connection.execute("ALTER TABLE outbox ENABLE TRIGGER ALL")
    assert 25 == await delete_expired(database, 90)
    await Relay(database, redis, prefix, keep=100).publish()
    assert [6] == [entry.seq for entry in await (await feed_of(database, redis, prefix)).read(after=0)]


@pytest.mark.parametrize("days", [1, 90])
async def test_the_last_entry_is_kept_however_old(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings, days: int
) -> None:
    await commit(database, ingest_config, 1, count=3)
    async with database.acquire() as connection:
        await connection.execute("ALTER TABLE outbox DISABLE TRIGGER ALL")
        await connection.execute("UPDATE outbox SET created_at = created_at - interval '1 year'")
        await connection.execute("ALTER TABLE outbox ENABLE TRIGGER ALL")
    await delete_expired(database, days)
    async with database.acquire() as connection:
        assert [3] == [entry.seq for entry in await outbox.read(connection, after=0)]


async def test_what_this_process_commits_needs_no_look_at_the_outbox_and_is_the_same(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two ingests relays its own commits at once; what the other has committed in between it reads."""
    relay, asked = Relay(database, redis, prefix, keep=100_000), 0
    read = outbox.read

    async def counted(*arguments: Any, **others: Any) -> list[Entry]:
        nonlocal asked
        asked += 1
        return await read(*arguments, **others)

    monkeypatch.setattr(outbox, "read", counted)
    relay.wake(await commit(database, ingest_config, 1))
    await relay.publish()
    assert 1 == asked, "the first time it has to see where the feed ends"
    for first in (1001, 2001, 3001):
        relay.wake(await commit(database, ingest_config, first, count=250))
        await relay.publish()
    assert 1 == asked
    await commit(database, ingest_config, 4001, count=3)
    relay.wake(await commit(database, ingest_config, 5001))
    await relay.publish()
    assert 2 == asked
    feed = await feed_of(database, redis, prefix)
    async with database.acquire() as connection:
        head = await outbox.head(connection)
        due = [FeedEntry.of(it, head.epoch) for it in await read(connection, after=0, limit=1000)]
    assert due == unrelayed(await feed.read(after=0, count=1000))


async def test_a_feed_that_is_lost_between_two_commits_of_a_process_is_written_anew(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings
) -> None:
    relay = Relay(database, redis, prefix, keep=100)
    for first in (1, 1001):
        relay.wake(await commit(database, ingest_config, first, count=20))
        await relay.publish()
    feed = await feed_of(database, redis, prefix)
    await redis.delete(feed.key)
    relay.wake(await commit(database, ingest_config, 2001))
    await relay.publish()
    assert list(range(1, 42)) == [entry.seq for entry in await feed.read(after=0)]


@pytest.mark.parametrize("fields", [{"at": "1", "rooms": "[]"}, {"entry": b"no MessagePack"}, {"entry": b"\x91\x01"}])
async def test_a_feed_that_cannot_be_read_begins_anew(
    database: Pool, redis: RedisClient, prefix: str, ingest_config: IngestSettings, fields: dict[Any, Any]
) -> None:
    """That of an earlier version, say."""
    await commit(database, ingest_config, 1, count=3)
    feed = await feed_of(database, redis, prefix)
    await redis.xadd(feed.key, fields, id="3-0")
    with pytest.raises(NotFeed):
        await feed.read(after=0)
    await Relay(database, redis, prefix, keep=100).publish()
    assert [1, 2, 3] == [entry.seq for entry in await feed.read(after=0)]
