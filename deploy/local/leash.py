"""``python -m deploy.local.leash <pid> <command…>``: becomes the command, which ends when process ``pid`` ends.

The supervisor starts its children through this, so that none outlives it even when it is killed. Linux only; on other
systems the command runs without a leash.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the kernel knew whom to watch
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - our own words


if __name__ == "__main__":
    main(sys.argv[1:])
