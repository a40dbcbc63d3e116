"""Deliveries wait, but not for ever, and not because others have waited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ingest import recorder as module
from ingest.recorder import Recorder
from shared import outbox
from shared.database import Pool
from shared.errors import Unavailable
from tests.builders import CONTRACTS, a_delivery, block, stream_created


async def test_a_queue_that_has_once_grown_old_is_worked_off_though_more_keeps_coming(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away for longer than a delivery may wait, and slow when it is back: slower than what the oldest
    delivery of the queue has left, faster than what a delivery may wait."""
    record, away = module.record, asyncio.Event()

    async def slow(*arguments: Any, **others: Any) -> Any:
        if not away.is_set():
            raise OSError("away")
        await asyncio.sleep(0.4)
        return await record(*arguments, **others)

    monkeypatch.setattr(module, "record", slow)
    recorder = Recorder(database, CONTRACTS, "testnet", 2.0, lambda head: None)
    work = asyncio.create_task(recorder.run())
    answers: list[asyncio.Task[Any]] = []
    try:
        for i in range(120):
            if i == 60:
                away.set()
            delivery = a_delivery().applies(block(i + 7, stream_created(i + 1))).read()
            answers.append(asyncio.create_task(recorder.submit(delivery)))
            await asyncio.sleep(0.05)
        found = await asyncio.gather(*answers, return_exceptions=True)
    finally:
        work.cancel()

    refused = [isinstance(it, Unavailable) for it in found]
    assert all(refused[:10]), "these waited longer than they may"
    assert not any(refused[80:]), "these came when the store had long been back"


async def test_what_was_refused_while_another_held_the_outbox_is_not_stored_later(database: Pool) -> None:
    recorder = Recorder(database, CONTRACTS, "testnet", 0.4, lambda head: None)
    work = asyncio.create_task(recorder.run())
    async with database.acquire() as other:
        holding = other.transaction()
        await holding.start()
        await outbox.head(other, lock=True)
        with pytest.raises(Unavailable):
            await recorder.submit(a_delivery().applies(block(7, stream_created(1))).read())
        work.cancel()
        await asyncio.sleep(3)  # Postgres looks every second whether those are there who wait
        await holding.rollback()
    await asyncio.sleep(0.5)
    assert 0 == await database.fetchval("SELECT count(*) FROM chain_events")
