"""The servers that are compared, each a process on a core of its own, with whoever publishes to it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from deploy.local.services import Valkey
from tests.end_to_end.client import node as node_js
from tests.processes import ROOT, Process, Processes, free_port

PEERS: Final = ROOT / "bench" / "peers"
START_S: Final = 20.0

Name = Literal["BitPay Realtime", "python-socketio", "Node socket.io"]
Way = Literal["in process", "through Redis"]
OURS: Final[Name] = "BitPay Realtime"
STOCK: Final[Name] = "python-socketio"
NODE: Final[Name] = "Node socket.io"
NAMES: Final[tuple[Name, ...]] = (OURS, STOCK, NODE)
WAYS: Final[tuple[Way, ...]] = ("in process", "through Redis")


class CannotRun(Exception):
    """This machine lacks something that the suite needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where servers run, and where everything else does."""

    server: int
    rest: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two that this process may use. Raises ``CannotRun``."""
        if not hasattr(os, "sched_setaffinity"):
            raise CannotRun("the suite pins processes to cores, which needs Linux")
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise CannotRun("two cores are needed, one for the server and one for the load; this process has one")
        return cls(usable[0], usable[1])

    @contextmanager
    def on(self, core: int) -> Iterator[None]:
        """What is started meanwhile stays on that core."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Server:
    """A running one: where it listens, its process, and where events for it are taken."""

    name: Name
    port: int
    pid: int
    ctl: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What servers stand on. ``epoch`` is that of the outbox behind ours, which stays empty."""

    valkey: Valkey
    processes: Processes
    epoch: str
    folder: Path
    cores: Cores


@contextmanager
def serving(ground: Ground, name: Name, way: Way, **variables: str) -> Iterator[Server]:
    """Start one, and its publisher where that is another process; both are killed at the end. ``variables`` are for
    ours, through Redis."""
    port, ctl, own = free_port(), free_port(), f"bench-{secrets.token_hex(4)}"
    url, cores = ground.valkey.url, ground.cores
    redis = [url, own] if way == "through Redis" else []
    server = [str(port), "0" if redis else str(ctl), *redis]
    voice = ["voice", str(ctl), *redis]
    node = [node_js(), str(PEERS / "server.mjs")]
    with ExitStack() as ended:

        def start(core: int, *command: str) -> int:
            with cores.on(core):
                return ended.enter_context(_program(ground.folder / f"{own}.log", *command))

        if name == OURS and redis:
            with cores.on(cores.server):
                told: dict[str, Any] = {"PORT": str(port), "REDIS_PREFIX": own, "MESSAGE_RATE": "1000", **variables}
                process = ground.processes.start("fanout", **told)
            ended.callback(_end, process)
            pid = process.popen.pid
            start(cores.rest, sys.executable, "-m", "bench.publisher", url, own, ground.epoch, str(ctl))
        elif name == OURS:
            pid = start(cores.server, sys.executable, "-m", "bench.peers.ours", *server)
        else:
            command = node if name == NODE else [sys.executable, "-m", "bench.peers.stock"]
            pid = start(cores.server, *command, *server)
            if redis:
                start(cores.rest, *command, *voice)
        yield Server(name, port, pid, ctl)


def _end(process: Process) -> None:
    if process.popen.poll() is None:
        process.kill()


@contextmanager
def _program(log: Path, *command: str) -> Iterator[int]:
    """A program that says ``ready``; its process id."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            # on a leash: it ends with this process, even when that is killed
            [sys.executable, "-m", "deploy.local.leash", str(os.getpid()), *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{command} did not become ready:\n{log.read_text()[-4000:]}")
        yield process.pid
    finally:
        process.kill()
        process.wait(START_S)
        assert process.stdout
        process.stdout.close()
