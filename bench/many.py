"""As many connections as this machine takes, in as few nodes as the limit of open files allows.

    python -m bench.many SOCKETS

Starts one ``fanout`` with so many workers, and load clients with addresses of their own; all connections join a room,
and for a minute an event every five seconds goes to all of them through Redis. Prints what it took, and what was lost.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
from redis.asyncio import Redis

from bench.lines import BESIDE_PAD
from bench.rig import Rig, rig, table
from bench.suite.load import build
from shared.domain.entry import Entry, Spoken
from shared.feed import FIELD, FeedEntry, feed_key, value_of

SPARE: Final = 0.9  # of the open files of a process; the kernel does not spread connections quite evenly
OF_ONE_ADDRESS: Final = 25_000  # ports of one source address that a client may use
CONNECT_S: Final = 300


def main(sockets: int, events: int = 12, every_s: float = 5.0) -> list[dict[str, Any]]:
    """Measure, print, and return what each load client found."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    workers = math.ceil(sockets / (files * SPARE))
    clients = math.ceil(sockets / min(files - 100, OF_ONE_ADDRESS))
    with rig() as on:
        node = on.processes.start("fanout", WORKERS=str(workers))
        pids = [it.pid for it in psutil.Process(node.popen.pid).children(recursive=True)] or [node.popen.pid]
        print(asyncio.run(on.describe()))
        print(f"{sockets} sockets, {workers} workers, {clients} load clients, {files} open files a process")
        before, kernel_before, program = _memory(pids), _kernel_kib(), build(on.folder)
        began = time.monotonic()
        parts = [sockets // clients + (i < sockets % clients) for i in range(clients)]
        crowd = [_client(program, node.port, part, f"127.0.1.{i + 1}") for i, part in enumerate(parts)]
        try:
            with ThreadPoolExecutor(clients) as threads:
                for said in threads.map(lambda it: it.stderr.readline(), crowd):
                    print(said.strip())
            connected_s = time.monotonic() - began
            time.sleep(2)
            took, kernel = _memory(pids) - before, _kernel_kib() - kernel_before
            asyncio.run(_publish(on, events, every_s))
            found: list[dict[str, Any]] = []
            with ThreadPoolExecutor(clients) as threads:
                for out, _ in threads.map(lambda it: it.communicate(), crowd):
                    found.append(json.loads(out))
        finally:
            for it in crowd:
                it.kill()
                it.wait()
        _report(f"{events}, one every {every_s:g} s", sockets, connected_s, took, kernel, found)
    missed = sum(events - it["published"] for it in found)
    assert not missed, f"{missed} events were heard by no connection of a load client"
    return found


def _client(program: Path, port: int, conns: int, source: str) -> subprocess.Popen[str]:
    join = '420["join-marketplace"]'
    options = ["--port", port, "--conns", conns, "--source", source, "--send", join, "--timeout", CONNECT_S]
    return subprocess.Popen(
        [str(program), *map(str, options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _memory(pids: list[int]) -> int:
    """KiB that these processes have for themselves."""
    return sum(int(psutil.Process(pid).memory_full_info().pss) for pid in pids) // 1024


def _kernel_kib() -> int:
    """KiB that the kernel has for its own structures (slab): nearly all of what it needs for an idle socket."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Slab:"))


async def _publish(on: Rig, events: int, every_s: float) -> None:
    """Events into the feed, on a schedule."""
    connection = await asyncpg.connect(on.postgres.url())
    epoch, seq = await connection.fetchrow("SELECT epoch, seq FROM outbox_head")
    await connection.close()
    pad = "x" * (420 - BESIDE_PAD)
    async with Redis.from_url(on.valkey.url) as redis:
        start = time.time()
        for n in range(1, events + 1):
            due = start + (n - 1) * every_s
            await asyncio.sleep(max(0.0, due - time.time()))
            words = f'"stream:updated",{{"n":{n},"t":{int(due * 1e6)},"pad":"{pad}"}}'.encode()
            entry = FeedEntry.of(Entry(seq + n, int(due * 1e6), (Spoken("marketplace", words),)), epoch)
            await redis.xadd(feed_key("bench", epoch), {FIELD: value_of(entry)}, id=f"{seq + n}-0")
        await asyncio.sleep(max(1.0, every_s))


def _report(said: str, sockets: int, connected_s: float, took: int, kernel: int, found: list[dict[str, Any]]) -> None:
    joined = sum(it["joined"] for it in found)
    print(
        table(
            ["", ""],
            [
                ["connected and joined", f"{joined} of {sockets} in {connected_s:.1f} s"],
                ["handshakes with a join, each stored", f"{joined / connected_s:.0f}/s"],
                ["memory of the nodes", f"{took / joined:.2f} KiB a socket"],
                ["memory of the kernel, both sides", f"{kernel / joined:.2f} KiB a socket"],
                ["events", said],
                ["deliveries", f"{sum(it['joined'] * it['published'] - it['missing'] for it in found)}"],
                *(
                    [what, f"{sum(it[what] for it in found)}"]
                    for what in ("missing", "twice", "disordered", "closed", "errors")
                ),
                *(
                    [f"{name}, of the slowest client", f"{max(it[name] for it in found):.0f}"]
                    for name in ("p50_ms", "p99_ms", "max_ms")
                ),
                ["PINGs answered", f"{sum(it['pings'] for it in found)}"],
            ],
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
