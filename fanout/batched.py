"""Calls of Redis that wait share one round trip: what is asked while one is on its way goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from shared.feed import OUTAGES

AT_ONCE: Final = 500  # calls of one round trip

Call = Callable[[Pipeline], Any]  # queues one command


class Batched:
    """One command of each asker, in order."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[tuple[Call, asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None
        self._ended = False

    async def ask(self, call: Call) -> Any:
        """The answer to the one command that ``call`` queues. Raises one of ``OUTAGES``, or what Redis answers."""
        if self._ended:
            raise ConnectionError("this node ends")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((call, future))
        if self._sending is None:
            self._sending = loop.create_task(self._send_all(), name="batched")
        return await future

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                await self._send(batch)
        finally:
            self._sending = None
            for _, future in self._waiting:  # none, unless this task was cancelled
                _fail(future, ConnectionError("this node ends"))
            self._waiting = []

    async def _send(self, batch: list[tuple[Call, asyncio.Future[Any]]]) -> None:
        answers: list[Any] = [ConnectionError("this node ends")] * len(batch)
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for call, _ in batch:
                    queued = call(pipeline)
                    if asyncio.iscoroutine(queued):  # a script's
                        await queued
                answers = await pipeline.execute(raise_on_error=False)
        except OUTAGES as error:
            answers = [error] * len(batch)
        finally:
            for (_, future), answer in zip(batch, answers, strict=True):
                if isinstance(answer, Exception):
                    _fail(future, answer)
                elif not future.done():
                    future.set_result(answer)

    def end(self) -> None:
        """Whoever waits, or asks from now on, gets ``ConnectionError``."""
        self._ended = True
        if self._sending is not None:
            self._sending.cancel()


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
