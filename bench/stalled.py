"""``python -m bench.stalled``: what clients that have stopped reading cost those beside them, and for how long.

One node, events on a schedule through Redis to one room. Half of its sockets are measured, alone and beside another
half that reads nothing more from the moment it has joined; in turns, and the ratio is of each pair. Then, with another
node: by how much its memory grows at most, and how long until it has closed those who do not answer its PINGs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

import httpx
import psutil

from bench.rig import rig
from bench.suite.__main__ import epoch_of
from bench.suite.cases import ONE_ROOM
from bench.suite.load import Load, build
from bench.suite.servers import OURS, Cores, Ground, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HALF: Final = 500
RATE: Final = 60
BYTES: Final = 4_096  # so that a stalled connection is full after a second
SCHEDULE: Final = ("--rate", str(RATE), "--bytes", str(BYTES))
PING: Final = {"PING_INTERVAL_S": "5", "PING_TIMEOUT_S": "5"}


@contextmanager
def stalled(load: Load, server: Server, count: int) -> Iterator[None]:
    """Clients in the same room who read nothing."""
    asked = [it for packet in ONE_ROOM for it in ("--send", packet)]
    with load.crowd(server, count, "--deaf", *asked) if count else nullcontext():
        yield


def measure(load: Load, server: Server, seconds: float, *, beside: int) -> float:
    """p99 in ms of those who read."""
    with stalled(load, server, beside):
        found = load.publish(server, HALF, *SCHEDULE, send=ONE_ROOM, seconds=seconds, warmup=3)
    assert not found["missing"] + found["twice"] + found["disordered"] + found["closed"], found
    return found["p99_ms"]


def let_go(load: Load, server: Server) -> tuple[float, float]:
    """By how many MiB the node grew at most, and seconds from the last event until it has no connection left."""
    process = psutil.Process(server.pid)

    def mib() -> float:
        return float(process.memory_info().rss) / 2**20

    with ThreadPoolExecutor(1) as thread:
        before = most = mib()
        with stalled(load, server, HALF):
            publishing = thread.submit(load.publish, server, 10, *SCHEDULE, send=ONE_ROOM, seconds=4)
            while not publishing.done():
                most = max(most, mib())
                time.sleep(0.1)
            began = time.monotonic()
            while connections(server) and time.monotonic() < began + 60:
                time.sleep(0.1)
            return most - before, time.monotonic() - began


def connections(server: Server) -> int:
    """How many the node says that it has."""
    lines = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text.splitlines()
    return int(float(next(it for it in lines if it.startswith("bitpay_connections ")).split()[1]))


def main(rounds: int, seconds: float) -> None:
    """Measure and print."""
    cores = Cores.of_this_machine()
    with cores.on(cores.rest), rig() as on:
        ground = Ground(on.valkey, on.processes, asyncio.run(epoch_of(on)), on.folder, cores)
        load = Load(build(on.folder), cores)
        with serving(ground, OURS, "through Redis") as server:
            pairs = [
                (measure(load, server, seconds, beside=0), measure(load, server, seconds, beside=HALF))
                for _ in range(rounds)
            ]
        with serving(ground, OURS, "through Redis", **PING) as server:
            grew, took = let_go(load, server)
        print(asyncio.run(on.describe()))
        print(f"{RATE} events/s of {BYTES} B to {HALF} sockets of one room, {rounds} rounds of {seconds:g} s")
        for alone, beside in pairs:
            print(f"p99 {alone:.1f} ms alone, {beside:.1f} ms beside {HALF} that stall: {beside / alone:.2f} x")
        print(f"median {statistics.median(beside / alone for alone, beside in pairs):.2f} x")
        print(f"with {HALF} that stall: memory +{grew:.0f} MiB at most; all closed {took:.1f} s after the last event")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.stalled", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    main(options.rounds, options.seconds)
