"""The way to one browser: what waits for it, in order, and how it is written.

A ``Link`` is what python-engineio calls a socket. ``WebSocketLink`` is also the protocol of its TCP transport: nothing
of the HTTP request remains, it has no task and no timer of its own. ``PollingLink`` (in ``upstream``) is the library's
own socket behind the same surface.

Sending appends a frame, or a piece of several, to the link's ``pending`` list and marks it due, once; a pass of the
loop's next turn writes each due link's list in one system call. So order is the order of the calls, and whatever events
come faster than passes share a write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from fanout import frames
from fanout.deflate import deflated, inflated
from fanout.frames import Broken, Reader, check_text, close_frame, frame

if TYPE_CHECKING:
    from fanout.clients import Client

log = logging.getLogger("fanout.links")

SLICE: Final = 256  # links of one pass before others get a turn
CLOSE_S: Final = 3.0  # from ending a connection to aborting its TCP transport
INBOX_MAX: Final = 32  # messages of one client that wait before its transport is not read on
PING: Final = frame(b"2")


class Engine(Protocol):
    """What links need of the Engine.IO server (``upstream``)."""

    ping_interval: float
    ping_timeout: float
    message_max: int  # bytes
    loop: asyncio.AbstractEventLoop  # looked up once: each look costs a system call (getpid, in CPython 3.11)
    outgoing: Outgoing
    wheel: Wheel
    high: int  # bytes waiting for one connection, above which it is told no more for now
    low: int

    async def received(self, link: Link, data: str | bytes) -> None: ...
    def forget(self, link: Link, reason: str) -> None: ...
    def fell_behind(self, link: Link) -> None: ...


class Link:
    """What all ways have: an id, an owner, what waits, and whether it can take more."""

    __slots__ = (
        "address", "client", "closed", "due", "engine", "expected_at", "paused", "pending", "sid", "token", "waiter",
    )  # fmt: skip

    def __init__(self, engine: Engine, sid: str, address: str) -> None:
        self.engine, self.sid, self.address = engine, sid, address
        self.client: Client | None = None
        self.token: str | None = None  # of the handshake's headers, until CONNECT
        self.pending: list[bytes] = []  # pieces of one frame or of several
        self.due = False  # is in the list of the next pass
        self.paused = False  # more waits than the low mark
        self.closed = False
        self.waiter: asyncio.Future[None] | None = None
        self.expected_at = 0.0  # when the client has to have sent CONNECT

    def push(self, data: bytes) -> None:
        """Send one frame, behind all that waits."""
        if self.closed:
            return
        self.pending.append(data)
        if not self.due:
            self.due = True
            self.engine.outgoing.add(self)

    def flush(self) -> None:
        """Write what waits, as far as the transport may take it."""
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """Bytes that wait for this connection, wherever."""
        raise NotImplementedError

    def tick(self, now: float) -> float:
        """What is due at ``now`` (monotonic seconds); returns when to come again, 0 for never."""
        raise NotImplementedError

    def end(self, code: int = frames.GOING_AWAY, reason: str = "server disconnect") -> None:
        """Close the transport, without a word of Socket.IO: the client comes back by itself."""
        raise NotImplementedError

    async def drained(self) -> None:
        """Wait until what waits is below the low mark, or the link is closed."""
        while not self.closed and (self.paused or self.pending):
            if self.waiter is None:
                self.waiter = self.engine.loop.create_future()
            await asyncio.shield(self.waiter)

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
        self.waiter = None


class WebSocketLink(Link, asyncio.Protocol):
    """A browser on a WebSocket."""

    __slots__ = ("_deflate", "_inbox", "_reader", "_task", "_transport", "heard", "pinged_at")

    def __init__(
        self, engine: Engine, sid: str, address: str, transport: asyncio.Transport, *, deflate: bool = False
    ) -> None:
        super().__init__(engine, sid, address)
        self._transport, self._deflate = transport, deflate
        self._reader: Reader | None = None  # while something is half read
        self._inbox: deque[str | bytes] | None = None
        self._task: asyncio.Task[None] | None = None  # handles messages, one after the other, while there are some
        self.heard = True  # since the last PING
        self.pinged_at = 0.0
        transport.set_write_buffer_limits(high=engine.low, low=engine.low // 2)

    # -- out

    def flush(self) -> None:
        self.due = False
        pending = self.pending
        if self.paused:
            if self.waiting > self.engine.high:
                self.engine.fell_behind(self)
            return
        if self.closed or not pending:
            return
        if self._deflate:
            pending[:] = [deflated(it) for it in pending]
        data = pending[0] if len(pending) == 1 else self.engine.outgoing.joined(pending)
        pending.clear()
        self._transport.write(data)
        if self.waiter is not None and not self.paused:
            self._wake()

    @property
    def waiting(self) -> int:
        return sum(map(len, self.pending)) + int(self._transport.get_write_buffer_size())

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.pending and not self.due:
            self.due = True
            self.engine.outgoing.add(self)
        elif not self.pending:
            self._wake()

    async def send(self, packet: Any) -> None:
        """A packet of python-engineio's, from python-socketio."""
        encoded = packet.encode()
        if isinstance(encoded, str):
            self.push(frame(encoded.encode()))
        else:
            self.push(frame(encoded, frames.BINARY))

    # -- in

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        reader = self._reader or Reader(self.engine.message_max, self._deflate)
        try:
            messages = reader.feed(data)
        except Broken as error:
            self.end(error.code, str(error))
            return
        self._reader = None if reader.idle else reader
        for opcode, payload, compressed in messages:
            if opcode in (frames.TEXT, frames.BINARY):
                if compressed:
                    try:
                        payload = inflated(payload, self.engine.message_max)  # noqa: PLW2901
                        if opcode == frames.TEXT:
                            check_text(payload)
                    except Broken as error:
                        self.end(error.code, str(error))
                        return
                self._take(payload.decode() if opcode == frames.TEXT else payload)
            elif opcode == frames.PING:
                self._transport.write(frame(payload, frames.PONG))
            elif opcode == frames.CLOSE:
                self.end(frames.NORMAL, "transport close")
                return

    def _take(self, data: str | bytes) -> None:
        self.heard = True
        if isinstance(data, str):
            kind = data[:1]
            if kind == "3":
                return
            if kind == "2":
                self.push(frame(b"3" + data[1:].encode()))
                return
            if kind == "1":
                self.end(frames.NORMAL, "client disconnect")
                return
            if kind != "4":
                self.end(frames.PROTOCOL_ERROR, "not an Engine.IO packet")
                return
            data = data[1:]
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(data)
        if self._task is None:
            self._task = self.engine.loop.create_task(self._handle())
        if len(self._inbox) > INBOX_MAX:
            self._transport.pause_reading()

    async def _handle(self) -> None:
        inbox = self._inbox
        assert inbox is not None
        try:
            while inbox and not self.closed:
                await self.engine.received(self, inbox.popleft())
                if len(inbox) == INBOX_MAX // 2 and not self.closed:
                    self._transport.resume_reading()
        except Exception as error:
            log.info("a message ends its connection", extra={"error": repr(error)})
            self.end(frames.PROTOCOL_ERROR, "bad message")
        finally:
            self._task = self._inbox = None

    # -- life

    def begin(self) -> None:
        """From now on the wheel looks after it."""
        self.pinged_at = time.monotonic()
        self.expected_at = self.pinged_at + self.engine.ping_timeout
        self.engine.wheel.add(self, self.pinged_at + min(self.engine.ping_interval, self.engine.ping_timeout))

    def tick(self, now: float) -> float:
        """What is due now: PING, the end of a peer that is silent. Returns when to come again."""
        if self.client is None and now >= self.expected_at:
            self.end(frames.PROTOCOL_ERROR, "no CONNECT")
            return 0
        deadline = self.pinged_at + self.engine.ping_timeout
        if not self.heard:
            if now >= deadline:
                self.end(frames.GOING_AWAY, "ping timeout")
                return 0
            return deadline
        due = self.pinged_at + self.engine.ping_interval
        if now >= due:
            self.heard, self.pinged_at = False, now
            self._transport.write(PING)  # ahead of what waits: a slow client is not a dead one
            return now + self.engine.ping_timeout
        return due if self.client else min(due, self.expected_at)

    def end(self, code: int = frames.GOING_AWAY, reason: str = "server disconnect") -> None:
        if self.closed:
            return
        pending, self.pending = self.pending, []
        transport = self._transport
        self._gone(reason)
        if not transport.is_closing():
            if pending and not self.paused:
                transport.write(b"".join(pending))
            transport.write(close_frame(code))
            transport.close()
            # a peer that has stopped reading would keep the transport and its buffer for ever
            self.engine.loop.call_later(CLOSE_S, transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed:
            self._gone("transport error" if error else "transport close")
        self.pending = []

    def _gone(self, reason: str) -> None:
        self.closed = True
        self.engine.forget(self, reason)
        self._wake()
        self._reader = None

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """As python-engineio closes a socket."""
        self.end(frames.NORMAL, reason or "server disconnect")

    def __repr__(self) -> str:
        return f"<WebSocketLink {self.sid[:6]}>"


class Outgoing:
    """The links that something waits for, and the pass that writes it."""

    __slots__ = ("_idle", "_joined", "_loop", "_parts", "_scheduled", "due")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # what was joined last
        self._joined = b""
        self.due: list[Link] = []  # each is marked so; whoever appends to it calls ``schedule``
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, link: Link) -> None:
        """This link is due; the caller has marked it."""
        self.due.append(link)
        if not self._scheduled:
            self.schedule()

    def schedule(self) -> None:
        """All that is due is written from the loop's next turn on."""
        if not self._scheduled:
            self._scheduled = True
            self._idle.clear()
            self._loop.call_soon(self._run)

    def joined(self, frames: list[bytes]) -> bytes:
        """All of them in one piece, which is the same for one link after the other that gets the same: the members of a
        room are written from one buffer."""
        if frames != self._parts:
            self._parts, self._joined = frames[:], b"".join(frames)
        return self._joined

    def _run(self) -> None:
        turn = self.due[:SLICE]
        del self.due[:SLICE]
        for link in turn:
            link.flush()
        if self.due:
            self._loop.call_soon(self._run)
        else:
            self._scheduled = False
            self._parts, self._joined = [], b""
            self._idle.set()

    async def idle(self) -> None:
        """Wait until all that is due has been written; then whoever speaks on cannot pile things up."""
        while self._scheduled:
            await self._idle.wait()


class Wheel:
    """All timers of all links: a bucket a turn, each link in one bucket."""

    TURN_S: Final = 0.25

    def __init__(self) -> None:
        self._buckets: dict[int, list[Link]] = {}
        self._turn = int(time.monotonic() / self.TURN_S)

    def add(self, link: Link, due: float) -> None:
        """Look after this link then (monotonic seconds), a turn later at most."""
        turn = max(int(due / self.TURN_S) + 1, self._turn + 1)
        self._buckets.setdefault(turn, []).append(link)

    async def run(self) -> None:
        """Turn for ever."""
        while True:
            await asyncio.sleep(self.TURN_S)
            now = time.monotonic()
            upto = int(now / self.TURN_S)
            while self._turn < upto:
                self._turn += 1
                for i, link in enumerate(self._buckets.pop(self._turn, ())):
                    if i % SLICE == SLICE - 1:
                        await asyncio.sleep(0)
                    if not link.closed and (due := link.tick(now)):
                        self.add(link, due)
