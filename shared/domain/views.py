"""Rows in the words of the wire. Every quantity is decimal text; what is not known is null.

The types name what a browser gets, in emissions and in snapshots alike; the document of the HTTP routes is made of
them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from shared.domain.rows import (
    AccessRole,
    FeeKind,
    Listing,
    ListingReason,
    ListingStatus,
    MarketState,
    Proposal,
    ProposalKind,
    ProtocolState,
    Sale,
    SaleKind,
    Stream,
    StreamStatus,
    TreasuryAdmin,
    TreasuryFee,
    TreasuryState,
)

OPEN_LISTING = ("active", "pending")  # what a marketplace shows


class StreamView(TypedDict):
    """A stream: ``amount`` in all, ``withdrawn`` so far, ``totalPaid`` with what a cancellation paid out, and what may
    still be drawn, ``remaining``.
    """

    streamId: str
    sender: str | None
    recipient: str | None
    amount: str | None
    startBlock: str | None
    endBlock: str | None
    withdrawn: str
    totalPaid: str
    remaining: str | None
    status: StreamStatus
    cancelledAtBlock: str | None
    unvestedReturned: str | None
    vestedPaid: str | None
    cancellationFee: str | None


class Vesting(TypedDict):
    """What the chain's height makes of a stream."""

    vested: str | None
    withdrawable: str | None
    phase: Literal["scheduled", "streaming", "ended"] | None


class ListingView(TypedDict):
    """The offer of a stream's obligation NFT. ``reverted``: it was never made, for the chain took its block back."""

    streamId: str
    seller: str | None
    price: str | None
    listedAt: str | None
    status: ListingStatus | Literal["reverted"]
    reason: ListingReason | Literal["ownership_restored", "reorg"] | None


class SaleView(TypedDict):
    """A sale as all may know it; what is not known of its fee is null."""

    streamId: str
    seller: str
    buyer: str
    price: str
    marketplaceFee: str | None
    sellerProceeds: str | None
    saleId: str
    saleType: SaleKind


ProposalState: TypeAlias = Literal["executed", "expired", "pending", "timelocked", "ready"]


class ProposalView(TypedDict):
    """A proposal of the treasury's admins; ``approvals`` are addresses in the order of approval."""

    proposalId: str
    kind: ProposalKind
    proposer: str | None
    recipient: str | None
    amount: str | None
    description: str | None
    action: Literal["add", "remove"] | None
    targetAdmin: str | None
    approvals: list[str]
    approvalCount: str
    required: str
    proposedAt: str | None
    timelockExpires: str | None
    expiresAt: str | None
    executed: bool
    executedAt: str | None


class FeeView(TypedDict):
    """A collected fee, and what it was paid for."""

    feeType: FeeKind
    amount: str
    caller: str
    newBalance: str
    streamId: str | None
    saleId: str | None


class MarketView(TypedDict):
    """The marketplace's fee in basis points, and its totals."""

    feeBps: str
    totalListings: str
    totalSales: str
    totalVolume: str


class TreasuryView(TypedDict):
    """The treasury; ``required`` is how many must approve, ``admins`` are addresses."""

    balance: str
    totalFees: str
    feeBps: str
    admin: str | None
    pendingAdmin: str | None
    activeAdminCount: str
    required: str
    admins: list[str]


class ProtocolView(TypedDict):
    """Whether all is paused, and who may do that."""

    paused: bool
    pendingAdmin: str | None
    admins: list[str]
    operators: list[str]


def text(number: int) -> str:
    """A quantity on the wire."""
    return str(number)


def maybe(number: int | None) -> str | None:
    """A quantity on the wire, or null."""
    return None if number is None else str(number)


def stream_view(stream: Stream) -> StreamView:
    """StreamView: absolute values, so that a client replaces what it has."""
    return {
        "streamId": text(stream.stream_id),
        "sender": stream.sender,
        "recipient": stream.recipient,
        "amount": maybe(stream.amount),
        "startBlock": maybe(stream.start_block),
        "endBlock": maybe(stream.end_block),
        "withdrawn": text(stream.withdrawn),
        "totalPaid": text(total_paid(stream)),
        "remaining": maybe(remaining(stream)),
        "status": stream.status,
        "cancelledAtBlock": maybe(stream.cancelled_at_block),
        "unvestedReturned": maybe(stream.unvested_returned),
        "vestedPaid": maybe(stream.vested_paid),
        "cancellationFee": maybe(stream.cancellation_fee),
    }


def total_paid(stream: Stream) -> int:
    """Sats that the recipient got, by withdrawals and at the end."""
    return stream.withdrawn + (stream.vested_paid or 0)


def remaining(stream: Stream) -> int | None:
    """Sats the recipient may still draw over the stream's life; 0 once it is closed."""
    if stream.status != "active":
        return 0
    return None if stream.amount is None else stream.amount - stream.withdrawn


def vesting(stream: Stream, tip: int) -> Vesting:
    """What the chain's height makes of a stream: ``vested`` and ``withdrawable`` sats, and its phase."""
    start, end, amount = stream.start_block, stream.end_block, stream.amount
    if start is None or end is None or amount is None:
        return {"vested": None, "withdrawable": None, "phase": None}
    if stream.status == "cancelled":
        vested = total_paid(stream)
    elif tip < start:
        vested = 0
    elif tip >= end:
        vested = amount
    else:
        vested = amount * (tip - start) // (end - start)
    withdrawable = max(0, vested - stream.withdrawn) if stream.status == "active" else 0
    return {
        "vested": text(vested),
        "withdrawable": text(withdrawable),
        "phase": "scheduled" if tip < start else "streaming" if tip < end else "ended",
    }


def listing_view(listing: Listing, reason: Literal["ownership_restored", "reorg"] | None = None) -> ListingView:
    """ListingView, with another ``reason`` where an emission has one of its own."""
    return {
        "streamId": text(listing.stream_id),
        "seller": listing.seller,
        "price": maybe(listing.price),
        "listedAt": maybe(listing.listed_at_block),
        "status": listing.status,
        "reason": reason or listing.reason,
    }


def purchasable(listing: Listing, stream: Stream | None, tip: int) -> bool:
    """Whether anyone may buy now: an active offer of a stream that has not ended."""
    ended = stream is not None and stream.end_block is not None and tip >= stream.end_block
    return listing.status == "active" and not ended


def sale_view(sale: Sale) -> SaleView:
    """A sale as all may know it: its payment id is between buyer and seller."""
    return {
        "streamId": text(sale.stream_id),
        "seller": sale.seller,
        "buyer": sale.buyer,
        "price": text(sale.price),
        "marketplaceFee": maybe(sale.marketplace_fee),
        "sellerProceeds": maybe(sale.seller_proceeds),
        "saleId": text(sale.sale_id),
        "saleType": sale.kind,
    }


def proposal_view(proposal: Proposal, treasury: TreasuryState) -> ProposalView:
    """ProposalView; ``required`` is what the treasury asks for now."""
    action: dict[ProposalKind, Literal["add", "remove"]] = {"add-admin": "add", "remove-admin": "remove"}
    return {
        "proposalId": text(proposal.proposal_id),
        "kind": proposal.kind,
        "proposer": proposal.proposer,
        "recipient": proposal.recipient,
        "amount": maybe(proposal.amount),
        "description": proposal.description,
        "action": action.get(proposal.kind),
        "targetAdmin": proposal.target_admin,
        "approvals": list(proposal.approvers),
        "approvalCount": text(proposal.approval_count),
        "required": text(treasury.required_signatures),
        "proposedAt": maybe(proposal.proposed_at_block),
        "timelockExpires": maybe(proposal.timelock_block),
        "expiresAt": maybe(proposal.expires_at_block),
        "executed": proposal.status == "executed",
        "executedAt": maybe(proposal.executed_at_block),
    }


def proposal_state(proposal: Proposal, treasury: TreasuryState, tip: int) -> ProposalState:
    """What the chain's height makes of a proposal: executed, expired, pending, timelocked or ready."""
    if proposal.status == "executed":
        return "executed"
    if proposal.expires_at_block is not None and tip >= proposal.expires_at_block:
        return "expired"
    if proposal.approval_count < treasury.required_signatures:
        return "pending"
    if proposal.timelock_block is not None and tip < proposal.timelock_block:
        return "timelocked"
    return "ready"


def fee_view(fee: TreasuryFee) -> FeeView:
    """What a collected fee says."""
    return {
        "feeType": fee.kind,
        "amount": text(fee.amount),
        "caller": fee.caller,
        "newBalance": text(fee.new_balance),
        "streamId": maybe(fee.stream_id),
        "saleId": maybe(fee.sale_id),
    }


def market_view(market: MarketState) -> MarketView:
    return {
        "feeBps": text(market.fee_bps),
        "totalListings": text(market.total_listings),
        "totalSales": text(market.total_sales),
        "totalVolume": text(market.total_volume),
    }


def treasury_view(treasury: TreasuryState, admins: list[TreasuryAdmin]) -> TreasuryView:
    return {
        "balance": text(treasury.balance),
        "totalFees": text(treasury.total_fees),
        "feeBps": text(treasury.fee_bps),
        "admin": treasury.admin,
        "pendingAdmin": treasury.pending_admin,
        "activeAdminCount": text(treasury.active_admin_count),
        "required": text(treasury.required_signatures),
        "admins": sorted(it.address for it in admins if it.active),
    }


def protocol_view(protocol: ProtocolState, roles: list[AccessRole]) -> ProtocolView:
    active = [role for role in roles if role.active]
    return {
        "paused": protocol.paused,
        "pendingAdmin": protocol.pending_admin,
        "admins": sorted(role.principal for role in active if role.kind == "admin"),
        "operators": sorted(role.principal for role in active if role.kind == "operator"),
    }


def sync_required(owner: str | None, stream: Stream | None) -> bool:
    """Whether the obligation NFT has moved to ``owner`` and the stream's payer did not follow."""
    return bool(stream and owner and stream.status == "active" and stream.sender != owner)
