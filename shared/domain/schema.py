"""What is said, name by name: the type of ``data``, the types of the event, and who hears it in which part.

The classes of the catalogue build what they say of these types, so that the type checker sees a field that is missing.
``SAID`` joins them to the names. The client's types, the AsyncAPI document and the reference are made of it, and the
tests hold everything that is ever said to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypedDict

from shared.domain.notice import NEW, RETRACTED, TYPES, NotificationView
from shared.domain.rows import NftKind, ProposalKind, StreamStatus
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

# -- streams


class StreamDrawn(StreamView):
    """The stream after a withdrawal, and how much that was."""

    withdrawalAmount: str


class StreamHandedOver(StreamView):
    """The stream with its new payer, and how that came about."""

    oldSender: str
    newSender: str
    transferType: str


class StreamGone(TypedDict):
    """The block that made the stream is not on the chain any more."""

    streamId: str
    status: Literal["reverted"]


class Withdrawn(TypedDict):
    """A withdrawal: ``amount`` is what was drawn now, ``totalWithdrawn`` what has been drawn so far."""

    streamId: str
    sender: str | None
    recipient: str
    amount: str
    totalWithdrawn: str
    remaining: str | None
    streamAmount: str | None
    completed: bool
    status: StreamStatus


class Cancelled(TypedDict):
    """A cancellation, and how the stream's sats were shared out."""

    streamId: str
    sender: str
    recipient: str | None
    unvestedReturned: str
    vestedPaid: str
    cancellationFee: str
    cancelledAtBlock: str
    totalPaid: str


class SenderUpdated(TypedDict):
    """Another payer; ``saleId`` where a sale did it."""

    streamId: str
    oldSender: str
    newSender: str
    recipient: str | None
    transferType: str
    saleId: str | None


# -- NFTs


class NftOwned(TypedDict):
    """An NFT of a stream, and whose it is, or was until it was burned."""

    nft: NftKind
    tokenId: str
    streamId: str
    owner: str


NftMoved = TypedDict(
    "NftMoved",
    {
        "nft": NftKind,
        "tokenId": str,
        "streamId": str,
        "from": str,
        "to": str,
        "streamSender": str | None,
        "syncRequired": bool,
    },
)
NftMoved.__doc__ = "An obligation NFT with a new owner; ``syncRequired``: the stream's payer did not follow."


# -- marketplace


class ListingRepriced(ListingView):
    """The listing with its new price."""

    oldPrice: str
    newPrice: str


class PrivateSale(SaleView):
    """A sale as its buyer and seller know it."""

    paymentId: str | None


class PurchaseInitiated(TypedDict):
    """A checkout began: the listing is reserved until the height ``expiresAt``."""

    streamId: str
    seller: str | None
    buyer: str
    price: str | None
    paymentId: str
    initiatedAt: str
    expiresAt: str


class PurchaseExpired(TypedDict):
    """A checkout was not paid in time."""

    streamId: str
    seller: str | None
    buyer: str
    price: str | None
    paymentId: str | None
    expiresAt: str | None


class MarketFeeUpdated(TypedDict):
    """Another fee of sales, in basis points."""

    oldFeeBps: str
    newFeeBps: str
    updatedBy: str | None


# -- treasury


class BalanceView(TypedDict):
    """The treasury's new balance; ``change`` has a sign."""

    newBalance: str
    previousBalance: str
    change: str
    reason: BalanceReason


BalanceReason: TypeAlias = Literal["fee", "withdrawal", "distribution", "proposal-executed", "reorg"]


class Payout(TypedDict):
    """The legacy admin paid somebody."""

    amount: str
    recipient: str
    admin: str
    newBalance: str


class Distribution(Payout):
    """The legacy admin paid a recipient of fees, who has got ``recipientTotal`` so far."""

    recipientTotal: str


class TreasuryFeeUpdated(TypedDict):
    """Another fee of the protocol, in basis points."""

    oldFeeBps: str
    newFeeBps: str
    admin: str


class AdminTransfer(TypedDict):
    """The rights of an admin are offered to another, or taken over with nobody losing them."""

    currentAdmin: str | None
    newAdmin: str


class TransferCompleted(TypedDict):
    """The new admin took the legacy admin's rights over."""

    oldAdmin: str
    newAdmin: str


class TransferCancelled(TypedDict):
    """The offer was taken back; ``newAdmin`` is who had it."""

    cancelledBy: str
    newAdmin: str | None


class ProposalApproved(TypedDict):
    """One more approval; ``ready``: there are as many as are required."""

    proposalId: str
    kind: ProposalKind
    approver: str
    approvalCount: str
    required: str
    proposer: str | None
    ready: bool


class ProposalReady(TypedDict):
    """The last approval that was needed is in."""

    proposalId: str
    kind: ProposalKind
    proposer: str | None
    approvalCount: str
    required: str
    timelockExpires: str | None
    expiresAt: str | None


class WithdrawalExecuted(TypedDict):
    """A proposed withdrawal was paid."""

    proposalId: str
    kind: ProposalKind
    recipient: str
    amount: str
    approvalCount: str
    executedAt: str
    executor: str | None
    newBalance: str


class AdminProposalExecuted(TypedDict):
    """A proposal about an admin took effect; the counts are those after it."""

    proposalId: str
    kind: ProposalKind
    action: str
    targetAdmin: str
    approvalCount: str
    executedAt: str
    executor: str | None
    activeAdminCount: str
    required: str


class AdminChanged(TypedDict):
    """Who is an admin of the treasury now, or no longer."""

    admin: str
    proposalId: str
    activeAdminCount: str
    required: str


# -- access control


class AdminAdded(TypedDict):
    admin: str
    addedBy: str


class AdminRemoved(TypedDict):
    admin: str
    removedBy: str


class OperatorAdded(TypedDict):
    operator: str
    addedBy: str


class OperatorRemoved(TypedDict):
    operator: str
    removedBy: str


class ContractAuthorized(TypedDict):
    """A contract that may use the vault."""

    contract: str
    authorizedBy: str


class ContractRevoked(TypedDict):
    """A contract that may not use the vault any more."""

    contract: str
    revokedBy: str


class PauseView(TypedDict):
    """Whether the protocol is paused now."""

    paused: bool


class Paused(PauseView):
    pausedBy: str
    pausedAt: str


class Unpaused(PauseView):
    unpausedBy: str
    unpausedAt: str


class BackendChanged(TypedDict):
    """Who may settle checkouts, or no longer; ``by`` sent the transaction."""

    backend: str
    authorized: bool
    by: str | None


# -- what the chain takes back


class StateView(TypedDict, total=False):
    """What is true without a reverted event, by the aggregates that it had changed; null for what is no more."""

    stream: StreamView | None
    listing: ListingView | None
    proposal: ProposalView | None
    treasury: TreasuryView
    market: MarketView
    protocol: ProtocolView


class Reverted(TypedDict):
    """An event that is not on the chain any more; ``names`` are what the room had got of it."""

    event: str
    contract: str
    names: list[str]
    streamId: str | None
    proposalId: str | None
    state: StateView


# -- notifications


class NotificationPushed(NotificationView):
    """A notification, and how many the address has not read now."""

    unread: str


class NotificationRetracted(TypedDict):
    """A notification that does not hold any more, and how many the address has not read now."""

    id: str
    unread: str


# -- who says what to whom

RoomKind: TypeAlias = Literal["user", "stream", "marketplace", "treasury", "access-control", "global"]
Heard: TypeAlias = Mapping[RoomKind, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Said:
    """One way in which a name is said: ``data`` without the chain's facts, the ``types`` of the event, and who hears.

    ``heard`` names, by kind of room, the parts that a listener may have there; a room without parts has no role.
    """

    data: type
    types: tuple[str, ...]
    heard: Heard


def _in(*rooms: RoomKind, user: tuple[str, ...] = ()) -> Heard:
    public: dict[RoomKind, tuple[str, ...]] = dict.fromkeys(rooms, ())
    return public | ({"user": user} if user else {})


_STREAM: Final = _in("stream")
_OFFER: Final = _in("marketplace", user=("seller",))
_BOTH: Final = _in("marketplace", user=("seller", "buyer"))
_ROLE: Final = _in("access-control", user=("target",))
_HANDED: Final = _in("access-control", user=("current-admin", "new-admin"))
_OFFERED: Final = _in("treasury", user=("current-admin", "new-admin", "admin"))
_TAKEN_OVER: Final = _in("treasury", user=("old-admin", "new-admin", "admin"))
_ADMINS: Final = _in("treasury", user=("admin", "proposer"))
_APPROVERS: Final = _in("treasury", user=("approver", "proposer"))
_TREASURY: Final = _in("treasury")
_FEES: Final = ("fee-collected", "cancellation-fee-collected", "marketplace-fee-collected")
ROLES: Final = (
    "sender",
    "recipient",
    "old-sender",
    "new-sender",
    "owner",
    "seller",
    "buyer",
    "current-admin",
    "old-admin",
    "new-admin",
    "admin",
    "proposer",
    "approver",
    "target",
)

SAID: Final[Mapping[str, tuple[Said, ...]]] = {
    "stream:created": (Said(StreamView, ("stream-created",), _in(user=("sender", "recipient"))),),
    "stream:updated": (
        Said(StreamView, ("created", "cancelled", "sender-updated", "reverted"), _STREAM),
        Said(StreamDrawn, ("withdrawal",), _STREAM),
        Said(StreamHandedOver, ("sender-updated",), _STREAM),
        Said(StreamGone, ("reverted",), _STREAM),
    ),
    "stream:withdrawal": (Said(Withdrawn, ("stream-withdrawal",), _in("stream", user=("sender", "recipient"))),),
    "stream:cancelled": (Said(Cancelled, ("stream-cancelled",), _in("stream", user=("sender", "recipient"))),),
    "stream:sender-updated": (
        Said(
            SenderUpdated,
            ("stream-sender-updated",),
            _in("stream", user=("old-sender", "new-sender", "recipient")),
        ),
    ),
    "nft:minted": (Said(NftOwned, ("obligation-minted", "recipient-nft-minted"), _in("stream", user=("owner",))),),
    "nft:transferred": (Said(NftMoved, ("obligation-transferred",), _in("stream", user=("sender",))),),
    "nft:received": (Said(NftMoved, ("obligation-transferred",), _in(user=("recipient",))),),
    "nft:burned": (Said(NftOwned, ("obligation-nft-burned", "recipient-nft-burned"), _in("stream", user=("owner",))),),
    "marketplace:new-listing": (Said(ListingView, ("nft-listed", "listing-restored", "reverted"), _OFFER),),
    "marketplace:listing-updated": (
        Said(ListingRepriced, ("listing-price-updated",), _BOTH),
        Said(ListingView, ("purchase-initiated", "purchase-expired"), _in("marketplace")),
        Said(ListingView, ("reverted",), _OFFER),
    ),
    "marketplace:listing-cancelled": (
        Said(ListingView, ("listing-cancelled", "reverted"), _OFFER),
        Said(ListingView, ("listing-auto-cancelled",), _BOTH),
    ),
    "marketplace:sale": (
        Said(SaleView, ("sale-completed",), _in("marketplace")),
        Said(PrivateSale, ("purchase-completed",), _in(user=("buyer",))),
        Said(PrivateSale, ("sale-completed",), _in(user=("seller",))),
    ),
    "marketplace:purchase-initiated": (
        Said(PurchaseInitiated, ("purchase-initiated",), _in(user=("buyer", "seller"))),
    ),
    "marketplace:purchase-expired": (Said(PurchaseExpired, ("purchase-expired",), _in(user=("buyer", "seller"))),),
    "marketplace:config-updated": (Said(MarketFeeUpdated, ("fee-updated",), _in("marketplace")),),
    "treasury:fee-collected": (Said(FeeView, _FEES, _TREASURY),),
    "treasury:balance-updated": (
        Said(BalanceView, (*_FEES, "withdrawal", "distribution", "withdrawal-executed", "reverted"), _TREASURY),
    ),
    "treasury:withdrawal": (Said(Payout, ("withdrawal",), _in("treasury", user=("recipient", "admin"))),),
    "treasury:distribution": (Said(Distribution, ("distribution",), _in("treasury", user=("recipient", "admin"))),),
    "treasury:config-updated": (Said(TreasuryFeeUpdated, ("fee-updated",), _in("treasury", user=("admin",))),),
    "treasury:admin-transfer": (
        Said(AdminTransfer, ("admin-transfer-proposed",), _OFFERED),
        Said(TransferCompleted, ("admin-transfer-completed",), _TAKEN_OVER),
        Said(TransferCancelled, ("admin-transfer-cancelled",), _OFFERED),
    ),
    "treasury:proposal-created": (Said(ProposalView, ("withdrawal-proposed",), _ADMINS),),
    "treasury:proposal-approved": (Said(ProposalApproved, ("withdrawal-approved",), _APPROVERS),),
    "treasury:proposal-ready": (Said(ProposalReady, ("proposal-ready",), _in("treasury", user=("proposer",))),),
    "treasury:proposal-executed": (
        Said(WithdrawalExecuted, ("withdrawal-executed",), _in("treasury", user=("recipient", "admin", "proposer"))),
    ),
    "treasury:admin-proposal-created": (
        Said(
            ProposalView,
            ("add-admin-proposed", "remove-admin-proposed"),
            _in("treasury", user=("target", "admin", "proposer")),
        ),
    ),
    "treasury:admin-proposal-approved": (Said(ProposalApproved, ("admin-proposal-approved",), _APPROVERS),),
    "treasury:admin-proposal-executed": (Said(AdminProposalExecuted, ("admin-proposal-executed",), _ADMINS),),
    "treasury:admin-added": (Said(AdminChanged, ("admin-added",), _in("treasury", user=("target",))),),
    "treasury:admin-removed": (Said(AdminChanged, ("admin-removed",), _in("treasury", user=("target",))),),
    "access-control:role-changed": (
        Said(AdminAdded, ("admin-added",), _ROLE),
        Said(AdminRemoved, ("admin-removed",), _ROLE),
        Said(OperatorAdded, ("operator-added",), _ROLE),
        Said(OperatorRemoved, ("operator-removed",), _ROLE),
    ),
    "access-control:contract": (
        Said(ContractAuthorized, ("contract-authorized",), _in("access-control", user=("admin",))),
        Said(ContractRevoked, ("contract-revoked",), _in("access-control", user=("admin",))),
    ),
    "access-control:admin-transfer": (
        Said(AdminTransfer, ("admin-transfer-initiated", "admin-transfer-completed"), _HANDED),
    ),
    "access-control:backend": (
        Said(BackendChanged, ("backend-authorized", "backend-deauthorized"), _in("access-control")),
    ),
    "access-control:protocol": (
        Said(Paused, ("protocol-paused",), _in("global")),
        Said(Unpaused, ("protocol-unpaused",), _in("global")),
        Said(PauseView, ("reverted",), _in("global")),
    ),
    "chain:reverted": (
        Said(
            Reverted,
            ("reverted",),
            _in("stream", "marketplace", "treasury", "access-control", "global", user=ROLES),
        ),
    ),
    NEW: (Said(NotificationPushed, tuple(TYPES), {"user": ()}),),
    RETRACTED: (Said(NotificationRetracted, tuple(TYPES), {"user": ()}),),
}
