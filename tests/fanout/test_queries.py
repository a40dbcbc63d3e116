"""How snapshots are asked for: pages, ETags, refusals; and that each is of one moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import msgspec

from fanout.notifications import OPERATIONS
from fanout.routes import ROUTES
from shared import outbox
from shared.database import Pool, open_database
from shared.domain.entry import Cursor
from tests.fanout.served import STREAM, every_list, hold, serving


async def test_pages_have_every_row_once_and_in_order(http: httpx.AsyncClient, database: Pool) -> None:
    await hold(database, *every_list())
    numbers = ["7", "6", "5", "4", "3", "2", "1"]
    orders = {
        "/api/streams": ("streamId", numbers),
        "/api/marketplace/listings": ("streamId", numbers),
        "/api/marketplace/sales": ("saleId", numbers),
        "/api/treasury/proposals": ("proposalId", numbers),
        "/api/treasury/fees": ("amount", ["6", "5", "7", "4", "1", "2", "3"]),
    }
    assert {route.path for route in ROUTES if route.paged} == orders.keys()
    for path, (name, order) in orders.items():
        for limit in (1, 2, 3, 6, 7, 200):
            seen: list[Any] = []
            query = {"limit": str(limit)}
            while len(seen) <= len(order):
                page = (await http.get(path, params=query)).json()
                assert 1 <= len(page["data"]) <= limit
                seen += [it[name] for it in page["data"]]
                if page["next"] is None:
                    break
                query["after"] = page["next"]
            assert order == seen, (path, limit)


async def test_rows_cursor_and_tip_are_of_one_moment(http: httpx.AsyncClient, database: Pool) -> None:
    """While others commit: a client that joins from ``asOf`` misses nothing and hears nothing twice."""
    await hold(database, replace(STREAM, amount=10**6, withdrawn=0), tip=0)
    done = asyncio.Event()

    async def commit() -> None:
        while not done.is_set():
            async with database.acquire() as connection, connection.transaction():
                await connection.execute("UPDATE outbox_head SET seq = seq + 1")
                await connection.execute("UPDATE streams SET withdrawn = withdrawn + 1")
                await connection.execute("UPDATE chain_tip SET height = height + 1")

    seen = set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(commit())
        for path in ["/api/streams/1", "/api/streams"] * 40:
            answer = (await http.get(path)).json()
            stream = answer["data"][0] if isinstance(answer["data"], list) else answer["data"]["stream"]
            cursor = Cursor.parse(answer["asOf"])
            assert cursor is not None
            seen.add((cursor.offset.seq, int(stream["withdrawn"]), answer["tip"]["blockHeight"]))
        done.set()
    assert len(seen) > 1
    assert all(seq == withdrawn == height for seq, withdrawn, height in seen)


async def test_an_unchanged_snapshot_is_not_sent_again(http: httpx.AsyncClient, database: Pool) -> None:
    await hold(database, STREAM)
    first = await http.get("/api/streams/1")
    tag = first.headers["etag"]
    assert f'W/"{first.json()["asOf"]}:60"' == tag
    assert "no-cache" == first.headers["cache-control"]
    for known in (tag, "*", f'"other", {tag}', f'W/"x",{tag} , "y"', tag.removeprefix("W/")):
        same = await http.get("/api/streams/1", headers={"if-none-match": known})
        assert (304, b"", tag) == (same.status_code, same.content, same.headers["etag"])
    for unknown in ('"other"', "", "nonsense", tag.replace(":60", ":59")):
        assert 200 == (await http.get("/api/streams/1", headers={"if-none-match": unknown})).status_code
    assert 404 == (await http.get("/api/streams/2", headers={"if-none-match": "*"})).status_code
    await hold(database, tip=61)  # the tip alone makes vesting another
    assert 200 == (await http.get("/api/streams/1", headers={"if-none-match": tag})).status_code


REFUSED = [
    ("/api/streams?limit=0", 400, "limit"),
    ("/api/streams?limit=201", 400, "limit"),
    ("/api/streams?limit=x", 400, "limit"),
    ("/api/streams?limit=", 400, "limit"),
    ("/api/streams?limit=1&limit=1", 400, "limit"),
    ("/api/streams?after=-1", 400, "after"),
    ("/api/streams?after=01", 400, "after"),
    ("/api/streams?after=1.2", 400, "after"),
    ("/api/streams?after=99999999999999999999", 400, "after"),
    ("/api/streams?status=open", 400, "status"),
    ("/api/streams?role=payer", 400, "role"),
    ("/api/streams?role=sender", 400, "address"),
    ("/api/streams?address=ST1", 400, "address"),
    ("/api/streams?colour=red", 400, "colour"),
    ("/api/streams?%FF=red", 400, "no parameter"),
    ("/api/streams?%ED%A0%80=red", 400, "no parameter"),
    ("/api/streams?address=%00", 400, "address"),
    ("/api/streams/1?limit=1", 400, "limit"),
    ("/api/streams/1?id=1", 400, "id"),
    ("/api/streams/01", 400, "id"),
    ("/api/streams/x", 400, "id"),
    ("/api/streams/%00", 400, "id"),
    ("/api/streams/9223372036854775808", 400, "id"),
    ("/api/streams/77", 404, "77"),
    ("/api/marketplace?limit=1", 400, "limit"),
    ("/api/marketplace/listings?status=completed", 400, "status"),
    ("/api/marketplace/listings?seller=x", 400, "seller"),
    ("/api/marketplace/sales?streamId=-1", 400, "streamId"),
    ("/api/treasury/proposals?kind=", 400, "kind"),
    ("/api/treasury/fees?feeType=Marketplace", 400, "feeType"),
    ("/api/treasury/fees?after=7", 400, "after"),
    (f"/api/treasury/fees?after=7.0.0.{'g' * 32}", 400, "after"),
    (f"/api/treasury/fees?after={'a' * 32}.0.0.7", 400, "after"),
    ("/api/unknown", 404, ""),
]


async def test_a_refusal_says_what_is_wrong(http: httpx.AsyncClient) -> None:
    for path, status, word in REFUSED:
        answer = await http.get(path)
        assert (status, False) == (answer.status_code, answer.json()["success"]), path
        assert word in answer.json()["error"]["message"], path


async def test_what_is_not_there_is_not_there_as_of_a_moment(http: httpx.AsyncClient, database: Pool) -> None:
    head = await outbox.head(database)
    assert str(head.cursor) == (await http.get("/api/streams/77")).json()["asOf"]


async def test_before_ingest_began_there_is_no_state_and_no_row(http: httpx.AsyncClient) -> None:
    for path in ("/api/marketplace", "/api/treasury", "/api/treasury/proposals", "/api/access-control"):
        answer = await http.get(path)
        assert (503, "UNAVAILABLE") == (answer.status_code, answer.json()["error"]["code"])
        assert "not begun" in answer.json()["error"]["message"]
    for path in ("/api/streams", "/api/marketplace/listings", "/api/marketplace/sales", "/api/treasury/fees"):
        page = (await http.get(path)).json()
        assert ([], None, {"blockHeight": 0, "timestamp": None}) == (page["data"], page["next"], page["tip"])


async def test_without_its_database_a_node_says_so(environment: dict[str, str]) -> None:
    async with open_database("postgresql://x@127.0.0.1:1/x", "tests") as nowhere, serving(nowhere, environment) as http:
        for route in ROUTES:
            answer = await http.get(route.path.replace("{id}", "1"))
            assert (503, "UNAVAILABLE") == (answer.status_code, answer.json()["error"]["code"])
        assert 400 == (await http.get("/api/streams?limit=0")).status_code  # nothing to look up


async def test_the_document_is_served(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/openapi.json")
    assert "application/json" == answer.headers["content-type"].partition(";")[0]
    served = {it.path for it in (*ROUTES, *OPERATIONS)}
    assert served == set(msgspec.json.decode(answer.content)["paths"])
