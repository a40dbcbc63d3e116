"""What the contracts of the simulated chain remember, and who takes part. Pure; every change makes a new value.

What can never change again is forgotten (``World.without_the_past``), so that a world stays small however long its
chain. Ids are never given twice: what was forgotten refuses whatever is asked of it, as the contracts would.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Self

import msgspec

from shared.domain import clarity
from shared.domain.chain import Contracts

EXPIRY = 1008  # blocks that a proposal and a reserved purchase live
TIMELOCK = 144  # blocks from proposing a withdrawal to executing it; also the window of the daily limit
DAILY_LIMIT = 100_000_000  # sats that proposals may take out in a window
MOST_SIGNATURES = 3  # that a proposal needs, however many admins there are
CLOSED = 12  # closed streams that are remembered, for whoever still burns their NFTs


class Value(msgspec.Struct, frozen=True):
    """A value of the world."""

    def but(self, **changes: object) -> Self:
        """The same with these fields changed."""
        return msgspec.structs.replace(self, **changes)


class Purchase(Value, frozen=True):
    """A checkout that reserves a listing for ``buyer`` up to the height ``expires_at``, this one included."""

    buyer: str
    payment_id: str
    expires_at: int


class Listing(Value, frozen=True):
    """A stream's only offer ever; ``price`` in sats. It is active until sold or withdrawn."""

    seller: str
    price: int
    is_active: bool = True
    purchase: Purchase | None = None


class Stream(Value, frozen=True):
    """A payment stream with its two NFTs, whose owners are None when burned, and its listing.

    Amounts in sats, start and end in block heights. A cancelled stream counts as withdrawn, as in the core contract.
    """

    sender: str
    recipient: str
    amount: int
    start: int
    end: int
    obligation: str | None
    receipt: str | None
    withdrawn: int = 0
    is_cancelled: bool = False
    listing: Listing | None = None

    @property
    def is_open(self) -> bool:
        return self.withdrawn < self.amount

    @property
    def purchase(self) -> Purchase | None:
        return self.listing.purchase if self.listing else None

    def vested(self, height: int) -> int:
        """Sats that belong to the recipient at this height."""
        if height >= self.end or self.is_cancelled:
            return self.amount
        return self.amount * max(0, height - self.start) // (self.end - self.start)

    def withdrawable(self, height: int) -> int:
        return self.vested(height) - self.withdrawn


class Market(Value, frozen=True):
    """``sales``: the last sale id."""

    backends: tuple[str, ...] = ()
    fee_bps: int = 100
    sales: int = 0


class Proposal(Value, frozen=True):
    """To pay ``target`` that ``amount`` of sats, or to make or unmake it an admin. ``at``: height of the proposing."""

    kind: Literal["withdrawal", "add", "remove"]
    target: str
    approvals: tuple[str, ...]
    at: int
    amount: int = 0

    @property
    def unlocks_at(self) -> int:
        return self.at + (TIMELOCK if self.kind == "withdrawal" else 0)

    @property
    def expires_at(self) -> int:
        """The first height at which it is too late."""
        return self.at + EXPIRY


class Treasury(Value, frozen=True):
    """``admin`` alone may pay out; several ``admins`` together, by proposals, of which only open ones are kept.

    ``admin_count`` is the contract's own count: it moves by one with every executed proposal, needed or not.
    ``withdrawn`` sats left by proposals in the window whose last one was executed at ``withdrawn_at``.
    """

    admin: str
    admins: tuple[str, ...]
    admin_count: int = 1
    pending: str | None = None
    balance: int = 0
    fee_bps: int = 50
    proposals: dict[int, Proposal] = {}
    proposed: int = 0  # the next proposal's id
    withdrawn: int = 0
    withdrawn_at: int = 0

    @property
    def required(self) -> int:
        return min(self.admin_count, MOST_SIGNATURES)

    def withdrawn_today(self, height: int) -> int:
        return 0 if height - self.withdrawn_at >= TIMELOCK else self.withdrawn

    def is_ready(self, proposal: Proposal, height: int) -> bool:
        """Whether anyone may execute it now, as far as votes and time go."""
        return len(proposal.approvals) >= self.required and proposal.unlocks_at <= height < proposal.expires_at


class Access(Value, frozen=True):
    admins: tuple[str, ...]
    operators: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    pending: str | None = None
    is_paused: bool = False


class World(Value, frozen=True):
    """All that the contracts remember. ``created``: the last stream id."""

    treasury: Treasury
    access: Access
    market: Market = Market()
    streams: dict[int, Stream] = {}
    created: int = 0

    def with_stream(self, stream_id: int, stream: Stream) -> World:
        return self.but(streams=self.streams | {stream_id: stream})

    def with_proposal(self, proposal_id: int, proposal: Proposal) -> World:
        treasury = self.treasury
        return self.but(treasury=treasury.but(proposals=treasury.proposals | {proposal_id: proposal}))

    def open(self) -> list[tuple[int, Stream]]:
        return [(stream_id, stream) for stream_id, stream in self.streams.items() if stream.is_open]

    def without_the_past(self, height: int) -> World:
        """The same after a block of that height, forgetting what is over.

        Belongs to every block, not to the keeping of the chain: what is forgotten follows from the block alone, and
        a block that is mined once more has the same outcome.
        """
        over = [stream_id for stream_id, it in self.streams.items() if not it.is_open and it.purchase is None]
        streams, proposals = self.streams, self.treasury.proposals
        if len(over) > CLOSED:
            gone = set(over[:-CLOSED])
            streams = {stream_id: stream for stream_id, stream in streams.items() if stream_id not in gone}
        alive = {number: proposal for number, proposal in proposals.items() if height < proposal.expires_at}
        if len(streams) == len(self.streams) and len(alive) == len(proposals):
            return self
        return self.but(streams=streams, treasury=self.treasury.but(proposals=alive))


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: our contracts, and wallets of this network."""

    contracts: Contracts
    wallets: tuple[str, ...]
    network: str

    @property
    def deployer(self) -> str:
        """Who owns the contracts, for ever, and is the first admin of all of them."""
        return self.contracts.core.split(".")[0]

    @property
    def vault(self) -> str:
        """The contract that holds the sBTC of all streams."""
        return self.contracts.core.replace("bitpay-core", "bitpay-sbtc-helper")

    @property
    def needed(self) -> tuple[str, ...]:
        """The contracts that must be authorized for anything to work."""
        return self.contracts.core, self.contracts.treasury, self.contracts.marketplace


def cast(contracts: Contracts, network: str, wallets: int = 8) -> Cast:
    """A cast with that many wallets, the same at every call."""
    version = 22 if network == "mainnet" else 26
    keys = (hashlib.sha256(f"simulated wallet {number}".encode()).digest()[:20] for number in range(wallets))
    return Cast(contracts, tuple(clarity.address(version, key) for key in keys), network)


def genesis(cast: Cast) -> World:
    """The world as the contracts are deployed."""
    admins = (cast.deployer,)
    return World(Treasury(cast.deployer, admins), Access(admins))
