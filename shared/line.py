"""A connection to Redis for one question after the other, such as a node asks all the time.

The client library opens it (address, TLS, sentinels, password, database) and then leaves the transport to a protocol
that packs and parses with hiredis. The library's own way from a command to its answer, through streams, timeouts and
checks, took a node longer than to speak what the answer said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import InvalidResponse, NoScriptError, RedisError, ResponseError

Word: TypeAlias = str | int | float | bytes  # of a command


class Line(asyncio.Protocol):
    """One connection. It is closed by all that leaves it unclear what comes next, and by most of what Redis refuses: a
    server that is no longer the master shall not be asked again."""

    def __init__(self, connection: AbstractConnection) -> None:
        """``connection`` is connected, and is not used by anybody else any more."""
        writer = connection._writer
        assert writer is not None
        connection._reader = connection._writer = None  # it would close the transport when it is collected
        self._writer = writer  # so would this
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader()
        self._answer: asyncio.Future[Any] | None = None
        self.closed = False
        writer.transport.set_protocol(self)

    async def ask(self, words: Sequence[Word], within_s: float) -> Any:
        """The answer to one command, in Redis' types; one at a time. Raises ``RedisError`` and ``TimeoutError``."""
        if self.closed:
            raise NotConnected("the connection is closed")
        command = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub knows commands of one word
        answer = self._answer = self._loop.create_future()
        late = self._loop.call_later(within_s, self._fail, TimeoutError("redis did not answer in time"))
        self._writer.transport.write(command)
        try:
            return await answer
        except asyncio.CancelledError:
            self.close()  # the answer may still come
            raise
        finally:
            late.cancel()
            self._answer = None

    def close(self) -> None:
        """Nothing is asked here any more."""
        self.closed = True
        self._writer.transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
            reply = self._parser.gets()
        except hiredis.ProtocolError as wrong:
            self._fail(InvalidResponse(str(wrong)))
            return
        if reply is False:  # there is more to come
            return
        if self._answer is None or self._answer.done():
            self._fail(InvalidResponse("an answer that nobody asked for"))
        elif isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith("NOSCRIPT"):
                self._answer.set_exception(NoScriptError(str(reply)))
            else:
                self._fail(ResponseError(str(reply)))
        else:
            self._answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(NotConnected(str(error or "redis closed the connection")))

    def _fail(self, error: RedisError | TimeoutError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()
