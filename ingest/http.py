"""HTTP in front of the recorder and the speaker: authenticate, bound, parse, record, answer.

Chainhook gives up a hook after three refusals a second apart, so whoever has the secret is refused only for a body
that is no delivery. The path never decides: several hooks tell of one event.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from secrets import token_hex
from typing import Any, Final

from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.broadcast import BODY_MAX, Conflict, NotBroadcast, Speaker, read_broadcast
from ingest.delivery import NotDelivery, NotJson, parse_json, read_delivery
from ingest.metrics import BROADCASTS, DELIVERIES, EVENTS
from ingest.recorder import Recorder
from shared.errors import Unavailable
from shared.settings import IngestSettings
from shared.telemetry import bearer_matches, metrics_text

log = logging.getLogger("ingest.http")

WEBHOOK_PATHS: Final = (
    "/webhooks/chainhook",
    "/api/webhooks/chainhook",
    *(f"/api/webhooks/chainhook/{topic}" for topic in ("streams", "marketplace", "treasury", "nft", "access-control")),
)

_CODES: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    405: "UNSUPPORTED",
    409: "CONFLICT",
    413: "TOO_LARGE",
    415: "UNSUPPORTED",
    422: "BAD_REQUEST",
    500: "UNAVAILABLE",
    503: "UNAVAILABLE",
}

_KEY = re.compile(r"[ -~]{1,128}")

Check = Callable[[], Awaitable[Mapping[str, str]]]


class Refused(Exception):
    """The request gets this status and message; nothing of it is stored."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def web_app(settings: IngestSettings, recorder: Recorder, check: Check, speaker: Speaker | None = None) -> ASGIApp:
    """All routes of ingest. ``check`` says what stands between this process and being ready.

    Without a ``speaker``, or without a token to let anybody in, there is no route for broadcasts.
    """

    async def webhook(request: Request) -> Response:
        return await _answer(DELIVERIES, "a delivery could not be recorded", _receive(request, settings, recorder))

    async def healthz(request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(request: Request) -> Response:
        checks = dict(await check())
        ready = all(state == "ok" for name, state in checks.items() if name != "redis")
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    async def metrics(request: Request) -> Response:
        tokens = settings.common.metrics_token
        if tokens and not _has_bearer(request, tokens):
            return _refusal(401, "a bearer token is needed")
        text, content_type = metrics_text()
        return Response(text, media_type=content_type)

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _refusal(error.status_code, str(error.detail), error.headers)

    routes = [
        *(Route(path, webhook, methods=["POST"]) for path in WEBHOOK_PATHS),
        Route("/healthz", healthz),
        Route("/health", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
    if speaker is not None and settings.broadcast_tokens:

        async def broadcast(request: Request) -> Response:
            return await _answer(BROADCASTS, "a broadcast could not be said", _hear(request, settings, speaker))

        routes.append(Route("/broadcast", broadcast, methods=["POST"]))
    app = Starlette(routes=routes, exception_handlers={HTTPException: refuse})
    app.router.redirect_slashes = False  # a redirect turns Chainhook's POST into a GET that counts as delivered
    return _same_path_with_slash(app)


async def _answer(counter: Counter, failed: str, answering: Awaitable[Response]) -> Response:
    """The answer, counted by its status; a defect of ours is logged as ``failed`` and answered, too."""
    status = 500
    try:
        answer = await answering
        status = answer.status_code
        return answer
    except Refused as refused:
        status = refused.status
        return _refusal(refused.status, refused.message)
    except Exception:
        log.exception(failed)
        return _refusal(500, "a defect of ours; nothing was stored")
    finally:
        counter.labels(status=str(status)).inc()


async def _receive(request: Request, settings: IngestSettings, recorder: Recorder) -> Response:
    _authenticate(request, settings.secrets)
    body = await _json(request, settings.webhook_max_bytes)
    try:
        delivery = read_delivery(body, settings.contracts, settings.common.network)
    except NotDelivery as wrong:
        raise Refused(422, f"no delivery: {wrong}") from None
    try:
        outcome = await recorder.submit(delivery)
    except Unavailable as away:
        raise Refused(503, str(away)) from None
    for name, result in outcome.results:
        EVENTS.labels(name=name, result=result).inc()
    if outcome.quarantined:
        log.warning("events set aside", extra={"hook": delivery.hook, "events": outcome.quarantined})
    return JSONResponse(
        {
            "success": True,
            "applied": outcome.applied,
            "known": outcome.known,
            "reverted": outcome.reverted,
            "quarantined": outcome.quarantined,
        }
    )


async def _hear(request: Request, settings: IngestSettings, speaker: Speaker) -> Response:
    if not _has_bearer(request, settings.broadcast_tokens):
        raise Refused(401, "a bearer token is needed")
    key = _idempotency_key(request)
    body = await _json(request, BODY_MAX)
    try:
        said = await speaker.submit(read_broadcast(body, settings.common.network), key)
    except NotBroadcast as wrong:
        raise Refused(422, f"no broadcast: {wrong}") from None
    except Conflict as conflict:
        raise Refused(409, str(conflict)) from None
    except Unavailable as away:
        raise Refused(503, str(away)) from None
    return JSONResponse({"success": True, "id": said.id, "offset": str(said.offset), "duplicate": said.duplicate})


def _idempotency_key(request: Request) -> str:
    """What the caller calls this broadcast; without a word of his, a name nobody has."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return token_hex(16)
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Refused(422, "Idempotency-Key must be 1 to 128 printable ASCII characters")
    return given[0]


def _has_bearer(request: Request, tokens: tuple[bytes, ...]) -> bool:
    return bearer_matches(request.headers.get("authorization", "").encode("latin-1"), tokens)


def _authenticate(request: Request, secrets: tuple[bytes, ...]) -> None:
    """v1 sends the registered text as it is, v2 a bearer or a header of its own; each secret may be any of them."""
    given = [value for name, value in request.headers.raw if name == b"x-chainhook-consumer-secret"]
    for name, value in request.headers.raw:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            given += [value, rest.strip()] if scheme.lower() == b"bearer" else [value]
    hits = [compare_digest(value, secret) for value in given for secret in secrets]
    if not any(hits):
        raise Refused(401, "the secret is missing or wrong")


async def _json(request: Request, limit: int) -> Any:
    """The JSON value that the body is, which must be called JSON and be no larger than the limit."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(415, "the content type must be application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(415, "the body must not be encoded")
    try:
        return parse_json(await _body(request, limit))
    except NotJson as wrong:
        raise Refused(400, f"no JSON: {wrong}") from None


async def _body(request: Request, limit: int) -> bytes:
    """The body, read no further than the limit, whatever length was declared."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise Refused(413, f"the body is larger than {limit} bytes")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refused(413, f"the body is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    error = {"code": _CODES.get(status, "BAD_REQUEST"), "message": message}
    return JSONResponse({"success": False, "error": error}, status, headers)


def _same_path_with_slash(app: ASGIApp) -> ASGIApp:
    """A path with a trailing slash is the same path."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await app(scope, receive, send)

    return serve
