"""Redis by URL: plain, or behind sentinels that know the master."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from deploy.local.valkey import _wheel_binary
from shared.feed import OUTAGES, open_redis, sentinels_of
from tests.processes import free_port


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
