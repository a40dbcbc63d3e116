"""``python -m fanout``: one node, or with ``WORKERS`` several on one port."""

from __future__ import annotations

import asyncio
import os
import sys

from fanout.app import listen, run
from fanout.workers import WORKER, end_with_parent, shared_metrics, supervise
from shared.process import read_or_exit, run_process
from shared.settings import fanout_settings


def main(arguments: list[str]) -> int:
    if arguments:
        sys.stderr.write("usage: python -m fanout\n")
        return 2
    settings = read_or_exit("fanout", lambda: fanout_settings(os.environ))
    common = settings.common
    worker = os.environ.get(WORKER)

    async def one_of_them(stop: asyncio.Event) -> None:
        watch = asyncio.create_task(end_with_parent(stop)) if worker is not None else None
        await run(settings, stop, shared=worker is not None)
        if watch:
            watch.cancel()

    if settings.workers == 1 or worker is not None:
        return run_process("fanout", common.log_level, one_of_them, common.drain_s)

    async def all_of_them(stop: asyncio.Event) -> None:
        with listen(common.host, common.port, shared=True), shared_metrics():  # a port that others have is said at once
            await supervise(settings.workers, common.drain_s, stop)

    # the parent waits for its workers, which leave late parts behind themselves
    return run_process("fanout", common.log_level, all_of_them, common.drain_s + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
