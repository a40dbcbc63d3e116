"""Snapshots: what is true ``asOf`` a cursor.

Rows and the outbox's head are read in one repeatable-read transaction, so a client that fetches a snapshot and joins
with ``since: asOf`` misses nothing and hears nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from fanout.answers import refusal
from fanout.query import BadQuery, Query
from fanout.routes import ROUTES, Moment, NotBegun, NotThere, Page, Route
from shared import outbox
from shared.database import Pool, borrowed, is_outage
from shared.wire import encode

ANSWER_S = 10.0  # a snapshot that takes longer is refused


class Snapshots:
    """The routes that say what is true now."""

    def __init__(self, database: Pool) -> None:
        self._database = database

    def routes(self) -> list[web.RouteDef]:
        """GET routes; a trailing slash is the same path."""
        return [web.get(_pattern(route), partial(self._answer, route)) for route in ROUTES]

    async def _answer(self, route: Route, request: web.Request) -> web.Response:
        in_path = [(it.name, request.match_info[it.name]) for it in route.parameters if it.in_path]
        try:
            query = Query(route.parameters, [*in_path, *request.query.items()])
        except BadQuery as bad:
            return refusal(400, "BAD_REQUEST", str(bad))
        async with moment(self._database) as now:
            try:
                found = await route.read(now, query)
            except NotThere as missing:
                return refusal(404, "NOT_FOUND", str(missing), asOf=str(now.cursor))
            except NotBegun as error:
                raise web.HTTPServiceUnavailable(reason="ingest has not begun with this database yet") from error
        body = stand(now)
        if isinstance(found, Page):
            body |= {"data": found.data, "next": found.following}
        else:
            body["data"] = found
        return _unless_known(request, f"{now.cursor}:{now.height}", body)


@asynccontextmanager
async def moment(database: Pool) -> AsyncIterator[Moment]:
    """A transaction in which everything is as of one moment."""
    try:
        async with (
            borrowed(database, ANSWER_S) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head = await outbox.head(connection)
            tip = await connection.fetchrow("SELECT height, time FROM chain_tip")
            yield Moment(connection, head.cursor, tip["height"] if tip else 0, tip["time"] if tip else None)
    except Exception as error:
        if not is_outage(error):
            raise
        raise web.HTTPServiceUnavailable(reason="the database does not answer") from error


def stand(now: Moment) -> dict[str, object]:
    """How a snapshot begins: as of when it is true."""
    return {"asOf": str(now.cursor), "tip": {"blockHeight": now.height, "timestamp": now.time}}


def _pattern(route: Route) -> str:
    """The path as aiohttp matches it: a parameter is all between two slashes, right or wrong."""
    return route.path.replace("}", ":[^/]+}") + "{slash:/?}"


def _unless_known(request: web.Request, tag: str, body: Mapping[str, object]) -> web.Response:
    headers = {"ETag": f'W/"{tag}"', "Cache-Control": "no-cache"}
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=encode(body), content_type="application/json", headers=headers)
