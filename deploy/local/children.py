"""The processes that ``make run`` starts: their logs, their deaths, their end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.environment import ROOT
from deploy.local.errors import BadEnvironment, LocalFault
from deploy.local.terminal import say, worth_repeating

BAD_SETTINGS = 2  # exit status of a process that cannot use its environment; to start it again would not help
BACKOFF_S = (1.0, 30.0)
HEALTHY_S = 60.0  # who has lived that long is started again at once
LOG_MAX_BYTES = 10_000_000
_LINE_MAX = 64 * 1024


class Child:
    """One process, started again when it dies, until it is stopped. Its log is ``<folder>/<name>.log``."""

    def __init__(self, name: str, module: str, environ: Mapping[str, str], logs: Path, *arguments: str) -> None:
        self.name, self._kind = name, name.partition("-")[0]
        self._command = [sys.executable, "-m", module, *arguments]
        self._environ = dict(environ)
        self._log = logs / f"{name}.log"
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()

    @property
    def is_stopped(self) -> bool:
        """Whether it was killed to stay down."""
        return not self._wanted.is_set()

    def kill(self) -> None:
        """SIGKILL, and it stays down until ``start``."""
        self._wanted.clear()
        if self.is_alive and self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # its session is its own

    def start(self) -> None:
        """Let one that was killed run again."""
        self._wanted.set()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def keep(self) -> None:
        """Run it until it is stopped. Raises ``BadEnvironment`` when it says that its settings are bad."""
        wait, longest = BACKOFF_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            await self._wanted.wait()
            began = loop.time()
            status, last = await self._run()
            if self._stopping.is_set():
                return
            if self.is_stopped:
                continue
            if status == BAD_SETTINGS:
                raise BadEnvironment(f"{self.name} refuses its settings, for the reason it gave above")
            told = "\n".join(f"    {line}" for line in last)
            if loop.time() - began > HEALTHY_S:
                wait = BACKOFF_S[0]
            say(f"{self.name} ended with {_reason(status)}; started again in {wait:.0f} s. It said last:\n{told}")
            await asyncio.sleep(wait)
            wait = min(2 * wait, longest)

    async def stop(self, within_s: float, hurry: asyncio.Event) -> None:
        """SIGTERM, then SIGKILL after ``within_s`` seconds or when somebody is in a hurry."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        ended = asyncio.create_task(process.wait())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if process.returncode is None:
            say(f"{self.name} is killed: it has not ended yet")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its session is its own
        await ended

    async def _run(self) -> tuple[int, list[str]]:
        """One life of it: exit status and last lines."""
        command = [sys.executable, "-m", "deploy.local.leash", str(os.getpid()), *self._command]
        last: deque[str] = deque(maxlen=8)
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=self._environ, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
        if self._stopping.is_set():  # asked to stop while it was being made
            self._process.kill()
        assert self._process.stdout
        await self._copy(self._process.stdout, last)
        return await self._process.wait(), list(last)

    async def _copy(self, output: asyncio.StreamReader, last: deque[str]) -> None:
        """All it says goes into its log, warnings and errors to the terminal as well."""
        with suppress(OSError):
            if self._log.stat().st_size > LOG_MAX_BYTES:
                self._log.replace(self._log.with_suffix(".log.1"))
        rest = b""
        with self._log.open("ab", buffering=0) as log:
            while chunk := await output.read(_LINE_MAX):
                with suppress(OSError):  # a full disk must not stop the reading, or the child would stop as well
                    log.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LINE_MAX:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._told(line.decode(errors="replace"), last)
            if rest:
                self._told(rest.decode(errors="replace"), last)

    def _told(self, line: str, last: deque[str]) -> None:
        last.append(line[:2000])
        if (text := worth_repeating(line)) is not None:
            say(f"{self.name}: {text.removeprefix(f'{self._kind}: ')[:2000]}")


async def run_to_end(name: str, environ: Mapping[str, str], arguments: Sequence[str]) -> None:
    """Run a short Python command of the repository. Raises ``LocalFault`` with its last words when it fails."""
    command = [sys.executable, "-m", "deploy.local.leash", str(os.getpid()), sys.executable, "-m", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=dict(environ), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        lines = output.decode(errors="replace").splitlines()
        last = [line for line in lines if line and not line[0].isspace()][-1:]  # of a traceback, what went wrong
        raise LocalFault(f"{name} failed with {_reason(process.returncode)}: {''.join(last)}")


def _reason(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-status).name}"
    return f"signal {-status}"
