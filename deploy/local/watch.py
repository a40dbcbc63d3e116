"""Shows live events in a terminal: ``python -m deploy.local.watch http://127.0.0.1:4000``.

A client like any other: it takes a snapshot, joins its streams' rooms from that cursor on, joins the rooms of streams
that do not exist yet so that new ones appear, and after a lost connection resumes where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

import aiohttp
import socketio

from deploy.local.example import BY_HAND

AHEAD = 20  # rooms of streams still to come
KNOWN = 50  # streams of the snapshot
ROOMS = 100  # of streams at a time; a node allows 128 in all
ANSWER_S = 10.0
COMMON_ROOMS = ("join-marketplace", "join-treasury", "join-access-control")
SATS = 100_000_000


class Viewer:
    """One terminal's view: the rooms it is in, and the cursor up to which it was told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cursor: str | None = None
        self._newest = 0
        self._leaving = False
        self._joined: list[int] = []
        self._joining = asyncio.Lock()  # while it is held the cursor stands still, for a join may still be unanswered
        self._socket = socketio.AsyncClient(reconnection_delay_max=5, handle_sigint=False)
        self._socket.on("connect", self._connected)
        self._socket.on("disconnect", self._disconnected)
        self._socket.on("*", self._heard)

    async def run(self) -> None:
        """Watch until cancelled; the node may come and go."""
        async with aiohttp.ClientSession() as session:
            # a session of ours: the library's own stays open where it is cancelled
            self._socket.eio.http, self._socket.eio.external_http = session, True
            try:
                while True:
                    try:
                        await self._socket.connect(self._url, transports=["websocket"])
                        break
                    except socketio.exceptions.ConnectionError as failed:
                        print(f"{self._url} does not answer yet ({failed})", flush=True)
                        await asyncio.sleep(2)
                await self._socket.wait()
            finally:
                self._leaving = True
                await self._socket.disconnect()

    async def _connected(self) -> None:
        print(f"connected to {self._url}", flush=True)
        if self._cursor is None:
            await self._look()
        async with self._joining:
            rooms, self._joined = self._joined, []
            for message in COMMON_ROOMS:
                await self._join(message)
            near = range(max(1, self._newest - KNOWN + 1), self._newest + AHEAD + 1)
            for stream in rooms or [BY_HAND, *near]:
                await self._join_stream(stream)

    async def _disconnected(self, *_: object) -> None:
        if not self._leaving:
            print("disconnected; trying again …", flush=True)

    async def _look(self) -> None:
        """The snapshot: which streams there are, and the cursor that all joins go on from."""
        with suppress(aiohttp.ClientError, TimeoutError, KeyError, ValueError):
            timeout = aiohttp.ClientTimeout(total=ANSWER_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self._url}/api/streams", params={"limit": str(KNOWN)}) as answer,
            ):
                snapshot = await answer.json()
            ids = [int(stream["streamId"]) for stream in snapshot["data"]]
            self._newest = max(ids, default=0)
            self._cursor = snapshot["asOf"]
            print(f"{len(ids)} streams, the newest is {self._newest or 'still to come'}", flush=True)

    async def _join_stream(self, stream: int) -> None:
        if len(self._joined) >= ROOMS:
            with suppress(socketio.exceptions.SocketIOError):
                await self._socket.call("leave-stream-room", str(self._joined.pop(0)), timeout=ANSWER_S)
        self._joined.append(stream)
        await self._join("join-stream-room", str(stream))

    async def _join(self, message: str, *arguments: object) -> None:
        options = {"since": self._cursor} if self._cursor else {}
        try:
            answer = await self._socket.call(message, (*arguments, options), timeout=ANSWER_S)
        except (TimeoutError, socketio.exceptions.SocketIOError) as failed:
            print(f"{message} was not answered ({type(failed).__name__})", flush=True)
            return
        if not isinstance(answer, Mapping) or not answer.get("ok"):
            print(f"{message} refused: {answer}", flush=True)

    async def _heard(self, name: str, *arguments: object) -> None:
        payload = arguments[0] if arguments and isinstance(arguments[0], Mapping) else {}
        cursor = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], str) else None
        if not self._joining.locked():
            self._cursor = cursor or self._cursor
        if name == "system:cursor":
            return
        print(line(name, payload, cursor), flush=True)
        data = payload.get("data")
        stream = data.get("streamId") if isinstance(data, Mapping) else None
        if isinstance(stream, str) and stream.isdecimal() and self._newest < int(stream) <= self._newest + AHEAD:
            await self._grow(int(stream))

    async def _grow(self, newest: int) -> None:
        """A new stream: the rooms ahead move on."""
        async with self._joining:
            for stream in range(self._newest + AHEAD + 1, newest + AHEAD + 1):
                await self._join_stream(stream)
            self._newest = max(self._newest, newest)


def line(name: str, payload: Mapping[str, object], cursor: str | None) -> str:
    """One event as one line: time, name, type, stream, amount, cursor."""
    found = payload.get("data")
    data = found if isinstance(found, Mapping) else {}
    stream = f"#{data['streamId']}" if data.get("streamId") else ""
    clock = time.strftime("%H:%M:%S")
    return (
        f"{clock}  {name:<24} {payload.get('type') or '':<22} {stream:<8} {_amount(data):>20}  {cursor or ''}".rstrip()
    )


def _amount(data: Mapping[str, object]) -> str:
    """The sats of an event as sBTC with eight decimals; empty where it has none."""
    for field in ("withdrawalAmount", "amount", "price"):
        text = data.get(field)
        if isinstance(text, str) and text.isdecimal():
            whole, part = divmod(int(text), SATS)
            return f"{whole}.{part:08d} sBTC"
    return ""


async def _until_stopped(viewer: Viewer) -> None:
    task = asyncio.ensure_future(viewer.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.watch", description="Shows live events.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:4000", help="a fanout node")
    asyncio.run(_until_stopped(Viewer(parser.parse_args().url.rstrip("/"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
