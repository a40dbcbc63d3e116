"""Where we stand on python-socketio and python-engineio below their documented surface, all in one place.

Written against python-socketio 5.18.1 and python-engineio 4.15.1; ``tests/fanout/test_upstream.py`` fails when an
upgrade moves what is used here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from engineio import packet as engine
from socketio import packet as wire

Answer = dict[str, object]
OnMessage = Callable[[str, str, list[Any]], Awaitable[Answer | None]]

CLOSE_S = 3.0  # from ending a connection to aborting its TCP transport


class Server(socketio.AsyncServer):
    """A server whose client messages all go to one function, which also learns whether an answer is awaited."""

    on_message: OnMessage

    async def _handle_event_internal(
        self, server: Any, sid: str, eio_sid: str, data: list[Any], namespace: str, id: int | None
    ) -> None:
        """Upstream (``async_server.py``, same name) looks up a handler and drops the answer where no ack is awaited.

        A refusal must reach the client either way: as the ack, or as ``room:error``.
        """
        if not data or not isinstance(data[0], str):
            return
        answer = await self.on_message(sid, data[0], data[1:])
        if answer is None:
            return
        if id is not None:
            packet = self.packet_class(wire.ACK, namespace=namespace, id=id, data=[answer])
        elif answer.get("ok"):
            return
        else:
            error = {"room": answer.get("room"), "error": answer.get("error")}
            packet = self.packet_class(wire.EVENT, namespace=namespace, data=["room:error", error])
        await self._send_packet(eio_sid, packet)


def event_packet(words: bytes, cursor: str) -> engine.Packet:
    """The packet of a durable event, ``2["name",payload,"cursor"]``, encoded once for all who get it."""
    packet = engine.Packet(engine.MESSAGE, f'2[{words.decode()},"{cursor}"]')
    packet.encode()
    return packet


def queue_packet(server: Server, eio_sid: str, packet: engine.Packet) -> bool:
    """Queue a packet for one connection, at once and in the order of the calls.

    ``AsyncSocket.send`` does the same after looking at the ping's age, in a coroutine; upstream starts a task of it for
    every recipient, which is most of what a broadcast costs there.
    """
    connection = server.eio.sockets.get(eio_sid)
    if connection is None or connection.closed:
        return False
    connection.queue.put_nowait(packet)
    return True


async def close_connection(server: Server, eio_sid: str) -> None:
    """End a connection so that its client comes back: no Socket.IO packet, just a closed transport.

    Upstream's ``close`` leaves the writer asleep on its queue; ``None`` wakes it, and it closes the WebSocket.
    """
    connection = server.eio.sockets.get(eio_sid)
    if connection is None or connection.closed:
        return
    request = server.environ.get(eio_sid, {}).get("aiohttp.request")
    transport = getattr(request, "transport", None)
    await connection.close(wait=False, abort=True, reason=server.eio.reason.SERVER_DISCONNECT)
    connection.queue.put_nowait(None)
    if transport is not None:
        asyncio.get_running_loop().call_later(CLOSE_S, transport.abort)
