"""What every benchmark stands on: servers of its own in a temporary folder, real processes, what machine this is."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import asyncpg

from deploy.local.services import Postgres, Valkey, start_postgres, start_valkey
from tests.processes import ROOT, Processes, base_environment


@dataclass(frozen=True, slots=True)
class Rig:
    """PostgreSQL with fsync on and migrated, Valkey, and the processes that were started between them."""

    postgres: Postgres
    valkey: Valkey
    processes: Processes
    folder: Path

    async def describe(self) -> str:
        """Machine and versions, in three lines for the head of a report."""
        connection = await asyncpg.connect(self.postgres.url())
        try:
            server = await connection.fetchval("SHOW server_version")
            fsync, synchronous = await connection.fetchrow(
                "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
            )
        finally:
            await connection.close()
        load = ", ".join(f"{it:.2f}" for it in os.getloadavg())
        packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "starlette", "asyncpg"))
        return (
            f"{cpu()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {load}\n"
            f"Python {platform.python_version()}, {packages}\n"
            f"PostgreSQL {server}, fsync {fsync}, synchronous_commit {synchronous}"
        )


@contextmanager
def rig() -> Iterator[Rig]:
    """Start the servers, migrate, and end all of it with the benchmark."""
    with (
        tempfile.TemporaryDirectory(prefix="bitpay-bench-", ignore_cleanup_errors=True) as name,
        start_postgres(Path(name) / "postgres") as postgres,
        start_valkey(Path(name) / "valkey") as valkey,
        Processes(base_environment(postgres.url(), valkey.url, "bench"), Path(name)) as processes,
    ):
        subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": postgres.url()},
            check=True,
            capture_output=True,
            timeout=60,
        )
        try:
            yield Rig(postgres, valkey, processes, Path(name))
        finally:
            postgres.remove()  # its data may be elsewhere, where its account can reach it


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as they need to be: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: list[str]) -> str:
        cells = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def cpu() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
