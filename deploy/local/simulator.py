"""Plays a simulated chain into a real ingest: ``python -m deploy.local.simulator --help``.

Each step is a delivery, posted to the webhook as Chainhook would: in one of four renderings drawn at random, and now
and then through a second hook as well. The state file holds the chain before a step, with the step's time and what
commanded it, until the delivery was accepted; a run that was killed in between makes the same step once more, and its
duplicates are no-ops. With ``--control-port`` steps can be commanded (``orders.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp
import msgspec

from deploy.local import chainhook
from deploy.local.chain import Chain, Command, Delivery, replay
from deploy.local.errors import Impossible, LocalFault
from deploy.local.orders import Made, Order, Orders, taking
from deploy.local.world import Cast, cast
from shared.settings import BadSettings, ingest_settings
from shared.telemetry import start_logging

log = logging.getLogger(__name__)

POST_S = 30.0
BACKOFF_S = (0.2, 5.0)  # first and longest wait for an ingest that is not there
TWICE = 0.3  # of all deliveries come through a second hook too


class Saved(msgspec.Struct, frozen=True):
    """What the state file holds. ``due``: unix seconds of a step after ``chain`` that may not have been delivered,
    and ``command`` what decided it, if anybody did."""

    chain: Chain
    due: int | None = None
    command: Command | None = None


class State:
    """The state file: absent at first, replaced in one piece at each step."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path, self._seed = path, seed

    def load(self, company: Cast) -> Saved:
        """The chain as it was left, or a new one. Raises ``LocalFault`` for a file that is none of ours."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Saved)
        except FileNotFoundError:
            return Saved(Chain.begin(self._seed, int(time.time()), company))
        except (OSError, msgspec.MsgspecError) as wrong:
            raise LocalFault(
                f"{self._path} cannot be read ({wrong}): move it away together with the database"
            ) from None

    def save(self, saved: Saved) -> None:
        draft = self._path.with_name(self._path.name + ".draft")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(saved))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as failed:
            raise LocalFault(f"{self._path} cannot be written: {failed.strerror or failed}") from None


@dataclass(frozen=True, slots=True)
class Post:
    """One POST of one hook; ``header`` is the one that carries the secret."""

    body: bytes
    header: str


def posts(delivery: Delivery, seed: str, network: str) -> list[Post]:
    """What the hooks send of one delivery: one of them, or two in different renderings. The same for the same seed."""
    rng = Random(seed)
    found = []
    for render in rng.sample(chainhook.RENDERINGS, 2 if rng.random() < TWICE else 1):
        body = render(delivery.apply, delivery.rollback, rng)
        header = "authorization"
        if isinstance(told := body.get("event"), dict):
            told["network"] = network
            header = rng.choice((header, "x-chainhook-consumer-secret"))  # its documents disagree, so both
        found.append(Post(chainhook.encode(body), header))
    return found


async def play(
    url: str, secret: str, interval_s: float, state: State, company: Cast, orders: Orders | None = None
) -> None:
    """Make a block every ``interval_s`` seconds, the first at once, and those that are ordered, for ever.

    Raises ``LocalFault``.
    """
    saved, orders = state.load(company), orders or Orders()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=POST_S)) as session:
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            orders.height = saved.chain.height
            cut_off = saved.due is not None
            order = Order(saved.command) if cut_off else await orders.next(next_at)
            if order.command is None:
                next_at = loop.time() + interval_s
            now = int(time.time()) if saved.due is None else saved.due
            try:
                chain, delivery = saved.chain.next(now, company, order.command)
            except Impossible as why:
                if not order.outcome.done():
                    order.outcome.set_result(why)
                continue
            state.save(Saved(saved.chain, now, order.command))
            for post in posts(delivery, f"{chain.seed}:{chain.step}", company.network):
                await _send(session, url, secret, post)
            saved = Saved(chain)
            state.save(saved)
            told = {
                "block_height": chain.height,
                "applied": len(delivery.apply),
                "rolled_back": len(delivery.rollback),
                "transactions": sum(len(block.txs) for block in delivery.apply),
            }
            log.info("reorg" if delivery.rollback else "block", extra=told)
            if not order.outcome.done():  # whoever commanded it may have gone
                stream_id = _commanded_of(chain, order.command, company)
                made = Made(chain.height, len(delivery.apply), len(delivery.rollback), stream_id)
                order.outcome.set_result(made)


def _commanded_of(chain: Chain, command: Command | None, company: Cast) -> int | None:
    """The stream that a command was about: the newest one, or that of the block's last action."""
    if command is None or command.do in ("block", "reorg"):
        return None
    if command.do == "create":
        return max(replay(chain.base.world, chain.blocks, company)[0].streams, default=None)
    return getattr(chain.blocks[-1].attempts[-1].action, "stream_id", None)


async def _send(session: aiohttp.ClientSession, url: str, secret: str, post: Post) -> None:
    """Post until it is answered. Chainhook gives up after three attempts; a simulator has no reason to."""
    bearer = post.header == "authorization"
    headers = {"content-type": "application/json", post.header: f"Bearer {secret}" if bearer else secret}
    wait, longest = BACKOFF_S
    while True:
        try:
            async with session.post(url, data=post.body, headers=headers, allow_redirects=False) as answer:
                if answer.status < 300:
                    return
                text = (await answer.text())[:300]
            if answer.status in (401, 403):
                raise LocalFault(f"{url} refuses the secret ({answer.status}): give the one in CHAINHOOK_SECRET_TOKEN")
            if answer.status in (400, 404, 405, 413, 415, 422):
                log.error("delivery refused", extra={"status": answer.status, "answer": text})
                return
            problem = f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as failed:
            problem = str(failed) or type(failed).__name__
        if wait < longest:  # then it has been said often enough
            level = logging.WARNING if wait > 1 else logging.INFO
            log.log(level, "ingest does not take deliveries yet", extra={"problem": problem})
        await asyncio.sleep(wait)
        wait = min(wait * 2, longest)


def company_of(environ: Mapping[str, str]) -> Cast:
    """The contracts and the network that ingest has in this environment. Raises ``BadSettings``."""
    needed = {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://", "CHAINHOOK_SECRET_TOKEN": "unused"}
    settings = ingest_settings({**needed, **environ})
    return cast(settings.contracts, settings.common.network)


async def _until_stopped(work: Coroutine[None, None, None]) -> None:
    """Run until SIGINT or SIGTERM, which end it between two steps or within one, both harmless."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


async def _play(url: str, secret: str, interval_s: float, state: State, company: Cast, port: int) -> None:
    orders = Orders()
    async with taking(orders, port, secret) if port else nullcontext():
        await play(url, secret, interval_s, state, company, orders)


def main() -> int:
    """0 after SIGINT or SIGTERM, 1 when it cannot go on, 2 for wrong arguments or settings."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.simulator", description=__doc__.split("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="where ingest listens")
    parser.add_argument("--secret", default=os.environ.get("CHAINHOOK_SECRET_TOKEN", "").split(",")[0])
    parser.add_argument("--interval", type=float, default=3.0, help="seconds from block to block")
    parser.add_argument("--seed", type=int, default=7, help="decides what happens, for a new state file")
    parser.add_argument("--state", type=Path, default=Path(".local/chain.json"), help="where the chain is kept")
    parser.add_argument("--control-port", type=int, default=0, help="take commands here, with the secret as bearer")
    given = parser.parse_args()
    start_logging("simulator", "info")
    url = f"{given.url.rstrip('/')}/webhooks/chainhook"
    try:
        company = company_of(os.environ)
        state = State(given.state, given.seed)
        work = _play(url, given.secret.strip(), given.interval, state, company, given.control_port)
        asyncio.run(_until_stopped(work))
    except BadSettings as bad:
        sys.stderr.write(f"simulator: {bad}\n")
        return 2
    except LocalFault as fault:
        sys.stderr.write(f"simulator: {fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
