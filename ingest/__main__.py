"""``python -m ingest``: the process. ``new-epoch``: after restoring the database. ``rebuild``: fold everything anew."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Final

from ingest.app import begin_epoch, rebuild_all, run
from ingest.compare import report
from ingest.rebuild import Rebuilt
from shared.database import is_outage
from shared.errors import Unavailable
from shared.process import read_or_exit, run_process
from shared.settings import IngestSettings, ingest_settings

USAGE = "usage: python -m ingest [new-epoch | rebuild [--swap]]\n"
COMMANDS: Final[tuple[list[str], ...]] = ([], ["new-epoch"], ["rebuild"], ["rebuild", "--swap"])
INTERRUPTED = 130  # as shells say it of SIGINT


def main(arguments: list[str]) -> int:
    if arguments not in COMMANDS:
        sys.stderr.write(USAGE)
        return 2
    settings = read_or_exit("ingest", lambda: ingest_settings(os.environ))
    if arguments[:1] == ["rebuild"]:
        return _rebuild(settings, swap="--swap" in arguments)
    if arguments:
        sys.stdout.write(f"new epoch {asyncio.run(begin_epoch(settings))}\n")
        return 0
    return run_process("ingest", settings.common.log_level, lambda stop: run(settings, stop), settings.common.drain_s)


def _rebuild(settings: IngestSettings, *, swap: bool) -> int:
    """Status 0: the live tables are right, or are now. 1: they are not, or it could not be found out."""
    try:
        found = asyncio.run(rebuild_all(settings, _Progress().tell, swap=swap))
    except KeyboardInterrupt:
        sys.stderr.write("rebuild: interrupted; the live tables change in one transaction or not at all\n")
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, Unavailable) and not is_outage(error):
            raise
        sys.stderr.write(f"rebuild: {str(error) or repr(error)}\n")
        return 1
    sys.stdout.write(report(found.tables) + "".join(f"{line}\n" for line in _verdict(found)))
    return 0 if found.same or found.swapped else 1


def _verdict(found: Rebuilt) -> list[str]:
    lines = [
        f"not folded: {count} {name}, stored when the catalogue read it less strictly"
        for name, count in sorted(found.misfits.items())
    ]
    if found.same:
        return [*lines, f"the live tables are what {found.events} events fold into"]
    if not found.swapped:
        return [*lines, "the live tables differ, `rebuild --swap` makes them right"]
    lines.append(f"swapped; ingest waited {found.locked_s:.1f} s")
    if found.epoch:
        lines.append(f"new epoch {found.epoch}: every client fetches anew what it shows")
    return lines


class _Progress:
    """What is being done, on stderr: when it changes, and once a second."""

    def __init__(self) -> None:
        self._phase, self._began, self._said = "", 0.0, 0.0

    async def tell(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._began, self._said = phase, now, 0.0
        if now - self._said < 1 and done < total:
            return
        self._said = now
        line = f"rebuild: {phase}"
        if total:
            line += f" {done}/{total} events, {done / max(now - self._began, 0.001):.0f}/s"
        sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
