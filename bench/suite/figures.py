"""What runs found, and what is made of several: medians over the rounds, ratios within a round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

FULL_PCT: Final = 97.0  # of the load's core: beyond that the figure may be the load's, not the server's
HELD: Final = 0.98  # of what was offered, to say that a server holds a fixed schedule
LATE_MS: Final = 1000.0  # p99 of a server that does not hold it


@dataclass(frozen=True, slots=True)
class Run:
    """One server in one round of a case. ``of`` says which row of the case's table it belongs to."""

    server: str
    of: str
    round: int
    found: Mapping[str, float]
    offered: float = 0.0  # deliveries a second on a fixed schedule; 0 in a closed loop

    @property
    def holds(self) -> bool:
        """Whether it kept to the schedule."""
        if not self.offered:
            return True
        return self.found["deliveries_per_s"] >= HELD * self.offered and self.found["p99_ms"] <= LATE_MS

    @property
    def faults(self) -> list[str]:
        """What makes the figure worthless, in words; none where all is right."""
        found = self.found
        said = []
        if found.get("joined", 0) < found.get("conns", 0):
            said.append(f"{found['conns'] - found['joined']:,.0f} did not join")
        for key, words in (
            ("missing", "missing"),
            ("twice", "twice"),
            ("disordered", "out of order"),
            ("closed", "closed by the server"),
            ("errors", "errors"),
        ):
            if key == "missing" and not self.holds:
                continue  # they were late when the run ended
            if found.get(key):
                said.append(f"{found[key]:,.0f} {words}")
        return said

    @property
    def client_limited(self) -> bool:
        """Whether the load's core was full: the server could perhaps do more."""
        return self.found.get("core_pct", 0.0) >= FULL_PCT or self.found.get("client_cpu_pct", 0.0) >= FULL_PCT


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one server: the median of its rounds."""

    value: float
    low: float
    high: float
    holds: bool
    faults: tuple[str, ...]
    client_limited: bool


def cell(runs: Iterable[Run], server: str, of: str, key: str) -> Cell | None:
    """The median of a figure; None where that server was not measured so."""
    chosen = [it for it in runs if it.server == server and it.of == of and key in it.found]
    if not chosen:
        return None
    values = [it.found[key] for it in chosen]
    faults = tuple(dict.fromkeys(fault for it in chosen for fault in it.faults))
    limited = sum(it.client_limited for it in chosen) * 2 > len(chosen)
    held = sum(it.holds for it in chosen) * 2 > len(chosen)
    return Cell(statistics.median(values), min(values), max(values), held, faults, limited)


def ratio(runs: Sequence[Run], one: str, other: str, of: str, key: str) -> float | None:
    """How many times ``other``'s figure ``one``'s is: the median of what each round says, for machines drift."""
    by_round: dict[int, dict[str, float]] = {}
    for it in runs:
        if it.of == of and key in it.found:
            by_round.setdefault(it.round, {})[it.server] = it.found[key]
    both = [it[one] / it[other] for it in by_round.values() if it.get(other) and one in it]
    return statistics.median(both) if both else None
