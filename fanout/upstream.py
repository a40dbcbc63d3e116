"""Where we stand on python-socketio and python-engineio below their documented surface, all in one place.

Written against python-socketio 5.18.1 and python-engineio 4.15.1; ``tests/fanout/test_upstream.py`` fails when an
upgrade moves what is used here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import engineio
import socketio
from aiohttp import web
from engineio import packet as engine
from engineio.async_drivers import aiohttp as driver
from engineio.async_socket import AsyncSocket
from socketio import packet as wire

from fanout import frames
from fanout.ids import SOCKET_BYTES, Ids
from fanout.links import CLOSE_S, Link, Outgoing, WebSocketLink, Wheel

log = logging.getLogger("fanout.upstream")

NAMESPACE: Final = "/"
MESSAGE_MAX_BYTES: Final = 16_384  # of one client message
ATTACHMENTS_MAX: Final = 10  # of one client message; they wait in memory until all have come
UNKNOWN_SESSION: Final = (
    "this connection has ended, or is another node's: "
    "long-polling needs a load balancer that keeps each client on one node"
)

ADDRESS: Final = web.RequestKey("address", str)  # of the client
TOKEN: Final = web.RequestKey("token", str)  # in the request's headers; "" for none
UNREADABLE: Final = web.RequestKey("unreadable", dict)  # upstream's environ of a request with a body that is no payload

Answer = Mapping[str, object]
OnMessage = Callable[[Link, str, list[Any]], Awaitable[Answer | None]]
OnConnect = Callable[[Link, object], Awaitable[None]]


class Server(socketio.AsyncServer):
    """A server whose CONNECTs and client messages go to one function each, with the link they came on."""

    on_connect: OnConnect
    on_message: OnMessage
    eio: Engine
    manager_initialized: bool
    _binary_packet: dict[str, Any]

    def _engineio_server_class(self) -> type[engineio.AsyncServer]:
        return Engine

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        """Upstream (``async_server.py``, same name) always answers, and with ``sid`` only.

        Ours may close the transport instead of answering, and replies with ``pid`` too (``connected``).
        """
        link = self.eio.sockets.get(eio_sid)
        if link is None:
            return
        if (namespace or NAMESPACE) != NAMESPACE:
            await self._refuse(eio_sid, {"message": "Invalid namespace"}, namespace)
        elif link.client is None:
            await self.on_connect(link, data)

    async def _refuse(self, eio_sid: str, why: Mapping[str, object], namespace: str | None) -> None:
        await self._send_packet(eio_sid, self.packet_class(wire.CONNECT_ERROR, data=dict(why), namespace=namespace))

    async def refuse(self, link: Link, code: str, message: str) -> None:
        """``44``: the client stays away until its application calls ``connect()`` again."""
        await self._refuse(link.sid, {"message": code, "data": {"code": code, "message": message}}, NAMESPACE)

    async def _handle_event_internal(
        self, server: Any, sid: str, eio_sid: str, data: list[Any], namespace: str, id: int | None
    ) -> None:
        """Upstream (``async_server.py``, same name) looks up a handler and drops the answer where no ack is awaited.

        A refusal must reach the client either way: as the ack, or as ``room:error``.
        """
        link = self.eio.sockets.get(eio_sid)
        if link is None or not isinstance(data, list) or not data or not isinstance(data[0], str):
            return
        answer = await self.on_message(link, data[0], data[1:])
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

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        """Upstream (``async_server.py``, same name) collects as many attachments as a client announces."""
        await super()._handle_eio_message(eio_sid, data)
        announced = self._binary_packet.get(eio_sid)
        if announced is not None and not 0 < announced.attachment_count <= ATTACHMENTS_MAX:
            raise ValueError("a message has no attachments, or too many")

    def forget(self, link: Link) -> None:
        """A link has ended: what waited for its attachments, upstream keeps."""
        self._binary_packet.pop(link.sid, None)

    async def _handle_eio_connect(self, eio_sid: str, environ: Mapping[str, Any]) -> None:
        """Upstream keeps the whole environ of each connection; nothing here reads it."""
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()


class Engine(engineio.AsyncServer):
    """An Engine.IO server whose sockets are links. WebSockets come through ``open``, polling through upstream."""

    sockets: dict[str, Any]
    _async: Mapping[str, Any]
    on_forget: Callable[[Link], None]
    on_fell_behind: Callable[[Link], None]

    def __init__(self, *, high: int = 262_144, low: int = 65_536, **kwargs: Any) -> None:
        # upstream's monitor looks at one socket after the other with a timer each; the wheel does that
        super().__init__(monitor_clients=False, max_http_buffer_size=MESSAGE_MAX_BYTES, **kwargs)
        driven: Mapping[str, Any] = self._async
        self._async = {**driven, "websocket": _UpgradedWebSocket}
        self.loop = asyncio.get_running_loop()
        self.ids, self.outgoing, self.wheel = Ids(), Outgoing(), Wheel()
        self.message_max = MESSAGE_MAX_BYTES
        self.high, self.low = high, low
        self._of_address: Counter[str] = Counter()
        self.ended = 0  # links, so far

    def open(
        self, transport: asyncio.Transport, address: str, token: str | None, *, deflate: bool = False
    ) -> WebSocketLink:
        """A link for a WebSocket whose handshake was just answered; ``opening`` is what it is to be sent first."""
        link = WebSocketLink(self, self.generate_id(), address, transport, deflate=deflate)
        link.token = token
        self._keep(link)
        return link

    def generate_id(self) -> str:
        """Upstream (``base_server.py``, same name) asks the system for randomness each time."""
        return self.ids.make(SOCKET_BYTES)

    def _keep(self, link: Link) -> None:
        self.sockets[link.sid] = link
        self._of_address[link.address] += 1

    def count(self, address: str) -> int:
        """How many links come from there."""
        return self._of_address[address]

    def opening(self, sid: str, upgrades: list[str]) -> dict[str, object]:
        """The OPEN packet's content."""
        return {
            "sid": sid,
            "upgrades": upgrades,
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.message_max,
        }

    async def received(self, link: Link, data: str | bytes) -> None:
        """One Engine.IO message of a client."""
        await self.handlers["message"](link.sid, data)

    def forget(self, link: Link, reason: str) -> None:
        """A link has ended, whoever ended it."""
        if self.sockets.pop(link.sid, None) is None:
            return
        self.ended += 1
        self._of_address[link.address] -= 1
        if not self._of_address[link.address]:
            del self._of_address[link.address]
        self.on_forget(link)

    def fell_behind(self, link: Link) -> None:
        """More waits for a link than may."""
        self.on_fell_behind(link)

    async def handle_request(self, request: web.Request) -> Any:
        """Upstream (``async_server.py``, same name) answers 200 to a body that it cannot read, and fails where one ends
        its connection and goes on."""
        response = await super().handle_request(request)
        if UNREADABLE in request:
            return await self._make_response(self._bad_request("this is no payload"), request[UNREADABLE])
        return response

    def _upgrades(self, sid: str, transport: str) -> list[str]:
        """Upstream (``base_server.py``, same name) offers a transport that is switched off."""
        return ["websocket"] if transport == "polling" and "websocket" in self.transports else []

    async def _handle_connect(self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        """Upstream (``async_server.py``, same name) with a link for its socket, and no WebSocket: those that are not
        answered in front of aiohttp have a handshake that is odd."""
        if transport != "polling":
            return self._bad_request("this WebSocket handshake is not understood")
        link = PollingLink(self, self.generate_id(), environ)
        self._keep(link)
        await AsyncSocket.send(
            link, engine.Packet(engine.OPEN, self.opening(link.sid, self._upgrades(link.sid, "polling")))
        )
        link.schedule_ping()
        link.connected = True
        link.begin()
        return self._ok(await link.poll(), jsonp_index=jsonp_index)

    def _bad_request(self, message: str | None = None) -> Any:
        """Upstream (``base_server.py``, same name) says "Invalid session" to a poll that reached a wrong node.

        Ours says as Node's server does that the id is unknown, and what an operator can do about it. The client takes
        either as the end of its connection and begins a new one.
        """
        if message is None or not message.startswith("Invalid session"):
            return super()._bad_request(message)
        error = {"code": 1, "message": "Session ID unknown", "hint": UNKNOWN_SESSION}
        return {
            "status": "400 BAD REQUEST",
            "headers": [("Content-Type", "application/json")],
            "response": engine.Packet.json.dumps(error).encode(),
        }


class PollingLink(Link, AsyncSocket):
    """Upstream's socket as a link: HTTP long-polling, and WebSockets that began so.

    What it is sent goes through ``pending`` into upstream's queue, and no more of it than the low mark; there the
    packets wait that upstream takes out all at once.
    """

    def __init__(self, server: Engine, sid: str, environ: Mapping[str, Any]) -> None:
        AsyncSocket.__init__(self, server, sid)
        request = environ["aiohttp.request"]
        Link.__init__(self, server, sid, request[ADDRESS])
        self.token = request[TOKEN] or None
        self.queued = 0  # bytes
        self.left = False  # the client has ended it
        self._born = time.monotonic()
        self._transport: asyncio.Transport | None = None

    async def send(self, pkt: engine.Packet) -> None:
        if pkt.packet_type == engine.MESSAGE:  # attachments keep their place behind the text that announces them
            text = isinstance(pkt.data, str)
            self.push(frames.frame(b"4" + pkt.data.encode()) if text else frames.frame(pkt.data, frames.BINARY))
        elif pkt.packet_type == engine.PING:
            self.queue.put_nowait(pkt)
            # ahead of what waits: a slow client is not a dead one
            self.queue._queue.rotate(1)
        else:
            self.queue.put_nowait(pkt)

    def flush(self) -> None:
        self.due = False
        taken = 0
        if not self.paused:
            self.pending[:] = frames.apart(self.pending)
        for data in self.pending:
            if self.paused:
                break
            taken += 1
            self.queued += len(data)
            payload = frames.payload_of(data)
            binary = data[0] & 0x0F == frames.BINARY
            self.queue.put_nowait(engine.Packet(engine.MESSAGE, payload if binary else payload[1:].decode()))
            self.paused = self.queued > self.engine.low
        del self.pending[:taken]
        if self.paused:
            if self.waiting > self.engine.high:
                self.engine.fell_behind(self)
        elif not self.pending:
            self._wake()

    @property
    def waiting(self) -> int:
        return self.queued + sum(map(len, self.pending))

    async def poll(self) -> list[engine.Packet]:
        packets: list[engine.Packet] = await super().poll()
        self.queued = 0  # upstream takes them all
        if self.paused:
            self.paused = False
            self.flush()
        return packets

    async def receive(self, pkt: engine.Packet) -> None:
        """Upstream runs its handler and swallows what that raises."""
        if pkt.packet_type == engine.MESSAGE:
            try:
                await self.engine.received(self, pkt.data)
            except Exception as error:
                log.info("a message ends its connection", extra={"error": repr(error)})
                self.end(frames.PROTOCOL_ERROR, "bad message")
        elif pkt.packet_type == engine.CLOSE:
            self.left = True
            self.end(frames.NORMAL, "client disconnect")
        else:
            await super().receive(pkt)

    async def handle_post_request(self, environ: Mapping[str, Any]) -> None:
        try:
            await super().handle_post_request(environ)
        except Exception as error:  # whatever is wrong with the body
            log.info("a body ends its connection", extra={"error": repr(error)})
            environ["aiohttp.request"][UNREADABLE] = environ
            self.end(frames.PROTOCOL_ERROR, "bad payload")

    async def _upgrade_websocket(self, environ: Mapping[str, Any]) -> Any:
        self._transport = environ["aiohttp.request"].transport
        return await super()._upgrade_websocket(environ)

    def begin(self) -> None:
        """From now on the wheel looks after it."""
        now = time.monotonic()
        self.expected_at = now + self.engine.ping_timeout
        self.engine.wheel.add(self, self.expected_at)

    def tick(self, now: float) -> float:
        """The end of a peer that is silent. PING is upstream's."""
        silent = self.last_ping and time.time() - self.last_ping > self.engine.ping_timeout
        if silent or (self.client is None and now >= self.expected_at):
            self.end(reason="ping timeout" if silent else "no CONNECT")
            return 0
        return now + max(1.0, self.engine.ping_timeout / 4)

    def end(self, code: int = frames.GOING_AWAY, reason: str = "server disconnect") -> None:
        if self.closed:
            return
        self.closing = self.closed = True
        self.engine.forget(self, reason)
        if not self.paused:
            self.flush()
        # what a poll waits for: upstream's ``close`` leaves it, and the writer of a WebSocket, asleep
        self.queue.put_nowait(engine.Packet(engine.NOOP if self.left else engine.CLOSE))
        self.queue.put_nowait(None)
        if self._transport is not None:
            self.engine.loop.call_later(CLOSE_S, self._transport.abort)
        self._wake()

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        self.end(reason=reason or "server disconnect")


class _UpgradedWebSocket(driver.WebSocket):
    """Upstream's WebSocket, without the compression that aiohttp would agree to: 100 KiB a socket."""

    async def __call__(self, environ: dict[str, Any]) -> Any:
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(environ["aiohttp.request"])
        self.environ = environ
        await self.handler(self)
        return self._sock
