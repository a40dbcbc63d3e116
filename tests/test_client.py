"""The TypeScript package: its types hold, its laws hold, and it stays small."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

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


def test_pages_written_for_the_earlier_hooks_compile_as_they_are() -> None:
    run("node", "node_modules/typescript/bin/tsc", "-p", "example/tsconfig.json")


def test_what_the_documentation_shows_compiles() -> None:
    """Strictly, in a folder inside the package, where its imports are found."""
    shown = re.findall(r"^```tsx\n(.*?)^```", (CLIENT.parent / "docs/client.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(shown) >= 6
    with TemporaryDirectory(dir=CLIENT, prefix=".shown-") as folder:
        for number, code in enumerate(shown):
            (Path(folder) / f"shown{number}.tsx").write_text(code)
        example = json.loads((CLIENT / "example/tsconfig.json").read_text())
        (Path(folder) / "tsconfig.json").write_text(json.dumps({**example, "include": ["*.tsx", "../page/css.d.ts"]}))
        run("node", "node_modules/typescript/bin/tsc", "-p", f"{folder}/tsconfig.json")


def test_the_built_package_loads_and_says_any_to_nobody(tmp_path: Path) -> None:
    run("node", "node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", str(tmp_path))
    (tmp_path / "node_modules").symlink_to(CLIENT / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for entry, name in (("index.js", "Realtime"), ("react.js", "useStream")):
        run("node", "--input-type=module", "-e", f"if (!(await import('{tmp_path}/{entry}')).{name}) process.exit(1)")
    for declared in tmp_path.glob("*.d.ts"):
        said = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", "", declared.read_text(), flags=re.DOTALL)
        assert not re.search(r"\bany\b", said), declared.name
