"""The control panel's back end: what the page of ``make run`` may command, on 127.0.0.1 and for that page alone.

Every request must come from an origin of the page, and what changes anything must be JSON: then a browser asks first,
and no other site can do it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import web

from deploy.local.children import Child
from deploy.local.errors import Impossible
from deploy.local.orders import Feed, Handler, listening, read, refusal
from shared.feed import OUTAGES, open_redis

COMMAND_S = 20.0
HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Vary": "Origin",
}


class ForNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kill it, or start it again."""

    do: Literal["kill", "start"]


class ForRedis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Remove all that Redis has."""

    do: Literal["empty"]


@dataclass(slots=True)
class Panel:
    """What it has a hand on. ``commands``: where the simulator takes them; ``redis_url``: of a Redis of our own."""

    nodes: Mapping[str, Child]
    ports: Mapping[str, int]
    origins: frozenset[str]
    commands: str | None
    secret: str
    redis_url: str | None
    paused: bool = False


@asynccontextmanager
async def controlling(panel: Panel, port: int) -> AsyncIterator[None]:
    """Serve the panel on this port. Raises ``LocalFault``."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        if request.host not in (f"127.0.0.1:{port}", f"localhost:{port}") or origin not in panel.origins:
            return refusal(403, "only the page of this run may ask")
        if request.method == "OPTIONS":
            answer: web.StreamResponse = web.Response(status=204)
        elif request.method == "POST" and request.content_type != "application/json":
            answer = refusal(415, f"{request.method} {request.path} takes application/json")
        else:
            answer = await handler(request)
        answer.headers.update({**HEADERS, "Access-Control-Allow-Origin": origin})
        return answer

    async def show(_: web.Request) -> web.Response:
        nodes = [
            {
                "name": name,
                "url": f"http://127.0.0.1:{panel.ports[name]}",
                "alive": child.is_alive,
                "stopped": child.is_stopped,
            }
            for name, child in panel.nodes.items()
        ]
        return web.json_response({"simulated": panel.commands is not None, "paused": panel.paused, "nodes": nodes})

    async def chain(request: web.Request) -> web.Response:
        return await _forwarded(panel, "/chain", await request.read())

    async def feed(request: web.Request) -> web.Response:
        asked = await read(request, Feed)
        answer = await _forwarded(panel, "/feed", msgspec.json.encode(asked))
        if answer.status == 200:
            panel.paused = asked.paused
        return answer

    async def node(request: web.Request) -> web.Response:
        child = panel.nodes.get(request.match_info["name"])
        if child is None:
            return refusal(404, f"there is no node {request.match_info['name']}; there are {', '.join(panel.nodes)}")
        if (await read(request, ForNode)).do == "kill":
            child.kill()
        else:
            child.start()
        return web.json_response({"ok": True})

    async def redis(request: web.Request) -> web.Response:
        await read(request, ForRedis)
        if panel.redis_url is None:
            raise Impossible("this Redis was brought along by REDIS_URL, and is not emptied from here")
        async with open_redis(panel.redis_url, size=1) as client:
            try:
                await client.flushall()
            except OUTAGES as failed:
                raise Impossible(f"Redis does not answer: {failed}") from None
        return web.json_response({"ok": True})

    routes = [
        web.get("/", show),
        web.post("/chain", chain),
        web.post("/feed", feed),
        web.post("/nodes/{name}", node),
        web.post("/redis", redis),
    ]
    async with listening(routes, [guard], port, "the control panel"):
        yield


async def _forwarded(panel: Panel, path: str, body: bytes) -> web.Response:
    """The simulator's answer to the same body."""
    if panel.commands is None:
        raise Impossible("the chain is not simulated here")
    headers = {"authorization": f"Bearer {panel.secret}", "content-type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=COMMAND_S)) as session,
            session.post(panel.commands + path, data=body, headers=headers) as answer,
        ):
            told: Any = await answer.json()
            return web.json_response(told, status=answer.status)
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise Impossible("the simulator does not answer; it may be starting, or ingest may be away") from None
