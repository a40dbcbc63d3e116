"""The tail: every node reads the whole feed from its own position, skips what is past and reads holes from Postgres.

It never gives up. While Redis is away the entries come from Postgres, at the pace of the looks; while Postgres is away
they come from the feed; while both are away it waits, and goes on from where it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

from fanout.metrics import HOLES, NODE_LAG, TAIL_ERRORS
from shared import outbox
from shared.database import Pool, borrowed, is_outage
from shared.feed import OUTAGES, Feed, FeedEntry, RedisClient
from shared.outbox import Head

log = logging.getLogger("fanout.tail")

LOOK_S = 5.0  # how often the outbox's head is read
PAUSE_S = (0.05, 2.0)  # first and longest wait after a failure
ANSWER_S = 5.0  # how long Postgres may take; the feed goes on without it
BATCH = 500
LINGER_S = 0.001  # between two reads that bring something: what comes faster shares one
CROWD = 8  # entries of one read, beyond which the next one waits longer
CROWD_LINGER_S = 0.004


class Tail:
    """One node's reading of the feed."""

    def __init__(
        self,
        database: Pool,
        redis: RedisClient,
        prefix: str,
        look_s: float = LOOK_S,
        on_loss: Callable[[], object] | None = None,
    ) -> None:
        self._database, self._redis = database, redis
        self._on_loss = on_loss  # called when Redis has lost the feed, and so whatever else was kept there
        self._prefix, self._look_s = prefix, look_s
        self._feed: Feed | None = None
        self._epoch = ""
        self._seq = 0
        self._due: int | None = None  # the head at the last look: by the next one all up to it must have come
        self._look_at = 0.0
        self._heard_at = 0.0
        self._read_on_at = 0.0
        self._pause = PAUSE_S[0]
        self._top = 0  # where the feed ended at the last look

    @property
    def lag(self) -> int:
        """Entries of the outbox, as of the last look at it, that have not been read yet."""
        return max(0, (self._due or 0) - self._seq)

    @property
    def silence_s(self) -> float:
        """Seconds since the feed or the outbox was last read."""
        return time.monotonic() - self._heard_at

    async def follow(self) -> AsyncIterator[Head | list[FeedEntry]]:
        """The outbox's end where this node starts, then entries one by one without a gap, for ever.

        Another ``Head`` says that a new epoch has begun there: all cursors given out before are void.
        """
        while True:
            if self._feed is None or time.monotonic() >= self._look_at:
                head = await self._look()
                if head is not None and (self._feed is None or head.epoch != self._epoch):
                    self._begin(head)
                    yield head
                elif head is not None and self._due is not None and self._seq < self._due:
                    HOLES.inc()
                    await self._redis.forget()  # it has said nothing of that: perhaps it is no longer the master
                    async for entries in self._from_postgres(self._due):
                        yield entries
                self._due = head.offset.seq if head else self._due
                await self._see_loss()
            NODE_LAG.set(self.lag)
            if self._feed is None:
                continue
            entries = await self._from_feed(self._feed)
            if entries and entries[0].seq > self._seq + 1:
                HOLES.inc()
                async for missing in self._from_postgres(entries[0].seq - 1):
                    yield missing
            if entries and entries[-1].seq != self._seq + len(entries):
                entries = [it for seq, it in enumerate(entries, self._seq + 1) if it.seq == seq]  # up to the next hole
            if entries:
                self._seq = entries[-1].seq
                yield entries

    async def newest(self, count: int) -> AsyncIterator[list[FeedEntry]]:
        """The last entries up to where this node starts, as far as the feed has them, for the ring."""
        after = max(0, self._seq - count)
        while self._feed is not None and after < self._seq:
            try:
                entries = await self._feed.read(after=after, count=BATCH)
            except OUTAGES:
                return
            entries = [entry for entry in entries if entry.seq <= self._seq]
            if not entries:
                return
            after = entries[-1].seq
            yield entries

    async def _see_loss(self) -> None:
        """A feed that ends before this node's position is another one than that which this node has read."""
        if self._feed is None or self._on_loss is None:
            return
        try:
            last = await self._feed.last()
        except OUTAGES:
            return
        top = last.seq if last else 0
        if top < self._seq and top < self._top:
            log.warning("redis has lost the feed", extra={"seq": self._seq, "feed": top})
            self._on_loss()
        self._top = top

    def _begin(self, head: Head) -> None:
        self._epoch, self._seq, self._due = head.epoch, head.offset.seq, None
        self._feed = Feed(self._redis, self._prefix, head.epoch)

    async def _look(self) -> Head | None:
        try:
            async with borrowed(self._database, ANSWER_S) as connection:
                head = await outbox.head(connection)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("postgres does not answer", extra={"error": repr(error), "seq": self._seq})
            self._look_at = time.monotonic() + self._look_s
            if self._feed is None:
                await self._wait()
            return None
        self._look_at = time.monotonic() + self._look_s
        self._heard_at = time.monotonic()
        return head

    async def _from_feed(self, feed: Feed) -> list[FeedEntry]:
        """What the feed has behind our position, waiting for it until the next look."""
        if (early := self._read_on_at - time.monotonic()) > 0:
            await asyncio.sleep(early)
        block_s = max(0.01, self._look_at - time.monotonic())
        try:
            entries = await feed.read(after=self._seq, count=BATCH, block_s=block_s)
        except OUTAGES as error:
            TAIL_ERRORS.inc()
            if self._pause == PAUSE_S[0]:
                log.warning("the feed does not answer", extra={"error": repr(error), "seq": self._seq})
            await self._wait()
            return []
        self._pause, self._heard_at = PAUSE_S[0], time.monotonic()
        if entries:
            self._read_on_at = self._heard_at + (CROWD_LINGER_S if len(entries) > CROWD else LINGER_S)
        return entries

    async def _from_postgres(self, last: int) -> AsyncIterator[list[FeedEntry]]:
        """Entries up to ``last`` from the outbox; fewer where Postgres does not answer now."""
        while self._seq < last:
            try:
                async with borrowed(self._database, ANSWER_S) as connection:
                    found = await outbox.read(connection, after=self._seq, limit=min(BATCH, last - self._seq))
                    oldest = await outbox.oldest(connection) if not found else None
            except Exception as error:
                if not is_outage(error):
                    raise
                TAIL_ERRORS.inc()
                await self._wait()
                return
            if not found:  # deleted by age while this node was away: all connections start anew
                log.error("entries are gone before this node spoke them", extra={"seq": self._seq, "oldest": oldest})
                self._feed = None
                return
            self._seq, self._heard_at = found[-1].seq, time.monotonic()
            yield [FeedEntry.of(it, self._epoch) for it in found]

    async def _wait(self) -> None:
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, PAUSE_S[1])
