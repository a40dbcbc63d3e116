"""python-socketio's API, from any node and from processes that serve no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from fanout.clients import Client, Clients, Limits
from fanout.manager import RedisStreamManager
from fanout.metrics import DROPPED
from fanout.ring import Ring
from fanout.sessions import Session
from fanout.upstream import Server
from shared.domain.entry import Cursor, Offset
from tests.end_to_end.client import client
from tests.fanout.test_links import Engine, connected
from tests.fanout.wire import Wire, wire
from tests.processes import Process, Processes


@pytest.fixture(scope="module")
def nodes(standing: Processes) -> list[Process]:
    return [standing.start("fanout") for _ in range(2)]


@pytest.fixture
def prefix(nodes: list[Process]) -> str:
    return nodes[0].environment["REDIS_PREFIX"]


@pytest.fixture
def voice(redis: Redis, prefix: str) -> RedisStreamManager:
    """A process that serves no sockets."""
    return RedisStreamManager(redis, prefix, write_only=True)


def sid(one: Wire) -> str:
    assert one.reply
    return str(one.reply["sid"])


def said(one: Wire) -> list[str]:
    return [name for name, *_ in one.events]


async def test_a_room_is_entered_left_and_closed_from_elsewhere_and_the_session_knows(
    nodes: list[Process], voice: RedisStreamManager, redis: Redis, prefix: str
) -> None:
    async def rooms(of: Wire) -> set[str]:
        kept = await redis.hkeys(f"{prefix}:session:{of.pid}")  # type: ignore[misc]
        return {name.decode()[2:] for name in kept if name.startswith(b"r:")}

    async with wire(nodes[0].url) as one, wire(nodes[1].url) as two:
        for each in (one, two):
            await voice.enter_room(sid(each), "/", "club")
        await voice.emit("first", {}, room="club", skip_sid=sid(two))
        await voice.leave_room(sid(one), "/", "club")
        await voice.emit("second", {}, room="club")
        await voice.emit("third", {}, room=[sid(one), "club", sid(two)])
        for each in (one, two):
            await each.until(lambda it: "third" in said(it))
        assert ["first", "third"] == said(one)
        assert ["second", "third"] == said(two)
        async with asyncio.timeout(10):
            while {"global"} != await rooms(one) or {"global", "club"} != await rooms(two):
                await asyncio.sleep(0.02)
        async with wire(nodes[0].url, {"pid": two.pid}) as again:  # on the other node
            assert two.pid == again.pid
            assert sid(two) != sid(again)
            await voice.emit("fourth", {}, room="club")
            await again.until(lambda it: "fourth" in said(it))
            await voice.close_room("club", "/")
            await voice.emit("fifth", {}, room="club")
            await voice.emit("sixth", {})
            await again.until(lambda it: "sixth" in said(it))
            assert ["fourth", "sixth"] == said(again)
            async with asyncio.timeout(10):
                while {"global"} != await rooms(again):
                    await asyncio.sleep(0.02)


async def test_a_client_is_disconnected_from_elsewhere_and_stays_away(
    nodes: list[Process], voice: RedisStreamManager
) -> None:
    async with client(nodes[0].url) as one, client(nodes[1].url) as two:
        for each, leave in ((one, voice.disconnect), (two, voice.can_disconnect)):
            line = await each.saw("connect")
            await leave(line["sid"], "/")
            assert "io server disconnect" == (await each.saw("disconnect"))["reason"]


async def test_what_is_not_ours_in_the_control_lane_is_passed_over(
    nodes: list[Process], voice: RedisStreamManager, redis: Redis, prefix: str
) -> None:
    async with wire(nodes[0].url) as one:
        garbage = [
            "x", "[1]", "null", "{}", '{"method":"order"}', '{"method":"enter_room"}', '{"method":"emit","event":"x"}',
            f'{{"method":"order","order":"takeover","pid":"{one.pid}","number":"x"}}',
            f'{{"method":"order","order":"takeover","pid":"{one.pid}"}}', '{"method":"order","order":"logout"}',
        ]  # fmt: skip
        for message in garbage:
            await redis.xadd(f"{prefix}:control", {"message": message})
        await redis.xadd(f"{prefix}:control", {"other": "x"})
        await voice.emit("hello", {"a": 1})
        await one.until(lambda it: "hello" in said(it))
        assert not one.closed


@asynccontextmanager
async def another_node(redis: Redis, prefix: str) -> AsyncIterator[Server]:
    """A server without sockets, once it hears the control lane."""
    manager = RedisStreamManager(redis, prefix)
    server = Server(client_manager=manager, async_mode="aiohttp", namespaces=["/"])
    heard = asyncio.Event()
    nothing: Any = None
    manager.clients = Clients(Ring(1, 1), nothing, server.eio.outgoing, Limits(1, 1), nothing)
    manager.on_order = lambda what, details: heard.set()
    listening = asyncio.create_task(manager.listen())
    async with asyncio.timeout(10):
        while not heard.is_set():
            await RedisStreamManager(redis, prefix, write_only=True).order("hello")
            await asyncio.sleep(0.02)
    try:
        yield server
    finally:
        while not listening.done():  # upstream's loop may lose a cancellation
            listening.cancel()
            await asyncio.wait([listening], timeout=0.1)


async def test_an_answer_finds_its_way_back_across_nodes(nodes: list[Process], redis: Redis, prefix: str) -> None:
    async with wire(nodes[0].url) as one, another_node(redis, prefix) as server:
        answered: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
        await server.emit("question", {"a": 1}, to=sid(one), callback=lambda *given: answered.set_result(given))
        asked = (await one.until(lambda it: [p for p in it.packets if '["question",{"a":1}]' in p]))[0]
        number = asked[2:].partition("[")[0]
        assert number.isdigit()
        await one.socket.send_str(f'43{number}["yes",{{"b":2}}]')
        async with asyncio.timeout(10):
            assert ("yes", {"b": 2}) == await answered


async def test_binary_events_come_whole_over_either_transport(nodes: list[Process], voice: RedisStreamManager) -> None:
    async with (
        client(nodes[0].url, "marketplace", transports=("polling",)) as one,
        client(nodes[0].url, "marketplace") as two,
        client(nodes[1].url, "marketplace", transports=("polling", "websocket")) as three,
    ):
        for number in range(3):
            await voice.emit("picture", {"number": number, "of": b"\x00\xff"}, room="marketplace")
            await voice.emit("text", {"number": number}, room="marketplace")
        for each in (one, two, three):
            await each.until(lambda it: sum(line["on"] == "event" for line in it.lines) == 6)
            lines = [line for line in each.lines if line["on"] == "event"]
            assert ["picture", "text"] * 3 == [line["name"] for line in lines]
            assert [0, 0, 1, 1, 2, 2] == [line["args"][0]["number"] for line in lines]
            assert {"type": "Buffer", "data": [0, 255]} == lines[0]["args"][0]["of"]


async def test_ephemeral_words_are_dropped_for_who_is_above_the_high_mark_and_counted(redis: Redis) -> None:
    engine = Engine()
    manager = RedisStreamManager(redis, "test")
    Server(client_manager=manager, async_mode="aiohttp", namespaces=["/"], high=engine.high, low=engine.low)
    nothing: Any = None
    manager.clients = Clients(Ring(1, 1), nothing, engine.outgoing, Limits(1, engine.high), nothing)
    link, transport = connected(engine)
    manager.clients.admit(Client("a", link, Session("a", "", Cursor("0a0a0a0a", Offset(0, 0))), Offset(0, 0)))
    transport.stalled = True
    before, sent = DROPPED._value.get(), 0
    while link.waiting <= engine.high:
        assert before == DROPPED._value.get(), "it may wait up to there"
        await manager._handle_emit({"event": "x", "data": [{"text": "x" * 300}]})
        await asyncio.sleep(0)
        sent += 1
    for _ in range(5):
        await manager._handle_emit({"event": "x", "data": [{"text": "x" * 300}]})
    assert before + 5 == DROPPED._value.get()
    transport.take()
    await asyncio.sleep(0)
    assert sent == b"".join(transport.writes).count(b'42["x"')
