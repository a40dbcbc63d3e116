"""What lies between a browser and a node: connections that break, and readers that stall."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from random import Random


class Proxy:
    """Forwards each connection to one of the ports, as long as the faults let it."""

    def __init__(self, ports: list[int], rng: Random) -> None:
        self._ports, self._rng = ports, rng
        self._ways: set[_Way] = set()
        self._server: asyncio.Server | None = None
        self.counts: Counter[str] = Counter()

    async def start(self) -> int:
        """Listen on a port of this machine; returns it."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**16)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self._rng.sample(self._ports, len(self._ports)):
            with contextlib.suppress(OSError):
                way = _Way(reader, writer, *await asyncio.open_connection("127.0.0.1", port, limit=2**16))
                self._ways.add(way)
                try:
                    await way.run()
                finally:
                    self._ways.discard(way)
                return
        writer.transport.abort()

    def drop(self, share: float) -> None:
        """Break some connections, in the middle of whatever they carry."""
        for way in list(self._ways):
            if self._rng.random() < share:
                self.counts["dropped"] += 1
                way.drop()

    def stall(self, share: float, for_s: float) -> None:
        """Some browsers read nothing for a while."""
        for way in list(self._ways):
            if self._rng.random() < share:
                self.counts["stalled"] += 1
                way.stall(for_s)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop(1)


class _Way:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._down, self._up = (reader, up_writer), (up_reader, writer)
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def run(self) -> None:
        tasks = [asyncio.create_task(self._pump(*self._down)), asyncio.create_task(self._pump(*self._up, stalls=True))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self.drop()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, stalls: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**14):
                if stalls:
                    await self._flowing.wait()
                writer.write(data)
                await writer.drain()

    def drop(self) -> None:
        for _, writer in (self._down, self._up):
            writer.transport.abort()

    def stall(self, for_s: float) -> None:
        self._flowing.clear()
        asyncio.get_running_loop().call_later(for_s, self._flowing.set)
