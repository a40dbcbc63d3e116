"""Postgres that goes away in an unlucky moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.database import borrowed, is_outage, open_database


async def test_a_connection_whose_server_has_said_goodbye_is_an_outage_and_not_lent_again(database_url: str) -> None:
    """Between the last word and the end of the connection the driver cannot say what is going on."""
    parts = urlsplit(database_url)
    ends: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hangs_up: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
            if hangs_up:
                writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All that is said, but of the first connection nobody hears the other hang up."""
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        ends.extend((writer, back))
        hangs_up = len(ends) > 2
        await asyncio.gather(forward(reader, back, hangs_up), forward(there, writer, hangs_up))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    behind = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
    try:
        async with asyncio.timeout(20), open_database(behind, "tests", size=1) as database:
            async with borrowed(database, 5) as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
            other = await asyncpg.connect(database_url)
            await other.execute("SELECT pg_terminate_backend($1)", pid)
            while await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
                await asyncio.sleep(0.01)
            await other.close()
            await asyncio.sleep(0.2)  # its goodbye arrives
            with pytest.raises(asyncpg.InternalClientError) as found:
                async with borrowed(database, 5) as connection:
                    await connection.fetchval("SELECT 1")
            assert is_outage(found.value)
            async with borrowed(database, 5) as connection:
                assert 1 == await connection.fetchval("SELECT 1")
    finally:
        server.close()
        for it in ends:
            it.close()
