"""A node of ours without Redis and Postgres: events come in on CTL, sessions are stored nowhere.

    python -m bench.peers.ours PORT CTL

It has what ``fanout/app.py`` puts together for the way from an entry to a socket, so that what is published inside the
process is compared with what is published inside the process.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

import uvloop
from aiohttp import web
from redis.asyncio import BlockingConnectionPool

from bench.lines import Pub, hear
from fanout.app import BACKLOG, listen
from fanout.clients import Clients, Limits
from fanout.front import Entrance, Front
from fanout.history import History
from fanout.manager import RedisStreamManager
from fanout.ring import Ring
from fanout.sessions import Session, Sessions
from fanout.sockets import Sockets
from fanout.tokens import Tokens
from fanout.upstream import Server
from fanout.web import SOCKETS
from shared.database import Pool
from shared.domain.entry import Entry, Offset, Spoken
from shared.feed import FeedEntry, RedisClient
from shared.settings import fanout_settings
from shared.wire import encode
from tests.processes import base_environment


class Unstored(Sessions):
    """Sessions that end with their connection."""

    async def write(self, session: Session) -> bool:
        return True

    async def take(self, pid: str, user: str, epoch: str) -> Session | None:
        return None


async def main(port: int, ctl: int) -> None:
    """Serve until the process is killed."""
    settings = fanout_settings(base_environment("postgresql://nowhere/none", "redis://nowhere", "bench"))
    redis = RedisClient(BlockingConnectionPool(host="nowhere"))  # never asked
    manager = RedisStreamManager(redis, "bench")
    server = Server(
        client_manager=manager,
        async_mode="aiohttp",
        async_handlers=False,
        namespaces=["/"],
        ping_interval=settings.ping_interval_s,
        ping_timeout=settings.ping_timeout_s,
        high=settings.queue_high_bytes,
        low=settings.queue_low_bytes,
    )
    outgoing = server.eio.outgoing
    async with asyncio.TaskGroup() as tasks:

        def spawn(work: Any, *, name: str) -> asyncio.Task[None]:
            return tasks.create_task(work, name=name)

        manager.clients = clients = Clients(
            Ring(settings.ring_max_entries, settings.ring_max_bytes),
            History(cast(Pool, None), redis, "bench"),
            outgoing,
            Limits(settings.resume_max, settings.queue_high_bytes),
            spawn,
        )
        sessions = Unstored(redis, "bench", settings.session_ttl_s)
        Sockets(server, manager, clients, sessions, Tokens(settings, redis), settings, lambda: True, spawn)
        clients.restart("be0cbe0c", Offset(0, 0))

        async def publish(pubs: Sequence[Pub]) -> None:
            now = int(time.time() * 1e6)
            entries = (
                FeedEntry.of(
                    Entry(seq, now, (Spoken(room, b'"stream:updated",' + encode({"n": n, "t": t, "pad": pad})),)),
                    clients.epoch,
                )
                for seq, (n, t, room, pad) in enumerate(pubs, clients.position.seq + 1)
            )
            while clients.speak(entries, settings.queue_low_bytes):
                await outgoing.idle()
                await asyncio.sleep(0)

        runner = web.AppRunner(web.Application(), access_log=None)
        await runner.setup()
        assert runner.server is not None
        entrance = Entrance(
            SOCKETS.encode(), server.eio, lambda *_: None, lambda _, peer: peer, lambda _: None, runner.server
        )
        door = listen("127.0.0.1", port, shared=False)
        await asyncio.get_running_loop().create_server(lambda: Front(entrance), sock=door, backlog=BACKLOG)
        await hear(ctl, publish)
        spawn(server.eio.wheel.run(), name="wheel")
        spawn(clients.keep_cursors_young(), name="keep_cursors_young")
        print("ready", flush=True)


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # as ``shared/process.py`` does
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
