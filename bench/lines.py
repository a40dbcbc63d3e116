"""The lines in which the load client says what is to be published; ``bench/load.c`` describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

BESIDE_PAD: Final = 43  # bytes of {"n":…,"t":…,"pad":""} when n has seven digits and t is now


@dataclass(frozen=True, slots=True)
class Aim:
    """Where events go, and how large they are."""

    room: str = "marketplace"
    rooms: int = 1
    pad: str = ""

    def of(self, n: int) -> str:
        """The room of event ``n``."""
        return self.room.replace("%d", str(n % self.rooms)) if self.rooms > 1 else self.room


class Pub(NamedTuple):
    """Event ``n``, due at ``t`` (unix µs), and where it goes."""

    n: int
    t: int
    room: str
    pad: str


class Lines:
    """One connection's lines, read as they come."""

    def __init__(self) -> None:
        self._aim, self._rest = Aim(), b""

    def feed(self, data: bytes) -> list[Pub]:
        """The events that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            what, *words = line.decode().split(" ")
            if what == "room":
                room, rooms, size = words
                self._aim = replace(self._aim, room=room, rooms=int(rooms), pad="x" * (int(size) - BESIDE_PAD))
            else:
                n, t = int(words[0]), int(words[1])
                found.append(Pub(n, t, self._aim.of(n), self._aim.pad))
        return found


async def hear(port: int, publish: Callable[[list[Pub]], Awaitable[None]]) -> asyncio.Server:
    """Listen on this machine's ``port`` and hand on what comes together, one after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = Lines()
        while data := await reader.read(1 << 16):
            if pubs := lines.feed(data):
                await publish(pubs)
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)
