"""Random chains for the law of the fold: what happens, how it is told, and what a listener makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st

from deploy.local.chainhook import Block, NftBurn, Print, Tx
from ingest.delivery import Delivery, Observed, Readable, Unreadable
from shared.domain.clarity import UInt
from tests.builders import (
    ALICE,
    AMOUNT,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    FORMS,
    ADelivery,
    a_delivery,
    block,
    core_print,
    stream_cancelled,
    stream_withdrawal,
    tx,
)
from tests.prints import access, created, market, moved, told, treasury

DEPTH: Final = 7  # of forks, in blocks


def _listing(stream: int, seller: str) -> tuple[Tx, ...]:
    sold: dict[str, int | str] = {"stream_id": stream, "buyer": DAVE, "seller": seller}
    direct = market("direct-purchase-completed", **sold, price=900, sale_id=stream)
    gateway = market("gateway-purchase-completed", **sold, price=900, payment_id="pay", sale_id=10 + stream)
    fee = treasury("marketplace-fee-collected", amount=9, caller=CONTRACTS.marketplace, new_balance=70 + stream)
    transfer = told(
        "obligation", "obligation-transferred", stream_id=stream, token_id=stream, from_=seller, to=CAROL, note="gift"
    )
    back = told(
        "obligation", "obligation-transferred", stream_id=stream, token_id=stream, from_=CAROL, to=seller, note="back"
    )
    listed = market("nft-listed", stream_id=stream, seller=seller, price=1000, listed_at=7)
    return (
        tx(*created(stream, seller)),
        tx(listed),
        tx(listed, transfer, nonce=2),
        tx(market("listing-price-updated", stream_id=stream, seller=seller, old_price=1000, new_price=900)),
        tx(market("listing-cancelled", stream_id=stream, seller=seller)),
        tx(fee, *moved(stream, seller, DAVE), direct),
        tx(*moved(stream, seller, DAVE), direct, nonce=1),  # the fee was not told
        tx(*moved(stream, seller, DAVE), gateway),
        tx(market("purchase-initiated", stream_id=stream, buyer=DAVE, payment_id="pay", expires_at=1015)),
        tx(market("purchase-expired", stream_id=stream, buyer=DAVE)),
        tx(transfer),
        tx(back),
        tx(transfer, back, nonce=3),
        tx(NftBurn(CONTRACTS.obligation_asset, stream, seller)),
        tx(NftBurn(CONTRACTS.recipient_asset, stream, BOB)),
        tx(stream_withdrawal(stream, AMOUNT), sender=BOB),
        tx(stream_withdrawal(stream, 400_000), stream_withdrawal(stream, 1), sender=BOB),
        tx(
            treasury("cancellation-fee-collected", amount=5_000, caller=CONTRACTS.core, new_balance=5_000),
            stream_cancelled(stream, sender=seller),
        ),
        tx(core_print("stream-odd", {"stream-id": UInt(stream)})),
    )


def _proposal(number: int) -> tuple[Tx, ...]:
    one = {"proposal_id": number}
    return (
        tx(
            treasury(
                "withdrawal-proposed",
                **one,
                amount=40,
                recipient=BOB,
                proposer=ALICE,
                description="rent",
                expires_at=2000,
            )
        ),
        tx(treasury("withdrawal-approved", **one, approver=CAROL, total_approvals=2, required=2)),
        tx(treasury("withdrawal-executed", **one, amount=40, recipient=BOB, approvals=2), sender=CAROL),
        tx(treasury("add-admin-proposed", proposal_id=10 + number, new_admin=CAROL, proposer=ALICE)),
        tx(treasury("remove-admin-proposed", proposal_id=20 + number, target_admin=CAROL, proposer=ALICE)),
        tx(treasury("admin-proposal-approved", proposal_id=10 + number, approver=DAVE, total_approvals=2)),
        tx(treasury("admin-proposal-executed", proposal_id=10 + number, action="add", target_admin=CAROL, approvals=2)),
        tx(
            treasury(
                "admin-proposal-executed", proposal_id=20 + number, action="remove", target_admin=CAROL, approvals=2
            )
        ),
    )


TXS: Final = (
    *_listing(1, ALICE),
    *_listing(2, CAROL),
    *_proposal(1),
    *_proposal(2),
    tx(treasury("fee-collected", amount=100, caller=DAVE, new_balance=100)),
    tx(
        treasury("fee-collected", amount=30, caller=DAVE, new_balance=130),
        treasury("fee-collected", amount=20, caller=DAVE, new_balance=150),
    ),
    tx(treasury("withdrawal", amount=10, recipient=BOB, admin=ALICE, new_balance=90)),
    tx(treasury("distribution", amount=10, recipient=BOB, admin=ALICE, new_balance=80)),
    tx(treasury("distribution", amount=1, recipient=BOB, admin=ALICE, new_balance=79)),
    tx(treasury("fee-updated", old_fee_bps=50, new_fee_bps=60, admin=ALICE)),
    tx(treasury("admin-transfer-proposed", current_admin=ALICE, proposed_admin=BOB)),
    tx(treasury("admin-transfer-completed", old_admin=ALICE, new_admin=BOB)),
    tx(treasury("admin-transfer-cancelled", cancelled_by=ALICE)),
    tx(market("marketplace-fee-updated", old_fee=200, new_fee=200)),
    tx(market("marketplace-fee-updated", old_fee=300, new_fee=300)),
    tx(market("backend-authorized", backend=DAVE)),
    tx(market("backend-deauthorized", backend=DAVE)),
    tx(access("admin-added", admin=BOB, added_by=ALICE)),
    tx(access("admin-removed", admin=BOB, removed_by=ALICE)),
    tx(access("operator-added", operator=CAROL, added_by=ALICE)),
    tx(access("operator-removed", operator=CAROL, removed_by=ALICE)),
    tx(access("contract-authorized", contract=CONTRACTS.marketplace, authorized_by=ALICE)),
    tx(access("contract-revoked", contract=CONTRACTS.marketplace, revoked_by=ALICE)),
    tx(access("protocol-paused", paused_by=ALICE)),
    tx(access("protocol-unpaused", unpaused_by=ALICE)),
    tx(access("admin-transfer-initiated", from_=ALICE, to=BOB)),
    tx(access("admin-transfer-completed", new_admin=BOB)),
)


SOURCES: Final = (CONTRACTS.core, CONTRACTS.marketplace, CONTRACTS.treasury, CONTRACTS.obligation)
POOLS: Final = (
    TXS,
    _listing(1, ALICE),
    _proposal(1) + TXS[-25:],
    tuple(
        it
        for it in TXS
        if any(isinstance(event, Print) and event.contract == CONTRACTS.treasury for event in it.events)
    ),
)


@dataclass(frozen=True, slots=True)
class Telling:
    """A delivery in a form, and whether the next one shares its transaction.

    Of ``unreadable`` sources nothing can be read this time.
    """

    delivery: ADelivery
    form: str
    shares: bool
    unreadable: frozenset[str] = frozenset()

    def read(self) -> Delivery:
        """As ingest reads it."""
        read = self.delivery.read(self.form)
        return replace(read, apply=tuple(replace(it, events=tuple(map(self._seen, it.events))) for it in read.apply))

    def _seen(self, event: Observed) -> Observed:
        if event.place.source in self.unreadable:
            return Unreadable(event.place, "it is unreadable this time", "{}")
        return event


@st.composite
def tellings(draw: st.DrawFn) -> list[Telling]:
    """A chain with forks, told as several hooks would: in parts, again, one lagging behind the other, in any form."""
    # a few kinds of transactions at a time, so that they meet
    pool = draw(st.sampled_from(POOLS))
    kinds = draw(st.lists(st.sampled_from(pool), min_size=3, max_size=8, unique_by=lambda it: it.hash))
    forest: list[Block] = []
    for number in range(draw(st.integers(2, 9))):
        parent = draw(st.sampled_from([None, *forest, *forest[-1:], *forest[-1:]]))
        if parent and parent.height == 6 + DEPTH:
            parent = None
        chosen = draw(st.lists(st.sampled_from(kinds), unique_by=lambda it: it.hash, max_size=4))
        placed = [replace(it, index=index * 2) for index, it in enumerate(chosen)]
        forest.append(block(parent.height + 1 if parent else 7, *placed, fork=f"fork {number}"))
    any_blocks = st.lists(st.sampled_from(forest), unique_by=lambda it: it.hash, max_size=4)
    steps = []
    for _ in range(draw(st.integers(1, 7))):
        apply, rollback = draw(any_blocks), draw(any_blocks if draw(st.booleans()) else st.just([]))
        if draw(st.integers(0, 3)) == 0:  # another hook, that matches fewer transactions
            apply = [replace(it, txs=draw(_parts(it.txs))) for it in apply]
        delivery = a_delivery().applies(*apply).rolls_back(*rollback)
        unreadable = (
            frozenset(draw(st.sets(st.sampled_from(SOURCES), max_size=2))) if draw(st.booleans()) else frozenset()
        )
        steps.append(Telling(delivery, draw(st.sampled_from(sorted(FORMS))), draw(st.booleans()), unreadable))
    return steps


def _parts(whole: Sequence[Tx]) -> st.SearchStrategy[tuple[Tx, ...]]:
    return st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)).map(
        lambda chosen: tuple(it for it, is_in in zip(whole, chosen, strict=True) if is_in)
    )


class Told:
    """What should be true, by the simplest means: which events of which block were told, and is it on the chain."""

    def __init__(self) -> None:
        self._told: dict[str, set[str]] = defaultdict(set)
        self._on_chain: set[str] = set()

    def take(self, read: Delivery) -> None:
        self._on_chain -= {it.ref.hash for it in read.rollback}
        for it in read.apply:
            self._told[it.ref.hash] |= {event.place.event_id for event in it.events if isinstance(event, Readable)}
            self._on_chain.add(it.ref.hash)

    @property
    def canonical(self) -> set[str]:
        return {event for it in self._on_chain for event in self._told[it]}


class Listener:
    """A browser in every public room, which applies what it hears in order and knows nothing else.

    It follows the rules of the client: state-shaped names replace, the others add up; on ``chain:reverted`` its state
    replaces; and what comes late is no news of the state, so it asks for that part again (``stale``).
    """

    def __init__(self) -> None:
        self.streams: dict[str, Any] = {}
        self.listings: dict[str, Any] = {}
        self.proposals: dict[str, Any] = {}
        self.balance = "0"
        self.admins = {CONTRACTS.treasury.partition(".")[0]}
        self.paused = False
        self.stale: set[str] = set()

    def hear(self, room: str, name: str, payload: dict[str, Any]) -> None:
        if room.startswith("user:"):
            return
        data = payload["data"]
        late = payload["meta"]["late"]
        if name == "chain:reverted":
            self._replace(data)
        elif name == "stream:updated":
            self._keep(self.streams, data["streamId"], data if data["status"] != "reverted" else None)
        elif name in ("marketplace:new-listing", "marketplace:listing-updated", "marketplace:listing-cancelled"):
            is_open = data["status"] in ("active", "pending") and name != "marketplace:listing-cancelled"
            if name != "marketplace:listing-updated" or data["streamId"] in self.listings:
                self._keep(self.listings, data["streamId"], data if is_open else None)
        elif name == "marketplace:sale":
            self._keep(self.listings, data["streamId"], None)
        elif name == "treasury:balance-updated":
            self.balance = data["newBalance"]
        elif name == "access-control:protocol":
            self.paused = data["paused"]
        elif name in ("treasury:proposal-created", "treasury:admin-proposal-created"):
            self.proposals[data["proposalId"]] = data
        elif name in ("treasury:admin-added", "treasury:admin-removed"):
            (self.admins.add if name == "treasury:admin-added" else self.admins.discard)(data["admin"])
            if late:
                self.stale.add("treasury")
        elif name in ("treasury:proposal-approved", "treasury:admin-proposal-approved"):
            proposal = self.proposals.setdefault(data["proposalId"], {"executed": False, "approvals": []})
            known = proposal["approvals"]
            approvals = known if data["approver"] in known else [*known, data["approver"]]
            proposal |= {"approvalCount": data["approvalCount"], "approvals": approvals}
        elif name in ("treasury:proposal-executed", "treasury:admin-proposal-executed"):
            proposal = self.proposals.setdefault(data["proposalId"], {"approvals": []})
            proposal |= {"executed": True, "approvalCount": data["approvalCount"]}
        if late and "proposalId" in data:
            self.stale.add(data["proposalId"])

    def _replace(self, data: dict[str, Any]) -> None:
        state = data["state"]
        if "stream" in state:
            self._keep(self.streams, data["streamId"], state["stream"])
            listing = state["listing"]
            is_open = listing and listing["status"] in ("active", "pending")
            self._keep(self.listings, data["streamId"], listing if is_open else None)
        if "proposal" in state:
            self._keep(self.proposals, data["proposalId"], state["proposal"])
            self.stale.discard(data["proposalId"])
        if "treasury" in state:
            self.balance, self.admins = state["treasury"]["balance"], set(state["treasury"]["admins"])
            self.stale.discard("treasury")
        if "protocol" in state:
            self.paused = state["protocol"]["paused"]

    @staticmethod
    def _keep(views: dict[str, Any], key: str, view: Any) -> None:
        if view is None:
            views.pop(key, None)
        else:
            views[key] = view
