"""The table of faults names tests that exist, and has an answer for every row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/faults.md").read_text().splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_the_faults_are_numbered_without_a_gap() -> None:
    assert [str(number) for number in range(1, 46)] == [number for number, *_ in ROWS]
    assert all(len(row) == 3 and all(row) for row in ROWS)


def test_every_test_that_holds_a_fault_off_is_there() -> None:
    for number, fault, held in ROWS:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", held)
        spoken = re.findall(r"`(client/tests/[\w.]+)`: ([^|;]+)", held)
        assert named or spoken or "not yet" in held, f"{number}: nothing holds off: {fault}"
        for path, words in spoken:
            assert f'test("{words.strip()}"' in (ROOT / path).read_text(), words
        for path, name in named:
            tree = ast.parse((ROOT / path).read_text())
            assert name in {it.name for it in tree.body if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)}, name
