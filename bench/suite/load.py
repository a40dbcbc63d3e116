"""The load client: ``bench/load.c``, compiled where it is used and run beside the server's core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from bench.suite.servers import CannotRun, Cores, Server
from tests.processes import ROOT

SOURCE: Final = ROOT / "bench" / "load.c"
LATE_S: Final = 150.0  # for a run, beyond what it was told to take

Found = dict[str, float]


def compiler() -> str:
    """The C compiler. Raises ``CannotRun``."""
    asked = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    found = next((it for it in asked if it and shutil.which(it)), None)
    if found is None:
        raise CannotRun("no C compiler for bench/load.c. Debian, Ubuntu: apt install gcc libc6-dev; or name one in CC")
    return found


def build(folder: Path) -> Path:
    """The program, in that folder."""
    program = folder / "load"
    built = subprocess.run(
        [compiler(), "-O2", "-Wall", "-Wextra", "-o", program, SOURCE], capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise CannotRun(f"bench/load.c is not compiled:\n{built.stderr[-2000:]}")
    return program


class Load:
    """Runs the program against one server."""

    def __init__(self, program: Path, cores: Cores, *, pinned: bool = True) -> None:
        self._program, self._cores, self._pinned = program, cores, pinned

    def _command(self, server: Server, *options: str) -> list[str]:
        place = ["--port", str(server.port), "--pid", str(server.pid), "--core", str(self._cores.rest)]
        return [str(self._program), *place, *options]

    def connect(self, server: Server, conns: int, *options: str, settle: float = 1.0) -> Found:
        """Only connect, and look at what that took."""
        return self._run(
            self._command(server, "--conns", str(conns), "--duration", "0", "--settle", str(settle), *options), 0
        )

    def publish(
        self, server: Server, conns: int, *options: str, send: Sequence[str], seconds: float, warmup: float = 1.0
    ) -> Found:
        """Connect, send what joins the rooms, and measure events for so long."""
        asked = [it for packet in send for it in ("--send", packet)]
        timing = ["--warmup", str(warmup), "--duration", str(seconds), "--ctl", str(server.ctl)]
        found = self._run(self._command(server, "--conns", str(conns), *asked, *timing, *options), seconds)
        if found["deliveries_per_s"]:
            found["server_us_per_delivery"] = found["server_cpu_pct"] * 1e4 / found["deliveries_per_s"]
        return found

    def _run(self, command: list[str], seconds: float) -> Found:
        with self._cores.on(self._cores.rest):
            ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + LATE_S, check=False)
        if not ended.stdout:
            raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        found: Found = json.loads(ended.stdout)
        return found

    @contextmanager
    def crowd(self, server: Server, conns: int, *options: str) -> Iterator[subprocess.Popen[str]]:
        """So many connections that stay; killing the process ends them all at once."""
        staying = ["--conns", str(conns), "--duration", "0", "--linger", "600", *options]
        with self._cores.on(self._cores.rest) if self._pinned else nullcontext():
            process = subprocess.Popen(
                self._command(server, *staying), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        try:
            assert process.stderr
            said = process.stderr.readline()
            if not said.startswith(f"READY {conns} of"):
                raise RuntimeError(f"the crowd is not there: {said}")
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stderr
            process.stderr.close()
