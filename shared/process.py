"""How a process of ours starts and ends: settings, logs, loop, signals, exit status."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import uvloop

from shared.errors import Broken
from shared.settings import BadSettings
from shared.telemetry import start_logging

S = TypeVar("S")

LATE_S: Final = 6.0  # beyond the time to drain: platforms kill after thirty seconds


def read_or_exit(process: str, read: Callable[[], S]) -> S:
    """The settings, or exit status 2 with one message that names every bad variable."""
    try:
        return read()
    except BadSettings as bad:
        sys.stderr.write(f"{process}: {bad}\n")
        sys.exit(2)


def run_process(process: str, log_level: str, run: Callable[[asyncio.Event], Awaitable[None]], drain_s: float) -> int:
    """Run until SIGTERM or SIGINT (status 0) or until a part fails for good (status 1).

    What has not ended ``LATE_S`` after its time to drain is left behind, and said.
    """
    start_logging(process, log_level)
    log = logging.getLogger(process)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def watch() -> None:
            await stop.wait()  # whoever has set it
            threading.Thread(target=_leave_behind, args=(loop, drain_s + LATE_S), daemon=True).start()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        watching = loop.create_task(watch(), name="watch")
        gc.freeze()  # what is loaded now stays; the collector need not look at it again
        gc.set_threshold(100_000, 50, 100)
        try:
            await run(stop)
        finally:
            watching.cancel()

    try:
        uvloop.run(main())
    except BaseExceptionGroup as group:
        for error in _leaves(group):
            log.error("the process ends", exc_info=error)
            if isinstance(error, Broken):
                sys.stderr.write(f"{process}: {error}\n")
        return 1
    except Exception as error:
        log.error("the process ends", exc_info=error)
        sys.stderr.write(f"{process}: {error}\n")
        return 1
    return 0


def _leave_behind(loop: asyncio.AbstractEventLoop, after_s: float) -> None:
    time.sleep(after_s)
    pending = sorted(task.get_name() for task in asyncio.all_tasks(loop))
    logging.getLogger("process").error("it does not end in time and is left behind", extra={"pending": pending})
    logging.shutdown()
    os._exit(1)


def give_memory_back() -> None:
    """Return what was freed to the system: glibc keeps it after a peak, for a next one that may not come."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another C library
        return


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
