"""The first request of every connection is read here. A WebSocket handshake for Socket.IO is answered at once and its
transport handed to a link; everything else goes, with its bytes, to aiohttp.

So a browser that connects by WebSocket never costs an HTTP request object, a task or a handler, and the 101 and the
first packet leave in one write. What aiohttp's middleware does for other requests (origins, readiness) is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import parse_qs

import msgspec

from fanout import frames
from fanout.deflate import AGREED, agreed
from fanout.upstream import Engine

HEAD_MAX: Final = 16_384  # bytes of a request's head
HEAD_S: Final = 20.0  # for the head to arrive
_CRLF: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Handshake:
    """A WebSocket handshake, as far as anybody here asks."""

    query: Mapping[str, list[str]]
    headers: Mapping[bytes, bytes]  # names in lower case

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The handshake is answered with an HTTP error."""

    status: str  # such as "403 Forbidden"
    code: str
    message: str

    def encoded(self) -> bytes:
        error = {"success": False, "error": {"code": self.code, "message": self.message}}
        body = msgspec.json.encode(error)
        lines = f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{lines}Connection: close\r\n\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Entrance:
    """What decides about handshakes, and who gets everything else."""

    path: bytes
    engine: Engine
    admits: Callable[[Handshake, str], Refusal | None]  # with the client's address
    address: Callable[[Handshake, str], str]  # of the client, from the headers and the peer's
    token: Callable[[Handshake], str | None]
    others: Callable[[], asyncio.Protocol]  # aiohttp
    deflate: bool = False  # whether compression is agreed to where a client offers it


class Front(asyncio.Protocol):
    """The protocol of a connection until its first request is known."""

    __slots__ = ("_data", "_entrance", "_timer", "_transport")

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is registered as no subclass
        self._timer = asyncio.get_running_loop().call_later(HEAD_S, self._transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._done()

    def _done(self) -> asyncio.Transport:
        transport, timer = self._transport, self._timer
        assert transport is not None
        if timer is not None:
            timer.cancel()
        self._timer = None
        return transport

    def data_received(self, data: bytes) -> None:
        self._data = data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) < HEAD_MAX:
            return
        handshake = read_handshake(data[:end], self._entrance.path) if end >= 0 else None
        if handshake is None:
            self._hand_over()
        else:
            self._answer(handshake, data[end + 4 :])

    def _hand_over(self) -> None:
        transport, others = self._done(), self._entrance.others()
        transport.set_protocol(others)
        others.connection_made(transport)
        others.data_received(self._data)
        self._data = b""

    def _answer(self, handshake: Handshake, rest: bytes) -> None:
        transport, entrance = self._done(), self._entrance
        peer = transport.get_extra_info("peername")
        address = entrance.address(handshake, peer[0] if peer else "")
        refusal = entrance.admits(handshake, address)
        if refusal is not None:
            transport.write(refusal.encoded())
            transport.close()
            return
        deflate = entrance.deflate and agreed(handshake.header(b"sec-websocket-extensions"))
        link = entrance.engine.open(transport, address, entrance.token(handshake), deflate=deflate)
        transport.set_protocol(link)
        packet = b"0" + msgspec.json.encode(entrance.engine.opening(link.sid, []))
        # one write: a client must not see a frame before the 101
        transport.write(_accepting(handshake, deflate) + frames.frame(packet))
        link.begin()
        if rest:
            link.data_received(rest)


def read_handshake(head: bytes, path: bytes) -> Handshake | None:
    """The WebSocket handshake that this head (without its blank line) is for that path; None where it is something
    else, or odd, or continues a session that began with polling: then it is aiohttp's."""
    line, *lines = head.split(_CRLF)
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    where, _, query = target.partition(b"?")
    if method != b"GET" or version != b"HTTP/1.1" or where.rstrip(b"/") != path.rstrip(b"/"):
        return None
    headers: dict[bytes, bytes] = {}
    for it in lines:
        name, colon, value = it.partition(b":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            return None
        if name in headers:
            if name == b"cookie":
                value = headers[name] + b"; " + value.strip()
            elif name in (b"x-forwarded-for", b"sec-websocket-extensions"):
                value = headers[name] + b", " + value.strip()
            elif name in _SINGLE:
                return None
        headers[name] = value.strip()
    if headers.get(b"upgrade", b"").lower() != b"websocket" or headers.get(b"content-length", b"0") != b"0":
        return None
    options = {it.strip().lower() for it in headers.get(b"connection", b"").split(b",")}
    if b"upgrade" not in options or b"transfer-encoding" in headers:
        return None
    key = headers.get(b"sec-websocket-key", b"")
    if headers.get(b"sec-websocket-version") != b"13" or len(key) != 24:
        return None
    parsed = parse_qs(query.decode("latin-1"))
    if parsed.get("transport") != ["websocket"] or parsed.get("EIO") != ["4"] or "sid" in parsed:
        return None
    return Handshake(parsed, headers)


_SINGLE: Final = frozenset(
    {
        b"host",
        b"origin",
        b"authorization",
        b"upgrade",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"content-length",
    }
)


def _accepting(handshake: Handshake, deflate: bool) -> bytes:
    key = frames.accept_key(handshake.headers[b"sec-websocket-key"])
    extensions = b"Sec-WebSocket-Extensions: %b\r\n" % AGREED if deflate else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (key, extensions)
    )
