"""Redis by URL: plain, over TLS, or behind sentinels that know the master."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import trustme

from bench.deliveries import block, body, created
from deploy.local.valkey import Valkey, _wheel_binary
from shared.feed import OUTAGES, open_redis, read_stream, sentinels_of
from tests.fanout.wire import wire
from tests.posting import post
from tests.processes import Processes, free_port


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The URL of a service of a master, its replica and a sentinel, and the master's process."""
    master, replica, sentinel = free_port(), free_port(), free_port()
    rules = tmp_path / "sentinel.conf"
    rules.write_text(
        f"port {sentinel}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor feed 127.0.0.1 {master} 1\nsentinel down-after-milliseconds feed 500\n"
        "sentinel failover-timeout feed 3000\n"
    )
    common = ["--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path), "--repl-diskless-sync-delay", "0"]
    commands = [
        ["--port", str(master), *common],
        ["--port", str(replica), *common, "--replicaof", "127.0.0.1", str(master)],
        [str(rules), "--sentinel"],
    ]
    with ExitStack() as stack, (tmp_path / "log").open("wb") as log:
        started = []
        for command in commands:
            if "--sentinel" in command:  # it looks for replicas when it starts, and then every ten seconds only
                _until_replicated(master)
            process = subprocess.Popen([str(_wheel_binary()), *command], stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(process)
        yield f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel}/feed", started[0]


def _until_replicated(port: int) -> None:
    for _ in range(300):
        try:
            with redis.Redis(port=port) as client:
                if client.info("replication")["connected_slaves"] == 1:
                    return
        except redis.RedisError:
            pass
        time.sleep(0.1)
    raise AssertionError("the replica did not come")


async def test_the_client_follows_the_master_that_the_sentinels_name(
    watched: tuple[str, subprocess.Popen[bytes]],
) -> None:
    url, master = watched
    async with open_redis(url) as client, asyncio.timeout(60):

        async def until(value: bytes) -> None:
            """Written and read; whoever is away is asked again, as every user of this client does."""
            while True:
                try:
                    await client.set("key", value)
                    assert value == await client.get("key")
                    return
                except OUTAGES:
                    await asyncio.sleep(0.1)

        await until(b"1")
        await asyncio.sleep(2)  # the sentinel learns of the replica
        master.kill()
        await until(b"2")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis+sentinel://a/feed", ([("a", 26379)], "feed", 0)),
        ("redis+sentinel://a:1,b:2/feed/3", ([("a", 1), ("b", 2)], "feed", 3)),
        ("rediss+sentinel://me:p%40ss@a:1,[::1]:2/feed", ([("a", 1), ("::1", 2)], "feed", 0)),
    ],
)
def test_a_url_names_the_sentinels_and_their_service(url: str, found: object) -> None:
    assert found == sentinels_of(url)


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancellation_is_never_lost(valkey: Valkey, turns: int) -> None:
    """Whenever it comes: while a connection is opened, while something is sent, while an answer is waited for."""

    async def listen() -> None:
        while True:
            await read_stream(redis, "nothing", b"0-0", 1, 30)

    async def beat() -> None:
        while True:
            await redis.ping()

    async with open_redis(valkey.url) as redis:
        for work in (listen(), listen(), beat(), beat()):
            task = asyncio.create_task(work)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=5)
            assert task.cancelled()


@asynccontextmanager
async def behind_tls(url: str, authority: trustme.CA) -> AsyncIterator[int]:
    """The port of a TLS server whose certificate is of that authority, in front of the server at ``url``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        for task in (asyncio.create_task(copy(reader, there[1])), asyncio.create_task(copy(there[0], writer))):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in tasks:
        task.cancel()


async def test_everything_goes_through_tls_to_a_server_whose_certificate_is_good(
    valkey: Valkey, processes: Processes, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with behind_tls(valkey.url, authority) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}"
        ingest = await asyncio.to_thread(processes.start, "ingest", REDIS_URL=url)
        node = await asyncio.to_thread(processes.start, "fanout", REDIS_URL=url)
        async with wire(node.url) as it:
            assert (await it.ask("join-stream-room", "1"))["ok"]
            await post(ingest, body(block(100, [created(1)])))
            await it.until(lambda one: one.heard)


async def test_a_certificate_that_nobody_vouches_for_is_refused(valkey: Valkey) -> None:
    async with behind_tls(valkey.url, trustme.CA()) as port, open_redis(f"rediss://localhost:{port}/0") as client:
        with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.ping()
