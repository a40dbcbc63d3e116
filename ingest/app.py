"""The composition root of ingest: opens what it needs, runs it together, ends it in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping

import uvicorn
from starlette.types import ASGIApp

from ingest.broadcast import Speaker
from ingest.http import web_app
from ingest.janitor import keep_tidy
from ingest.rebuild import Rebuilt, Tell, rebuild
from ingest.recorder import Recorder
from ingest.relay import Relay
from shared.database import open_database
from shared.feed import OUTAGES, open_redis
from shared.health import neighbours
from shared.outbox import new_epoch
from shared.settings import IngestSettings

log = logging.getLogger("ingest")

LAST_S = 2.0  # how long the last round of the relay may take
KEEP_ALIVE_S = 120  # longer than Chainhook keeps an idle connection, so that it never writes into one we just closed


async def run(settings: IngestSettings, stop: asyncio.Event) -> None:
    """Run ingest until ``stop`` is set or a part of it fails for good."""
    common = settings.common
    listener = socket.create_server((common.host, common.port), backlog=1024)
    async with (
        open_database(common.database_url, "ingest") as database,
        open_redis(common.redis_url) as redis,
        asyncio.TaskGroup() as tasks,
    ):
        relay = Relay(database, redis, common.redis_prefix, settings.feed_max_entries)
        recorder = Recorder(database, settings.contracts, common.network, settings.store_wait_s, relay.wake)
        speaker = Speaker(database, settings.store_wait_s, relay.wake)

        async def check() -> Mapping[str, str]:
            return {"process": "draining" if stop.is_set() else "ok", **await neighbours(database, redis)}

        parts = [
            tasks.create_task(recorder.run(), name="recorder"),
            tasks.create_task(relay.run(), name="relay"),
            tasks.create_task(keep_tidy(database, settings.outbox_retention_days), name="janitor"),
        ]
        server = _Server(web_app(settings, recorder, check, speaker), common.drain_s)
        log.info("ingest listens", extra={"host": common.host, "port": common.port})
        tasks.create_task(server.stop_on(stop), name="stopper")
        await server.serve(sockets=[listener])
        if not stop.is_set():
            raise RuntimeError("the web server ended by itself")
        for part in parts:
            part.cancel()
        with contextlib.suppress(*OUTAGES, Exception):  # the next start publishes what this one could not
            async with asyncio.timeout(LAST_S):
                await relay.publish()
    log.info("ingest ended")


async def begin_epoch(settings: IngestSettings) -> str:
    """Void every cursor given out: for a database that was restored to an earlier state."""
    async with (
        open_database(settings.common.database_url, "ingest") as database,
        database.acquire() as connection,
    ):
        return await new_epoch(connection)


async def rebuild_all(settings: IngestSettings, tell: Tell, *, swap: bool) -> Rebuilt:
    """Fold everything anew beside the live tables; with ``swap`` make these the same."""
    async with open_database(settings.common.database_url, "rebuild", size=1) as database:
        return await rebuild(database, settings.contracts, tell, swap=swap)


class _Server(uvicorn.Server):
    """uvicorn as one task among others: signals and the event loop are ours."""

    def __init__(self, app: ASGIApp, drain_s: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nobody here asks who the client is
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, drain_s - 2),
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def stop_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.should_exit = True
