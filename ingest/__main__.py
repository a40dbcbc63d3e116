"""``python -m ingest``: the process; ``python -m ingest new-epoch``: after restoring the database."""

from __future__ import annotations

import asyncio
import os
import sys

from ingest.app import begin_epoch, run
from shared.process import read_or_exit, run_process
from shared.settings import ingest_settings

USAGE = "usage: python -m ingest [new-epoch]\n"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["new-epoch"]):
        sys.stderr.write(USAGE)
        return 2
    settings = read_or_exit("ingest", lambda: ingest_settings(os.environ))
    if arguments:
        sys.stdout.write(f"new epoch {asyncio.run(begin_epoch(settings))}\n")
        return 0
    return run_process("ingest", settings.common.log_level, lambda stop: run(settings, stop))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
