"""Snapshots: what is true ``asOf`` a cursor."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from bench.deliveries import RECIPIENT, SENDER, block, body, created, withdrawn
from tests.posting import post
from tests.processes import Processes


async def test_streams_are_listed_newest_first_in_pages(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await post(ingest, body(block(500_000, [created(i) for i in range(1, 8)] + [withdrawn(3, 10**9)])))
    async with httpx.AsyncClient(base_url=node.url) as http:
        seen: list[str] = []
        after = None
        for _ in range(4):
            query = {"limit": "3"} | ({"after": after} if after else {})
            page = (await http.get("/api/streams", params=query)).json()
            assert {"blockHeight": 500_000, "timestamp": 1_760_500_060} == page["tip"]
            assert page["asOf"].endswith(".8-3")
            seen += [stream["streamId"] for stream in page["data"]]
            after = page["next"]
            if after is None:
                break
        assert [str(i) for i in range(7, 0, -1)] == seen
        done = (await http.get("/api/streams/", params={"status": "completed"})).json()["data"]
        assert [("3", "1000000000", "0")] == [(it["streamId"], it["withdrawn"], it["remaining"]) for it in done]
        assert 7 == len((await http.get("/api/streams", params={"address": SENDER})).json()["data"])
        theirs = {"address": RECIPIENT, "role": "sender"}
        assert [] == (await http.get("/api/streams", params=theirs)).json()["data"]
        one = (await http.get("/api/streams/5")).json()["data"]
        # 1,000,000,000 sats from height 1 to 1,000,000, at 500,000: floor of the exact share
        assert ("499999499", "499999499", "streaming") == tuple(
            one["stream"][name] for name in ("vested", "withdrawable", "phase")
        )


async def test_an_unchanged_snapshot_is_not_sent_again(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await post(ingest, body(block(100, [created(1)])))
    async with httpx.AsyncClient(base_url=node.url) as http:
        first = await http.get("/api/streams/1")
        tag = first.headers["etag"]
        assert "no-cache" == first.headers["cache-control"]
        same = await http.get("/api/streams/1", headers={"if-none-match": tag})
        assert (304, b"") == (same.status_code, same.content)
        await post(ingest, body(block(101, [])))  # the tip alone makes vesting another
        assert 200 == (await http.get("/api/streams/1", headers={"if-none-match": tag})).status_code


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/streams?limit=0", 400, "limit"),
        ("/api/streams?limit=201", 400, "limit"),
        ("/api/streams?limit=x", 400, "limit"),
        ("/api/streams?after=-1", 400, "after"),
        ("/api/streams?after=99999999999999999999", 400, "after"),
        ("/api/streams?status=open", 400, "status"),
        ("/api/streams?role=payer", 400, "role"),
        ("/api/streams?role=sender", 400, "address"),
        ("/api/streams?address=ST1", 400, "address"),
        ("/api/streams?colour=red", 400, "colour"),
        ("/api/streams/01", 400, "stream id"),
        ("/api/streams/x", 400, "stream id"),
        ("/api/streams/9223372036854775808", 400, "stream id"),
        ("/api/streams/77", 404, "77"),
        ("/api/unknown", 404, ""),
    ],
)
async def test_a_refusal_says_what_is_wrong(node_url: str, path: str, status: int, word: str) -> None:
    answer = await asyncio.to_thread(httpx.get, node_url + path)
    assert (status, False) == (answer.status_code, answer.json()["success"])
    assert word in answer.json()["error"]["message"]


@pytest.fixture
def node_url(processes: Processes) -> str:
    return processes.start("fanout").url
