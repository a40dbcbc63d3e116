"""Server processes: started in a session of their own, found again after a crash, stopped within a bounded time.

A server is found by its name and its working directory, which is its data directory. A pid on paper names somebody
else after a reboot; the working directory does not.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.errors import LocalFault

POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Account:
    """A system user that servers run as where we are root, for PostgreSQL refuses to be root."""

    name: str
    uid: int
    gid: int


def account_for(data: Path) -> Account | None:
    """Who runs the server whose data is in ``data``: ourselves (None), or as root its owner, else ``nobody``."""
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid if data.exists() else 0
    try:
        found = pwd.getpwuid(owner) if owner != 0 else pwd.getpwnam("nobody")
    except KeyError:
        raise LocalFault(
            "PostgreSQL does not run as root and there is no user nobody: run this as an ordinary user"
        ) from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def reaches(account: Account | None, path: Path) -> bool:
    """Whether this account may read and enter ``path``, through every directory above it."""
    if account is None:
        return os.access(path, os.R_OK | os.X_OK)
    return run(["test", "-r", str(path), "-a", "-x", str(path)], account, Path("/")).returncode == 0


def run(command: Sequence[str], account: Account | None, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end, as the account, with its output as text."""
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | {"LC_ALL": "C"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            check=False,
        )
    except OSError as failed:
        raise _cannot_start(command[0], account, failed) from None


def spawn(command: Sequence[str], account: Account | None, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a server that outlives a Ctrl-C in our terminal; what it says is appended to ``log``."""
    try:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=cwd,
                env=os.environ | {"LC_ALL": "C"},
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as failed:
        raise _cannot_start(command[0], account, failed) from None


def _cannot_start(program: str, account: Account | None, failed: OSError) -> LocalFault:
    if failed.errno == errno.ENOSPC:
        return disk_full(Path(failed.filename or program))
    who = f" as user {account.name}" if account else ""
    return LocalFault(f"{program} cannot be started{who}: {failed.strerror or failed}")


def disk_full(at: Path) -> LocalFault:
    return LocalFault(f"the disk that holds {at} is full: free some space, or set BITPAY_LOCAL_DIR to another disk")


class Family:
    """All processes of one server: those called ``name`` that work in ``directory``."""

    def __init__(self, name: str, directory: Path) -> None:
        self._name, self._directory = name, directory

    def members(self) -> list[psutil.Process]:
        """Those that live now, parents before children; none where we may not look."""
        found = []
        for pid in psutil.pids():  # process_iter would remember the names that processes had before their exec
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if (
                    process.name() == self._name
                    and process.status() != psutil.STATUS_ZOMBIE
                    and Path(process.cwd()) == self._directory
                ):
                    found.append(process)
        ids = {process.pid for process in found}
        return sorted(found, key=lambda process: (_parent(process) in ids, process.pid))

    def pause(self) -> None:
        """Freeze them all, the parent first so that it makes no more children. They answer nothing, and keep
        their connections: an outage that no closed socket tells of."""
        for _ in range(2):  # a child made before the parent stopped
            for process in self.members():
                with suppress(psutil.Error):
                    process.suspend()
        wait_for(lambda: all(_is_stopped(process) for process in self.members()), 5, "it did not stop")

    def resume(self) -> None:
        for process in reversed(self.members()):
            with suppress(psutil.Error):
                process.resume()

    def stop(self, polite: signal.Signals, within_s: float) -> None:
        """Ask the parent to end with ``polite``; after ``within_s`` seconds end whatever is left by force."""
        self.resume()
        members = self.members()
        for process in members[:1]:
            with suppress(psutil.Error):
                process.send_signal(polite)
        _wait_until_gone(members, within_s)
        self.kill()

    def kill(self) -> None:
        """End them all by force, at once."""
        while members := self.members():
            for process in members:
                with suppress(psutil.Error):
                    process.kill()
            _wait_until_gone(members, 5)


def _wait_until_gone(members: list[psutil.Process], within_s: float) -> None:
    """A zombie is gone: its parent, or in a container nobody, collects it some time."""
    until = time.monotonic() + within_s
    while any(_lives(process) for process in members) and time.monotonic() < until:
        time.sleep(POLL_S)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _parent(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.ppid())
    return 0


def _is_stopped(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() == psutil.STATUS_STOPPED)
    return True  # gone


class Lock:
    """One user of a directory at a time. The kernel gives it back when the process that holds it ends, however."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            self._file = os.open(directory / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as failed:
            raise LocalFault(f"{directory} cannot be used: {failed.strerror or failed}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise LocalFault(
                f"{directory} is in use by another run: stop that one, or set BITPAY_LOCAL_DIR to another directory"
            ) from None

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def free_port(preferred: int = 0) -> int:
    """A port of 127.0.0.1 on which nobody listens: the preferred one or the next free above it, else any."""
    for port in range(preferred, min(preferred + 100, 65536)) if preferred else ():
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as caller:
        caller.settimeout(1)
        if caller.connect_ex(("127.0.0.1", port)) == 0:  # of one that listens on all addresses, macOS says nothing
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed server's old connections do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(ready: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Look every few milliseconds until ``ready``. Raises ``LocalFault`` after ``within_s`` seconds."""
    until = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > until:
            raise LocalFault(otherwise)
        time.sleep(POLL_S)


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, or an empty text."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""
