"""How a node ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fanout import app


async def test_a_part_that_loses_its_cancellation_is_ended_all_the_same() -> None:
    async def listen() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)  # as upstream's loop goes on

    tasks = {asyncio.create_task(listen()), asyncio.create_task(asyncio.sleep(60))}
    for task in tasks:
        task.add_done_callback(tasks.discard)
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await app._end(tasks)
    assert set() == tasks
