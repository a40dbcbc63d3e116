"""permessage-deflate (RFC 7692) without a context: every frame is compressed by itself, so once for everybody.

With a context of its own each socket costs a compressor (100 KiB) and each delivery its time; without one a socket
costs nothing, and an emission the compression of one frame. The price is that what repeats from event to event is sent
again.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final

from fanout.frames import PROTOCOL_ERROR, RSV1, TOO_BIG, Broken, apart, payload_of
from shared.wire import frame_head

AGREED: Final = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
WORTH_BYTES: Final = 200  # of a payload; smaller ones are sent as they are
REMEMBERED: Final = 512  # pieces, as they are queued

_TAIL: Final = b"\x00\x00\xff\xff"  # of a flush, which is left out (RFC 7692, 7.2.1)
_PROMISES: Final = frozenset({"", "server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits"})


def agreed(offers: str) -> bool:
    """Whether one of the offers in ``Sec-WebSocket-Extensions`` can be answered by ``AGREED``."""
    for offer in offers.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name.lower() == "permessage-deflate" and {it.partition("=")[0].strip() for it in parameters} <= _PROMISES:
            return True
    return False


@lru_cache(REMEMBERED)
def deflated(piece: bytes) -> bytes:
    """The same text and binary frames, each compressed, or as it is where that is not shorter."""
    return b"".join([_deflated(whole) for whole in apart((piece,))])


def _deflated(whole: bytes) -> bytes:
    payload = payload_of(whole)
    if len(payload) < WORTH_BYTES:
        return whole
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    small = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
    return frame_head(len(small), RSV1 | whole[0] & 0x0F) + small if len(small) < len(payload) else whole


def inflated(payload: bytes, max_size: int) -> bytes:
    """What a client compressed. Raises ``Broken`` where that is no compressed message, or longer than ``max_size``."""
    decompressor = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        found = decompressor.decompress(payload + _TAIL, max_size + 1)
    except zlib.error:
        raise Broken(PROTOCOL_ERROR, "a message cannot be decompressed") from None
    if len(found) > max_size:
        raise Broken(TOO_BIG, "a message is too long")
    return found
