"""Postgres: how it is reached, whether its schema is new enough, and which of its failures pass by themselves.

Statements go through asyncpg as they are: SQLAlchemy's share of each (0.4 ms of Python, measured) was most of what a
delivery cost. The tables are SQLAlchemy's (``tables.py``), for the
migrations and for the names in statements.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import Table, make_url

from shared.tables import SCHEMA

CONNECT_S = 5.0
COMMAND_S = 30.0  # no statement of ours takes longer; a server that is gone without a word is noticed

Connection: TypeAlias = Any  # asyncpg ships no types: its Connection, or a pool's proxy of one
Pool: TypeAlias = Any  # asyncpg.Pool


def sqlalchemy_url(url: str) -> str:
    """``postgresql://…`` or ``postgres://…`` with the driver that SQLAlchemy shall use."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    query = dict(parsed.query)
    if "sslmode" in query:  # libpq's word for what asyncpg calls ssl
        query["ssl"] = query.pop("sslmode")
    return parsed.set(drivername="postgresql+asyncpg", query=query).render_as_string(hide_password=False)


def server_settings(name: str) -> dict[str, str]:
    """What every session of ours is set to."""
    return {
        "application_name": f"bitpay-{name}",
        # a process that hangs or is cut off must not keep the outbox locked for the others
        "idle_in_transaction_session_timeout": "15000",
        # who has gone while it waited for another must not record, behind its own back, when that one is done
        "client_connection_check_interval": "1000",
        # Rows are looked up by keys, in memory or on flash. With the default Postgres reads a small table whole, and
        # keeps that plan while the table grows.
        "random_page_cost": "1.1",
        "jit": "off",  # statements here are short; compiling one would cost more than running it
    }


@asynccontextmanager
async def open_database(url: str, name: str, *, size: int = 4) -> AsyncIterator[Pool]:
    """A pool of at most ``size`` connections, opened when they are needed and closed at the end."""
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        timeout=CONNECT_S,
        command_timeout=COMMAND_S,
        server_settings=server_settings(name),
        init=_exact_numbers,
        reset=_as_it_is,
    )
    try:
        yield pool
    finally:
        try:
            await pool.close()
        except OSError:
            pool.terminate()


@asynccontextmanager
async def borrowed(pool: Pool, within_s: float) -> AsyncIterator[Connection]:
    """A connection of the pool that is cut when it is not given back in time; what waits on it fails at once.

    Cancelling instead would have asyncpg ask the server to cancel and wait for its answer, and a server that hangs
    gives none. Raises what ``is_outage`` knows.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + within_s
    connection = await pool.acquire(timeout=within_s)
    guard = loop.call_at(ends, connection.terminate)
    try:
        yield connection
    finally:
        guard.cancel()
        await pool.release(connection)


async def _as_it_is(connection: Connection) -> None:
    """Nothing but a rebuild, which cleans up itself, leaves anything behind in a session; a transaction that is open
    asyncpg has ended before this. So giving a connection back needs no round trip."""


async def _exact_numbers(connection: Connection) -> None:
    """``numeric`` as ``int``: amounts of 128 bits, exact both ways."""
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=int, format="text")


def insert_into(table: Table, names: Iterable[str], more: str = "") -> str:
    """``INSERT INTO table (names) VALUES ($1, …)``, with ``more`` behind it."""
    listed = tuple(names)
    assert all(name in table.c for name in listed)
    places = ", ".join(f"${i}" for i in range(1, len(listed) + 1))
    return f"INSERT INTO {table.name} ({', '.join(listed)}) VALUES ({places}) {more}"  # noqa: S608 - names of ours


def upsert_into(table: Table, names: Iterable[str]) -> str:
    """An insert that replaces the row with the same primary key."""
    listed = tuple(names)
    keys = [column.name for column in table.primary_key]
    rest = ", ".join(f"{name} = excluded.{name}" for name in listed if name not in keys)
    return insert_into(table, listed, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {rest}")


def insert_all(table: Table, names: Iterable[str], more: str = "") -> str:
    """An insert of rows in JSON ($1: a list of objects with these names), with ``more`` behind it."""
    listed = tuple(names)
    assert all(name in table.c for name in listed)
    columns = ", ".join(listed)
    return (
        f"INSERT INTO {table.name} ({columns})"  # noqa: S608 - names of ours
        f" SELECT {columns} FROM json_populate_recordset(NULL::{table.name}, $1::json) {more}"
    )


def upsert_all(table: Table, names: Iterable[str], replaced: Iterable[str] = ()) -> str:
    """``insert_all`` where each row replaces the one with its key, or those columns of it that are to be replaced."""
    listed = tuple(names)
    keys = [column.name for column in table.primary_key]
    rest = ", ".join(f"{name} = excluded.{name}" for name in replaced or listed if name not in keys)
    return insert_all(table, listed, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {rest}")


async def schema_number(connection: Connection) -> int:
    """Number of the newest migration that this database has; 0 for none."""
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return 0
    version = await connection.fetchval("SELECT max(version_num) FROM alembic_version")
    return int(version) if version else 0


async def schema_is_current(connection: Connection) -> bool:
    """Whether this database has at least the schema that this code was written for."""
    return await schema_number(connection) >= SCHEMA


_PASSING: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,  # the connection went away under a statement, or the pool is at its end
    asyncpg.InternalClientError,  # the server has said that it ends the connection, and not done so yet
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that is about to be promoted
    asyncpg.InvalidCatalogNameError,  # the database is being made
    asyncpg.UndefinedTableError,  # the migrations are still to come
    asyncpg.UndefinedColumnError,
)


def is_outage(error: BaseException) -> bool:
    """Whether waiting helps: the server is away, starting, full, or not migrated yet."""
    return isinstance(error, _PASSING)
