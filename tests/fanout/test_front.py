"""The first request of a connection: ours, or aiohttp's with every byte of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout.front import read_handshake
from tests.processes import Process, Processes

GET = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1"
HEADERS = {
    b"Host": b"localhost",
    b"Connection": b"keep-alive, Upgrade",
    b"Upgrade": b"websocket",
    b"Sec-WebSocket-Version": b"13",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
}


def head(line: bytes = GET, **other: bytes | None) -> bytes:
    """A handshake's head; ``other`` replaces headers, None takes one away."""
    headers = dict(HEADERS)
    for name, value in other.items():
        key = next((it for it in headers if it.lower() == name.replace("_", "-").encode()), name.encode())
        headers.pop(key, None)
        if value is not None:
            headers[key] = value
    return b"\r\n".join([line, *(b"%b: %b" % it for it in headers.items())])


def ours(head: bytes) -> bool:
    return read_handshake(head, b"/socket.io") is not None


def test_a_handshake_is_read_whatever_the_case_of_its_names() -> None:
    found = read_handshake(head(Origin=b"https://a", Cookie=b"a=b") + b"\r\ncookie: c=d", b"/socket.io")
    assert found
    assert ("https://a", "a=b; c=d") == (found.header(b"origin"), found.header(b"cookie"))
    assert ours(head().replace(b"Upgrade:", b"UPGRADE:"))
    assert ours(head(GET.replace(b"/?", b"?")))


@pytest.mark.parametrize(
    "odd",
    [
        head(GET.replace(b"GET", b"POST")),
        head(GET.replace(b"1.1", b"1.0")),
        head(GET.replace(b"/socket.io/", b"/other/")),
        head(GET.replace(b"websocket", b"polling")),
        head(GET.replace(b"EIO=4", b"EIO=3")),
        head(GET.replace(b"EIO=4", b"EIO=4&sid=x")),
        head(GET.replace(b"EIO=4", b"EIO=4&EIO=4")),
        head(upgrade=None),
        head(upgrade=b"h2c"),
        head(connection=b"keep-alive"),
        head(sec_websocket_version=b"8"),
        head(sec_websocket_key=None),
        head(sec_websocket_key=b"short"),
        head() + b"\r\nContent-Length: 5",
        head() + b"\r\nTransfer-Encoding: chunked",
        head() + b"\r\nOrigin: https://a\r\nOrigin: https://b",
        head() + b"\r\n folded: x",
        head() + b"\r\nno colon",
        b"",
        b"\r\n\r\n",
    ],
)
def test_whatever_is_odd_is_left_to_aiohttp(odd: bytes) -> None:
    assert not ours(odd)


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    read_handshake(data, b"/socket.io")
    read_handshake(head() + b"\r\n" + data, b"/socket.io")
    read_handshake(GET[:20] + data + b" HTTP/1.1", b"/socket.io")


@pytest.fixture
def node(processes: Processes) -> Process:
    return processes.start("fanout", ALLOWED_ORIGINS="https://app.example.com")


async def talk(node: Process, *parts: bytes, until: bytes = b"", wait_s: float = 5) -> bytes:
    """What is answered to these pieces, up to a text or the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    found = b""
    try:
        async with asyncio.timeout(wait_s):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            while (not until or until not in found) and (data := await reader.read(65536)):
                found += data
    finally:
        writer.transport.abort()
    return found


async def test_the_answer_and_the_first_packet_come_however_the_head_is_split(node: Process) -> None:
    sent = head() + b"\r\n\r\n"
    for parts in ([sent], [sent[:1], sent[1:]], [sent[:50], sent[50:-3], sent[-3:]]):
        answer = await talk(node, *parts, until=b"maxPayload")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        assert b"permessage-deflate" not in answer
        _, _, frame = answer.partition(b"\r\n\r\n")
        assert {"sid", "upgrades", "pingTimeout", "pingInterval", "maxPayload"} == set(
            json.loads(frame[frame.index(b"{") :])
        )


async def test_what_follows_the_head_at_once_is_not_lost(node: Process) -> None:
    connect = bytes((0x81, 0x82)) + b"\x00\x00\x00\x00" + b"40"
    assert b'"pid"' in await talk(node, head() + b"\r\n\r\n" + connect, until=b'"pid"')


async def test_other_requests_are_answered_by_aiohttp(node: Process) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    assert b"200 OK" in await talk(node, health, until=b"}")
    twice = await talk(node, health + health.replace(b"Host: a", b"Host: a\r\nConnection: close"))
    assert 2 == twice.count(b"200 OK"), "a connection is kept, and requests may come at once"
    assert b"400 " in (await talk(node, b"nonsense\r\n\r\n"))[:20]
    assert b"400 " in (await talk(node, b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000, until=b"\r\n"))[:20]
    odd = await talk(node, head(GET.replace(b"EIO=4", b"EIO=3")) + b"\r\n\r\n", until=b"\r\n")
    assert b"400 " in odd[:20]


async def test_a_refusal_says_why(node: Process) -> None:
    answer = await talk(node, head(Origin=b"https://evil.example.com") + b"\r\n\r\n")
    status, _, body = answer.partition(b"\r\n\r\n")
    assert b"403 Forbidden" in status
    assert "FORBIDDEN" == json.loads(body)["error"]["code"]
