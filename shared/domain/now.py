"""Rows as a snapshot shows them: in the words of the wire, with what the chain's tip makes of them.

``tip`` is a height. What follows from it is never stored, for it changes with every block and no event.
"""

from __future__ import annotations

from typing import TypedDict

from shared.domain.rows import Listing, Nft, NftStatus, Proposal, Purchase, Sale, Stream, TreasuryFee, TreasuryState
from shared.domain.views import (
    FeeView,
    ListingView,
    ProposalState,
    ProposalView,
    SaleView,
    StreamView,
    Vesting,
    fee_view,
    listing_view,
    maybe,
    proposal_state,
    proposal_view,
    purchasable,
    sale_view,
    stream_view,
    sync_required,
    text,
    vesting,
)


class ChainFacts(TypedDict):
    """Where on the chain it happened; ``timestamp`` in unix seconds."""

    txHash: str
    blockHeight: int
    blockHash: str
    timestamp: int


class StreamNow(StreamView, Vesting):
    """A stream at the tip."""


class ListingNow(ListingView):
    """A listing at the tip; ``purchasable``: anyone may buy now."""

    purchasable: bool


class NftView(TypedDict):
    """An NFT; one that is burned has no owner."""

    owner: str | None
    status: NftStatus


class ObligationNow(NftView):
    """The obligation NFT; ``syncRequired``: it has another owner than the stream has a payer."""

    syncRequired: bool


class PurchaseNow(TypedDict):
    """A checkout as all may know it; ``lapsed``: its time is over at the tip, and nobody has closed it yet."""

    streamId: str
    buyer: str
    seller: str | None
    price: str | None
    initiatedAt: str
    expiresAt: str
    lapsed: bool


class SaleTold(SaleView, ChainFacts):
    """A sale, and where it happened."""


class ProposalNow(ProposalView):
    """A proposal at the tip."""

    state: ProposalState


class FeeTold(FeeView, ChainFacts):
    """A collected fee, and where it happened."""


def stream_now(stream: Stream, tip: int) -> StreamNow:
    return {**stream_view(stream), **vesting(stream, tip)}


def listing_now(listing: Listing, stream: Stream | None, tip: int) -> ListingNow:
    return {**listing_view(listing), "purchasable": purchasable(listing, stream, tip)}


def nft_view(nft: Nft) -> NftView:
    return {"owner": nft.owner, "status": nft.status}


def obligation_now(nft: Nft, stream: Stream | None) -> ObligationNow:
    return {**nft_view(nft), "syncRequired": sync_required(nft.owner, stream)}


def purchase_now(purchase: Purchase, tip: int) -> PurchaseNow:
    """Without the payment id, which is between buyer and seller."""
    return {
        "streamId": text(purchase.stream_id),
        "buyer": purchase.buyer,
        "seller": purchase.seller,
        "price": maybe(purchase.price),
        "initiatedAt": text(purchase.initiated_at_block),
        "expiresAt": text(purchase.expires_at_block),
        "lapsed": purchase.status == "pending" and tip >= purchase.expires_at_block,
    }


def sale_told(sale: Sale) -> SaleTold:
    return {**sale_view(sale), **_facts(sale.tx_hash, sale.sold_at_block, sale.block_hash, sale.sold_at)}


def proposal_now(proposal: Proposal, treasury: TreasuryState, tip: int) -> ProposalNow:
    return {**proposal_view(proposal, treasury), "state": proposal_state(proposal, treasury, tip)}


def fee_told(fee: TreasuryFee) -> FeeTold:
    return {**fee_view(fee), **_facts(fee.tx_hash, fee.block, fee.block_hash, fee.block_time)}


def _facts(tx_hash: str, height: int, block_hash: str, time: int) -> ChainFacts:
    return {"txHash": tx_hash, "blockHeight": height, "blockHash": block_hash, "timestamp": time}
