"""Notifications over HTTP, to the address of a token: listed, marked, and on which channels they are wanted.

These are the only rows that fanout writes. Each mark is one statement, which leaves nothing open should this process
hang, and takes rows and count in the order that ``ingest/notifications.py`` takes them in.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any, Final, Literal, TypedDict

import msgspec
from aiohttp import web
from msgspec.json import decode

from fanout.answers import answer, read_body, refusal
from fanout.openapi import Operation, Tip
from fanout.query import LIMIT, LIMIT_DEFAULT, BadQuery, Parameter, Query, after, one_of
from fanout.snapshots import ANSWER_S, moment, stand
from fanout.tokens import AWAY, BadToken, Tokens, token_of
from shared.database import Connection, Pool, borrowed, is_outage
from shared.domain.notice import CATEGORIES, CHANNELS, STATUSES, Notification, NotificationView, notification_view

log = logging.getLogger("fanout.notifications")

AT_ONCE: Final = 2  # marks that may wait for a recording transaction: the pool has more connections than that
STATUS: Final = one_of("status", *STATUSES)
AFTER: Final = after(("number",))
_ID: Final = re.compile(r"[0-9a-f]{32}")
_DEFAULTS: Final[Mapping[str, bool]] = {channel: channel == "toast" for channel in CHANNELS}


class NotificationsAnswer(TypedDict):
    """Notifications, the newest first; ``unread`` counts all that the address has not read."""

    asOf: str
    tip: Tip
    data: list[NotificationView]
    next: str | None
    unread: int


class Marked(TypedDict):
    """How many are unread now."""

    success: Literal[True]
    unread: int


Channels = TypedDict("Channels", {"toast": bool, "sound": bool, "desktop": bool, "e-mail": bool})
SomeChannels = TypedDict("SomeChannels", {"toast": bool, "sound": bool, "desktop": bool, "e-mail": bool}, total=False)


class Preferences(TypedDict):
    """Where notifications of each category are wanted."""

    streams: Channels
    marketplace: Channels
    treasury: Channels
    security: Channels
    system: Channels


class SomePreferences(TypedDict, total=False):
    """What shall change. Toasts of ``security`` cannot be switched off."""

    streams: SomeChannels
    marketplace: SomeChannels
    treasury: SomeChannels
    security: SomeChannels
    system: SomeChannels


_PATH: Final = "/api/notifications"
_IN_PATH: Final = Parameter("id", str, "the id of a notification", {"type": "string"}, in_path=True)
OPERATIONS: Final = (
    Operation("get", _PATH, "Notifications of the token's address", NotificationsAnswer, (STATUS, LIMIT, AFTER)),
    Operation("post", f"{_PATH}/{{id}}/mark-read", "Mark one as read", Marked, (_IN_PATH,)),
    Operation("post", f"{_PATH}/{{id}}/archive", "Put one away, read or not", Marked, (_IN_PATH,)),
    Operation("post", f"{_PATH}/mark-all-read", "Mark all as read", Marked),
    Operation("get", f"{_PATH}/preferences", "On which channels they are wanted", Preferences),
    Operation("post", f"{_PATH}/preferences", "Change some of that", Preferences, body=SomePreferences),
)


class Notifications:
    """The routes of notifications."""

    def __init__(self, database: Pool, tokens: Tokens) -> None:
        self._database, self._tokens = database, tokens
        self._turns = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        """A trailing slash is the same path."""
        end = "{slash:/?}"
        return [
            web.get(f"{_PATH}{end}", self._for_its_address(self._list)),
            web.post(f"{_PATH}/{{id}}/mark-read{end}", self._for_its_address(self._mark_read)),
            web.post(f"{_PATH}/{{id}}/archive{end}", self._for_its_address(self._archive)),
            web.post(f"{_PATH}/mark-all-read{end}", self._for_its_address(self._mark_all_read)),
            web.get(f"{_PATH}/preferences{end}", self._for_its_address(self._preferences)),
            web.post(f"{_PATH}/preferences{end}", self._for_its_address(self._prefer)),
        ]

    def _for_its_address(
        self, handler: Callable[[web.Request, str], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """With the address that the token names; nobody else's answer is kept by a cache."""

        async def answered(request: web.Request) -> web.Response:
            try:
                response = await handler(request, await self._address(request))
            except BadToken as bad:
                response = refusal(401, bad.code, str(bad))
            except BadQuery as bad:
                response = refusal(400, "BAD_REQUEST", str(bad))
            except AWAY as error:
                log.warning("a token cannot be looked up now", extra={"error": repr(error)})
                response = refusal(503, "UNAVAILABLE", "tokens cannot be looked up right now; try again")
            response.headers["Cache-Control"] = "private, no-store"
            return response

        return answered

    async def _address(self, request: web.Request) -> str:
        """Raises ``BadToken`` or one of ``AWAY``."""
        given = token_of(request.headers, request.cookies)
        if given is None:
            raise BadToken("UNAUTHENTICATED", "a token is needed")
        token = await self._tokens.read(given)
        if await self._tokens.revoked(token.jti):
            raise BadToken("UNAUTHENTICATED", "this token was revoked")
        return token.address

    # -- what there is

    async def _list(self, request: web.Request, address: str) -> web.Response:
        query = Query((STATUS, LIMIT, AFTER), request.query.items())
        limit = query[LIMIT] or LIMIT_DEFAULT
        (before,) = query[AFTER] or (None,)
        async with moment(self._database) as now:
            found = await now.connection.fetch(_LIST, address, query[STATUS], before, limit + 1)
            unread = await now.connection.fetchval(_COUNT, address)
        rows = found[:limit]
        following = str(rows[-1]["number"]) if len(found) > limit else None
        data = [notification_view(_row(row)) for row in rows]
        return answer({**stand(now), "data": data, "next": following, "unread": unread})

    # -- what becomes of it

    async def _mark_read(self, request: web.Request, address: str) -> web.Response:
        return await self._mark_one(request, address, _READ_ONE)

    async def _archive(self, request: web.Request, address: str) -> web.Response:
        return await self._mark_one(request, address, _ARCHIVE_ONE)

    async def _mark_one(self, request: web.Request, address: str, statement: str) -> web.Response:
        id_ = request.match_info["id"]
        if _ID.fullmatch(id_):
            async with self._writing() as connection:
                row = await connection.fetchrow(statement, address, id_)
            if row["known"]:
                return answer({"success": True, "unread": row["unread"]})
        return refusal(404, "NOT_FOUND", "this address has no such notification")

    async def _mark_all_read(self, request: web.Request, address: str) -> web.Response:
        async with self._writing() as connection:
            return answer({"success": True, "unread": await connection.fetchval(_READ_ALL, address)})

    # -- where it is wanted

    async def _preferences(self, request: web.Request, address: str) -> web.Response:
        async with self._reaching() as connection:
            return answer(await _preferred(connection, address))

    async def _prefer(self, request: web.Request, address: str) -> web.Response:
        wanted = _wanted(await read_body(request))
        async with self._reaching() as connection:
            if wanted:
                await connection.execute(_PREFER, address, *zip(*wanted, strict=True))
            return answer(await _preferred(connection, address))

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Connection]:
        """A connection for a mark."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise _away() from error
        try:
            async with self._reaching() as connection:
                yield connection
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _reaching(self) -> AsyncIterator[Connection]:
        try:
            async with borrowed(self._database, ANSWER_S) as connection:
                yield connection
        except Exception as error:
            if not is_outage(error):
                raise
            raise _away() from error


def _away() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(reason="the database does not answer")


def _row(found: Mapping[str, Any]) -> Notification:
    return Notification(**{name: decode(found[name]) if name == "data" else found[name] for name in _COLUMNS})


async def _preferred(connection: Connection, address: str) -> dict[str, dict[str, bool]]:
    preferences: dict[str, dict[str, bool]] = {category: dict(_DEFAULTS) for category in CATEGORIES}
    for category, channel, enabled in await connection.fetch(_PREFERENCES, address):
        preferences[category][channel] = enabled
    return preferences


def _wanted(body: bytes) -> list[tuple[str, str, bool]]:
    """What shall change: category, channel, whether. Raises ``BadQuery``."""
    try:
        asked = msgspec.json.decode(body, type=dict[str, dict[str, bool]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadQuery(f"the body must be {{category: {{channel: true or false}}}}: {error}") from None
    wanted = [(category, channel, on) for category, channels in asked.items() for channel, on in channels.items()]
    for category in asked:
        if category not in CATEGORIES:
            raise BadQuery(f"a category must be one of {', '.join(CATEGORIES)}")
    for category, channel, on in wanted:
        if channel not in CHANNELS:
            raise BadQuery(f"a channel must be one of {', '.join(CHANNELS)}")
        if (category, channel, on) == ("security", "toast", False):
            raise BadQuery("toasts of security cannot be switched off")
    return wanted


_COLUMNS: Final = [field.name for field in fields(Notification)]
_LIST: Final = f"""
SELECT number, {", ".join(_COLUMNS)} FROM notifications
WHERE address = $1 AND ($2::text IS NULL OR status = $2) AND ($3::bigint IS NULL OR number < $3)
ORDER BY number DESC LIMIT $4
"""  # noqa: S608 - names of ours, here and below
_COUNT: Final = "SELECT coalesce((SELECT unread FROM notification_counts WHERE address = $1), 0)"
# Of what somebody else is changing the lock waits for the end, and then it may not fit any more: so what is retracted
# meanwhile stays so, and no row is counted twice.
_MARK: Final = """
WITH mine AS (
    SELECT id, status FROM notifications WHERE address = $1 AND {which} ORDER BY id FOR UPDATE
), marked AS (
    UPDATE notifications it SET status = '{becomes}' FROM mine WHERE it.id = mine.id
), counted AS (
    UPDATE notification_counts SET unread = unread - (SELECT count(*) FROM mine WHERE status = 'unread')
    WHERE address = $1 AND EXISTS (SELECT FROM mine)
    RETURNING unread
)
SELECT coalesce((SELECT unread FROM counted), (SELECT unread FROM notification_counts WHERE address = $1), 0) AS unread
"""
_KNOWN: Final = ", EXISTS (SELECT FROM notifications WHERE id = $2 AND address = $1) AS known"
_READ_ALL: Final = _MARK.format(which="status = 'unread'", becomes="read")
_READ_ONE: Final = _MARK.format(which="id = $2 AND status = 'unread'", becomes="read") + _KNOWN
_ARCHIVE_ONE: Final = _MARK.format(which="id = $2 AND status IN ('unread', 'read')", becomes="archived") + _KNOWN
_PREFERENCES: Final = "SELECT category, channel, enabled FROM notification_preferences WHERE address = $1"
_PREFER: Final = """
INSERT INTO notification_preferences (address, category, channel, enabled)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::boolean[])
ON CONFLICT (address, category, channel) DO UPDATE SET enabled = excluded.enabled
"""
