"""permessage-deflate, held against another implementation of it."""

from __future__ import annotations

import zlib
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage
from wsproto.extensions import PerMessageDeflate

from fanout.deflate import AGREED, WORTH_BYTES, agreed, deflated, inflated
from fanout.frames import BINARY, CONTINUATION, RSV1, TEXT, TOO_BIG, Broken, Reader, frame
from tests.fanout.test_frames import masked
from tests.fanout.wire import wire
from tests.processes import Processes

texts = st.text(max_size=2_000) | st.text("ab", min_size=WORTH_BYTES, max_size=5_000)


def another() -> Connection:
    """A client of another implementation that has heard our answer to its offer."""
    extension = PerMessageDeflate()
    extension.finalize(AGREED.decode())
    return Connection(ConnectionType.CLIENT, [extension])


@given(st.lists(texts, max_size=5))
def test_what_is_compressed_another_client_reads_and_none_of_it_leans_on_what_came_before(sent: list[str]) -> None:
    client = another()
    made = [frame(text.encode()) for text in sent]
    for pieces in (made, made, [b"".join(made)]):  # the same bytes once more, and in one piece
        for piece in pieces:
            client.receive_data(deflated(piece))
    found = "".join(event.data for event in client.events() if isinstance(event, TextMessage))
    assert 3 * "".join(sent) == found


@given(st.lists(texts.map(lambda it: TextMessage(data=it)) | st.binary().map(lambda it: BytesMessage(data=it))))
def test_what_another_client_compresses_is_read(sent: list[TextMessage | BytesMessage]) -> None:
    client, reader = another(), Reader(100_000, deflate=True)
    for message in sent:
        (opcode, payload, compressed), *more = reader.feed(client.send(message))
        assert not more
        data = inflated(payload, 100_000) if compressed else payload
        assert message.data == (data.decode() if opcode == TEXT else data)


def test_a_short_frame_or_one_that_does_not_become_shorter_stays_as_it_is() -> None:
    for payload in (b"x" * (WORTH_BYTES - 1), Random(1).randbytes(1_000)):
        assert frame(payload) == deflated(frame(payload))
    assert len(deflated(frame(b"x" * 1_000))) < 30


@pytest.mark.parametrize(
    ("offers", "yes"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),  # Chromium and Firefox
        ("x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; something=new", False),
        ("x-webkit-deflate-frame", False),
        ("", False),
    ],
)
def test_an_offer_is_agreed_to_where_its_terms_are_ours(offers: str, yes: bool) -> None:
    assert yes == agreed(offers)


def test_a_message_that_would_burst_is_refused_before_it_is_whole() -> None:
    bomb = zlib.compress(bytes(50_000_000), wbits=-15)
    with pytest.raises(Broken) as broken:
        inflated(bomb, 16_384)
    assert TOO_BIG == broken.value.code


@given(st.binary(max_size=200))
def test_what_is_not_compressed_as_it_says_is_refused_plainly(data: bytes) -> None:
    with suppress(Broken):  # anything else that it raises is a fault
        assert len(inflated(data, 1_000)) <= 1_000


def test_the_bit_is_for_the_first_frame_of_a_message_and_for_who_agreed() -> None:
    with pytest.raises(Broken):
        Reader(100).feed(masked(0x80 | RSV1 | TEXT, b"x"))
    agreed_to = Reader(100, deflate=True)
    assert [] == agreed_to.feed(masked(RSV1 | BINARY, b"a"))
    assert [(BINARY, b"ab", True)] == agreed_to.feed(masked(0x80 | CONTINUATION, b"b"))
    for first in (RSV1 | 0x80 | CONTINUATION, RSV1 | 0x89, 0xA0 | TEXT):
        with pytest.raises(Broken):
            Reader(100, deflate=True).feed(masked(first, b"a"))


@pytest.mark.parametrize("deflate", ["on", "off"])
async def test_a_browser_gets_it_where_it_is_switched_on_only(processes: Processes, deflate: str) -> None:
    node = processes.start("fanout", DEFLATE=deflate)
    async with wire(node.url, compress=15) as one:
        assert (one.socket.compress > 0) == (deflate == "on")
        assert (await one.ask("join-stream-room", "1" + " " * 300))["error"]["code"] == "BAD_REQUEST"
        assert (await one.ask("join-stream-room", "1"))["ok"]
