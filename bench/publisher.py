"""Writes events into a node's feed as the relay does, as fast as it is told: the other end of the load client's wire.

    python -m bench.publisher REDIS_URL PREFIX EPOCH SEQ PORT [ROOM] [BYTES]

Hears ``pub <n> <t>`` lines on PORT of this machine and appends one entry each behind SEQ, whose emission goes to ROOM
(``%d`` in it becomes n modulo 10,000) and carries n and t. Lines that arrive together share a round trip.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop
from redis.asyncio import Redis


async def main(url: str, prefix: str, epoch: str, seq: int, port: int, room: str, size: int) -> None:
    redis = Redis.from_url(url)
    key = f"{prefix}:feed:{epoch}"
    pad = b"x" * size

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seq
        rest = b""
        while data := await reader.read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            async with redis.pipeline(transaction=False) as pipeline:
                for line in lines:
                    _, n, due = line.split()
                    seq += 1
                    where = room.replace("%d", str(int(n) % 10_000))
                    words = b'"stream:updated",{"n":%b,"t":%b,"pad":"%b"}' % (n, due, pad)
                    fields: dict[Any, Any] = {"at": int(time.time() * 1e6), "rooms": f'["{where}"]', "0": words}
                    pipeline.xadd(key, fields, id=f"{seq}-0", maxlen=100_000, approximate=True)
                await pipeline.execute()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    URL, PREFIX, EPOCH, SEQ, PORT, *MORE = sys.argv[1:]
    ROOM = MORE[0] if MORE else "marketplace"
    SIZE = int(MORE[1]) if len(MORE) > 1 else 340
    uvloop.run(main(URL, PREFIX, EPOCH, int(SEQ), int(PORT), ROOM, SIZE))
