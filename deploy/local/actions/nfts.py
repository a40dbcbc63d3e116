"""Calls of the two NFT contracts. A token's id is its stream's. Pure."""

from __future__ import annotations

from deploy.local.actions.signed import Outcome, Said, Signed, printed
from deploy.local.chainhook import Event, NftBurn, NftTransfer
from deploy.local.world import Cast, World
from shared.domain.clarity import Ascii

NOTE = "New owner must call update-stream-sender to complete transfer"  # it is wrong: the old one must


class TransferObligation(Signed, frozen=True):
    """The owner gives the obligation NFT away. The payer of the stream stays who it was."""

    token_id: int
    recipient: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.obligation, "transfer", (self.token_id, self.sender, self.recipient)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.token_id)
        if stream is None or stream.obligation != self.sender or self.recipient == self.sender:
            return None
        moved = world.with_stream(self.token_id, stream.but(obligation=self.recipient))
        return Outcome(moved, obligation_transferred(self.token_id, self.sender, self.recipient, cast))


class Burn(Signed, frozen=True):
    """The owner of one of a stream's NFTs destroys it: the obligation, or else the recipient's receipt."""

    token_id: int
    is_obligation: bool

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        contract = cast.contracts.obligation if self.is_obligation else cast.contracts.recipient
        return contract, "burn", (self.token_id, self.sender)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.token_id)
        if stream is None or self.sender != (stream.obligation if self.is_obligation else stream.receipt):
            return None
        burnt = stream.but(obligation=None) if self.is_obligation else stream.but(receipt=None)
        asset = cast.contracts.obligation_asset if self.is_obligation else cast.contracts.recipient_asset
        return Outcome(world.with_stream(self.token_id, burnt), (NftBurn(asset, self.token_id, self.sender),))


def obligation_transferred(token_id: int, owner: str, recipient: str, cast: Cast) -> tuple[Event, ...]:
    """The chain's own event, then the contract's print."""
    told = printed(
        cast.contracts.obligation,
        "obligation-transferred",
        stream_id=token_id,
        token_id=token_id,
        from_=owner,
        to=recipient,
        note=Ascii(NOTE),
    )
    return NftTransfer(cast.contracts.obligation_asset, token_id, owner, recipient), told
