"""Who is connected and how far each was told: the heart of a node.

A client is LIVE or CATCHING UP. LIVE ones stand in the audiences of their rooms, and ``speak`` queues each entry for
them: append to the ring, move the node's position, queue; there is no await in it. One that is CATCHING UP is in no
audience; it has a cursor and a task that reads on from there, from the ring or from history, at the pace at which its
connection takes it. In the very step in which it reaches the ring's end it becomes LIVE. That hand-over is why there is
no gap and no duplicate; resuming, joining with ``since`` and slow readers all go through it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fanout import frames
from fanout.history import Gone, History
from fanout.links import SLICE, Link, Outgoing
from fanout.metrics import BEHIND, CATCH_UPS, DELIVER_SECONDS, NODE_SEQ, SENT
from fanout.ring import Ring
from fanout.sessions import Session
from shared.database import is_outage
from shared.domain.entry import Cursor, Offset
from shared.feed import OUTAGES, FeedEntry, Framed

log = logging.getLogger("fanout.clients")

STEP: Final = 1000  # emissions that one client looks at in a step
YOUNG_S: Final = 20.0  # how old the cursor of a quiet client may become
AWAIT_TAIL_S: Final = 5.0  # how long a client that is ahead of this node waits for it


class Client:
    """One connected browser: its session, and whether it is told at once."""

    __slots__ = ("expires_at", "jti", "link", "live", "session", "sid", "spare", "spare_at", "task", "told", "turn")

    def __init__(self, sid: str, link: Link, session: Session, cursor: Offset) -> None:
        self.sid, self.link, self.session = sid, link, session
        self.told = cursor  # how far it was told; while it is LIVE the node's position holds instead
        self.live = False
        self.task: asyncio.Task[None] | None = None  # while it catches up
        self.turn: asyncio.Future[None] | None = None  # becomes LIVE, or ends
        self.expires_at = 0.0  # unix seconds; of its token
        self.jti = ""
        self.spare, self.spare_at = 0.0, 0.0  # messages it may send, and when that was so

    @property
    def rooms(self) -> dict[str, Offset]:
        return self.session.rooms

    def may_send(self, rate: float, burst: float) -> bool:
        """One message more: a bucket of ``burst`` that fills by ``rate`` a second."""
        now = time.monotonic()
        spare = min(burst, self.spare + (now - self.spare_at) * rate) if self.spare_at else burst
        self.spare, self.spare_at = spare - (spare >= 1), now
        return spare >= 1


class Audience(set[Link]):
    """The links of a room's LIVE members, and where something was last said to them."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        super().__init__()
        self.last: tuple[int, int] = (0, 0)  # as an ``Offset``; a plain tuple, for one is made for each emission


@dataclass(frozen=True, slots=True)
class Limits:
    """``resume_max``: emissions that one may have missed. ``high``: bytes that may wait for one."""

    resume_max: int
    high: int


class NotResumable(Exception):
    """A cursor from which nobody can go on without a gap."""


class Clients:
    """The clients of this node, the audiences of rooms, and the node's position in the outbox."""

    def __init__(
        self,
        ring: Ring,
        history: History,
        outgoing: Outgoing,
        limits: Limits,
        spawn: Callable[..., asyncio.Task[None]],
    ) -> None:
        self._ring, self._history, self._outgoing = ring, history, outgoing
        self._limits, self._spawn = limits, spawn
        self._audiences: dict[str, Audience] = {}
        self._moved: asyncio.Future[None] | None = None  # done when the position moves
        self._behind: set[Client] = set()
        self.by_sid: dict[str, Client] = {}
        self.by_pid: dict[str, Client] = {}
        self.epoch = ""
        self.position = Offset(0, 0)

    @property
    def cursor(self) -> Cursor:
        """This node's position: all up to there has been queued for the audiences of its rooms."""
        return Cursor(self.epoch, self.position)

    def restart(self, epoch: str, position: Offset) -> None:
        """Begin at another place; whoever is connected has to be closed by the caller."""
        self.epoch, self.position = epoch, position
        self._ring.clear()
        NODE_SEQ.set(position.seq)

    def remember(self, entries: Sequence[FeedEntry]) -> None:
        """Fill the ring with consecutive entries before this node's position."""
        said = [entry.said for entry in entries]
        self._ring.extend(entries[0].seq, said, [sum(len(frame) for _, frame in it) for it in said])

    # -- speaking

    def speak(self, entries: Iterator[FeedEntry], budget: int) -> int:
        """Queue consecutive entries for the audiences of their rooms until their frames are about ``budget`` bytes
        together, and move this node's position; returns how many entries, 0 where none was left.

        What waits for one connection grows by no more than that before the caller lets it be written.
        """
        audience_of = self._audiences.get
        spoken: list[Sequence[Framed]] = []
        sizes: list[int] = []
        run: list[bytes] = []  # frames that follow each other and are for the same links
        hearing: Audience | None = None
        sent = total = oldest = seq = n = 0
        for entry in entries:
            seq, said, size = entry.seq, entry.said, 0
            for n, (room, frame) in enumerate(said):
                size += len(frame)
                audience = audience_of(room)
                if audience is None:
                    continue
                if audience is not hearing:
                    if hearing is not None:
                        self._queue(run, hearing)
                    run, hearing = [], audience
                run.append(frame)
                audience.last = seq, n
                sent += len(audience)
                oldest = oldest or entry.at
            spoken.append(said)
            sizes.append(size)
            total += size
            if total >= budget:
                break
        if not spoken:
            return 0
        if hearing is not None:
            self._queue(run, hearing)
        self._ring.extend(seq + 1 - len(spoken), spoken, sizes)
        self.position = Offset(seq, n)
        NODE_SEQ.set(seq)
        if sent:
            self._outgoing.schedule()
            SENT.inc(sent)
            DELIVER_SECONDS.observe(max(0.0, time.time() - oldest / 1e6))
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None
        return len(spoken)

    def _queue(self, run: Sequence[bytes], audience: Audience) -> None:
        """Queue these frames for all of them, as one piece that they share; the caller schedules the pass."""
        piece = run[0] if len(run) == 1 else b"".join(run)
        due = self._outgoing.due
        for link in audience:
            link.pending.append(piece)
            if not link.due:
                link.due = True
                due.append(link)

    async def keep_cursors_young(self) -> None:
        """Send ``system:cursor`` to every LIVE client whose last cursor is behind, again and again.

        So those that hear nothing keep a young cursor, and a storm of returning ones is served from the ring.
        """
        while True:
            await asyncio.sleep(YOUNG_S)
            for i, client in enumerate(list(self.by_sid.values())):
                if i % SLICE == SLICE - 1:
                    await self._outgoing.idle()
                    await asyncio.sleep(0)
                if client.live and self.last_told(client) < self.position:
                    client.told = self.position
                    client.link.push(frames.frame(b'42["system:cursor",{},"%b"]' % str(self.cursor).encode()))

    def last_told(self, client: Client) -> Offset:
        """The cursor that a LIVE client was last sent."""
        heard = [self._audiences[room].last for room in client.rooms if room in self._audiences]
        return Offset(*max((client.told, *heard)))

    # -- coming and going

    def admit(self, client: Client) -> None:
        """A new client: catches up from its cursor, at once if there is little."""
        self.by_sid[client.sid] = client
        self.by_pid[client.session.pid] = client
        client.link.client = client
        self._catch_up_now(client)

    def forget(self, client: Client) -> None:
        """It is gone."""
        if self.by_sid.pop(client.sid, None) is None:
            return
        if self.by_pid.get(client.session.pid) is client:
            del self.by_pid[client.session.pid]
        self._leave_audiences(client)
        self._behind.discard(client)
        BEHIND.set(len(self._behind))
        if client.task is not None:
            client.task.cancel()
            client.task = None
        self._turned(client)

    def enter(self, client: Client, room: str, position: Offset | None = None) -> None:
        """From now on it hears the room; what was said before ``position`` (this node's) it need not be told."""
        client.rooms[room] = self.position if position is None else position
        if client.live:
            self._join_audience(client, room)

    def leave(self, client: Client, room: str) -> None:
        """From now on it does not hear the room."""
        if client.rooms.pop(room, None) is not None:
            self._leave_audience(client, room)

    def members(self, room: str) -> list[Client]:
        """All who are in the room, LIVE or not."""
        audience = self._audiences.get(room, ())
        found = [link.client for link in audience if link.client is not None]
        return found + [client for client in self._behind if room in client.rooms]

    def _join_audience(self, client: Client, room: str) -> None:
        audience = self._audiences.get(room)
        if audience is None:
            audience = self._audiences[room] = Audience()
        audience.add(client.link)

    def _leave_audience(self, client: Client, room: str) -> None:
        audience = self._audiences.get(room)
        if audience is not None:
            audience.discard(client.link)
            if not audience:
                del self._audiences[room]

    def _leave_audiences(self, client: Client) -> None:
        if client.live:
            client.told = max(client.told, self.last_told(client))
            client.live = False
            for room in client.rooms:
                self._leave_audience(client, room)

    # -- CATCHING UP

    def fell_behind(self, client: Client) -> None:
        """Too much waits for it: it is told no more until it has taken that, and then from here on."""
        if not client.live:
            return
        self._leave_audiences(client)
        client.told = self.position
        CATCH_UPS.labels(cause="slow").inc()
        self._begin_catching_up(client)

    async def is_live(self, client: Client) -> None:
        """Wait until it is LIVE, or gone."""
        while not client.live and not client.link.closed:
            if client.turn is None:
                client.turn = asyncio.get_running_loop().create_future()
            await asyncio.shield(client.turn)

    def _turned(self, client: Client) -> None:
        if client.turn is not None and not client.turn.done():
            client.turn.set_result(None)
        client.turn = None

    def _go_live(self, client: Client) -> None:
        client.live = True
        self._behind.discard(client)
        BEHIND.set(len(self._behind))
        for room in client.rooms:
            self._join_audience(client, room)
        self._turned(client)

    def _catch_up_now(self, client: Client) -> None:
        if client.told >= self.position:
            self._go_live(client)
        else:
            self._begin_catching_up(client)

    def _begin_catching_up(self, client: Client) -> None:
        self._behind.add(client)
        BEHIND.set(len(self._behind))
        client.task = self._spawn(self._catch_up(client), name=f"catch_up {client.sid}")

    async def _catch_up(self, client: Client) -> None:
        link, sent = client.link, 0
        try:
            while True:
                await link.drained()
                if link.closed:
                    return
                if client.told >= self.position:
                    client.task = None
                    self._go_live(client)
                    return
                sent += await self._step(client)
                if sent > 2 * self._limits.resume_max:
                    log.info("too slow to catch up", extra={"sid": client.sid})
                    link.end(reason="too slow")
                    return
        except Gone:
            link.end(reason="its past is gone")
        except Exception as error:
            if not is_outage(error) and not isinstance(error, OUTAGES):
                log.error("catching up failed", exc_info=error)
            link.end(reason="the past cannot be read now")

    async def _step(self, client: Client) -> int:
        """Queue some of what it missed; how much."""
        rooms, link = client.rooms, client.link
        sent = size = 0
        if self._ring.holds(client.told):
            # no await in here: what is read is what there is
            for looked, (offset, (room, frame)) in enumerate(self._ring.after(client.told)):
                if looked == STEP or size > self._limits.high // 2:
                    break
                position = rooms.get(room)
                if position is not None and offset > position:
                    link.push(frame)
                    sent, size = sent + 1, size + len(frame)
                client.told = offset
            await asyncio.sleep(0)
            return sent
        past = await self._history.after(client.told, frozenset(rooms), self.epoch, self.position)
        for offset, (room, frame) in past.said:
            position = rooms.get(room)
            if position is not None and offset > position:
                link.push(frame)
                sent += 1
                await self._if_full(link)
        client.told = past.upto
        return sent

    async def _if_full(self, link: Link) -> None:
        """Wait where a batch would grow beyond what may wait for one connection."""
        if len(link.pending) % 16 == 15 and sum(map(len, link.pending)) > self._limits.high // 2:
            await link.drained()

    # -- cursors

    async def resumable(self, cursor: Cursor | None, rooms: Iterable[str]) -> Offset:
        """The offset from which these rooms can be told without a gap. Raises ``NotResumable``.

        Waits for this node where the cursor is ahead of it; raises ``TimeoutError`` where it does not come.
        """
        if cursor is None or cursor.epoch != self.epoch:
            raise NotResumable
        offset = cursor.offset
        if offset > self.position:
            head = await self._history.head()
            if head.epoch != cursor.epoch or offset > head.offset:
                raise NotResumable
            async with asyncio.timeout(AWAIT_TAIL_S):
                while offset > self.position:
                    await self._move()
            if self.epoch != cursor.epoch:
                raise NotResumable
        wanted = frozenset(rooms)
        if offset == self.position:
            return offset
        limit = self._limits.resume_max
        if self._ring.holds(offset):
            if self.position.seq - offset.seq > STEP:
                await asyncio.sleep(0)
            missed = sum(room in wanted for _, (room, _) in self._ring.after(offset)) if self._ring.holds(offset) else 0
        else:
            with suppress(Gone):
                missed = await self._history.missed(offset, wanted, self.position, limit)
                if missed <= limit:
                    return offset
            raise NotResumable
        if missed > limit:
            raise NotResumable
        return offset

    async def _move(self) -> None:
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moved)

    async def replay(self, client: Client, room: str, since: Offset) -> int:
        """Tell it the past of one room, beside the live words of its others, and enter the room in the step that
        reaches this node's position; returns how many emissions. Raises ``Gone`` and what says that Postgres is away.

        Each carries the cursor where the client already is: it must not fall back behind what it heard elsewhere.
        """
        link, sent, told = client.link, 0, since
        self.leave(client, room)
        while True:
            await link.drained()
            await self.is_live(client)
            if link.closed:
                return sent
            if told >= self.position:
                self.enter(client, room)
                return sent
            if self._ring.holds(told):
                size, cursor = 0, str(self.cursor).encode()
                for looked, (offset, (where, frame)) in enumerate(self._ring.after(told)):
                    if looked == STEP or size > self._limits.high // 2:
                        break
                    if where == room:
                        link.push(_with_cursor(frame, cursor))
                        sent, size = sent + 1, size + len(frame)
                    told = offset
                else:
                    self.enter(client, room)
                    return sent
                await asyncio.sleep(0)
                continue
            past = await self._history.after(told, (room,), self.epoch, self.position)
            for _, (_, frame) in past.said:
                await self.is_live(client)
                link.push(_with_cursor(frame, str(self.cursor).encode()))
                sent += 1
                await self._if_full(link)
            told = past.upto


def _with_cursor(frame: bytes, cursor: bytes) -> bytes:
    """The same emission, with another cursor as its last argument."""
    payload = frames.payload_of(frame)
    return frames.frame(b'%b"%b"]' % (payload[: payload.rindex(b'"', 0, -2)], cursor))
