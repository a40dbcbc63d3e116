"""The protocol as it goes over the wire, packet by packet: for tests of what the real client does not show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

WAIT_S = 20.0


@dataclass(slots=True)
class Wire:
    """One WebSocket, what came over it, and what was answered."""

    socket: aiohttp.ClientWebSocketResponse
    packets: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    asked: int = 0

    async def read(self) -> None:
        async for message in self.socket:
            if message.data == "2":
                await self.socket.send_str("3")
            else:
                self.packets.append(message.data)
            self.changed.set()
        self.closed = True
        self.changed.set()

    async def until(self, promise: Callable[[Wire], Any]) -> Any:
        """Wait until something holds; returns it."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not (found := promise(self)):
                    self.changed.clear()
                    await self.changed.wait()
                return found
        except TimeoutError:
            tail = "\n".join(packet[:200] for packet in self.packets[-10:])
            raise AssertionError(f"it did not come to hold; closed: {self.closed}; the last packets:\n{tail}") from None

    @property
    def reply(self) -> dict[str, Any] | None:
        """What CONNECT was answered: sid and pid, or the refusal's message and data."""
        found = next((it for it in self.packets if it.startswith(("40", "44"))), None)
        return json.loads(found[2:]) if found else None

    @property
    def pid(self) -> str:
        assert self.reply
        return str(self.reply["pid"])

    @property
    def events(self) -> list[list[Any]]:
        """``[name, …, cursor]`` of all events, in order of arrival."""
        return [json.loads(it[2:]) for it in self.packets if it.startswith("42")]

    @property
    def heard(self) -> list[tuple[str, str, str]]:
        """Room, offset and cursor of every emission."""
        found = [it for it in self.events if isinstance(it[1], dict) and "meta" in it[1]]
        return [(it[1]["meta"]["room"], it[1]["meta"]["offset"], it[-1]) for it in found]

    @property
    def offset(self) -> str | None:
        """What the library would send as its offset."""
        found = [it[-1] for it in self.events if isinstance(it[-1], str)]
        return found[-1] if found else None

    async def ask(self, message: str, *arguments: object) -> dict[str, Any]:
        """A client message and its acknowledgement."""
        self.asked += 1
        number = self.asked
        await self.socket.send_str(f"42{number}{json.dumps([message, *arguments])}")
        found = await self.until(lambda it: [p for p in it.packets if p.startswith(f"43{number}[")])
        answer: dict[str, Any] = json.loads(found[0][2 + len(str(number)) :])[0]
        return answer

    async def drop(self) -> None:
        """Lose the connection, without a word."""
        self.socket._response.connection.transport.abort()  # type: ignore[union-attr]
        await self.until(lambda it: it.closed)


@asynccontextmanager
async def wire(
    url: str, auth: dict[str, object] | None = None, *, answered: bool = True, compress: int = 0, **headers: str
) -> AsyncIterator[Wire]:
    """A connection whose CONNECT was sent and, with ``answered``, answered; ``compress`` are window bits offered."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{url}/socket.io/?EIO=4&transport=websocket", headers=headers, max_msg_size=2**26, compress=compress
        ) as socket,
    ):
        found = Wire(socket)
        reading = asyncio.create_task(found.read())
        try:
            await socket.send_str("40" + (json.dumps(auth) if auth else ""))
            if answered:
                await found.until(lambda it: it.reply or it.closed)
            yield found
        finally:
            await socket.close()
            reading.cancel()
