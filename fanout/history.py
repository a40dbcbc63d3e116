"""The past that a node no longer has in memory: from the feed, else from the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from shared import outbox
from shared.database import Pool, borrowed
from shared.domain.entry import Cursor, Offset
from shared.feed import OUTAGES, Feed, Framed, RedisClient
from shared.outbox import Head
from shared.wire import event_frame

BATCH: Final = 500
AT_ONCE: Final = 16  # reads of a node, so that a storm of returning clients leaves something for the others
ANSWER_S: Final = 5.0  # how long Postgres may take


class Gone(Exception):
    """What was asked for has been deleted by age."""


@dataclass(frozen=True, slots=True)
class Past:
    """Emissions in order, and how far they are complete for the rooms that were asked for."""

    said: list[tuple[Offset, Framed]]
    upto: Offset


class History:
    """Reads of the past, for connections that are behind."""

    def __init__(self, database: Pool, redis: RedisClient, prefix: str) -> None:
        self._database, self._redis, self._prefix = database, redis, prefix
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def after(self, offset: Offset, rooms: Collection[str], epoch: str, upto: Offset) -> Past:
        """What was said in these rooms behind an offset, in order, a batch of it; never beyond ``upto``.

        Raises ``Gone``, and whatever says that Postgres is away.
        """
        async with self._turns:
            return await self._from_feed(offset, rooms, epoch, upto) or await self._from_outbox(
                offset, rooms, epoch, upto
            )

    async def _from_feed(self, offset: Offset, rooms: Collection[str], epoch: str, upto: Offset) -> Past | None:
        """None where the feed does not have the entry that ``offset`` stands in."""
        try:
            entries = await Feed(self._redis, self._prefix, epoch).range(offset.seq, BATCH)
        except OUTAGES:
            return None
        if not entries or entries[0].seq != max(offset.seq, 1):
            return None
        said: list[tuple[Offset, Framed]] = []
        end = offset
        for entry in entries:
            if entry.seq > upto.seq or entry.seq > end.seq + 1:
                break
            for n, it in enumerate(entry.said):
                end = Offset(entry.seq, n)
                if end > offset and it[0] in rooms:
                    said.append((end, it))
        return Past(said, end) if end > offset else None

    async def _from_outbox(self, offset: Offset, rooms: Collection[str], epoch: str, upto: Offset) -> Past:
        async with borrowed(self._database, ANSWER_S) as connection:
            spoken = await outbox.read_rooms(connection, rooms, after=offset, upto=upto, limit=BATCH)
            oldest = await outbox.oldest(connection)
        if _gone(offset, oldest):
            raise Gone
        said = [(at, (room, event_frame(words, str(Cursor(epoch, at))))) for at, (room, words) in spoken]
        return Past(said, said[-1][0] if len(said) == BATCH else upto)

    async def head(self) -> Head:
        """The outbox's end."""
        async with borrowed(self._database, ANSWER_S) as connection:
            return await outbox.head(connection)

    async def missed(self, offset: Offset, rooms: Collection[str], upto: Offset, limit: int) -> int:
        """How many emissions in these rooms stand behind an offset, counted up to ``limit`` + 1. Raises ``Gone``."""
        async with self._turns, borrowed(self._database, ANSWER_S) as connection:
            if _gone(offset, await outbox.oldest(connection)):
                raise Gone
            return await outbox.count_rooms(connection, rooms, after=offset, upto=upto, limit=limit + 1)


def _gone(offset: Offset, oldest: int | None) -> bool:
    """Whether the entry that an offset stands in is not kept any more; the first one where it stands before all."""
    return oldest is not None and max(offset.seq, 1) < oldest
