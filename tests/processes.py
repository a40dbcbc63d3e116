"""Ingest and fanout as real processes on free ports of this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

ROOT = Path(__file__).resolve().parent.parent
SECRET = "test-secret"
START_S = 30.0
WEBHOOK = "/webhooks/chainhook"


def base_environment(database_url: str, redis_url: str, prefix: str) -> dict[str, str]:
    """The variables that both processes share in tests."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": prefix,
        "HOST": "127.0.0.1",
        "CHAINHOOK_SECRET_TOKEN": SECRET,
        "JWT_SECRET": "j" * 32,
        "DRAIN_S": "5",
    }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Process:
    """One process, where it listens, and the command to start it there again."""

    kind: str
    port: int
    environment: Mapping[str, str]
    log: Path
    popen: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """SIGKILL: it gets to finish nothing."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM; returns the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout)

    def start(self) -> None:
        """Start it again where it was."""
        self.popen = _spawn(self.kind, self.environment, self.log)
        wait_ready(self)

    def logs(self) -> list[dict[str, object]]:
        """What it logged so far."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


class Processes:
    """The processes of one test; all of them end with it."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment, self._folder = dict(environment), folder
        self._started: list[Process] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            if process.popen.poll() is None:
                process.kill()
            if kind is not None:
                sys.stderr.write(f"--- {process.kind} {process.port}\n{process.log.read_text()[-6000:]}\n")

    def start(self, kind: str, *, ready: bool = True, **variables: str) -> Process:
        """Start ``ingest`` or ``fanout`` and wait until it is ready; further variables in capitals."""
        given = variables.get("PORT", "")
        port = int(given) if given.isdigit() else free_port()
        environment = {**self._environment, "PORT": str(port), **variables}
        if kind == "fanout" and "ALLOWED_ORIGINS" not in environment:
            environment["ALLOWED_ORIGINS"] = f"http://127.0.0.1:{port}"
        log = self._folder / f"{kind}-{port}.log"
        process = Process(kind, port, environment, log, _spawn(kind, environment, log))
        self._started.append(process)
        if ready:
            wait_ready(process)
        return process


def _spawn(kind: str, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    stream: IO[bytes]
    with log.open("ab") as stream:
        return subprocess.Popen(
            # on a leash: it ends with the test run, even when that is killed
            [sys.executable, "-m", "deploy.local.leash", str(os.getpid()), sys.executable, "-m", kind],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def wait_ready(process: Process) -> None:
    """Until it says that it is ready; fails with its log when it does not."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and process.popen.poll() is None:
        try:
            if httpx.get(f"{process.url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"{process.kind} did not become ready:\n{process.log.read_text()[-4000:]}")
