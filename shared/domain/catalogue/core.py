"""What the core contract prints: payment streams made, drawn from, cancelled, handed to another payer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from shared.domain.catalogue.pairs import Cancelled, sale_of
from shared.domain.entry import Emission
from shared.domain.event import Event, Id, Party, Uint, ascii_text
from shared.domain.notice import Link, Notice, sbtc, short
from shared.domain.rooms import stream_room
from shared.domain.rows import Stream, StreamSender, stream_aggregate
from shared.domain.schema import Cancelled as CancelledData
from shared.domain.schema import SenderUpdated, StreamDrawn, StreamHandedOver, Withdrawn
from shared.domain.views import maybe, remaining, stream_view, text, total_paid
from shared.domain.workset import Step


@dataclass(frozen=True, slots=True)
class _StreamEvent(Event):
    """Any print of the core contract: all of them tell of one stream."""

    role: ClassVar[str] = "core"

    stream_id: Id

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({stream_aggregate(self.stream_id)})

    @property
    def room(self) -> str:
        return stream_room(self.stream_id)

    @property
    def link(self) -> Link:
        return stream_link(self.stream_id)

    def stream(self, at: Step) -> Stream:
        return at.get(Stream, self.stream_id) or Stream(self.stream_id)


@dataclass(frozen=True, slots=True)
class StreamCreated(_StreamEvent):
    name: ClassVar[str] = "stream-created"

    sender: Party
    recipient: Party
    amount: Uint
    start_block: Uint
    end_block: Uint

    def fold(self, at: Step) -> None:
        known = self.stream(at)  # a stub, where a later event was heard first
        stream = replace(
            known,
            sender=known.sender or self.sender,
            original_sender=self.sender,
            recipient=self.recipient,
            amount=self.amount,
            start_block=self.start_block,
            end_block=self.end_block,
            complete=True,
            created_block=at.height,
            created_at=at.place.block.time,
            created_tx=at.place.tx_hash,
        )
        at.put(_completed(stream, at))

    def emissions(self, at: Step) -> Iterator[Emission]:
        view = stream_view(self.stream(at))
        yield from self.tell("stream:created", view, sender=self.sender, recipient=self.recipient)
        yield self.say(self.room, "stream:updated", view, type="created")

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "amount": text(self.amount)}
        received = f"{short(self.sender)} streams {sbtc(self.amount)} to you."
        created = f"You stream {sbtc(self.amount)} to {short(self.recipient)}."
        yield from self.notify("stream_received", "high", "A stream for you", received, data, self.recipient)
        yield from self.notify("stream_created", "normal", "Stream created", created, data, self.sender)


@dataclass(frozen=True, slots=True)
class StreamWithdrawal(_StreamEvent):
    name: ClassVar[str] = "stream-withdrawal"

    recipient: Party
    amount: Uint  # this withdrawal, not the total

    def fold(self, at: Step) -> None:
        known = self.stream(at)
        stream = replace(
            known,
            recipient=known.recipient or self.recipient,
            withdrawn=known.withdrawn + self.amount,
            withdrawal_count=known.withdrawal_count + 1,
            last_withdrawal_block=at.height,
        )
        at.put(_completed(stream, at))

    def emissions(self, at: Step) -> Iterator[Emission]:
        stream = self.stream(at)
        view: StreamDrawn = {**stream_view(stream), "withdrawalAmount": text(self.amount)}
        data: Withdrawn = {
            "streamId": text(self.stream_id),
            "sender": stream.sender,
            "recipient": self.recipient,
            "amount": text(self.amount),
            "totalWithdrawn": text(stream.withdrawn),
            "remaining": maybe(remaining(stream)),
            "streamAmount": maybe(stream.amount),
            "completed": stream.status == "completed",
            "status": stream.status,
        }
        yield self.say(self.room, "stream:updated", view, type="withdrawal")
        yield self.say(self.room, "stream:withdrawal", data)
        yield from self.tell("stream:withdrawal", data, sender=stream.sender, recipient=self.recipient)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "amount": text(self.amount)}
        kind, title, what = "stream_withdrawal", "Withdrawal", f"{sbtc(self.amount)} from stream {self.stream_id}."
        yield from self.notify(kind, "normal", title, f"You withdrew {what}", data, self.recipient)
        whose = f"{short(self.recipient)} withdrew {what}"
        yield from self.notify(kind, "normal", title, whose, data, self.stream(at).sender)


@dataclass(frozen=True, slots=True)
class StreamCancelled(_StreamEvent, Cancelled):
    name: ClassVar[str] = "stream-cancelled"

    sender: Party
    unvested_returned: Uint
    cancellation_fee: Uint
    vested_paid: Uint
    cancelled_at_block: Uint

    def fold(self, at: Step) -> None:
        known = self.stream(at)
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
        at.put(stream)

    def emissions(self, at: Step) -> Iterator[Emission]:
        stream = self.stream(at)
        data: CancelledData = {
            "streamId": text(self.stream_id),
            "sender": self.sender,
            "recipient": stream.recipient,
            "unvestedReturned": text(self.unvested_returned),
            "vestedPaid": text(self.vested_paid),
            "cancellationFee": text(self.cancellation_fee),
            "cancelledAtBlock": text(self.cancelled_at_block),
            "totalPaid": text(total_paid(stream)),
        }
        yield self.say(self.room, "stream:updated", stream_view(stream), type="cancelled")
        yield self.say(self.room, "stream:cancelled", data)
        yield from self.tell("stream:cancelled", data, sender=self.sender, recipient=stream.recipient)

    def notices(self, at: Step) -> Iterator[Notice]:
        kind, title = "stream_cancelled", "Stream cancelled"
        data = {
            "streamId": text(self.stream_id),
            "vestedPaid": text(self.vested_paid),
            "unvestedReturned": text(self.unvested_returned),
            "cancellationFee": text(self.cancellation_fee),
        }
        paid = f"{short(self.sender)} cancelled stream {self.stream_id}; {sbtc(self.vested_paid)} was paid out to you."
        back = f"You cancelled stream {self.stream_id}; {sbtc(self.unvested_returned)} came back to you"
        back += f" after a fee of {sbtc(self.cancellation_fee)}."
        yield from self.notify(kind, "high", title, paid, data, self.stream(at).recipient)
        yield from self.notify(kind, "normal", title, back, data, self.sender)


@dataclass(frozen=True, slots=True)
class StreamSenderUpdated(_StreamEvent):
    name: ClassVar[str] = "stream-sender-updated"

    old_sender: Party
    new_sender: Party
    transfer_type: Annotated[str, ascii_text(19)]  # ``direct`` or ``authorized-contract``

    def fold(self, at: Step) -> None:
        at.put(replace(self.stream(at), sender=self.new_sender))
        change = StreamSender(
            event_id=at.place.event_id,
            stream_id=self.stream_id,
            old_sender=self.old_sender,
            new_sender=self.new_sender,
            transfer_type=self.transfer_type,
            sale_id=sale_of(at, self.stream_id),
            block=at.height,
            tx_hash=at.place.tx_hash,
        )
        at.put(change)

    def emissions(self, at: Step) -> Iterator[Emission]:
        stream = self.stream(at)
        view: StreamHandedOver = {
            **stream_view(stream),
            "oldSender": self.old_sender,
            "newSender": self.new_sender,
            "transferType": self.transfer_type,
        }
        data: SenderUpdated = {
            "streamId": text(self.stream_id),
            "oldSender": self.old_sender,
            "newSender": self.new_sender,
            "recipient": stream.recipient,
            "transferType": self.transfer_type,
            "saleId": maybe(sale_of(at, self.stream_id)),
        }
        yield self.say(self.room, "stream:updated", view, type="sender-updated")
        yield self.say(self.room, "stream:sender-updated", data)
        yield from self.tell(
            "stream:sender-updated",
            data,
            old_sender=self.old_sender,
            new_sender=self.new_sender,
            recipient=stream.recipient,
        )

    def notices(self, at: Step) -> Iterator[Notice]:
        kind, title = "stream_sender_updated", "A stream has a new sender"
        data = {"streamId": text(self.stream_id), "oldSender": self.old_sender, "newSender": self.new_sender}
        number, old, new = self.stream_id, short(self.old_sender), short(self.new_sender)
        mine = f"You are the sender of stream {number} now, in place of {old}."
        not_mine = f"{new} is the sender of stream {number} now, in place of you."
        yours = f"{new} is the sender of stream {number}, which pays you, in place of {old}."
        yield from self.notify(kind, "high", title, mine, data, self.new_sender)
        yield from self.notify(kind, "normal", title, not_mine, data, self.old_sender)
        yield from self.notify(kind, "normal", title, yours, data, self.stream(at).recipient)


def stream_link(stream_id: int) -> Link:
    """The page of one stream."""
    return Link(f"/dashboard/streams/{stream_id}", "View stream")


def _completed(stream: Stream, at: Step) -> Stream:
    """An active stream that is drawn to the end is completed, in the block that did it."""
    if stream.status == "active" and stream.amount is not None and stream.withdrawn >= stream.amount:
        return replace(stream, status="completed", completed_at_block=at.height)
    return stream
