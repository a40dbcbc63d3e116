"""A load client that costs little: HTTP/1.1 on kept connections, requests written as bytes made beforehand."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from tests.processes import SECRET, WEBHOOK

ANSWER_S = 30.0


def request(body: bytes) -> bytes:
    """The whole request that delivers this body."""
    head = (
        f"POST {WEBHOOK} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {SECRET}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def get(port: int, path: str) -> bytes:
    """One GET on a connection of its own; the answer's body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(ANSWER_S):
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path}: {head[:300]!r}")
    return body


class Poster:
    """One connection that posts one request after the other."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def post(self, whole_request: bytes) -> bytes:
        """Post and wait for the answer's body. Raises ``RuntimeError`` for any status but 200."""
        async with asyncio.timeout(ANSWER_S):
            self._writer.write(whole_request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head.splitlines()[0]!r}: {body[:300]!r}")
        return body
