"""The control panel obeys the page of its run, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.local.chain import Command
from deploy.local.control import Panel, controlling
from deploy.local.orders import Made, Orders, taking
from tests.processes import free_port

PAGE = "http://127.0.0.1:4000"


class Node:
    """A node that is asked whether it lives."""

    is_alive = True
    is_stopped = False

    def kill(self) -> None:
        self.is_alive, self.is_stopped = False, True

    def start(self) -> None:
        self.is_alive, self.is_stopped = True, False


@pytest.fixture
async def orders() -> Orders:
    return Orders()


@pytest.fixture
async def http(orders: Orders) -> AsyncIterator[httpx.AsyncClient]:
    port, commands = free_port(), free_port()
    node: Any = Node()
    panel = Panel(
        {"fanout-1": node}, {"fanout-1": 4000}, frozenset([PAGE]), f"http://127.0.0.1:{commands}", "secret", None
    )
    async with (
        taking(orders, commands, "secret"),
        controlling(panel, port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"origin": PAGE}) as client,
    ):
        client.headers["x-commands"] = str(commands)
        yield client


async def test_only_the_page_of_the_run_may_ask(http: httpx.AsyncClient) -> None:
    for headers in ({"origin": "http://evil.example"}, {"origin": ""}, {"host": "evil.example"}):
        assert 403 == (await http.get("/", headers=headers)).status_code
    plain = await http.post("/redis", content='{"do":"empty"}', headers={"content-type": "text/plain"})
    assert 415 == plain.status_code
    asked = await http.options("/chain")
    assert (204, PAGE) == (asked.status_code, asked.headers["access-control-allow-origin"])
    commands = f"http://127.0.0.1:{http.headers['x-commands']}"
    assert 401 == (await http.post(f"{commands}/feed", json={"paused": True})).status_code


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/chain", {"do": "fly"}, 400),
        ("/chain", {"do": "reorg", "depth": 6}, 400),
        ("/chain", {"do": "create", "depth": 1}, 400),
        ("/chain", [], 400),
        ("/feed", {"paused": "yes"}, 400),
        ("/nodes/fanout-9", {"do": "kill"}, 404),
        ("/nodes/fanout-1", {"do": "hurt"}, 400),
        ("/redis", {"do": "empty"}, 409),
        ("/nothing", {}, 404),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason(
    http: httpx.AsyncClient, path: str, body: Any, status: int
) -> None:
    answer = await http.post(path, json=body)
    assert (status, False) == (answer.status_code, answer.json()["ok"])
    assert len(answer.json()["error"]) > 10


async def test_a_command_is_answered_when_it_is_carried_out(http: httpx.AsyncClient, orders: Orders) -> None:
    async def carry_out() -> None:
        order = await orders.next(float("inf"))
        assert Command("create") == order.command
        order.outcome.set_result(Made(7, 1, 0, 3))

    made = asyncio.create_task(carry_out())
    answer = await http.post("/chain", json={"do": "create"})
    await made
    assert {"ok": True, "height": 7, "applied": 1, "rolledBack": 0, "streamId": 3} == answer.json()


async def test_a_node_is_killed_stays_down_and_is_started(http: httpx.AsyncClient) -> None:
    for do, alive in (("kill", False), ("start", True)):
        assert {"ok": True} == (await http.post("/nodes/fanout-1", json={"do": do})).json()
        (node,) = (await http.get("/")).json()["nodes"]
        assert (alive, not alive) == (node["alive"], node["stopped"])


async def test_the_feed_pauses_and_goes_on(http: httpx.AsyncClient) -> None:
    for paused in (True, False):
        assert {"ok": True, "paused": paused} == (await http.post("/feed", json={"paused": paused})).json()
        assert paused is (await http.get("/")).json()["paused"]
