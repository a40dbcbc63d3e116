"""Deliveries queue here, and all that wait share the next transaction.

Recording transactions run one after another anyway, so while one is being written to disk the next collects. A
delivery is answered when its transaction has ended: stored, or nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ingest import projections
from ingest.delivery import Delivery
from ingest.memory import Memory
from ingest.metrics import OUTBOX_HEAD, RECORD_SECONDS
from ingest.record import Incoming, Outcome, Unheld, record
from shared import outbox
from shared.database import COMMAND_S, Pool, borrowed, is_outage, schema_is_current
from shared.domain.chain import Contracts
from shared.domain.rows import genesis
from shared.errors import Broken, Unavailable
from shared.outbox import Head

log = logging.getLogger("ingest.recorder")

BATCH_MAX = 64  # deliveries in one transaction
BATCH_EVENTS = 2000  # above so many events a transaction takes no further delivery
TRY_S = 5.0  # that a transaction gets at least, of the time that a delivery may wait
PAUSE_S = (0.05, 1.0)  # first and longest wait between tries while Postgres is away


class OtherDeployment(Broken):
    """The database belongs to another network or set of contracts."""


@dataclass(slots=True)
class _Waiting:
    incoming: Incoming
    deadline: float  # on the loop's clock; a transaction that takes it in begins before
    answer: asyncio.Future[Outcome]

    @property
    def size(self) -> int:
        delivery = self.incoming.delivery
        return sum(len(block.events) for block in (*delivery.rollback, *delivery.apply))


class Recorder:
    """The only writer of this process."""

    def __init__(
        self,
        database: Pool,
        contracts: Contracts,
        network: str,
        wait_s: float,
        on_commit: Callable[[Head], None],
    ) -> None:
        self._database, self._contracts, self._network = database, contracts, network
        # A try gets a time of its own. Were it what its oldest delivery has left, a queue that had once grown old would
        # stay so: at its head there is always one about to expire, and every try would be cut for it.
        self._try_s = min(TRY_S, wait_s / 2)
        self._wait_s, self._on_commit = wait_s - self._try_s, on_commit
        self._memory = Memory(contracts)
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._away = False

    async def submit(self, delivery: Delivery) -> Outcome:
        """Record a delivery; returns when it is committed. Raises ``Unavailable`` once it has waited long enough."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(Incoming(delivery, time.time_ns() // 1000), loop.time() + self._wait_s, loop.create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def run(self) -> None:
        """Record what comes, for ever. Raises ``Broken`` where the database is not ours."""
        pause = PAUSE_S[0]
        claimed = False
        while True:
            try:
                if not claimed:
                    await self._claim()
                    claimed = True
                    pause = PAUSE_S[0]
                await self._wait()
                await self._write_some()
                if self._away:
                    log.info("postgres answers again")
                self._away, pause = False, PAUSE_S[0]
            except Exception as error:
                if not is_outage(error) and not isinstance(error, Unavailable):
                    raise
                if not self._away:
                    log.warning("postgres does not answer, deliveries wait", extra={"error": repr(error)})
                self._away = True
                self._expire()
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_S[1])

    async def _claim(self) -> None:
        """Make the database ours at the first start; refuse one that is another deployment's."""
        mine = {"network": self._network, "contracts": self._contracts.as_dict()}
        async with borrowed(self._database, COMMAND_S) as connection, connection.transaction():
            if not await schema_is_current(connection):
                raise Unavailable("the schema is older than this process; waiting for the migrations")
            await connection.execute(
                "INSERT INTO deployment (id, network, contracts) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
                self._network,
                msgspec.json.encode(mine["contracts"]).decode(),
            )
            row = await connection.fetchrow("SELECT network, contracts FROM deployment")
            await projections.begin(connection, genesis(self._contracts))
        assert row is not None
        kept = {"network": row["network"], "contracts": msgspec.json.decode(row["contracts"])}
        if kept != mine:
            raise OtherDeployment(f"this database belongs to {kept}, not to {mine}")

    async def _wait(self) -> None:
        while not self._queue:
            self._wake.clear()
            await self._wake.wait()

    async def _write_some(self) -> None:
        """One transaction for all that wait, within bounds. What is ours to blame falls on its own delivery alone."""
        self._expire()
        batch: list[_Waiting] = []
        events = 0
        for waiting in self._queue:
            if len(batch) == BATCH_MAX or (batch and events + waiting.size > BATCH_EVENTS):
                break
            batch.append(waiting)
            events += waiting.size
        if not batch:
            return
        try:
            await self._write(batch)
        except Exception as error:
            if is_outage(error):
                raise
            if len(batch) > 1:  # one of them does this; find it and let the others pass
                for waiting in batch:
                    await self._write_alone(waiting)
            else:
                await self._write_alone(batch[0])

    async def _write_alone(self, waiting: _Waiting) -> None:
        try:
            await self._write([waiting])
        except Exception as error:
            if is_outage(error):
                raise
            if waiting.answer.done():
                return
            self._queue.remove(waiting)
            waiting.answer.set_exception(error)

    async def _write(self, batch: list[_Waiting]) -> None:
        within_s = self._try_s + min(waiting.deadline for waiting in batch) - asyncio.get_running_loop().time()
        async with borrowed(self._database, max(within_s, 0.1)) as connection:
            told = [waiting.incoming for waiting in batch]
            try:
                outcomes, head = await record(connection, told, self._contracts, self._memory, held=False)
            except Unheld:
                async with outbox.held(connection):
                    outcomes, head = await record(connection, told, self._contracts, self._memory)
            # nobody has to wait until the connection is given back
            self._committed(batch, outcomes, head)

    def _committed(self, batch: Sequence[_Waiting], outcomes: Sequence[Outcome], head: Head) -> None:
        now = time.time_ns() // 1000
        self._on_commit(head)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._queue.remove(waiting)
            RECORD_SECONDS.observe((now - waiting.incoming.at) / 1e6)
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)
        OUTBOX_HEAD.set(head.offset.seq)

    def _expire(self) -> None:
        """Answer those that waited long enough; nothing of theirs is stored."""
        now = asyncio.get_running_loop().time()
        for waiting in [waiting for waiting in self._queue if waiting.deadline <= now]:
            self._queue.remove(waiting)
            if not waiting.answer.done():
                waiting.answer.set_exception(Unavailable("the store does not answer"))
