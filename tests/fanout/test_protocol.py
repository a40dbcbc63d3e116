"""Engine.IO 4 and Socket.IO 5 as their specifications have it, on the wire.

The behaviours are those that the protocols' own test suites ask of a server, as far as this one serves them: it has one
namespace, and says no more than it is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp
import httpx
import pytest
from redis.asyncio import Redis

from tests.fanout.wire import wire
from tests.processes import Process, Processes

FAST = {"PING_INTERVAL_S": "1", "PING_TIMEOUT_S": "1", "CONNECTIONS_PER_ADDRESS": "0"}
POLLING, WEBSOCKET = "EIO=4&transport=polling", "EIO=4&transport=websocket"
ENDS = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


@pytest.fixture(scope="module")
def node(standing: Processes) -> Process:
    return standing.start("fanout", **FAST)


@asynccontextmanager
async def engine(node: Process, query: str = WEBSOCKET) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket that has not sent anything."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{node.url}/socket.io/?{query}") as socket,
        asyncio.timeout(20),
    ):
        yield socket


@dataclass(slots=True)
class Polling:
    """A long-polling session that was opened."""

    http: httpx.AsyncClient
    opening: dict[str, Any]

    @property
    def query(self) -> str:
        return f"{POLLING}&sid={self.opening['sid']}"

    async def get(self) -> httpx.Response:
        return await self.http.get(f"/socket.io/?{self.query}")

    async def post(self, payload: str | bytes) -> httpx.Response:
        return await self.http.post(f"/socket.io/?{self.query}", content=payload)

    async def until(self, part: str) -> str:
        """Poll until this was said; returns all that was."""
        said = ""
        async with asyncio.timeout(10):
            while part not in said:
                said += (await self.get()).raise_for_status().text + "\x1e"
        return said


@asynccontextmanager
async def polling(node: Process, *, connected: bool = False) -> AsyncIterator[Polling]:
    async with httpx.AsyncClient(base_url=node.url, timeout=20) as http:
        opened = await http.get(f"/socket.io/?{POLLING}")
        assert 200 == opened.status_code
        assert "0" == opened.text[0]
        found = Polling(http, json.loads(opened.text[1:]))
        if connected:
            await found.post("40")
            await found.until("40{")
        yield found


def faults(node: Process) -> list[dict[str, object]]:
    """What it logged about itself; of requests that are odd upstream says so once."""
    return [it for it in node.logs() if it["level"] == "error" and "where" in it]


# -- Engine.IO: the handshake


@pytest.mark.parametrize(
    "query", ["", "transport=websocket", "transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling",
              "EIO=4&transport=abc", "EIO=4&transport=polling&sid=nobody", "EIO=abc&transport=websocket",
              "EIO=4&transport=websocket&sid=nobody"]
)  # fmt: skip
async def test_a_request_that_is_not_engine_io_4_is_answered_400(node: Process, query: str) -> None:
    async with httpx.AsyncClient() as http:
        assert 400 == (await http.get(f"{node.url}/socket.io/?{query}")).status_code
        assert 400 == (await http.post(f"{node.url}/socket.io/?{query}", content="40")).status_code
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with engine(node, query):
            pass
    assert 400 == error.value.status


async def test_other_methods_open_nothing(node: Process) -> None:
    async with httpx.AsyncClient(base_url=node.url) as http:
        assert 400 == (await http.post(f"/socket.io/?{POLLING}", content="40")).status_code
        for method in ("PUT", "DELETE", "PATCH"):
            assert (await http.request(method, f"/socket.io/?{POLLING}")).status_code in (400, 405)


async def test_a_websocket_opens_with_what_the_client_has_to_know(node: Process) -> None:
    async with engine(node) as socket:
        opening = (await socket.receive()).data
        assert "0" == opening[0]
        said = json.loads(opening[1:])
        assert {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"} == set(said)
        assert ([], 1000, 1000) == (said["upgrades"], said["pingInterval"], said["pingTimeout"])
        assert len(said["sid"]) >= 20
        assert isinstance(said["maxPayload"], int)


async def test_polling_opens_with_the_same_and_offers_the_upgrade(node: Process) -> None:
    async with polling(node) as one:
        assert {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"} == set(one.opening)
        assert (["websocket"], 1000, 1000) == tuple(
            one.opening[it] for it in ("upgrades", "pingInterval", "pingTimeout")
        )


@pytest.mark.parametrize("only", ["websocket", "polling"])
async def test_a_transport_that_is_switched_off_is_neither_served_nor_offered(standing: Processes, only: str) -> None:
    node = standing.start("fanout", TRANSPORTS=only)
    async with httpx.AsyncClient(base_url=node.url) as http:
        opened = await http.get(f"/socket.io/?{POLLING}")
        if only == "websocket":
            assert 400 == opened.status_code
            async with wire(node.url) as one:
                assert one.pid
        else:
            said = json.loads(opened.text[1:])
            assert [] == said["upgrades"]
            for query in (WEBSOCKET, f"{WEBSOCKET}&sid={said['sid']}"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                    async with engine(node, query):
                        pass
                assert 400 == error.value.status
    node.kill()


# -- Engine.IO: messages


async def test_a_payload_carries_several_packets_each_way(node: Process) -> None:
    async with polling(node) as one:
        sent = await one.post('40\x1e420["join-marketplace"]\x1e421["join-treasury"]')
        assert (200, "OK") == (sent.status_code, sent.text.upper())
        said = (await one.until("431[")).split("\x1e")
        assert ["40{", "430", "431"] == [it[:3] for it in said if it]


async def test_a_payload_carries_binary_packets(node: Process) -> None:
    async with polling(node, connected=True) as one:
        sent = await one.post('451-7["join-stream-room",{"_placeholder":true,"num":0}]\x1ebAQIDBA==')
        assert 200 == sent.status_code
        answer = (await one.until("437[")).partition("437")[2].partition("\x1e")[0]
        assert "BAD_REQUEST" == json.loads(answer)[0]["error"]["code"]


@pytest.mark.parametrize(
    "payload", ["abc", "", "x", "40\x1exyz", "4abc", "42{}", "9", "2", "0", "6", "1\x1e2", "bAQID", "b!", b"\xff\xfe",
                "4" + "x" * 20_000, '42["x"]\x1e' * 20, "42[" + "[" * 5_000]
)  # fmt: skip
async def test_a_payload_that_cannot_be_read_ends_its_session(node: Process, payload: str | bytes) -> None:
    async with polling(node, connected=True) as one:
        assert (await one.post(payload)).status_code in (200, 400)
        async with asyncio.timeout(10):
            while (said := await one.get()).status_code == 200 and said.text not in ("1", "6"):
                assert said.text == "2"  # a ping that was under way
        assert 400 == (await one.get()).status_code
        assert 400 == (await one.post("3")).status_code
    assert [] == faults(node)


async def test_what_cannot_be_read_at_all_is_answered_400(node: Process) -> None:
    for payload in ("abc", "4" + "x" * 20_000, "9", "1\x1e2"):
        async with polling(node) as one:
            assert 400 == (await one.post(payload)).status_code, payload[:9]


@pytest.mark.parametrize("nonsense", ["abc", "9", "4", "47", "45", "4abc", "40{", '42["x"', "42{}", "42", "42[]", "6x",
                                      "", '42abc["join-marketplace"]', "44", '451-["x"]', "4512345678901-[]",
                                      '4511-["x",{"_placeholder":true,"num":0}]'])  # fmt: skip
async def test_nonsense_closes_its_own_connection(node: Process, nonsense: str) -> None:
    async with wire(node.url) as other, wire(node.url) as one:
        await one.socket.send_str(nonsense)
        if nonsense == '451-["x"]':  # may still become something
            await one.socket.send_bytes(b"1")
            assert (await one.ask("join-marketplace"))["ok"]
        else:
            await one.until(lambda it: it.closed)
        assert (await other.ask("join-marketplace"))["ok"]
        assert not other.closed
    assert [] == faults(node)


async def test_a_message_that_is_too_long_closes_its_connection(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str('42["x","' + "y" * 20_000 + '"]')
        await one.until(lambda it: it.closed)
        assert 1009 == one.socket.close_code


async def test_whatever_is_sent_is_answered_below_500_and_hurts_nobody(node: Process) -> None:
    rng = Random(5)
    pieces = ["4", "0", "2", "40", "42", "43", "45", "46", "1-", "/admin,", "7", '["join-marketplace"]', "{", '["x',
              "\x1e", "b", "AQID", "[]", "null", '{"_placeholder":true,"num":0}', "\0", "é", "-", "9" * 30]  # fmt: skip

    def nonsense() -> str:
        return "".join(rng.choices(pieces, k=rng.randrange(1, 7)))

    async with wire(node.url) as other:
        for _ in range(60):
            async with polling(node, connected=rng.random() < 0.5) as one:
                answers = await asyncio.gather(*(one.post(nonsense()) for _ in range(4)))
                assert {it.status_code for it in answers} <= {200, 400}
                await one.post("1")
        for _ in range(60):
            async with wire(node.url) as two:
                with suppress(aiohttp.ClientError):  # it was closed
                    for _ in range(8):
                        if rng.random() < 0.5:
                            await two.socket.send_str(nonsense())
                        else:
                            await two.socket.send_bytes(rng.randbytes(rng.randrange(40)))
        assert (await other.ask("join-marketplace"))["ok"]
    assert [] == faults(node)
    async with httpx.AsyncClient() as http, asyncio.timeout(10):
        while "bitpay_connections 0.0" not in (await http.get(f"{node.url}/metrics")).text:
            await asyncio.sleep(0.05)


# -- Engine.IO: heartbeat, close, upgrade


async def test_who_answers_pings_stays_and_who_does_not_is_closed(node: Process) -> None:
    async def by_websocket() -> None:
        async with engine(node) as socket:
            await socket.receive()
            await socket.send_str("40")
            pings = 0
            while pings < 3:
                message = await socket.receive()
                if message.data == "2":
                    pings += 1
                    await socket.send_str("3")
            while (message := await socket.receive()).type not in ENDS:
                assert message.data.startswith(("2", "40", "42"))

    async def by_polling() -> None:
        async with polling(node, connected=True) as one:
            for _ in range(2):
                assert "2" == (await one.get()).text
                assert 200 == (await one.post("3")).status_code
            assert "2" == (await one.get()).text
            ended = await one.get()
            assert (ended.status_code, ended.text) in ((200, "1"), (400, '"Bad Request"'))
            assert 400 == (await one.get()).status_code

    await asyncio.gather(by_websocket(), by_polling())


async def test_who_says_nothing_is_closed_by_polling_too(node: Process) -> None:
    async with polling(node) as one:
        said = [await one.get(), await one.get()]
        assert [200, 200] == [it.status_code for it in said]
        assert "1" == said[-1].text
        assert 400 == (await one.get()).status_code


async def test_closing_ends_the_session_and_the_poll_that_waits(node: Process) -> None:
    async with polling(node) as one:
        waits, closing = await asyncio.gather(one.get(), one.post("1"))
        assert [(200, "6"), (200, "OK")] == [(it.status_code, it.text.upper()) for it in (waits, closing)]
        assert [400, 400] == [(await one.get()).status_code, (await one.post("40")).status_code]
    async with engine(node) as socket:
        await socket.receive()
        await socket.send_str("1")
        while (message := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
            assert message.data == "2"


async def test_engine_io_s_own_ping_is_answered(node: Process) -> None:
    async with engine(node) as socket:
        await socket.receive()
        await socket.send_str("2probe")
        assert "3probe" == (await socket.receive()).data


async def test_a_session_that_polls_goes_over_to_a_websocket_and_polls_no_more(node: Process) -> None:
    async with polling(node, connected=True) as one, engine(node, f"{WEBSOCKET}&sid={one.opening['sid']}") as socket:
        waits = asyncio.create_task(one.get())
        await socket.send_str("2probe")
        assert "3probe" == (await socket.receive()).data
        assert (await waits).text in ("6", "2")
        await socket.send_str("5")
        await socket.send_str('421["join-marketplace"]')
        while (message := await socket.receive()).data in ("2", "6"):
            await socket.send_str("3")
        assert message.data.startswith("431[")
        assert [400, 400] == [(await one.get()).status_code, (await one.post("3")).status_code]
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            async with engine(node, f"{WEBSOCKET}&sid={one.opening['sid']}"):
                pass
        assert 400 == error.value.status


async def test_a_probe_that_fails_leaves_the_session_where_it_was(node: Process) -> None:
    async with polling(node, connected=True) as one:
        async with engine(node, f"{WEBSOCKET}&sid={one.opening['sid']}") as socket:
            await socket.send_str("4hello")
            assert (await socket.receive()).type in ENDS
        await one.post('421["join-marketplace"]')
        assert "431[" in await one.until("431[")


# -- Socket.IO


async def test_another_namespace_is_refused_and_the_connection_stays(node: Process) -> None:
    """So there is no admin namespace either."""
    async with wire(node.url) as one:
        for name in ("/admin", "/random"):
            for given in ("", '{"token":"abc"}'):
                await one.socket.send_str(f"40{name},{given}")
        refused = await one.until(
            lambda it: [packet for packet in it.packets if packet.startswith("44/")][3:] and it.packets
        )
        assert {'44/admin,{"message":"Invalid namespace"}', '44/random,{"message":"Invalid namespace"}'} == {
            it for it in refused if it.startswith("44")
        }
        assert (await one.ask("join-marketplace"))["ok"]


async def test_connect_is_answered_with_sid_and_pid_that_nobody_guesses(node: Process) -> None:
    async with wire(node.url) as one, wire(node.url, {"anything": 1}) as two:
        assert one.reply
        assert two.reply
        assert {"sid", "pid"} == set(one.reply) == set(two.reply)
        assert len({*one.reply.values(), *two.reply.values()}) == 4
        assert len(one.pid) >= 22  # of 64 letters: 128 bits
        assert one.pid.replace("-", "").replace("_", "").isalnum()


async def test_a_second_connect_is_not_answered_and_changes_nothing(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str("40")
        assert (await one.ask("join-marketplace"))["ok"]
        assert 1 == sum(packet.startswith("40") for packet in one.packets)


async def test_of_connects_that_overtake_each_other_one_is_answered(node: Process, redis: Redis) -> None:
    """Requests of one that polls are handled side by side."""
    async with polling(node) as one, httpx.AsyncClient() as http:
        await redis.execute_command("CLIENT", "PAUSE", 300, "ALL")  # what stores the session waits so long
        await asyncio.gather(*(one.post("40") for _ in range(8)))
        await one.post('421["join-marketplace"]')
        assert 1 == (await one.until("431[")).count("40{")
        await one.post("1")
        async with asyncio.timeout(10):
            while "bitpay_connections 0.0" not in (await http.get(f"{node.url}/metrics")).text:
                await asyncio.sleep(0.05)


async def test_who_disconnects_from_the_namespace_may_connect_again(node: Process) -> None:
    async with wire(node.url) as one:
        await one.ask("join-marketplace")
        await one.socket.send_str("41")
        await one.socket.send_str('421["join-marketplace"]')
        await one.socket.send_str("40")
        await one.until(lambda it: sum(packet.startswith("40") for packet in it.packets) == 2)
        pids = [json.loads(packet[2:])["pid"] for packet in one.packets if packet.startswith("40")]
        assert 2 == len(set(pids))
        assert not [packet for packet in one.packets if packet.startswith("4321")]


async def test_before_connect_nothing_is_heard(node: Process) -> None:
    async with engine(node) as socket:
        await socket.receive()
        await socket.send_str('421["join-marketplace"]')
        await socket.send_str("431[1]")
        await socket.send_str("40")
        await socket.send_str('422["join-marketplace"]')
        said = [(await socket.receive()).data[:3] for _ in range(2)]
        assert ["40{", "432"] == said


async def test_an_id_comes_back_with_its_answer_however_long_it_is(node: Process) -> None:
    async with wire(node.url) as one:
        for number in ("0", "456", "9" * 99):
            await one.socket.send_str(f'42{number}["join-marketplace"]')
            await one.until(lambda it, number=number: [p for p in it.packets if p.startswith(f"43{number}[")])


async def test_binary_messages_and_answers_nobody_waits_for_are_taken(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str(
            '452-789["join-stream-room",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        )
        await one.socket.send_bytes(b"\x01")
        await one.socket.send_bytes(b"\x02")
        answer = await one.until(lambda it: [p for p in it.packets if p.startswith("43789[")])
        assert "BAD_REQUEST" == json.loads(answer[0][5:])[0]["error"]["code"]
        await one.socket.send_str('461-9[{"_placeholder":true,"num":0}]')
        await one.socket.send_bytes(b"\x03")
        await one.socket.send_str("4377[1]")
        assert (await one.ask("join-treasury"))["ok"]


async def test_a_message_without_an_id_is_not_acknowledged_and_unknown_ones_are_ignored(node: Process) -> None:
    async with wire(node.url) as one:
        await one.socket.send_str('42["join-marketplace"]')
        await one.socket.send_str('427["hello",1]')
        await one.socket.send_str('451-["x",{"_placeholder":true,"num":0}]')
        await one.socket.send_bytes(b"1")
        assert (await one.ask("join-treasury"))["ok"]
        assert not [packet for packet in one.packets if packet.startswith("437")]
