"""python-socketio on aiohttp as its documentation has it, on uvloop.

python -m bench.peers.stock PORT CTL                     events come in on CTL
python -m bench.peers.stock PORT 0 REDIS_URL CHANNEL     events come from Redis
python -m bench.peers.stock voice CTL REDIS_URL CHANNEL  events come in on CTL and go to Redis
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import socketio
import uvloop
from aiohttp import web

from bench.lines import Pub, hear


def _server(manager: Any) -> Any:
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=manager)

    @server.on("join-marketplace")  # type: ignore[untyped-decorator]  # ships no types
    async def join_marketplace(sid: str) -> dict[str, bool]:
        await server.enter_room(sid, "marketplace")
        return {"ok": True}

    @server.on("join-stream-room")  # type: ignore[untyped-decorator]  # ships no types
    async def join_stream_room(sid: str, stream: object) -> dict[str, bool]:
        await server.enter_room(sid, f"stream:{stream}")
        return {"ok": True}

    return server


async def main(port: str, ctl: int, url: str, channel: str) -> None:
    """Serve until the process is killed."""
    voice = port == "voice"
    manager = socketio.AsyncRedisManager(url, channel=channel, write_only=voice) if url else None
    speaker = manager if voice else _server(manager)
    assert speaker is not None

    async def publish(pubs: Sequence[Pub]) -> None:
        for it in pubs:
            await speaker.emit("stream:updated", {"n": it.n, "t": it.t, "pad": it.pad}, room=it.room)

    if ctl:
        await hear(ctl, publish)
    if not voice:
        app = web.Application()
        speaker.attach(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port), backlog=4096).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    PORT, CTL, *REDIS = sys.argv[1:]
    URL, CHANNEL = REDIS or ("", "")
    uvloop.run(main(PORT, int(CTL), URL, CHANNEL))
