"""The composition root of a fanout node: opens what it needs, runs it together, ends it in order."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from aiohttp import web

from fanout.address import client_address
from fanout.board import Board
from fanout.clients import Clients, Limits
from fanout.front import Entrance, Front, Handshake, Refusal
from fanout.history import History
from fanout.keys import KeySet
from fanout.manager import RedisStreamManager
from fanout.notifications import Notifications
from fanout.ring import Ring
from fanout.sessions import Sessions
from fanout.signin import SignIn
from fanout.snapshots import Snapshots
from fanout.sockets import Sockets
from fanout.tail import Tail
from fanout.tokens import Tokens, token_of
from fanout.upstream import Server
from fanout.web import SOCKETS, web_app
from shared.database import open_database
from shared.feed import open_redis
from shared.health import neighbours
from shared.outbox import Head
from shared.process import give_memory_back
from shared.settings import FanoutSettings

log = logging.getLogger("fanout")

SILENCE_S: Final = 15.0  # a node that heard nothing for so long is not ready
CLOSE_SHARE: Final = 0.5  # part of DRAIN_S over which connections are closed
SEND_BUFFER: Final = 131_072  # bytes of the kernel's; one that grows by itself hides those who do not read
BACKLOG: Final = 4096
READY_S: Final = 5.0  # for a worker to begin before it listens; then it says that it is not ready
END_S: Final = 2.0  # for a part to end in, before it is cancelled again
TIDY_S: Final = 5.0
TIDY_LINKS: Final = 100


async def run(settings: FanoutSettings, stop: asyncio.Event, *, shared: bool = False) -> None:
    """Run one node until ``stop`` is set or a part of it fails for good; with ``shared`` others listen beside it."""
    common = settings.common
    listener = listen(common.host, common.port, shared=shared)
    async with (
        open_database(common.database_url, "fanout") as database,
        open_redis(common.redis_url) as redis,
        _parts(stop) as spawn,
    ):
        started = asyncio.Event()

        def accepting() -> bool:
            return started.is_set() and not stop.is_set()

        manager = RedisStreamManager(redis, common.redis_prefix)
        server = Server(
            client_manager=manager,
            async_mode="aiohttp",
            async_handlers=False,  # one message of a connection after the other
            namespaces=["/"],
            cors_allowed_origins=list(settings.allowed_origins),
            transports=list(settings.transports),
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            high=settings.queue_high_bytes,
            low=settings.queue_low_bytes,
            logger=logging.getLogger("socketio"),
            engineio_logger=logging.getLogger("engineio"),
        )
        outgoing = server.eio.outgoing
        manager.clients = clients = Clients(
            Ring(settings.ring_max_entries, settings.ring_max_bytes),
            History(database, redis, common.redis_prefix),
            outgoing,
            Limits(settings.resume_max, settings.queue_high_bytes),
            spawn,
        )
        sessions = Sessions(redis, common.redis_prefix, settings.session_ttl_s)
        keys = KeySet(settings.jwks_url) if settings.jwks_url else None
        tokens = Tokens(settings, redis, keys)
        sockets = Sockets(server, manager, clients, sessions, tokens, settings, accepting, spawn)
        tail = Tail(database, redis, common.redis_prefix, on_loss=lambda: spawn(sockets.rewrite_now(), name="rewrite"))

        board = Board(
            redis,
            common.redis_prefix,
            str(common.port),
            lambda: (clients.epoch, clients.position.seq, tail.lag, len(server.eio.sockets)),
        )

        async def data_lane() -> None:
            async for heard in tail.follow():
                if isinstance(heard, Head):
                    first = not clients.epoch
                    clients.restart(heard.epoch, heard.offset)
                    if not first:
                        log.warning("a new epoch begins, all connections start anew", extra={"epoch": heard.epoch})
                        await sockets.close_all(0)
                    async for entries in tail.newest(settings.ring_max_entries):
                        clients.remember(entries)
                    started.set()
                    continue
                board.note(heard)
                left = iter(heard)
                while clients.speak(left, settings.queue_low_bytes):
                    await outgoing.idle()  # nothing piles up: what is spoken next shares the next pass
                    await asyncio.sleep(0)  # pings and joins get their turn

        async def tidy() -> None:
            """After many connections have ended their memory is the system's again."""
            trimmed = 0
            while True:
                await asyncio.sleep(TIDY_S)
                if server.eio.ended - trimmed >= TIDY_LINKS:
                    trimmed = server.eio.ended
                    give_memory_back()

        async def check() -> Mapping[str, str]:
            node = "ok" if accepting() else "draining" if stop.is_set() else "starting"
            tail_state = "ok" if tail.silence_s < SILENCE_S else "heard nothing lately"
            return {"node": node, "tail": tail_state, **await neighbours(database, redis)}

        parts: dict[str, Coroutine[Any, Any, None]] = {
            "data_lane": data_lane(),
            "control_lane": manager.listen(),
            "keep_sessions": sockets.keep_sessions(),
            "watch_tokens": sockets.watch_tokens(),
            "keep_cursors_young": clients.keep_cursors_young(),
            "wheel": server.eio.wheel.run(),
            "tidy": tidy(),
        }
        if settings.page:
            parts["board"] = board.run()
        if keys:
            parts["keep_keys"] = keys.keep()
        for name, part in parts.items():
            spawn(part, name=name)
        app = web_app(
            server,
            Snapshots(database),
            settings,
            check,
            accepting,
            SignIn(settings, redis, tokens, sockets.log_out),
            Notifications(database, tokens),
            board,
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        assert runner.server is not None
        entrance = _entrance(settings, server, accepting, runner.server)
        if shared:  # the kernel gives a worker its share of connections as soon as it listens, ready or not
            with suppress(TimeoutError):
                async with asyncio.timeout(READY_S):
                    await started.wait()
        door = await asyncio.get_running_loop().create_server(lambda: Front(entrance), sock=listener, backlog=BACKLOG)
        log.info("fanout listens", extra={"host": common.host, "port": common.port, "open_files": open_files()})
        await stop.wait()
        if shared:
            door.close()  # whoever comes back is the others' on this port
        await sockets.close_all(common.drain_s * CLOSE_SHARE)  # and whoever comes meanwhile is told 503
        door.close()
        await runner.cleanup()
        sessions.end()
        tokens.end()
    log.info("fanout ended")


class _Spawn(Protocol):
    def __call__(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]: ...


@asynccontextmanager
async def _parts(stop: asyncio.Event) -> AsyncIterator[_Spawn]:
    """Starts the parts of a node, which end with the block, and the block with the first of them that fails.

    They are cancelled until none is left: a cancellation that meets the end of a wait in other people's code can be
    lost there, and the loop that was to end goes on listening.
    """
    async with asyncio.TaskGroup() as tasks:
        running: set[asyncio.Task[None]] = set()

        def spawn(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
            task = tasks.create_task(work, name=name)
            running.add(task)
            task.add_done_callback(running.discard)
            return task

        try:
            yield spawn
        finally:
            stop.set()  # whatever the end is, it has its time
            while running:
                for task in list(running):
                    task.cancel()
                await asyncio.wait(list(running), timeout=END_S)


def open_files() -> int:
    """How many files this process may have open, so about how many connections: as many as it may allow itself."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems say infinity and mean less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def listen(host: str, port: int, *, shared: bool) -> socket.socket:
    """With ``shared`` several nodes listen on one port of a machine; the kernel spreads the connections over them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.bind((host, port))
    listener.setblocking(False)
    return listener


def _entrance(settings: FanoutSettings, server: Server, accepting: Any, others: Any) -> Entrance:
    origins = frozenset(settings.allowed_origins)
    websocket = "websocket" in settings.transports

    def admits(handshake: Handshake, address: str) -> Refusal | None:
        origin = handshake.headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in origins:
            return Refusal("403 Forbidden", "FORBIDDEN", "this origin is not allowed here")
        if not websocket:
            return Refusal("400 Bad Request", "BAD_REQUEST", "WebSocket is switched off here")
        if not accepting():
            return Refusal("503 Service Unavailable", "UNAVAILABLE", "this node takes no new connections")
        if 0 < settings.connections_per_address <= server.eio.count(address):
            return Refusal("429 Too Many Requests", "RATE_LIMITED", "too many connections from this address")
        return None

    def address(handshake: Handshake, peer: str) -> str:
        if not settings.trusted_proxies:
            return peer
        return client_address({"X-Forwarded-For": handshake.header(b"x-forwarded-for")}, peer, settings.trusted_proxies)

    def token(handshake: Handshake) -> str | None:
        if not (handshake.headers.keys() & {b"authorization", b"cookie"}):
            return None
        return token_of({"Authorization": handshake.header(b"authorization"), "Cookie": handshake.header(b"cookie")})

    return Entrance(SOCKETS.encode(), server.eio, admits, address, token, others, settings.deflate)
