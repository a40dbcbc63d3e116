"""Several nodes on one port of one machine, a process each: one Python process uses one core.

The parent serves nothing. It starts the workers, starts one that dies again, and ends them together. Their metrics are
added up by the client library's files, so whichever worker is asked answers for all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client import multiprocess

from shared.telemetry import METRICS_FOLDER

log = logging.getLogger("fanout.workers")

WORKER: Final = "FANOUT_WORKER"  # set for a worker: the process id of its parent
PAUSE_S: Final = (1.0, 30.0)  # before a worker that died is started again
LONG_S: Final = 60.0  # a life after which the pause is the first one again


@contextmanager
def shared_metrics() -> Iterator[None]:
    """A folder in which all workers count."""
    with TemporaryDirectory(prefix="bitpay-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        yield


async def end_with_parent(stop: asyncio.Event) -> None:
    """Set ``stop`` when the parent is gone, even before this worker has begun: nobody else would end it."""
    parent = int(os.environ[WORKER])
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(1)
    log.error("the parent has died, its worker ends")
    stop.set()


async def supervise(count: int, drain_s: float, stop: asyncio.Event) -> None:
    """Run so many workers until ``stop``."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(_keep(number, drain_s, stop), name=f"worker {number}")


async def _keep(number: int, drain_s: float, stop: asyncio.Event) -> None:
    pause = PAUSE_S[0]
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        began = loop.time()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fanout", env={**os.environ, WORKER: str(os.getpid())}
        )
        status = await _until(stop, process, drain_s)
        multiprocess.mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
        if stop.is_set():
            return
        pause = PAUSE_S[0] if loop.time() - began > LONG_S else min(pause * 2, PAUSE_S[1])
        log.error("a worker has died", extra={"worker": number, "status": status, "again_in_s": pause})
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            continue


async def _until(stop: asyncio.Event, process: asyncio.subprocess.Process, drain_s: float) -> int:
    """The status of a process that ended, by itself or because of ``stop``."""
    ended = asyncio.ensure_future(process.wait())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not ended.done():
        process.terminate()
        try:
            async with asyncio.timeout(drain_s + 6.5):
                await asyncio.shield(ended)
        except TimeoutError:
            process.kill()
    return await ended
