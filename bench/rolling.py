"""A rolling restart of three nodes under load: what real clients lose, and for how long each is away.

    python -m bench.rolling [--clients 3000] [--rate 5]

The nodes share a port, so that a client that comes back lands on one that listens. Prints lost and repeated events, the
gap from disconnect to connect, and the rate of reconnects.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import Counter
from pathlib import Path

import httpx
import uvloop

from bench.rig import Rig, percentile, rig
from tests.end_to_end.client import node as node_js
from tests.processes import Process, free_port

PROGRAM = Path(__file__).with_name("rolling.mjs")
PROGRAMS, NODES = 3, 3
TOKEN = "bench-broadcast"


async def _tick(ingest: Process, rate: float, stop: asyncio.Event) -> int:
    n = 0
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as http:
        while not stop.is_set():
            n += 1
            said = {"type": "global", "event": "tick", "payload": {"n": n}}
            (await http.post(f"{ingest.url}/broadcast", json=said)).raise_for_status()
            await asyncio.sleep(1 / rate)
    return n


async def run(clients: int, rate: float, on: Rig) -> None:
    ingest = on.processes.start("ingest", BROADCAST_TOKEN=TOKEN)
    port = str(free_port())
    nodes = [
        on.processes.start("fanout", PORT=port, FANOUT_WORKER=str(os.getpid()), DRAIN_S="20") for _ in range(NODES)
    ]
    stop = asyncio.Event()
    ticking = asyncio.create_task(_tick(ingest, rate, stop))
    programs = [
        await asyncio.create_subprocess_exec(
            node_js(),
            str(PROGRAM),
            nodes[0].url,
            str(clients // PROGRAMS),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**26,
        )
        for _ in range(PROGRAMS)
    ]
    for it in programs:
        assert it.stdout
        await it.stdout.readline()
    await asyncio.sleep(2)
    for node in nodes:
        status = await asyncio.to_thread(node.stop, 28)
        print(f"a node ended with {status}", flush=True)
        await asyncio.to_thread(node.start)
    await asyncio.sleep(5)
    stop.set()
    said = await ticking
    await asyncio.sleep(2)
    found = []
    for it in programs:
        assert it.stdin
        assert it.stdout
        it.stdin.close()
        found.append(json.loads(await it.stdout.readline()))
        await it.wait()
    gaps = [float(gap) for it in found for gap in it["gaps"]]
    seconds = Counter(at // 1000 for it in found for at in it["at"])
    total = Counter({key: sum(it[key] for it in found) for key in ("connects", "recovered", "heard", "lost", "twice")})
    print(f"{clients} clients, {said} events said; " + ", ".join(f"{key} {value}" for key, value in total.items()))
    print(f"gap ms: p50 {percentile(gaps, 0.5):.0f}, p99 {percentile(gaps, 0.99):.0f}, max {max(gaps):.0f}")
    busy = list(seconds.values())
    print(f"reconnects a second, while there are some: mean {sum(busy) / len(busy):.0f}, peak {max(busy)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rolling", description=__doc__)
    parser.add_argument("--clients", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=5)
    options = parser.parse_args()
    with rig() as on:
        uvloop.run(run(options.clients, options.rate, on))


if __name__ == "__main__":
    main()
