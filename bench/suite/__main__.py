"""``python -m bench.suite``: measure, print tables, and with ``--write`` make ``docs/benchmarks.md`` of them."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sys
import time
from pathlib import Path
from typing import Final

import asyncpg

from bench.rig import Rig, rig
from bench.suite.cases import CASES, MANY, ROUNDS_MAX, Bench, Effort
from bench.suite.load import Load, build, compiler
from bench.suite.report import charts, page, terminal
from bench.suite.results import Measured, Results, machine
from bench.suite.servers import PEERS, CannotRun, Cores, Ground
from tests.processes import ROOT

DOCS: Final = ROOT / "docs"
KEPT: Final = DOCS / "benchmarks" / "results.json"
LAST: Final = ROOT / ".local" / "benchmarks.json"  # of every run, whether it is written down or not


async def epoch_of(on: Rig) -> str:
    connection = await asyncpg.connect(on.postgres.url())
    try:
        found: str = await connection.fetchval("SELECT epoch FROM outbox_head")
        return found
    finally:
        await connection.close()


def measure(names: list[str], effort: Effort) -> Results:
    """Run these cases. Raises ``CannotRun``."""
    compiler()
    if not (PEERS / "node_modules").is_dir():
        raise CannotRun("the Node.js servers are not installed: make bench does that, or npm ci in bench/peers")
    cores = Cores.of_this_machine()
    with cores.on(cores.rest), rig() as on:
        ground = Ground(on.valkey, on.processes, asyncio.run(epoch_of(on)), on.folder, cores)
        bench = Bench(ground, Load(build(on.folder), cores), effort)
        results = Results(machine(on.valkey))
        for name in names:
            print(name, end=" ", flush=True)
            began, runs = time.monotonic(), []
            rounds = min(effort.rounds, ROUNDS_MAX.get(name, effort.rounds))
            for turn in range(rounds):
                for run in CASES[name](bench, turn):
                    runs.append(run)
                    print("!" if run.faults else ".", end="", flush=True)
            took = time.monotonic() - began
            print(f" {took:.0f} s", flush=True)
            day = datetime.datetime.now(datetime.UTC).date().isoformat()
            measured = Measured(day, rounds, effort.seconds, round(took, 1), runs)
            results = results.with_cases(Results(results.machine, {name: measured}))
        return results


def write(results: Results, docs: Path = DOCS) -> None:
    """The page, its charts, and what they are made of."""
    folder = docs / "benchmarks"
    folder.mkdir(exist_ok=True)
    (folder / KEPT.name).write_text(results.to_json())
    (docs / "benchmarks.md").write_text(page(results))
    for name, chart in charts(results).items():
        (folder / name).write_text(chart)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.suite", description=__doc__)
    parser.add_argument("--only", default="", help=f"cases, with commas between: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured of each server in each run")
    parser.add_argument("--many", type=int, default=MANY, help="sockets where there are many; less to try the suite")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, its charts and results.json")
    parser.add_argument("--again", type=Path, help="measure nothing: take the results in this file")
    options = parser.parse_args()
    names = [it.strip() for it in options.only.split(",") if it.strip()] or list(CASES)
    if unknown := [it for it in names if it not in CASES]:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    if options.write and options.many != MANY:
        parser.error("the page speaks of 10,000 sockets: --write without --many")
    began = time.monotonic()
    try:
        if options.again:
            results = Results.from_json(options.again.read_text())
        else:
            results = measure(names, Effort(options.rounds, options.seconds, options.many))
            LAST.parent.mkdir(exist_ok=True)
            LAST.write_text(results.to_json())
        print(f"\n{terminal(results)}\n\n{time.monotonic() - began:.0f} s in all")
        if options.write:
            if KEPT.exists() and set(names) != set(CASES) and not options.again:
                results = Results.from_json(KEPT.read_text()).with_cases(results)
            write(results)
    except (CannotRun, ValueError) as wrong:
        sys.stderr.write(f"bench: {wrong}\n")
        return 2
    return 1 if any(run.faults for it in results.cases.values() for run in it.runs) else 0


if __name__ == "__main__":
    sys.exit(main())
