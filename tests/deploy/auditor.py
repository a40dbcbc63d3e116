"""Keeps the books of a chain from its deliveries alone, and holds every event against all that came before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.local.chain import Delivery
from deploy.local.chainhook import Block, Event, FtTransfer, NftBurn, NftMint, NftTransfer, Print, Tx
from deploy.local.world import Cast
from shared.domain.clarity import plain

TIMELOCK, EXPIRY = 144, 1008


@dataclass
class Follower:
    """What one knows who reads nothing but deliveries: the canonical blocks that had a match."""

    blocks: list[Block] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)  # of the reorgs, in heights

    def hear(self, delivery: Delivery) -> None:
        heights = [block.height for block in delivery.apply]
        assert sorted(set(heights)) == heights, "applied from the fork up"
        for gone in delivery.rollback:
            assert self.blocks.pop() == gone, "rolled back tip first, as it was applied"
        if delivery.rollback:
            self.depths.append(delivery.rollback[0].height - delivery.rollback[-1].height + 1)
        for block in delivery.apply:
            if self.blocks:
                last = self.blocks[-1]
                assert block.height > last.height
                assert block.time >= last.time
                assert (block.parent_hash == last.hash) is (block.height == last.height + 1)
            self.blocks.append(block)

    def txs(self) -> Iterator[tuple[int, Tx]]:
        """Height and transaction, in the order of the chain; only those that happened."""
        for block in self.blocks:
            assert [tx.index for tx in block.txs] == sorted({tx.index for tx in block.txs})
            yield from ((block.height, tx) for tx in block.txs if tx.success)


def names(events: Iterable[Event]) -> list[str]:
    """The events that anybody listens to, by name."""
    found = []
    for event in events:
        if isinstance(event, Print):
            found.append(told_by(event)["event"])
        elif isinstance(event, NftBurn) or (isinstance(event, NftMint) and event.asset.endswith("::stream-nft")):
            kind = "burn" if isinstance(event, NftBurn) else "mint"
            found.append(f"{event.asset.split('::')[1]}/{kind}")
    return found


def told_by(event: Print) -> dict[str, Any]:
    value = plain(event.value)
    assert isinstance(value, dict)
    return value


@dataclass
class Book:
    """One stream; amounts in sats."""

    told: dict[str, Any]
    sender: str
    owner: str | None
    receipt: str | None
    withdrawn: int = 0
    is_cancelled: bool = False
    offer: dict[str, Any] | None = None  # the print of its one listing, with the current price
    is_active: bool = False
    buyer: dict[str, Any] | None = None  # the print that reserved it

    def vested(self, height: int) -> int:
        start, end = self.told["start-block"], self.told["end-block"]
        return int(self.told["amount"] * min(max(height - start, 0), end - start) // (end - start))


@dataclass
class Vote:
    told: dict[str, Any]
    at: int
    by: list[str]


class Auditor:
    """Its methods are named after the prints and called in their order: ``told``, and where it stands."""

    def __init__(self, cast: Cast) -> None:
        self.cast, self.tx, self.height, self.names = cast, Tx("", "", ()), 0, list[str]()
        self.streams: dict[int, Book] = {}
        self.sbtc = {cast.vault: 0, cast.contracts.treasury: 0}
        self.balance, self.bps, self.market_bps, self.sales = 0, 50, 100, 0
        self.votes: dict[int, Vote] = {}
        self.admin = cast.deployer
        self.pending: str | None = None
        self.admins, self.admin_count = {cast.deployer}, 1
        self.executed: list[tuple[int, int]] = []  # height and sats of the proposals that were paid
        self.roles: dict[str, set[str]] = {"admin": {cast.deployer}, "operator": set(), "contract": set()}
        self.backends: set[str] = set()
        self.is_paused = False
        self.offered: str | None = None
        self.receipts: dict[int, str] = {}

    def audit(self, txs: Iterable[tuple[int, Tx]]) -> None:
        for self.height, self.tx in txs:
            self.names = names(self.tx.events)
            for event in self.tx.events:
                self._hear(event)
            open_ = (book for book in self.streams.values() if not book.is_cancelled)
            assert self.sbtc[self.cast.vault] == sum(book.told["amount"] - book.withdrawn for book in open_)
            assert self.sbtc[self.cast.contracts.treasury] == self.balance >= 0

    def _hear(self, event: Event) -> None:
        if isinstance(event, Print):
            told = told_by(event)
            getattr(self, told["event"].replace("-", "_"))(told)
        elif isinstance(event, FtTransfer):
            assert event.amount > 0
            assert event.sender != event.recipient
            for who, sats in ((event.sender, -event.amount), (event.recipient, event.amount)):
                if who in self.sbtc:
                    self.sbtc[who] += sats
                    assert self.sbtc[who] >= 0
        elif isinstance(event, NftMint):
            assert event.token_id == len(self.streams) + 1
            if event.asset == self.cast.contracts.recipient_asset:
                self.receipts[event.token_id] = event.recipient
        elif isinstance(event, NftBurn):
            book = self.streams[event.token_id]
            is_obligation = event.asset == self.cast.contracts.obligation_asset
            assert event.sender == self.tx.sender == (book.owner if is_obligation else book.receipt)
            book.owner, book.receipt = (None, book.receipt) if is_obligation else (book.owner, None)
        else:
            assert isinstance(event, NftTransfer)
            book = self.streams[event.token_id]
            assert event.asset == self.cast.contracts.obligation_asset
            assert event.sender == book.owner != event.recipient
            book.owner = event.recipient

    # --- streams and NFTs

    def obligation_minted(self, told: dict[str, Any]) -> None:
        assert ["stream-nft/mint", "obligation-minted", "stream-created"] == self.names
        assert told["token-id"] == told["stream-id"]

    def stream_created(self, told: dict[str, Any]) -> None:
        number = told["stream-id"]
        assert number == len(self.streams) + 1, "ids count from 1"
        assert self.height <= told["start-block"] < told["end-block"]
        assert not self.is_paused
        assert told["sender"] == self.tx.sender != told["recipient"] == self.receipts[number]
        self.streams[number] = Book(told, told["sender"], told["sender"], told["recipient"])

    def stream_withdrawal(self, told: dict[str, Any]) -> None:
        book = self.streams[told["stream-id"]]
        book.withdrawn += told["amount"]
        assert not book.is_cancelled
        assert 0 < told["amount"]
        assert book.withdrawn <= book.vested(self.height)
        assert told["recipient"] == self.tx.sender == book.told["recipient"]

    def stream_cancelled(self, told: dict[str, Any]) -> None:
        book = self.streams[told["stream-id"]]
        parts = told["vested-paid"], told["unvested-returned"], told["cancellation-fee"]
        assert not book.is_cancelled
        assert book.told["amount"] == book.withdrawn + sum(parts)
        assert told["vested-paid"] == book.vested(self.height) - book.withdrawn
        assert told["cancellation-fee"] == (book.told["amount"] - book.vested(self.height)) // 100
        assert ["treasury-cancellation-fee-collected"] * (told["cancellation-fee"] > 0) == self.names[:-1]
        assert told["cancelled-at-block"] == self.height
        assert told["sender"] == self.tx.sender == book.sender
        book.is_cancelled = True

    def stream_sender_updated(self, told: dict[str, Any]) -> None:
        book = self.streams[told["stream-id"]]
        assert not book.is_cancelled
        assert told["old-sender"] == book.sender
        assert told["transfer-type"] == ("direct" if self.tx.sender == book.sender else "authorized-contract")
        assert len(self.names) > 1 or self.tx.sender == book.sender
        book.sender = told["new-sender"]

    def obligation_transferred(self, told: dict[str, Any]) -> None:
        assert told["token-id"] == told["stream-id"]
        assert told["to"] == self.streams[told["stream-id"]].owner, "the chain's own event comes first"

    # --- marketplace

    def market_nft_listed(self, told: dict[str, Any]) -> None:
        book = self.streams[told["stream-id"]]
        assert book.offer is None, "listed once, ever"
        assert told["seller"] == self.tx.sender == book.owner
        assert told["price"] > 0
        assert told["listed-at"] == self.height
        book.offer, book.is_active = told, True

    def market_listing_price_updated(self, told: dict[str, Any]) -> None:
        book, offer = self._offer(told)
        assert told["seller"] == self.tx.sender == offer["seller"]
        assert told["old-price"] == offer["price"]
        book.offer = offer | {"price": told["new-price"]}

    def market_listing_cancelled(self, told: dict[str, Any]) -> None:
        book, offer = self._offer(told)
        assert told["seller"] == self.tx.sender == offer["seller"]
        assert book.buyer is None, "not while somebody is paying"
        book.is_active = False

    def market_direct_purchase_completed(self, told: dict[str, Any]) -> None:
        fee = told["price"] * self.market_bps // 10_000
        collected = ["treasury-marketplace-fee-collected"] * (fee > 0)
        assert [*collected, "obligation-transferred", "stream-sender-updated", told["event"]] == self.names
        assert self.streams[told["stream-id"]].buyer is None
        assert told["buyer"] == self.tx.sender
        paid = [event.amount for event in self.tx.events if isinstance(event, FtTransfer)]
        assert [sats for sats in (told["price"] - fee, fee) if sats] == paid
        self._sold(told)

    def market_purchase_initiated(self, told: dict[str, Any]) -> None:
        book, _ = self._offer(told)
        assert book.buyer is None
        assert told["buyer"] == self.tx.sender
        assert told["expires-at"] == self.height + EXPIRY
        book.buyer = told

    def market_gateway_purchase_completed(self, told: dict[str, Any]) -> None:
        assert ["obligation-transferred", "stream-sender-updated", told["event"]] == self.names
        bought = self.streams[told["stream-id"]].buyer
        assert bought
        assert (bought["buyer"], bought["payment-id"]) == (told["buyer"], told["payment-id"])
        assert self.height <= bought["expires-at"]
        assert self.tx.sender in self.backends
        assert not [event for event in self.tx.events if isinstance(event, FtTransfer)]
        self._sold(told)

    def market_purchase_expired(self, told: dict[str, Any]) -> None:
        book, _ = self._offer(told)
        assert book.buyer
        assert book.buyer["buyer"] == told["buyer"]
        assert self.height > book.buyer["expires-at"]
        book.buyer = None

    def market_backend_authorized(self, told: dict[str, Any]) -> None:
        assert self.tx.sender == self.cast.deployer
        self.backends.add(told["backend"])

    def market_backend_deauthorized(self, told: dict[str, Any]) -> None:
        assert self.tx.sender == self.cast.deployer
        self.backends.discard(told["backend"])

    def market_marketplace_fee_updated(self, told: dict[str, Any]) -> None:
        assert told["old-fee"] == told["new-fee"] <= 1000, "the old one is read after the write"
        self.market_bps = told["new-fee"]

    def _offer(self, told: dict[str, Any]) -> tuple[Book, dict[str, Any]]:
        book = self.streams[told["stream-id"]]
        assert book.offer, "it was listed"
        assert book.is_active, "nothing happens to an offer that is over"
        return book, book.offer

    def _sold(self, told: dict[str, Any]) -> None:
        book, offer = self._offer(told)
        self.sales += 1
        assert (offer["seller"], offer["price"], self.sales) == (told["seller"], told["price"], told["sale-id"])
        assert told["buyer"] == book.owner == book.sender != told["seller"]
        book.is_active, book.buyer = False, None

    # --- treasury

    def treasury_fee_collected(self, told: dict[str, Any]) -> None:
        assert told["caller"] == self.tx.sender
        self._booked(told, told["amount"])

    def treasury_cancellation_fee_collected(self, told: dict[str, Any]) -> None:
        assert told["caller"] == self.cast.contracts.core
        assert "stream-cancelled" == self.names[-1]
        self._booked(told, told["amount"])

    def treasury_marketplace_fee_collected(self, told: dict[str, Any]) -> None:
        assert told["caller"] == self.cast.contracts.marketplace
        assert "market-direct-purchase-completed" == self.names[-1]
        self._booked(told, told["amount"])

    def treasury_withdrawal(self, told: dict[str, Any]) -> None:
        assert told["admin"] == self.tx.sender == self.admin
        self._booked(told, -told["amount"])

    treasury_distribution = treasury_withdrawal

    def treasury_fee_updated(self, told: dict[str, Any]) -> None:
        assert told["admin"] == self.tx.sender == self.admin
        assert told["old-fee-bps"] == self.bps
        self.bps = told["new-fee-bps"]

    def treasury_admin_transfer_proposed(self, told: dict[str, Any]) -> None:
        assert told["current-admin"] == self.tx.sender == self.admin != told["proposed-admin"]
        self.pending = told["proposed-admin"]

    def treasury_admin_transfer_completed(self, told: dict[str, Any]) -> None:
        assert (told["old-admin"], told["new-admin"]) == (self.admin, self.pending)
        self.admin, self.pending = told["new-admin"], None

    def treasury_admin_transfer_cancelled(self, told: dict[str, Any]) -> None:
        assert told["cancelled-by"] == self.tx.sender == self.admin
        assert self.pending
        self.pending = None

    def treasury_withdrawal_proposed(self, told: dict[str, Any]) -> None:
        assert 0 < told["amount"] <= self.balance
        assert told["expires-at"] == self.height + EXPIRY
        self._proposed(told)

    def treasury_add_admin_proposed(self, told: dict[str, Any]) -> None:
        assert told["new-admin"] not in self.admins
        self._proposed(told)

    def treasury_remove_admin_proposed(self, told: dict[str, Any]) -> None:
        assert told["target-admin"] in self.admins
        self._proposed(told)

    def treasury_withdrawal_approved(self, told: dict[str, Any]) -> None:
        assert told["required"] == min(self.admin_count, 3)
        self._approved(told)

    def treasury_admin_proposal_approved(self, told: dict[str, Any]) -> None:
        self._approved(told)

    def treasury_withdrawal_executed(self, told: dict[str, Any]) -> None:
        vote = self._executed(told)
        assert self.height >= vote.at + TIMELOCK
        assert (told["amount"], told["recipient"]) == (vote.told["amount"], vote.told["recipient"])
        self._booked(None, -told["amount"])
        today, after = 0, None
        for at, sats in [*self.executed, (self.height, told["amount"])]:
            today = sats if after is None or at - after >= TIMELOCK else today + sats
            after = at
        assert today <= 100_000_000
        self.executed.append((self.height, told["amount"]))

    def treasury_admin_proposal_executed(self, told: dict[str, Any]) -> None:
        vote, action = self._executed(told), told["action"]
        assert f"treasury-{action}-admin-proposed" == vote.told["event"]
        assert told["target-admin"] == vote.told["new-admin" if action == "add" else "target-admin"]
        (self.admins.add if action == "add" else self.admins.discard)(told["target-admin"])
        self.admin_count += 1 if action == "add" else -1

    def _booked(self, told: dict[str, Any] | None, sats: int) -> None:
        self.balance += sats
        assert sats
        assert sats < 0 or not self.is_paused
        assert told is None or told["new-balance"] == self.balance

    def _proposed(self, told: dict[str, Any]) -> None:
        assert told["proposal-id"] == len(self.votes), "both kinds share one count, from 0"
        assert told["proposer"] == self.tx.sender
        assert told["proposer"] in self.admins
        self.votes[told["proposal-id"]] = Vote(told, self.height, [told["proposer"]])

    def _approved(self, told: dict[str, Any]) -> None:
        vote = self.votes[told["proposal-id"]]
        assert told["approver"] == self.tx.sender
        assert told["approver"] in self.admins
        assert told["approver"] not in vote.by
        vote.by.append(told["approver"])
        assert told["total-approvals"] == len(vote.by)
        assert self.height < vote.at + EXPIRY

    def _executed(self, told: dict[str, Any]) -> Vote:
        vote = self.votes[told["proposal-id"]]
        assert told["approvals"] == len(vote.by) >= min(self.admin_count, 3)
        assert self.height < vote.at + EXPIRY
        self.votes[told["proposal-id"]] = Vote(vote.told, vote.at - EXPIRY, [])  # whatever comes now comes too late
        return vote

    # --- access control

    def access_admin_added(self, told: dict[str, Any]) -> None:
        self._granted("admin", told, "added-by")

    def access_operator_added(self, told: dict[str, Any]) -> None:
        self._granted("operator", told, "added-by")

    def access_contract_authorized(self, told: dict[str, Any]) -> None:
        self._granted("contract", told, "authorized-by")

    def access_admin_removed(self, told: dict[str, Any]) -> None:
        assert told["removed-by"] == self.tx.sender
        assert self.tx.sender in (self.cast.deployer, told["admin"])
        self.roles["admin"].remove(told["admin"])

    def access_operator_removed(self, told: dict[str, Any]) -> None:
        self._taken("operator", told, "removed-by")

    def access_contract_revoked(self, told: dict[str, Any]) -> None:
        self._taken("contract", told, "revoked-by")

    def access_protocol_paused(self, told: dict[str, Any]) -> None:
        assert told["paused-by"] == self.tx.sender
        assert (self.is_paused, self.tx.sender in self.roles["admin"]) == (False, True)
        self.is_paused = True

    def access_protocol_unpaused(self, told: dict[str, Any]) -> None:
        assert told["unpaused-by"] == self.tx.sender
        assert (self.is_paused, self.tx.sender in self.roles["admin"]) == (True, True)
        self.is_paused = False

    def access_admin_transfer_initiated(self, told: dict[str, Any]) -> None:
        assert told["from"] == self.tx.sender == self.cast.deployer
        self.offered = told["to"]

    def access_admin_transfer_completed(self, told: dict[str, Any]) -> None:
        assert told["new-admin"] == self.tx.sender == self.offered
        self.roles["admin"].add(told["new-admin"])
        self.offered = None

    def _granted(self, role: str, told: dict[str, Any], by: str) -> None:
        assert told[by] == self.tx.sender
        assert self.tx.sender in self.roles["admin"]
        self.roles[role].add(told[role])

    def _taken(self, role: str, told: dict[str, Any], by: str) -> None:
        assert told[by] == self.tx.sender
        assert self.tx.sender in self.roles["admin"]
        self.roles[role].discard(told[role])
