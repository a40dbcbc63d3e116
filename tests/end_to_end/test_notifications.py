"""Notifications from the webhook to a browser's socket and its list."""

from __future__ import annotations

import httpx

from tests.builders import a_delivery, block, stream_created, stream_withdrawal
from tests.end_to_end.client import Client, Heard, client
from tests.fanout.test_notifications import its, token
from tests.posting import post
from tests.processes import Processes

CREATED = block(7, stream_created())
DRAWN = block(8, stream_withdrawal())


def notes(one: Client) -> list[Heard]:
    return [it for it in one.heard if it.name.startswith("notification:")]


async def test_an_address_hears_reads_and_sees_reverted_what_concerns_it(processes: Processes) -> None:
    ingest, node, other = (processes.start(kind) for kind in ("ingest", "fanout", "fanout"))
    async with client(node.url, token=token()) as bob, client(node.url) as anybody:
        await post(ingest, a_delivery().applies(CREATED, DRAWN).encoded("v1"))
        await bob.until(lambda it: len(notes(it)) == 2)
        first, second = notes(bob)
        assert [("stream_received", "1"), ("stream_withdrawal", "2")] == [
            (it.payload["type"], it.payload["data"]["unread"]) for it in (first, second)
        ]
        async with httpx.AsyncClient(base_url=other.url, headers=its()) as http:
            listed = (await http.get("/api/notifications")).json()
            assert [second.payload["data"]["id"], first.payload["data"]["id"]] == [it["id"] for it in listed["data"]]
            assert second.cursor <= listed["asOf"]
            marked = await http.post(f"/api/notifications/{first.payload['data']['id']}/mark-read")
            assert {"success": True, "unread": 1} == marked.json()
            await post(ingest, a_delivery().rolls_back(DRAWN).encoded("v2"))
            await bob.until(lambda it: len(notes(it)) == 3)
            gone = notes(bob)[2]
            assert ("notification:retracted", second.payload["data"]["id"], "0") == (
                gone.name,
                gone.payload["data"]["id"],
                gone.payload["data"]["unread"],
            )
            assert ["retracted", "read"] == [
                it["status"] for it in (await http.get("/api/notifications")).json()["data"]
            ]
        await post(ingest, a_delivery().applies(DRAWN).encoded("v1"))
        await bob.until(lambda it: len(notes(it)) == 4)
        again = notes(bob)[3].payload
        assert (second.payload["data"]["id"], "unread", "1", True) == (
            again["data"]["id"],
            again["data"]["status"],
            again["data"]["unread"],
            again["meta"]["reapplied"],
        )
        assert [] == notes(anybody)
    async with client(node.url, token=token(), since=first.cursor) as back:
        await back.until(lambda it: len(notes(it)) == 3)
        assert [it.cursor for it in notes(bob)[1:]] == [it.cursor for it in notes(back)]
