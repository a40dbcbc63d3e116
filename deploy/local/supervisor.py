"""``make run``: servers where you have none, migrations, ingest, two fanout nodes, a simulated chain.

Everything started here is ended here, in the opposite order, whether we are asked to stop, fail half-way or crash
inside. Should we be killed, the children die with us (``leash.py``), and the servers, whose data must not be cut off,
are stopped and started afresh by the next run.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Self, TypeAlias, TypeVar

import aiohttp
import asyncpg

from deploy.local.banner import banner
from deploy.local.children import Child, run_to_end
from deploy.local.control import Panel, controlling
from deploy.local.environment import Folder, Ports, child_environment, is_on_this_machine
from deploy.local.errors import LocalFault
from deploy.local.processes import free_port
from deploy.local.services import Postgres, Valkey, start_postgres, start_valkey
from deploy.local.terminal import progress, say

POSTGRES_PORT, VALKEY_PORT, INGEST_PORT, FANOUT_PORTS, CONTROL_PORT = 54320, 63790, 3000, (4000, 4001), 4900
DATABASE = "bitpay"
READY_S = 60.0
STOP_S = 25.0  # a little more than the processes' own DRAIN_S
WATCH_S = 1.0

Server: TypeAlias = Postgres | Valkey
S = TypeVar("S", Postgres, Valkey)


@dataclass(frozen=True, slots=True)
class Stop:
    """How we are asked to end: once politely, and by a second signal in a hurry."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self) -> None:
        if self.asked.is_set():
            self.hurry.set()
        else:
            say("\nstopping …")
        self.asked.set()


async def supervise(environ: Mapping[str, str]) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP. Raises ``LocalFault`` when something cannot be had."""
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.heard)
    work = asyncio.create_task(_run(environ, stop), name="run")
    asked = asyncio.create_task(stop.asked.wait(), name="stop")
    await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled() and (error := work.exception()):
        raise error
    say("stopped")


async def _run(environ: Mapping[str, str], stop: Stop) -> None:
    async with AsyncExitStack() as stack:  # opens downwards, closes upwards
        folder = Folder(environ)
        stack.callback(folder.release)
        tasks = await stack.enter_async_context(_Tasks())
        database_url, redis_url = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
        postgres: Postgres | None = None
        if not database_url:
            home = folder.path / "postgres"
            postgres = await _open(lambda: start_postgres(home, near=POSTGRES_PORT), "PostgreSQL", stack, tasks)
            await _make_database(postgres)
            database_url = postgres.url(DATABASE)
        if not redis_url:
            home = folder.path / "valkey"
            redis_url = (await _open(lambda: start_valkey(home, near=VALKEY_PORT), "Valkey", stack, tasks)).url
        ports = _choose_ports()
        told = child_environment(environ, folder, database_url, redis_url, ports)
        async with progress("migrating the database"):
            await run_to_end("the migration", told, ["alembic", "upgrade", "head"])
        logs = folder.path / "log"
        simulated = _is_simulated(environ, database_url)
        control, commands = _choose_control_ports()
        if told["BITPAY_ENV"] == "development":
            told = {"CONTROL_URL": f"http://127.0.0.1:{control}"} | told
        children = [
            Child(name, name.partition("-")[0], told | {"PORT": str(port)}, logs)
            for name, port in ports.by_name.items()
        ]
        _keep(children[:1], stack, tasks, stop)  # ingest starts first and stops last
        _keep(children[1:], stack, tasks, stop)
        await _until_ready(ports, tasks)
        if simulated:
            chain = folder.chain_file(database_url, embedded=postgres is not None)
            arguments = ["--url", f"http://127.0.0.1:{ports.ingest}", "--state", str(chain)]
            arguments += ["--interval", environ.get("BITPAY_BLOCK_S") or "3", "--control-port", str(commands)]
            _keep([Child("simulator", "deploy.local.simulator", told, logs, *arguments)], stack, tasks, stop)
        panel = Panel(
            nodes={child.name: child for child in children[1:]},
            ports=ports.by_name,
            origins=frozenset(told["ALLOWED_ORIGINS"].split(",")),
            commands=f"http://127.0.0.1:{commands}" if simulated else None,
            secret=told["CHAINHOOK_SECRET_TOKEN"].split(",")[0].strip(),
            redis_url=redis_url if not environ.get("REDIS_URL") else None,
        )
        if "CONTROL_URL" in told:
            await stack.enter_async_context(controlling(panel, control))
        say(banner(environ, folder, ports, postgres, database_url, simulated=simulated))
        await tasks.failure()


class _Tasks:
    """Tasks as long-lived as the run; the first failure among them ends it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = asyncio.Event()
        self._error: BaseException | None = None

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._done)
        self._tasks.add(task)

    async def failure(self) -> None:
        """Wait for a task to fail, and raise what it raised."""
        await self._failed.wait()
        self.check()

    def check(self) -> None:
        """Raise what a task raised, if one did."""
        if self._error:
            raise self._error

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._error = self._error or error
            self._failed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _open(make: Callable[[], S], name: str, stack: AsyncExitStack, tasks: _Tasks) -> S:
    """Start an embedded server and have it kept alive. Where we are asked to stop meanwhile, it is stopped again."""
    starting = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        async with progress(f"starting {name}"):
            server = await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(LocalFault):
            await asyncio.to_thread((await starting).close)
        raise
    kept = _Kept(server, name)
    stack.push_async_callback(kept.close)
    tasks.start(kept.watch(), name)
    return server


class _Kept:
    """An embedded server that is started again when somebody ends it."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._busy = asyncio.Lock()
        self._closing = False

    async def watch(self) -> None:
        while not self._closing:
            await asyncio.sleep(WATCH_S)
            async with self._busy:
                if self._closing or self._server.is_alive:
                    continue
                say(f"{self._name} ended; started again. Its log: {self._server.data / 'server.log'}")
                try:
                    await asyncio.to_thread(self._server.start)
                except LocalFault as fault:
                    say(f"{self._name}: {fault}")

    async def close(self) -> None:
        self._closing = True
        async with self._busy, progress(f"stopping {self._name}"):
            await asyncio.to_thread(self._server.close)


def _keep(children: Sequence[Child], stack: AsyncExitStack, tasks: _Tasks, stop: Stop) -> None:
    """Start children and have them kept alive; when all is closed, they are stopped together."""

    async def end() -> None:
        async with progress(f"stopping {', '.join(child.name for child in children)}"):
            await asyncio.gather(*(child.stop(STOP_S, stop.hurry) for child in children))

    stack.push_async_callback(end)
    for child in children:
        tasks.start(child.keep(), child.name)


async def _make_database(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.url(), timeout=30)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


def _choose_ports() -> Ports:
    """The usual ports, or the next free ones; which of them is said."""
    chosen: list[int] = []
    for name, usual in zip(("ingest", "fanout-1", "fanout-2"), (INGEST_PORT, *FANOUT_PORTS), strict=True):
        port = free_port(usual)
        while port in chosen:
            port = free_port(port + 1)
        if port != usual:
            say(f"port {usual} is taken: {name} listens on {port}")
        chosen.append(port)
    return Ports(chosen[0], tuple(chosen[1:]))


def _choose_control_ports() -> tuple[int, int]:
    """Where the control panel listens, and where the simulator takes its commands."""
    panel = free_port(CONTROL_PORT)
    return panel, free_port(panel + 1)


async def _until_ready(ports: Ports, tasks: _Tasks) -> None:
    """Wait until all of them say that they are ready, but not for ever: what is wrong stands in their logs."""
    until = asyncio.get_running_loop().time() + READY_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for name, port in ports.by_name.items():
            async with progress(f"waiting for {name}"):
                while not await _is_ready(session, port):
                    tasks.check()
                    if asyncio.get_running_loop().time() > until:
                        say(f"{name} is not ready after {READY_S:.0f} s; its log says why")
                        return
                    await asyncio.sleep(0.05)


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _is_simulated(environ: Mapping[str, str], database_url: str) -> bool:
    """``BITPAY_SIMULATOR`` is on or off; by default it is on where the database is on this machine."""
    asked = environ.get("BITPAY_SIMULATOR", "")
    if asked not in ("", "on", "off"):
        raise LocalFault(f"BITPAY_SIMULATOR must be on or off, not {asked!r}")
    if not asked and not is_on_this_machine(database_url):
        say("no simulator: DATABASE_URL names another machine (BITPAY_SIMULATOR=on starts it all the same)")
        return False
    return asked != "off"
