"""Where a connection goes on: from which cursor, with which rooms, and for whom."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fanout import clients as module
from fanout.clients import Client, Clients, Limits, NotResumable
from fanout.frames import frame
from fanout.history import History
from fanout.links import Outgoing
from fanout.ring import Ring
from fanout.sessions import Session
from shared.database import Pool, open_database
from shared.domain.entry import Cursor, Offset
from shared.feed import FeedEntry, RedisClient
from tests.builders import ALICE, BOB
from tests.fanout.test_links import HIGH, Engine, connected
from tests.fanout.test_recovery import in_outbox, offsets, token
from tests.fanout.wire import Wire, wire
from tests.processes import Process, Processes

# -- what is shared: one outbox, in which each test has rooms of its own


@pytest.fixture(scope="module")
def node(standing: Processes) -> Process:
    standing.start("ingest")
    return standing.start("fanout")


@pytest.fixture(scope="module")
def tight(standing: Processes, node: Process) -> Process:
    """A node that has nothing in memory, takes little for each connection, and keeps sessions for ten seconds."""
    marks = {"QUEUE_HIGH_BYTES": "8192", "QUEUE_LOW_BYTES": "4096"}
    return standing.start("fanout", RING_MAX_ENTRIES="1", SESSION_TTL_S="10", **marks)


@pytest.fixture
async def database(node: Process) -> AsyncIterator[Pool]:
    async with open_database(node.environment["DATABASE_URL"], "tests") as pool:
        yield pool


@pytest.fixture
def prefix(node: Process) -> str:
    return node.environment["REDIS_PREFIX"]


async def say(database: Pool, room: str, *nodes: Process, count: int = 1, size: int = 10) -> str:
    """So many words in that room, an entry each; returns the outbox's cursor once these nodes have spoken them."""
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO outbox (seq, n, op, room, name, payload, created_at)
            SELECT head.seq + i, 0, 'broadcast', $1, 'note', json_build_object('type', 'note',
                'data', json_build_object('text', repeat('x', $3)),
                'meta', json_build_object('room', $1::text, 'offset', (head.seq + i) || '-0')), now()
            FROM (SELECT seq FROM outbox_head FOR UPDATE) AS head, generate_series(1, $2) AS i
            """,
            room,
            count,
            size,
        )
        await connection.execute("UPDATE outbox_head SET seq = seq + $1, n = 0", count)
        epoch, seq = await connection.fetchrow("SELECT epoch, seq FROM outbox_head")
    async with httpx.AsyncClient() as http, asyncio.timeout(20):
        for it in nodes:
            while _node_seq((await http.get(f"{it.url}/metrics")).text) < seq:
                await asyncio.sleep(0.05)
    return f"{epoch}.{seq}-0"


def _node_seq(text: str) -> float:
    return float(text.partition("\nbitpay_node_seq ")[2].partition("\n")[0])


def transport_of(one: Wire) -> Any:
    """Its TCP transport, for which the kernel holds little from now on: who reads no more is noticed soon."""
    transport = one.socket._response.connection.transport  # type: ignore[union-attr]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    return transport


# -- from where


@pytest.mark.parametrize("memory", [True, False], ids=["ring", "history"])
async def test_ten_thousand_missed_emissions_are_told_within_two_seconds_and_one_more_is_too_many(
    node: Process, tight: Process, database: Pool, memory: bool
) -> None:
    one_of, room = (node, "stream:501") if memory else (tight, "stream:502")
    async with wire(one_of.url) as one:
        await one.ask("join-stream-room", room[7:])
        pid = one.pid
        offset = await say(database, room, one_of)
        await one.until(lambda it: it.heard)
        await one.drop()
    await say(database, room, node, tight, count=10_000)
    began = time.monotonic()
    async with wire(one_of.url, {"pid": pid, "offset": offset}) as one:
        await one.until(lambda it: len(it.packets) == 10_002)  # OPEN and CONNECT are two
        assert time.monotonic() - began < 2
        assert pid == one.pid
        assert await in_outbox(database, room, after=offset) == offsets(one)
        await one.drop()
    await say(database, room, node, tight)
    async with wire(one_of.url, {"pid": pid, "offset": offset}) as one:
        assert pid != one.pid
        answer = await one.ask("join-stream-room", room[7:], {"since": offset})
        assert (True, False, 0) == (answer["ok"], answer["complete"], answer["replayed"])


async def test_an_offset_before_the_session_s_start_is_that_start(node: Process, database: Pool) -> None:
    cursor = await say(database, "global", node)
    async with wire(node.url) as one:
        pid = one.pid
    later = await say(database, "global", count=3)
    async with wire(node.url, {"pid": pid, "offset": f"{cursor[:8]}.0-0"}) as one:
        await one.until(lambda it: it.heard and it.heard[-1][2] == later)
        assert pid == one.pid
        assert await in_outbox(database, "global", after=cursor) == offsets(one)


async def test_who_resumes_is_not_asked_since_when(node: Process, database: Pool) -> None:
    begin = await say(database, "global", node)
    async with wire(node.url) as one:
        pid = one.pid
    offset = await say(database, "global", node, count=3)
    async with wire(node.url, {"pid": pid, "offset": offset, "since": begin}) as one:
        last = await say(database, "global")
        await one.until(lambda it: it.heard)
        assert (pid, [last]) == (one.pid, [cursor for _, _, cursor in one.heard])


async def test_a_join_since_a_cursor_that_is_not_there_is_incomplete(node: Process, database: Pool) -> None:
    head = await say(database, "global", node)
    beyond = f"{head[:8]}.{int(head[9:].partition('-')[0]) + 1000}-0"
    async with wire(node.url) as one:
        for since in (beyond, "ffffffff.1-0", f"{head}x", {"a": 1}, ["x"], True):
            answer = await one.ask("join-treasury", {"since": since})
            assert (True, False, 0) == (answer["ok"], answer["complete"], answer["replayed"])


async def test_who_is_ahead_of_a_node_is_waited_for_and_then_sent_away(
    node: Process, database: Pool, redis: RedisClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = Cursor.parse(await say(database, "global", node, count=2))
    assert head
    nothing: Any = None
    behind = Clients(Ring(10, 1 << 20), History(database, redis, prefix), Outgoing(), Limits(100, HIGH), nothing)
    behind.restart(head.epoch, Offset(head.offset.seq - 1, 0))
    waiting = asyncio.create_task(behind.resumable(head, ("global",)))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    behind.speak(iter([FeedEntry(head.offset.seq, 0, (("global", frame(b"42")),))]), 1 << 16)
    assert head.offset == await asyncio.wait_for(waiting, 5)
    for beyond in (Offset(head.offset.seq, 7), Offset(head.offset.seq + 1, 0)):
        with pytest.raises(NotResumable):
            await behind.resumable(Cursor(head.epoch, beyond), ("global",))
    behind.restart(head.epoch, Offset(head.offset.seq - 1, 0))
    monkeypatch.setattr(module, "AWAIT_TAIL_S", 0.05)
    with pytest.raises(TimeoutError):
        await behind.resumable(head, ("global",))


async def test_who_catches_up_too_slowly_for_ever_is_closed() -> None:
    """CONNECT decides when it comes back."""
    engine = Engine()

    def spawn(work: Any, *, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)

    nothing: Any = None
    everybody = Clients(Ring(1000, 1 << 20), nothing, engine.outgoing, Limits(3, HIGH), spawn)
    everybody.restart("0a0a0a0a", Offset(0, 0))
    link, _ = connected(engine)
    session = Session("a", "", Cursor("0a0a0a0a", Offset(0, 0)), rooms={"global": Offset(0, 0)})
    large = frame(b"x" * HIGH)  # one of them fills a step
    everybody.speak((FeedEntry(seq, 0, (("global", large),)) for seq in range(1, 100)), 1 << 30)
    everybody.admit(Client("a", link, session, Offset(0, 0)))
    async with asyncio.timeout(5):
        while not link.closed:
            await asyncio.sleep(0)
    assert ["too slow"] == engine.forgotten


# -- lost on the way


async def test_a_replay_that_is_cut_off_goes_on_where_it_was(tight: Process, database: Pool) -> None:
    room = "stream:503"
    async with wire(tight.url) as one:
        await one.ask("join-stream-room", "503")
        offset = await say(database, room, tight)
        await one.until(lambda it: it.heard)
        pid = one.pid
        await one.drop()
    await say(database, room, tight, count=1500, size=400)
    heard, latest = list[str](), offset
    for cut in (2, 300, 1):
        async with wire(tight.url, {"pid": pid, "offset": latest}, answered=False) as one:
            transport = transport_of(one)
            await one.until(lambda it, least=cut if cut > 1 else 1502 - len(heard): len(it.packets) >= least)
            transport.pause_reading()
            await one.drop()
            assert pid == one.pid
            assert cut == 1 or len(heard) + len(one.heard) < 1500
            heard += offsets(one)
            latest = one.offset or latest
    assert await in_outbox(database, room, after=offset) == heard


async def test_a_join_that_is_cut_off_is_asked_again_and_tells_everything(tight: Process, database: Pool) -> None:
    room = "stream:504"
    since = await say(database, room, tight)
    await say(database, room, tight, count=1500, size=400)
    async with wire(tight.url) as one:
        pid = one.pid
        transport = transport_of(one)
        await one.socket.send_str(f'421["join-stream-room","504",{{"since":"{since}"}}]')
        await one.until(lambda it: len(it.packets) > 100)
        transport.pause_reading()
        assert not [packet for packet in one.packets if packet.startswith("431")]
        offset = one.offset
        await one.drop()
    async with wire(tight.url, {"pid": pid, "offset": offset}) as one:
        assert pid == one.pid
        answer = await one.ask("join-stream-room", "504", {"since": since})
        assert (True, 1500) == (answer["complete"], answer["replayed"])
        assert await in_outbox(database, room, after=since) == offsets(one)


# -- for whom


async def test_rooms_are_authorised_again(
    node: Process, standing: Processes, database: Pool, redis: RedisClient
) -> None:
    lax = standing.start("fanout", BITPAY_ENV="development", DEV_USER_ROOMS="on")
    async with wire(lax.url) as one:
        assert (await one.ask("join-user-room", ALICE))["ok"]
        pid = one.pid
    async with wire(node.url, {"pid": pid}) as one:
        assert pid == one.pid
        await say(database, f"user:{ALICE}")
        await say(database, "global")
        await one.until(lambda it: it.heard)
        assert ["global"] == [room for room, _, _ in one.heard]
    lax.kill()
    async with wire(node.url, {"token": token(ALICE)}) as one:
        mine = one.pid
    for auth in ({}, {"token": token(BOB)}):
        async with wire(node.url, {"pid": mine, **auth}) as one:
            assert mine != one.pid
            await say(database, f"user:{ALICE}")
            await say(database, "global")
            await one.until(lambda it: it.heard)
            assert ["global"] == [room for room, _, _ in one.heard]


async def test_a_revoked_token_makes_nobody_anybody(node: Process, redis: RedisClient, prefix: str) -> None:
    given = token(ALICE, 3599)
    async with wire(node.url) as one:
        assert (await one.ask("authenticate", {"token": given}))["ok"]
    await redis.set(f"{prefix}:revoked:{ALICE}3599", b"1", ex=60)
    async with wire(node.url) as one:
        assert "UNAUTHENTICATED" == (await one.ask("authenticate", {"token": given}))["error"]["code"]
        assert "UNAUTHENTICATED" == (await one.ask("join-user-room", ALICE))["error"]["code"]
    async with wire(node.url, {"token": given}) as one:
        assert one.reply
        assert "UNAUTHENTICATED" == one.reply["message"]


async def test_a_token_that_expires_while_its_room_s_past_is_told_ends_that_and_one_that_was_renewed_does_not(
    tight: Process, database: Pool, redis: RedisClient, prefix: str
) -> None:
    """And a session is written again before it is forgotten."""
    since = await say(database, f"user:{ALICE}", tight)
    await say(database, f"user:{ALICE}", tight, count=1500, size=400)
    short = {"token": token(ALICE, 4)}
    async with wire(tight.url, short) as one, wire(tight.url, short) as renewed, wire(tight.url) as quiet:
        transports = [transport_of(it) for it in (one, renewed)]
        await one.socket.send_str(f'4250["join-user-room",{{"since":"{since}"}}]')
        again = f'"token":"{token(ALICE)}","since":"{since}"'
        await renewed.socket.send_str(f'4250["authenticate",{{{again}}}]')
        for it in (one, renewed):
            await it.until(lambda it: len(it.packets) > 10)
        for transport in transports:
            transport.pause_reading()
        await redis.delete(f"{prefix}:session:{quiet.pid}")
        async with asyncio.timeout(15):
            while await redis.hget(f"{prefix}:session:{one.pid}", "user") != b"":  # type: ignore[misc]
                await asyncio.sleep(0.05)
        for transport in transports:
            transport.resume_reading()
        expired, kept = [
            (await it.until(lambda it: [p for p in it.packets if p.startswith("4350[")]))[0] for it in (one, renewed)
        ]
        assert "TOKEN_EXPIRED" in expired
        assert ["system:auth-expired", {}] in one.events
        assert '"ok":true' in kept
        assert ["system:auth-expired", {}] not in renewed.events
        before = len(one.heard)
        await say(database, f"user:{ALICE}")
        await say(database, "global")
        await one.until(lambda it: len(it.heard) > before)
        assert ["global"] == [room for room, _, _ in one.heard[before:]]
        await renewed.until(lambda it: it.heard and it.heard[-1][0] == "global")
        assert 1502 == len(renewed.heard)
        assert "UNAUTHENTICATED" == (await one.ask("join-user-room"))["error"]["code"]
        assert (await renewed.ask("join-user-room"))["ok"]
        async with asyncio.timeout(10):
            while not await redis.exists(f"{prefix}:session:{quiet.pid}"):
                await asyncio.sleep(0.05)
