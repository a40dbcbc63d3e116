"""What every test of ingest promises besides: whatever was said has the types that clients are told of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.database import Pool
from tests.said import assert_said_as_typed


@pytest.fixture
async def database(database: Pool) -> AsyncIterator[Pool]:
    """The test's database, and at its end a look at the outbox."""
    yield database
    await assert_said_as_typed(database)
