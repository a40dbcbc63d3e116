"""``python -m bench.latency``: milliseconds from the webhook to the callback in the browser's library.

Deliveries are posted on a fixed schedule to a real ingest, and heard by the real ``socket.io-client`` in rooms of a
real fanout node; servers, processes and client share this machine, and its clock. An answer that takes long does not
hold back the next delivery: it goes out over another connection. Other sockets, of the load client, are in the same
rooms: each delivery is heard by as many of them as there are for a room.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack

import asyncpg
import uvloop

from bench.deliveries import block, body, created, withdrawn
from bench.posting import Poster, request
from bench.rig import Rig, percentile, rig, table
from bench.suite.load import Load, build
from bench.suite.servers import OURS, Cores, Server
from deploy.local.services import Postgres
from tests.end_to_end.client import client
from tests.processes import Process

STREAMS = 100
CONNECTIONS = 8
WAL_FILES = 4  # of 16 MiB: twice what 30 s at 50 deliveries/s write
SETTLE_S = 3.0  # not measured: caches and connections warm up


async def post_on_schedule(ingest: Process, requests: Sequence[bytes], rate: float) -> tuple[list[float], list[float]]:
    """When each was sent and when it was answered, unix ms."""
    sent, answered = [0.0] * len(requests), [0.0] * len(requests)
    free: asyncio.Queue[Poster] = asyncio.Queue()
    posters = [Poster(ingest.port) for _ in range(CONNECTIONS)]

    async def one(i: int) -> None:
        poster = await free.get()
        sent[i] = time.time() * 1e3
        await poster.post(requests[i])
        answered[i] = time.time() * 1e3
        free.put_nowait(poster)

    for poster in posters:
        free.put_nowait(await poster.__aenter__())
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for i in range(len(requests)):
            await asyncio.sleep(max(0.0, begin + i / rate - time.perf_counter()))
            tasks.create_task(one(i))
    for poster in posters:
        await poster.__aexit__(None, None, None)
    return sent, answered


def crowd(found: Rig, node: Process, sockets: int) -> ExitStack:
    """So many sockets in the rooms of the streams, as evenly as can be."""
    load = Load(build(found.folder), Cores.of_this_machine(), pinned=False)
    server = Server(OURS, node.port, node.popen.pid, 0)
    there = ExitStack()
    for first in range(0, sockets, STREAMS):
        conns = min(STREAMS, sockets - first)
        there.enter_context(load.crowd(server, conns, "--send", '420["join-stream-room","%d"]'))
    return there


async def let_it_age(postgres: Postgres) -> None:
    """As on a server that has run for a while, where a log file that is full is followed by an old one, written over.
    A new server fills a file with zeros first, and all commits wait for that (16 to 150 ms, measured)."""
    connection = await asyncpg.connect(postgres.url())
    try:
        for _ in range(WAL_FILES):
            await connection.execute("SELECT pg_logical_emit_message(false, 'bench', 'an empty file is not switched')")
            await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def main(rate: float, seconds: float, sockets: int) -> None:
    """Measure and print."""
    with rig() as found, ExitStack() as ended:
        await let_it_age(found.postgres)
        ingest, node = found.processes.start("ingest"), found.processes.start("fanout")
        ended.enter_context(crowd(found, node, sockets))
        count, skipped = int(rate * seconds), int(rate * SETTLE_S)
        blocks = [block(1000 + i, [withdrawn(i % STREAMS)]) for i in range(skipped + count)]
        rooms = [f"stream:{i}" for i in range(STREAMS)]
        async with client(node.url, *rooms) as listener, Poster(ingest.port) as first:
            await first.post(request(body(block(999, [created(i) for i in range(STREAMS)]))))
            sent, answered = await post_on_schedule(ingest, [request(body(it)) for it in blocks], rate)
            # a stream says two words of a withdrawal; asked rarely, for each line that arrives would be looked at again
            while sum(it.name == "stream:withdrawal" for it in listener.heard) < len(blocks):
                await asyncio.sleep(0.5)
        heard = {it.payload["data"]["txHash"]: it.at for it in reversed(listener.heard)}  # of each its first emission
        hashes = [it["transactions"][0]["transaction_identifier"]["hash"] for it in blocks]
        measured = range(skipped, len(blocks))
        rows = []
        for name, begin, end in (
            ("POST sent to callback", sent, [heard[it] for it in hashes]),
            ("POST sent to answer", sent, answered),
            ("answer to callback", answered, [heard[it] for it in hashes]),
        ):
            took = [end[i] - begin[i] for i in measured]
            rows.append([name, *(f"{percentile(took, share):.1f}" for share in (0.5, 0.9, 0.99, 1.0))])
        print(await found.describe())
        print(f"{rate:g} deliveries a second for {seconds:g} s, one event each, {sockets:,} sockets; milliseconds\n")
        print(table(["", "p50", "p90", "p99", "max"], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0, help="deliveries a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--sockets", type=int, default=1000, help="beside the one that is measured")
    options = parser.parse_args()
    uvloop.run(main(options.rate, options.seconds, options.sockets))
