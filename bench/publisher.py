"""Writes events into a node's feed as the relay does, as fast as it is told: the other end of the load client's wire.

    python -m bench.publisher REDIS_URL PREFIX EPOCH PORT

Hears on PORT of this machine the lines that ``bench/load.c`` describes, and appends one entry for each behind what the
feed has. Lines that arrive together share a round trip.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop
from redis.asyncio import Redis

from bench.lines import Pub, hear
from shared.feed import feed_key, newest


async def main(url: str, prefix: str, epoch: str, port: int) -> None:
    redis = Redis.from_url(url)
    key = feed_key(prefix, epoch)
    last = await newest(redis, key)
    seq = int(last[0].partition(b"-")[0]) if last else 0

    async def publish(pubs: Sequence[Pub]) -> None:
        nonlocal seq
        async with redis.pipeline(transaction=False) as pipeline:
            for it in pubs:
                seq += 1
                words = '"stream:updated",{"n":%d,"t":%d,"pad":"%s"}' % (it.n, it.t, it.pad)  # noqa: UP031 - braces
                fields: dict[Any, Any] = {"at": int(time.time() * 1e6), "rooms": f'["{it.room}"]', "0": words}
                pipeline.xadd(key, fields, id=f"{seq}-0", maxlen=100_000, approximate=True)
            await pipeline.execute()

    await hear(port, publish)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    URL, PREFIX, EPOCH, PORT = sys.argv[1:]
    uvloop.run(main(URL, PREFIX, EPOCH, int(PORT)))
