"""What a node answers over HTTP beside its snapshots."""

from __future__ import annotations

import asyncio

import httpx

from shared.database import Pool
from tests.processes import Processes, wait_ready


async def test_a_node_before_its_migration_lives_and_is_not_ready(processes: Processes, database: Pool) -> None:
    current = await database.fetchval("SELECT version_num FROM alembic_version")
    await database.execute("UPDATE alembic_version SET version_num = '0001'")
    node = processes.start("fanout", ready=False)
    async with httpx.AsyncClient(base_url=node.url) as http, asyncio.timeout(20):
        while True:
            try:
                answer = await http.get("/readyz")
                if answer.json()["checks"]["node"] == "ok":
                    break
            except httpx.TransportError:
                assert node.popen.poll() is None
            await asyncio.sleep(0.05)
        assert (503, False) == (answer.status_code, answer.json()["ready"])
        assert "older than this process" == answer.json()["checks"]["schema"]
        assert 200 == (await http.get("/healthz")).status_code
        await database.execute("UPDATE alembic_version SET version_num = $1", current)
        await asyncio.to_thread(wait_ready, node)


async def test_a_slash_more_is_the_same_path_and_metrics_have_their_token(processes: Processes) -> None:
    node = processes.start("fanout", METRICS_TOKEN="meter,other")
    async with httpx.AsyncClient(base_url=node.url) as http:
        for path in ("/healthz", "/health", "/readyz", "/api/openapi.json"):
            for each in (path, f"{path}/"):
                assert 200 == (await http.get(each)).status_code, each
        for path in ("/socket.io", "/socket.io/"):
            assert 200 == (await http.get(f"{path}?EIO=4&transport=polling")).status_code
        for path in ("/metrics", "/metrics/"):
            for given in ("", "Bearer", "Bearer no", "Basic meter", "meter"):
                refused = await http.get(path, headers={"authorization": given})
                assert (401, "UNAUTHENTICATED") == (refused.status_code, refused.json()["error"]["code"])
            for token in ("meter", "other"):
                answer = await http.get(path, headers={"authorization": f"Bearer {token}"})
                assert "bitpay_sessions_total" in answer.text
                assert "bitpay_key_set_fetches_total" in answer.text
        lost = await http.get("/nowhere")
        assert (404, {"code": "NOT_FOUND", "message": "Not Found"}) == (lost.status_code, lost.json()["error"])
        assert "UNSUPPORTED" == (await http.post("/healthz")).json()["error"]["code"]
