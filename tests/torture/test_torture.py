"""Everything breaks at once, for a minute, and every client has heard everything, once and in order.

``TORTURE_S`` is how long, ``TORTURE_SEED`` which course of faults.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import httpx
import pytest

from bench.deliveries import block, body, created, withdrawn
from deploy.local.services import Postgres, start_postgres, start_valkey
from shared.feed import open_redis
from tests.conftest import migrate
from tests.end_to_end.client import node as node_js
from tests.posting import HEADERS
from tests.processes import WEBHOOK, Process, Processes, base_environment, free_port
from tests.torture.proxy import Proxy

pytestmark = pytest.mark.alone

CLIENTS, STREAMS, PROGRAMS = 60, 20, 3
PROGRAM = Path(__file__).with_name("clients.mjs")
SETTLE_S = 60.0
LASTS_S = float(os.environ.get("TORTURE_S", "60"))


@dataclass(slots=True)
class Listener:
    """What one client was handed, in order."""

    rooms: list[str]
    first: dict[str, str] = field(default_factory=dict)  # cursor of the first answer, by room
    heard: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    incomplete: list[dict[str, Any]] = field(default_factory=list)

    def take(self, fact: dict[str, Any]) -> None:
        what = fact["on"]
        if what == "connect":
            self.counts["recovered" if fact["recovered"] else "fresh"] += 1
        elif what == "joined":
            self.counts["joins"] += 1
            if fact["room"] not in self.first:
                self.first[fact["room"]] = fact["ack"]["cursor"]
            if not fact["ack"]["complete"]:
                self.incomplete.append(fact)
        elif what == "event":
            if fact["twice"]:
                self.counts["again, in a join repeated" if fact["joining"] else "duplicated"] += 1
            else:
                self.heard[fact["room"]].append(fact["offset"])


@pytest.mark.timeout(LASTS_S + 2 * SETTLE_S + 60)
async def test_whatever_breaks_every_client_hears_everything_once_and_in_order(tmp_path: Path) -> None:
    seed = int(os.environ.get("TORTURE_SEED", time.time()))
    print(f"TORTURE_SEED={seed} TORTURE_S={LASTS_S:g}")
    rng = Random(seed)
    with (
        start_postgres(tmp_path / "postgres") as postgres,
        start_valkey(tmp_path / "valkey", free_port()) as valkey,
        Processes(base_environment(postgres.url(), valkey.url, "torture"), tmp_path) as processes,
    ):
        migrate(postgres.url())
        ingests = [processes.start("ingest") for _ in range(2)]
        nodes = [processes.start("fanout") for _ in range(3)]
        proxy = Proxy([it.port for it in nodes], rng)
        url = f"http://127.0.0.1:{await proxy.start()}"
        await _post(ingests, 100, [created(i) for i in range(1, STREAMS + 1)], rng)
        rooms = [f"stream:{i}" for i in range(1, STREAMS + 1)] + ["marketplace", "treasury"]
        listeners = {i: Listener(rng.sample(rooms, 5)) for i in range(CLIENTS)}
        programs = [await _program(url, listeners, part) for part in range(PROGRAMS)]
        readers = [asyncio.create_task(_read(it, listeners)) for it in programs]
        ends = time.monotonic() + LASTS_S
        faults = Faults(rng, proxy, nodes, ingests, postgres, valkey)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_tell(ingests, ends, rng))
            tasks.create_task(faults.rage(ends))
        missing = await _settled(postgres, listeners)
        for it in programs:
            assert it.stdin
            it.stdin.close()
        await asyncio.gather(*readers, *(it.wait() for it in programs))
        await proxy.close()
        _report(listeners, faults.counts + proxy.counts, missing)
        postgres.remove()


def _report(listeners: dict[int, Listener], faults: Counter[str], missing: dict[str, list[str]]) -> None:
    counts: Counter[str] = sum((it.counts for it in listeners.values()), Counter())
    counts["heard"] = sum(len(it) for one in listeners.values() for it in one.heard.values())
    reordered = 0
    for one in listeners.values():
        for offsets in one.heard.values():
            order = [tuple(map(int, it.split("-"))) for it in offsets]
            reordered += sum(b <= a for a, b in itertools.pairwise(order))
    incomplete = [it for one in listeners.values() for it in one.incomplete]
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    print("clients: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    print(f"missing {sum(map(len, missing.values()))}, duplicated {counts['duplicated']}, reordered {reordered}")
    assert {} == missing
    assert (0, 0) == (counts["duplicated"], reordered)
    assert [] == incomplete
    assert counts["recovered"] > 0


class Faults:
    """What breaks, by chance; each is repaired before the next of its kind."""

    def __init__(
        self, rng: Random, proxy: Proxy, nodes: list[Process], ingests: list[Process], postgres: Postgres, valkey: Any
    ) -> None:
        self._rng, self._proxy, self._nodes, self._ingests = rng, proxy, nodes, ingests
        self._postgres, self._valkey = postgres, valkey
        self.counts: Counter[str] = Counter()

    async def rage(self, ends: float) -> None:
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.drop, self.drop, self.stall, self.kill_node, self.stop_node, self.kill_ingest,
            self.kill_valkey, self.flush_valkey, self.pause_postgres,
        ]  # fmt: skip
        course = list(kinds)
        while time.monotonic() < ends:
            if not course:
                course = list(kinds)
            fault = course.pop(self._rng.randrange(len(course)))
            self.counts[fault.__name__] += 1
            await fault()
            await asyncio.sleep(self._rng.uniform(0.3, 2.5))

    async def drop(self) -> None:
        self._proxy.drop(self._rng.choice((0.1, 0.5, 1)))

    async def stall(self) -> None:
        self._proxy.stall(0.2, self._rng.uniform(1, 6))

    async def kill_node(self) -> None:
        await self._restart(self._rng.choice(self._nodes), kill=True)

    async def stop_node(self) -> None:
        await self._restart(self._rng.choice(self._nodes), kill=False)

    async def kill_ingest(self) -> None:
        await self._restart(self._rng.choice(self._ingests), kill=True)

    async def _restart(self, process: Process, *, kill: bool) -> None:
        await asyncio.to_thread(process.kill if kill else process.stop)
        await asyncio.sleep(self._rng.uniform(0, 2))
        await asyncio.to_thread(process.start)

    async def kill_valkey(self) -> None:
        await asyncio.to_thread(self._valkey.kill)
        await asyncio.sleep(self._rng.uniform(0.2, 3))
        await asyncio.to_thread(self._valkey.start)

    async def flush_valkey(self) -> None:
        async with open_redis(self._valkey.url) as redis:
            await redis.flushall()

    async def pause_postgres(self) -> None:
        self._postgres.pause()
        try:
            await asyncio.sleep(5)
        finally:
            self._postgres.resume()


async def _tell(ingests: list[Process], ends: float, rng: Random) -> None:
    """Withdrawals and reorganisations, up to twenty deliveries a second, each until it is answered.

    Outages let them arrive out of order, and each late one has its stream folded anew: a long run tells less a second,
    so that its streams do not grow into histories such as no stream has.
    """
    height, pause_s = 101, max(0.05, LASTS_S / 4000)
    async with asyncio.TaskGroup() as tasks:
        while time.monotonic() < ends:
            events = [withdrawn(rng.randint(1, STREAMS)) for _ in range(rng.randint(1, 4))]
            one = block(height, events)
            tasks.create_task(_deliver(ingests, body(one), rng))
            if rng.random() < 0.05:
                again = block(height, [withdrawn(rng.randint(1, STREAMS))], salt="b")
                tasks.create_task(_deliver(ingests, body(again, rollback=[one]), rng))
            height += 1
            await asyncio.sleep(pause_s)


async def _post(ingests: list[Process], height: int, events: list[Any], rng: Random) -> None:
    await _deliver(ingests, body(block(height, events)), rng)


async def _deliver(ingests: list[Process], delivery: bytes, rng: Random) -> None:
    """As Chainhook does: again and again, until it is taken."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            with_ingest = rng.choice(ingests)
            try:
                async with httpx.AsyncClient(headers=HEADERS, timeout=25) as http:
                    answer = await http.post(with_ingest.url + WEBHOOK, content=delivery)
                if answer.status_code == 200:
                    return
                assert answer.status_code == 503, answer.text
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


async def _program(url: str, listeners: dict[int, Listener], part: int) -> asyncio.subprocess.Process:
    mine = [{"id": i, "rooms": it.rooms} for i, it in listeners.items() if i % PROGRAMS == part]
    options = json.dumps({"url": url, "clients": mine})
    return await asyncio.create_subprocess_exec(
        node_js(), str(PROGRAM), options, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24
    )


async def _read(program: asyncio.subprocess.Process, listeners: dict[int, Listener]) -> None:
    assert program.stdout
    async for line in program.stdout:
        fact = json.loads(line)
        listeners[fact["client"]].take(fact)


async def _settled(postgres: Postgres, listeners: dict[int, Listener]) -> dict[str, list[str]]:
    """What somebody has not heard, once nobody hears anything new."""
    connection = await asyncpg.connect(postgres.url())
    found = await connection.fetch("SELECT room, seq, n FROM outbox ORDER BY seq, n")
    await connection.close()
    outbox: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for room, seq, n in found:
        outbox[room].append((seq, n))

    def missing() -> dict[str, list[str]]:
        lacks: dict[str, list[str]] = {}
        for i, one in listeners.items():
            for room in one.rooms:
                cursor = one.first.get(room)
                if cursor is None:
                    lacks[f"{i} {room}"] = ["never joined"]
                    continue
                start = tuple(map(int, cursor.partition(".")[2].split("-")))
                heard = set(one.heard[room])
                lack = [f"{seq}-{n}" for seq, n in outbox[room] if (seq, n) > start and f"{seq}-{n}" not in heard]
                if lack:
                    lacks[f"{i} {room}"] = lack
        return lacks

    ends = time.monotonic() + SETTLE_S
    while (lacks := missing()) and time.monotonic() < ends:
        await asyncio.sleep(0.5)
    return lacks
