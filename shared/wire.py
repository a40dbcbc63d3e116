"""An emission on the wire. This module alone knows the envelope's field names.

What leaves here is the text ``"name",{payload}``, which the outbox keeps, and the frame in which browsers get it, with
its cursor: the relay makes it once for all nodes, and the feed carries it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypedDict

import msgspec

from shared.domain.chain import Place
from shared.domain.clarity import Json
from shared.domain.entry import Emission, Offset
from shared.domain.now import ChainFacts

FLAT = ("marketplace:", "treasury:")  # names whose data is repeated at the top level

encode = msgspec.json.encode


class Origin(TypedDict):
    """What an emission comes of; all null where nothing happened on the chain.

    ``reapplied``: the same transaction's event had been rolled back before; ``late``: an event further on in the chain
    had been told already.
    """

    event: str | None
    contract: str | None
    txIndex: int | None
    eventIndex: int | None
    reapplied: bool
    late: bool


class _Place(TypedDict):
    v: Literal[1]
    offset: str
    id: str
    room: str
    op: Literal["apply", "rollback", "broadcast"]


class Meta(_Place, Origin):
    """Where an emission stands among all (``offset``), what it speaks of (``id``), and where it was heard."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What an entry speaks of: an event of the chain, applied or rolled back."""

    place: Place
    event: str
    op: Literal["apply", "rollback"]
    reapplied: bool = False
    late: bool = False

    @property
    def id(self) -> str:
        return self.place.event_id

    def facts(self) -> ChainFacts:
        """The four facts of the chain that end every ``data``."""
        block = self.place.block
        return {
            "txHash": self.place.tx_hash,
            "blockHeight": block.height,
            "blockHash": block.hash,
            "timestamp": block.time,
        }

    def origin(self) -> Origin:
        """What ``meta`` says about where it comes from."""
        return {
            "event": self.event,
            "contract": self.place.contract,
            "txIndex": self.place.tx_index,
            "eventIndex": self.place.event_index,
            "reapplied": self.reapplied,
            "late": self.late,
        }


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What an entry speaks of where nothing happened on the chain: somebody's own words."""

    id: str
    op: ClassVar[Literal["broadcast"]] = "broadcast"

    def facts(self) -> dict[str, Json]:
        """None."""
        return {}

    def origin(self) -> Origin:
        """The keys of ``Cause``'s; nothing of the chain stands behind them."""
        return {
            "event": None,
            "contract": None,
            "txIndex": None,
            "eventIndex": None,
            "reapplied": False,
            "late": False,
        }


def payload(emission: Emission, cause: Cause | Broadcast, offset: Offset) -> bytes:
    """The encoded envelope ``{type, role?, data, meta}`` of one emission."""
    data: dict[str, object] = {**emission.data, **cause.facts()}
    envelope: dict[str, object] = {"type": emission.type}
    if emission.role is not None:
        envelope["role"] = emission.role
    if emission.name.startswith(FLAT):
        envelope |= data
    envelope["data"] = data
    meta: Meta = {
        "v": 1,
        "offset": str(offset),
        "id": cause.id,
        "room": emission.room,
        "op": cause.op,
        **cause.origin(),
    }
    envelope["meta"] = meta
    return encode(envelope)


def words(name: str, encoded_payload: bytes) -> bytes:
    """``"name",payload`` of an emission whose payload is encoded already."""
    return encode(name) + b"," + encoded_payload


_TEXT: Final = 0x1  # opcode of a WebSocket frame


def event_frame(spoken: bytes, cursor: str) -> bytes:
    """The whole frame of a Socket.IO EVENT: what ``words`` made, and the cursor as the last argument."""
    packet = b'42[%b,"%b"]' % (spoken, cursor.encode())
    return frame_head(len(packet)) + packet


def frame_head(size: int, opcode: int = _TEXT) -> bytes:
    """The header of a whole unmasked frame with so many bytes of payload: 2, 4 or 10 bytes (RFC 6455, 5.2).

    ``opcode`` may carry ``RSV1``.
    """
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size)
    return struct.pack("!BBQ", 0x80 | opcode, 127, size)


def name_and_data(spoken: bytes) -> tuple[str, Json]:
    """The name and the ``data`` of what ``words`` made."""
    name, envelope = msgspec.json.decode(b"[" + spoken + b"]")
    return name, envelope["data"]
