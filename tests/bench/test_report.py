"""What the suite makes of runs: medians, ratios within a round, faults said, and a page that says what they say."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.lines import Lines, Pub
from bench.suite.__main__ import DOCS, KEPT, write
from bench.suite.cases import CASES
from bench.suite.figures import Run, cell, ratio
from bench.suite.report import CHAPTERS, charts, page, tables, terminal
from bench.suite.results import Measured, Results
from bench.suite.servers import NODE, OURS, STOCK

MACHINE = {"processor": "One", "Python": "3.11"}


def a_run(server: str, turn: int, rate: float, *, offered: float = 0, **found: float) -> Run:
    figures = {"conns": 10.0, "joined": 10.0, "deliveries_per_s": rate, "p99_ms": 5.0, **found}
    return Run(server, "100 sockets", turn, figures, offered)


def results(*runs: Run, case: str = "one") -> Results:
    return Results(MACHINE, {case: Measured("2026-01-01", 3, 2.0, 60.0, list(runs))})


def test_a_ratio_is_the_median_of_the_rounds_for_the_machine_drifts() -> None:
    runs = [a_run(OURS, i, rate) for i, rate in enumerate((1000, 500, 900))]
    runs += [a_run(NODE, i, rate) for i, rate in enumerate((100, 50, 100))]
    assert 10 == ratio(runs, OURS, NODE, "100 sockets", "deliveries_per_s")
    found = cell(runs, OURS, "100 sockets", "deliveries_per_s")
    assert found
    assert (900, 500, 1000) == (found.value, found.low, found.high)
    assert ratio(runs, OURS, STOCK, "100 sockets", "deliveries_per_s") is None


def test_a_figure_with_a_fault_says_so_and_makes_no_factor() -> None:
    runs = [a_run(OURS, 0, 1000, missing=3), a_run(NODE, 0, 100), a_run(STOCK, 0, 10, core_pct=99)]
    _, rows = next(tables(CHAPTERS["one"], runs))
    assert [["100 sockets", "1,000 (3 missing)", "10 †", "100", "–", "–"]] == rows
    assert "†: the load's core was full" in terminal(results(*runs))


def test_who_cannot_follow_a_schedule_does_not_hold_it_and_has_lost_nothing() -> None:
    late = a_run(STOCK, 0, 500, offered=1000, missing=700)
    assert not late.holds
    assert [] == late.faults
    assert ["700 missing"] == a_run(STOCK, 0, 1000, offered=1000, missing=700).faults
    of_latency = results(late, case="latency")
    assert "does not hold (5.0)" in charts(of_latency)["latency.svg"]


def test_less_is_better_where_it_is() -> None:
    runs = [a_run(OURS, 0, 1, pss_kib_per_conn=2), a_run(STOCK, 0, 1, pss_kib_per_conn=30)]
    _, memory = list(tables(CHAPTERS["connections"], runs))[1]
    assert "15.0 ×" == memory[0][4]


def test_results_are_kept_whole_and_of_one_machine_only() -> None:
    kept = results(a_run(OURS, 0, 1000))
    assert kept == Results.from_json(kept.to_json())
    both = kept.with_cases(results(a_run(OURS, 0, 1), case="payload"))
    assert ["one", "payload"] == list(both.cases)
    with pytest.raises(ValueError, match="processor"):
        kept.with_cases(Results({**MACHINE, "processor": "Other"}))


def test_every_case_has_its_chapter() -> None:
    assert list(CASES) == list(CHAPTERS)


def test_the_page_and_its_charts_are_what_the_results_say(tmp_path: Path) -> None:
    kept = Results.from_json(KEPT.read_text())
    write(kept, tmp_path)
    for path in sorted(tmp_path.rglob("*.*")):
        assert path.read_text() == (DOCS / path.relative_to(tmp_path)).read_text(), f"{path.name}: make bench WRITE=1"
    for name, chart in charts(kept).items():
        assert ET.fromstring(chart).tag.endswith("svg")
        assert f"benchmarks/{name}" in page(kept)


def test_lines_are_read_as_they_come() -> None:
    lines = Lines()
    assert [] == lines.feed(b"room stream:%d 20 100\npub 2")
    assert [Pub(21, 7, "stream:1", "x" * 57), Pub(22, 8, "stream:2", "x" * 57)] == lines.feed(b"1 7\npub 22 8\n")
