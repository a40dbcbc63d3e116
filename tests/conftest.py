"""Real servers for every test that needs them: PostgreSQL and Valkey from their wheels, a database of its own each."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, settings

from deploy.local.services import Postgres, Valkey, start_postgres, start_valkey
from ingest.http import web_app
from ingest.recorder import Recorder
from shared.database import Pool, open_database
from shared.feed import RedisClient, open_redis
from shared.settings import IngestSettings, ingest_settings
from tests.processes import Processes, base_environment

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("ci")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One server for the run, with a migrated template that each test's database is copied from.

    Without fsync, which only a machine that loses power would miss: no test can end the kernel.
    """
    with start_postgres(tmp_path_factory.mktemp("postgres"), fsync=False) as server:
        asyncio.run(_execute(server.url(), "CREATE DATABASE template_bitpay"))
        migrate(server.url("template_bitpay"))
        yield server
    server.remove()  # as root its data is elsewhere, where its account can reach it


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with start_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this test's own, migrated."""
    name = f"test_{os.urandom(6).hex()}"
    asyncio.run(_execute(postgres.url(), f"CREATE DATABASE {name} TEMPLATE template_bitpay"))
    yield postgres.url(name)
    asyncio.run(_execute(postgres.url(), f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def prefix() -> str:
    """A part of Redis of this test's own."""
    return f"test-{os.urandom(6).hex()}"


@pytest.fixture
def environment(database_url: str, valkey: Valkey, prefix: str) -> dict[str, str]:
    """What both processes are told in tests."""
    return base_environment(database_url, valkey.url, prefix)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Pool]:
    async with open_database(database_url, "tests") as engine:
        yield engine


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[RedisClient]:
    async with open_redis(valkey.url) as client:
        yield client


@pytest.fixture
def ingest_config(environment: dict[str, str]) -> IngestSettings:
    return ingest_settings(environment)


@pytest.fixture
async def recorder(database: Pool, ingest_config: IngestSettings) -> AsyncIterator[Recorder]:
    """A recorder at work in this process."""
    found = Recorder(database, ingest_config.contracts, "testnet", ingest_config.store_wait_s, lambda head: None)
    task = asyncio.create_task(found.run())
    async with asyncio.timeout(20):
        while not await database.fetchval("SELECT count(*) FROM deployment"):  # what it writes when it begins
            await asyncio.sleep(0.01)
    yield found
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def ingest(ingest_config: IngestSettings, recorder: Recorder) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest's routes in this process, with a client that has the secret."""

    async def check() -> dict[str, str]:
        return {}

    app = web_app(ingest_config, recorder, check)
    headers = {"authorization": "Bearer test-secret", "content-type": "application/json"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def standing(
    postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Processes]:
    """Processes that stand while a module's tests come and go, for those that leave nothing behind."""
    name = f"test_{os.urandom(6).hex()}"
    asyncio.run(_execute(postgres.url(), f"CREATE DATABASE {name} TEMPLATE template_bitpay"))
    with Processes(
        base_environment(postgres.url(name), valkey.url, name), tmp_path_factory.mktemp("standing")
    ) as found:
        yield found
    asyncio.run(_execute(postgres.url(), f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Real ingest and fanout processes, ended with the test."""
    with Processes(environment, tmp_path) as found:
        yield found


def migrate(url: str) -> None:
    """Bring a database to the newest schema, as a release does."""
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        check=True,
        capture_output=True,
        timeout=60,
    )


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
