"""Calls of the core contract: streams are opened, drawn, closed and handed over. Pure."""

from __future__ import annotations

from deploy.local.actions.signed import Outcome, Said, Signed, number, printed
from deploy.local.chainhook import Event, FtTransfer, NftMint, Print
from deploy.local.world import Cast, Stream, World
from shared.domain.clarity import Ascii

FEE_PERCENT = 1  # of what had not vested, kept by the treasury when a stream is cancelled
SHORTEST = 10  # blocks


class Create(Signed, frozen=True):
    recipient: str
    amount: int
    start: int
    end: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.core, "create-stream", (self.recipient, self.amount, self.start, self.end)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if world.access.is_paused or self.recipient == self.sender or self.amount <= 0:
            return None
        if self.start < height or self.end - self.start < SHORTEST:
            return None
        stream_id, ids = world.created + 1, cast.contracts
        parties = self.sender, self.recipient
        stream = Stream(*parties, self.amount, self.start, self.end, *parties)
        created = printed(
            ids.core,
            "stream-created",
            stream_id=stream_id,
            sender=self.sender,
            recipient=self.recipient,
            amount=self.amount,
            start_block=self.start,
            end_block=self.end,
        )
        events = (
            FtTransfer(self.amount, self.sender, cast.vault),
            NftMint(ids.recipient_asset, stream_id, self.recipient),
            NftMint(ids.obligation_asset, stream_id, self.sender),
            printed(ids.obligation, "obligation-minted", stream_id=stream_id, token_id=stream_id, owner=self.sender),
            created,
        )
        return Outcome(world.with_stream(stream_id, stream).but(created=stream_id), events, number(stream_id))


class Withdraw(Signed, frozen=True):
    stream_id: int
    amount: int | None = None  # None: all that has vested

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        if self.amount is None:
            return cast.contracts.core, "withdraw-from-stream", (self.stream_id,)
        return cast.contracts.core, "withdraw-partial", (self.stream_id, self.amount)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or stream.recipient != self.sender or cast.contracts.core not in world.access.contracts:
            return None
        amount = stream.withdrawable(height) if self.amount is None else self.amount
        if not 0 < amount <= stream.withdrawable(height):
            return None
        told = printed(
            cast.contracts.core, "stream-withdrawal", stream_id=self.stream_id, recipient=self.sender, amount=amount
        )
        drawn = world.with_stream(self.stream_id, stream.but(withdrawn=stream.withdrawn + amount))
        return Outcome(drawn, (FtTransfer(amount, cast.vault, self.sender), told), number(amount))


class Cancel(Signed, frozen=True):
    stream_id: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.core, "cancel-stream", (self.stream_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or stream.is_cancelled or stream.sender != self.sender:
            return None
        paid, unvested = stream.withdrawable(height), stream.amount - stream.vested(height)
        fee = unvested * FEE_PERCENT // 100
        if cast.contracts.core not in world.access.contracts or (fee and world.access.is_paused):
            return None
        balance = world.treasury.balance + fee
        events: list[Event] = []
        if fee:
            collected = printed(
                cast.contracts.treasury,
                "treasury-cancellation-fee-collected",
                amount=fee,
                caller=cast.contracts.core,
                new_balance=balance,
            )
            events += FtTransfer(fee, cast.vault, cast.contracts.treasury), collected
        if unvested > fee:
            events.append(FtTransfer(unvested - fee, cast.vault, self.sender))
        if paid:
            events.append(FtTransfer(paid, cast.vault, stream.recipient))
        cancelled = printed(
            cast.contracts.core,
            "stream-cancelled",
            stream_id=self.stream_id,
            sender=self.sender,
            unvested_returned=unvested - fee,
            cancellation_fee=fee,
            vested_paid=paid,
            cancelled_at_block=height,
        )
        closed = world.with_stream(self.stream_id, stream.but(is_cancelled=True, withdrawn=stream.amount))
        return Outcome(closed.but(treasury=world.treasury.but(balance=balance)), (*events, cancelled))


class HandOver(Signed, frozen=True):
    """The payer names another payer; where the obligation NFT moved before, its owner as a rule."""

    stream_id: int
    new_sender: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.core, "update-stream-sender", (self.stream_id, self.new_sender)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or stream.is_cancelled or stream.sender != self.sender:
            return None
        told = sender_updated(self.stream_id, stream, self.new_sender, self.sender, cast)
        return Outcome(world.with_stream(self.stream_id, stream.but(sender=self.new_sender)), (told,))


def sender_updated(stream_id: int, stream: Stream, new_sender: str, signer: str, cast: Cast) -> Print:
    """What core says when the payer changes, in a transaction of ``signer``."""
    return printed(
        cast.contracts.core,
        "stream-sender-updated",
        stream_id=stream_id,
        old_sender=stream.sender,
        new_sender=new_sender,
        transfer_type=Ascii("direct" if signer == stream.sender else "authorized-contract"),
    )
