"""The ``data`` of everything that is said, by name: one type a name, held against what tests write into the outbox.

Client types are made of these. Each is followed by the four facts of the chain, but for what operators broadcast.
"""

# ruff: noqa: N815 - the keys are the wire's

from __future__ import annotations

from typing import Any, Final, Literal, TypedDict

from shared.domain.notice import NotificationView
from shared.domain.now import ChainFacts
from shared.domain.views import (
    FeeView,
    ListingView,
    MarketView,
    ProposalView,
    ProtocolView,
    SaleView,
    StreamView,
    TreasuryView,
)


class StreamCreated(StreamView, ChainFacts):
    """The stream as it began."""


class StreamUpdated(StreamView, ChainFacts, total=False):
    """The stream as it is now: replace what you have. What changed it may add a word."""

    withdrawalAmount: str
    oldSender: str
    newSender: str
    transferType: str


class StreamGone(ChainFacts):
    """The chain took back what made the stream."""

    streamId: str
    status: Literal["reverted"]


class StreamWithdrawal(ChainFacts):
    """``amount`` is this withdrawal's."""

    streamId: str
    sender: str | None
    recipient: str | None
    amount: str
    totalWithdrawn: str
    remaining: str | None
    streamAmount: str | None
    completed: bool
    status: str


class StreamCancelled(ChainFacts):
    streamId: str
    sender: str | None
    recipient: str | None
    unvestedReturned: str
    vestedPaid: str
    cancellationFee: str
    cancelledAtBlock: str
    totalPaid: str


class StreamSenderUpdated(ChainFacts):
    streamId: str
    oldSender: str
    newSender: str
    recipient: str | None
    transferType: str
    saleId: str | None


class ListingTold(ListingView, ChainFacts):
    """The listing as it is now."""


class ListingUpdated(ListingView, ChainFacts, total=False):
    """The listing as it is now; a new price says both."""

    oldPrice: str
    newPrice: str


class SaleCompleted(SaleView, ChainFacts, total=False):
    """A sale; ``paymentId`` to buyer and seller alone."""

    paymentId: str | None


class _Checkout(ChainFacts):
    streamId: str
    seller: str | None
    buyer: str
    price: str | None
    paymentId: str | None


class PurchaseInitiated(_Checkout):
    initiatedAt: str
    expiresAt: str


class PurchaseExpired(_Checkout):
    expiresAt: str | None


class MarketConfigUpdated(ChainFacts):
    oldFeeBps: str
    newFeeBps: str
    updatedBy: str | None


class FeeCollected(FeeView, ChainFacts):
    """A fee that reached the treasury."""


class BalanceUpdated(ChainFacts):
    """``change`` is signed."""

    newBalance: str
    previousBalance: str
    change: str
    reason: str


class TreasuryWithdrawal(ChainFacts):
    amount: str
    recipient: str
    admin: str
    newBalance: str


class TreasuryDistribution(TreasuryWithdrawal):
    recipientTotal: str


class TreasuryConfigUpdated(ChainFacts):
    oldFeeBps: str
    newFeeBps: str
    admin: str | None


class TreasuryAdminTransfer(ChainFacts, total=False):
    """``currentAdmin`` when proposed, ``oldAdmin`` when completed, ``cancelledBy`` when cancelled."""

    currentAdmin: str
    oldAdmin: str
    cancelledBy: str | None
    newAdmin: str | None


class ProposalCreated(ProposalView, ChainFacts):
    """The proposal as it is now."""


class ProposalApproved(ChainFacts):
    proposalId: str
    kind: str
    approver: str
    approvalCount: str
    required: str
    proposer: str | None
    ready: bool


class ProposalReady(ChainFacts):
    proposalId: str
    kind: str
    proposer: str | None
    approvalCount: str
    required: str
    timelockExpires: str | None
    expiresAt: str | None


class ProposalExecuted(ChainFacts):
    proposalId: str
    kind: str
    recipient: str | None
    amount: str | None
    approvalCount: str
    executedAt: str | None
    executor: str | None
    newBalance: str


class AdminProposalExecuted(ChainFacts):
    proposalId: str
    kind: str
    action: str | None
    targetAdmin: str | None
    approvalCount: str
    executedAt: str | None
    executor: str | None
    activeAdminCount: str
    required: str


class TreasuryAdminChanged(ChainFacts):
    admin: str
    proposalId: str
    activeAdminCount: str
    required: str


class BackendChanged(ChainFacts):
    backend: str
    authorized: bool
    by: str | None


class RoleChanged(ChainFacts, total=False):
    """One principal, and who did it."""

    admin: str
    operator: str
    addedBy: str
    removedBy: str


class ContractChanged(ChainFacts, total=False):
    contract: str
    authorizedBy: str
    revokedBy: str


class ProtocolChanged(ChainFacts, total=False):
    paused: bool
    pausedBy: str
    pausedAt: str
    unpausedBy: str
    unpausedAt: str


class AccessAdminTransfer(ChainFacts):
    currentAdmin: str
    newAdmin: str


class NftOwned(ChainFacts):
    nft: str
    tokenId: str
    streamId: str
    owner: str | None


_Moved = TypedDict(
    "_Moved",
    {
        "nft": str,
        "tokenId": str,
        "streamId": str,
        "from": str,
        "to": str,
        "streamSender": str | None,
        "syncRequired": bool,
    },
)


class NftMoved(_Moved, ChainFacts):
    """The obligation went to another owner."""


class State(TypedDict, total=False):
    """What is true after a rollback, of the aggregates that the event belonged to; null: it does not exist any more."""

    stream: StreamView | None
    listing: ListingView | None
    proposal: ProposalView | None
    treasury: TreasuryView
    market: MarketView
    protocol: ProtocolView


class Reverted(ChainFacts):
    """An event that the chain took back, and the names under which this room had heard of it."""

    event: str
    contract: str
    names: list[str]
    streamId: str | None
    proposalId: str | None
    state: State


class NotificationNew(NotificationView, ChainFacts):
    """A notification, and how many its address has not read."""

    unread: str


class NotificationRetracted(ChainFacts):
    id: str
    unread: str


SAID: Final[dict[str, Any]] = {
    "stream:created": StreamCreated,
    "stream:updated": StreamUpdated | StreamGone,
    "stream:withdrawal": StreamWithdrawal,
    "stream:cancelled": StreamCancelled,
    "stream:sender-updated": StreamSenderUpdated,
    "nft:minted": NftOwned,
    "nft:transferred": NftMoved,
    "nft:received": NftMoved,
    "nft:burned": NftOwned,
    "marketplace:new-listing": ListingTold,
    "marketplace:listing-updated": ListingUpdated,
    "marketplace:listing-cancelled": ListingTold,
    "marketplace:sale": SaleCompleted,
    "marketplace:purchase-initiated": PurchaseInitiated,
    "marketplace:purchase-expired": PurchaseExpired,
    "marketplace:config-updated": MarketConfigUpdated,
    "treasury:fee-collected": FeeCollected,
    "treasury:balance-updated": BalanceUpdated,
    "treasury:withdrawal": TreasuryWithdrawal,
    "treasury:distribution": TreasuryDistribution,
    "treasury:config-updated": TreasuryConfigUpdated,
    "treasury:admin-transfer": TreasuryAdminTransfer,
    "treasury:proposal-created": ProposalCreated,
    "treasury:proposal-approved": ProposalApproved,
    "treasury:proposal-ready": ProposalReady,
    "treasury:proposal-executed": ProposalExecuted,
    "treasury:admin-proposal-created": ProposalCreated,
    "treasury:admin-proposal-approved": ProposalApproved,
    "treasury:admin-proposal-executed": AdminProposalExecuted,
    "treasury:admin-added": TreasuryAdminChanged,
    "treasury:admin-removed": TreasuryAdminChanged,
    "access-control:backend": BackendChanged,
    "access-control:role-changed": RoleChanged,
    "access-control:contract": ContractChanged,
    "access-control:protocol": ProtocolChanged,
    "access-control:admin-transfer": AccessAdminTransfer,
    "chain:reverted": Reverted,
    "notification:new": NotificationNew,
    "notification:retracted": NotificationRetracted,
}
FLAT: Final = ("marketplace:", "treasury:")
"""Of these names every key of ``data`` stands at the top level too."""
