"""The command for after a restore."""

from __future__ import annotations

import os
import subprocess
import sys

import asyncpg

from tests.processes import ROOT


async def test_the_command_begins_a_new_epoch(environment: dict[str, str]) -> None:
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    before = await connection.fetchval("SELECT epoch FROM outbox_head")
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "new-epoch"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    after = await connection.fetchval("SELECT epoch FROM outbox_head")
    await connection.close()
    assert (0, f"new epoch {after}\n") == (done.returncode, done.stdout)
    assert before != after
