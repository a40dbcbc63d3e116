"""Ingest's door: what is answered to which request, and that nothing of a refused one is stored."""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local.services import Postgres
from ingest.delivery import ascii_json
from ingest.http import WEBHOOK_PATHS, web_app
from ingest.recorder import Recorder
from shared import tables
from shared.database import Pool, open_database
from shared.domain.chain import INT64_MAX
from shared.domain.clarity import Ascii, Principal, UInt, Utf8
from shared.settings import IngestSettings
from tests.builders import (
    ALICE,
    CONTRACTS,
    a_delivery,
    block,
    core_print,
    having,
    stream_created,
    stream_withdrawal,
    tx,
    without,
)
from tests.stored import contents, rows

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "deliveries"
WEBHOOK = WEBHOOK_PATHS[0]
GOOD = a_delivery().applies(block(7, stream_created()))
EMPTY: dict[str, list[object]] = {"apply": [], "rollback": []}
NOTHING = {"applied": 0, "known": 0, "reverted": 0, "quarantined": 0}
HASH = "0x" + "ab" * 32


@pytest.fixture
async def before(ingest: httpx.AsyncClient, database: Pool) -> dict[str, list[str]]:
    """What the database holds before the test's own request."""
    assert 200 == (await ingest.post(WEBHOOK, json=EMPTY)).status_code
    return await contents(database)


def counts(answer: httpx.Response) -> dict[str, int]:
    """The counts of a 200 that differ from none at all."""
    assert 200 == answer.status_code, answer.text
    body = answer.json()
    assert body.pop("success") is True
    assert NOTHING.keys() == body.keys()
    return {name: number for name, number in body.items() if number}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal in the shape that all have."""
    body = answer.json()
    assert {"success", "error"} == body.keys()
    assert body["success"] is False
    assert {"code", "message"} == body["error"].keys()
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]


@asynccontextmanager
async def door(settings: IngestSettings, recorder: Recorder) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest's routes with other settings than the fixture's."""

    async def check() -> dict[str, str]:
        return {}

    transport = httpx.ASGITransport(web_app(settings, recorder, check))
    headers = {"authorization": "Bearer test-secret", "content-type": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


async def untouched() -> AsyncIterator[bytes]:
    """A body that must not be asked for."""

    def read() -> bytes:
        pytest.fail("the body was read")

    yield read()


# -- what is stored, and counted


async def test_an_answer_counts_what_became_of_the_events(ingest: httpx.AsyncClient) -> None:
    told = block(7, stream_created(), stream_withdrawal(), without(stream_withdrawal(), "amount"))
    first = await ingest.post(WEBHOOK, content=a_delivery().applies(told).encoded())
    assert {"applied": 2, "quarantined": 1} == counts(first)
    again = a_delivery().applies(told, block(8, stream_withdrawal(amount=1)))
    assert {"applied": 1, "known": 2, "quarantined": 1} == counts(await ingest.post(WEBHOOK, content=again.encoded()))
    back = await ingest.post(WEBHOOK, content=a_delivery().rolls_back(told).encoded())
    assert {"reverted": 2} == counts(back)


async def test_every_webhook_path_with_and_without_a_slash_leads_to_one_handler(ingest: httpx.AsyncClient) -> None:
    for number, path in enumerate(path + slash for path in WEBHOOK_PATHS for slash in ("", "/")):
        told = a_delivery().applies(block(7 + number, stream_created(number)))
        assert {"applied": 1} == counts(await ingest.post(path, content=told.encoded("v2")))
        assert {"known": 1} == counts(await ingest.post(WEBHOOK, content=told.encoded("v1")))


NOT_FOR_US = {
    "v1 empty": EMPTY,
    "v2 empty": a_delivery().body("v2"),
    "a block without transactions": a_delivery().applies(block(7)).body(),
    "v1 failed": a_delivery().applies(block(7, tx(stream_created(), success=False))).body(),
    "v2 failed": a_delivery().applies(block(7, tx(stream_created(), success=False))).body("v2"),
    "one letter more": a_delivery().applies(block(7, replace(stream_created(), contract=f"{CONTRACTS.core}0"))).body(),
    "one letter less": a_delivery().applies(block(7, replace(stream_created(), contract=CONTRACTS.core[:-1]))).body(),
    "other deployer": a_delivery()
    .applies(block(7, replace(stream_created(), contract=f"{ALICE}.bitpay-core-v5")))
    .body(),
    "unknown block back": a_delivery().rolls_back(block(7, stream_created())).body(),
}


async def test_what_is_not_for_us_is_answered_200_and_leaves_no_event(
    ingest: httpx.AsyncClient, database: Pool
) -> None:
    for name, body in NOT_FOR_US.items():
        assert (name, {}) == (name, counts(await ingest.post(WEBHOOK, json=body)))
    held = await contents(database)
    begun = {"market_state", "treasury_state", "treasury_admins", "access_roles", "protocol_state"}
    assert {"deployment", "outbox_head", "chain_tip"} | begun == {name for name, found in held.items() if found}


async def test_an_event_with_an_unknown_name_is_kept_and_told_to_nobody(
    ingest: httpx.AsyncClient, database: Pool
) -> None:
    odd = core_print("stream-paused", {"stream-id": UInt(2**128 - 1), "why": Ascii("maintenance")})
    assert {"applied": 1} == counts(await ingest.post(WEBHOOK, content=a_delivery().applies(block(7, odd)).encoded()))
    (kept,) = await rows(database, tables.chain_events)
    assert {"event": "stream-paused", "stream-id": 2**128 - 1, "why": "maintenance"} == kept.value
    for table in (tables.outbox, tables.event_keys, tables.streams, tables.quarantine):
        assert [] == await rows(database, table)


async def test_many_deliveries_at_once_are_all_taken(ingest: httpx.AsyncClient, database: Pool) -> None:
    """A backfill is one POST a block, fast; whoever has the secret is never told to slow down."""
    bodies = [a_delivery().applies(block(7 + i, stream_created(i))).encoded() for i in range(150)]
    answers = await asyncio.gather(*(ingest.post(WEBHOOK, content=body) for body in bodies))
    assert {200} == {answer.status_code for answer in answers}
    assert 150 == len(await rows(database, tables.streams))


# -- who may


KEYS: list[dict[str, str]] = [
    {"authorization": "Bearer one"},
    {"authorization": "bearer   one"},
    {"authorization": "two"},
    {"authorization": "Bearer Bearer three"},
    {"authorization": "Bearer three"},
    {"x-chainhook-consumer-secret": "two"},
    {"X-Chainhook-Consumer-Secret": "one", "Authorization": "Bearer wrong"},
]


async def test_each_secret_opens_in_each_dress_that_chainhook_gives_it(
    ingest_config: IngestSettings, recorder: Recorder
) -> None:
    settings = replace(ingest_config, secrets=(b"one", b"two", b"Bearer three"))
    async with door(settings, recorder) as client:
        del client.headers["authorization"]
        answered = [(await client.post(WEBHOOK, json=EMPTY, headers=headers)).status_code for headers in KEYS]
    assert [200] * len(KEYS) == answered


NO_KEYS: list[dict[str, str | bytes]] = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer "},
    {"authorization": "Bearer"},
    {"authorization": "Bearer wrong"},
    {"authorization": "Bearer test-secre"},
    {"authorization": "Bearer test-secret2"},
    {"authorization": "Bearer TEST-SECRET"},
    {"authorization": "Basic test-secret"},
    {"authorization": "Bearer test-secrét"},
    {"authorization": b"Bearer \xff\xfe"},
    {"x-chainhook-consumer-secret": b"\xe2\x82\xac"},
    {"x-chainhook-consumer-secret": "Bearer test-secret"},
    {"cookie": "authorization=test-secret"},
]


async def test_without_the_secret_the_body_is_not_even_read(
    ingest: httpx.AsyncClient, database: Pool, before: dict[str, list[str]]
) -> None:
    del ingest.headers["authorization"]
    for headers in NO_KEYS:
        given = {name.encode(): it if isinstance(it, bytes) else it.encode() for name, it in headers.items()}
        answer = await ingest.post(WEBHOOK, content=untouched(), headers=given)
        assert (401, "UNAUTHENTICATED") == refusal(answer), headers
    assert before == await contents(database)


# -- how it must be asked


async def test_other_methods_are_refused(ingest: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for path in (WEBHOOK, WEBHOOK + "/"):
            answer = await ingest.request(method, path, content=GOOD.encoded())
            assert (405, "UNSUPPORTED") == refusal(answer)
            assert "POST" == answer.headers["allow"]


async def test_other_paths_are_nobodys_and_nothing_is_redirected(ingest: httpx.AsyncClient) -> None:
    for path in ("/", "/webhooks", "/webhooks/chainhook/other", "/api/webhooks/chainhook/market"):
        assert (404, "NOT_FOUND") == refusal(await ingest.post(path, content=GOOD.encoded()))


async def test_a_content_type_may_have_parameters_and_any_case(ingest: httpx.AsyncClient) -> None:
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"):
        assert {} == counts(await ingest.post(WEBHOOK, json=EMPTY, headers={"content-type": kind}))


async def test_what_is_not_plain_json_by_its_own_word_is_refused_unread(
    ingest: httpx.AsyncClient, before: dict[str, list[str]], database: Pool
) -> None:
    for kind in ("text/plain", "application/jsonp", "multipart/form-data", "text/plain; application/json", ""):
        answer = await ingest.post(WEBHOOK, content=untouched(), headers={"content-type": kind})
        assert (415, "UNSUPPORTED") == refusal(answer), kind
    for encoding in ("gzip", "br", "deflate", "identity, br", "x"):
        answer = await ingest.post(WEBHOOK, content=untouched(), headers={"content-encoding": encoding})
        assert (415, "UNSUPPORTED") == refusal(answer), encoding
    assert before == await contents(database)


async def test_a_missing_content_type_is_refused(ingest: httpx.AsyncClient) -> None:
    del ingest.headers["content-type"]
    assert (415, "UNSUPPORTED") == refusal(await ingest.post(WEBHOOK, content=GOOD.encoded()))


# -- how large


async def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(
    ingest_config: IngestSettings, recorder: Recorder
) -> None:
    whole = json.dumps(EMPTY).encode().ljust(2048)
    async with door(replace(ingest_config, webhook_max_bytes=2048), recorder) as client:
        assert {} == counts(await client.post(WEBHOOK, content=whole))
        assert (413, "TOO_LARGE") == refusal(await client.post(WEBHOOK, content=whole + b" "))


async def test_a_declared_size_above_the_limit_is_refused_unread(ingest: httpx.AsyncClient) -> None:
    for declared in ("41943041", "9" * 400, "9" * 5000):
        answer = await ingest.post(WEBHOOK, content=untouched(), headers={"content-length": declared})
        assert (413, "TOO_LARGE") == refusal(answer)


async def test_a_body_without_a_declared_size_is_read_no_further_than_the_limit(
    ingest_config: IngestSettings, recorder: Recorder, database: Pool
) -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b" " * 100

    async with door(replace(ingest_config, webhook_max_bytes=1024), recorder) as client:
        for headers in ({}, {b"content-length": b"10"}, {b"content-length": b"\xb2"}):
            given = 0
            answer = await client.post(WEBHOOK, content=endless(), headers=headers)
            assert (413, "TOO_LARGE") == refusal(answer)
            assert 11 == given
    assert [] == await rows(database, tables.chain_events)


# -- what is no JSON

NOT_JSON: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \n ",
    "no JSON": b"apply",
    "cut off": GOOD.encoded()[:-1],
    "trailing value": GOOD.encoded() + b"{}",
    "trailing garbage": GOOD.encoded() + b"\0",
    "single quotes": b"{'apply':[],'rollback':[]}",
    "trailing comma": b'{"apply":[],"rollback":[],}',
    "not UTF-8": b'{"apply":[],"rollback":[],"x":"\xff"}',
    "overlong UTF-8": b'{"apply":[],"rollback":[],"x":"\xc0\xaf"}',
    "UTF-16": GOOD.encoded().decode().encode("utf-16"),
    "UTF-16 without BOM": GOOD.encoded().decode().encode("utf-16-le"),
    "UTF-32": GOOD.encoded().decode().encode("utf-32"),
    "BOM": b"\xef\xbb\xbf" + GOOD.encoded(),
    "BOM and surrogate": b'\xef\xbb\xbf{"apply":[],"rollback":[],"x":"\\ud800"}',
    "NaN": b'{"apply":[],"rollback":[],"x":NaN}',
    "Infinity": b'{"apply":[],"rollback":[],"x":Infinity}',
    "-Infinity": b'{"apply":[],"rollback":[],"x":-Infinity}',
    "NaN and surrogate": b'{"apply":[],"rollback":[],"x":[NaN,"\\ud800"]}',
    "-Infinity and surrogate": b'{"apply":[],"rollback":[],"x":[-Infinity,"\\udfff"]}',
    "1e400": b'{"apply":[],"rollback":[],"x":1e400}',
    "1e400 and surrogate": b'{"apply":[],"rollback":[],"x":[-1e400,"\\uDBFF"]}',
    "5000 digits": b'{"apply":[],"rollback":[],"x":' + b"1" * 5000 + b"}",
    "5000 digits and surrogate": b'{"apply":[],"rollback":[],"x":["\\ud800",' + b"1" * 5000 + b"]}",
    "1000 brackets": b"[" * 1000 + b"]" * 1000,
    "100000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "100000 braces": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100000 opened": b"[" * 100_000,
    "brackets and surrogate": b'["\\ud800",' + b"[" * 100_000 + b"]" * 100_001,
    "raw control character": b'{"apply":[],"rollback":[],"x":"\x00"}',
    "bad escape": b'{"apply":[],"rollback":[],"x":"\\x00"}',
    "leading zero": b'{"apply":[],"rollback":[],"x":01}',
}


async def test_what_is_no_json_is_answered_400(
    ingest: httpx.AsyncClient, database: Pool, before: dict[str, list[str]]
) -> None:
    answered = {name: refusal(await ingest.post(WEBHOOK, content=body)) for name, body in NOT_JSON.items()}
    assert dict.fromkeys(NOT_JSON, (400, "BAD_REQUEST")) == answered
    assert before == await contents(database)


# -- what is no delivery

Path_ = tuple[str | int, ...]
ABSENT = object()
V1: Path_ = ("apply", 0)
V2: Path_ = ("event", "apply", 0)
BACK: Path_ = ("rollback", 0)
NO_HEIGHTS = [ABSENT, None, -1, 1.5, 7.0, 1e300, 2**63, 2**70, "7", True, [], {}]
NO_HASHES = [
    *(ABSENT, None, 7, "", "0x", "ab" * 32, "0x" + "a" * 63, "0x" + "a" * 65, "0x" + "g" * 64, f" {HASH}", f"{HASH}\n"),
    "0X" + "a" * 64,
    "0x" + "\u0661" * 64,
]
NO_TIMES: list[Any] = [None, -1, 1.5, 1e300, 10**18, 253402300800, 2**70, "1760000000", True, {}]
NO_LISTS = [ABSENT, None, {}, "[]", 0, False]


def changed(body: dict[str, Any], path: Path_, value: object) -> dict[str, Any]:
    """The body with one value replaced, or left out."""
    found = copy.deepcopy(body)
    holder: Any = found
    for step in path[:-1]:
        holder = holder[step]
    if value is ABSENT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return found


def not_deliveries() -> dict[str, Any]:
    """JSON that is no delivery of testnet, each by one fault."""
    v1, v2 = GOOD.body("v1"), GOOD.body("v2")
    both_lists = GOOD.rolls_back(block(7, stream_created(), fork="b")).body()
    no_objects: list[Any] = [None, True, 7, 1.5, "apply", [], [v1], {}]
    found: dict[str, Any] = {
        **{f"the value {value!r:.20}": value for value in no_objects},
        "neither envelope": {"chainhook": {"uuid": "x"}},
        "event of another service": {"event": {"type": "apply"}},
        "event is a list": {"event": [v2["event"]]},
        "both envelopes": {**v1, **v2},
        "both by one empty list": {**v2, "rollback": []},
        "other chain": changed(v2, ("event", "chain"), "bitcoin"),
        "no chain": changed(v2, ("event", "chain"), ABSENT),
        "other network": changed(v2, ("event", "network"), "mainnet"),
        "no network": changed(v2, ("event", "network"), ABSENT),
        "network in capitals": changed(v2, ("event", "network"), "Testnet"),
        "a v1 body with a network in event": {"event": {"apply": [], "rollback": []}},
    }

    def each(name: str, body: dict[str, Any], path: Path_, values: list[Any]) -> None:
        for value in values:
            said = "absent" if value is ABSENT else repr(value)[:40]
            found[f"{name} {said}"] = changed(body, path, value)

    for name, body, at in (("v1", v1, V1), ("v2", v2, V2), ("rollback", both_lists, BACK)):
        each(f"{name} block", body, at, [None, [], "", 7])
        each(f"{name} identifier", body, (*at, "block_identifier"), [ABSENT, None, [], HASH])
        each(f"{name} height", body, (*at, "block_identifier", "index"), NO_HEIGHTS)
        each(f"{name} block hash", body, (*at, "block_identifier", "hash"), NO_HASHES)
        each(f"{name} transactions", body, (*at, "transactions"), NO_LISTS)
        each(f"{name} transaction", body, (*at, "transactions", 0), [None, [], "", 7])
        each(f"{name} tx identifier", body, (*at, "transactions", 0, "transaction_identifier"), [ABSENT, None, HASH])
        each(f"{name} tx hash", body, (*at, "transactions", 0, "transaction_identifier", "hash"), NO_HASHES)
    each("v1 own time", v1, (*V1, "metadata", "block_time"), [it for it in NO_TIMES if it is not None])
    each("v1 timestamp", changed(v1, (*V1, "metadata"), None), (*V1, "timestamp"), [ABSENT, *NO_TIMES])
    each("v2 timestamp", v2, (*V2, "timestamp"), [ABSENT, *NO_TIMES])
    each("v1 apply", v1, ("apply",), NO_LISTS)
    each("v1 rollback", v1, ("rollback",), NO_LISTS)
    each("v2 apply", v2, ("event", "apply"), NO_LISTS)
    each("v2 rollback", v2, ("event", "rollback"), NO_LISTS)
    return found


async def test_json_that_is_no_delivery_is_answered_422_whole(
    ingest: httpx.AsyncClient, database: Pool, before: dict[str, list[str]]
) -> None:
    bodies = not_deliveries()
    assert 240 < len(bodies)
    answered = {
        name: refusal(await ingest.post(WEBHOOK, content=json.dumps(body).encode())) for name, body in bodies.items()
    }
    assert dict.fromkeys(bodies, (422, "BAD_REQUEST")) == answered
    assert before == await contents(database)


async def test_one_bad_block_refuses_its_good_neighbours_too(
    ingest: httpx.AsyncClient, database: Pool, before: dict[str, list[str]]
) -> None:
    body = GOOD.applies(block(8, stream_withdrawal())).body()
    body["apply"][1]["block_identifier"]["hash"] = "0x"
    answer = await ingest.post(WEBHOOK, json=body)
    assert (422, "BAD_REQUEST") == refusal(answer)
    assert "apply[1].block_identifier.hash" in answer.json()["error"]["message"]
    assert before == await contents(database)


# -- what is a delivery and hostile all the same


def odd(value: object, name: str = "note", fork: str = "a") -> dict[str, Any]:
    """A decoded delivery whose second event, one that we do not know, has this value in a field."""
    told = block(7, stream_created(), core_print("stream-odd", {"note": Ascii("x")}), fork=fork)
    body = a_delivery().applies(told).body()
    fields = event_of(body, 1)["data"]["value"]
    del fields["note"]
    fields[name] = value
    return body


def event_of(body: dict[str, Any], place: int = 0) -> dict[str, Any]:
    """The only event of a transaction of a v1 body."""
    found: dict[str, Any] = body["apply"][0]["transactions"][place]["metadata"]["receipt"]["events"][0]
    return found


def deep(levels: int, inside: object = 0) -> object:
    for _ in range(levels):
        inside = [inside]
    return inside


KEPT = {"applied": 2}
ASIDE = {"applied": 1, "quarantined": 1}


STRANGE: list[tuple[object, dict[str, int]]] = [
    ("\ud800", ASIDE),
    ("\udfff\ud800", ASIDE),
    ("\0", ASIDE),
    ("a\0b", ASIDE),
    ({"\0": 1}, ASIDE),
    ({"\ud800": 1}, ASIDE),
    (1.5, ASIDE),
    (1e300, ASIDE),
    (7.0, ASIDE),
    (2**128, ASIDE),
    (-(2**127) - 1, ASIDE),
    (10**4000, ASIDE),
    (deep(100), ASIDE),
    (deep(600), ASIDE),
    ([{"x": "\0"}], ASIDE),
    (2**128 - 1, KEPT),
    (-(2**127), KEPT),
    (deep(32), KEPT),
    (True, KEPT),
    (None, KEPT),
    ("", KEPT),
    ("'; DROP TABLE streams; --", KEPT),
    ("<script>alert(1)</script>", KEPT),
    ("{{7*7}} ${jndi:ldap://x} %s %(x)s :x $1", KEPT),
    ("\u202e\ufeff\ufffe\U0001f4a9", KEPT),
    ({"__proto__": {"constructor": "x"}}, KEPT),
    ("x" * 1_000_000, KEPT),
]


async def test_a_strange_value_is_kept_verbatim_or_set_aside_alone(ingest: httpx.AsyncClient, database: Pool) -> None:
    for number, (value, counted) in enumerate(STRANGE):
        said = f"{value!r:.40}"
        body = ascii_json(odd(value, fork=f"fork {number}")).encode()
        back = a_delivery().rolls_back(block(7, fork=f"fork {number}")).encoded()
        assert (said, counted) == (said, counts(await ingest.post(WEBHOOK, content=body)))
        if counted == KEPT:
            kept = [it.value for it in await rows(database, tables.chain_events) if it.name == "stream-odd"]
            assert {"event": "stream-odd", "note": value} in kept
            again = {"known": 2}
        else:
            aside = [it.raw for it in await rows(database, tables.quarantine)]
            assert any(ascii_json(value)[1:-1] in raw for raw in aside)
            again = {"known": 1, "quarantined": 1}
        assert (said, again) == (said, counts(await ingest.post(WEBHOOK, content=body)))
        assert 1 == len(await rows(database, tables.streams))
        assert {"reverted": counted["applied"]} == counts(await ingest.post(WEBHOOK, content=back))


async def test_a_strange_field_name_is_kept_verbatim(ingest: httpx.AsyncClient, database: Pool) -> None:
    for name in ("__proto__", "'", "<b>", "", "\u00e9", "note" * 100):
        assert KEPT == counts(await ingest.post(WEBHOOK, json=odd("x", name, fork=name)))
        kept = [it.value for it in await rows(database, tables.chain_events) if it.name == "stream-odd"]
        assert {"event": "stream-odd", name: "x"} in kept


async def test_no_depth_of_nesting_is_a_defect_of_ours(ingest: httpx.AsyncClient, database: Pool) -> None:
    """Where exactly the parser gives up depends on the stack below it; on neither side may anything break."""
    answered = set()
    for levels in (*range(20, 840, 60), *range(840, 1010)):
        nested = ascii_json([0]).replace("0", "[" * levels + "]" * levels)
        in_value = ascii_json(odd("HERE")).replace('"HERE"', nested)
        in_transaction = ascii_json(changed(odd(0), (*V1, "transactions", 1, "metadata", "success"), "HERE"))
        for body in (in_value, in_transaction.replace('"HERE"', nested), f'{{"apply":[],"rollback":[],"x":{nested}}}'):
            answer = await ingest.post(WEBHOOK, content=body.encode())
            answered.add(answer.status_code)
    assert {200, 400} == answered
    assert 1 == len(await rows(database, tables.streams))


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], object], dict[str, int]]] = {
    "amount true": (lambda it: event_of(it)["data"]["value"].update(amount=True), {"quarantined": 1}),
    "amount 1.0": (lambda it: event_of(it)["data"]["value"].update(amount=1.0), {"quarantined": 1}),
    "amount negative": (lambda it: event_of(it)["data"]["value"].update(amount=-1), {"quarantined": 1}),
    "amount 2^128": (lambda it: event_of(it)["data"]["value"].update(amount=2**128), {"quarantined": 1}),
    "amount 2^128-1": (lambda it: event_of(it)["data"]["value"].update(amount=2**128 - 1), {"applied": 1}),
    "id 2^63": (lambda it: event_of(it)["data"]["value"].update({"stream-id": 2**63}), {"quarantined": 1}),
    "id 2^63-1": (lambda it: event_of(it)["data"]["value"].update({"stream-id": INT64_MAX}), {"applied": 1}),
    "sender with NUL": (lambda it: event_of(it)["data"]["value"].update(sender=ALICE + "\0"), {"quarantined": 1}),
    "sender in small letters": (
        lambda it: event_of(it)["data"]["value"].update(sender=ALICE.lower()),
        {"quarantined": 1},
    ),
    "event name with NUL": (lambda it: event_of(it)["data"]["value"].update(event="a\0"), {"quarantined": 1}),
    "value is hex": (lambda it: event_of(it)["data"].update(value="0c" * 9), {"quarantined": 1}),
    "value is null": (lambda it: event_of(it)["data"].update(value=None), {"quarantined": 1}),
    "no value": (lambda it: event_of(it)["data"].pop("value"), {"quarantined": 1}),
    "raw value is a number": (lambda it: event_of(it)["data"].update(raw_value=7), {"quarantined": 1}),
    "both values": (lambda it: event_of(it)["data"].update(raw_value="0x09"), {"quarantined": 1}),
    "hook name with half a surrogate pair": (lambda it: it["chainhook"].update(uuid="\ud800\0"), {"applied": 1}),
    "hook is a list": (lambda it: it.update(chainhook=[]), {"applied": 1}),
    "metadata of the block is text": (lambda it: it["apply"][0].update(metadata="\ud800"), {"applied": 1}),
    "the sender of the transaction is no text": (
        lambda it: it["apply"][0]["transactions"][0]["metadata"].update(sender={"\0": "\ud800"}),
        {"applied": 1},
    ),
    "a foreign contract of half a surrogate pair": (
        lambda it: event_of(it)["data"].update(contract_identifier="\udc00"),
        {},
    ),
    "a type of NUL": (lambda it: event_of(it).update(type="\0"), {}),
    "a topic of NUL": (lambda it: event_of(it)["data"].update(topic="\0"), {}),
    "position 2^63-1": (lambda it: event_of(it).update(position={"index": INT64_MAX}), {"applied": 1}),
    "position 2^63": (lambda it: event_of(it).update(position={"index": 2**63}), {"quarantined": 1}),
    "place in the block 2^70": (
        lambda it: it["apply"][0]["transactions"][0]["metadata"].update(position={"index": 2**70}),
        {"quarantined": 1},
    ),
    "height 2^63-1": (lambda it: it["apply"][0]["block_identifier"].update(index=INT64_MAX), {"applied": 1}),
    "height 0": (lambda it: it["apply"][0]["block_identifier"].update(index=0), {"applied": 1}),
    "year 9999": (lambda it: it["apply"][0]["metadata"].update(block_time=253402300799), {"applied": 1}),
    "time 0": (lambda it: it["apply"][0]["metadata"].update(block_time=0), {"applied": 1}),
    "hashes in capitals": (
        lambda it: it["apply"][0]["block_identifier"].update(hash="0x" + "AB" * 32),
        {"applied": 1},
    ),
}


async def test_hostile_deliveries_are_survived_and_can_be_rolled_back(
    ingest: httpx.AsyncClient, database: Pool
) -> None:
    aside = 0
    for name, (change, counted) in HOSTILE.items():
        body = a_delivery().applies(block(7, stream_created(), fork=name)).body()
        change(body)
        assert (name, counted) == (name, counts(await ingest.post(WEBHOOK, content=ascii_json(body).encode())))
        aside += counted.get("quarantined", 0)
        assert aside == len(await rows(database, tables.quarantine))
        back = {**body, "apply": [], "rollback": body["apply"]}
        reverted = {"reverted": 1} if counted.get("applied") else {}
        assert (name, reverted) == (name, counts(await ingest.post(WEBHOOK, content=ascii_json(back).encode())))
    assert [] == await rows(database, tables.streams)


NO_VALUES = [
    ("0x0", "not hex"),
    ("0xzz", "not hex"),
    ("0x", "wanted"),
    ("", "without 0x"),
    ("01" + "00" * 16, "without 0x"),
    ("0x01 " + "00" * 15, "not hex"),
    ("0x01" + "00" * 15, "wanted"),
    ("0x01" + "00" * 17, "left over"),
    ("0xff", "unknown tag"),
    ("0x0280000000", "announced"),
    ("0x0b80000000", "announced"),
    ("0x0c7fffffff", "announced"),
    ("0x" + "0a" * 200 + "09", "nested deeper"),
    ("0x0c00000002" + "016109" * 2, "twice"),
    ("0x0d00000001ff", "string-ascii"),
    ("0x0e00000001ff", "UTF-8"),
]


@pytest.mark.parametrize("form", ["v1-raw", "v2", "v2-bare"])
async def test_hex_that_is_no_value_is_set_aside_and_its_neighbours_are_stored(
    ingest: httpx.AsyncClient, database: Pool, form: str
) -> None:
    good = f"0x{'0c0000000105' + b'event'.hex() + '0d00000003' + b'bad'.hex()}"
    for raw, said in NO_VALUES:
        told = block(7, tx(stream_created(), core_print("bad", {}), stream_withdrawal()), fork=raw)
        body = a_delivery().applies(told).encoded(form)
        assert good.encode() in body
        answer = await ingest.post(WEBHOOK, content=body.replace(good.encode(), raw.encode()))
        assert {"applied": 2, "quarantined": 1} == counts(answer)
        aside = next(it for it in await rows(database, tables.quarantine) if it.block_hash == told.hash)
        assert said in aside.reason
        assert (CONTRACTS.core, 1) == (aside.source, aside.rank)
        stored = [it.rank for it in await rows(database, tables.chain_events) if it.block_hash == told.hash]
        assert [0, 2] == sorted(stored)


async def test_of_duplicate_keys_the_last_one_wins(ingest: httpx.AsyncClient, database: Pool) -> None:
    body = GOOD.encoded().replace(b'"amount":1000000,', b'"amount":1,"amount":2,')
    assert {"applied": 1} == counts(await ingest.post(WEBHOOK, content=body))
    assert [2] == [row.amount for row in await rows(database, tables.streams)]


async def test_a_utf8_text_with_nul_in_a_field_we_do_not_read_is_set_aside(
    ingest: httpx.AsyncClient, database: Pool
) -> None:
    """Clarity's string-utf8 may contain it, Postgres may not."""
    event = having(stream_created(), memo=Utf8("a\0b"))
    for form in ("v1", "v1-raw", "v2", "v2-bare", "v2-objects"):
        body = a_delivery().applies(block(7, event)).encoded(form)
        assert {"quarantined": 1} == counts(await ingest.post(WEBHOOK, content=body))
    assert 1 == len(await rows(database, tables.quarantine))


async def test_further_fields_of_a_known_event_are_no_fault(ingest: httpx.AsyncClient) -> None:
    event = having(stream_created(), memo=Utf8("café"), referrer=Principal(ALICE))
    assert {"applied": 1} == counts(
        await ingest.post(WEBHOOK, content=a_delivery().applies(block(7, event)).encoded("v2"))
    )


# -- bodies in the shape of genuine ones

SHAPES = {
    "v1-two-transactions-unsorted.json": {"applied": 4},
    "v1-failed-transactions.json": {"applied": 1},
    "v1-raw-before-1.1.json": {"applied": 1},
    "v1-microblock.json": {"applied": 1},
    "v1-reorg.json": {"applied": 2},
    "v2-texts-for-costs.json": {"applied": 2},
}


@pytest.mark.parametrize("name", SHAPES)
async def test_a_body_in_a_genuine_shape_is_stored_once(ingest: httpx.AsyncClient, name: str) -> None:
    body = (GOLDEN / name).read_bytes()
    assert SHAPES[name] == counts(await ingest.post(WEBHOOK, content=body))
    assert {"known": SHAPES[name]["applied"]} == counts(await ingest.post(WEBHOOK, content=body))


async def test_placeholder_hashes_are_refused(ingest: httpx.AsyncClient) -> None:
    """Chainhook's own tests write ``0x`` for a hash; identity needs a real one."""
    body = (GOLDEN / "v1-placeholder-hashes.json").read_bytes()
    assert (422, "BAD_REQUEST") == refusal(await ingest.post(WEBHOOK, content=body))


async def test_every_golden_delivery_is_named_here() -> None:
    assert {*SHAPES, "v1-placeholder-hashes.json"} == {path.name for path in GOLDEN.iterdir()}


async def test_further_deliveries_are_stored_or_refused_whole(ingest: httpx.AsyncClient) -> None:
    """Those of the folder that EXTRA_DELIVERIES names, if it names one."""
    folder = os.environ.get("EXTRA_DELIVERIES")
    for path in sorted(Path(folder).rglob("*.json")) if folder else ():
        answer = await ingest.post(WEBHOOK, content=path.read_bytes())
        print(f"{path.name}: {answer.status_code} {answer.text}")
        assert answer.status_code in (200, 422), f"{path}: {answer.text}"


# -- when the store is away, or a defect is ours


async def test_a_delivery_waits_for_the_store_and_is_refused_when_it_stays_away(
    ingest_config: IngestSettings, postgres: Postgres
) -> None:
    name = f"test_{os.urandom(6).hex()}"
    async with open_database(postgres.url(name), "tests") as away:
        recorder = Recorder(away, ingest_config.contracts, "testnet", 0.2, lambda head: None)
        task = asyncio.create_task(recorder.run())
        async with door(ingest_config, recorder) as client:
            assert (503, "UNAVAILABLE") == refusal(await client.post(WEBHOOK, content=GOOD.encoded()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_store_that_comes_back_in_time_was_never_away(
    ingest_config: IngestSettings, postgres: Postgres
) -> None:
    name = f"test_{os.urandom(6).hex()}"
    owner = await asyncpg.connect(postgres.url())
    try:
        async with open_database(postgres.url(name), "tests") as database:
            recorder = Recorder(database, ingest_config.contracts, "testnet", 20, lambda head: None)
            task = asyncio.create_task(recorder.run())
            async with door(ingest_config, recorder) as client:
                waiting = asyncio.create_task(client.post(WEBHOOK, content=GOOD.encoded()))
                await owner.execute(f"CREATE DATABASE {name} TEMPLATE template_bitpay")
                assert {"applied": 1} == counts(await waiting)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await owner.close()


async def test_a_defect_of_ours_falls_on_its_own_delivery_alone(ingest: httpx.AsyncClient, database: Pool) -> None:
    """The one that cannot be stored is answered 500 and leaves nothing; those that shared its transaction pass."""
    await database.execute("ALTER TABLE streams ADD CONSTRAINT defect CHECK (stream_id <> 13)")
    bodies = [a_delivery().applies(block(7 + i, stream_created(i))).encoded() for i in range(10, 20)]
    answers = await asyncio.gather(*(ingest.post(WEBHOOK, content=body) for body in bodies))
    assert [200] * 3 + [500] + [200] * 6 == [answer.status_code for answer in answers]
    assert (500, "UNAVAILABLE") == refusal(answers[3])
    assert [10, 11, 12, *range(14, 20)] == [row.stream_id for row in await rows(database, tables.streams)]
    assert 9 == len(await rows(database, tables.chain_events))
    assert 45 == len(await rows(database, tables.outbox))


async def test_both_names_of_the_liveness_route_answer_with_and_without_a_slash(ingest: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/health", "/healthz/"):
        assert 200 == (await ingest.get(path)).status_code


async def test_metrics_need_their_token_when_there_is_one(ingest_config: IngestSettings, recorder: Recorder) -> None:
    common = replace(ingest_config.common, metrics_token=(b"meter", b"other"))
    async with door(replace(ingest_config, common=common), recorder) as client:
        assert (401, "UNAUTHENTICATED") == refusal(await client.get("/metrics"))
        for token in ("meter", "other"):
            answer = await client.get("/metrics", headers={"authorization": f"Bearer {token}"})
            assert 200 == answer.status_code
            assert "bitpay_deliveries_total" in answer.text
