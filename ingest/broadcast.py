"""What an operator or another service has to say, as an entry of the outbox like every other.

The caller names a broadcast by its Idempotency-Key, and the name decides: said once, however often it is asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ingest.metrics import OUTBOX_HEAD
from shared import outbox
from shared.database import Connection, Pool, borrowed, is_outage
from shared.domain.entry import Emission, Offset
from shared.domain.rooms import ACCESS_CONTROL, GLOBAL, MARKETPLACE, TREASURY, parse_stream_id, stream_room, user_room
from shared.errors import Rejected, Unavailable
from shared.outbox import Draft, Head
from shared.settings import is_address_of
from shared.wire import Broadcast, name_and_data

BODY_MAX: Final = 65536  # bytes
DEPTH_MAX = 128  # of a payload's nesting; common JSON parsers read that
PAUSE_S = (0.05, 1.0)  # first and longest wait between tries while Postgres is away

_PUBLIC = (MARKETPLACE, TREASURY, ACCESS_CONTROL, GLOBAL)
_NAME = re.compile(r"[a-z][a-z0-9:-]{0,63}")
_RESERVED = ("connect", "disconnect", "disconnecting")  # Socket.IO's own
_OURS = (
    "stream:",
    "nft:",
    "marketplace:",
    "treasury:",
    "access-control:",
    "chain:",
    "notification:",
    "system:",
    "room:",
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class NotBroadcast(Rejected):
    """The body is JSON and no broadcast; the message names the field."""


class Conflict(Rejected):
    """The key names another broadcast already."""


@dataclass(frozen=True, slots=True)
class Said:
    """A broadcast that stands in the outbox; ``duplicate``: it stood there before."""

    id: str
    offset: Offset
    duplicate: bool


class Speaker:
    """Says broadcasts one by one, each in a transaction of its own."""

    def __init__(self, database: Pool, wait_s: float, on_commit: Callable[[Head], None]) -> None:
        self._database, self._wait_s, self._on_commit = database, wait_s, on_commit
        self._turn = asyncio.Lock()  # all wait for the same row; in the pool they would keep others waiting, too

    async def submit(self, emission: Emission, key: str) -> Said:
        """Say this; returns when it is committed. Raises ``Conflict``, or ``Unavailable`` after a long enough wait."""
        loop = asyncio.get_running_loop()
        at, ends, pause = time.time_ns() // 1000, loop.time() + self._wait_s, PAUSE_S[0]
        async with self._turn:
            while (left := ends - loop.time()) > 0:
                try:
                    async with borrowed(self._database, left) as connection, connection.transaction():
                        said, head = await say(connection, emission, key, at)
                except Exception as error:
                    if not is_outage(error):
                        raise
                    await asyncio.sleep(min(pause, left))
                    pause = min(pause * 2, PAUSE_S[1])
                else:
                    OUTBOX_HEAD.set(head.offset.seq)
                    self._on_commit(head)
                    return said
        raise Unavailable("the store does not answer")


def read_broadcast(body: Any, network: str) -> Emission:
    """The emission that this JSON value asks for. Raises ``NotBroadcast``."""
    if not isinstance(body, dict):
        raise NotBroadcast("the body is no object")
    room = _room(body.get("type"), body.get("target"), network)
    name, payload = body.get("event"), body.get("payload")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise NotBroadcast("event is not 1 to 64 of a-z, 0-9, colon and hyphen, a letter first")
    if name in _RESERVED or name.startswith(_OURS):
        raise NotBroadcast(f"event {name} is not for broadcasts")
    if not isinstance(payload, dict):
        raise NotBroadcast("payload is no object")
    _check(payload, DEPTH_MAX)
    return Emission(room, name, name, payload)


async def say(connection: Connection, emission: Emission, key: str, at: int) -> tuple[Said, Head]:
    """Append the broadcast of this key, unless it is there, within a transaction; ``at`` in unix µs.

    Returns where it stands, and the outbox's end. Raises ``Conflict`` where the key was given to other words.
    """
    cause = Broadcast(hashlib.sha256(f"broadcast:{key}".encode()).hexdigest()[:32])
    end = await outbox.head(connection, lock=True)  # from here on nobody else can say it
    if (found := await outbox.broadcast_of(connection, cause.id)) is None:
        end = await outbox.append(connection, end, [Draft(((cause, emission),), at)])
        return Said(cause.id, end.offset, duplicate=False), end
    offset, spoken = found
    if _sorted(spoken.room, *name_and_data(spoken.words)) != _sorted(emission.room, emission.name, emission.data):
        raise Conflict(f"this Idempotency-Key was given to another broadcast, {offset}")
    return Said(cause.id, offset, duplicate=True), end


def _room(kind: object, target: object, network: str) -> str:
    if kind == "user":
        if not isinstance(target, str) or not is_address_of(network, target):
            raise NotBroadcast(f"target is no address of {network}")
        return user_room(target)
    if kind == "stream":
        stream_id = parse_stream_id(target)
        if stream_id is None:
            raise NotBroadcast("target is no stream id")
        return stream_room(stream_id)
    if not isinstance(kind, str) or kind not in _PUBLIC:
        raise NotBroadcast(f"type is none of user, stream, {', '.join(_PUBLIC)}")
    if target is not None:
        raise NotBroadcast(f"target has no meaning for {kind}")
    return kind


def _check(value: object, depth: int) -> None:
    """Refuse what JSON can say and texts, databases or listeners cannot keep."""
    if depth < 0:
        raise NotBroadcast(f"payload is nested deeper than {DEPTH_MAX}")
    match value:
        case str() if _NO_TEXT.search(value):
            raise NotBroadcast("payload has a text with U+0000 or half a surrogate pair")
        case list():
            for item in value:
                _check(item, depth - 1)
        case dict():
            for name, item in value.items():
                _check(name, depth)
                _check(item, depth - 1)


def _sorted(*parts: object) -> bytes:
    """The one spelling of a JSON value: objects are equal in whatever order, true is not 1."""
    return msgspec.json.encode(parts, order="deterministic")
