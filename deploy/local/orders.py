"""What the simulator is told from outside: commands, and whether it makes blocks of its own meanwhile.

It listens on 127.0.0.1 for the supervisor only, who proves itself with the webhook's secret: any page of any browser on
this machine could reach the port as well.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec
from aiohttp import web

from deploy.local.chain import Command
from deploy.local.errors import Impossible, LocalFault

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T", bound=msgspec.Struct)

BODY_MAX_BYTES = 4096
CLOSE_S = 0.5  # for answers that are being given at the end


class Made(msgspec.Struct, frozen=True, rename="camel"):
    """A step that ingest has accepted: the chain's height after it, blocks told, the stream that was commanded of."""

    height: int
    applied: int
    rolled_back: int
    stream_id: int | None
    ok: bool = True


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the simulator shall make no blocks of its own."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Order:
    """A step to be made; without a command one of the chain's own. ``outcome`` is what came of it."""

    command: Command | None = None
    outcome: asyncio.Future[Made | Impossible] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Orders:
    """The steps to make, one after the other. ``height`` is the chain's, kept by the one who makes them."""

    def __init__(self, *, paused: bool = False) -> None:
        self.height: int | None = None
        self._paused = paused
        self._waiting = deque[Order]()
        self._changed = asyncio.Event()

    async def carry_out(self, command: Command) -> Made:
        """Returns when ingest has accepted what came of it. Raises ``Impossible``."""
        order = Order(command)
        self._waiting.append(order)
        self._changed.set()
        outcome = await order.outcome
        if isinstance(outcome, Impossible):
            raise outcome
        return outcome

    def pause(self, paused: bool) -> None:
        self._paused = paused
        self._changed.set()

    async def next(self, at: float) -> Order:
        """A command as soon as there is one; unless paused, a step of the chain's own at that time of the loop."""
        loop = asyncio.get_running_loop()
        while not self._waiting:
            if not self._paused and loop.time() >= at:
                return Order()
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if self._paused else at):
                    await self._changed.wait()
        return self._waiting.popleft()


@asynccontextmanager
async def taking(orders: Orders, port: int, secret: str) -> AsyncIterator[None]:
    """Take orders over HTTP on this port: ``POST /chain``, ``POST /feed``; ``GET /`` says how far the chain is."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            return refusal(401, "the simulator takes orders from the supervisor only")
        return await handler(request)

    async def show(_: web.Request) -> web.Response:
        return web.json_response({"height": orders.height})

    async def chain(request: web.Request) -> web.Response:
        made = await orders.carry_out(await read(request, Command))
        return web.json_response(body=msgspec.json.encode(made))

    async def feed(request: web.Request) -> web.Response:
        told = await read(request, Feed)
        orders.pause(told.paused)
        return web.json_response({"ok": True, "paused": told.paused})

    routes = [web.get("/", show), web.post("/chain", chain), web.post("/feed", feed)]
    async with listening(routes, [guard], port, "the simulator's orders"):
        yield


@asynccontextmanager
async def listening(
    routes: list[web.RouteDef], middlewares: list[Callable[..., Awaitable[web.StreamResponse]]], port: int, name: str
) -> AsyncIterator[None]:
    """Serve these routes on 127.0.0.1; every refusal is JSON that says why. Raises ``LocalFault``."""
    app = web.Application(middlewares=[*middlewares, _plain], client_max_size=BODY_MAX_BYTES)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            raise LocalFault(f"port {port} for {name} is taken") from None
        yield
    finally:
        await runner.cleanup()


def refusal(status: int, error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error}, status=status)


async def read(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read(), type=kind)


@web.middleware
async def _plain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except msgspec.DecodeError as wrong:
        return refusal(400, f"body of {request.method} {request.path}: {wrong}")
    except Impossible as why:
        return refusal(409, str(why))
    except web.HTTPException as error:
        return refusal(error.status, f"{request.method} {request.path}: {error.reason}")
