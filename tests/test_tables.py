"""The migrations make exactly the tables that the code is written against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, UniqueConstraint, inspect
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared import tables
from shared.database import Pool, schema_is_current, sqlalchemy_url
from shared.domain.rows import Stream, StreamSender
from tests.conftest import migrate
from tests.stored import contents

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


async def looked_at(url: str, look: Callable[[Connection], T]) -> T:
    """What SQLAlchemy sees in a database."""
    engine = create_async_engine(sqlalchemy_url(url), poolclass=NullPool)
    async with engine.connect() as connection:
        found = await connection.run_sync(look)
    await engine.dispose()
    return found


async def test_the_migrations_make_exactly_these_tables(database_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, tables.metadata))

    assert [] == await looked_at(database_url, differences)


async def test_keys_and_unique_constraints_are_those_of_the_tables_too(database_url: str) -> None:
    """What the comparison above does not look at."""

    def found(connection: Connection) -> dict[str, tuple[list[str], list[list[str]], int]]:
        seen = inspect(connection)
        return {
            name: (
                seen.get_pk_constraint(name)["constrained_columns"],
                sorted(it["column_names"] for it in seen.get_unique_constraints(name)),
                len(seen.get_check_constraints(name)),
            )
            for name in seen.get_table_names()
            if name != "alembic_version"
        }

    here = {
        name: (
            [column.name for column in table.primary_key],
            sorted(it.columns.keys() for it in table.constraints if isinstance(it, UniqueConstraint)),
            sum(isinstance(it, CheckConstraint) for column in table.columns for it in column.constraints),
        )
        for name, table in tables.metadata.tables.items()
    }
    assert here == await looked_at(database_url, found)


def test_the_code_asks_for_the_newest_migration() -> None:
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
    assert [f"{tables.SCHEMA:04}"] == scripts.get_heads()
    numbers = [int(script.revision) for script in scripts.walk_revisions()]
    assert sorted(numbers) == list(range(1, tables.SCHEMA + 1))


async def test_migrating_again_changes_nothing(database_url: str, database: Pool) -> None:
    before = await contents(database)
    migrate(database_url)
    assert before == await contents(database)
    async with database.acquire() as connection:
        assert await schema_is_current(connection)


async def test_an_unmigrated_or_older_database_is_not_current(database: Pool) -> None:
    async with database.acquire() as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '0000'")
        assert not await schema_is_current(connection)
        await connection.execute("DELETE FROM alembic_version")
        assert not await schema_is_current(connection)
        await connection.execute("DROP TABLE alembic_version")
        assert not await schema_is_current(connection)


async def test_a_database_of_a_newer_release_is_current(database: Pool) -> None:
    """Migrations are expand, then contract: the old processes run on while the new schema is there."""
    async with database.acquire() as connection:
        await connection.execute(f"UPDATE alembic_version SET version_num = '{tables.SCHEMA + 1:04}'")
        assert await schema_is_current(connection)


async def test_the_outbox_begins_with_an_epoch_and_no_entry(database: Pool) -> None:
    (head,) = await database.fetch("SELECT epoch, seq, n FROM outbox_head")
    assert (0, 0) == (head["seq"], head["n"])
    assert 8 == len(head["epoch"])
    assert head["epoch"] == f"{int(head['epoch'], 16):08x}"


@pytest.mark.parametrize(("kind", "table"), [(Stream, tables.streams), (StreamSender, tables.stream_sender_history)])
def test_a_row_has_the_columns_of_its_table(kind: type[Any], table: Any) -> None:
    assert [it.name for it in fields(kind)] == [column.name for column in table.columns]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u:p%40@h:1/d", "postgresql+asyncpg://u:p%40@h:1/d"),
        ("postgresql://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("postgres://postgres:postgres@postgres/postgres", "postgresql+asyncpg://postgres:postgres@postgres/postgres"),
    ],
)
def test_a_url_is_said_in_the_words_of_the_driver(given: str, expected: str) -> None:
    assert expected == sqlalchemy_url(given)
