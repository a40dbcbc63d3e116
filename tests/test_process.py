"""How a process of ours ends."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

ENDS = """
import asyncio, os, signal, sys
from shared import process

async def run(stop):
    {begin}
    await stop.wait()
    await asyncio.sleep(60)  # a part that does not end

process.LATE_S = 0.5
sys.exit(process.run_process("test", "info", run, 0.5))
"""


@pytest.mark.parametrize(
    "begin", ["os.kill(os.getpid(), signal.SIGTERM)", "asyncio.get_running_loop().call_later(0.1, stop.set)"]
)
def test_what_does_not_end_in_time_is_left_behind_whatever_the_end_began_with(begin: str) -> None:
    """Also where no signal came: a worker's parent is gone, or a part has failed."""
    started = time.monotonic()
    program = [sys.executable, "-c", ENDS.format(begin=begin)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=20, check=False)
    assert 1 == ended.returncode
    assert "it does not end in time" in ended.stdout + ended.stderr
    assert time.monotonic() - started > 1
