"""WebSocket frames of a server (RFC 6455), pure: bytes in, messages out, and back.

A server's frames are not masked, so the frame of one event is one ``bytes`` object for everybody who gets it.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final, NamedTuple

from shared.wire import frame_head

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1: Final = 0x40  # of a message that is compressed (RFC 7692)

NORMAL, GOING_AWAY, PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1000, 1001, 1002, 1007, 1009

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_CONTROL_MAX: Final = 125


class Broken(Exception):
    """What the peer sent is no WebSocket traffic; ``code`` goes into the close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Message(NamedTuple):
    """A whole message or control frame, unmasked. Text is known to be UTF-8, unless it is ``compressed``."""

    opcode: int
    payload: bytes
    compressed: bool = False


def accept_key(key: bytes) -> bytes:
    """``Sec-WebSocket-Accept`` for a client's ``Sec-WebSocket-Key`` (RFC 6455, 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole unmasked frame."""
    return frame_head(len(payload), opcode) + payload


def payload_of(whole: bytes) -> bytes:
    """The payload of a frame that ``frame`` made."""
    return whole[_extent(whole, 0)[0] :]


def apart(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The frames of which pieces were joined, each of which ``frame`` made."""
    for piece in pieces:
        at = 0
        while at < len(piece):
            _, end = _extent(piece, at)
            yield piece[at:end]
            at = end


def _extent(data: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the frame that begins there begins and ends."""
    size, body = data[at + 1], at + 2
    if size < 126:
        return body, body + size
    width = 2 if size == 126 else 8
    body += width
    return body, body + int.from_bytes(data[body - width : body])


def close_frame(code: int) -> bytes:
    """A close frame with this status and no reason."""
    return frame(struct.pack("!H", code), CLOSE)


@dataclass(slots=True)
class Reader:
    """What one peer sends, in whatever pieces. After ``Broken`` it must not be fed again."""

    max_size: int  # bytes of one message
    deflate: bool = False  # whether messages may come compressed
    _rest: bytes = b""
    _parts: list[bytes] = field(default_factory=list)
    _opcode: int = CONTINUATION  # of the message whose fragments are being collected
    _compressed: bool = False
    _size: int = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is half read."""
        return not self._rest and self._opcode == CONTINUATION

    def feed(self, data: bytes) -> list[Message]:
        """The messages and control frames that are whole now. Raises ``Broken``."""
        if self._rest:
            data = self._rest + data
        found: list[Message] = []
        at, end = 0, len(data)
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            opcode = first & 0x0F
            if first & 0x70 and not (self.deflate and first & 0x70 == RSV1 and opcode in (TEXT, BINARY)):
                raise Broken(PROTOCOL_ERROR, "a reserved bit is set")
            if opcode not in _OPCODES:
                raise Broken(PROTOCOL_ERROR, "a reserved opcode")
            if not second & 0x80:
                raise Broken(PROTOCOL_ERROR, "a client's frame is not masked")
            size, body = second & 0x7F, at + 2
            if opcode >= CLOSE and (size > _CONTROL_MAX or not first & 0x80):
                raise Broken(PROTOCOL_ERROR, "a control frame is long or in fragments")
            if size >= 126:
                width = 2 if size == 126 else 8
                if end - body < width:
                    break
                size = int.from_bytes(data[body : body + width])
                body += width
                if size < (126 if width == 2 else 65536):
                    raise Broken(PROTOCOL_ERROR, "a length is longer than it needs to be")
            if opcode < CLOSE and self._size + size > self.max_size:
                raise Broken(TOO_BIG, "a message is too long")
            if end - body < 4 + size:
                break
            payload = _unmasked(data, body, size)
            at = body + 4 + size
            if message := self._take(opcode, bool(first & 0x80), bool(first & RSV1), payload):
                found.append(message)
        self._rest = data[at:] if at else data
        return found

    def _take(self, opcode: int, last: bool, compressed: bool, payload: bytes) -> Message | None:
        if opcode >= CLOSE:
            if opcode == CLOSE:
                _check_close(payload)
            return Message(opcode, payload)
        if (opcode == CONTINUATION) == (self._opcode == CONTINUATION):
            raise Broken(PROTOCOL_ERROR, "a fragment belongs to no message")
        if opcode != CONTINUATION:
            self._opcode, self._compressed = opcode, compressed
        if not last:
            self._parts.append(payload)
            self._size += len(payload)
            return None
        if self._parts:
            payload = b"".join((*self._parts, payload))
            self._parts = []
        opcode, self._opcode, self._size = self._opcode, CONTINUATION, 0
        if opcode == TEXT and not self._compressed:
            check_text(payload)
        return Message(opcode, payload, self._compressed)


def _unmasked(data: bytes, body: int, size: int) -> bytes:
    mask = data[body : body + 4]
    masked = int.from_bytes(data[body + 4 : body + 4 + size], "little")
    repeated = int.from_bytes((mask * ((size + 3) // 4))[:size], "little")
    return (masked ^ repeated).to_bytes(size, "little")


def check_text(payload: bytes) -> None:
    """Raises ``Broken`` where it is not UTF-8."""
    if payload.isascii():
        return
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise Broken(INVALID_TEXT, "a text is not UTF-8") from None


def _check_close(payload: bytes) -> None:
    if not payload:
        return
    code = int.from_bytes(payload[:2])
    if len(payload) < 2 or not (code in _CLOSE_CODES or 3000 <= code < 5000):
        raise Broken(PROTOCOL_ERROR, "a close frame has no valid status")
    check_text(payload[2:])


_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
