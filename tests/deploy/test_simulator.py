"""The posting loop: it retries, it makes an interrupted step again, it stops where going on is no use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from deploy.local.errors import LocalFault
from deploy.local.simulator import State, company_of, play, posts
from tests.builders import CONTRACTS

COMPANY = company_of({})


class Ingest:
    """Stands where ingest stands and answers what the test says; keeps what it was sent."""

    def __init__(self, answer: Callable[[int], int]) -> None:
        self._answer, self.requests, self.url = answer, list[tuple[bytes, dict[str, str]]](), ""
        self.heard = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        async with self.heard:
            self.requests.append((await request.read(), dict(request.headers)))
            self.heard.notify_all()
        return web.Response(status=self._answer(len(self.requests)))

    async def until(self, count: int) -> None:
        async with self.heard:
            await asyncio.wait_for(self.heard.wait_for(lambda: len(self.requests) >= count), 10)


@asynccontextmanager
async def standing_in(answer: Callable[[int], int]) -> AsyncIterator[Ingest]:
    ingest = Ingest(answer)
    app = web.Application()
    app.router.add_post("/webhooks/chainhook", ingest.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert isinstance(site._server, asyncio.Server)
    ingest.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/webhooks/chainhook"
    try:
        yield ingest
    finally:
        await runner.cleanup()


@asynccontextmanager
async def playing(ingest: Ingest, file: Path) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(play(ingest.url, "secret", 0.0, State(file, 7), COMPANY))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LocalFault):
            await task


async def test_it_posts_until_it_is_taken_and_both_generations_carry_the_secret(tmp_path: Path) -> None:
    async with (
        standing_in(lambda count: 503 if count == 1 else 200) as ingest,
        playing(ingest, tmp_path / "chain.json"),
    ):
        await ingest.until(60)
    assert ingest.requests[0][0] == ingest.requests[1][0], "a refused body is posted again"
    headers = [{name.lower(): value for name, value in found.items()} for _, found in ingest.requests]
    assert {"Bearer secret", None} == {found.get("authorization") for found in headers}
    assert {"secret", None} == {found.get("x-chainhook-consumer-secret") for found in headers}
    assert all(found["content-type"] == "application/json" for found in headers)
    bodies = [body for body, _ in ingest.requests]
    assert any(body.startswith(b'{"apply"') for body in bodies)
    assert any(body.startswith(b'{"event"') for body in bodies)


async def test_a_step_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "chain.json"
    async with standing_in(lambda count: 200 if count < 5 else 503) as ingest:
        async with playing(ingest, file):
            await ingest.until(6)
        cut_off = ingest.requests[-1][0]
        count = len(ingest.requests)
        async with playing(ingest, file):
            await ingest.until(count + 1)
        again = [body for body, _ in ingest.requests[count:]]
    due = State(file, 0).load(COMPANY)
    assert due.due is not None
    chain, delivery = due.chain.next(due.due, COMPANY)
    step = [post.body for post in posts(delivery, f"{chain.seed}:{chain.step}", COMPANY.network)]
    assert step[0] == again[0]
    assert cut_off in step


async def test_a_wrong_secret_is_said_and_ends_it(tmp_path: Path) -> None:
    async with standing_in(lambda _: 401) as ingest, playing(ingest, tmp_path / "chain.json") as task:
        with pytest.raises(LocalFault, match="refuses the secret"):
            await asyncio.wait_for(task, 10)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}", id="of somebody else"),
        pytest.param(
            '{"chain":{"seed":7,"step":9,"base":{"height":3605001,"hash":"0x01","world":'
            '{"streams":{},"created":3,"treasury":1000}},"blocks":[],"left":[]},"due":null}',
            id="of an older simulator",
        ),
    ],
)
def test_a_state_file_that_is_none_of_ours_is_not_overwritten(tmp_path: Path, text: str) -> None:
    file = tmp_path / "chain.json"
    file.write_text(text)
    with pytest.raises(LocalFault, match=r"cannot be read .* move it away together with the database"):
        State(file, 7).load(COMPANY)
    assert text == file.read_text()


def test_it_takes_part_in_the_contracts_that_ingest_believes() -> None:
    assert COMPANY.contracts == CONTRACTS
    deployer = COMPANY.wallets[0]
    other = company_of({"BITPAY_DEPLOYER_ADDRESS": deployer, "BITPAY_CONTRACT_SUFFIX": "-v6"})
    assert f"{deployer}.bitpay-core-v6" == other.contracts.core
