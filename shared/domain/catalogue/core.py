"""What the core contract prints: payment streams made, drawn from, cancelled, handed to another payer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from shared.domain.chain import Place
from shared.domain.clarity import Json
from shared.domain.entry import Emission
from shared.domain.event import Event, Id, Party, Uint, ascii_text
from shared.domain.rooms import stream_room, user_room
from shared.domain.rows import Rows, Stream, StreamSender, stream_aggregate
from shared.domain.views import remaining, stream_view, text


@dataclass(frozen=True, slots=True)
class _StreamEvent(Event):
    """Any print of the core contract: all of them tell of one stream."""

    role: ClassVar[str] = "core"

    stream_id: Id

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({stream_aggregate(self.stream_id)})

    def _stream(self, rows: Rows) -> Stream:
        return rows.get(Stream, self.stream_id) or Stream(self.stream_id)

    def _told(self, name: str, data: dict[str, Json], **listeners: str | None) -> Iterator[Emission]:
        """The event in its own words: to the stream's room, then to each party that is known, by role."""
        yield Emission(stream_room(self.stream_id), name, self.name, data)
        yield from self._parties(name, data, **listeners)

    def _parties(self, name: str, data: dict[str, Json], **listeners: str | None) -> Iterator[Emission]:
        for role, address in listeners.items():
            if address is not None:
                yield Emission(user_room(address), name, self.name, data, role.replace("_", "-"))


@dataclass(frozen=True, slots=True)
class StreamCreated(_StreamEvent):
    name: ClassVar[str] = "stream-created"

    sender: Party
    recipient: Party
    amount: Uint
    start_block: Uint
    end_block: Uint

    def fold(self, rows: Rows, place: Place) -> None:
        known = self._stream(rows)  # a stub, where a later event was heard first
        stream = replace(
            known,
            sender=known.sender or self.sender,
            original_sender=self.sender,
            recipient=self.recipient,
            amount=self.amount,
            start_block=self.start_block,
            end_block=self.end_block,
            complete=True,
            created_block=place.block.height,
            created_at=place.block.time,
            created_tx=place.tx_hash,
        )
        rows.put(_completed(stream, place), place)

    def emissions(self, rows: Rows, place: Place) -> Iterator[Emission]:
        view = stream_view(self._stream(rows))
        yield from self._parties("stream:created", view, sender=self.sender, recipient=self.recipient)
        yield Emission(stream_room(self.stream_id), "stream:updated", "created", view)


@dataclass(frozen=True, slots=True)
class StreamWithdrawal(_StreamEvent):
    name: ClassVar[str] = "stream-withdrawal"

    recipient: Party
    amount: Uint  # this withdrawal, not the total

    def fold(self, rows: Rows, place: Place) -> None:
        known = self._stream(rows)
        stream = replace(
            known,
            recipient=known.recipient or self.recipient,
            withdrawn=known.withdrawn + self.amount,
            withdrawal_count=known.withdrawal_count + 1,
            last_withdrawal_block=place.block.height,
        )
        rows.put(_completed(stream, place), place)

    def emissions(self, rows: Rows, place: Place) -> Iterator[Emission]:
        stream = self._stream(rows)
        view = stream_view(stream) | {"withdrawalAmount": text(self.amount)}
        data: dict[str, Json] = {
            "streamId": text(self.stream_id),
            "sender": stream.sender,
            "recipient": self.recipient,
            "amount": text(self.amount),
            "totalWithdrawn": text(stream.withdrawn),
            "remaining": text(remaining(stream)),
            "streamAmount": text(stream.amount),
            "completed": stream.status == "completed",
            "status": stream.status,
        }
        yield Emission(stream_room(self.stream_id), "stream:updated", "withdrawal", view)
        yield from self._told("stream:withdrawal", data, sender=stream.sender, recipient=self.recipient)


@dataclass(frozen=True, slots=True)
class StreamCancelled(_StreamEvent):
    name: ClassVar[str] = "stream-cancelled"

    sender: Party
    unvested_returned: Uint
    cancellation_fee: Uint
    vested_paid: Uint
    cancelled_at_block: Uint

    def fold(self, rows: Rows, place: Place) -> None:
        known = self._stream(rows)
        stream = replace(
            known,
            sender=known.sender or self.sender,
            status="cancelled",  # also over completed
            cancelled_at_block=self.cancelled_at_block,
            cancelled_by=self.sender,
            unvested_returned=self.unvested_returned,
            cancellation_fee=self.cancellation_fee,
            vested_paid=self.vested_paid,
        )
        rows.put(stream, place)

    def emissions(self, rows: Rows, place: Place) -> Iterator[Emission]:
        stream = self._stream(rows)
        data: dict[str, Json] = {
            "streamId": text(self.stream_id),
            "sender": self.sender,
            "recipient": stream.recipient,
            "unvestedReturned": text(self.unvested_returned),
            "vestedPaid": text(self.vested_paid),
            "cancellationFee": text(self.cancellation_fee),
            "cancelledAtBlock": text(self.cancelled_at_block),
            "totalPaid": text(stream.withdrawn + (stream.vested_paid or 0)),
        }
        yield Emission(stream_room(self.stream_id), "stream:updated", "cancelled", stream_view(stream))
        yield from self._told("stream:cancelled", data, sender=self.sender, recipient=stream.recipient)


@dataclass(frozen=True, slots=True)
class StreamSenderUpdated(_StreamEvent):
    name: ClassVar[str] = "stream-sender-updated"

    old_sender: Party
    new_sender: Party
    transfer_type: Annotated[str, ascii_text(19)]  # ``direct`` or ``authorized-contract``

    def fold(self, rows: Rows, place: Place) -> None:
        rows.put(replace(self._stream(rows), sender=self.new_sender), place)
        change = StreamSender(
            event_id=place.event_id,
            stream_id=self.stream_id,
            old_sender=self.old_sender,
            new_sender=self.new_sender,
            transfer_type=self.transfer_type,
            sale_id=None,
            block=place.block.height,
            tx_hash=place.tx_hash,
        )
        rows.put(change, place)

    def emissions(self, rows: Rows, place: Place) -> Iterator[Emission]:
        stream = self._stream(rows)
        change: dict[str, Json] = {
            "oldSender": self.old_sender,
            "newSender": self.new_sender,
            "transferType": self.transfer_type,
        }
        data = {"streamId": text(self.stream_id), **change, "recipient": stream.recipient, "saleId": None}
        yield Emission(stream_room(self.stream_id), "stream:updated", "sender-updated", stream_view(stream) | change)
        yield from self._told(
            "stream:sender-updated",
            data,
            old_sender=self.old_sender,
            new_sender=self.new_sender,
            recipient=stream.recipient,
        )


def _completed(stream: Stream, place: Place) -> Stream:
    """An active stream that is drawn to the end is completed, in the block that did it."""
    if stream.status == "active" and stream.amount is not None and stream.withdrawn >= stream.amount:
        return replace(stream, status="completed", completed_at_block=place.block.height)
    return stream
