"""What tests of a node stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from shared.database import Pool
from tests.fanout.served import serving


@pytest.fixture
async def http(database: Pool, environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(database, environment) as client:
        yield client
