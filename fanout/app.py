"""The composition root of a fanout node: opens what it needs, runs it together, ends it in order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping

from aiohttp import web

from fanout.manager import RedisStreamManager
from fanout.snapshots import Snapshots
from fanout.sockets import Sockets
from fanout.tail import Tail
from fanout.upstream import Server
from fanout.web import web_app
from shared.database import open_database
from shared.feed import open_redis
from shared.health import neighbours
from shared.outbox import Head
from shared.settings import FanoutSettings

log = logging.getLogger("fanout")

SILENCE_S = 15.0  # a node that heard nothing for so long is not ready
MESSAGE_MAX_BYTES = 16_384  # of one client message
CLOSE_SHARE = 0.4  # part of DRAIN_S over which connections are closed


async def run(settings: FanoutSettings, stop: asyncio.Event) -> None:
    """Run one node until ``stop`` is set or a part of it fails for good."""
    common = settings.common
    listener = socket.create_server((common.host, common.port), backlog=4096)
    async with (
        open_database(common.database_url, "fanout") as database,
        open_redis(common.redis_url) as redis,
        asyncio.TaskGroup() as tasks,
    ):
        manager = RedisStreamManager(redis, common.redis_prefix)
        server = Server(
            client_manager=manager,
            async_mode="aiohttp",
            async_handlers=False,  # one message of a connection after the other
            namespaces=["/"],
            cors_allowed_origins=list(settings.allowed_origins),
            transports=list(settings.transports),
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            max_http_buffer_size=MESSAGE_MAX_BYTES,
            logger=logging.getLogger("socketio"),
            engineio_logger=logging.getLogger("engineio"),
        )
        Sockets(server, manager, settings)
        tail = Tail(database, redis, common.redis_prefix)
        started = asyncio.Event()

        async def data_lane() -> None:
            async for heard in tail.follow():
                if isinstance(heard, Head):
                    await manager.restart(heard)
                    started.set()
                    continue
                for entry in heard:
                    manager.speak(entry)
                    await asyncio.sleep(0)  # pings and joins get their turn

        def accepting() -> bool:
            return started.is_set() and not stop.is_set()

        async def check() -> Mapping[str, str]:
            node = "ok" if accepting() else "draining" if stop.is_set() else "starting"
            tail_state = "ok" if tail.silence_s < SILENCE_S else "heard nothing lately"
            return {"node": node, "tail": tail_state, **await neighbours(database, redis)}

        parts = [
            tasks.create_task(data_lane(), name="data_lane"),
            tasks.create_task(manager.listen(), name="control_lane"),
        ]
        runner = web.AppRunner(
            web_app(server, Snapshots(database), settings, check, accepting), access_log=None, shutdown_timeout=2.0
        )
        await runner.setup()
        site = web.SockSite(runner, listener)
        await site.start()
        log.info("fanout listens", extra={"host": common.host, "port": common.port})
        await stop.wait()
        await site.stop()
        await manager.close_all(common.drain_s * CLOSE_SHARE)
        await runner.cleanup()
        for part in parts:
            part.cancel()
    log.info("fanout ended")
