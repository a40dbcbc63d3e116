"""The HTTP side of a node: origins, health, metrics, the page; and refusals that look alike everywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from fanout.address import client_address
from fanout.answers import refusal
from fanout.board import Board
from fanout.notifications import OPERATIONS, Notifications
from fanout.openapi import document
from fanout.routes import ROUTES
from fanout.signin import SignIn
from fanout.snapshots import Snapshots
from fanout.tokens import token_of
from fanout.upstream import ADDRESS, TOKEN, Server
from shared.settings import FanoutSettings
from shared.telemetry import bearer_matches, metrics_text
from shared.wire import encode

PAGE: Final = Path(__file__).parent / "page"
_PAGE_FILES: Final = {
    "page.js": "text/javascript",
    "page.css": "text/css",
    "examples.js": "text/javascript",
    "examples.css": "text/css",
}
_POLICY: Final = "default-src 'self'; connect-src 'self'{}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PAGE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_CODES: Final = {404: "NOT_FOUND", 405: "UNSUPPORTED", 413: "TOO_LARGE", 503: "UNAVAILABLE"}
SOCKETS: Final = "/socket.io"

Check = Callable[[], Awaitable[Mapping[str, str]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def web_app(
    server: Server,
    snapshots: Snapshots,
    settings: FanoutSettings,
    check: Check,
    accepting: Callable[[], bool],
    signin: SignIn | None = None,
    notifications: Notifications | None = None,
    board: Board | None = None,
) -> web.Application:
    """All routes of fanout.

    ``check`` says what stands between this node and being ready, ``accepting`` whether it takes new connections.
    """
    allowed = frozenset(settings.allowed_origins)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Only known origins, on every route; an error has the same shape wherever it comes from."""
        origin = request.headers.get("Origin")
        if origin is not None and origin not in allowed:
            return refusal(403, "FORBIDDEN", "this origin is not allowed here")
        sockets = request.path.startswith(SOCKETS)
        if origin is not None and request.method == "OPTIONS" and not sockets:
            response: web.StreamResponse = web.Response(status=204)
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                code = _CODES.get(error.status, "BAD_REQUEST")
                response = refusal(error.status, code, error.reason)
        if origin is not None and not sockets:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-None-Match"
            response.headers["Access-Control-Expose-Headers"] = "ETag"
            response.headers["Vary"] = "Origin"
        return response

    described = encode(document(ROUTES, OPERATIONS))

    async def openapi(request: web.Request) -> web.Response:
        return web.Response(body=described, content_type="application/json", headers={"Cache-Control": "no-cache"})

    async def engine(request: web.Request) -> web.StreamResponse:
        if "sid" not in request.query and not accepting():
            raise web.HTTPServiceUnavailable(reason="this node takes no new connections")
        address = client_address(request.headers, request.remote or "", settings.trusted_proxies)
        if "sid" not in request.query and 0 < settings.connections_per_address <= server.eio.count(address):
            return refusal(429, "RATE_LIMITED", "too many connections from this address")
        request[ADDRESS], request[TOKEN] = address, token_of(request.headers, request.cookies) or ""
        answer: web.StreamResponse = await server.eio.handle_request(request)
        return answer

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(body=encode({"ok": True}), content_type="application/json")

    async def readyz(request: web.Request) -> web.Response:
        checks = await check()
        ready = all(state == "ok" for state in checks.values())
        body = encode({"ready": ready, "checks": checks})
        return web.Response(status=200 if ready else 503, body=body, content_type="application/json")

    async def metrics(request: web.Request) -> web.Response:
        header = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        tokens = settings.common.metrics_token
        if tokens and not bearer_matches(header, tokens):
            return refusal(401, "UNAUTHENTICATED", "a bearer token is needed")
        text, content_type = metrics_text()
        return web.Response(body=text, headers={"Content-Type": content_type})

    app = web.Application(middlewares=[guard])
    app.router.add_route("*", SOCKETS + "{slash:/?}", engine)
    app.add_routes(
        [
            web.get("/healthz{slash:/?}", healthz),
            web.get("/health{slash:/?}", healthz),
            web.get("/readyz{slash:/?}", readyz),
            web.get("/metrics{slash:/?}", metrics),
            web.get("/api/openapi.json{slash:/?}", openapi),
            *snapshots.routes(),
            *(signin.routes() if signin else ()),
            *(notifications.routes() if notifications else ()),
        ]
    )
    if settings.page:
        policy = _POLICY.format(f" {settings.control_url}" if settings.control_url else "")

        def page(name: str) -> Handler:
            async def handler(request: web.Request) -> web.Response:
                if not (PAGE / name).is_file():
                    return refusal(404, "NOT_FOUND", "the page is not built: run `make build`")
                headers = {**_PAGE_HEADERS, "Content-Security-Policy": policy}
                text = (PAGE / name).read_text(encoding="utf-8")
                return web.Response(text=text, content_type="text/html", headers=headers)

            return handler

        async def status(request: web.Request) -> web.Response:
            assert board is not None
            body = encode(board.status(settings.control_url or None))
            return web.Response(body=body, content_type="application/json", headers=_PAGE_HEADERS)

        if board is not None:
            app.add_routes([web.get("/page/status.json", status)])
        app.add_routes(
            [
                web.get("/", page("index.html")),
                web.get("/examples{slash:/?}", page("examples.html")),
                web.get("/page/{name}", _page_file),
                web.get("/favicon.ico", _no_icon),
            ]
        )
    return app


async def _no_icon(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _page_file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _PAGE_FILES or not (PAGE / name).is_file():
        raise web.HTTPNotFound
    return web.Response(
        body=(PAGE / name).read_bytes(),
        content_type=_PAGE_FILES[name],
        charset="utf-8",
        headers=_PAGE_HEADERS,
    )
