"""Engine.IO 4 and Socket.IO 5 as their specifications have it, on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest

from tests.fanout.wire import wire
from tests.processes import Process, Processes

FAST = {"PING_INTERVAL_S": "1", "PING_TIMEOUT_S": "1"}


@pytest.fixture
def node(processes: Processes) -> Process:
    return processes.start("fanout", **FAST)


@asynccontextmanager
async def engine(
    node: Process, query: str = "EIO=4&transport=websocket"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket that has not sent anything."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{node.url}/socket.io/?{query}") as socket,
        asyncio.timeout(20),
    ):
        yield socket


@pytest.mark.parametrize(
    "query", ["", "transport=websocket", "EIO=abc&transport=polling", "EIO=3&transport=polling", "EIO=4&transport=abc",
              "EIO=4&transport=polling&sid=nobody"]
)  # fmt: skip
async def test_a_request_that_is_not_engine_io_4_is_answered_400(node: Process, query: str) -> None:
    async with httpx.AsyncClient() as http:
        assert 400 == (await http.get(f"{node.url}/socket.io/?{query}")).status_code
        assert 400 == (await http.post(f"{node.url}/socket.io/?{query}", content="40")).status_code
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with engine(node, query):
            pass
    assert 400 == error.value.status


async def test_a_websocket_opens_with_what_the_client_has_to_know(node: Process) -> None:
    async with engine(node) as socket:
        opening = (await socket.receive()).data
        assert "0" == opening[0]
        said = json.loads(opening[1:])
        assert ([], 1000, 1000) == (said["upgrades"], said["pingInterval"], said["pingTimeout"])
        assert len(said["sid"]) >= 20
        assert isinstance(said["maxPayload"], int)


async def test_polling_opens_offers_the_upgrade_and_carries_packets(node: Process) -> None:
    async with httpx.AsyncClient() as http:
        url = f"{node.url}/socket.io/?EIO=4&transport=polling"
        opening = await http.get(url)
        said = json.loads(opening.text[1:])
        assert ["websocket"] == said["upgrades"]
        url += f"&sid={said['sid']}"
        sent = await http.post(url, content='40\x1e420["join-marketplace"]')
        assert (200, "OK") == (sent.status_code, sent.text.upper())
        answered = ""
        while "430[" not in answered:
            answered += (await http.get(url)).text
        assert answered.startswith("40{")
        await http.post(url, content="1")
        assert 400 == (await http.get(url)).status_code


async def test_who_answers_pings_stays_and_who_does_not_is_closed(node: Process) -> None:
    async with engine(node) as socket:
        await socket.receive()
        await socket.send_str("40")
        pings = 0
        while pings < 3:
            message = await socket.receive()
            if message.data == "2":
                pings += 1
                await socket.send_str("3")
        while True:
            message = await socket.receive()
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                break
            assert message.data.startswith(("2", "40", "42"))


@pytest.mark.parametrize("nonsense", ["abc", "9", "4", "47", "45", "4abc", "40{", '42["x"', "42{}", "42", "6x", ""])
async def test_nonsense_closes_its_own_connection_at_most(node: Process, nonsense: str) -> None:
    async with wire(node.url) as other, wire(node.url) as one:
        await one.socket.send_str(nonsense)
        await asyncio.sleep(0.1)
        assert (await other.ask("join-marketplace"))["ok"]
        assert not other.closed


async def test_engine_io_s_own_packets_are_answered(node: Process) -> None:
    async with engine(node) as socket:
        await socket.receive()
        await socket.send_str("2probe")
        assert "3probe" == (await socket.receive()).data
        await socket.send_str("1")
        while (message := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
            assert message.data == "2"


async def test_another_namespace_is_refused_and_the_connection_stays(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str("40/admin,")
        refused = await one.until(lambda it: [packet for packet in it.packets if packet.startswith("44/admin,")])
        assert "Invalid namespace" == json.loads(refused[0][9:])["message"]
        assert (await one.ask("join-marketplace"))["ok"]


async def test_a_second_connect_is_not_answered_and_changes_nothing(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str("40")
        assert (await one.ask("join-marketplace"))["ok"]
        assert 1 == sum(packet.startswith("40") for packet in one.packets)


async def test_who_disconnects_from_the_namespace_may_connect_again(node: Process) -> None:
    async with wire(node.url) as one:
        await one.ask("join-marketplace")
        await one.socket.send_str("41")
        await one.socket.send_str('421["join-marketplace"]')
        await one.socket.send_str("40")
        await one.until(lambda it: sum(packet.startswith("40") for packet in it.packets) == 2)
        pids = [json.loads(packet[2:])["pid"] for packet in one.packets if packet.startswith("40")]
        assert 2 == len(set(pids))


async def test_a_message_without_an_id_is_not_acknowledged_and_unknown_ones_are_ignored(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str('42["join-marketplace"]')
        await one.socket.send_str('427["hello",1]')
        await one.socket.send_str('451-["x",{"_placeholder":true,"num":0}]')
        await one.socket.send_bytes(b"1")
        assert (await one.ask("join-treasury"))["ok"]
        assert not [packet for packet in one.packets if packet.startswith("437")]


async def test_a_message_that_is_too_long_closes_its_connection(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str('42["x","' + "y" * 20_000 + '"]')
        await one.until(lambda it: it.closed)
        assert 1009 == one.socket.close_code
