"""Several nodes on one port, and limits on who connects."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import httpx
import pytest

from bench.deliveries import block, body, created
from tests.fanout.wire import Wire, wire
from tests.posting import post
from tests.processes import Process, Processes


def workers_of(node: Process) -> list[int]:
    """Process ids of the workers of a node."""

    def children(pid: int) -> list[int]:
        return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    found = children(node.popen.pid)
    while len(found) == 1:  # the leash, and the parent
        found = children(found[0])
    return found


async def number(node: Process, name: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{node.url}/metrics")).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


async def test_workers_share_a_port_and_count_together(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout", WORKERS="2")
    async with AsyncExitStack() as stack:
        wires: list[Wire] = [await stack.enter_async_context(wire(node.url)) for _ in range(20)]
        for one in wires:
            await one.ask("join-stream-room", "1")
        assert 20 == await number(node, "bitpay_connections ")
        await post(ingest, body(block(100, [created(1)])))
        for one in wires:
            await one.until(lambda it: it.heard)
        assert await number(node, "bitpay_emissions_sent_total") >= 20


async def test_a_worker_that_dies_is_started_again_and_its_clients_recover(processes: Processes) -> None:
    node = processes.start("fanout", WORKERS="2")
    first = workers_of(node)
    assert 2 == len(first)
    async with wire(node.url) as one:
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        await one.until(lambda it: it.closed)
        pid = one.pid
    async with asyncio.timeout(20):
        while len(workers_of(node)) < 2 or not await ready(node):
            await asyncio.sleep(0.1)
    async with wire(node.url, {"pid": pid}) as again:
        assert pid == again.pid
    assert 0 == await asyncio.to_thread(node.stop)


async def test_workers_end_with_their_parent_however_it_died(processes: Processes) -> None:
    node = processes.start("fanout", WORKERS="2", DRAIN_S="1")
    found = workers_of(node)
    parent = int(Path(f"/proc/{found[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    async with asyncio.timeout(15):
        while any(running(pid) for pid in found):
            await asyncio.sleep(0.1)


def running(pid: int) -> bool:
    """Whether it is there, and not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def ready(node: Process) -> bool:
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{node.url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_one_address_has_so_many_connections_and_no_more(processes: Processes) -> None:
    node = processes.start("fanout", CONNECTIONS_PER_ADDRESS="2")
    polling = f"{node.url}/socket.io/?EIO=4&transport=polling"
    async with wire(node.url), httpx.AsyncClient() as http:
        assert 200 == (await http.get(polling)).status_code
        refused = await http.get(polling)
        assert (429, "RATE_LIMITED") == (refused.status_code, refused.json()["error"]["code"])
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            async with wire(node.url):
                pass
        assert 429 == error.value.status
    async with asyncio.timeout(10):
        while await number(node, "bitpay_connections "):
            await asyncio.sleep(0.05)
    async with wire(node.url) as one:
        assert one.pid
