"""An emission on the wire. This module alone knows the envelope's field names.

What leaves here is the text ``"name",{payload}``: the outbox keeps it, the feed carries it, and a node puts a cursor
behind it and a frame around it without ever decoding it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shared.domain.chain import Place
from shared.domain.clarity import Json
from shared.domain.entry import Emission, Offset

_FLAT = ("marketplace:", "treasury:")  # names whose data is repeated at the top level

encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Cause:
    """What an entry speaks of: an event of the chain, applied or rolled back."""

    place: Place
    event: str
    op: str  # apply or rollback
    reapplied: bool = False
    late: bool = False

    def facts(self) -> dict[str, Json]:
        """The four facts of the chain that end every ``data``."""
        block = self.place.block
        return {
            "txHash": self.place.tx_hash,
            "blockHeight": block.height,
            "blockHash": block.hash,
            "timestamp": block.time,
        }


def payload(emission: Emission, cause: Cause, offset: Offset) -> bytes:
    """The encoded envelope ``{type, role?, data, meta}`` of one emission."""
    data = {**emission.data, **cause.facts()}
    envelope: dict[str, Json] = {"type": emission.type}
    if emission.role is not None:
        envelope["role"] = emission.role
    if emission.name.startswith(_FLAT):
        envelope |= data
    envelope["data"] = data
    envelope["meta"] = {
        "v": 1,
        "offset": str(offset),
        "id": cause.place.event_id,
        "room": emission.room,
        "op": cause.op,
        "event": cause.event,
        "contract": cause.place.contract,
        "txIndex": cause.place.tx_index,
        "eventIndex": cause.place.event_index,
        "reapplied": cause.reapplied,
        "late": cause.late,
    }
    return encode(envelope)


def words(name: str, encoded_payload: bytes) -> bytes:
    """``"name",payload`` of an emission whose payload is encoded already."""
    return encode(name) + b"," + encoded_payload
