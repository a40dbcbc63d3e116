"""Notifications over HTTP: one's own, marked once, wanted where one says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import jwt
import pytest
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from fanout.notifications import OPERATIONS
from fanout.openapi import document
from fanout.routes import ROUTES
from fanout.tokens import Tokens
from ingest.record import Incoming, record
from shared import outbox
from shared.database import Pool, open_database
from shared.feed import open_redis
from shared.settings import fanout_settings
from tests.builders import ALICE, BOB, CAROL, CONTRACTS, a_delivery, block, stream_created, stream_withdrawal, tx
from tests.fanout.served import serving
from tests.ingest.test_notifications import held, unread
from tests.ingest.test_record import NOW, tell
from tests.stored import notified

PATH: Final = "/api/notifications"
ORIGIN: Final = "http://localhost:3000"
DOCUMENT: Final = document(ROUTES, OPERATIONS)
ALL: Final = [(it.method, it.path.format(id="0" * 32)) for it in OPERATIONS]
CREATED = block(7, stream_created())
DRAWN = [block(8 + i, tx(stream_withdrawal(amount=1), nonce=i)) for i in range(4)]


def token(address: str = BOB, *, age_s: int = 0, secret: str = "j" * 32) -> str:
    now = int(time.time()) - age_s
    return jwt.encode({"sub": address, "iat": now, "exp": now + 3600, "jti": f"of-{address}"}, secret)


def its(address: str = BOB, **other: Any) -> dict[str, str]:
    """The headers of an address."""
    return {"authorization": f"Bearer {token(address, **other)}"}


@pytest.fixture
async def http(database: Pool, environment: dict[str, str], redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(database, environment, redis) as client:
        yield client


@pytest.fixture
async def told(database: Pool) -> None:
    """Bob is told of a stream and of what he drew, Alice of the same, the last of it in vain."""
    await tell(database, a_delivery().applies(CREATED, *DRAWN), a_delivery().rolls_back(DRAWN[-1]))


async def listed(http: httpx.AsyncClient, address: str = BOB, **query: str) -> Any:
    answer = await http.get(PATH, params=query, headers=its(address))
    assert 200 == answer.status_code, answer.text
    as_described(answer, PATH, "get")
    return answer.json()


async def post(http: httpx.AsyncClient, path: str, address: str = BOB, **more: Any) -> httpx.Response:
    return await http.post(f"{PATH}/{path}", headers=its(address), **more)


def as_described(answer: httpx.Response, path: str, method: str) -> None:
    """The document lists this answer, and nobody keeps it."""
    listed_ones = DOCUMENT["paths"][path][method]["responses"]
    schema = listed_ones[str(answer.status_code)]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer.json())


# -- whose they are


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_nothing_is_said_or_done_without_a_token_that_is_valid_now(
    http: httpx.AsyncClient, environment: dict[str, str], redis: Redis, method: str, path: str
) -> None:
    tokens = Tokens(fanout_settings(environment), redis)
    await tokens.revoke(await tokens.read(token(CAROL)))
    for headers, code in (
        ({}, "UNAUTHENTICATED"),
        (its(secret="x" * 32), "UNAUTHENTICATED"),
        (its(age_s=7200), "TOKEN_EXPIRED"),
        (its(CAROL), "UNAUTHENTICATED"),  # signed out
    ):
        answer = await http.request(method, path, headers=headers)
        assert (401, code) == (answer.status_code, answer.json()["error"]["code"])
        assert "private, no-store" == answer.headers["cache-control"]
        as_described(answer, path.replace("0" * 32, "{id}"), method)


async def test_a_cookie_is_a_token_and_no_other_site_can_use_it(
    http: httpx.AsyncClient, database: Pool, told: None
) -> None:
    cookie = {"cookie": f"auth-token={token()}"}
    assert 4 == (await http.get(PATH, headers=cookie)).json()["unread"]
    for origin in ("https://elsewhere.example", "null"):
        answer = await http.post(f"{PATH}/mark-all-read", headers={**cookie, "origin": origin})
        assert 403 == answer.status_code
    assert (4, 4) == await unread(database)
    answer = await http.post(f"{PATH}/mark-all-read", headers={**cookie, "origin": ORIGIN})
    assert {"success": True, "unread": 0} == answer.json()
    assert (ORIGIN, "true") == (
        answer.headers["access-control-allow-origin"],
        answer.headers["access-control-allow-credentials"],
    )


async def test_another_address_s_is_not_there(http: httpx.AsyncClient, database: Pool, told: None) -> None:
    (mine, *_) = await held(database, ALICE)
    for verb in ("mark-read", "archive"):
        for id_ in (mine.id, "0" * 32, "x", "%00", mine.id.upper()):
            answer = await post(http, f"{id_}/{verb}")
            assert (404, "NOT_FOUND") == (answer.status_code, answer.json()["error"]["code"])
            as_described(answer, f"{PATH}/{{id}}/{verb}", "post")
    assert "unread" == (await held(database, ALICE))[0].status
    assert {BOB} == {it["address"] for it in (await listed(http))["data"]}
    nobody = await listed(http, CAROL)
    assert ([], None, 0) == (nobody["data"], nobody["next"], nobody["unread"])


# -- the list


async def test_they_are_listed_newest_first_as_they_were_pushed_and_as_of_a_moment(
    http: httpx.AsyncClient, database: Pool, told: None
) -> None:
    answer = await http.get(PATH + "/", headers=its())
    assert ("private, no-store", None) == (answer.headers["cache-control"], answer.headers.get("etag"))
    body = answer.json()
    async with database.acquire() as connection:
        head = await outbox.head(connection)
    assert (str(head.cursor), {"blockHeight": 10, "timestamp": None}) == (body["asOf"], body["tip"])
    pushed = [it["data"] for *_, room, name, it in await notified(database) if room == f"user:{BOB}"][:5]
    assert ["retracted", "unread", "unread", "unread", "unread"] == [it["status"] for it in body["data"]]
    for row, push in zip(reversed(body["data"]), pushed, strict=True):
        assert row == {name: it for name, it in push.items() if name in row} | {"status": row["status"]}
    assert (4, None) == (body["unread"], body["next"])


async def test_pages_follow_each_other_though_more_is_told_meanwhile(
    http: httpx.AsyncClient, database: Pool, told: None
) -> None:
    first = await listed(http, limit="2")
    await tell(database, a_delivery().applies(block(30, stream_withdrawal(amount=5))))
    second = await listed(http, limit="2", after=first["next"])
    third = await listed(http, limit="2", after=second["next"])
    ids = [it["id"] for page in (first, second, third) for it in page["data"]]
    assert [it.id for it in (await held(database))[4::-1]] == ids
    assert (None, 5) == (third["next"], third["unread"])


async def test_a_status_narrows_the_list(http: httpx.AsyncClient, database: Pool, told: None) -> None:
    rows = await held(database)
    await post(http, f"{rows[0].id}/mark-read")
    await post(http, f"{rows[1].id}/archive")
    by_status = {it: [row["id"] for row in (await listed(http, status=it))["data"]] for it in ("read", "archived")}
    assert {"read": [rows[0].id], "archived": [rows[1].id]} == by_status
    assert [rows[3].id, rows[2].id] == [row["id"] for row in (await listed(http, status="unread"))["data"]]
    assert [rows[4].id] == [row["id"] for row in (await listed(http, status="retracted"))["data"]]


@pytest.mark.parametrize("query", [{"status": "new"}, {"limit": "0"}, {"after": "x"}, {"address": ALICE}])
async def test_a_wrong_parameter_is_named(http: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await http.get(PATH, params=query, headers=its())
    assert (400, True) == (answer.status_code, next(iter(query)) in answer.json()["error"]["message"])


# -- marks


async def test_a_mark_counts_once_and_never_touches_what_is_retracted(
    http: httpx.AsyncClient, database: Pool, told: None
) -> None:
    *rows, gone = await held(database)
    first, second = rows[0].id, rows[1].id
    marks = [
        (f"{first}/mark-read", 3),
        (f"{first}/mark-read/", 3),
        (f"{first}/archive", 3),
        (f"{first}/mark-read", 3),  # what was put away stays away
        (f"{second}/archive", 2),
        (f"{gone.id}/mark-read", 2),
        (f"{gone.id}/archive", 2),
        ("mark-all-read", 0),
        ("mark-all-read", 0),
    ]
    for path, left in marks:
        answer = await post(http, path)
        assert {"success": True, "unread": left} == answer.json()
        assert "private, no-store" == answer.headers["cache-control"]
    as_described(answer, f"{PATH}/mark-all-read", "post")
    assert ["archived", "archived", "read", "read", "retracted"] == [it.status for it in await held(database)]
    assert (0, 0) == await unread(database)
    assert (4, 4) == await unread(database, ALICE)
    await tell(database, a_delivery().applies(DRAWN[-1]))
    assert (1, 1) == await unread(database)


async def test_a_mark_waits_for_a_recording_and_counts_what_that_told(
    http: httpx.AsyncClient, database: Pool, told: None
) -> None:
    """What is being retracted is not marked, and what is told meanwhile is counted."""
    row = (await held(database))[3]
    assert "unread" == row.status
    async with database.acquire() as connection, outbox.held(connection):
        back = a_delivery().rolls_back(DRAWN[2]).applies(block(40, stream_created(2)))
        await record(connection, [Incoming(back.read(), NOW)], CONTRACTS)
        mark = asyncio.create_task(post(http, f"{row.id}/mark-read"))
        all_of_them = asyncio.create_task(post(http, "mark-all-read"))
        await _blocked(database, 2)
    assert "retracted" == (await held(database))[3].status
    await asyncio.gather(mark, all_of_them)
    last = (await listed(http))["unread"]
    assert (last, last) == await unread(database)
    assert (1, 1) == (last, all_of_them.result().json()["unread"])


async def _blocked(database: Pool, count: int) -> None:
    """Until so many statements wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(10):
        while await database.fetchval(waiting) < count:
            await asyncio.sleep(0.01)


async def test_marks_and_reorgs_at_once_never_lose_count(http: httpx.AsyncClient, database: Pool, told: None) -> None:
    ids = [it.id for it in await held(database)]

    async def reorgs() -> None:
        for _ in range(10):
            await tell(database, a_delivery().rolls_back(*DRAWN), a_delivery().applies(*DRAWN))

    async def marks() -> None:
        for i in range(30):
            path = "mark-all-read" if i % 3 == 2 else f"{ids[i % len(ids)]}/{('mark-read', 'archive')[i % 2]}"
            assert 200 == (await post(http, path)).status_code

    async def news() -> None:
        for i in range(10):
            await tell(database, a_delivery().applies(block(50 + i, tx(stream_withdrawal(amount=2), nonce=i))))

    async with asyncio.timeout(60):
        await asyncio.gather(reorgs(), marks(), marks(), news())
    kept, true = await unread(database)
    assert kept == true
    assert 14 == sum(it.type == "stream_withdrawal" for it in await held(database))


# -- preferences


DEFAULT = {"toast": True, "sound": False, "desktop": False, "e-mail": False}


async def test_preferences_begin_with_toasts_alone_and_are_changed_in_part(http: httpx.AsyncClient) -> None:
    everywhere = dict.fromkeys(("streams", "marketplace", "treasury", "security", "system"), DEFAULT)
    answer = await http.get(f"{PATH}/preferences", headers=its())
    as_described(answer, f"{PATH}/preferences", "get")
    assert everywhere == answer.json()
    changed = {"streams": {"sound": True, "toast": False}, "security": {"toast": True, "e-mail": True}, "system": {}}
    expected = everywhere | {
        "streams": {**DEFAULT, "sound": True, "toast": False},
        "security": {**DEFAULT, "e-mail": True},
    }
    for body in (changed, {"streams": {"sound": True}}, {}):
        answer = await post(http, "preferences", json=body)
        as_described(answer, f"{PATH}/preferences", "post")
        assert (200, expected) == (answer.status_code, answer.json())
    back = (await post(http, "preferences", json={"streams": {"toast": True}})).json()
    assert {**DEFAULT, "sound": True} == back["streams"]
    assert everywhere == (await http.get(f"{PATH}/preferences", headers=its(CAROL))).json()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"streams": {"sound": true}, "security": {"toast": false}}', "security cannot be switched off"),
        (b'{"news": {"toast": true}}', "a category must be one of streams,"),
        (b'{"streams": {"email": true}}', "a channel must be one of toast,"),
        (b'{"streams": {"toast": 1}}', "the body must be"),
        (b'{"streams": true}', "the body must be"),
        (b"[]", "the body must be"),
        (b"", "the body must be"),
        (b'{"streams": {"to\xff": true}}', "the body must be"),
    ],
)
async def test_preferences_that_cannot_be_are_refused_whole(http: httpx.AsyncClient, body: bytes, said: str) -> None:
    answer = await post(http, "preferences", content=body)
    assert (400, "BAD_REQUEST") == (answer.status_code, answer.json()["error"]["code"])
    assert said in answer.json()["error"]["message"]
    as_described(answer, f"{PATH}/preferences", "post")
    assert DEFAULT == (await http.get(f"{PATH}/preferences", headers=its())).json()["streams"]


async def test_a_body_that_is_too_long_is_not_read(http: httpx.AsyncClient) -> None:
    answer = await post(http, "preferences", content=b" " * 8193)
    assert 413 == answer.status_code
    as_described(answer, f"{PATH}/preferences", "post")


# -- when a neighbour is away


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_a_neighbour_that_is_away_is_said_so(
    database: Pool, environment: dict[str, str], redis: Redis, method: str, path: str
) -> None:
    body = {"json": {"streams": {"sound": True}}} if method == "post" else {}
    async with (
        open_database("postgresql://x@127.0.0.1:1/x", "tests") as no_database,
        open_redis("redis://127.0.0.1:1") as no_redis,
        serving(no_database, environment, redis) as without_postgres,
        serving(database, environment, no_redis) as without_redis,
    ):
        for node in (without_postgres, without_redis):
            answer = await node.request(method, path, headers=its(), **body)
            assert (503, "UNAVAILABLE") == (answer.status_code, answer.json()["error"]["code"])
            as_described(answer, path.replace("0" * 32, "{id}"), method)


async def test_the_document_that_is_served_describes_them(http: httpx.AsyncClient) -> None:
    served = (await http.get("/api/openapi.json")).json()
    assert served == DOCUMENT
    for it in OPERATIONS:
        assert [{"bearer": []}, {"cookie": []}] == served["paths"][it.path][it.method]["security"]
    assert "requestBody" in served["paths"][f"{PATH}/preferences"]["post"]
    for schema in served["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
