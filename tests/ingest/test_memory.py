"""What a process remembers of what it recorded saves reading, and is never taken for true when it is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from deploy.local.chainhook import NftBurn
from ingest import memory as module
from ingest import recorder as recording
from ingest.broadcast import Speaker
from ingest.memory import Memory
from ingest.record import Incoming, Outcome, Unheld, record
from ingest.together import Reads, Writes
from shared import outbox, tables
from shared.database import Connection, Pool
from shared.domain.entry import Emission
from shared.domain.rooms import GLOBAL
from tests.builders import (
    ALICE,
    CAROL,
    CONTRACTS,
    ADelivery,
    a_delivery,
    block,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)
from tests.stored import emissions, recorded, rows

NOW = 1_770_000_000_000_000  # unix µs
CREATED = block(7, stream_created())


def drawn(height: int, amount: int = 1, fork: str = "") -> ADelivery:
    """A withdrawal from stream 1 in a block of its own."""
    one = tx(stream_withdrawal(amount=amount), nonce=amount)
    return a_delivery().applies(block(height, one, fork=fork) if fork else block(height, one))


class Told:
    """A process with what it remembers, that counts its statements."""

    def __init__(self, database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self.memory = database, Memory(CONTRACTS)
        self.statements: list[str] = []
        fetch, execute = Reads.fetch, Writes.execute

        async def reads(reads: Reads, connection: Connection) -> Any:
            self.statements.append("read")
            return await fetch(reads, connection)

        async def writes(writes: Writes, connection: Connection, select: str) -> Any:
            self.statements.append("write")
            return await execute(writes, connection, select)

        monkeypatch.setattr(Reads, "fetch", reads)
        monkeypatch.setattr(Writes, "execute", writes)

    async def tell(self, *deliveries: ADelivery) -> list[Outcome]:
        """Record these in one transaction; ``statements`` are those that this took."""
        self.statements.clear()
        batch = [Incoming(it.read(), NOW) for it in deliveries]
        async with self.database.acquire() as connection:
            return (await recorded(connection, batch, self.memory, alone=False))[0]


@pytest.fixture
def process(database: Pool, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(database, monkeypatch)


@pytest.fixture
async def settled(process: Told) -> Told:
    """It knows stream 1, and that nobody else records."""
    await process.tell(a_delivery().applies(CREATED))
    await process.tell(drawn(8, 1))
    assert ["read", "write"] == process.statements
    await process.tell(drawn(9, 2))
    assert ["write"] == process.statements
    return process


async def another(database: Pool, *deliveries: ADelivery) -> None:
    """Another process records this."""
    async with database.acquire() as connection:
        for it in deliveries:
            await recorded(connection, [Incoming(it.read(), NOW)], alone=False)


async def withdrawn(database: Pool) -> int:
    (stream,) = await rows(database, tables.streams)
    assert stream.withdrawal_count == len(await rows(database, tables.chain_events)) - 1
    return int(stream.withdrawn)


async def test_what_it_remembers_it_does_not_read(database: Pool, settled: Told) -> None:
    await settled.tell(drawn(10, 3), drawn(11, 4))
    assert ["write"] == settled.statements
    assert 10 == await withdrawn(database)


async def test_what_it_does_not_know_it_reads_and_knows_then(database: Pool, settled: Told) -> None:
    await settled.tell(a_delivery().applies(block(10, stream_created(2))))
    assert ["read", "write"] == settled.statements
    await settled.tell(a_delivery().applies(block(11, stream_withdrawal(2), tx(stream_withdrawal(1), nonce=9))))
    assert ["write"] == settled.statements


async def test_who_is_not_alone_reads_each_time(database: Pool, settled: Told) -> None:
    """A statement in vain for each delivery would be worse than one that reads."""
    for height in (10, 12, 14):
        await another(database, drawn(height, height))
        await settled.tell(drawn(height + 1, height + 1))
        if height > 10:
            assert ["read", "write"] == settled.statements
    assert 3 + sum(range(10, 16)) == await withdrawn(database)
    await settled.tell(drawn(16, 16))
    await settled.tell(drawn(17, 17))
    assert ["write"] == settled.statements


async def test_what_another_has_recorded_meanwhile_is_not_overwritten(database: Pool, settled: Told) -> None:
    await another(database, a_delivery().applies(block(10, tx(stream_sender_updated()))))
    await settled.tell(a_delivery().applies(block(11, tx(stream_withdrawal(amount=5), nonce=5))))
    (stream,) = await rows(database, tables.streams)
    assert (CAROL, 8) == (stream.sender, stream.withdrawn)


@pytest.mark.parametrize("forgets", [False, True])
async def test_another_part_of_a_transaction_is_recorded_with_a_look_at_the_first(
    database: Pool, settled: Told, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    """Whether it remembers the block, or Postgres has to say that there is more of it."""
    await settled.tell(a_delivery().applies(block(10, stream_created(2))))
    if forgets:
        monkeypatch.setattr(module, "TOLD_MAX", 0)
    whole = tx(stream_withdrawal(1), NftBurn(CONTRACTS.obligation_asset, 2, ALICE))
    first, second = (replace(whole, events=(it,)) for it in whole.events)
    await settled.tell(a_delivery().applies(block(11, first)))
    assert ["write"] == settled.statements
    (outcome,) = await settled.tell(a_delivery().applies(block(11, second)))
    assert (1, 0) == (outcome.applied, outcome.known)
    assert ["write"] * forgets == settled.statements[: settled.statements.index("read")]


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_transaction_that_comes_back_in_another_block_is_said_to_come_back(
    database: Pool, settled: Told, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    gone = drawn(10, 3)
    await settled.tell(gone)
    await settled.tell(a_delivery().rolls_back(*gone.applied))
    if forgets:
        monkeypatch.setattr(module, "TOLD_MAX", 0)
        await settled.tell(drawn(11, 4))
    await settled.tell(drawn(12, 3, fork="other"))
    last = (await emissions(database))[-1][4]
    assert last["meta"]["reapplied"]


async def test_what_a_broadcast_appends_is_not_numbered_twice(database: Pool, settled: Told) -> None:
    speaker = Speaker(database, 5, lambda head: None)
    await speaker.submit(Emission(GLOBAL, "notice", "notice", {"text": "hello"}), "key")
    await settled.tell(drawn(10, 3))
    seqs = [seq for seq, *_ in await emissions(database)]
    assert list(range(1, max(seqs) + 1)) == sorted(set(seqs))


async def test_what_failed_half_way_is_not_remembered(
    database: Pool, settled: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        async def fails(*arguments: object) -> None:
            raise OSError("the connection is lost")

        broken.setattr(Writes, "execute", fails)
        with pytest.raises(OSError, match="lost"):
            await settled.tell(drawn(10, 3))
    await settled.tell(drawn(10, 3))
    assert 6 == await withdrawn(database)


async def test_what_was_not_committed_is_not_remembered(database: Pool, settled: Told) -> None:
    """The transaction is undone when all seemed well, or its end is not known."""
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await outbox.head(connection, lock=True)
        await record(connection, [Incoming(drawn(10, 3).read(), NOW)], CONTRACTS, settled.memory)
        await transaction.rollback()
    await settled.tell(drawn(11, 4))
    assert 7 == await withdrawn(database)


async def test_where_nothing_is_written_nothing_is_believed(database: Pool, settled: Told) -> None:
    """Another has taken the tip back: a block that the memory thinks is behind it is the newest one now."""
    await settled.tell(a_delivery().applies(block(20)))
    await another(database, a_delivery().rolls_back(block(20)))
    await another(database, a_delivery().rolls_back(block(15)))
    await settled.tell(a_delivery().applies(block(16)))
    assert 16 == await database.fetchval("SELECT height FROM chain_tip")


async def test_how_much_was_recorded_before_is_no_matter(database: Pool, settled: Told) -> None:
    """Postgres finds by an index what was told of a block, also when it made its plan for an empty table."""
    for height in range(10, 20):
        await settled.tell(drawn(height, height))
    await database.execute(
        "INSERT INTO chain_events SELECT copy.* FROM (SELECT it FROM chain_events AS it LIMIT 1) AS one,"
        " generate_series(1, 20000) AS n, jsonb_populate_record(one.it, jsonb_build_object("
        " 'id', md5(n::text), 'block_hash', md5(n::text), 'reverted_at', now())) AS copy"
    )
    scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'chain_events'"
    async with database.acquire() as connection, connection.transaction():
        before = await connection.fetchval(scans)
        await record(connection, [Incoming(drawn(20, 20).read(), NOW)], CONTRACTS, settled.memory, held=False)
        assert before == await connection.fetchval(scans)


async def test_it_does_not_grow_without_bound(database: Pool, settled: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 5)
    for number in range(2, 8):
        await settled.tell(a_delivery().applies(block(8 + number, stream_created(number))))
        assert len(settled.memory.rows) < 5 + 10
    await settled.tell(drawn(30, 4))
    assert 7 == next(it.withdrawn for it in await rows(database, tables.streams) if it.stream_id == 1)


async def test_a_recorder_uses_it(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Told(database, monkeypatch)
    recorder = recording.Recorder(database, CONTRACTS, "testnet", 5.0, lambda head: None)
    work = asyncio.create_task(recorder.run())
    try:
        await recorder.submit(a_delivery().applies(CREATED).read())
        await recorder.submit(drawn(8, 1).read())
        process.statements.clear()
        await recorder.submit(drawn(9, 2).read())
    finally:
        work.cancel()
    assert ["write"] == process.statements


async def test_what_cannot_be_recorded_at_once_is_found_out_before_anything_is_forgotten(settled: Told) -> None:
    async with settled.database.acquire() as connection:
        told = [Incoming(a_delivery().rolls_back(block(9)).read(), NOW)]
        with pytest.raises(Unheld):
            await record(connection, told, CONTRACTS, settled.memory, held=False)
    await settled.tell(drawn(10, 3))
    assert ["write"] == settled.statements
