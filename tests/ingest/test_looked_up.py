"""What is said and not printed: each value has one source, and is null where that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.local.chainhook import Event, NftBurn, NftMint, Tx
from shared.database import Pool
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    a_delivery,
    block,
    stream_cancelled,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)
from tests.ingest.test_record import tell
from tests.prints import created, market, moved, treasury
from tests.stored import emissions


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
