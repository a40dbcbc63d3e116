"""Questions that wait share one round trip: what is asked while one is on its way goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from shared.feed import OUTAGES

AT_ONCE: Final = 200  # questions of one round trip: a script over so many keys keeps others waiting for under 2 ms
LINGER_S: Final = 0.001  # for others to ask, too: a round trip costs a node as much as ten questions in it

Q = TypeVar("Q")
A = TypeVar("A")


class Batched(Generic[Q, A]):
    """Asks ``answer_all`` for many at once; answers are in the order of the questions."""

    def __init__(self, answer_all: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> None:
        self._answer_all = answer_all
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None  # looked up once: each look costs a system call

    async def ask(self, question: Q) -> A:
        """The answer. Raises one of ``OUTAGES``."""
        if self._ended:
            raise ConnectionError("this node ends")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = self._loop.create_future()
        self._waiting.append((question, future))
        if self._asking is None:
            self._asking = self._loop.create_task(self._ask_all(), name="batched")
        return await future

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(LINGER_S)
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                await self._ask(batch)
        finally:
            self._asking = None
            _fail(self._waiting, ConnectionError("this node ends"))  # none, unless this task was cancelled
            self._waiting = []

    async def _ask(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        error: Exception = ConnectionError("this node ends")
        try:
            answers = await self._answer_all([question for question, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except OUTAGES as outage:
            error = outage
        finally:
            _fail(batch, error)

    def end(self) -> None:
        """Whoever waits, or asks from now on, gets ``ConnectionError``."""
        self._ended = True
        if self._asking is not None:
            self._asking.cancel()


def _fail(batch: list[tuple[Q, asyncio.Future[A]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
