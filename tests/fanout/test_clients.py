"""Who hears nothing still learns how far the world has come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fanout import clients as module
from fanout.clients import Client, Clients, Limits
from fanout.ring import Ring
from fanout.sessions import Session
from shared.domain.entry import Cursor, Entry, Offset, Spoken
from shared.feed import FeedEntry
from tests.fanout.test_links import Engine, connected

EPOCH = "0a0a0a0a"


async def test_a_quiet_client_is_sent_the_cursor_and_a_busy_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "YOUNG_S", 0.01)
    engine = Engine()

    def spawn(work: Any, *, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)

    everybody = Clients(Ring(100, 1 << 20), None, engine.outgoing, Limits(100, 4_000), spawn)  # type: ignore[arg-type]
    everybody.restart(EPOCH, Offset(0, 0))

    def join(name: str, room: str) -> Any:
        link, transport = connected(engine)
        session = Session(name, "", Cursor(EPOCH, Offset(0, 0)))
        client = Client(name, link, session, Offset(0, 0))
        everybody.admit(client)
        everybody.enter(client, room)
        return transport

    busy, quiet = join("busy", "marketplace"), join("quiet", "treasury")
    everybody.speak(iter([FeedEntry.of(Entry(1, 0, (Spoken("marketplace", b'"e",{}'),)), EPOCH)]), 1 << 16)
    task = asyncio.create_task(everybody.keep_cursors_young())
    await asyncio.sleep(0.1)
    task.cancel()

    said = b'42["system:cursor",{},"%b.1-0"]' % EPOCH.encode()
    assert [said] == [it[2:] for it in quiet.writes], "once, and not again while nothing happens"
    assert [b'42["e",{},"%b.1-0"]' % EPOCH.encode()] == [it[2:] for it in busy.writes]
