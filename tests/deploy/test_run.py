"""``make run`` itself: everything comes up, everything goes, nothing of yours is overruled."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.environment import SECRETS, Folder, Ports, child_environment, is_on_this_machine
from deploy.local.errors import LocalFault
from deploy.local.processes import is_free, wait_for
from deploy.local.terminal import worth_repeating
from deploy.local.watch import line
from tests.processes import ROOT

OURS = ("DATABASE_URL", "REDIS_URL", "HOST", "PORT", "ALLOWED_ORIGINS", *SECRETS)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    found = Folder({"BITPAY_LOCAL_DIR": str(tmp_path)})
    yield found
    found.release()


def test_everything_starts_and_one_signal_ends_all_of_it(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    environ |= {"BITPAY_LOCAL_DIR": str(tmp_path), "BITPAY_BLOCK_S": "0.1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout
        said = ""
        for text in run.stdout:
            said += text
            if "psql" in text:
                break
        try:
            assert run.poll() is None, said
            ports = sorted({int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", said)})
            (ingest,) = re.findall(r"POST (http://\S+)/webhooks", said)
            wait_for(lambda: told(f"{ingest}/metrics") > 0, 20, f"no block arrived:\n{said}")
            (page,) = re.findall(r"page +(http://\S+?)/\n", said)
            commanded(page)
        finally:
            run.send_signal(signal.SIGINT)
            said += run.stdout.read()
            status = run.wait(60)
    assert 0 == status, said
    assert "stopped" in said
    assert len(ports) >= 4
    assert [] == [port for port in ports if not is_free(port)]
    subprocess.run([sys.executable, "-m", "deploy.local", "clean"], cwd=ROOT, env=environ, check=True, timeout=30)
    assert [] == list(tmp_path.iterdir())


def commanded(page: str) -> None:
    """One pass over the control panel, as the page asks."""
    control = asked(f"{page}/page/status.json")["control"]
    origin = {"origin": page, "content-type": "application/json"}
    assert {"ok": True, "paused": True} == asked(f"{control}/feed", origin, {"paused": True})
    made = asked(f"{control}/chain", origin, {"do": "create"})
    assert made["ok"]
    assert made["streamId"]
    assert 2 == asked(f"{control}/chain", origin, {"do": "reorg", "depth": 2})["rolledBack"]
    assert asked(f"{control}/redis", origin, {"do": "empty"})["ok"]
    for do in ("kill", "start"):
        assert asked(f"{control}/nodes/fanout-2", origin, {"do": do})["ok"]
    wait_for(lambda: asked(f"{control}/", origin)["nodes"][1]["alive"], 20, "the node did not come back")


def asked(url: str, headers: dict[str, str] | None = None, body: object = None) -> dict[str, Any]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, headers or {})
    found: dict[str, Any] = json.load(urllib.request.urlopen(request, timeout=30))
    return found


def told(metrics: str) -> float:
    """How many entries the outbox has."""
    text = urllib.request.urlopen(metrics, timeout=10).read().decode()
    (head,) = re.findall(r"^bitpay_outbox_head_seq (\S+)", text, re.MULTILINE)
    return float(head)


def test_a_second_run_on_the_same_directory_is_refused(folder: Folder) -> None:
    with pytest.raises(LocalFault, match="in use by another run"):
        Folder({"BITPAY_LOCAL_DIR": str(folder.path)})


def test_your_own_variables_win(folder: Folder) -> None:
    ports = Ports(3000, (4000, 4001))
    told = child_environment({"HOST": "0.0.0.0", "JWT_SECRET": "mine", "STACKS_NETWORK": ""}, folder, "d", "r", ports)
    assert ("0.0.0.0", "mine", "testnet", "d", "r") == tuple(
        told[name] for name in ("HOST", "JWT_SECRET", "STACKS_NETWORK", "DATABASE_URL", "REDIS_URL")
    )
    assert (
        "http://127.0.0.1:4000,http://localhost:4000,http://127.0.0.1:4001,http://localhost:4001"
        == (told["ALLOWED_ORIGINS"])
    )


def test_secrets_are_made_once_and_readable_by_nobody_else(folder: Folder) -> None:
    made = {name: folder.secret(name) for name in SECRETS}
    assert len(set(made.values())) == len(SECRETS)
    assert made == {name: folder.secret(name) for name in SECRETS}
    assert all(0 == folder.secret_file(name).stat().st_mode & 0o077 for name in SECRETS)
    assert all(len(secret) >= 32 for secret in made.values())


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("postgresql://u:p@127.0.0.1:5432/x", True),
        ("postgres://localhost/x", True),
        ("postgresql:///x?host=/tmp", True),
        ("postgresql://u:p@db.example.com/x", False),
        ("postgresql://[broken/x", False),
    ],
)
def test_only_databases_of_this_machine_get_simulated_events(url: str, here: bool) -> None:
    assert here is is_on_this_machine(url)


@pytest.mark.parametrize(
    ("logged", "repeated"),
    [
        ('{"level":"info","message":"fine"}', None),
        ('{"level":"warning","message":"slow","seq":3}', "warning: slow seq=3"),
        ('{"level":"error","message":"no","where":["a:1"]}', "error: no"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("7", None),
        ("", None),
    ],
)
def test_warnings_and_errors_are_repeated(logged: str, repeated: str | None) -> None:
    assert repeated == worth_repeating(logged)


def test_an_event_is_one_line_with_exact_amounts() -> None:
    payload = {"type": "withdrawal", "data": {"streamId": "42", "amount": "340282366920938463463374607431768211455"}}
    found = line("stream:updated", payload, "e.7-1").split()
    assert ["stream:updated", "withdrawal", "#42", "3402823669209384634633746074317.68211455"] == found[1:5]
    assert "e.7-1" == found[-1]
    assert "0.00000001 sBTC" in line("stream:withdrawal", {"data": {"amount": "1"}}, None)
    assert line("room:error", {}, None).endswith("room:error")
