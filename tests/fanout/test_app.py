"""What a node leaves behind of its connections, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import replace

import aiohttp
import httpx
import pytest
from socketio.packet import Packet

from fanout import app
from fanout.clients import Client
from fanout.links import Link
from fanout.sessions import Session
from shared.settings import fanout_settings
from tests.builders import ALICE
from tests.fanout.test_recovery import token
from tests.fanout.wire import wire
from tests.processes import Processes, free_port


@pytest.mark.parametrize("fails", [False, True])
async def test_a_part_that_loses_its_cancellation_is_ended_all_the_same(fails: bool) -> None:
    """Also where the end is that another part failed; and whatever it is, it begins to have its time."""
    ended: list[str] = []

    async def listen() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        try:
            await asyncio.sleep(60)  # as upstream's loop goes on
        finally:
            ended.append("listen")

    async def fail() -> None:
        raise RuntimeError("for good")

    stop = asyncio.Event()
    with pytest.raises(ExceptionGroup, match="TaskGroup") if fails else nullcontext():
        async with asyncio.timeout(10), app._parts(stop) as spawn:
            spawn(listen(), name="listen")
            await asyncio.sleep(0)
            if fails:
                spawn(fail(), name="fail")
                await asyncio.sleep(60)
    assert ["listen"] == ended
    assert stop.is_set()


async def test_nothing_remains_of_connections_however_they_ended(environment: dict[str, str]) -> None:
    """A node in this process, so that its memory can be looked at."""
    settings = fanout_settings({**environment, "PING_INTERVAL_S": "1", "PING_TIMEOUT_S": "1"})  # the wheel holds links
    common = replace(settings.common, port=free_port(), drain_s=1)
    stop = asyncio.Event()
    node = asyncio.create_task(app.run(replace(settings, common=common), stop))
    url = f"http://127.0.0.1:{common.port}"
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        async with asyncio.timeout(20):
            while not await _is_ready(http):
                await asyncio.sleep(0.02)
        for way in (_drops, _announces, _comes_and_goes, _leaves_the_server_to_ask, _is_taken_over):
            await asyncio.gather(*(way(url) for _ in range(10)))
        await asyncio.gather(*(_polls(http) for _ in range(10)))
        async with asyncio.timeout(20):
            while len(_alive()) > 1:  # the wheel still names the last one that it has seen
                await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(node, 20)


async def _is_ready(http: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await http.get("/readyz")).status_code == 200
    return False


def _alive() -> list[str]:
    """What there is for connections, by name, and messages that wait for their attachments."""
    gc.collect()
    return [type(it).__name__ for it in gc.get_objects() if isinstance(it, Client | Link | Session | Packet)]


async def _drops(url: str) -> None:
    async with wire(url, {"token": token(ALICE)}) as one:
        await one.ask("join-stream-room", "1")
        await one.drop()


async def _announces(url: str) -> None:
    """A message with attachments that never come."""
    async with wire(url) as one:
        await one.socket.send_str('451-["x",{"_placeholder":true,"num":0}]')
        await one.drop()


async def _comes_and_goes(url: str) -> None:
    """On one connection, and with a token that would be good for long."""
    async with wire(url, {"token": token(ALICE)}) as one:
        for number in range(2, 5):
            await one.socket.send_str("41")
            await one.socket.send_str("40" + json.dumps({"token": token(ALICE)}))
            await one.until(lambda it, number=number: sum(p.startswith("40") for p in it.packets) == number)
        assert (await one.ask("authenticate", {"token": token(ALICE, 1800)}))["ok"]


async def _leaves_the_server_to_ask(url: str) -> None:
    async with wire(url) as one:
        await one.socket.send_str(f'421["authenticate",{json.dumps({"token": token(ALICE)})}]')
        await one.drop()


async def _is_taken_over(url: str) -> None:
    async with wire(url) as one, wire(url, {"pid": one.pid}) as two:
        assert one.pid == two.pid
        await one.until(lambda it: it.closed)


async def _polls(http: httpx.AsyncClient) -> None:
    path = "/socket.io/?EIO=4&transport=polling"
    opened = await http.get(path)
    path += f"&sid={json.loads(opened.text[1:])['sid']}"
    await http.post(path, content='40\x1e451-["x",{"_placeholder":true,"num":0}]')
    await http.get(path)
    await http.post(path, content="1")


async def test_a_node_that_drains_says_so_closes_everybody_and_ends_in_time(processes: Processes) -> None:
    """Not at once: they come back elsewhere one by one, and meanwhile whoever asks is told."""
    node = processes.start("fanout", DRAIN_S="4")
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=node.url) as http:
        wires = [await stack.enter_async_context(wire(node.url)) for _ in range(150)]
        began = time.monotonic()
        ending = asyncio.create_task(asyncio.to_thread(node.stop, 30))
        async with asyncio.timeout(4):
            while (ready := await http.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.01)
        assert (503, "draining") == (ready.status_code, ready.json()["checks"]["node"])
        assert any(not it.closed for it in wires)
        async with httpx.AsyncClient(base_url=node.url) as another:  # a connection of its own
            assert 503 == (await another.get("/readyz")).status_code
            assert 503 == (await another.get("/socket.io/?EIO=4&transport=polling")).status_code
            assert 200 == (await another.get("/healthz")).status_code
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with wire(node.url):
                pass
        assert 503 == refused.value.status
        for one in wires:
            await one.until(lambda it: it.closed)
            assert not [packet for packet in one.packets if packet == "41"], "it would stay away"
        assert 0 == await ending
        assert time.monotonic() - began < 4
    assert [] == [line for line in node.logs() if line["level"] == "error"]
