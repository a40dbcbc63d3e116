"""What waits for a browser: in order, in one write, bounded, and with the heartbeat ahead of it."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from fanout import frames, links
from fanout.frames import frame
from fanout.links import INBOX_MAX, PING, SLICE, Outgoing, WebSocketLink, Wheel

HIGH, LOW = 4_000, 1_000


class Transport(asyncio.Transport):
    """A TCP transport whose peer reads when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.buffered = 0
        self.reading = True
        self.stalled = self.closing = self.aborted = False
        self.link: WebSocketLink | None = None
        self.high = self.low = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high, self.low = high or 0, low or 0

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        if self.stalled:
            before, self.buffered = self.buffered, self.buffered + len(data)
            if before <= self.high < self.buffered and self.link is not None:
                self.link.pause_writing()

    def take(self) -> None:
        """The peer reads everything."""
        self.stalled, self.buffered = False, 0
        if self.link is not None:
            self.link.resume_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


class Engine:
    ping_interval, ping_timeout, message_max = 25.0, 20.0, 16_384
    high, low = HIGH, LOW

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.outgoing, self.wheel = Outgoing(), Wheel()
        self.behind: list[object] = []
        self.forgotten: list[str] = []
        self.messages: list[str | bytes] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def received(self, link: object, data: str | bytes) -> None:
        await self.answers.wait()
        self.messages.append(data)

    def forget(self, link: object, reason: str) -> None:
        self.forgotten.append(reason)

    def fell_behind(self, link: object) -> None:
        self.behind.append(link)


def connected(engine: Engine) -> tuple[WebSocketLink, Transport]:
    transport = Transport()
    link = WebSocketLink(engine, "sid", "127.0.0.1", transport)  # type: ignore[arg-type]
    transport.link = link
    return link, transport


@pytest.fixture
async def engine() -> Engine:
    return Engine()


def masked(payload: bytes) -> bytes:
    """A text frame of a client, with a mask of zeros."""
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


async def test_what_is_said_in_one_turn_leaves_in_one_write_and_in_order(engine: Engine) -> None:
    link, transport = connected(engine)
    said = [frame(b"4%d" % i) for i in range(50)]
    for it in said:
        link.push(it)
    assert [] == transport.writes
    await engine.outgoing.idle()
    assert [b"".join(said)] == transport.writes


async def test_what_a_slow_peer_does_not_take_at_once_follows_whole_and_in_order(engine: Engine) -> None:
    """Over real sockets: a frame may be cut anywhere between what the kernel takes and what the transport keeps."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    far.setblocking(False)
    transport, _ = await engine.loop.connect_accepted_socket(asyncio.Protocol, near)
    link = WebSocketLink(engine, "sid", "127.0.0.1", transport)  # type: ignore[arg-type]
    transport.set_protocol(link)
    random, due, heard, kept = Random(7), bytearray(), bytearray(), 0
    with far:
        for n in range(3_000):
            frame_of_n = frame(b"%d" % n * random.randrange(1, 900))
            due += frame_of_n
            link.push(frame_of_n)
            if random.random() < 0.3:
                await asyncio.sleep(0)
                kept = max(kept, transport.get_write_buffer_size())
            if random.random() < 0.2:
                with suppress(BlockingIOError):
                    heard += far.recv(random.randrange(1, 60_000))
        async with asyncio.timeout(10):
            while len(heard) < len(due):
                await asyncio.sleep(0)
                with suppress(BlockingIOError):
                    heard += far.recv(1 << 16)
        assert due == heard
        assert kept, "the kernel has taken it all"
        transport.abort()


async def test_what_many_get_is_joined_once_and_what_others_get_is_theirs(engine: Engine) -> None:
    same, other = [frame(b"4%d" % i) for i in range(3)], [frame(b"4x"), frame(b"4y")]
    joined = engine.outgoing.joined
    first = joined(same)
    assert b"".join(same) == first
    assert first is joined(list(same)), "one buffer for a room"
    assert b"".join(other) == joined(other)
    same.append(frame(b"43"))
    assert b"".join(same) == joined(same)
    assert b"".join(same[:2]) == joined(same[:2])


async def test_above_the_low_mark_nothing_more_is_written_and_above_the_high_mark_it_falls_behind(
    engine: Engine,
) -> None:
    link, transport = connected(engine)
    transport.stalled = True
    piece = frame(b"x" * 700)
    for _ in range(2):
        link.push(piece)
        await engine.outgoing.idle()
    assert link.paused
    written = len(transport.writes)
    while not engine.behind:
        assert link.waiting <= HIGH
        link.push(piece)
        await engine.outgoing.idle()
    assert HIGH < link.waiting <= HIGH + len(piece)
    assert written == len(transport.writes)
    waiting = list(link.pending)
    transport.take()
    await engine.outgoing.idle()
    assert b"".join(waiting) == transport.writes[-1]
    await asyncio.wait_for(link.drained(), 1)


async def test_who_waits_for_a_link_to_drain_is_woken_by_its_end(engine: Engine) -> None:
    link, transport = connected(engine)
    transport.stalled = True
    link.push(frame(b"x" * 2_000))
    await engine.outgoing.idle()
    waiting = asyncio.create_task(link.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    link.end()
    await asyncio.wait_for(waiting, 1)


async def test_a_large_room_is_written_in_slices_between_which_others_get_a_turn(engine: Engine) -> None:
    everybody = [connected(engine) for _ in range(3 * SLICE)]
    for link, _ in everybody:
        link.push(frame(b"4"))
    turns = []
    while any(link.due for link, _ in everybody):
        await asyncio.sleep(0)
        turns.append(sum(len(transport.writes) for _, transport in everybody))
    assert [SLICE, 2 * SLICE, 3 * SLICE] == [it for it in turns if it]


async def test_the_heartbeat_goes_ahead_of_what_waits(engine: Engine) -> None:
    link, transport = connected(engine)
    link.begin()
    link.client = object()  # type: ignore[assignment]
    transport.stalled = True
    for _ in range(2):
        link.push(frame(b"x" * 700))
        await engine.outgoing.idle()
    link.push(frame(b"waits"))
    now = time.monotonic() + engine.ping_interval
    assert now + engine.ping_timeout == link.tick(now)
    assert PING == transport.writes[-1]
    assert link.pending


async def test_a_peer_that_does_not_answer_is_ended_at_its_deadline_and_aborted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CLOSE_S", 0.01)
    link, transport = connected(engine)
    link.begin()
    link.client = object()  # type: ignore[assignment]
    pinged = time.monotonic() + engine.ping_interval
    deadline = link.tick(pinged)
    assert deadline == link.tick(deadline - 0.5)
    assert not link.closed
    assert 0 == link.tick(deadline)
    assert ["ping timeout"] == engine.forgotten
    assert transport.closing
    await asyncio.sleep(0.05)
    assert transport.aborted


async def test_an_answer_in_time_keeps_it(engine: Engine) -> None:
    link, _ = connected(engine)
    link.begin()
    link.client = object()  # type: ignore[assignment]
    pinged = time.monotonic() + engine.ping_interval
    deadline = link.tick(pinged)
    link.data_received(masked(b"3"))
    assert pinged + engine.ping_interval == link.tick(min(deadline, pinged + 1))


async def test_who_sends_faster_than_is_answered_is_not_read_on(engine: Engine) -> None:
    link, transport = connected(engine)
    engine.answers.clear()
    for i in range(INBOX_MAX + 2):
        link.data_received(masked(b"4%d" % i))
        await asyncio.sleep(0)
    assert not transport.reading
    engine.answers.set()
    for _ in range(3 * INBOX_MAX):
        await asyncio.sleep(0)
    assert transport.reading
    assert [str(i) for i in range(INBOX_MAX + 2)] == engine.messages


async def test_the_wheel_comes_when_it_was_told_and_not_to_who_has_gone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, came = Wheel(), dict[str, float]()
    kept, gone = connected(engine)[0], connected(engine)[0]

    def tick(link: WebSocketLink, now: float) -> float:
        came[link.address] = now
        return 0

    monkeypatch.setattr(WebSocketLink, "tick", tick)
    kept.address, gone.address = "kept", "gone"
    due = time.monotonic() + 0.3
    wheel.add(kept, due)
    wheel.add(gone, due)
    gone.end(frames.NORMAL)
    turning = asyncio.create_task(wheel.run())
    await asyncio.sleep(1.2)
    turning.cancel()
    assert {"kept"} == set(came)
    assert 0 <= came["kept"] - due <= 3 * Wheel.TURN_S
