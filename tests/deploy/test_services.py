"""The embedded servers: real ones, on this machine only, that survive what a developer does to them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from deploy.local.errors import PortTaken
from deploy.local.processes import is_free
from deploy.local.services import LocalFault, Postgres, Valkey, start_postgres, start_valkey
from tests.processes import ROOT

PAUSE_S = 0.3  # how long a frozen server is listened to


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with start_postgres(tmp_path_factory.mktemp("services") / "postgres") as found:
        yield found
    found.remove()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with start_valkey(tmp_path_factory.mktemp("services") / "valkey") as found:
        yield found


def ask(server: Postgres, query: str, timeout: float = 10) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(server.url(), timeout=timeout)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_postgres_is_durable_private_and_in_a_session_of_its_own(server: Postgres) -> None:
    assert str(ask(server, "SHOW server_version")).startswith("18.")
    assert "on" == ask(server, "SHOW fsync")
    assert "127.0.0.1" == ask(server, "SHOW listen_addresses")
    assert "" == ask(server, "SHOW unix_socket_directories")
    assert os.getsid(server.pid) == server.pid, "Ctrl-C in our terminal does not reach it"
    assert 0 == (server.data / "password").stat().st_mode & 0o077
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", password="guessed"))


def test_what_was_committed_outlives_stop_and_kill(server: Postgres) -> None:
    ask(server, "CREATE TABLE kept AS SELECT 1 AS number")
    port = server.port
    for end in (server.stop, server.kill):
        end()
        assert 0 == server.pid
        assert is_free(port)
        server.start()
        assert port == server.port
        assert 1 == ask(server, "SELECT count(*) FROM kept")


def test_a_paused_postgres_is_silent_and_comes_back(server: Postgres) -> None:
    server.pause()
    try:
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            ask(server, "SELECT 1", PAUSE_S)
    finally:
        server.resume()
    assert 1 == ask(server, "SELECT 1")


def test_one_run_a_directory(server: Postgres, cache: Valkey) -> None:
    with pytest.raises(LocalFault, match="in use by another run"):
        start_postgres(server.data)
    with pytest.raises(LocalFault, match="in use by another run"):
        start_valkey(cache.data)


def test_a_port_that_is_taken_is_named(cache: Valkey, server: Postgres, tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=str(cache.port)):
        start_valkey(tmp_path / "valkey", cache.port)
    port = server.port
    server.stop()
    try:
        with start_valkey(tmp_path / "valkey", port), pytest.raises(PortTaken, match=str(port)):
            server.start()
    finally:
        server.start()
    assert port == server.port


def test_a_directory_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("…")
    with pytest.raises(LocalFault, match="thesis"):
        start_postgres(tmp_path)


def test_servers_that_a_killed_run_left_behind_are_taken_over(tmp_path: Path) -> None:
    script = (
        "import sys, os; from pathlib import Path; from deploy.local.services import start_postgres, start_valkey\n"
        "home = Path(sys.argv[1]); p = start_postgres(home / 'p', fsync=False); v = start_valkey(home / 'v')\n"
        "print(p.pid, v.pid, v.port, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert -9 == done.returncode, done.stderr
    postgres_pid, valkey_pid, valkey_port = map(int, done.stdout.split())
    with start_postgres(tmp_path / "p") as server, start_valkey(tmp_path / "v", valkey_port) as cache:
        assert server.pid != postgres_pid
        assert cache.pid != valkey_pid
        assert 1 == ask(server, "SELECT 1")
    server.remove()
    assert not server.data.exists()
    assert ["v"] == [path.name for path in tmp_path.iterdir()]


def test_valkey_forgets_and_keeps_its_port(cache: Valkey) -> None:
    port = cache.port
    for end in (cache.kill, cache.stop):
        with Redis.from_url(cache.url) as client:
            client.set("key", "value")
        end()
        assert 0 == cache.pid
        assert is_free(port)
        cache.start()
        assert port == cache.port
        with Redis.from_url(cache.url) as client:
            assert client.get("key") is None
            assert {"bind": "127.0.0.1", "save": "", "appendonly": "no"} == {
                name: client.config_get(name)[name] for name in ("bind", "save", "appendonly")
            }
    assert os.getsid(cache.pid) == cache.pid
    assert [] == [path for path in cache.data.iterdir() if path.suffix == ".rdb"]
