"""``python -m bench.ingest``: what one ingest process takes, beside a bare endpoint that only inserts one row.

Both are real processes on the same PostgreSQL (fsync on), asked the same bodies in turns; the figures are medians of
the rounds. Each connection withdraws from streams of its own: what Chainhook delivers over one connection is in the
order of the chain, and nothing has to be folded anew. CPU is the process's own, its relay to the feed included.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import psutil
import uvloop

from bench.deliveries import block, body, created, withdrawn
from bench.posting import Poster, get, request
from bench.rig import Rig, percentile, rig, table
from tests.processes import Process

STREAMS: Final = 100  # of each connection
SETTLE_S: Final = 60.0  # how long the relay may take to copy what a case left behind
CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load: how many deliveries over how many connections, and what is in each."""

    name: str
    connections: int
    deliveries: int
    blocks: int
    events: int  # in each block, every one in a transaction of its own


CASES: Final = (
    Case("1 event, 16 connections", 16, 4000, 1, 1),
    Case("1 event, 1 connection", 1, 400, 1, 1),
    Case("1 block of 50 events, 1 connection", 1, 120, 1, 50),
    Case("1 block of 50 events, 4 connections", 4, 160, 1, 50),
    Case("50 blocks of 1 event, 4 connections", 4, 160, 50, 1),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One case in one round. Latencies in seconds, one a delivery; CPU seconds of the process in all."""

    seconds: float
    cpu_s: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


class Chain:
    """Makes the bodies: heights rise, no block comes twice."""

    def __init__(self) -> None:
        self._heights = itertools.count(1000)

    def created(self, connection: int) -> bytes:
        """The body that makes a connection's streams."""
        return body(block(next(self._heights), [created(it) for it in _streams(connection)]))

    def shares(self, case: Case) -> list[list[bytes]]:
        """Whole requests for each connection of a case."""
        shares: list[list[bytes]] = [[] for _ in range(case.connections)]
        turns = [itertools.cycle(_streams(connection)) for connection in range(case.connections)]
        for number in range(case.deliveries):
            connection = number % case.connections
            shares[connection].append(request(body(*self._blocks(case, turns[connection]))))
        return shares

    def _blocks(self, case: Case, streams: Iterator[int]) -> Iterator[dict[str, object]]:
        for _ in range(case.blocks):
            yield block(next(self._heights), [withdrawn(it) for it in itertools.islice(streams, case.events)])


def _streams(connection: int) -> range:
    return range(connection * STREAMS, (connection + 1) * STREAMS)


async def measure(process: Process, shares: Sequence[Sequence[bytes]]) -> Result:
    """Post every share over its own connection, one request after the other."""
    latencies: list[float] = []

    async def connection(poster: Poster, share: Sequence[bytes]) -> None:
        for whole_request in share:
            begin = time.perf_counter()
            await poster.post(whole_request)
            latencies.append(time.perf_counter() - begin)

    async with AsyncExitStack() as stack:
        posters = [await stack.enter_async_context(Poster(process.port)) for _ in shares]
        cpu = _cpu_s(process)
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for poster, share in zip(posters, shares, strict=True):
                tasks.create_task(connection(poster, share))
        seconds = time.perf_counter() - begin
    await _settle(process)
    return Result(seconds, _cpu_s(process) - cpu, latencies)


async def _settle(process: Process) -> None:
    """Until the relay has copied all to the feed: its work belongs to the case that caused it."""
    if process.kind != "ingest":
        return
    ends = time.monotonic() + SETTLE_S
    while time.monotonic() < ends:
        text = (await get(process.port, "/metrics")).decode()
        head, last = (
            re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
            for name in ("bitpay_outbox_head_seq", "bitpay_feed_last_seq")
        )
        if head and last and head[1] == last[1]:
            return
        await asyncio.sleep(0.01)
    raise RuntimeError(f"the relay did not catch up within {SETTLE_S} s")


def _cpu_s(process: Process) -> float:
    times = psutil.Process(process.popen.pid).cpu_times()
    return float(times.user + times.system)


async def run(rounds: int, scale: float, names: Sequence[str], on: Rig) -> None:
    """All cases in interleaved rounds, then the table."""
    cases = [
        Case(it.name, it.connections, max(it.connections, round(it.deliveries * scale)), it.blocks, it.events)
        for it in CASES
        if not names or any(name in it.name for name in names)
    ]
    print(await on.describe(), end="\n\n", flush=True)
    ingest, bare = on.processes.start("ingest"), on.processes.start("bench.bare")
    chain = Chain()
    for process in (ingest, bare):
        async with Poster(process.port) as poster:
            for connection in range(CONNECTIONS):
                await poster.post(request(chain.created(connection)))
        await _settle(process)
    results: dict[tuple[str, str], list[Result]] = {}
    for number in range(rounds):
        for case in cases:
            shares = chain.shares(case)
            for process in (ingest, bare) if number % 2 == 0 else (bare, ingest):
                result = await measure(process, shares)
                results.setdefault((case.name, process.kind), []).append(result)
    head = ["", "deliveries/s", "events/s", "p50 ms", "p99 ms", "CPU ms/delivery", "of bare", "best round"]
    rows: list[list[str]] = []
    for case in cases:
        ours, theirs = results[case.name, ingest.kind], results[case.name, bare.kind]
        ratio = statistics.median(one.rate / other.rate for one, other in zip(ours, theirs, strict=True))
        rows.append(_row(case, case.name, ours, f"{ratio:.2f}"))
        rows.append(_row(case, "  bare endpoint", theirs, ""))
    print(table(head, rows))


def _row(case: Case, name: str, results: Sequence[Result], ratio: str) -> list[str]:
    events = case.blocks * case.events
    rate = statistics.median(it.rate for it in results)
    return [
        name,
        f"{rate:,.0f}",
        f"{rate * events:,.0f}",
        f"{statistics.median(percentile(it.latencies, 0.5) for it in results) * 1000:.2f}",
        f"{statistics.median(percentile(it.latencies, 0.99) for it in results) * 1000:.2f}",
        f"{statistics.median(it.cpu_s / len(it.latencies) for it in results) * 1000:.3f}",
        ratio,
        f"{max(it.rate for it in results):,.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of deliveries in each case")
    parser.add_argument("cases", nargs="*", help="parts of case names; all where none is given")
    options = parser.parse_args()
    with rig() as on:
        uvloop.run(run(options.rounds, options.scale, options.cases, on))


if __name__ == "__main__":
    main()
