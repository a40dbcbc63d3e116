"""What is written down about what the server says is up to date, and others can read it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Final

import pytest
from jsonschema import Draft202012Validator

from deploy.catalogue.__main__ import PRINTED, ROOT
from deploy.catalogue.asyncapi import asyncapi
from deploy.catalogue.source import ANSWERED, CLIENT, ROOMS, SPOKEN, rooms_of
from fanout.access import Asked, Denied, Shown, asked
from fanout.messages import MESSAGES, SIGNALS
from shared.domain.schema import SAID
from tests.builders import ALICE
from tests.end_to_end.client import node

PACKAGES: Final = ROOT / "client/node_modules"
HERE: Final = ROOT / "tests/deploy"


def run(*command: object) -> str:
    """What a program of Node.js prints; it must end well."""
    assert PACKAGES.exists(), "no packages of npm: `make test` installs them"
    done = subprocess.run([node(), *map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("option", PRINTED)
def test_what_is_committed_is_what_the_command_prints(option: str) -> None:
    path, made = PRINTED[option]
    assert (ROOT / path).read_text() == made(), f"{path} is out of date: python -m deploy.catalogue --write"


def test_the_command_prints_one_of_them_and_refuses_all_else() -> None:
    command = [sys.executable, "-m", "deploy.catalogue"]
    done = subprocess.run([*command, "--typescript"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert (ROOT / "client/src/catalogue.ts").read_text() == done.stdout
    for wrong in ([], ["--odd"], ["--typescript", "--markdown"]):
        done = subprocess.run([*command, *wrong], capture_output=True, text=True, cwd=ROOT, check=False)
        assert (2, "") == (done.returncode, done.stdout)


def test_typescript_takes_the_types_and_a_listener_uses_them() -> None:
    """Strictly; and nothing is of any type whatever."""
    compiler = PACKAGES / "typescript/bin/tsc"
    options = "--strict --noEmit --noUncheckedIndexedAccess --target es2022 --module nodenext"
    run(compiler, *options.split(), HERE / "listener.ts")
    code = (ROOT / "client/src/catalogue.ts").read_text()
    assert not re.search(r"[:<|&\[(] *any\b", code)
    assert 120 >= max(map(len, code.splitlines()))


def test_the_official_parser_reads_the_asyncapi_document() -> None:
    read = json.loads(run(HERE / "asyncapi.mjs", ROOT / "docs/asyncapi.json", ROOT / "client/package.json"))
    for room in ROOMS:
        assert read[room] == 1 + sum(room in rooms_of(name) for name in SAID)  # and broadcasts
    assert (len(MESSAGES), len(SIGNALS)) == (read["client"], read["connection"])


def test_every_schema_of_the_document_is_one() -> None:
    for schema in asyncapi()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (ROOT / "client/package-lock.json").read_text()


def test_no_two_types_have_one_name() -> None:
    every = {*SPOKEN, *ANSWERED, *CLIENT}
    assert len(every) == len({it.__name__ for it in every})


@pytest.mark.parametrize("name", MESSAGES)
def test_a_client_message_is_understood_as_it_is_described(name: str) -> None:
    message = MESSAGES[name]
    target = [] if message.target is None else [ALICE if "user" in name else "7"]
    options = [] if message.options is None else [{"token": "t", "since": "c"}]
    found = asked(name, [*target, *options], ALICE)
    if name == "authenticate":
        assert Shown("t", "c") == found
    else:
        assert isinstance(found, Asked)
        assert (name.startswith("join-"), "c" if options else None) == (found.joins, found.since)
    if message.target is not None:
        assert message.target_optional != isinstance(asked(name, options, ALICE), Denied)


def test_what_is_not_described_is_not_understood() -> None:
    for name in ("join", "join-global", "leave-global", "stream:updated", "join-streams", "authenticated", "unjoin-x"):
        assert name not in MESSAGES
        assert asked(name, ["7"], ALICE) is None
