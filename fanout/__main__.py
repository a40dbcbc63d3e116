"""``python -m fanout``: one node."""

from __future__ import annotations

import os
import sys

from fanout.app import run
from shared.process import read_or_exit, run_process
from shared.settings import fanout_settings


def main(arguments: list[str]) -> int:
    if arguments:
        sys.stderr.write("usage: python -m fanout\n")
        return 2
    settings = read_or_exit("fanout", lambda: fanout_settings(os.environ))
    return run_process("fanout", settings.common.log_level, lambda stop: run(settings, stop))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
