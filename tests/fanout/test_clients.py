"""Each is told what is said in their rooms, in order; who hears nothing still learns how far the world has come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout import clients as module
from fanout.clients import Client, Clients, Limits
from fanout.ring import Ring
from fanout.sessions import Session
from shared.domain.entry import Cursor, Entry, Offset, Spoken
from shared.feed import FeedEntry
from tests.fanout.test_links import Engine, Transport, connected

EPOCH = "0a0a0a0a"
ROOMS = "abc"


class Everybody:
    """The clients of a node that stands at the beginning, without Redis and Postgres."""

    def __init__(self) -> None:
        self.engine = Engine()

        def spawn(work: Any, *, name: str) -> asyncio.Task[None]:
            return asyncio.create_task(work, name=name)

        history: Any = None
        self.clients = Clients(Ring(100, 1 << 20), history, self.engine.outgoing, Limits(100, 4_000), spawn)
        self.clients.restart(EPOCH, Offset(0, 0))

    def join(self, name: str, *rooms: str) -> Transport:
        """The transport of one more, who is in these rooms."""
        link, transport = connected(self.engine)
        client = Client(name, link, Session(name, "", Cursor(EPOCH, Offset(0, 0))), Offset(0, 0))
        self.clients.admit(client)
        for room in rooms:
            self.clients.enter(client, room)
        return transport


@given(
    st.lists(st.lists(st.sampled_from(ROOMS), min_size=1, max_size=4), max_size=12),
    st.lists(st.sets(st.sampled_from(ROOMS)), max_size=5),
    st.integers(1, 200),
)
async def test_each_is_told_what_is_said_in_their_rooms_in_order_and_in_one_write_a_pass(
    said: list[list[str]], members: list[set[str]], budget: int
) -> None:
    everybody = Everybody()
    transports = [everybody.join(str(i), *rooms) for i, rooms in enumerate(members)]
    entries = [
        FeedEntry.of(Entry(seq, 0, tuple(Spoken(room, b'"e",{}') for room in rooms)), EPOCH)
        for seq, rooms in enumerate(said, 1)
    ]
    left, passes = iter(entries), 0
    while everybody.clients.speak(left, budget):
        await everybody.engine.outgoing.idle()
        passes += 1
    for rooms, transport in zip(members, transports, strict=True):
        due = [frame for entry in entries for room, frame in entry.said if room in rooms]
        assert b"".join(due) == b"".join(transport.writes)
        assert len(transport.writes) <= passes


async def test_a_quiet_client_is_sent_the_cursor_and_a_busy_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "YOUNG_S", 0.01)
    them = Everybody()
    everybody = them.clients
    busy, quiet = them.join("busy", "marketplace"), them.join("quiet", "treasury")
    everybody.speak(iter([FeedEntry.of(Entry(1, 0, (Spoken("marketplace", b'"e",{}'),)), EPOCH)]), 1 << 16)
    task = asyncio.create_task(everybody.keep_cursors_young())
    await asyncio.sleep(0.1)
    task.cancel()

    said = b'42["system:cursor",{},"%b.1-0"]' % EPOCH.encode()
    assert [said] == [it[2:] for it in quiet.writes], "once, and not again while nothing happens"
    assert [b'42["e",{},"%b.1-0"]' % EPOCH.encode()] == [it[2:] for it in busy.writes]
