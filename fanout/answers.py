"""Answers over HTTP in one shape, and bodies that are read only so far."""

from __future__ import annotations

from aiohttp import web

from shared.wire import encode

BODY_MAX = 8192


def answer(body: object, status: int = 200) -> web.Response:
    """Any value, as JSON."""
    return web.Response(status=status, body=encode(body), content_type="application/json")


def refusal(status: int, code: str, message: str, **more: str) -> web.Response:
    """The body of every refusal."""
    return answer({"success": False, "error": {"code": code, "message": message}, **more}, status)


async def read_body(request: web.Request) -> bytes:
    """The body; refused where it is longer than anything that is asked for."""
    if (request.content_length or 0) > BODY_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_MAX, request.content_length or 0)
    body = b""
    async for part in request.content.iter_any():
        body += part
        if len(body) > BODY_MAX:
            raise web.HTTPRequestEntityTooLarge(BODY_MAX, len(body))
    return body
