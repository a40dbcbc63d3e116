"""``python -m deploy.local`` runs everything; ``python -m deploy.local clean`` removes what that left on the disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys

from deploy.local.environment import Folder
from deploy.local.errors import BadEnvironment, LocalFault
from deploy.local.supervisor import supervise

USAGE = "usage: python -m deploy.local [clean]\n"


def main(arguments: list[str]) -> int:
    """0 after a clean stop, 1 when something cannot be had, 2 for settings that a process refuses."""
    if arguments not in ([], ["clean"]):
        sys.stderr.write(USAGE)
        return 2
    try:
        if arguments:
            _clean()
        else:
            asyncio.run(supervise(os.environ))
    except LocalFault as fault:
        sys.stderr.write(f"{fault}\n")
        return 2 if isinstance(fault, BadEnvironment) else 1
    return 0


def _clean() -> None:
    """Remove the data directory, and PostgreSQL's where that had to live elsewhere."""
    folder = Folder(os.environ)  # refuses while a run has it
    for path in ((folder.path / "postgres").resolve(), folder.path / "postgres"):
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
    for name in ("valkey", "log", "secrets", "chain.json"):
        path = folder.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    folder.release()
    (folder.path / "lock").unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
