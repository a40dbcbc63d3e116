"""Results as tables, for a terminal and for ``docs/benchmarks.md``, and as charts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.rig import table
from bench.suite.chart import Bar, Group, bars
from bench.suite.figures import Cell, Run, cell, ratio
from bench.suite.results import Measured, Results
from bench.suite.servers import NAMES, NODE, OURS, STOCK

LIMITED: Final = " †"
PEERS: Final = (STOCK, NODE)


@dataclass(frozen=True, slots=True)
class Figure:
    """One of a run's figures, and how it is written. ``more``: whether more of it is better."""

    key: str
    title: str
    digits: int = 0
    more: bool = True
    chart: str = ""  # the file of its chart

    def said(self, found: Cell) -> str:
        """The value with its marks."""
        text = f"{found.value:,.{self.digits}f}" + LIMITED * found.client_limited
        if found.faults:
            text += f" ({'; '.join(found.faults)})"
        return text if found.holds else f"does not hold ({text})"


@dataclass(frozen=True, slots=True)
class Chapter:
    """How one case is told: figures of which each gets a table with the servers beside each other (``beside``), and
    figures that stand together in one, a line for each server (``together``)."""

    title: str
    text: str
    beside: tuple[Figure, ...] = ()
    together: tuple[Figure, ...] = ()


DELIVERIES: Final = Figure("deliveries_per_s", "deliveries/s")
CPU: Final = Figure("server_cpu_pct", "server CPU %", more=False)
P50: Final = Figure("p50_ms", "p50 ms", 1, more=False)
P90: Final = Figure("p90_ms", "p90 ms", 1, more=False)
P99: Final = Figure("p99_ms", "p99 ms", 1, more=False)

CHAPTERS: Final[dict[str, Chapter]] = {
    "throughput": Chapter(
        "Throughput",
        "All sockets are in one room; eight events of 420 B are on their way at any time, so the server is never idle "
        "and never behind. A delivery is one event at one socket.",
        beside=(Figure("deliveries_per_s", "deliveries/s", chart="throughput"),),
    ),
    "one": Chapter(
        "One event on its way",
        "1,000 sockets in one room; the next event is published when the last socket has the one before. Nothing can "
        "be joined in one write: this is the cost of a turn.",
        beside=(DELIVERIES,),
    ),
    "latency": Chapter(
        "Latency on a schedule",
        "Events are published in another process at fixed times whatever the server does, and go through Redis to "
        "1,000 sockets in one room. Latency counts from when the event was due to its arrival, over all sockets. "
        "A server holds the schedule when it delivers 98 % of it in time, with a p99 below a second. Each run is four "
        "times as long as those without a schedule: of few events the slowest hundredth is a matter of luck.",
        beside=(Figure("p99_ms", "p99 ms", 1, more=False, chart="latency"), CPU),
        together=(P50, P90, DELIVERIES),
    ),
    "payload": Chapter(
        "Size of the payload",
        "As throughput, to 1,000 sockets through Redis.",
        beside=(Figure("deliveries_per_s", "deliveries/s", chart="payload"),),
    ),
    "rooms": Chapter(
        "Many rooms of one",
        "10,000 sockets, each alone in its room, and each event for one of them: users' own rooms. 1,000 events are on "
        "their way at any time, or they are published on a schedule (and measured four times as long). Nothing can be "
        "joined, so each costs the server a write, which takes the kernel 6 to 9 µs whatever language asks for it.",
        beside=(
            Figure("deliveries_per_s", "deliveries/s", chart="rooms"),
            Figure("server_us_per_delivery", "server CPU, µs a delivery", 1, more=False),
        ),
        together=(P50, P99, CPU),
    ),
    "connections": Chapter(
        "Connections",
        "10,000 sockets connect, 100 handshakes at a time, up to the answer to CONNECT, and then are idle. Memory is "
        "what the process grew by (PSS), divided by the sockets. Ours stores a session for each in Redis, from which "
        "it can be resumed on any node, and is measured so; the others store nothing.",
        beside=(
            Figure("handshakes_per_s", "handshakes/s", chart="handshakes"),
            Figure("pss_kib_per_conn", "KiB a socket", 1, more=False, chart="memory"),
        ),
        together=(
            Figure("handshake_p99_ms", "handshake p99 ms", more=False),
            Figure("redis_bytes_per_session", "bytes a session in Redis", more=False),
        ),
    ),
    "leaving": Chapter(
        "All leave at once",
        "10,000 sockets of one room end in one moment, while ten others hear an event every 50 ms. CPU is what the "
        "server spends in the 15 s after it; the stall is the longest that one of the ten waited for an event.",
        beside=(
            Figure("leave_cpu_s", "CPU seconds", 2, more=False),
            Figure("max_ms", "longest stall, ms", more=False),
        ),
    ),
}

OPENING: Final = """\
# Benchmarks

A node of ours beside stock python-socketio and Node's Socket.IO, measured by `make bench`, which anybody can run: it
brings all of them along. This page and its charts are made from [`benchmarks/results.json`](benchmarks/results.json),
where every run is kept; `make bench WRITE=1` writes all of it anew.
"""

HOW: Final = """\
## How it is measured

- The server has one core to itself; the load client, the publisher and Valkey share another. Every figure is of a
  server that was just started, with an empty Redis. The servers take turns in each round; a figure is the median of the
  rounds, a factor the median of what each round says, for machines drift.
- The load client is [`bench/load.c`](../bench/load.c): one thread, WebSocket, the whole Socket.IO handshake, joins with
  acknowledgements. It reads every event and counts what is missing, twice or out of order; a figure with such faults
  says so in brackets. **{limited}** marks figures for which the load's core was full: the server could perhaps do more.
- *In process*: events are published inside the server. *Through Redis*: in another process, by python-socketio's
  `AsyncRedisManager`, Node's `@socket.io/redis-streams-adapter`, or into the Redis Stream that our nodes read, without
  Postgres in front. What a webhook takes through ingest and Postgres is in the [README](../README.md#how-fast).
- The others run as their documentation has them: python-socketio on aiohttp and uvloop; Node without compression, as
  is its default. Ours adds a cursor of some 20 bytes to each event, from which a client goes on after a loss.
"""


def terminal(results: Results) -> str:
    """All tables, for a person at a terminal."""
    parts = []
    for name, measured in results.cases.items():
        chapter = CHAPTERS[name]
        parts.append(f"{chapter.title} ({_effort(measured)})")
        parts += [table(head, rows) for head, rows in tables(chapter, measured.runs)]
    text = "\n\n".join(parts)
    return f"{text}\n\n†: the load's core was full" if LIMITED in text else text


def page(results: Results) -> str:
    """``docs/benchmarks.md``."""
    parts = [OPENING]
    for name, chapter in CHAPTERS.items():
        if name not in results.cases:
            continue
        measured = results.cases[name]
        parts.append(f"## {chapter.title}\n\n{_wrapped(chapter.text)}\n")
        parts += [f"![{it.title}](benchmarks/{it.chart}.svg)\n" for it in _charted(chapter)]
        for head, rows in tables(chapter, measured.runs):
            lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
            parts.append("\n".join(f"| {' | '.join(it)} |" for it in lines) + "\n")
        parts.append(f"Measured on {measured.date}: {_effort(measured)}.\n")
    parts.append(HOW.format(limited=LIMITED.strip()))
    versions = "\n".join(f"| {name} | {said} |" for name, said in results.machine.items())
    parts.append(f"## Machine and versions\n\n| | |\n| --- | --- |\n{versions}\n")
    return "\n".join(parts)


def charts(results: Results) -> dict[str, str]:
    """The charts by their file's name."""
    found = {}
    for name, measured in results.cases.items():
        chapter = CHAPTERS[name]
        for figure in _charted(chapter):
            groups = []
            for of in _rows(measured.runs):
                row = [(i, it) for i, server in enumerate(NAMES) if (it := cell(measured.runs, server, of, figure.key))]
                groups.append(Group(of, [Bar(i, it.value if it.holds else None, figure.said(it)) for i, it in row]))
            found[f"{figure.chart}.svg"] = bars(f"{chapter.title}: {figure.title}", NAMES, groups)
    return found


def tables(chapter: Chapter, runs: Sequence[Run]) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Each table of a case: its head, its rows."""
    for figure in chapter.beside:
        rows = []
        for of in _rows(runs):
            cells = [cell(runs, server, of, figure.key) for server in NAMES]
            said = ["–" if it is None else figure.said(it) for it in cells]
            rows.append([of, *said, *(_factor(runs, figure, peer, of) for peer in PEERS)])
        yield [figure.title, *NAMES, *(f"better than {it}" for it in PEERS)], rows
    if chapter.together:
        rows = []
        for of in _rows(runs):
            for server in NAMES:
                cells = [cell(runs, server, of, it.key) for it in chapter.together]
                if any(cells):
                    rows.append([f"{of}: {server}", *_line(chapter.together, cells)])
        yield ["", *(it.title for it in chapter.together)], rows


def _line(figures: Sequence[Figure], cells: Sequence[Cell | None]) -> Iterator[str]:
    """Marks once, with the first figure."""
    for i, (figure, it) in enumerate(zip(figures, cells, strict=True)):
        yield "–" if it is None else figure.said(it) if i == 0 else f"{it.value:,.{figure.digits}f}"


def _factor(runs: Sequence[Run], figure: Figure, peer: str, of: str) -> str:
    """How many times better ours is; nothing where a figure is worth nothing."""
    ours, theirs = cell(runs, OURS, of, figure.key), cell(runs, peer, of, figure.key)
    if ours is None or theirs is None or ours.faults or theirs.faults:
        return "–"
    times = ratio(runs, OURS, peer, of, figure.key) if figure.more else ratio(runs, peer, OURS, of, figure.key)
    return "–" if times is None else f"{times:,.1f} ×" if times < 100 else f"{times:,.0f} ×"


def _effort(measured: Measured) -> str:
    return f"{measured.rounds} round{'s' * (measured.rounds != 1)} of {measured.seconds:g} s"


def _rows(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(it.of for it in runs))


def _charted(chapter: Chapter) -> list[Figure]:
    return [it for it in (*chapter.beside, *chapter.together) if it.chart]


def _wrapped(text: str) -> str:
    lines, line = [], ""
    for word in text.split():
        if len(line) + 1 + len(word) > 120:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])
