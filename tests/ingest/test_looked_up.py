"""What is said and not printed: each value has one source, and is null where that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from deploy.local.chainhook import Event, NftBurn, NftMint, Tx
from ingest.delivery import Delivery, Observed, Unreadable
from shared import tables
from shared.database import Pool
from shared.settings import DEPLOYER
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    ADelivery,
    a_delivery,
    block,
    stream_cancelled,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)
from tests.ingest.test_record import tell
from tests.prints import access, created, market, moved, treasury
from tests.stored import emissions, rows


@dataclass(frozen=True, slots=True)
class Case:
    """What is known ``before``, what is ``told`` then, and what an emission of that ``name`` says of it."""

    promise: str
    before: Sequence[Event | Tx]
    told: Tx
    name: str
    says: dict[str, Any]


STREAM = tx(*created(1, ALICE))
LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=900, listed_at=8)
RESERVED = market("purchase-initiated", stream_id=1, buyer=DAVE, payment_id="pay", expires_at=1017)
EXPIRED = market("purchase-expired", stream_id=1, buyer=DAVE)
BOUGHT = market("direct-purchase-completed", stream_id=1, buyer=DAVE, seller=ALICE, price=900, sale_id=5)
SETTLED = market(
    "gateway-purchase-completed", stream_id=1, buyer=DAVE, seller=ALICE, price=900, payment_id="pay", sale_id=6
)
DUES = market("marketplace-fee-updated", new_fee=250, old_fee=1)
PROPOSED = treasury(
    "withdrawal-proposed", proposal_id=1, amount=40, recipient=BOB, proposer=ALICE, description="r", expires_at=2000
)
ADD = treasury("add-admin-proposed", proposal_id=2, new_admin=CAROL, proposer=ALICE)
GENERAL = treasury("fee-collected", amount=100, caller=DAVE, new_balance=100)
TO_CAROL = treasury("admin-transfer-proposed", current_admin=ALICE, proposed_admin=CAROL)


def market_fee(amount: int) -> Event:
    return treasury("marketplace-fee-collected", amount=amount, caller=CONTRACTS.marketplace, new_balance=amount)


def cancellation_fee(amount: int) -> Event:
    return treasury("cancellation-fee-collected", amount=amount, caller=CONTRACTS.core, new_balance=amount)


CASES = [
    Case(
        "a withdrawal names the payer and the totals of its stream",
        [STREAM, stream_withdrawal(1, 1)],
        tx(stream_withdrawal(1, 400_000)),
        "stream:withdrawal",
        {"sender": ALICE, "totalWithdrawn": "400001", "remaining": "599999", "streamAmount": "1000000"},
    ),
    Case(
        "a withdrawal of an unknown stream has no payer and no remainder",
        [],
        tx(stream_withdrawal(1, 400_000)),
        "stream:withdrawal",
        {"sender": None, "totalWithdrawn": "400000", "remaining": None, "streamAmount": None},
    ),
    Case(
        "a cancellation names the recipient", [STREAM], tx(stream_cancelled(1)), "stream:cancelled", {"recipient": BOB}
    ),
    Case(
        "a change of payer names the recipient",
        [STREAM],
        tx(stream_sender_updated(1, old=ALICE, new=CAROL)),
        "stream:sender-updated",
        {"recipient": BOB},
    ),
    Case(
        "a purchase that begins names seller and price of the listing, and its own block",
        [STREAM, LISTED],
        tx(RESERVED),
        "marketplace:purchase-initiated",
        {"seller": ALICE, "price": "900", "initiatedAt": "9"},
    ),
    Case(
        "a purchase of an unknown listing has neither",
        [],
        tx(RESERVED),
        "marketplace:purchase-initiated",
        {"seller": None, "price": None, "initiatedAt": "7"},
    ),
    Case(
        "a purchase that expires names what was agreed",
        [STREAM, LISTED, RESERVED],
        tx(EXPIRED),
        "marketplace:purchase-expired",
        {"seller": ALICE, "price": "900", "paymentId": "pay", "expiresAt": "1017"},
    ),
    Case(
        "a purchase that expires and was not known to be open names no payment",
        [STREAM, LISTED],
        tx(EXPIRED),
        "marketplace:purchase-expired",
        {"seller": ALICE, "paymentId": None, "expiresAt": None},
    ),
    Case(
        "a direct sale costs the fee that its transaction has paid",
        [STREAM, LISTED, DUES],
        tx(market_fee(7), *moved(1, ALICE, DAVE), BOUGHT),
        "marketplace:sale",
        {"marketplaceFee": "7", "sellerProceeds": "893"},
    ),
    Case(
        "a direct sale whose fee is not told costs what the market asks, rounded down",
        [STREAM, LISTED, DUES],
        tx(*moved(1, ALICE, DAVE), BOUGHT),
        "marketplace:sale",
        {"marketplaceFee": "22", "sellerProceeds": "878"},
    ),
    Case(
        "what a sale by gateway costs is not known on the chain",
        [STREAM, LISTED, DUES, RESERVED],
        tx(*moved(1, ALICE, DAVE), SETTLED),
        "marketplace:sale",
        {"marketplaceFee": None, "sellerProceeds": None},
    ),
    Case(
        "a cancellation's fee belongs to the stream that is cancelled next at that fee",
        [STREAM, tx(*created(2, ALICE))],
        tx(cancellation_fee(5_000), stream_cancelled(2, fee=4_000), stream_cancelled(1, fee=5_000)),
        "treasury:fee-collected",
        {"streamId": "1", "saleId": None},
    ),
    Case(
        "a cancellation's fee that no cancellation follows belongs to no stream",
        [STREAM],
        tx(stream_cancelled(1, fee=5_000), cancellation_fee(5_000)),
        "treasury:fee-collected",
        {"streamId": None, "saleId": None},
    ),
    Case(
        "a market fee belongs to the next direct sale of its transaction",
        [STREAM, LISTED],
        tx(market_fee(9), *moved(1, ALICE, DAVE), BOUGHT),
        "treasury:fee-collected",
        {"streamId": "1", "saleId": "5"},
    ),
    Case(
        "a changed market fee says the one that was, not the one that the contract prints, and who changed it",
        [DUES],
        tx(market("marketplace-fee-updated", new_fee=300, old_fee=1), sender=CAROL),
        "marketplace:config-updated",
        {"oldFeeBps": "250", "newFeeBps": "300", "updatedBy": CAROL},
    ),
    Case(
        "a proposal to withdraw begins at its block and waits 144 of them",
        [],
        tx(PROPOSED),
        "treasury:proposal-created",
        {"proposedAt": "7", "timelockExpires": "151", "expiresAt": "2000"},
    ),
    Case(
        "a proposal of an admin lives 1008 blocks and needs the signatures of now",
        [],
        tx(ADD),
        "treasury:admin-proposal-created",
        {"expiresAt": "1015", "required": "1"},
    ),
    Case(
        "an executed withdrawal says the balance that is left and who executed it",
        [GENERAL, PROPOSED],
        tx(treasury("withdrawal-executed", proposal_id=1, amount=40, recipient=BOB, approvals=3), sender=CAROL),
        "treasury:proposal-executed",
        {"newBalance": "60", "executor": CAROL},
    ),
    Case(
        "an executed proposal of an admin says how many there are now",
        [ADD],
        tx(
            treasury("admin-proposal-executed", proposal_id=2, action="add", target_admin=CAROL, approvals=1),
            sender=DAVE,
        ),
        "treasury:admin-proposal-executed",
        {"executor": DAVE},
    ),
    Case(
        "a cancelled transfer of the treasury says who was to have it",
        [TO_CAROL],
        tx(treasury("admin-transfer-cancelled", cancelled_by=ALICE)),
        "treasury:admin-transfer",
        {"newAdmin": CAROL, "cancelledBy": ALICE},
    ),
    Case(
        "an NFT's stream has the number of its token",
        [],
        tx(NftMint(CONTRACTS.recipient_asset, 77, BOB)),
        "nft:minted",
        {"tokenId": "77", "streamId": "77"},
    ),
    Case(
        "a burnt one's too",
        [],
        tx(NftBurn(CONTRACTS.recipient_asset, 77, BOB)),
        "nft:burned",
        {"tokenId": "77", "streamId": "77"},
    ),
    Case(
        "a fee of the treasury's own belongs to no stream and no sale",
        [STREAM],
        tx(GENERAL, stream_cancelled(1, fee=100)),
        "treasury:fee-collected",
        {"feeType": "general", "streamId": None, "saleId": None},
    ),
    Case(
        "a change of payer in a sale names the sale",
        [STREAM, LISTED],
        tx(*moved(1, ALICE, DAVE), BOUGHT),
        "stream:sender-updated",
        {"saleId": "5"},
    ),
    Case(
        "a change of payer beside another stream's sale names none",
        [STREAM, tx(*created(2, ALICE))],
        tx(stream_sender_updated(2, old=ALICE, new=CAROL), BOUGHT),
        "stream:sender-updated",
        {"streamId": "2", "saleId": None},
    ),
    Case(
        "a backend is let in by who sent the transaction",
        [],
        tx(market("backend-authorized", backend=DAVE), sender=CAROL),
        "access-control:backend",
        {"backend": DAVE, "authorized": True, "by": CAROL},
    ),
    Case(
        "a backend is shut out by who sent the transaction",
        [],
        tx(market("backend-deauthorized", backend=DAVE), sender=CAROL),
        "access-control:backend",
        {"backend": DAVE, "authorized": False, "by": CAROL},
    ),
    Case(
        "a first change of the market fee says the one that the contract began with",
        [],
        tx(DUES),
        "marketplace:config-updated",
        {"oldFeeBps": "100", "newFeeBps": "250"},
    ),
    Case(
        "an approval of an admin's proposal asks for the signatures of now",
        [ADD, treasury("admin-proposal-executed", proposal_id=9, action="add", target_admin=DAVE, approvals=1)],
        tx(treasury("admin-proposal-approved", proposal_id=2, approver=DAVE, total_approvals=2)),
        "treasury:admin-proposal-approved",
        {"required": "2", "proposer": ALICE, "kind": "add-admin", "ready": True},
    ),
    Case(
        "an admin who is let in makes the admins and the signatures more",
        [ADD],
        tx(treasury("admin-proposal-executed", proposal_id=2, action="add", target_admin=CAROL, approvals=1)),
        "treasury:admin-added",
        {"admin": CAROL, "activeAdminCount": "2", "required": "2"},
    ),
    Case(
        "an admin who is shut out makes them fewer",
        [treasury("admin-proposal-executed", proposal_id=2, action="add", target_admin=CAROL, approvals=1)],
        tx(treasury("admin-proposal-executed", proposal_id=3, action="remove", target_admin=CAROL, approvals=2)),
        "treasury:admin-removed",
        {"admin": CAROL, "activeAdminCount": "1", "required": "1"},
    ),
    Case(
        "a transfer of access that is complete names the contract's owner, who stays an admin",
        [access("admin-transfer-initiated", from_=DEPLOYER, to=CAROL)],
        tx(access("admin-transfer-completed", new_admin=CAROL)),
        "access-control:admin-transfer",
        {"currentAdmin": DEPLOYER, "newAdmin": CAROL},
    ),
    Case(
        "a cancelled transfer of the treasury that was never proposed names nobody",
        [],
        tx(treasury("admin-transfer-cancelled", cancelled_by=ALICE)),
        "treasury:admin-transfer",
        {"newAdmin": None, "cancelledBy": ALICE},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.promise.replace(" ", "-"))
async def test_it_is_said_of(database: Pool, case: Case) -> None:
    blocks = [block(7 + number, it) for number, it in enumerate([*case.before, case.told])]
    await tell(database, a_delivery().applies(*blocks[:-1]))
    before = len(await emissions(database))
    await tell(database, a_delivery().applies(blocks[-1]))
    news = (await emissions(database))[before:]
    found = [it["data"] for _, _, _, name, it in news if name == case.name]
    assert found, sorted({name for _, _, _, name, _ in news})
    for data in found:
        assert case.says == {name: data.get(name, "absent") for name in case.says}


async def told_late(database: Pool, late: Tx | Event, *earlier: Event | Tx) -> list[tuple[str, str, dict[str, Any]]]:
    """What is said of the first block when those above it were told before."""
    blocks = [block(7 + number, it) for number, it in enumerate([late, *earlier])]
    await tell(database, a_delivery().applies(*blocks[1:]))
    before = len(await emissions(database))
    await tell(database, a_delivery().applies(blocks[0]))
    return [(room, name, it["data"]) for _, _, room, name, it in (await emissions(database))[before:]]


async def test_a_listing_that_comes_late_gives_its_purchase_seller_and_price(database: Pool) -> None:
    await told_late(database, LISTED, RESERVED)
    (purchase,) = await rows(database, tables.market_purchases)
    assert (ALICE, 900, "pending") == (purchase.seller, purchase.price, purchase.status)


async def test_a_purchase_that_comes_behind_its_end_is_over_and_was_agreed_then(database: Pool) -> None:
    blocks = [block(7 + number, it) for number, it in enumerate([LISTED, RESERVED, EXPIRED])]
    await tell(database, *(a_delivery().applies(blocks[it]) for it in (0, 2, 1)))
    (purchase,) = await rows(database, tables.market_purchases)
    assert ("expired", 9, ALICE, 900) == (
        purchase.status,
        purchase.closed_block,
        purchase.seller,
        purchase.price,
    )


async def test_an_expiry_says_the_price_of_now_though_the_purchase_was_made_at_another(database: Pool) -> None:
    repriced = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=900, new_price=800)
    happens = [STREAM, LISTED, RESERVED, repriced, EXPIRED]
    await tell(database, a_delivery().applies(*(block(7 + number, it) for number, it in enumerate(happens))))
    said = [it["data"]["price"] for *_, name, it in await emissions(database) if name == "marketplace:purchase-expired"]
    assert ["800", "800"] == said
    (purchase,) = await rows(database, tables.market_purchases)
    assert 900 == purchase.price


async def test_a_market_fee_that_comes_late_is_the_one_that_a_later_sale_was_asked(database: Pool) -> None:
    """The sale was told first, at the fee that the market began with."""
    (said,) = await told_late(database, DUES, tx(*moved(1, ALICE, DAVE), BOUGHT))
    assert ("marketplace", "marketplace:config-updated", "100") == (*said[:2], said[2]["oldFeeBps"])
    (sale,) = await rows(database, tables.market_sales)
    assert (22, 878) == (sale.marketplace_fee, sale.seller_proceeds)


async def test_of_two_fee_changes_the_earlier_told_late_was_made_from_the_first(database: Pool) -> None:
    (said,) = await told_late(
        database,
        tx(market("marketplace-fee-updated", new_fee=300, old_fee=300), sender=CAROL),
        tx(market("marketplace-fee-updated", new_fee=400, old_fee=400), sender=DAVE),
    )
    assert ("100", "300", CAROL) == tuple(said[2][name] for name in ("oldFeeBps", "newFeeBps", "updatedBy"))
    changes = {it.new_bps: it.old_bps for it in await rows(database, tables.config_changes)}
    assert {300: 100, 400: 300} == changes


async def test_a_dropped_transfer_told_late_says_who_was_pending_then(database: Pool) -> None:
    to_bob = treasury("admin-transfer-proposed", current_admin=ALICE, proposed_admin=BOB)
    dropped = treasury("admin-transfer-cancelled", cancelled_by=ALICE)
    blocks = [block(7 + number, it) for number, it in enumerate([TO_CAROL, dropped, to_bob])]
    await tell(database, a_delivery().applies(blocks[0], blocks[2]))
    before = len(await emissions(database))
    await tell(database, a_delivery().applies(blocks[1]))
    said = [it["data"]["newAdmin"] for *_, it in (await emissions(database))[before:]]
    assert {CAROL} == set(said)
    (state,) = await rows(database, tables.treasury_state)
    assert BOB == state.pending_admin


async def test_a_fee_that_comes_late_leaves_the_balance_that_was_printed_last(database: Pool) -> None:
    """And an execution says the balance after it, as the fold has it now."""
    paid = treasury("withdrawal-executed", proposal_id=1, amount=40, recipient=BOB, approvals=3)
    said = await told_late(database, GENERAL, PROPOSED, paid)
    (state,) = await rows(database, tables.treasury_state)
    assert 60 == state.balance
    changed = [data for _, name, data in said if name == "treasury:balance-updated"]
    assert [("60", "-40", "100")] == [(it["newBalance"], it["previousBalance"], it["change"]) for it in changed]


# -- a transaction of which one contract could not be read at first


@dataclass(frozen=True, slots=True)
class Dim(ADelivery):
    """A delivery in which nothing of these sources can be read this time."""

    sources: frozenset[str] = frozenset()

    def read(self, form: str = "v1", *, seed: int = 0) -> Delivery:
        read = ADelivery.read(self, form, seed=seed)
        return replace(read, apply=tuple(replace(it, events=tuple(map(self._seen, it.events))) for it in read.apply))

    def _seen(self, event: Observed) -> Observed:
        if event.place.source in self.sources:
            return Unreadable(event.place, "it is unreadable this time", "{}")
        return event


async def in_two_parts(database: Pool, past: Sequence[Event | Tx], last: Tx, unread: str) -> list[Any]:
    """Tell of a transaction without what that contract printed, then of all of it; returns what is said then."""
    blocks = [block(7 + number, it) for number, it in enumerate([*past, last])]
    await tell(database, a_delivery().applies(*blocks[:-1]))
    await tell(database, Dim(applied=(blocks[-1],), sources=frozenset({unread})))
    before = len(await emissions(database))
    await tell(database, a_delivery().applies(blocks[-1]))
    return (await emissions(database))[before:]


async def test_a_fee_read_later_than_its_sale_becomes_the_sale_s(database: Pool) -> None:
    sold = tx(market_fee(7), *moved(1, ALICE, DAVE), BOUGHT)
    said = await in_two_parts(database, [STREAM, LISTED], sold, CONTRACTS.treasury)
    (fee, *_) = [it["data"] for *_, name, it in said if name == "treasury:fee-collected"]
    assert ("1", "5") == (fee["streamId"], fee["saleId"])
    (sale,) = await rows(database, tables.market_sales)
    assert (7, 893) == (sale.marketplace_fee, sale.seller_proceeds)


async def test_a_sale_read_later_than_its_fee_gives_the_fee_its_stream_and_sale(database: Pool) -> None:
    sold = tx(market_fee(7), *moved(1, ALICE, DAVE), BOUGHT)
    await in_two_parts(database, [STREAM, LISTED], sold, CONTRACTS.marketplace)
    (fee,) = await rows(database, tables.treasury_fees)
    assert (1, 5) == (fee.stream_id, fee.sale_id)
    (change,) = await rows(database, tables.stream_sender_history)
    assert 5 == change.sale_id


async def test_a_cancellation_read_later_than_its_fee_gives_the_fee_its_stream(database: Pool) -> None:
    ended = tx(cancellation_fee(5_000), stream_cancelled(1))
    await in_two_parts(database, [STREAM], ended, CONTRACTS.core)
    (fee,) = await rows(database, tables.treasury_fees)
    assert 1 == fee.stream_id


async def test_of_two_sales_in_one_transaction_each_has_its_own_fee(database: Pool) -> None:
    other = market("direct-purchase-completed", stream_id=2, buyer=DAVE, seller=ALICE, price=1000, sale_id=6)
    both = tx(market_fee(7), *moved(1, ALICE, DAVE), BOUGHT, market_fee(20), *moved(2, ALICE, DAVE), other)
    await tell(database, a_delivery().applies(block(7, both)))
    sales = {it.sale_id: it.marketplace_fee for it in await rows(database, tables.market_sales)}
    assert {5: 7, 6: 20} == sales
    fees = {it.amount: (it.stream_id, it.sale_id) for it in await rows(database, tables.treasury_fees)}
    assert {7: (1, 5), 20: (2, 6)} == fees


async def test_a_second_sale_without_a_fee_of_its_own_does_not_have_the_first_one_s(database: Pool) -> None:
    other = market("direct-purchase-completed", stream_id=2, buyer=DAVE, seller=ALICE, price=1000, sale_id=6)
    await tell(database, a_delivery().applies(block(7, tx(market_fee(7), BOUGHT, other))))
    assert {5: 7, 6: 10} == {it.sale_id: it.marketplace_fee for it in await rows(database, tables.market_sales)}


async def test_fees_of_the_same_size_belong_each_to_the_next_cancellation(database: Pool) -> None:
    both = tx(cancellation_fee(5_000), stream_cancelled(1), cancellation_fee(5_000), stream_cancelled(2))
    await tell(database, a_delivery().applies(block(7, tx(*created(1, ALICE), *created(2, ALICE))), block(8, both)))
    fees = sorted((it.event_index, it.stream_id) for it in await rows(database, tables.treasury_fees))
    assert [1, 2] == [stream_id for _, stream_id in fees]


async def test_a_party_that_is_not_known_has_no_room_and_no_name(database: Pool) -> None:
    """A transfer of the treasury dropped that was never proposed, a purchase of a listing that was never told."""
    dropped = treasury("admin-transfer-cancelled", cancelled_by=ALICE)
    await tell(database, a_delivery().applies(block(7, dropped), block(8, RESERVED), block(9, EXPIRED)))
    said = [(room, name) for _, _, room, name, _ in await emissions(database) if room.startswith("user:")]
    assert [
        (f"user:{ALICE}", "treasury:admin-transfer"),
        (f"user:{DEPLOYER}", "treasury:admin-transfer"),
        (f"user:{DAVE}", "marketplace:purchase-initiated"),
        (f"user:{DAVE}", "marketplace:purchase-expired"),
    ] == said
