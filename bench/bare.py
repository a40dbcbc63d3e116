"""The peer: a bare Starlette endpoint that parses a body and inserts one row, in a transaction of its own.

No validation, no events, no state, no outbox: the least that "store every delivery durably" can cost on the same
stack. It reads ``DATABASE_URL`` and ``PORT`` from the environment, as ingest does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.processes import WEBHOOK

CONNECTIONS = 16  # as many as the load has, so that no request waits for another's commit


def app(database_url: str) -> Starlette:
    """The endpoint and its readiness."""

    @asynccontextmanager
    async def lifespan(running: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(database_url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            await pool.execute(
                "CREATE TABLE IF NOT EXISTS bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
                " hook text NOT NULL, height bigint NOT NULL, block_hash text NOT NULL, bytes bigint NOT NULL)"
            )
            running.state.pool = pool
            yield

    async def store(request: Request) -> Response:
        raw = await request.body()
        body = msgspec.json.decode(raw)
        block = body["apply"][0]["block_identifier"]
        await request.app.state.pool.execute(
            "INSERT INTO bare (hook, height, block_hash, bytes) VALUES ($1, $2, $3, $4)",
            body["chainhook"]["uuid"],
            block["index"],
            block["hash"],
            len(raw),
        )
        return JSONResponse({"success": True})

    async def ready(request: Request) -> Response:
        return JSONResponse({"ready": True})

    return Starlette(
        routes=[Route(WEBHOOK, store, methods=["POST"]), Route("/readyz", ready)],
        lifespan=lifespan,
    )


async def serve(port: int) -> None:
    """Serve until the process ends."""
    config = uvicorn.Config(
        app(os.environ["DATABASE_URL"]),
        host="127.0.0.1",
        port=port,
        http="httptools",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(os.environ["PORT"])))
