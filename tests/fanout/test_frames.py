"""WebSocket frames, held against RFC 6455 and against another implementation of it."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from fanout import frames
from fanout.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Broken, Message, Reader

MAX = 4096

messages = st.one_of(
    st.text(max_size=300).map(lambda it: TextMessage(data=it)),
    st.binary(max_size=300).map(lambda it: BytesMessage(data=it)),
    st.binary(max_size=125).map(lambda it: Ping(payload=it)),
    st.binary(max_size=125).map(lambda it: Pong(payload=it)),
)


def masked(first: int, payload: bytes, mask: bytes = b"\x01\x02\x03\x04", length: bytes | None = None) -> bytes:
    """One frame as a client sends it; ``length`` replaces the right bytes of its length."""
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes((0x80 | size,))
        else:
            length = b"\xfe" + struct.pack("!H", size) if size < 65536 else b"\xff" + struct.pack("!Q", size)
    return bytes((first,)) + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def whole(opcode: int, payload: bytes = b"") -> bytes:
    return masked(0x80 | opcode, payload)


def read(*parts: bytes, max_size: int = MAX) -> list[Message]:
    reader = Reader(max_size)
    return [message for part in parts for message in reader.feed(part)]


def code(*parts: bytes) -> int:
    with pytest.raises(Broken) as broken:
        read(*parts)
    return broken.value.code


@given(st.lists(messages, max_size=8), st.data())
def test_what_another_client_sends_is_read_in_whatever_pieces_it_comes(sent: list[object], data: st.DataObject) -> None:
    client = Connection(ConnectionType.CLIENT)
    stream = b"".join(client.send(it) for it in sent)  # type: ignore[arg-type]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = read(*parts)
    wanted = []
    for it in sent:
        if isinstance(it, TextMessage):
            wanted.append(Message(TEXT, it.data.encode()))
        elif isinstance(it, BytesMessage):
            wanted.append(Message(BINARY, bytes(it.data)))
        elif isinstance(it, Ping | Pong):
            wanted.append(Message(PING if isinstance(it, Ping) else PONG, bytes(it.payload)))
    assert wanted == found


@given(st.lists(st.one_of(st.text(max_size=70_000), st.binary(max_size=300)), max_size=4))
def test_what_we_send_another_client_reads(sent: list[str | bytes]) -> None:
    client = Connection(ConnectionType.CLIENT)
    for it in sent:
        payload = it.encode() if isinstance(it, str) else it
        made = frames.frame(payload, TEXT if isinstance(it, str) else BINARY)
        assert payload == frames.payload_of(made)
        client.receive_data(made)
    found: list[str | bytes] = []
    collected: str | bytes | None = None
    for event in client.events():
        assert isinstance(event, TextMessage | BytesMessage)
        part = event.data if isinstance(event, TextMessage) else bytes(event.data)
        collected = part if collected is None else collected + part  # type: ignore[operator]
        if event.message_finished:
            found.append(collected)
            collected = None
    assert sent == found


@given(st.lists(st.lists(st.binary(max_size=300) | st.just(b"x" * 66_000), min_size=1, max_size=4), max_size=4))
def test_what_was_joined_comes_apart(sent: list[list[bytes]]) -> None:
    made = [[frames.frame(payload) for payload in piece] for piece in sent]
    assert [it for piece in made for it in piece] == list(frames.apart(b"".join(piece) for piece in made))


def test_a_close_frame_says_its_status() -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frames.close_frame(frames.GOING_AWAY))
    (event,) = client.events()
    assert isinstance(event, CloseConnection)
    assert frames.GOING_AWAY == event.code


def test_fragments_make_one_message_and_control_frames_may_come_between() -> None:
    parts = [masked(TEXT, "gr\u00fc".encode()[:3]), whole(PING, b"?"), masked(CONTINUATION, "gr\u00fc".encode()[3:])]
    assert [Message(PING, b"?"), Message(TEXT, "gr\u00fc\u00df".encode())] == read(
        *parts, whole(CONTINUATION, "\u00df".encode())
    )


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
def test_reserved_bits_are_refused(bit: int) -> None:
    assert frames.PROTOCOL_ERROR == code(masked(0x80 | bit | TEXT, b"x"))


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_are_refused(opcode: int) -> None:
    assert frames.PROTOCOL_ERROR == code(whole(opcode))


@pytest.mark.parametrize(
    "sent",
    [
        frames.frame(b"x"),  # not masked
        masked(0x80 | TEXT, b"x" * 5, length=b"\xfe\x00\x05"),  # 5 in two bytes
        masked(0x80 | TEXT, b"x" * 5, length=b"\xff" + struct.pack("!Q", 5)),
        masked(0x80 | PING, b"x" * 126),
        masked(PING, b"x"),  # a control frame in fragments
        whole(CONTINUATION, b"x"),  # of nothing
        masked(TEXT, b"x") + whole(TEXT, b"y"),  # a second message within the first
        whole(CLOSE, b"x"),
        *(whole(CLOSE, struct.pack("!H", status)) for status in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)),
    ],
)
def test_what_breaks_the_protocol_is_refused(sent: bytes) -> None:
    assert frames.PROTOCOL_ERROR == code(sent)


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_a_text_that_is_no_utf8_is_refused(text: bytes) -> None:
    assert frames.INVALID_TEXT == code(whole(TEXT, text))
    assert frames.INVALID_TEXT == code(masked(TEXT, text[:1]), whole(CONTINUATION, text[1:] + b"x"))
    assert frames.INVALID_TEXT == code(whole(CLOSE, struct.pack("!H", 1000) + text))


def test_a_message_of_the_limit_passes_and_one_byte_more_is_not_waited_for() -> None:
    assert [Message(TEXT, b"x" * MAX)] == read(whole(TEXT, b"x" * MAX))
    assert frames.TOO_BIG == code(whole(TEXT, b"x" * (MAX + 1))[:8])
    assert frames.TOO_BIG == code(masked(TEXT, b"x" * MAX), masked(CONTINUATION, b"x"))
    assert frames.TOO_BIG == code(b"\x81\xff" + b"\xff" * 8)


def test_a_hundred_thousand_random_pieces_raise_nothing_but_that_they_are_broken() -> None:
    rng = Random(4)
    good = [whole(TEXT, b"hello"), whole(PING, b"?"), masked(TEXT, b"a"), whole(CONTINUATION, b"b"), whole(CLOSE)]
    codes = set()
    for _ in range(100_000):
        reader = Reader(MAX)
        try:
            for _ in range(rng.randrange(1, 4)):
                piece = bytearray(rng.choice(good))
                if rng.random() < 0.5:
                    piece[rng.randrange(len(piece))] = rng.randrange(256)
                if rng.random() < 0.3:
                    piece = piece[: rng.randrange(len(piece))]
                for message in reader.feed(bytes(piece)):
                    assert len(message.payload) <= MAX
        except Broken as broken:
            codes.add(broken.code)
    assert {frames.PROTOCOL_ERROR, frames.INVALID_TEXT, frames.TOO_BIG} == codes


def test_the_key_of_the_rfc_s_example_is_accepted_as_there() -> None:
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" == frames.accept_key(b"dGhlIHNhbXBsZSBub25jZQ==")
