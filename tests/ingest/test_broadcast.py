"""Broadcasts: who may, what may be said to whom, and that it is said once and heard like everything else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ingest.http
from deploy.local.services import Postgres
from ingest.broadcast import BODY_MAX, DEPTH_MAX, Speaker
from ingest.delivery import ascii_json
from ingest.http import web_app
from ingest.recorder import Recorder
from shared import outbox, tables
from shared.database import Pool, open_database
from shared.domain import clarity
from shared.domain.chain import INT64_MAX
from shared.settings import IngestSettings
from shared.telemetry import bearer_matches
from tests.builders import ALICE, CONTRACTS, a_delivery, block, stream_created, stream_withdrawal
from tests.end_to_end.client import client
from tests.ingest.test_http import NOT_JSON, WEBHOOK, refusal, untouched
from tests.processes import Processes
from tests.stored import contents, emissions, rows

MAINNET = clarity.address(22, bytes([1]) * 20)
MULTISIG = clarity.address(21, bytes([1]) * 20)
NOTICE: dict[str, Any] = {"type": "global", "event": "notice", "payload": {"text": "maintenance at noon"}}
OURS = (
    "stream:",
    "nft:",
    "marketplace:",
    "treasury:",
    "access-control:",
    "chain:",
    "notification:",
    "system:",
    "room:",
)
KEY = "idempotency-key"


@pytest.fixture
def config(ingest_config: IngestSettings) -> IngestSettings:
    return replace(ingest_config, broadcast_tokens=(b"one", b"two"))


@pytest.fixture
async def operator(config: IngestSettings, recorder: Recorder, database: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest's routes in this process, with a client that may broadcast."""
    async with door(config, recorder, Speaker(database, config.store_wait_s, lambda head: None)) as found:
        yield found


@asynccontextmanager
async def door(
    settings: IngestSettings, recorder: Recorder, speaker: Speaker | None
) -> AsyncIterator[httpx.AsyncClient]:
    async def check() -> dict[str, str]:
        return {}

    transport = httpx.ASGITransport(web_app(settings, recorder, check, speaker))
    headers = {"authorization": "Bearer one", "content-type": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as found:
        yield found


async def say(operator: httpx.AsyncClient, body: object, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {KEY: key}
    return await operator.post("/broadcast", content=ascii_json(body).encode(), headers=headers)


async def said(operator: httpx.AsyncClient, body: object, key: str | None = None) -> dict[str, Any]:
    """The answer to a broadcast that is accepted."""
    answer = await say(operator, body, key)
    assert 200 == answer.status_code, answer.text
    found: dict[str, Any] = answer.json()
    assert ["success", "id", "offset", "duplicate"] == list(found)
    assert found["success"] is True
    return found


def id_of(key: str) -> str:
    return hashlib.sha256(f"broadcast:{key}".encode()).hexdigest()[:32]


def but(**changes: object) -> dict[str, Any]:
    """The notice with other fields; None leaves one out."""
    return {name: value for name, value in {**NOTICE, **changes}.items() if value is not None}


# -- type, target → room

ROOMS: list[tuple[str, object, str]] = [
    ("user", ALICE, f"user:{ALICE}"),
    ("user", MULTISIG, f"user:{MULTISIG}"),
    ("stream", "0", "stream:0"),
    ("stream", "42", "stream:42"),
    ("stream", 42, "stream:42"),
    ("stream", str(INT64_MAX), f"stream:{INT64_MAX}"),
    ("stream", INT64_MAX, f"stream:{INT64_MAX}"),
    ("marketplace", None, "marketplace"),
    ("treasury", None, "treasury"),
    ("access-control", None, "access-control"),
    ("global", None, "global"),
]


async def test_type_and_target_are_a_room(operator: httpx.AsyncClient, database: Pool) -> None:
    for kind, target, _ in ROOMS:
        await said(operator, but(type=kind, target=target))
    assert [room for _, _, room in ROOMS] == [room for _, _, room, _, _ in await emissions(database)]
    await said(operator, {**NOTICE, "target": None})


NO_ROOMS: list[tuple[dict[str, object], str]] = [
    *(
        ({"type": kind}, "type")
        for kind in (None, "", "Global", "users", "stream:1", "user:", 1, True, [], {}, "\ud800")
    ),
    *(({"type": "user", "target": it}, "target") for it in (None, "", 1, [], ALICE.lower(), ALICE[:-1], f" {ALICE}")),
    *(({"type": "user", "target": it}, "target") for it in (MAINNET, CONTRACTS.core, f"{ALICE}.", f"user:{ALICE}")),
    *(({"type": "stream", "target": it}, "target") for it in (None, "", "x", "01", "-1", "1.0", " 1", "1\n", "1e3")),
    *(
        ({"type": "stream", "target": it}, "target")
        for it in (-1, 1.0, True, 2**63, str(2**63), "\u0661", [1], "1" * 99)
    ),
    *(
        ({"type": kind, "target": it}, "target")
        for kind in ("marketplace", "treasury", "access-control", "global")
        for it in ("1", "", 0, False, ALICE, [])
    ),
]


async def test_what_is_no_room_is_refused_by_the_name_of_the_field(operator: httpx.AsyncClient) -> None:
    for changes, field in NO_ROOMS:
        answer = await say(operator, but(**changes))
        assert (422, "BAD_REQUEST") == refusal(answer), changes
        assert f"no broadcast: {field} " in answer.json()["error"]["message"], changes


async def test_a_user_is_an_address_of_the_configured_network(
    config: IngestSettings, recorder: Recorder, database: Pool
) -> None:
    common = replace(config.common, network="mainnet")
    async with door(replace(config, common=common), recorder, Speaker(database, 5, lambda head: None)) as operator:
        await said(operator, but(type="user", target=MAINNET))
        assert (422, "BAD_REQUEST") == refusal(await say(operator, but(type="user", target=ALICE)))


# -- event → name


async def test_names_are_free_but_for_ours(operator: httpx.AsyncClient, database: Pool) -> None:
    names = [
        "a",
        "notice",
        "z9:-",
        "a" * 64,
        "connected",
        "connect:x",
        "stream",
        "streams:x",
        "x:stream:created",
        "nft-x",
    ]
    for name in names:
        await said(operator, but(event=name))
    assert names == [name for _, _, _, name, _ in await emissions(database)]


NO_NAMES = [
    *("", "a" * 65, "A", "Notice", "9a", ":a", "-a", "a b", "a_b", "a.b", "a/b", "a\n", "\na", "é", "a\0", "\ud800"),
    *(1, True, [], {}, ["notice"]),
    *("connect", "disconnect", "disconnecting"),
    *(prefix + rest for prefix in OURS for rest in ("", "created", "updated", "-")),
]


async def test_no_name_of_ours_and_of_socket_io_can_be_forged(operator: httpx.AsyncClient, database: Pool) -> None:
    for name in (*NO_NAMES, None):
        answer = await say(operator, but(event=name))
        assert (422, "BAD_REQUEST") == refusal(answer), name
        assert "no broadcast: event " in answer.json()["error"]["message"]
    assert [] == await emissions(database)


# -- the emission


async def test_an_emission_has_its_words_and_nothing_of_the_chain(operator: httpx.AsyncClient, database: Pool) -> None:
    told = {"amount": 2**128, "rate": 0.1, "marketplace": {"z": None, "a": [True, "caf\u00e9 \U0001f4a9"]}, "": ""}
    answer = await said(operator, {**NOTICE, "type": "marketplace", "payload": told, "sent": "by whom"}, "maintenance")
    assert {"success": True, "id": id_of("maintenance"), "offset": "1-0", "duplicate": False} == answer
    (row,) = await rows(database, tables.outbox)
    assert (1, 0, id_of("maintenance"), "broadcast") == (row.seq, row.n, row.event_id, row.op)
    assert ("marketplace", "notice") == (row.room, row.name)
    assert list(told) == list(row.payload["data"])
    assert row.payload == {
        "type": "notice",
        "data": told,
        "meta": {
            "v": 1,
            "offset": "1-0",
            "id": id_of("maintenance"),
            "room": "marketplace",
            "op": "broadcast",
            "event": None,
            "contract": None,
            "txIndex": None,
            "eventIndex": None,
            "reapplied": False,
            "late": False,
        },
    }


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i in range(levels):
        found = {"x": [found] if i % 2 else found}
    return found


NO_PAYLOADS: list[object] = [
    *("text", "", 1, 0, True, False, [], [{}], [NOTICE]),
    *({"x": it} for it in ("\0", "a\0b", "\ud800", "\udfff", "\udc00\ud800", ["\0"], {"y": {"z": ["\ud83d"]}})),
    *({it: 1} for it in ("\0", "\ud800", "a\udfff")),
    *(nested(levels) for levels in (DEPTH_MAX, 200)),
]


async def test_what_cannot_be_kept_is_refused(operator: httpx.AsyncClient, database: Pool) -> None:
    for told in (*NO_PAYLOADS, None):
        answer = await say(operator, but(payload=told))
        assert (422, "BAD_REQUEST") == refusal(answer), told
        assert "no broadcast: payload " in answer.json()["error"]["message"]
    for body in ([], [NOTICE], "notice", 1, None, {}, {"broadcast": NOTICE}):
        assert (422, "BAD_REQUEST") == refusal(await say(operator, body))
    assert [] == await emissions(database)


async def test_no_depth_of_nesting_is_a_defect_of_ours(operator: httpx.AsyncClient) -> None:
    answered = []
    for levels in (1, DEPTH_MAX // 2, DEPTH_MAX, *range(DEPTH_MAX + 1, 1100, 13), 10_000):
        told = b'{"x":' + b"[" * (levels - 1) + b"1" + b"]" * (levels - 1) + b"}"
        body = ascii_json(but(payload="HERE")).encode().replace(b'"HERE"', told)
        answered.append((await operator.post("/broadcast", content=body)).status_code)
    assert [200, 200, 200] == answered[:3]
    assert {400, 422} == set(answered[3:])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**300), 2**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=32)), inner),
    max_leaves=20,
)


@settings(max_examples=60)
@given(told=st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), JSON))
async def test_any_payload_arrives_as_it_was_given(
    operator: httpx.AsyncClient, database: Pool, told: dict[str, object]
) -> None:
    seq = int((await said(operator, but(payload=told)))["offset"].partition("-")[0])
    async with database.acquire() as connection:
        (entry,) = await outbox.read(connection, after=seq - 1)
    (spoken,) = entry.spoken
    name, found = json.loads(b"[" + spoken.words + b"]")
    assert "notice" == name
    assert repr(told) == repr(found["data"])  # true is not 1, and 1.0 is not 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=150)
@given(
    body=st.binary(max_size=60)
    | ANYTHING.map(lambda it: json.dumps(it).encode())
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["user", "stream", "global"]) | ANYTHING,
            "target": st.sampled_from([ALICE, "1"]) | ANYTHING,
            "event": st.sampled_from(["a", "stream:x"]) | ANYTHING,
            "payload": st.dictionaries(st.text(), ANYTHING, max_size=3) | ANYTHING,
        },
    ).map(lambda it: json.dumps(it).encode())
)
@example(body=b'{"type":"global","event":"a","payload":{"x":"\\ud800"},"more":1e400}')
@example(body=b'{"type":"\\udfff","event":"\\udfff","payload":{}}')
async def test_no_body_is_answered_with_a_defect_of_ours(operator: httpx.AsyncClient, body: bytes) -> None:
    answer = await operator.post("/broadcast", content=body)
    if answer.status_code != 200:
        assert refusal(answer) in ((400, "BAD_REQUEST"), (422, "BAD_REQUEST"))


# -- Idempotency-Key


async def test_the_same_key_again_is_the_same_answer_and_nothing_more(
    operator: httpx.AsyncClient, database: Pool
) -> None:
    first = await said(operator, but(payload={"a": 1, "b": {"c": [1], "d": 2}}), "k")
    held = await contents(database)
    for told in ({"a": 1, "b": {"c": [1], "d": 2}}, {"b": {"d": 2, "c": [1]}, "a": 1}):
        assert {**first, "duplicate": True} == await said(operator, but(payload=told), "k")
    assert held == await contents(database)
    stream = await said(operator, but(type="stream", target="7"), "k2")
    assert {**stream, "duplicate": True} == await said(operator, but(type="stream", target=7), "k2")


@pytest.mark.parametrize("doors", [1, 2], ids=["one process", "two processes"])
async def test_the_same_key_at_once_is_said_once(
    config: IngestSettings, recorder: Recorder, database: Pool, doors: int
) -> None:
    speakers = [Speaker(database, 20, lambda head: None) for _ in range(doors)]
    async with door(config, recorder, speakers[0]) as one, door(config, recorder, speakers[-1]) as two:
        answers = await asyncio.gather(*(said((one, two)[i % 2], NOTICE, "k") for i in range(10)))
    assert [False] + [True] * 9 == sorted(it.pop("duplicate") for it in answers)
    assert [answers[0]] * 10 == answers
    assert 1 == len(await rows(database, tables.outbox))


async def test_another_broadcast_under_the_same_key_is_a_conflict(operator: httpx.AsyncClient, database: Pool) -> None:
    told = but(type="stream", target="7", payload={"n": 1, "t": True, "x": None})
    await said(operator, told, "k")
    held = await contents(database)
    others: list[dict[str, object]] = [
        {"target": "8"},
        {"type": "global", "target": None},
        {"event": "notices"},
        *({"payload": it} for it in ({}, {"n": 1, "t": True}, {"n": 2, "t": True, "x": None})),
        *({"payload": it} for it in ({"n": 1, "t": 1, "x": None}, {"n": "1", "t": True, "x": None})),
    ]
    for changes in others:
        answer = await say(operator, {name: it for name, it in {**told, **changes}.items() if it is not None}, "k")
        assert (409, "CONFLICT") == refusal(answer), changes
    assert held == await contents(database)


async def test_a_key_is_1_to_128_printable_ascii_characters(operator: httpx.AsyncClient, database: Pool) -> None:
    good = ["k", "~" * 128, "a b", '"quoted"', "K"]
    for key in good:
        assert id_of(key) == (await said(operator, NOTICE, key))["id"]
    bad: list[bytes] = [b"", b"k" * 129, b"caf\xc3\xa9", b"\xe9", b"\x7f", b"a\tb", b"a\0b"]
    for raw in bad:
        answer = await operator.post("/broadcast", content=untouched(), headers={KEY.encode(): raw})
        assert (422, "BAD_REQUEST") == refusal(answer), raw
        assert "Idempotency-Key" in answer.json()["error"]["message"]
    twice = [*operator.headers.raw, (KEY.encode(), b"k"), (KEY.encode(), b"k")]
    assert 422 == (await operator.post("/broadcast", content=untouched(), headers=twice)).status_code
    assert len(good) == len(await rows(database, tables.outbox))


async def test_without_a_key_each_is_a_new_one(operator: httpx.AsyncClient) -> None:
    answers = [await said(operator, NOTICE) for _ in range(3)]
    assert 3 == len({it["id"] for it in answers})
    assert {False} == {it["duplicate"] for it in answers}


async def test_a_key_is_free_again_when_its_entry_is_no_longer_kept(
    operator: httpx.AsyncClient, database: Pool
) -> None:
    first = await said(operator, NOTICE, "k")
    await said(operator, NOTICE, "later")
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL bitpay.retention = 'on'")
        await connection.execute("DELETE FROM outbox WHERE seq = 1")
    assert {**first, "offset": "3-0"} == await said(operator, but(event="other"), "k")


# -- the answer


async def test_without_the_variable_there_is_no_such_route(
    ingest_config: IngestSettings, recorder: Recorder, database: Pool, operator: httpx.AsyncClient
) -> None:
    assert () == ingest_config.broadcast_tokens
    async with door(ingest_config, recorder, Speaker(database, 5, lambda head: None)) as closed:
        for method in ("POST", "GET"):
            assert (404, "NOT_FOUND") == refusal(await closed.request(method, "/broadcast", content=untouched()))
    assert (405, "UNSUPPORTED") == refusal(await operator.get("/broadcast"))
    assert 200 == (await operator.post("/broadcast/", json=NOTICE)).status_code


async def test_each_token_opens_and_nothing_else_does(
    operator: httpx.AsyncClient, database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[bytes, tuple[bytes, ...]]] = []

    def watched(header: bytes, tokens: tuple[bytes, ...]) -> bool:
        asked.append((header, tokens))
        return bearer_matches(header, tokens)

    monkeypatch.setattr(ingest.http, "bearer_matches", watched)  # which compares in constant time
    for good in ("Bearer one", "Bearer two", "bearer   two"):
        assert 200 == (await operator.post("/broadcast", json=NOTICE, headers={"authorization": good})).status_code
    held = await contents(database)
    bad: list[str | bytes] = ["", "Bearer", "Bearer ", "Bearer on", "Bearer ONE", "one", "Basic one", "Bearer one,two"]
    bad += ["Bearer test-secret", b"Bearer \xff", "Bearer one two"]
    for header in bad:
        raw = header if isinstance(header, bytes) else header.encode()
        answer = await operator.post("/broadcast", content=untouched(), headers={b"authorization": raw})
        assert (401, "UNAUTHENTICATED") == refusal(answer), header
    del operator.headers["authorization"]
    for headers in ({}, {"x-chainhook-consumer-secret": "one"}):
        answer = await operator.post("/broadcast", content=untouched(), headers=headers)
        assert (401, "UNAUTHENTICATED") == refusal(answer)
    assert held == await contents(database)
    assert 3 + len(bad) + 2 == len(asked)
    assert {(b"one", b"two")} == {tokens for _, tokens in asked}


async def test_what_is_no_json_is_answered_400(operator: httpx.AsyncClient, database: Pool) -> None:
    small = {name: body for name, body in NOT_JSON.items() if len(body) <= BODY_MAX}
    answered = {name: refusal(await operator.post("/broadcast", content=body)) for name, body in small.items()}
    assert dict.fromkeys(small, (400, "BAD_REQUEST")) == answered
    assert [] == await emissions(database)


async def test_64_kib_pass_and_one_byte_more_is_not_read(operator: httpx.AsyncClient, database: Pool) -> None:
    whole = json.dumps(but(payload={"text": ""})).encode()
    whole = whole.replace(b'""', b'"' + b"x" * (65536 - len(whole)) + b'"')
    assert 65536 == len(whole)
    assert 200 == (await operator.post("/broadcast", content=whole)).status_code
    assert (413, "TOO_LARGE") == refusal(await operator.post("/broadcast", content=whole + b" "))
    declared = await operator.post("/broadcast", content=untouched(), headers={"content-length": "65537"})
    assert (413, "TOO_LARGE") == refusal(declared)
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b" " * 1024

    assert (413, "TOO_LARGE") == refusal(await operator.post("/broadcast", content=endless()))
    assert 65 == given
    assert 1 == len(await rows(database, tables.outbox))


async def test_what_is_not_plain_json_by_its_own_word_is_refused_unread(operator: httpx.AsyncClient) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-type": ""}, {"content-encoding": "gzip"}):
        answer = await operator.post("/broadcast", content=untouched(), headers=headers)
        assert (415, "UNSUPPORTED") == refusal(answer)


async def test_a_broadcast_waits_for_the_store_and_is_refused_when_it_stays_away(
    config: IngestSettings, recorder: Recorder, postgres: Postgres
) -> None:
    async with (
        open_database(postgres.url(f"test_{os.urandom(6).hex()}"), "tests") as away,
        door(config, recorder, Speaker(away, 0.2, lambda head: None)) as operator,
    ):
        answers = await asyncio.gather(*(say(operator, NOTICE) for _ in range(3)))
    assert [(503, "UNAVAILABLE")] * 3 == [refusal(answer) for answer in answers]


async def test_a_store_that_hangs_is_given_up_in_time(
    config: IngestSettings, recorder: Recorder, database: Pool
) -> None:
    async with (
        door(config, recorder, Speaker(database, 0.3, lambda head: None)) as operator,
        database.acquire() as other,
        other.transaction(),
    ):
        await outbox.head(other, lock=True)
        assert (503, "UNAVAILABLE") == refusal(await say(operator, NOTICE, "k"))
    assert [] == await emissions(database)


async def test_a_store_that_comes_back_in_time_was_never_away(
    config: IngestSettings, recorder: Recorder, postgres: Postgres
) -> None:
    name = f"test_{os.urandom(6).hex()}"
    owner = await asyncpg.connect(postgres.url())
    try:
        async with (
            open_database(postgres.url(name), "tests") as late,
            door(config, recorder, Speaker(late, 20, lambda head: None)) as operator,
        ):
            waiting = asyncio.create_task(said(operator, NOTICE))
            await owner.execute(f"CREATE DATABASE {name} TEMPLATE template_bitpay")
            assert "1-0" == (await waiting)["offset"]
    finally:
        await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await owner.close()


async def test_a_defect_of_ours_is_answered_and_leaves_nothing(operator: httpx.AsyncClient, database: Pool) -> None:
    await database.execute("ALTER TABLE outbox ADD CONSTRAINT defect CHECK (name <> 'defect')")
    assert (500, "UNAVAILABLE") == refusal(await say(operator, but(event="defect"), "k"))
    assert {"offset": "1-0", "duplicate": False}.items() <= (await said(operator, NOTICE, "k")).items()


# -- an entry like every other


async def test_the_relay_is_woken_with_what_is_committed_and_for_nothing_else(
    config: IngestSettings, recorder: Recorder, database: Pool
) -> None:
    heads: list[outbox.Head] = []
    async with door(config, recorder, Speaker(database, 5, heads.append)) as operator:
        await said(operator, NOTICE, "k")
        async with database.acquire() as connection:
            assert heads == [await outbox.head(connection)]
        assert (409, "CONFLICT") == refusal(await say(operator, but(event="other"), "k"))
        await said(operator, NOTICE)
    assert [1, 2] == [head.offset.seq for head in heads]


async def test_broadcasts_and_events_are_numbered_in_one_order_without_a_gap(
    operator: httpx.AsyncClient, ingest: httpx.AsyncClient, database: Pool
) -> None:
    deliveries = [a_delivery().applies(block(7 + i, stream_created(i))).encoded() for i in range(20)]
    answers = await asyncio.gather(
        *(ingest.post(WEBHOOK, content=body) for body in deliveries),
        *(say(operator, NOTICE, f"k{i}") for i in range(20)),
        say(operator, but(event="stream:forged")),
    )
    assert [200] * 40 + [422] == [answer.status_code for answer in answers]
    entries = await rows(database, tables.outbox)
    assert list(range(1, 41)) == sorted({row.seq for row in entries})
    offsets = [answer.json()["offset"] for answer in answers[20:40]]
    assert sorted(offsets) == sorted(f"{row.seq}-{row.n}" for row in entries if row.op == "broadcast")


async def test_a_rollback_takes_no_broadcast_back(
    operator: httpx.AsyncClient, ingest: httpx.AsyncClient, database: Pool
) -> None:
    told = block(7, stream_created(7), stream_withdrawal(7))
    await ingest.post(WEBHOOK, content=a_delivery().applies(told).encoded())
    await said(operator, but(type="stream", target="7"))
    before = await emissions(database)
    back = await ingest.post(WEBHOOK, content=a_delivery().rolls_back(told).encoded())
    assert 2 == back.json()["reverted"]
    assert "notice" not in [name for _, _, _, name, _ in (await emissions(database))[len(before) :]]


async def test_a_broadcast_is_heard_in_its_room_by_real_sockets_of_every_node(processes: Processes) -> None:
    ingest, closed = processes.start("ingest", BROADCAST_TOKEN="words, other"), processes.start("ingest")
    nodes = [processes.start("fanout") for _ in range(2)]
    headers = {"authorization": "Bearer other"}
    async with (
        client(nodes[0].url, "stream:7") as one,
        client(nodes[1].url, "stream:8") as two,
        httpx.AsyncClient(headers=headers) as operator,
    ):

        async def broadcast(body: dict[str, Any], key: str) -> dict[str, Any]:
            answer = await operator.post(f"{ingest.url}/broadcast", json=body, headers={KEY: key})
            assert 200 == answer.status_code, answer.text
            found: dict[str, Any] = answer.json()
            return found

        await broadcast(but(type="stream", target=7, payload={"for": "seven"}), "seven")
        for _ in range(2):
            answer = await broadcast(NOTICE, "all")
        await broadcast(but(event="last"), "last")
        for each in (one, two):
            await each.until(lambda it: it.heard and it.heard[-1].name == "last")
        assert ["notice", "notice", "last"] == [it.name for it in one.heard]
        assert ["notice", "last"] == [it.name for it in two.heard]
        assert [(1, 0), (2, 0), (3, 0)] == [it.offset for it in one.heard]
        heard = two.heard[0].payload
        assert (NOTICE["payload"], "notice", "broadcast") == (heard["data"], heard["type"], heard["meta"]["op"])
        assert (answer["id"], answer["offset"]) == (heard["meta"]["id"], heard["meta"]["offset"])
        assert (404, "NOT_FOUND") == refusal(await operator.post(f"{closed.url}/broadcast", json=NOTICE))
        metrics = (await operator.get(f"{ingest.url}/metrics")).text
        assert 'bitpay_broadcasts_total{status="200"} 4.0' in metrics
    assert "maintenance" not in ingest.log.read_text()
