"""Everything that was measured, as it is kept in ``docs/benchmarks/results.json``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import Any

from redis import Redis

from bench.rig import cpu
from bench.suite.figures import Run
from bench.suite.servers import PEERS
from deploy.local.services import Valkey
from tests.end_to_end.client import node as node_js

PACKAGES = ("python-socketio", "python-engineio", "aiohttp", "uvloop", "redis", "hiredis", "msgspec")
NPM_PACKAGES = ("socket.io", "@socket.io/redis-streams-adapter", "redis")


@dataclass(frozen=True, slots=True)
class Measured:
    """A case's runs: on which day, how often, how many seconds each, how long in all."""

    date: str
    rounds: int
    seconds: float
    took_s: float
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Results:
    """All cases of one machine and one set of versions."""

    machine: Mapping[str, str]
    cases: Mapping[str, Measured] = field(default_factory=dict)

    def with_cases(self, others: Results) -> Results:
        """These with ``others`` in their place. Raises ``ValueError``: two machines make no comparison."""
        if self.machine != others.machine:
            differing = sorted(
                it for it in self.machine.keys() | others.machine if self.machine.get(it) != others.machine.get(it)
            )
            raise ValueError(
                f"the kept results are of another machine ({', '.join(differing)} differ): measure all cases"
            )
        return replace(self, cases={**self.cases, **others.cases})

    def to_json(self) -> str:
        """One run a line, so that a difference can be read."""
        lines = ["{", f'  "machine": {json.dumps(self.machine, indent=4).replace(chr(10) + "}", chr(10) + "  }")},']
        cases = []
        for name, it in self.cases.items():
            head = json.dumps({"date": it.date, "rounds": it.rounds, "seconds": it.seconds, "took_s": it.took_s})[1:-1]
            runs = ",\n".join(f"      {json.dumps(asdict(run))}" for run in it.runs)
            cases.append(f'    "{name}": {{{head}, "runs": [\n{runs}\n    ]}}')
        return "\n".join([*lines, '  "cases": {', ",\n".join(cases), "  }", "}"]) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What ``to_json`` wrote."""
        kept: dict[str, Any] = json.loads(text)
        cases = {
            name: Measured(**{**it, "runs": [Run(**run) for run in it["runs"]]}) for name, it in kept["cases"].items()
        }
        return cls(kept["machine"], cases)


def machine(valkey: Valkey) -> dict[str, str]:
    """What was measured on, and with."""
    said = {
        "processor": cpu(),
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Node.js": _says([node_js(), "--version"]).lstrip("v"),
        "Valkey": _valkey_version(valkey),
    }
    said |= {it: version(it) for it in PACKAGES}
    for it in NPM_PACKAGES:
        found = json.loads((PEERS / "node_modules" / it / "package.json").read_text())
        said[f"{it} (npm)"] = found["version"]
    return said


def _valkey_version(valkey: Valkey) -> str:
    with Redis.from_url(valkey.url) as redis:
        info = redis.info("server")
    return str(info.get("valkey_version") or info["redis_version"])


def _says(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
