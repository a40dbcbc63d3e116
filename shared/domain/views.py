"""Rows in the words of the wire. Every quantity is decimal text; what is not known is null."""

from __future__ import annotations

from shared.domain.clarity import Json
from shared.domain.rows import Stream


def text(number: int | None) -> str | None:
    """A quantity on the wire."""
    return None if number is None else str(number)


def stream_view(stream: Stream) -> dict[str, Json]:
    """StreamView: absolute values, so that a client replaces what it has."""
    return {
        "streamId": text(stream.stream_id),
        "sender": stream.sender,
        "recipient": stream.recipient,
        "amount": text(stream.amount),
        "startBlock": text(stream.start_block),
        "endBlock": text(stream.end_block),
        "withdrawn": text(stream.withdrawn),
        "totalPaid": text(stream.withdrawn + (stream.vested_paid or 0)),
        "remaining": text(remaining(stream)),
        "status": stream.status,
        "cancelledAtBlock": text(stream.cancelled_at_block),
        "unvestedReturned": text(stream.unvested_returned),
        "vestedPaid": text(stream.vested_paid),
        "cancellationFee": text(stream.cancellation_fee),
    }


def remaining(stream: Stream) -> int | None:
    """Sats the recipient may still draw over the stream's life; 0 once it is closed."""
    if stream.status != "active":
        return 0
    return None if stream.amount is None else stream.amount - stream.withdrawn


def vesting(stream: Stream, tip: int) -> dict[str, Json]:
    """What the chain's height makes of a stream: ``vested`` and ``withdrawable`` sats, and its phase."""
    start, end, amount = stream.start_block, stream.end_block, stream.amount
    if start is None or end is None or amount is None:
        return {"vested": None, "withdrawable": None, "phase": None}
    if stream.status == "cancelled":
        vested = stream.withdrawn + (stream.vested_paid or 0)
    elif tip < start:
        vested = 0
    elif tip >= end:
        vested = amount
    else:
        vested = amount * (tip - start) // (end - start)
    withdrawable = max(0, vested - stream.withdrawn) if stream.status == "active" else 0
    phase = "scheduled" if tip < start else "streaming" if tip < end else "ended"
    return {"vested": text(vested), "withdrawable": text(withdrawable), "phase": phase}
