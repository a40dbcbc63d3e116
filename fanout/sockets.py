"""What a client asks, what it may, and what it is answered: CONNECT, joins and leaves, tokens, the end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from fanout import frames
from fanout.access import Asked, Denied, Shown, allowed, asked
from fanout.clients import Client, Clients, NotResumable
from fanout.history import Gone
from fanout.ids import SESSION_BYTES
from fanout.links import SLICE, Link
from fanout.manager import RedisStreamManager
from fanout.messages import Authenticated, Joined, Left, Refused
from fanout.metrics import CONNECTIONS, ROOM_JOINS, SESSIONS
from fanout.sessions import Session, Sessions
from fanout.tokens import AWAY, BadToken, Token
from fanout.upstream import Answer, Server
from shared.database import is_outage
from shared.domain.entry import Cursor, Offset
from shared.domain.rooms import GLOBAL, user_room
from shared.feed import OUTAGES
from shared.settings import FanoutSettings

log = logging.getLogger("fanout.sockets")

SWEEP_S: Final = 1.0  # how often tokens are looked at
_PID_MAX: Final = 64  # characters that a client may call its pid


class Authority(Protocol):
    """Whose token it is."""

    async def read(self, token: str) -> Token: ...
    async def revoked(self, jti: str) -> bool: ...


class Away(Exception):
    """What is needed to answer does not answer itself now."""


class Sockets:
    """The answers of this node to its clients."""

    def __init__(
        self,
        server: Server,
        manager: RedisStreamManager,
        clients: Clients,
        sessions: Sessions,
        authority: Authority,
        settings: FanoutSettings,
        accepting: Callable[[], bool],
        spawn: Callable[..., asyncio.Task[None]],
    ) -> None:
        self._server, self._manager, self._clients, self._sessions = server, manager, clients, sessions
        self._authority, self._settings, self._accepting, self._spawn = authority, settings, accepting, spawn
        self._expiring: dict[Client, None] = {}
        server.on_connect, server.on_message = self._connect, self._message
        server.eio.on_forget, server.eio.on_fell_behind = self._forget, self._fell_behind
        manager.on_order, manager.on_room, manager.on_gone = self._order, self._room_changed, self._gone

    # -- CONNECT

    async def _connect(self, link: Link, auth: object) -> None:
        """Answer CONNECT, or close the transport: then the client keeps what it knows and comes back."""
        given = auth if isinstance(auth, dict) else {}
        token = given.get("token") or link.token
        link.token = None
        try:
            holder = await self._holder(token) if token else None
        except BadToken as bad:
            SESSIONS.labels(result=bad.code).inc()
            await self._server.refuse(link, bad.code, str(bad))
            return
        except AWAY as error:
            self._no_answer(link, error)
            return
        try:
            await self._admit(link, given, holder)
        except (Away, TimeoutError) as error:
            self._no_answer(link, error)
        except Exception as error:
            if not is_outage(error) and not isinstance(error, OUTAGES):
                raise
            self._no_answer(link, error)

    def _no_answer(self, link: Link, error: Exception) -> None:
        SESSIONS.labels(result="no-answer").inc()
        log.info("a CONNECT is not answered", extra={"error": repr(error)})
        link.end(reason="not now")

    async def _admit(self, link: Link, given: dict[str, Any], holder: Token | None) -> None:
        user = holder.address if holder else ""
        if not self._accepting():
            raise Away("draining")
        session, told, result = await self._resumed(given, user) or await self._fresh(given, user)
        if not await self._sessions.write(session):
            raise Away("another connection has the session already")
        if link.closed or link.client is not None or not self._accepting():
            return  # gone meanwhile, or two at once: requests of one that polls may overtake each other
        if session.start.epoch != self._clients.epoch:
            raise Away("a new epoch has begun")
        sid = self._server.eio.generate_id()
        client = Client(sid, link, session, told)
        link.push(frames.frame(b"40" + msgspec.json.encode({"sid": sid, "pid": session.pid})))
        if result == "resync":
            link.push(frames.frame(b"42" + msgspec.json.encode(["system:resync", {"rooms": list(session.rooms)}])))
        earlier = self._clients.by_pid.get(session.pid)
        self._clients.admit(client)
        if holder is not None:
            self._holds(client, holder)
        SESSIONS.labels(result=result).inc()
        CONNECTIONS.set(len(self._clients.by_sid))
        if earlier is not None:
            earlier.link.end(reason="taken over")
        elif session.number > 1:
            self._spawn(self._tell("takeover", pid=session.pid, number=session.number), name="takeover")

    async def _resumed(self, given: dict[str, Any], user: str) -> tuple[Session, Offset, str] | None:
        """The session that this client may go on with, from where; None where it begins afresh."""
        pid, epoch = given.get("pid"), self._clients.epoch
        if not isinstance(pid, str) or not 0 < len(pid) <= _PID_MAX:
            return None
        session = await self._sessions.take(pid, user, epoch)
        if session is None:
            return None
        offset = given.get("offset")
        cursor = session.start
        if offset is not None:
            parsed = Cursor.parse(offset)
            if parsed is None:
                return None
            if parsed.epoch == epoch and parsed.offset >= session.start.offset:
                cursor = parsed
        rooms = allowed(session.rooms, user, open_user_rooms=self._settings.dev_user_rooms)
        try:
            told = await self._clients.resumable(cursor, rooms)
        except NotResumable:
            return None
        # a room that is new by now (after a change of what is allowed) counts from where the client is
        session.rooms = {room: session.rooms.get(room, told) for room in rooms}
        return session, told, "recovered"

    async def _fresh(self, given: dict[str, Any], user: str) -> tuple[Session, Offset, str]:
        since = given.get("since")
        rooms = allowed((), user)
        result = "fresh"
        told = self._clients.position
        if since is not None:
            try:
                told = await self._clients.resumable(Cursor.parse(since), rooms)
                result = "since"
            except NotResumable:
                told = self._clients.position
                result = "resync"
        start = Cursor(self._clients.epoch, told)
        pid = self._server.eio.ids.make(SESSION_BYTES)
        return Session(pid, user, start, rooms=dict.fromkeys(rooms, told)), told, result

    # -- messages

    async def _message(self, link: Link, name: str, arguments: list[Any]) -> Answer | None:
        """The answer to one client message; None for one that is ignored."""
        client = link.client
        if client is None:
            return None
        settings = self._settings
        what = asked(name, arguments, client.session.user, open_user_rooms=settings.dev_user_rooms)
        if what is None:
            return None
        if not client.may_send(settings.message_rate, settings.message_burst):
            return _denied(Denied("RATE_LIMITED", "too many messages; wait a second"))
        if isinstance(what, Denied):
            return _denied(what)
        if isinstance(what, Shown):
            return await self._authenticate(client, what)
        if what.joins:
            return await self._join(client, what)
        return await self._leave(client, what.room)

    async def _join(self, client: Client, what: Asked) -> Joined | Refused:
        """Enter the room, telling first what it missed, then store that, then answer."""
        room, clients = what.room, self._clients
        own = {GLOBAL, user_room(client.session.user)}  # those that the server joins do not count
        if room not in client.rooms and len(client.rooms.keys() - own) >= self._settings.rooms_max:
            message = f"a connection has at most {self._settings.rooms_max} rooms"
            return _denied(Denied("TOO_MANY_ROOMS", message, room))
        replayed, complete, was_in = 0, True, room in client.rooms
        try:
            await clients.is_live(client)
            if what.since is not None:
                try:
                    since = await clients.resumable(Cursor.parse(what.since), (room,))
                    replayed = await clients.replay(client, room, since)
                except (NotResumable, Gone):
                    complete = False
            if room not in client.rooms:
                await clients.is_live(client)
                clients.enter(client, room)
            if room not in allowed((room,), client.session.user, open_user_rooms=self._settings.dev_user_rooms):
                clients.leave(client, room)
                return _denied(Denied("TOKEN_EXPIRED", "the token has expired meanwhile", room))
            cursor = clients.cursor
            if not was_in or what.since is not None:
                await self._store(client)
        except Exception as error:
            if not isinstance(error, (Away, TimeoutError, *OUTAGES)) and not is_outage(error):
                raise
            if not was_in:
                clients.leave(client, room)
            elif room not in client.rooms:
                clients.enter(client, room)
            return _denied(Denied("UNAVAILABLE", "the join could not be stored; try again", room))
        ROOM_JOINS.labels(result="ok").inc()
        return {"ok": True, "room": room, "cursor": str(cursor), "replayed": replayed, "complete": complete}

    async def _leave(self, client: Client, room: str) -> Left:
        """Leave at once, then store that; should that fail, a resumed session hears a room more than it asked for."""
        if room in client.rooms:
            self._clients.leave(client, room)
            try:
                await self._store(client)
            except OUTAGES as error:
                log.info("a leave is not stored", extra={"error": repr(error)})
        return {"ok": True, "room": room}

    async def _store(self, client: Client) -> None:
        if not client.link.closed and not await self._sessions.write(client.session):
            client.link.end(reason="taken over")

    def _room_changed(self, client: Client) -> None:
        """By python-socketio's API, from this node or another."""

        async def store() -> None:
            try:
                await self._store(client)
            except OUTAGES as error:
                log.warning("a change of rooms is not stored", extra={"error": repr(error)})

        self._spawn(store(), name="room_changed")

    # -- who it is

    async def _holder(self, token: object) -> Token:
        """Whose token it is. Raises ``BadToken`` or one of ``AWAY``."""
        if not isinstance(token, str):
            raise BadToken("UNAUTHENTICATED", "a token is a text")
        holder = await self._authority.read(token)
        if await self._authority.revoked(holder.jti):
            raise BadToken("UNAUTHENTICATED", "this token was revoked")
        return holder

    def _holds(self, client: Client, holder: Token) -> None:
        if not client.link.closed:
            client.expires_at, client.jti = holder.expires_at, holder.jti
            self._expiring[client] = None

    def _holds_nothing(self, client: Client) -> None:
        self._expiring.pop(client, None)
        client.session.user, client.jti = "", ""

    async def _authenticate(self, client: Client, shown: Shown) -> Authenticated | Refused:
        """Make an anonymous connection the address's, or renew its token."""
        try:
            holder = await self._holder(shown.token)
        except BadToken as bad:
            return _denied(Denied(bad.code, str(bad)))
        except AWAY:
            return _denied(Denied("UNAVAILABLE", "the token cannot be checked now; try again"))
        session = client.session
        if session.user not in ("", holder.address):
            return _denied(Denied("FORBIDDEN", "this connection is another address's"))
        before, session.user = session.user, holder.address
        self._holds(client, holder)  # from now on: the token before it may expire while the room's past is told
        answer = await self._join(client, Asked(True, user_room(holder.address), shown.since))
        if answer["ok"] is False:
            if not before:
                self._holds_nothing(client)
            return answer
        return {**answer, "address": holder.address, "expiresAt": round(holder.expires_at)}

    async def watch_tokens(self) -> None:
        """Connections whose token expires leave the user room and stay for the public ones."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.time()
            for client in [it for it in self._expiring if it.expires_at <= now]:
                self._clients.leave(client, user_room(client.session.user))
                self._holds_nothing(client)
                client.link.push(frames.frame(b'42["system:auth-expired",{}]'))
                self._room_changed(client)

    async def log_out(self, jti: str) -> None:
        """Close the connections of a token that was revoked, on every node."""
        self._close_holders(jti)
        await self._tell("logout", jti=jti)

    def _close_holders(self, jti: str) -> None:
        for client in [it for it in self._expiring if it.jti == jti]:
            client.link.push(frames.frame(b"41"))  # it stays away until its application calls connect()
            client.link.end(frames.NORMAL, "logged out")

    # -- other nodes

    async def _tell(self, what: str, **details: str | int) -> None:
        try:
            await self._manager.order(what, **details)
        except OUTAGES as error:
            log.warning("the other nodes could not be told", extra={"order": what, "error": repr(error)})

    def _order(self, what: str, details: dict[str, Any]) -> None:
        if what == "takeover":
            client, number = self._clients.by_pid.get(str(details.get("pid"))), details.get("number")
            if client is not None and isinstance(number, int) and client.session.number < number:
                client.link.end(reason="taken over")
        elif what == "logout":
            self._close_holders(str(details.get("jti")))

    # -- sessions of those that are connected

    async def keep_sessions(self) -> None:
        """Write every session again before it is forgotten, spread over a third of its life."""
        while True:
            await self._rewrite(self._settings.session_ttl_s / 3)

    async def rewrite_now(self) -> None:
        """Write every session again: Redis has lost them."""
        await self._rewrite(0)

    async def _rewrite(self, over_s: float) -> None:
        live = list(self._clients.by_sid.values())
        began = time.monotonic()
        for first in range(0, len(live), 100):
            stored = await asyncio.gather(
                *(self._store(it) for it in live[first : first + 100]), return_exceptions=True
            )
            if failed := next((it for it in stored if isinstance(it, OUTAGES)), None):
                log.warning("sessions are not rewritten", extra={"error": repr(failed)})
                await asyncio.sleep(1)
            due = began + over_s * (first + 100) / len(live)
            await asyncio.sleep(max(0.0, min(due, began + over_s) - time.monotonic()))
        await asyncio.sleep(max(0.0, began + over_s - time.monotonic()))

    # -- the end

    def _fell_behind(self, link: Link) -> None:
        if link.client is not None:
            self._clients.fell_behind(link.client)

    def _forget(self, link: Link) -> None:
        client, link.client = link.client, None
        self._server.forget(link)
        if client is not None:
            self._manager.callbacks.pop(client.sid, None)
            self._clients.forget(client)
            self._gone(client)

    def _gone(self, client: Client) -> None:
        self._expiring.pop(client, None)
        CONNECTIONS.set(len(self._clients.by_sid))

    async def close_all(self, over_s: float) -> None:
        """Close every connection, spread over ``over_s`` seconds with a little disorder, so that they come back
        elsewhere one by one."""
        links = list(self._server.eio.sockets.values())
        random.shuffle(links)
        began = time.monotonic()
        for i, link in enumerate(links):
            link.end(reason="the node ends")
            if over_s:
                await asyncio.sleep(max(0.0, began + over_s * (i + random.random()) / len(links) - time.monotonic()))
            elif i % SLICE == SLICE - 1:
                await asyncio.sleep(0)


def _denied(why: Denied) -> Refused:
    ROOM_JOINS.labels(result=why.code).inc()
    return {"ok": False, "room": why.room, "error": {"code": why.code, "message": why.message}}
