"""The rows that the fold writes: one frozen dataclass a projection, field for field its table.

Every row belongs to one aggregate, which alone decides it: folding an aggregate's events again, in the order of the
chain, gives its rows again. Amounts are sats, heights those of Stacks; None is not known (yet).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from shared.domain.chain import Contracts

StreamStatus: TypeAlias = Literal["active", "completed", "cancelled"]
ListingStatus: TypeAlias = Literal["active", "pending", "sold", "cancelled", "auto_cancelled"]
ListingReason: TypeAlias = Literal["seller", "stream_cancelled", "stream_completed", "nft_burned", "nft_transferred"]
NftKind: TypeAlias = Literal["obligation", "recipient"]
NftStatus: TypeAlias = Literal["minted", "burned"]
SaleKind: TypeAlias = Literal["direct", "gateway"]
FeeKind: TypeAlias = Literal["general", "cancellation", "marketplace"]
ProposalKind: TypeAlias = Literal["withdrawal", "add-admin", "remove-admin"]
ProposalStatus: TypeAlias = Literal["pending", "executed"]

TREASURY = "treasury"
MARKET = "market"
ACCESS = "access"


def stream_aggregate(stream_id: int) -> str:
    """Name of the aggregate that folds all about one stream: its NFTs and its listing too."""
    return f"stream:{stream_id}"


def proposal_aggregate(proposal_id: int) -> str:
    """Name of the aggregate that folds all about one proposal of the treasury's admins."""
    return f"proposal:{proposal_id}"


def id_of(aggregate: str) -> int:
    """The number in the name of a stream's or a proposal's aggregate."""
    return int(aggregate.partition(":")[2])


class Row(Protocol):
    """A row of a projection, and the aggregate that owns it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    last_event_id: str  # the event that last changed it; empty where it is as at genesis
    updated_block: int

    @property
    def key(self) -> Any: ...

    @property
    def aggregate(self) -> str: ...


class _OfStream:
    __slots__ = ()
    stream_id: int

    @property
    def key(self) -> Any:
        return self.stream_id

    @property
    def aggregate(self) -> str:
        return stream_aggregate(self.stream_id)


class _OfMarket:
    __slots__ = ()
    aggregate: ClassVar[str] = MARKET


class _OfTreasury:
    __slots__ = ()
    aggregate: ClassVar[str] = TREASURY


class _OfAccess:
    __slots__ = ()
    aggregate: ClassVar[str] = ACCESS


class _Single:
    __slots__ = ()
    id: int

    @property
    def key(self) -> int:
        return self.id


class _OneEach:
    """History: one row for one event."""

    __slots__ = ()
    event_id: str

    @property
    def key(self) -> Any:
        return self.event_id


@dataclass(frozen=True, slots=True)
class Stream(_OfStream):
    stream_id: int
    sender: str | None = None
    original_sender: str | None = None
    recipient: str | None = None
    amount: int | None = None
    start_block: int | None = None
    end_block: int | None = None
    withdrawn: int = 0
    withdrawal_count: int = 0
    last_withdrawal_block: int | None = None
    status: StreamStatus = "active"
    completed_at_block: int | None = None
    cancelled_at_block: int | None = None
    cancelled_by: str | None = None
    unvested_returned: int | None = None
    vested_paid: int | None = None
    cancellation_fee: int | None = None
    complete: bool = False  # whether its creation was seen
    created_block: int | None = None
    created_at: int | None = None  # unix seconds
    created_tx: str | None = None
    last_event_id: str = ""
    updated_block: int = 0


@dataclass(frozen=True, slots=True)
class StreamSender(_OneEach, _OfStream):
    """One change of a stream's payer; ``sale_id`` where a sale did it."""

    event_id: str
    stream_id: int
    old_sender: str
    new_sender: str
    transfer_type: str
    sale_id: int | None
    block: int
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0

    key = _OneEach.key


@dataclass(frozen=True, slots=True)
class Nft(_OfStream):
    """An NFT of a stream. Its token id is the stream's: both counters advance together, from 1."""

    kind: NftKind
    stream_id: int
    token_id: int
    owner: str | None = None
    status: NftStatus = "minted"
    minted_block: int | None = None
    burned_block: int | None = None
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return self.kind, self.stream_id


@dataclass(frozen=True, slots=True)
class NftTransfer(_OneEach, _OfStream):
    event_id: str
    kind: NftKind
    stream_id: int
    token_id: int
    from_addr: str
    to_addr: str
    block: int
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0

    key = _OneEach.key


@dataclass(frozen=True, slots=True)
class Listing(_OfStream):
    """The offer of a stream's obligation NFT. ``status`` and ``reason`` follow from the rest, see ``listing.py``."""

    stream_id: int
    seller: str | None = None
    price: int | None = None
    listed_at_block: int | None = None
    on_chain_active: bool = True
    sale_id: int | None = None
    purchase_id: str | None = None  # event id of the purchase that is open
    status: ListingStatus = "active"
    reason: ListingReason | None = None
    complete: bool = False  # whether its listing was seen
    last_event_id: str = ""
    updated_block: int = 0


@dataclass(frozen=True, slots=True)
class PriceChange(_OneEach, _OfStream):
    event_id: str
    stream_id: int
    old_price: int | None
    new_price: int
    changed_by: str
    block: int
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0

    key = _OneEach.key


@dataclass(frozen=True, slots=True)
class Purchase(_OneEach, _OfStream):
    """A gateway checkout that reserved the listing for its buyer."""

    event_id: str
    stream_id: int
    buyer: str
    seller: str | None
    price: int | None
    payment_id: str
    initiated_at_block: int
    expires_at_block: int
    status: str = "pending"  # completed or expired
    closed_block: int | None = None
    closed_tx: str | None = None
    last_event_id: str = ""
    updated_block: int = 0

    key = _OneEach.key


@dataclass(frozen=True, slots=True)
class Sale(_OfMarket):
    """A sale. The market's, not the stream's: its fee may depend on the market's fee at that place of the chain."""

    sale_id: int
    stream_id: int
    seller: str
    buyer: str
    price: int
    marketplace_fee: int | None
    seller_proceeds: int | None
    kind: SaleKind
    payment_id: str | None
    sold_at_block: int
    sold_at: int  # unix seconds
    block_hash: str
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> int:
        return self.sale_id


@dataclass(frozen=True, slots=True)
class MarketState(_Single, _OfMarket):
    id: int = 1
    fee_bps: int = 100
    total_listings: int = 0  # ever made
    total_sales: int = 0
    total_volume: int = 0
    last_event_id: str = ""
    updated_block: int = 0


@dataclass(frozen=True, slots=True)
class MarketBackend(_OfMarket):
    """Who may settle gateway purchases."""

    backend: str
    authorized: bool
    changed_by: str | None
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> str:
        return self.backend


@dataclass(frozen=True, slots=True)
class ConfigChange(_OneEach):
    """A change of a fee, in basis points."""

    event_id: str
    scope: str  # market or treasury: the aggregate that owns it
    old_bps: int
    new_bps: int
    changed_by: str | None
    block: int
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def aggregate(self) -> str:
        return self.scope


@dataclass(frozen=True, slots=True)
class TreasuryState(_Single, _OfTreasury):
    id: int = 1
    balance: int = 0
    total_fees: int = 0
    general_fees: int = 0
    cancellation_fees: int = 0
    marketplace_fees: int = 0
    fee_bps: int = 50
    admin: str | None = None
    pending_admin: str | None = None
    active_admin_count: int = 1  # as the contract counts, which may differ from its members
    required_signatures: int = 1
    last_withdrawal_block: int = 0
    withdrawn_in_window: int = 0
    drifts: int = 0  # prints whose new balance was not the old one and the amount
    last_event_id: str = ""
    updated_block: int = 0


@dataclass(frozen=True, slots=True)
class TreasuryFee(_OneEach, _OfTreasury):
    event_id: str
    kind: FeeKind
    amount: int
    caller: str
    new_balance: int
    stream_id: int | None
    sale_id: int | None
    block: int
    block_hash: str
    block_time: int  # unix seconds
    tx_index: int
    event_index: int
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0


@dataclass(frozen=True, slots=True)
class TreasuryTransfer(_OneEach, _OfTreasury):
    """Sats that left the treasury."""

    event_id: str
    kind: str  # withdrawal, distribution or multisig
    amount: int
    recipient: str
    admin: str | None
    proposal_id: int | None
    new_balance: int
    block: int
    tx_hash: str
    last_event_id: str = ""
    updated_block: int = 0


@dataclass(frozen=True, slots=True)
class RecipientTotal(_OfTreasury):
    """All that was distributed to one recipient."""

    recipient: str
    total: int = 0
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> str:
        return self.recipient


@dataclass(frozen=True, slots=True)
class TreasuryAdmin(_OfTreasury):
    address: str
    active: bool
    added_block: int | None = None
    added_by_proposal: int | None = None
    removed_block: int | None = None
    removed_by_proposal: int | None = None
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal of the treasury's admins, and who approved it, in the order of approval."""

    proposal_id: int
    kind: ProposalKind
    proposer: str | None = None
    amount: int | None = None
    recipient: str | None = None
    description: str | None = None
    target_admin: str | None = None
    approvers: tuple[str, ...] = ()
    approval_count: int = 0
    status: ProposalStatus = "pending"
    proposed_at_block: int | None = None
    timelock_block: int | None = None
    expires_at_block: int | None = None
    executed_at_block: int | None = None
    executed_tx: str | None = None
    executor: str | None = None
    complete: bool = False  # whether its proposing was seen
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> int:
        return self.proposal_id

    @property
    def aggregate(self) -> str:
        return proposal_aggregate(self.proposal_id)


@dataclass(frozen=True, slots=True)
class AccessRole(_OfAccess):
    kind: str  # admin or operator
    principal: str
    active: bool
    changed_by: str | None = None
    changed_block: int | None = None
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.principal


@dataclass(frozen=True, slots=True)
class AccessContract(_OfAccess):
    """Whether a contract may call the vault."""

    contract: str
    authorized: bool
    changed_by: str
    changed_block: int
    last_event_id: str = ""
    updated_block: int = 0

    @property
    def key(self) -> str:
        return self.contract


@dataclass(frozen=True, slots=True)
class ProtocolState(_Single, _OfAccess):
    id: int = 1
    paused: bool = False
    changed_by: str | None = None
    since_block: int | None = None
    pending_admin: str | None = None
    contract_owner: str | None = None
    last_event_id: str = ""
    updated_block: int = 0


AnyRow: TypeAlias = (
    Stream
    | StreamSender
    | Nft
    | NftTransfer
    | Listing
    | PriceChange
    | Purchase
    | Sale
    | MarketState
    | MarketBackend
    | ConfigChange
    | TreasuryState
    | TreasuryFee
    | TreasuryTransfer
    | RecipientTotal
    | TreasuryAdmin
    | Proposal
    | AccessRole
    | AccessContract
    | ProtocolState
)
Ref: TypeAlias = tuple[type, Any]  # a row by its class and key


def genesis(contracts: Contracts) -> Iterator[AnyRow]:
    """What is true before the first event: each contract's deployer is its only admin."""
    treasurer, owner = _deployer(contracts.treasury), _deployer(contracts.access)
    yield MarketState()
    yield TreasuryState(admin=treasurer)
    yield TreasuryAdmin(treasurer, active=True)
    yield AccessRole("admin", owner, active=True)
    yield ProtocolState(contract_owner=owner)


def _deployer(contract: str) -> str:
    return contract.partition(".")[0]
