"""Processes die, servers vanish, and the promise of the commit is kept all the same."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from bench.deliveries import block, body, created, withdrawn
from deploy.local.services import Postgres, Valkey, start_valkey
from shared.feed import feed_key, open_redis
from shared.settings import DEPLOYER
from tests.end_to_end.client import client
from tests.fanout.wire import wire
from tests.posting import post, post_all
from tests.processes import Processes, base_environment, free_port

ROUNDS = 40
CHALLENGE = "/api/auth/wallet/challenge"


@pytest.fixture
def own_valkey(tmp_path: Path) -> Valkey:
    """A Valkey that this test may kill."""
    return start_valkey(tmp_path / "valkey", free_port())


@pytest.fixture
def fragile(database_url: str, own_valkey: Valkey, prefix: str, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Processes on that Valkey."""
    with own_valkey, Processes(base_environment(database_url, own_valkey.url, prefix), tmp_path) as found:
        yield found


async def feed_ids(database_url: str, redis_url: str, prefix: str, *, upto: int) -> list[str]:
    """The ids of the feed, once it has come to ``upto``."""
    connection = await asyncpg.connect(database_url)
    epoch = await connection.fetchval("SELECT epoch FROM outbox_head")
    await connection.close()
    async with open_redis(redis_url) as redis:
        key = feed_key(prefix, epoch)
        async with asyncio.timeout(30):
            while await redis.xlen(key) < upto:
                await asyncio.sleep(0.02)
        return [entry[0].decode() for entry in await redis.xrange(key)]


def numbered(count: int) -> list[str]:
    return [f"{seq}-0" for seq in range(1, count + 1)]


async def test_what_ingest_committed_and_could_not_publish_before_it_was_killed_is_published_by_the_next(
    fragile: Processes, own_valkey: Valkey, database_url: str, prefix: str
) -> None:
    ingest, node = fragile.start("ingest"), fragile.start("fanout")
    async with client(node.url, "stream:1") as one:
        await post(ingest, body(block(100, [created(1)])))
        await one.until(lambda it: it.heard)
        own_valkey.kill()
        for i in range(5):
            await post(ingest, body(block(101 + i, [withdrawn(1)])))  # committed and answered, with nowhere to go
        ingest.kill()
        own_valkey.start()
        ingest.start()
        await one.until(lambda it: len(it.heard) == 11)
        offsets = [it.offset for it in one.heard]
        assert sorted(set(offsets)) == offsets
    assert numbered(6) == await feed_ids(database_url, own_valkey.url, prefix, upto=6)


async def test_ingest_killed_in_the_middle_of_deliveries_loses_nothing_that_it_answered(
    fragile: Processes, own_valkey: Valkey, database_url: str, prefix: str
) -> None:
    ingest, node = fragile.start("ingest"), fragile.start("fanout")
    await post(ingest, body(block(100, [created(1)])))
    answered: list[int] = []

    async def deliver(number: int) -> None:
        """As Chainhook would, until it is answered 200."""
        sent = body(block(101 + number, [withdrawn(1)]))
        async with asyncio.timeout(60):
            while True:
                try:
                    await post(ingest, sent)
                    answered.append(number)
                    return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    async with client(node.url, "stream:1") as one, asyncio.TaskGroup() as tasks:
        for number in range(ROUNDS):
            tasks.create_task(deliver(number))
        while len(answered) < ROUNDS // 4:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(ingest.kill)
        await asyncio.to_thread(ingest.start)
        await one.until(lambda it: len(it.heard) == 2 * ROUNDS)
        totals = [it.payload["data"]["totalWithdrawn"] for it in one.heard if it.name == "stream:withdrawal"]
        assert str(ROUNDS) == max(totals, key=int)
    assert numbered(ROUNDS + 1) == await feed_ids(database_url, own_valkey.url, prefix, upto=ROUNDS + 1)


async def test_valkey_killed_and_empty_costs_a_pause_and_no_event(
    fragile: Processes, own_valkey: Valkey, database_url: str, prefix: str
) -> None:
    ingests = [fragile.start("ingest"), fragile.start("ingest")]
    nodes = [fragile.start("fanout"), fragile.start("fanout")]
    await post(ingests[0], body(block(100, [created(1)])))
    bodies = [body(block(101 + i, [withdrawn(1)])) for i in range(ROUNDS)]
    async with client(nodes[0].url, "stream:1") as one, client(nodes[1].url, "stream:1") as two:
        await post_all(ingests, bodies[: ROUNDS // 2], 2)
        own_valkey.kill()
        await post_all(ingests, bodies[ROUNDS // 2 :], 2)
        own_valkey.start()
        for each in (one, two):
            await each.until(lambda it: it.heard and it.heard[-1].offset == (ROUNDS + 1, 1))
            offsets = [it.offset for it in each.heard]
            assert sorted(set(offsets)) == offsets
        assert [it.cursor for it in one.heard] == [it.cursor for it in two.heard]
    assert numbered(ROUNDS + 1) == await feed_ids(database_url, own_valkey.url, prefix, upto=ROUNDS + 1)


async def test_without_valkey_nobody_is_told_a_lie(fragile: Processes, own_valkey: Valkey) -> None:
    """A join is not answered as if it were kept, a CONNECT not at all, and both are as before once it is back."""
    node = fragile.start("fanout")
    async with wire(node.url) as one, httpx.AsyncClient(base_url=node.url, timeout=20) as http:
        own_valkey.kill()
        refused, ready, signing = await asyncio.gather(
            one.ask("join-marketplace"), http.get("/readyz"), http.get(CHALLENGE, params={"address": DEPLOYER})
        )
        assert ("UNAVAILABLE", "marketplace") == (refused["error"]["code"], refused["room"])
        assert (503, 503) == (ready.status_code, signing.status_code)
        async with wire(node.url, {"pid": one.pid}) as other:
            assert (True, None) == (other.closed, other.reply)
        own_valkey.start()
        assert (await one.ask("join-marketplace"))["ok"]
        assert not one.closed


async def test_a_feed_that_is_flushed_is_written_anew(
    processes: Processes, database_url: str, valkey: Valkey, prefix: str, redis: Redis
) -> None:
    ingest = processes.start("ingest")
    for i in range(5):
        await post(ingest, body(block(100 + i, [created(i)])))
    assert numbered(5) == await feed_ids(database_url, valkey.url, prefix, upto=5)
    keys = [key async for key in redis.scan_iter(f"{prefix}:feed:*")]
    await redis.delete(*keys)
    assert numbered(5) == await feed_ids(database_url, valkey.url, prefix, upto=5)
    await post(ingest, body(block(105, [created(5)])))
    assert numbered(6) == await feed_ids(database_url, valkey.url, prefix, upto=6)


async def test_a_killed_node_comes_back_and_speaks_on(processes: Processes, database_url: str, prefix: str) -> None:
    ingest, node, other = processes.start("ingest"), processes.start("fanout"), processes.start("fanout")
    async with client(node.url, "stream:1") as one, client(other.url, "stream:1") as two:
        await post(ingest, body(block(100, [created(1)])))
        await one.until(lambda it: it.heard)
        await asyncio.to_thread(node.kill)
        await one.saw("disconnect")
        await post(ingest, body(block(101, [withdrawn(1)])))
        await asyncio.to_thread(node.start)
        await one.until(lambda it: [line["recovered"] for line in it.lines if line["on"] == "connect"] == [False, True])
        await post(ingest, body(block(102, [withdrawn(1)])))
        for it in (one, two):
            await it.until(lambda it: it.heard[-1].offset == (3, 1))
            assert [(1, 2), (2, 0), (2, 1), (3, 0), (3, 1)] == [heard.offset for heard in it.heard]


async def test_a_short_outage_of_postgres_is_waited_for_inside_the_request(
    processes: Processes, postgres: Postgres
) -> None:
    ingest = processes.start("ingest")
    postgres.pause()
    waiting = asyncio.create_task(post(ingest, body(block(100, [created(1)]))))
    try:
        async with asyncio.timeout(5):
            while (await asyncio.to_thread(_ready, ingest.url)) != 503:
                pass
        assert 200 == (await asyncio.to_thread(httpx.get, f"{ingest.url}/healthz")).status_code
        assert not waiting.done()
    finally:
        postgres.resume()
    assert 1 == (await waiting)["applied"]


def _ready(url: str) -> int:
    return httpx.get(f"{url}/readyz", timeout=10).status_code


async def test_a_store_that_stays_away_is_answered_503_and_nothing_of_the_delivery_is_kept(
    processes: Processes, postgres: Postgres, database_url: str
) -> None:
    ingest = processes.start("ingest", STORE_WAIT_S="1")
    postgres.pause()
    try:
        with pytest.raises(AssertionError, match="UNAVAILABLE"):
            await post(ingest, body(block(100, [created(1)])))
    finally:
        postgres.resume()
    connection = await asyncpg.connect(database_url)
    assert 0 == await connection.fetchval("SELECT count(*) FROM chain_events")
    await connection.close()


@pytest.mark.parametrize("kind", ["ingest", "fanout"])
async def test_sigterm_ends_a_process_in_good_order(processes: Processes, kind: str) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    async with client(node.url, "stream:1") as one:
        await post(ingest, body(block(100, [created(1)])))
        await one.until(lambda it: it.heard)
        process = ingest if kind == "ingest" else node
        assert 0 == await asyncio.to_thread(process.stop, 10)
        if kind == "fanout":
            assert "transport close" == (await one.saw("disconnect"))["reason"]  # so that the library comes back
        assert not [line for line in process.logs() if line["level"] == "error"]


def test_a_bad_environment_ends_the_start_with_status_2_and_names_every_variable(processes: Processes) -> None:
    process = processes.start("fanout", ready=False, JWT_SECRET="short", PORT="http", DATABASE_URL="mysql://x")
    assert 2 == process.popen.wait(20)
    said = process.log.read_text()
    for name in ("JWT_SECRET", "PORT", "DATABASE_URL"):
        assert re.search(rf"\b{name}\b", said)


def test_a_taken_port_is_said_in_one_line(processes: Processes) -> None:
    taken = processes.start("fanout")
    other = processes.start("fanout", ready=False, PORT=str(taken.port))
    assert 1 == other.popen.wait(20)
    assert "address already in use" in other.log.read_text().lower()


def test_ingest_refuses_a_database_of_another_deployment(processes: Processes) -> None:
    processes.start("ingest").stop()
    other = processes.start("ingest", ready=False, BITPAY_CONTRACT_SUFFIX="-v6")
    assert 1 == other.popen.wait(20)
    assert "this database belongs to" in other.log.read_text()
