"""The OpenAPI document of snapshots and notifications, made from what is served and the types of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import msgspec

from fanout.query import Parameter
from fanout.routes import Route
from fanout.tokens import COOKIE

_REFS = "#/components/schemas/{name}"
_REFUSED = {
    400: "A parameter is wrong, unknown or repeated; the message names it",
    403: "The Origin is none of ALLOWED_ORIGINS",
    503: "The database is away, or ingest has never run on it; ask again",
}

_TOKENS = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}


class Tip(TypedDict):
    """The block that the chain is told up to; ``timestamp`` in unix seconds, null when that block is not known."""

    blockHeight: int
    timestamp: int | None


class Problem(TypedDict):
    code: str
    message: str


class Refusal(TypedDict):
    """The body of every refusal."""

    success: Literal[False]
    error: Problem


class Missing(Refusal):
    """There is nothing of that id, ``asOf`` that moment."""

    asOf: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path that answers for the address of a token; ``answer`` and ``body`` are types."""

    method: Literal["get", "post"]
    path: str
    about: str
    answer: Any
    parameters: tuple[Parameter[Any], ...] = ()
    body: Any = None


def document(routes: Sequence[Route], operations: Sequence[Operation] = ()) -> dict[str, Any]:
    """An OpenAPI 3.1 document, as JSON."""
    bodies = [it.body for it in operations if it.body]
    types = [Tip, Refusal, Missing, *(route.item for route in routes), *(it.answer for it in operations), *bodies]
    refs, schemas = msgspec.json.schema_components(types, ref_template=_REFS)
    tip, refusal, missing, *others = refs
    items, answers_of, bodies_of = (
        others[: len(routes)],
        others[len(routes) : len(routes) + len(operations)],
        iter(others[len(routes) + len(operations) :]),
    )

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

    def personal(it: Operation, of_it: dict[str, Any]) -> dict[str, Any]:
        refused = _REFUSED | {401: "No token, or none that is valid here"}
        if any(parameter.in_path for parameter in it.parameters):
            refused[404] = "The token's address has nothing of that id"
        if it.body:
            refused[413] = "The body is too long"
        answers = {str(status): _json(about, refusal) for status, about in refused.items()}
        answers["200"] = _json("Of the token's address, and for nobody else", of_it)
        found: dict[str, Any] = {
            "summary": it.about,
            "security": [{name: []} for name in _TOKENS],
            "parameters": [_parameter(parameter) for parameter in it.parameters],
            "responses": dict(sorted(answers.items())),
        }
        if it.body:
            found["requestBody"] = {"required": True, **_json("What shall change", next(bodies_of))}
        return found

    paths: dict[str, Any] = {}
    for route, item in zip(routes, items, strict=True):
        paths.setdefault(route.path, {})["get"] = described(route, item)
    for it, of_it in zip(operations, answers_of, strict=True):
        paths.setdefault(it.path, {})[it.method] = personal(it, of_it)
    return {
        "openapi": "3.1.0",
        "info": {"title": "BitPay Realtime: snapshots and notifications", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _TOKENS},
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
