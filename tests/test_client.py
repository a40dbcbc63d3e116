"""The TypeScript package: its types hold, its laws hold, and it stays small."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENT = Path(__file__).parent.parent / "client"
BUDGET = 12_000  # bytes, gzip, core and React entry without socket.io-client and React


def run(*command: str) -> str:
    if shutil.which("node") is None:
        pytest.skip("needs node on the path; CI has it")
    done = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_is_sound_under_the_strict_compiler() -> None:
    run("node", "node_modules/typescript/bin/tsc", "-p", "tsconfig.json")


def test_its_own_tests_pass() -> None:
    run("node", "node_modules/vitest/vitest.mjs", "run")


def test_core_and_react_entry_fit_the_budget() -> None:
    external = ("react", "react/jsx-runtime", "socket.io-client")
    options = ("--bundle", "--minify", "--format=esm", *(f"--external:{it}" for it in external))
    bundle = run("node_modules/.bin/esbuild", "src/react.tsx", *options)
    assert 1_000 < len(gzip.compress(bundle.encode())) <= BUDGET
