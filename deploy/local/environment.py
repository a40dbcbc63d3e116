"""Where a local run keeps its things, and what it tells its processes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.errors import LocalFault
from deploy.local.processes import Lock

ROOT = Path(__file__).resolve().parent.parent.parent
SECRETS = ("CHAINHOOK_SECRET_TOKEN", "JWT_SECRET", "BROADCAST_TOKEN")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen on 127.0.0.1."""

    ingest: int
    fanouts: tuple[int, ...]

    @property
    def by_name(self) -> dict[str, int]:
        """Each process' port by its name."""
        return {"ingest": self.ingest} | {f"fanout-{number}": port for number, port in enumerate(self.fanouts, 1)}


class Folder:
    """``.local`` of the repository, or ``BITPAY_LOCAL_DIR``; for one run at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.path = Path(environ.get("BITPAY_LOCAL_DIR") or ROOT / ".local").expanduser().absolute()
        try:
            for part in ("", "log", "secrets"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
            (self.path / "secrets").chmod(0o700)
        except OSError as failed:
            raise LocalFault(
                f"{self.path} cannot be used ({failed.strerror}): set BITPAY_LOCAL_DIR to a directory of yours"
            ) from None
        self._lock = Lock(self.path)

    def secret_file(self, name: str) -> Path:
        return self.path / "secrets" / name

    def secret(self, name: str) -> str:
        """A random secret of this folder, made when it is first asked for."""
        file = self.secret_file(name)
        try:
            if not file.exists():
                draft = file.with_suffix(".draft")
                draft.unlink(missing_ok=True)
                draft.touch(mode=0o600)
                draft.write_text(secrets.token_urlsafe(32) + "\n")
                draft.replace(file)
            return file.read_text().strip()
        except OSError as failed:
            raise LocalFault(f"{file} cannot be used: {failed.strerror or failed}") from None

    def chain_file(self, database_url: str, *, embedded: bool) -> Path:
        """Where the simulated chain of this database is kept: each database has its own."""
        if embedded:
            return self.path / "chain.json"
        return self.path / f"chain-{hashlib.sha256(database_url.encode()).hexdigest()[:8]}.json"

    def release(self) -> None:
        self._lock.release()


def child_environment(
    environ: Mapping[str, str], folder: Folder, database_url: str, redis_url: str, ports: Ports
) -> dict[str, str]:
    """What all are told. Where you have set a variable yourself, yours is taken; ``PORT`` is each child's own."""
    origins = [f"http://{host}:{port}" for port in ports.fanouts for host in ("127.0.0.1", "localhost")]
    ours = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "HOST": "127.0.0.1",
        "STACKS_NETWORK": "testnet",
        "BITPAY_ENV": "development",
        "ALLOWED_ORIGINS": ",".join(origins),
        "PYTHONUNBUFFERED": "1",
        **{name: folder.secret(name) for name in SECRETS if not environ.get(name)},
    }
    return {**os.environ, **ours, **{name: value for name, value in environ.items() if value}}


def is_on_this_machine(url: str) -> bool:
    """Whether a database URL names this machine. Simulated events have no business in any other."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host in (None, "", "localhost", "127.0.0.1", "::1")
