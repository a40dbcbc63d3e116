"""Many ask, few round trips are made, and everybody gets his own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fanout.batched import AT_ONCE, Batched
from fanout.sessions import Session, Sessions
from shared.domain.entry import Cursor, Offset
from shared.feed import open_redis
from tests.conftest import Valkey


class Doubling:
    """Answers after it was let go, and remembers how much it was asked at once."""

    def __init__(self) -> None:
        self.go, self.sizes = asyncio.Event(), list[int]()
        self.error: Exception | None = None

    async def __call__(self, questions: Sequence[int]) -> Sequence[int]:
        self.sizes.append(len(questions))
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return [2 * it for it in questions]


async def asked(batched: Batched[int, int], count: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batched.ask(i)) for i in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_is_asked_meanwhile_goes_together_and_each_gets_its_own_answer() -> None:
    doubling = Doubling()
    batched = Batched(doubling)
    first = await asked(batched, 1)
    while not doubling.sizes:
        await asyncio.sleep(0)
    rest = await asked(batched, AT_ONCE + 5)
    doubling.go.set()
    assert [0] == await asyncio.gather(*first)
    assert [2 * i for i in range(AT_ONCE + 5)] == await asyncio.gather(*rest)
    assert [1, AT_ONCE, 5] == doubling.sizes


async def test_an_outage_is_told_to_those_who_asked_and_the_next_try_is_a_new_one() -> None:
    doubling = Doubling()
    batched = Batched(doubling)
    doubling.error = ConnectionError("away")
    doubling.go.set()
    answers = await asyncio.gather(*await asked(batched, 3), return_exceptions=True)
    assert all(isinstance(it, ConnectionError) for it in answers)
    doubling.error = None
    assert 14 == await batched.ask(7)


async def test_one_who_gave_up_costs_the_others_nothing() -> None:
    doubling = Doubling()
    batched = Batched(doubling)
    tasks = await asked(batched, 3)
    tasks[1].cancel()
    doubling.go.set()
    assert [0, 4] == [await tasks[0], await tasks[2]]


async def test_nobody_waits_for_a_node_that_ends() -> None:
    batched = Batched(Doubling())
    tasks = await asked(batched, 3)
    batched.end()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(it, ConnectionError) for it in answers)
    with pytest.raises(ConnectionError):
        await batched.ask(1)


async def test_many_sessions_are_stored_and_taken_at_once_each_by_its_own_rules(valkey: Valkey, prefix: str) -> None:
    """A stale number, another user and another epoch among a hundred concern nobody but themselves."""
    start = Cursor("0a0a0a0a", Offset(3, 1))
    many = [
        Session(f"pid{i}", "", start, rooms={"global": Offset(3, 1), f"stream:{i}": Offset(4, i)}) for i in range(99)
    ]
    async with open_redis(valkey.url) as redis:
        sessions = Sessions(redis, prefix, 60)
        assert all(await asyncio.gather(*(sessions.write(it) for it in many)))
        taken = await asyncio.gather(*(sessions.take(it.pid, "", "0a0a0a0a") for it in many))
        assert [(it.pid, it.rooms, 2) for it in many] == [(it.pid, it.rooms, it.number) for it in taken if it]
        stale, wrong_user, wrong_epoch, unknown, good = await asyncio.gather(
            sessions.write(many[0]),
            sessions.take("pid1", "somebody", "0a0a0a0a"),
            sessions.take("pid1", "", "0b0b0b0b"),
            sessions.take("nobody", "", "0a0a0a0a"),
            sessions.take("pid1", "", "0a0a0a0a"),
        )
        assert (False, None, None, None) == (stale, wrong_user, wrong_epoch, unknown)
        assert good is not None
        assert good.number == 3
        assert 50 < await redis.ttl(f"{prefix}:session:pid1") <= 60
