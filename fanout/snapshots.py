"""Snapshots: what is true ``asOf`` a cursor.

Rows and the outbox's head are read in one repeatable-read transaction, so a client that fetches a snapshot and joins
with ``since: asOf`` misses nothing and hears nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from aiohttp import web

from shared import outbox
from shared.database import Connection, Pool, borrowed, is_outage
from shared.domain.chain import INT64_MAX
from shared.domain.clarity import Json, is_principal
from shared.domain.entry import Cursor
from shared.domain.rooms import parse_stream_id
from shared.domain.rows import Stream
from shared.domain.views import stream_view, vesting
from shared.wire import encode

ANSWER_S = 10.0  # a snapshot that takes longer is refused
LIMIT_MAX = 200
LIMIT_DEFAULT = 50
_STATUSES = ("active", "completed", "cancelled")
_SELECT = f"SELECT {', '.join(field.name for field in fields(Stream))} FROM streams"  # noqa: S608 - names of ours


class BadQuery(Exception):
    """A parameter is wrong; the message names it."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """One consistent view of the database."""

    connection: Connection
    cursor: Cursor
    height: int
    time: int | None

    def head(self) -> dict[str, Json]:
        return {"asOf": str(self.cursor), "tip": {"blockHeight": self.height, "timestamp": self.time}}


class Snapshots:
    """The routes that say what is true now."""

    def __init__(self, database: Pool) -> None:
        self._database = database

    def routes(self) -> list[web.RouteDef]:
        """GET routes; a trailing slash is the same path."""
        return [
            web.get("/api/streams{slash:/?}", self.streams),
            web.get(r"/api/streams/{id:[^/]+}{slash:/?}", self.stream),
        ]

    async def streams(self, request: web.Request) -> web.Response:
        """Streams by id, newest first; ``address``, ``role`` and ``status`` narrow the list."""
        try:
            query = _Query(request.query, "address", "role", "status", "limit", "after")
            address, role = query.address(), query.one_of("role", ("sender", "recipient"))
            status, limit, after = query.one_of("status", _STATUSES), query.limit(), query.after()
            if role and address is None:
                raise BadQuery("role needs an address")
        except BadQuery as bad:
            return refusal(400, "BAD_REQUEST", str(bad))
        sides = (role,) if role else ("sender", "recipient")
        where = _Where()
        where.add("stream_id < ?", after)
        where.add("status = ?", status)
        where.add(" OR ".join(f"{side} = ?" for side in sides), address)
        async with self._moment() as now:
            found = await now.connection.fetch(
                f"{_SELECT} {where} ORDER BY stream_id DESC LIMIT {limit + 1}", *where.values
            )
            rows = [Stream(*row) for row in found]
            page = rows[:limit]
            following = str(page[-1].stream_id) if len(rows) > limit else None
            data = [{**stream_view(row), **vesting(row, now.height)} for row in page]
            return _answer(request, now, {**now.head(), "data": data, "next": following})

    async def stream(self, request: web.Request) -> web.Response:
        """One stream and all that hangs on it."""
        stream_id = parse_stream_id(request.match_info["id"])
        if stream_id is None:
            return refusal(400, "BAD_REQUEST", "a stream id is a decimal number up to 2^63-1, without leading zeros")
        async with self._moment() as now:
            row = await now.connection.fetchrow(f"{_SELECT} WHERE stream_id = $1", stream_id)
            if row is None:
                return refusal(404, "NOT_FOUND", f"there is no stream {stream_id}", asOf=str(now.cursor))
            stream = Stream(*row)
            data = {
                "stream": {**stream_view(stream), **vesting(stream, now.height)},
                "nfts": {"obligation": None, "recipient": None},
                "listing": None,
                "purchase": None,
            }
            return _answer(request, now, {**now.head(), "data": data})

    @asynccontextmanager
    async def _moment(self) -> AsyncIterator[_Moment]:
        try:
            async with (
                borrowed(self._database, ANSWER_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                head = await outbox.head(connection)
                tip = await connection.fetchrow("SELECT height, time FROM chain_tip")
                yield _Moment(connection, head.cursor, tip["height"] if tip else 0, tip["time"] if tip else None)
        except Exception as error:
            if not is_outage(error):
                raise
            raise web.HTTPServiceUnavailable(reason="the database does not answer") from error


class _Where:
    """Conditions joined by AND; what is None does not narrow."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._conditions: list[str] = []

    def add(self, condition: str, value: object) -> None:
        """A condition of ours in which every ``?`` stands for the one value."""
        if value is not None:
            self.values.append(value)
            self._conditions.append(f"({condition.replace('?', f'${len(self.values)}')})")

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self._conditions)}" if self._conditions else ""


class _Query:
    """Query parameters, read with the name of the bad one in the error."""

    def __init__(self, query: Mapping[str, str], *known: str) -> None:
        if unknown := sorted(set(query) - set(known)):
            raise BadQuery(f"{unknown[0]} is no parameter here")
        self._query = query

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        value = self._query.get(name)
        if value is not None and value not in words:
            raise BadQuery(f"{name} must be one of {', '.join(words)}")
        return value

    def address(self) -> str | None:
        value = self._query.get("address")
        if value is not None and not is_principal(value):
            raise BadQuery("address is no address")
        return value

    def limit(self) -> int:
        value = self._query.get("limit", str(LIMIT_DEFAULT))
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not 1 <= int(value) <= LIMIT_MAX:
            raise BadQuery(f"limit must be from 1 to {LIMIT_MAX}")
        return int(value)

    def after(self) -> int | None:
        value = self._query.get("after")
        if value is not None and (not re.fullmatch(r"\d{1,19}", value, re.ASCII) or int(value) > INT64_MAX):
            raise BadQuery("after must be the next of an earlier answer")
        return None if value is None else int(value)


def _answer(request: web.Request, now: _Moment, body: Mapping[str, Any]) -> web.Response:
    tag = f'W/"{now.cursor}:{now.height}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in (part.strip() for part in request.headers.get("If-None-Match", "").split(",")):
        return web.Response(status=304, headers=headers)
    return web.Response(body=encode(body), content_type="application/json", headers=headers)


def refusal(status: int, code: str, message: str, **more: str) -> web.Response:
    """The body of every refusal."""
    body = {"success": False, "error": {"code": code, "message": message}, **more}
    return web.Response(status=status, body=encode(body), content_type="application/json")
