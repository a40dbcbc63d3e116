"""Writes events into a node's feed as the relay does, as fast as it is told: the other end of the load client's wire.

    python -m bench.publisher REDIS_URL PREFIX EPOCH PORT

Hears on PORT of this machine the lines that ``bench/load.c`` describes, and appends one entry for each behind what the
feed has. Lines that arrive together share a round trip. Commands are written as they go over the wire (RESP2): packing
them in the client library would take longer than a node takes to read and speak them, and so measure the publisher.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import hiredis
import uvloop

from bench.lines import Pub, hear
from shared.feed import FIELD, FeedEntry, feed_key, newest, open_redis, value_of
from shared.wire import event_frame

KEEP: Final = b"100000"


def resp(*words: bytes) -> bytes:
    """These words of a command."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(it), it) for it in words])


async def main(url: str, prefix: str, epoch: str, port: int) -> None:
    key = feed_key(prefix, epoch)
    async with open_redis(url) as redis:
        last = await newest(redis, key)
    seq = int(last[0].partition(b"-")[0]) if last else 0
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    answers = hiredis.Reader()
    xadd, field = b"*8\r\n" + resp(b"XADD", key.encode(), b"MAXLEN", b"~", KEEP), resp(FIELD)

    async def publish(pubs: Sequence[Pub]) -> None:
        nonlocal seq
        now = time.time_ns() // 1000
        commands = []
        for n, t, room, pad in pubs:
            seq += 1
            words = b'"stream:updated",{"n":%d,"t":%d,"pad":"%b"}' % (n, t, pad.encode())
            value = value_of(FeedEntry(seq, now, ((room, event_frame(words, f"{epoch}.{seq}-0")),), now))
            place = b"%d-0" % seq
            commands.append(b"%b$%d\r\n%b\r\n%b$%d\r\n%b\r\n" % (xadd, len(place), place, field, len(value), value))
        writer.write(b"".join(commands))
        due = len(commands)
        while due:
            answers.feed(await reader.read(1 << 16))
            while due and (answer := answers.gets()) is not False:
                if isinstance(answer, hiredis.ReplyError):
                    raise answer
                due -= 1

    await hear(port, publish)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    URL, PREFIX, EPOCH, PORT = sys.argv[1:]
    uvloop.run(main(URL, PREFIX, EPOCH, int(PORT)))
