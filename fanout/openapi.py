"""The OpenAPI document of the snapshots, made from the routes that are served and the types that they answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import msgspec

from fanout.query import Parameter
from fanout.routes import Route

_REFS = "#/components/schemas/{name}"
_REFUSED = {
    400: "A parameter is wrong, unknown or repeated; the message names it",
    403: "The Origin is none of ALLOWED_ORIGINS",
    503: "The database is away, or ingest has never run on it; ask again",
}


class Tip(TypedDict):
    """The block that the chain is told up to; ``timestamp`` in unix seconds, null when that block is not known."""

    blockHeight: int
    timestamp: int | None


class Error(TypedDict):
    code: str
    message: str


class Refusal(TypedDict):
    """The body of every refusal."""

    success: Literal[False]
    error: Error


class Missing(Refusal):
    """There is nothing of that id, ``asOf`` that moment."""

    asOf: str


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """An OpenAPI 3.1 document, as JSON."""
    types = [Tip, Refusal, Missing, *(route.item for route in routes)]
    refs, schemas = msgspec.json.schema_components(types, ref_template=_REFS)
    tip, refusal, missing, *items = refs

    def described(route: Route, item: dict[str, Any]) -> dict[str, Any]:
        answers: dict[str, Any] = {
            "200": _json("True as of one moment", _body(route, tip, item)) | {"headers": {"ETag": _text("Weak")}},
            "304": {"description": "If-None-Match has the ETag of now, or is *"},
        }
        answers |= {str(status): _json(about, refusal) for status, about in _REFUSED.items()}
        if any(it.in_path for it in route.parameters):
            answers["404"] = _json("There is nothing of that id", missing)
        return {
            "summary": route.about,
            "parameters": [_parameter(it) for it in route.parameters],
            "responses": dict(sorted(answers.items())),
        }

    return {
        "openapi": "3.1.0",
        "info": {"title": "BitPay Realtime: snapshots", "version": "1"},
        "paths": {route.path: {"get": described(route, item)} for route, item in zip(routes, items, strict=True)},
        "components": {"schemas": schemas},
    }


def _body(route: Route, tip: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "asOf": {"type": "string", "description": "A cursor: join a room with `since` this, and nothing falls between"},
        "tip": tip,
        "data": {"type": "array", "items": item} if route.paged else item,
    }
    if route.paged:
        properties["next"] = {"type": ["string", "null"], "description": "The next page's `after`; null at the end"}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _parameter(it: Parameter[Any]) -> dict[str, Any]:
    described = {
        "name": it.name,
        "in": "path" if it.in_path else "query",
        "required": it.in_path,
        "description": it.must[0].upper() + it.must[1:] + (f"; needs {it.needs}" if it.needs else ""),
        "schema": dict(it.schema),
    }
    return described | ({"x-needs": it.needs} if it.needs else {})


def _json(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _text(about: str) -> dict[str, Any]:
    return {"description": about, "schema": {"type": "string"}}
