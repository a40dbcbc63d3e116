"""The relay: what is committed is heard. It copies the outbox to the feed, in order and without a gap.

Every ingest process runs one; the feed's append script lets only the entry pass that is due, so many do no harm. It is
woken by a commit of its own process and looks every second for those of others. Nothing ends it but a defect:
while Redis or Postgres is away it tries again, says so and shows its lag.
"""

from __future__ import annotations

import asyncio
import logging

from ingest.metrics import FEED_LAG, FEED_LAST, OUTBOX_HEAD, RELAY_ERRORS
from shared import outbox
from shared.database import COMMAND_S, Connection, Pool, borrowed, is_outage
from shared.domain.entry import Entry
from shared.feed import OUTAGES, Feed, FeedEntry, NotFeed, RedisClient
from shared.outbox import Head

log = logging.getLogger("ingest.relay")

LOOK_S = 1.0  # the longest time between two looks
PAUSE_S = (0.05, 2.0)  # first and longest wait after a failure
BATCH = 200  # entries in one append
FRESH_MAX = 1000  # entries of our own commits that wait for Redis; beyond that they are read from the outbox again


class Relay:
    """Copies the outbox to the feed."""

    def __init__(self, database: Pool, redis: RedisClient, prefix: str, keep: int) -> None:
        self._database, self._redis, self._prefix, self._keep = database, redis, prefix, keep
        self._wake = asyncio.Event()
        self._fresh: list[Entry] = []  # committed by this process, and not yet looked at
        self._look = True  # there is more in the outbox than that
        self._feed: Feed | None = None
        self._epoch = ""
        self._top: int | None = None  # the feed's last seq, as far as we know
        self._away = False

    def wake(self, head: Head) -> None:
        """Something was committed, by this process."""
        if head.epoch == self._epoch and len(self._fresh) < FRESH_MAX:
            self._fresh += head.entries
        else:
            self._look = True
        self._wake.set()

    async def run(self) -> None:
        """Relay for ever."""
        pause = PAUSE_S[0]
        while True:
            try:
                await self.publish()
                if self._away:
                    log.info("the relay goes on", extra={"seq": self._top})
                self._away, pause = False, PAUSE_S[0]
            except Exception as error:
                if not isinstance(error, OUTAGES) and not is_outage(error):
                    raise
                RELAY_ERRORS.inc()
                if not self._away:
                    log.warning("the relay waits", extra={"error": repr(error), "seq": self._top})
                self._away, self._feed = True, None  # what the feed is now has to be looked at again
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_S[1])
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                self._top = None  # idle: see with our own eyes whether the feed is still there

    async def publish(self) -> None:
        """Append all that the feed does not have yet."""
        published = False
        while self._fresh and (published := await self._publish_fresh()):
            pass
        if not published:
            await self._publish_outbox()

    async def _publish_fresh(self) -> bool:
        """Append what this process has committed, without reading it from Postgres first. False: it is not what is due.

        Another process may have committed what comes before it; then the outbox has to be asked.
        """
        self._wake.clear()
        fresh, self._fresh = self._fresh, []
        if self._look or self._feed is None or self._top is None or fresh[0].seq != self._top + 1:
            return False
        for start in range(0, len(fresh), BATCH):
            batch = fresh[start : start + BATCH]
            if batch[-1].seq != self._top + len(batch):
                return False
            if not await self._feed.append(batch, behind=self._top, keep=self._keep):
                self._top = None
                return False
            self._top = batch[-1].seq
        FEED_LAST.set(self._top)
        FEED_LAG.set(0)
        return True

    async def _publish_outbox(self) -> None:
        async with borrowed(self._database, COMMAND_S) as connection:
            while True:
                self._wake.clear()
                self._fresh, self._look = [], False
                head = await outbox.head(connection)
                OUTBOX_HEAD.set(head.offset.seq)
                if self._feed is None or head.epoch != self._epoch:
                    head = await self._open(connection, head)
                feed = self._feed
                assert feed is not None
                if self._top is None and (last := await _last(feed)):
                    self._top = last.seq
                behind = self._top
                if behind is None:  # there is no feed: begin one with the newest entries
                    after = max(head.offset.seq - self._keep, (await outbox.oldest(connection) or 1) - 1)
                else:
                    after = behind
                FEED_LAST.set(after)
                FEED_LAG.set(max(0, head.offset.seq - after))
                if after >= head.offset.seq:
                    return
                entries = await outbox.read(connection, after=after, limit=BATCH)
                if not entries or entries[0].seq != after + 1:  # deleted by retention: the feed is older than all
                    log.warning("the feed ends before the outbox begins, it begins anew", extra={"seq": after})
                    await feed.delete()
                    self._top = None
                elif await feed.append(entries, behind=behind, keep=self._keep):
                    self._top = entries[-1].seq
                else:  # another relay was faster, or the feed was lost
                    self._top = None

    async def _open(self, connection: Connection, head: Head) -> Head:
        """Find the epoch's feed. An entry in it that the outbox lacks, or has from another time, is a past that the
        database has gone back behind: numbers would be given twice, so a new epoch begins."""
        feed = Feed(self._redis, self._prefix, head.epoch)
        last = await _last(feed)
        if last is not None:
            at = await outbox.written_at(connection, last.seq)
            oldest = await outbox.oldest(connection)
            forgotten = at is None and oldest is not None and last.seq < oldest
            if at != last.at and not forgotten:
                epoch = await outbox.new_epoch(connection, instead_of=head.epoch)
                log.warning("the database went back to an earlier state", extra={"epoch": epoch, "seq": last.seq})
                head = await outbox.head(connection)
                feed = Feed(self._redis, self._prefix, head.epoch)
        self._feed, self._epoch, self._top = feed, head.epoch, None
        return head


async def _last(feed: Feed) -> FeedEntry | None:
    """Its newest entry. What cannot be read is no feed of ours and goes: the outbox has it all."""
    try:
        return await feed.last()
    except NotFeed as wrong:
        log.warning("the feed is not of this version, it begins anew", extra={"error": repr(wrong)})
        await feed.delete()
        return None
