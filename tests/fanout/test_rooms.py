"""Who may join what, and what each message is answered; with the real client against a real node."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from bench.deliveries import RECIPIENT, block, body, created
from fanout.access import Asked, Denied, asked
from tests.end_to_end.client import client
from tests.posting import post
from tests.processes import Processes


@pytest.mark.parametrize(
    ("message", "arguments", "answer"),
    [
        ("join-stream-room", ["42"], Asked(True, "stream:42")),
        ("join-stream-room", [42], Asked(True, "stream:42")),
        ("join-stream-room", ["42", {"since": "c"}], Asked(True, "stream:42", "c")),
        ("leave-stream-room", ["0"], Asked(False, "stream:0")),
        ("join-stream-room", [str(2**63 - 1)], Asked(True, f"stream:{2**63 - 1}")),
        ("join-marketplace", [], Asked(True, "marketplace")),
        ("join-treasury", [{"since": "c"}], Asked(True, "treasury", "c")),
        ("leave-access-control", [], Asked(False, "access-control")),
        ("join-global", [], None),
        ("join", [], None),
        ("chat", ["hello"], None),
        ("joinstream-room", ["1"], None),
    ],
)
def test_a_message_names_a_room(message: str, arguments: list[Any], answer: Asked | None) -> None:
    assert answer == asked(message, arguments, "")


@pytest.mark.parametrize("bad", ["042", "-1", "1.0", "", str(2**63), "²", None, True, 1.5, ["1"], -1, 2**63])
def test_a_stream_id_has_one_spelling(bad: object) -> None:
    answer = asked("join-stream-room", [bad], "")
    assert isinstance(answer, Denied)
    assert "BAD_REQUEST" == answer.code


def test_a_user_room_is_closed_until_somebody_can_prove_an_address() -> None:
    for arguments in ([], [RECIPIENT], [{}], [1]):
        answer = asked("join-user-room", arguments, "")
        assert isinstance(answer, Denied)
        assert "UNAUTHENTICATED" == answer.code
    assert Asked(True, f"user:{RECIPIENT}") == asked("join-user-room", [RECIPIENT], "", open_user_rooms=True)
    bad = asked("join-user-room", ["nobody"], "", open_user_rooms=True)
    assert isinstance(bad, Denied)
    assert "BAD_REQUEST" == bad.code


async def test_joins_and_leaves_are_answered_as_the_protocol_says(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout", ROOMS_MAX="3")
    await post(ingest, body(block(100, [created(1)])))
    async with client(node.url, "stream:1") as one:
        ack = one.lines[1]["ack"]
        assert {"ok", "room", "cursor", "replayed", "complete"} == set(ack)
        assert ack["cursor"].endswith(".1-4")
        again = await one.ask("join-stream-room", 1)
        assert ack == again  # joined already: nothing changes
        assert (await one.ask("join-marketplace", {"since": ack["cursor"]}))["complete"] is True
        assert (await one.ask("join-treasury", {"since": "00000000.9-0"}))["complete"] is False
        full = await one.ask("join-access-control")
        assert (False, "access-control", "TOO_MANY_ROOMS") == (full["ok"], full["room"], full["error"]["code"])
        assert {"ok": True, "room": "treasury"} == await one.ask("leave-treasury")
        assert (await one.ask("join-access-control"))["ok"] is True
        refused = await one.ask("join-user-room", RECIPIENT)
        assert ("UNAUTHENTICATED", False) == (refused["error"]["code"], refused["ok"])
        assert "UNAUTHENTICATED" == (await one.ask("authenticate", {"token": "x"}))["error"]["code"]
        one.tell({"emit": "join-stream-room", "args": ["nonsense"]})  # and no acknowledgement asked for
        await one.until(lambda it: any(line.get("name") == "room:error" for line in it.lines))
        error = next(line for line in one.lines if line.get("name") == "room:error")
        assert ["BAD_REQUEST"] == [arguments["error"]["code"] for arguments in error["args"]]


async def test_a_client_that_talks_too_much_is_told_so(processes: Processes) -> None:
    node = processes.start("fanout", MESSAGE_RATE="1", MESSAGE_BURST="3")
    async with client(node.url) as one:
        answers = [await one.ask("join-marketplace") for _ in range(4)]
        assert [True, True, True, False] == [answer["ok"] for answer in answers]
        assert "RATE_LIMITED" == answers[-1]["error"]["code"]


async def test_the_development_switch_opens_user_rooms(processes: Processes) -> None:
    ingest = processes.start("ingest")
    node = processes.start("fanout", BITPAY_ENV="development", DEV_USER_ROOMS="on")
    async with client(node.url, f"user:{RECIPIENT}") as one:
        await post(ingest, body(block(100, [created(1)])))
        await one.until(lambda it: it.heard)
        assert ("stream:created", "recipient") == (one.heard[0].name, one.heard[0].payload["role"])


async def test_other_origins_are_refused_on_every_route(processes: Processes) -> None:
    node = processes.start("fanout", ALLOWED_ORIGINS="https://app.example.com")
    polling = "/socket.io/?EIO=4&transport=polling"
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    upgrade["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    async with httpx.AsyncClient(base_url=node.url) as http:
        for path in ("/api/streams", polling, "/socket.io?EIO=4&transport=polling", "/healthz"):
            assert 403 == (await http.get(path, headers={"origin": "https://evil.example.com"})).status_code
            assert 403 == (await http.get(path, headers={"origin": "null"})).status_code
            allowed = await http.get(path, headers={"origin": "https://app.example.com"})
            assert 200 == allowed.status_code
            assert "https://app.example.com" == allowed.headers["access-control-allow-origin"]
            assert 200 == (await http.get(path)).status_code  # no browser
        refused = await http.get(
            "/socket.io/?EIO=4&transport=websocket", headers={**upgrade, "origin": "https://evil.example.com"}
        )
        assert 403 == refused.status_code
        opened = await http.get(polling)
        session = f"/socket.io/?EIO=4&transport=websocket&sid={json.loads(opened.text[1:])['sid']}"
        refused = await http.get(session, headers={**upgrade, "origin": "https://evil.example.com"})
        assert 403 == refused.status_code
        preflight = {"origin": "https://app.example.com", "access-control-request-method": "GET"}
        assert 204 == (await http.options("/api/streams", headers=preflight)).status_code


async def test_a_client_that_sends_nonsense_hurts_nobody(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    async with client(node.url, "stream:1") as one, client(node.url, "stream:1") as two:
        for message, arguments in (("", []), ("join-stream-room", [{"a": [1] * 50}, None]), ("__proto__", [{}])):
            one.tell({"emit": message, "args": arguments})
        one.tell({"emit": "join-stream-room", "args": ["x" * 20_000]})  # larger than a message may be
        await post(ingest, body(block(100, [created(1)])))
        await two.until(lambda it: it.heard)
    assert 200 == httpx.get(f"{node.url}/readyz").status_code
