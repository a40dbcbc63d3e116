"""Webhook to browser, through the real processes, with the real client library and a real browser."""

from __future__ import annotations

import random
from dataclasses import replace

import asyncpg
import pytest
from redis.asyncio import Redis

from bench.deliveries import block, body, created, withdrawn
from deploy.local.chainhook import NftMint
from fanout.manager import RedisStreamManager
from shared.domain.clarity import Principal, UInt
from tests.builders import ALICE, BOB, CONTRACTS, ADelivery, a_delivery, core_print, stream_created, tx
from tests.builders import block as chain_block
from tests.end_to_end.client import Heard, client
from tests.fanout.wire import wire
from tests.posting import post, post_all
from tests.processes import Processes


def told(heard: list[Heard]) -> list[tuple[str, str]]:
    return [(it.name, it.payload["type"]) for it in heard]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_delivery_is_a_live_event_in_every_node_s_sockets(processes: Processes, transport: str) -> None:
    ingest, first, second = (processes.start(kind) for kind in ("ingest", "fanout", "fanout"))
    async with (
        client(first.url, "stream:7", transports=(transport,)) as one,
        client(second.url, "stream:7", transports=(transport,)) as two,
    ):
        await post(ingest, body(block(100, [created(7)])))
        await post(ingest, body(block(101, [withdrawn(7, 90_000)])))
        for each in (one, two):
            await each.until(lambda it: len(it.heard) == 3)
            expected = [
                ("stream:updated", "created"),
                ("stream:updated", "withdrawal"),
                ("stream:withdrawal", "stream-withdrawal"),
            ]
            assert expected == told(each.heard)
            last = each.heard[-1].payload
            assert ("90000", "stream-withdrawal") == (last["data"]["amount"], last["meta"]["event"])
            assert "1000000000" == last["data"]["streamAmount"]
        assert [it.cursor for it in one.heard] == [it.cursor for it in two.heard]
        assert [(1, 2), (2, 0), (2, 1)] == [it.offset for it in one.heard]


async def test_what_one_block_says_in_one_room_comes_in_order_over_every_transport(processes: Processes) -> None:
    """A node queues it in one piece for all of them; polling and compression take it apart again."""
    ingest, node = processes.start("ingest"), processes.start("fanout", DEFLATE="on")
    await post(ingest, body(block(100, [created(7)])))
    async with (
        client(node.url, "stream:7", transports=("websocket",)) as one,
        client(node.url, "stream:7", transports=("polling",)) as two,
        wire(node.url, compress=15) as three,
    ):
        await three.ask("join-stream-room", "7")
        await post(ingest, body(block(101, [withdrawn(7, amount) for amount in range(1, 61)])))
        for each in (one, two):
            await each.until(lambda it: len(it.heard) >= 120)
            withdrawals = [it.payload["data"] for it in each.heard if it.name == "stream:withdrawal"]
            assert [str(amount) for amount in range(1, 61)] == [it["amount"] for it in withdrawals]
        await three.until(lambda it: len(it.heard) >= 120)
        assert [it.cursor for it in one.heard] == [it.cursor for it in two.heard] == [it[2] for it in three.heard]


def a_stream(stream_id: int) -> ADelivery:
    """The whole transaction of create-stream: both NFTs are minted, then the stream is told of."""
    minted = core_print(
        "obligation-minted",
        {"stream-id": UInt(stream_id), "token-id": UInt(stream_id), "owner": Principal(ALICE)},
    )
    events = (
        NftMint(CONTRACTS.recipient_asset, stream_id, BOB),
        NftMint(CONTRACTS.obligation_asset, stream_id, ALICE),
        replace(minted, contract=CONTRACTS.obligation),
        stream_created(stream_id),
    )
    return a_delivery().applies(chain_block(100 + stream_id, tx(*events)))


async def test_every_dress_of_a_genuine_delivery_becomes_the_same_live_event(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    forms = ("v1", "v1-raw", "v2", "v2-bare")
    async with client(node.url, *(f"stream:{i}" for i, _ in enumerate(forms, 1))) as one:
        for i, form in enumerate(forms, 1):
            assert 3 == (await post(ingest, a_stream(i).encoded(form)))["applied"]
            for other in forms:
                assert 3 == (await post(ingest, a_stream(i).encoded(other)))["known"]
        await one.until(lambda it: len(it.heard) == 3 * len(forms))
        names = ["nft:minted", "nft:minted", "stream:updated"]
        assert names * len(forms) == [it.name for it in one.heard]
        for i, heard in enumerate(one.heard[2::3], 1):
            assert ("stream:updated", "created", str(i)) == (
                heard.name,
                heard.payload["type"],
                heard.payload["data"]["streamId"],
            )
            assert (ALICE, BOB) == (heard.payload["data"]["sender"], heard.payload["data"]["recipient"])


async def test_another_process_can_speak_to_rooms_without_serving_sockets(
    processes: Processes, redis: Redis, prefix: str
) -> None:
    nodes = [processes.start("fanout") for _ in range(2)]
    async with client(nodes[0].url, "marketplace") as one, client(nodes[1].url, "marketplace") as two:
        manager = RedisStreamManager(redis, prefix, write_only=True)
        await manager.emit("notice", {"text": "maintenance at noon"}, room="marketplace")
        for each in (one, two):
            said = await each.saw("event")
            assert ("notice", [{"text": "maintenance at noon"}]) == (said["name"], said["args"])


async def test_an_event_is_heard_in_its_rooms_and_nowhere_else(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    async with client(node.url, "stream:1", "marketplace") as one, client(node.url, "stream:2") as two:
        await post(ingest, body(block(100, [created(1), created(2), created(3)])))
        await two.until(lambda it: it.heard)
        await one.until(lambda it: it.heard)
        assert ["stream:1"] == [it.payload["meta"]["room"] for it in one.heard]
        assert ["stream:2"] == [it.payload["meta"]["room"] for it in two.heard]
        assert {"ok": True, "room": "stream:1"} == await one.ask("leave-stream-room", "1")
        await post(ingest, body(block(101, [withdrawn(1), withdrawn(2)])))
        await two.until(lambda it: len(it.heard) == 3)
        assert 1 == len(one.heard)


async def test_a_reorg_takes_back_what_was_heard_and_says_what_is_true_now(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    gone = block(101, [withdrawn(1, 500)], salt="fork a")
    async with client(node.url, "stream:1") as one:
        await post(ingest, body(block(100, [created(1)])))
        await post(ingest, body(gone))
        await one.until(lambda it: len(it.heard) == 3)
        heard = one.heard[-1].payload["meta"]
        reorg = body(block(101, [], salt="fork b"), rollback=[gone])
        assert 1 == (await post(ingest, reorg))["reverted"]
        await one.until(lambda it: len(it.heard) == 5)
        reverted, corrected = one.heard[3:]
        assert ("chain:reverted", heard["id"], "rollback") == (
            reverted.name,
            reverted.payload["meta"]["id"],
            reverted.payload["meta"]["op"],
        )
        assert ["stream:updated", "stream:withdrawal"] == reverted.payload["data"]["names"]
        assert ("stream:updated", "reverted", "0") == (
            corrected.name,
            corrected.payload["type"],
            corrected.payload["data"]["withdrawn"],
        )


async def test_what_is_sent_twice_shuffled_and_in_parallel_is_heard_once_and_in_one_order(
    processes: Processes, database_url: str
) -> None:
    """1,000 deliveries, twice, over four connections into two ingest processes."""
    targets = [processes.start("ingest") for _ in range(2)]
    nodes = [processes.start("fanout") for _ in range(2)]
    blocks = [block(100 + i, [created(i // 10 + 1) if i % 10 == 0 else withdrawn(i // 10 + 1, i)]) for i in range(1000)]
    bodies = [body(it) for it in blocks] * 2
    random.Random(7).shuffle(bodies)
    rooms = [f"stream:{i}" for i in range(1, 101)]
    async with client(nodes[0].url, *rooms) as one, client(nodes[1].url, *rooms) as two:
        answers = await post_all(targets, bodies, 4)
        assert (1000, 1000) == (sum(it["applied"] for it in answers), sum(it["known"] for it in answers))
        for each in (one, two):
            await each.until(lambda it: len(it.heard) >= 1900)
            offsets = [it.offset for it in each.heard]
            assert sorted(set(offsets)) == offsets
            assert 1900 == len(offsets)
        assert [it.cursor for it in one.heard] == [it.cursor for it in two.heard]
    connection = await asyncpg.connect(database_url)
    assert list(range(1, 1001)) == [
        row[0] for row in await connection.fetch("SELECT DISTINCT seq FROM outbox ORDER BY 1")
    ]
    assert 1000 == await connection.fetchval("SELECT count(*) FROM chain_events")
    drawn = await connection.fetchval("SELECT sum(withdrawn) FROM streams")
    assert sum(i for i in range(1000) if i % 10) == drawn
    await connection.close()
