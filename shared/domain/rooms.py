"""Names of rooms, built and parsed."""

from __future__ import annotations

import re
from typing import Final

from shared.domain.chain import INT64_MAX

MARKETPLACE: Final = "marketplace"
TREASURY: Final = "treasury"
ACCESS_CONTROL: Final = "access-control"
GLOBAL: Final = "global"

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def user_room(address: str) -> str:
    """The private room of one wallet address."""
    return f"user:{address}"


def stream_room(stream_id: int) -> str:
    """The public room of one payment stream."""
    return f"stream:{stream_id}"


def parse_stream_id(text: object) -> int | None:
    """A stream id as a client may write it: decimal text without leading zeros, or a JSON integer; else None."""
    if isinstance(text, bool):
        return None
    if isinstance(text, int):
        return text if 0 <= text <= INT64_MAX else None
    if isinstance(text, str) and _DECIMAL.fullmatch(text) and int(text) <= INT64_MAX:
        return int(text)
    return None
