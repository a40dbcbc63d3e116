"""A connection that comes back goes on where it was, or is told plainly that it cannot."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import aiohttp
import asyncpg
import httpx
import jwt
import pytest
from redis.asyncio import Redis

from bench.deliveries import block, body, created, withdrawn
from shared.database import Pool
from shared.domain.entry import Cursor
from tests.builders import ALICE, BOB
from tests.end_to_end.client import client
from tests.fanout.wire import Wire, wire
from tests.posting import post
from tests.processes import Process, Processes

SECRET = "j" * 32


async def tell(ingest: Process, first: int, count: int = 1, *, streams: Sequence[int] = (1,)) -> None:
    """So many withdrawals from each of these streams, one entry and two emissions in its room each."""
    events = [withdrawn(stream) for _ in range(count) for stream in streams]
    for start in range(0, len(events), 50):
        await post(ingest, body(block(first + start, events[start : start + 50])))


async def known(ingest: Process, node: Process, *streams: int) -> None:
    """Create these streams, and see that the node has spoken of it."""
    await post(ingest, body(block(100, [created(stream) for stream in streams])))
    async with asyncio.timeout(20):
        while f"bitpay_node_seq {len(streams)}.0" not in await _metrics(node):
            await asyncio.sleep(0.02)


async def in_outbox(database: Pool, *rooms: str, after: str | None = None) -> list[str]:
    """Offsets of what was said in these rooms, in order."""
    cursor = Cursor.parse(after) if after else None
    rows = await database.fetch(
        "SELECT seq, n FROM outbox WHERE room = ANY($1) AND (seq, n) > ($2, $3) ORDER BY seq, n",
        list(rooms),
        *(cursor.offset if cursor else (0, -1)),
    )
    return [f"{seq}-{n}" for seq, n in rows]


def offsets(one: Wire) -> list[str]:
    return [offset for _, offset, _ in one.heard]


def token(address: str, lasts_s: int = 3600) -> str:
    now = int(time.time())
    return jwt.encode({"sub": address, "iat": now, "exp": now + lasts_s, "jti": f"{address}{lasts_s}"}, SECRET)


async def begin(ingest: Process, node: Process) -> tuple[str, str, str]:
    """A connection in stream 1's room that hears one withdrawal and is lost: its pid, its offset, and its epoch."""
    await known(ingest, node, 1, 2)
    async with wire(node.url) as one:
        assert (await one.ask("join-stream-room", "1"))["ok"]
        await tell(ingest, 101)
        await one.until(lambda it: len(it.heard) == 2)
        assert one.offset
        found = (one.pid, one.offset, one.offset.partition(".")[0])
        await one.drop()
    return found


@pytest.mark.parametrize("source", ["ring", "feed", "outbox"])
@pytest.mark.parametrize("same", [True, False], ids=["same-node", "other-node"])
async def test_what_was_missed_comes_before_what_is_new(
    processes: Processes, database: Pool, redis: Redis, prefix: str, source: str, same: bool
) -> None:
    ring = {} if source == "ring" else {"RING_MAX_ENTRIES": "1"}
    ingest, node = processes.start("ingest"), processes.start("fanout", **ring)
    pid, offset, epoch = await begin(ingest, node)
    await tell(ingest, 110, 700, streams=(1, 2))
    other = node if same else processes.start("fanout", **ring)
    if source == "outbox":
        await redis.delete(f"{prefix}:feed:{epoch}")
    async with wire(other.url, {"pid": pid, "offset": offset}) as one:
        assert pid == one.pid
        await tell(ingest, 900)
        await one.until(lambda it: len(it.heard) >= 1402)
        assert await in_outbox(database, "stream:1", after=offset) == offsets(one)
        assert all(cursor == f"{epoch}.{offset}" for _, offset, cursor in one.heard)


async def test_without_an_offset_a_session_goes_on_from_its_start(processes: Processes, database: Pool) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1)
    async with wire(node.url) as one:
        await one.ask("join-stream-room", "1")
        pid = one.pid
        await one.drop()
    await tell(ingest, 101, 3)
    async with wire(node.url, {"pid": pid}) as one:
        await one.until(lambda it: len(it.heard) == 6)
        assert pid == one.pid
        assert (await in_outbox(database, "stream:1"))[-6:] == offsets(one)


@pytest.mark.parametrize(
    "offset",
    ["hello", "", "1.2-3", "ffffffff.1-0", "{epoch}.999999-0", "{epoch}.9999999999999999999-0"],
    ids=["text", "empty", "no-epoch", "other-epoch", "beyond-the-head", "beyond-64-bits"],
)
async def test_an_offset_that_nobody_can_go_on_from_begins_afresh(processes: Processes, offset: str) -> None:
    """But for one of another epoch: there the session's own start holds."""
    ingest, node = processes.start("ingest"), processes.start("fanout")
    pid, _, epoch = await begin(ingest, node)
    async with wire(node.url, {"pid": pid, "offset": offset.format(epoch=epoch)}) as one:
        assert (one.pid == pid) == (offset == "ffffffff.1-0")
        assert (await one.ask("join-marketplace"))["ok"]


async def test_only_who_has_the_pid_and_the_same_address_goes_on(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    pid, offset, _ = await begin(ingest, node)
    async with wire(node.url, {"pid": "x" * 24, "offset": offset}) as one:
        assert one.pid not in (pid, "x" * 24)
    async with wire(node.url, {"pid": pid, "offset": offset, "token": token(ALICE)}) as one:
        assert pid != one.pid
        alices = one.pid
    async with wire(node.url, {"pid": alices, "token": token(BOB)}) as one:
        assert alices != one.pid
    async with wire(node.url, {"pid": alices, "token": token(ALICE)}) as one:
        assert alices == one.pid
    async with wire(node.url, {"pid": pid, "offset": offset}) as one:
        assert pid == one.pid


@pytest.mark.parametrize("missed", [20, 21])
async def test_more_than_may_be_missed_begins_afresh(processes: Processes, missed: int) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout", RESUME_MAX="40")
    pid, offset, _ = await begin(ingest, node)
    await tell(ingest, 110, missed)
    async with wire(node.url, {"pid": pid, "offset": offset}) as one:
        assert (one.pid == pid) == (missed == 20)
    async with wire(node.url) as one:
        answer = await one.ask("join-stream-room", "1", {"since": offset})
        assert (missed == 20, 2 * missed if missed == 20 else 0) == (answer["complete"], answer["replayed"])


async def test_what_retention_has_deleted_begins_afresh(processes: Processes, database: Pool) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout", RING_MAX_ENTRIES="1")
    pid, offset, _ = await begin(ingest, node)
    await tell(ingest, 110, 5)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL bitpay.retention = 'on'")
        await connection.execute("DELETE FROM outbox WHERE seq <= 4")
    for gone in (offset, f"{offset[:8]}.0-0"):  # before the first entry, that one counts
        async with wire(node.url, {"pid": pid, "offset": offset}) as one:
            assert pid != one.pid
            answer = await one.ask("join-stream-room", "1", {"since": gone})
            assert (True, False, 0) == (answer["ok"], answer["complete"], answer["replayed"])
        async with wire(node.url, {"since": gone}) as one:
            await one.until(lambda it: ["system:resync", {"rooms": ["global"]}] in it.events)


async def test_the_newer_connection_of_a_session_closes_the_older_on_whatever_node(processes: Processes) -> None:
    ingest, node, other = processes.start("ingest"), processes.start("fanout"), processes.start("fanout")
    await known(ingest, node, 1)
    async with wire(node.url) as one, wire(other.url, {"pid": one.pid}) as two:
        assert one.pid == two.pid
        await one.until(lambda it: it.closed)
        async with wire(other.url, {"pid": one.pid}) as three:
            assert one.pid == three.pid
            await two.until(lambda it: it.closed)
            await tell(ingest, 101)
            assert (await three.ask("join-marketplace"))["ok"]


async def test_a_session_outlives_a_flush_of_redis(processes: Processes, redis: Redis, prefix: str) -> None:
    """A node writes the sessions of its connections again when it sees that the feed is gone."""
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1)
    async with wire(node.url) as one:
        await one.ask("join-stream-room", "1")
        await tell(ingest, 101, 3)
        await one.until(lambda it: len(it.heard) == 6)
        await asyncio.sleep(5.5)  # a look, so that the node knows how far the feed was
        ingest.kill()  # it would write the feed again before the node looks
        keys = [key async for key in redis.scan_iter(f"{prefix}:*")]
        await redis.delete(*keys)
        async with asyncio.timeout(15):
            while not await redis.exists(f"{prefix}:session:{one.pid}"):
                await asyncio.sleep(0.1)
        pid, offset = one.pid, one.offset
        await one.drop()
    async with wire(node.url, {"pid": pid, "offset": offset}) as again:
        assert pid == again.pid


async def test_a_join_with_since_brings_the_past_of_its_room_and_nothing_twice(
    processes: Processes, database: Pool
) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1, 2)
    async with wire(node.url) as one:
        first = await one.ask("join-stream-room", "2")
        telling = asyncio.create_task(tell(ingest, 101, 400, streams=(1, 2)))
        await one.until(lambda it: len(it.heard) > 100)
        joined = await one.ask("join-stream-room", "1", {"since": first["cursor"]})
        assert (True, True) == (joined["ok"], joined["complete"])
        await telling
        await one.until(lambda it: len(it.heard) >= 1600)
        for room in ("stream:1", "stream:2"):
            mine = [offset for where, offset, _ in one.heard if where == room]
            assert await in_outbox(database, room, after=first["cursor"]) == mine
        cursors = [Cursor.parse(cursor) for _, _, cursor in one.heard]
        assert sorted(it.offset for it in cursors if it) == [it.offset for it in cursors if it]


async def test_a_join_from_where_nobody_can_go_on_says_so_and_joins(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1)
    async with wire(node.url) as one:
        for since in ("nonsense", "00000000.1-0", 7, None):
            answer = await one.ask("join-stream-room", "1", {"since": since})
            assert (True, since is None) == (answer["ok"], answer["complete"])
        await tell(ingest, 101)
        await one.until(lambda it: len(it.heard) == 2)


async def test_a_fresh_session_begins_where_the_client_says(processes: Processes, database: Pool) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    async with wire(node.url, {"token": token(ALICE)}) as one:
        start = (await one.ask("join-marketplace"))["cursor"]
    await known(ingest, node, 1)
    address = (await database.fetchval("SELECT room FROM outbox WHERE room LIKE 'user:%' LIMIT 1")).partition(":")[2]
    async with wire(node.url, {"token": token(address), "since": start}) as one:
        await one.until(lambda it: it.heard)
        assert {f"user:{address}"} == {room for room, _, _ in one.heard}
    async with wire(node.url, {"token": token(address), "since": "00000000.1-0"}) as one:
        await one.until(lambda it: it.events)
        name, said = one.events[0]
        assert ("system:resync", {"global", f"user:{address}"}) == (name, set(said["rooms"]))


async def test_a_token_makes_the_user_room_and_its_end_takes_it_away(processes: Processes, database: Pool) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1)
    address = (await database.fetchval("SELECT room FROM outbox WHERE room LIKE 'user:%' LIMIT 1")).partition(":")[2]
    async with wire(node.url) as one:
        refused = await one.ask("join-user-room", address)
        assert "UNAUTHENTICATED" == refused["error"]["code"]
        answer = await one.ask("authenticate", {"token": token(address, 3)})
        assert (True, f"user:{address}", address) == (answer["ok"], answer["room"], answer["address"])
        assert "FORBIDDEN" == (await one.ask("authenticate", {"token": token(BOB)}))["error"]["code"]
        assert "FORBIDDEN" == (await one.ask("join-user-room", BOB))["error"]["code"]
        assert "UNAUTHENTICATED" == (await one.ask("authenticate", {"token": "x.y.z"}))["error"]["code"]
        await tell(ingest, 101)
        await one.until(lambda it: it.heard)
        await one.until(lambda it: ["system:auth-expired", {}] in it.events)
        before = len(one.heard)
        await one.ask("join-stream-room", "1")
        await tell(ingest, 102)
        await one.until(lambda it: len(it.heard) == before + 2)
        assert {"stream:1"} == {room for room, _, _ in one.heard[before:]}


@pytest.mark.parametrize(("given", "code"), [("nonsense", "UNAUTHENTICATED"), (-10, "TOKEN_EXPIRED")])
async def test_a_bad_token_is_refused_by_its_code(processes: Processes, given: str | int, code: str) -> None:
    node = processes.start("fanout")
    shown = given if isinstance(given, str) else token(ALICE, given - 10)
    async with wire(node.url, {"token": shown}) as one:
        assert one.reply
        assert code == one.reply["message"]
    async with wire(node.url, Authorization=f"Bearer {shown}") as one:
        assert one.reply
        assert code == one.reply["message"]
    async with wire(node.url, Cookie=f"other=1; auth-token={token(ALICE)}") as one:
        assert one.pid


async def test_who_says_nothing_is_closed(processes: Processes) -> None:
    node = processes.start("fanout", PING_TIMEOUT_S="1", PING_INTERVAL_S="60")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{node.url}/socket.io/?EIO=4&transport=websocket") as socket,
        asyncio.timeout(10),
    ):
        assert (await socket.receive()).data.startswith("0{")
        assert aiohttp.WSMsgType.CLOSE == (await socket.receive()).type


async def test_a_reader_that_stalls_is_told_everything_once_it_reads_again(
    processes: Processes, database: Pool
) -> None:
    """What waits for it stays bounded; the rest comes from the ring."""
    marks = {"QUEUE_HIGH_BYTES": "32768", "QUEUE_LOW_BYTES": "8192"}
    ingest, node = processes.start("ingest"), processes.start("fanout", **marks)
    await known(ingest, node, 1)
    async with wire(node.url) as one, wire(node.url) as two:
        await one.ask("join-stream-room", "1")
        await two.ask("join-stream-room", "1")
        transport = one.socket._response.connection.transport  # type: ignore[union-attr]
        transport.pause_reading()
        await tell(ingest, 101, 1500)
        await two.until(lambda it: len(it.heard) == 3000)
        async with asyncio.timeout(10):
            while "bitpay_connections_catching_up 1.0" not in await _metrics(node):
                await asyncio.sleep(0.05)
        transport.resume_reading()
        await one.until(lambda it: len(it.heard) == 3000)
        assert await in_outbox(database, "stream:1", after=two.heard[0][2]) == offsets(one)[1:]
        assert offsets(one) == offsets(two)


async def _metrics(node: Process) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{node.url}/metrics")).text


async def test_another_epoch_closes_every_connection_and_begins_afresh(processes: Processes, database_url: str) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1)
    async with wire(node.url) as one:
        await one.ask("join-stream-room", "1")
        connection = await asyncpg.connect(database_url)
        await connection.execute("UPDATE outbox_head SET epoch = 'abcdef01'")
        await connection.close()
        await one.until(lambda it: it.closed)
        pid = one.pid
    async with wire(node.url, {"pid": pid}) as again:
        assert pid != again.pid
        assert (await again.ask("join-stream-room", "1"))["cursor"].startswith("abcdef01.")


async def test_many_messages_at_once_are_all_answered_in_order(processes: Processes) -> None:
    node = processes.start("fanout", MESSAGE_RATE="10000", MESSAGE_BURST="10000")
    async with wire(node.url) as one:
        transport = one.socket._response.connection.transport  # type: ignore[union-attr]
        writer = one.socket._writer
        transport.pause_reading()
        for number in range(1, 301):
            await writer.send_frame(f'42{number}["join-marketplace"]'.encode(), aiohttp.WSMsgType.TEXT)
        transport.resume_reading()
        await one.until(lambda it: sum(packet.startswith("43") for packet in it.packets) == 300)
        answers = [int(it[2:].partition("[")[0]) for it in one.packets if it.startswith("43")]
        assert list(range(1, 301)) == answers


@pytest.mark.parametrize("transports", [("polling",), ("polling", "websocket")], ids=["polling", "upgraded"])
async def test_long_polling_clients_recover_too(
    processes: Processes, database: Pool, transports: tuple[str, ...]
) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await known(ingest, node, 1)
    async with client(node.url, "stream:1", transports=transports) as one:
        await tell(ingest, 101, 20)
        await one.until(lambda it: len(it.heard) == 40)
        await asyncio.to_thread(node.kill)
        await one.saw("disconnect")
        await tell(ingest, 201, 100)
        await asyncio.to_thread(node.start)
        await one.until(lambda it: len(it.heard) == 240)
        assert [False, True] == [line["recovered"] for line in one.lines if line["on"] == "connect"]
        assert (await in_outbox(database, "stream:1"))[1:] == [
            f"{seq}-{n}" for seq, n in (it.offset for it in one.heard)
        ]


AGES = {"1 s": 1, "5 min": 300, "25 h": 90_000, "80 days": 6_912_000}


@pytest.mark.parametrize("where", ["same node", "other node", "after a flush"], ids=lambda it: it.replace(" ", "-"))
@pytest.mark.parametrize("age", AGES, ids=lambda it: it.replace(" ", "-"))
async def test_a_cursor_of_any_age_leads_to_everything_since(
    processes: Processes, database: Pool, redis: Redis, prefix: str, age: str, where: str
) -> None:
    """The session lives a day; after that, or without Redis, the client joins again from its cursor."""
    ingest, node = processes.start("ingest"), processes.start("fanout", RING_MAX_ENTRIES="20")
    pid, offset, epoch = await begin(ingest, node)
    await tell(ingest, 110, 40)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE outbox DISABLE TRIGGER USER")
        await connection.execute("UPDATE outbox SET created_at = created_at - make_interval(secs => $1)", AGES[age])
        await connection.execute("ALTER TABLE outbox ENABLE TRIGGER USER")
    if AGES[age] > 86_400:
        await redis.delete(f"{prefix}:session:{pid}", f"{prefix}:feed:{epoch}")
    if where == "after a flush":
        async for key in redis.scan_iter(f"{prefix}:*"):
            await redis.delete(key)
    if where == "other node":
        node = processes.start("fanout")
    async with wire(node.url, {"pid": pid, "offset": offset, "since": offset}) as one:
        recovered = one.pid == pid
        assert recovered == (AGES[age] < 86_400 and where != "after a flush")
        if not recovered:
            answer = await one.ask("join-stream-room", "1", {"since": offset})
            assert (True, True, 80) == (answer["ok"], answer["complete"], answer["replayed"])
        await tell(ingest, 300)
        await one.until(lambda it: len(it.heard) >= 82)
        assert await in_outbox(database, "stream:1", after=offset) == offsets(one)


async def test_a_poll_that_reaches_a_wrong_node_is_told_so_and_the_client_begins_anew(processes: Processes) -> None:
    one, other = processes.start("fanout"), processes.start("fanout")
    async with httpx.AsyncClient() as http:
        opened = await http.get(f"{one.url}/socket.io/?EIO=4&transport=polling")
        sid = json.loads(opened.text[1:])["sid"]
        for ask in (http.get, http.post):
            answer = await ask(f"{other.url}/socket.io/?EIO=4&transport=polling&sid={sid}")
            assert 400 == answer.status_code
            assert (1, "Session ID unknown") == (answer.json()["code"], answer.json()["message"])
            assert "load balancer" in answer.json()["hint"]
