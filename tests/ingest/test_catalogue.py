"""Every event of the catalogue, recorded: who hears of it, in which words and which order, and which rows it changes.

A case is what one event promises, written by hand. ``before`` is what happened until then, one block each from height 7
on; ``told`` is the event's transaction, which Dave sends at ``HEIGHT``. ``says`` are its emissions, a line each: name
and type, then who hears them, then the data. ``rows`` are the rows it changes, a line each: the table, the key, and the
columns that are other than before. A line that is too long goes on in the next. What all cases have in common, the
envelope and the facts of the chain, is held once, by the test.

In the data a quantity is text, in the rows it is a number; what stands for more than itself is in ``NAMES``.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pytest

from deploy.local.chainhook import Block, Event, NftBurn, NftMint, Print, Tx, event_indexes
from ingest import projections
from ingest.record import Incoming, record
from shared import outbox, tables
from shared.database import Pool
from shared.domain import clarity
from shared.domain.catalogue import CATALOGUE
from shared.domain.rows import genesis
from shared.settings import DEPLOYER
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    GENESIS_S,
    a_delivery,
    block,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)
from tests.prints import access, created, market, moved, obligation, treasury
from tests.stored import emissions, rows

HEIGHT: Final = 200
NOW: Final = 1_770_000_000_000_000  # unix µs
NAMES: Final[dict[str, object]] = {
    "ALICE": ALICE,
    "BOB": BOB,
    "CAROL": CAROL,
    "DAVE": DAVE,
    "DEPLOYER": DEPLOYER,  # the treasury's first admin, access control's first admin and owner
    "CORE": CONTRACTS.core,
    "MARKET": CONTRACTS.marketplace,
    "TIME": GENESIS_S + 10 * HEIGHT,  # of the event's block
    "ITS_ID": "<id of the event>",
    "ITS_TX": "<hash of its transaction>",
    "null": None,
    "true": True,
    "false": False,
}


@dataclass(frozen=True, slots=True)
class Case:
    """What one event promises, perhaps in a ``variant`` of its circumstances; ``of`` is its place in ``told``."""

    name: str
    told: Sequence[Event]
    says: str
    rows: str
    before: Sequence[Event | Tx] = ()
    of: int = -1
    variant: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


# -- streams

BEGUN = tx(*created(1, ALICE))
DRAWN = stream_withdrawal(amount=250_000)
LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=5_000, listed_at=8)
RESERVED = market("purchase-initiated", stream_id=1, buyer=CAROL, payment_id="pay-1", expires_at=150)
REPRICED = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=5_000, new_price=7_000)
BOUGHT = market("direct-purchase-completed", stream_id=1, buyer=CAROL, seller=ALICE, price=5_000, sale_id=9)
SETTLED = market(
    "gateway-purchase-completed", stream_id=1, buyer=CAROL, seller=ALICE, price=7_000, payment_id="pay-1", sale_id=9
)
SALE_FEE = treasury("marketplace-fee-collected", amount=60, caller=CONTRACTS.marketplace, new_balance=60)
SALE_TX = (SALE_FEE, *moved(1, ALICE, CAROL), BOUGHT)
STREAM = """streamId=1 sender=ALICE recipient=BOB amount=1000000 startBlock=10 endBlock=110 withdrawn=0 totalPaid=0
    remaining=1000000 status=active cancelledAtBlock=null unvestedReturned=null vestedPaid=null cancellationFee=null"""
CANCELLATION = "unvestedReturned=495000 vestedPaid=250000 cancellationFee=5000 cancelledAtBlock=200 totalPaid=500000"
LISTING = "streamId=1 seller=ALICE price=5000 listedAt=8 status=active reason=null"

STREAMS = [
    Case(
        "stream-created",
        told=[stream_created()],
        says=f"""
            stream:created stream-created > ALICE sender, BOB recipient > {STREAM}
            stream:updated created > stream:1 > {STREAM}""",
        rows="""
            streams: stream_id=1 sender=ALICE original_sender=ALICE recipient=BOB amount=1000000 start_block=10
                end_block=110 withdrawn=0 withdrawal_count=0 status=active complete=true created_block=200
                created_at=TIME created_tx=ITS_TX""",
    ),
    Case(
        "stream-withdrawal",
        before=[stream_created(), DRAWN],
        told=[stream_withdrawal(amount=100_000)],
        says=f"""
            stream:updated withdrawal > stream:1 > {STREAM} withdrawn=350000 totalPaid=350000 remaining=650000
                withdrawalAmount=100000
            stream:withdrawal stream-withdrawal > stream:1, ALICE sender, BOB recipient > streamId=1 sender=ALICE
                recipient=BOB amount=100000 totalWithdrawn=350000 remaining=650000 streamAmount=1000000
                completed=false status=active""",
        rows="streams: stream_id=1 withdrawn=350000 withdrawal_count=2 last_withdrawal_block=200",
    ),
    Case(
        "stream-withdrawal",
        variant="of-all-that-is-left",
        before=[BEGUN, LISTED, DRAWN],
        told=[stream_withdrawal(amount=750_000)],
        says=f"""
            stream:updated withdrawal > stream:1 > {STREAM} withdrawn=1000000 totalPaid=1000000 remaining=0
                status=completed withdrawalAmount=750000
            stream:withdrawal stream-withdrawal > stream:1, ALICE sender, BOB recipient > streamId=1 sender=ALICE
                recipient=BOB amount=750000 totalWithdrawn=1000000 remaining=0 streamAmount=1000000
                completed=true status=completed
            marketplace:listing-cancelled listing-auto-cancelled > marketplace, ALICE seller > {LISTING}
                status=auto_cancelled reason=stream_completed""",
        rows="""
            streams: stream_id=1 withdrawn=1000000 withdrawal_count=2 last_withdrawal_block=200 status=completed
                completed_at_block=200
            market_listings: stream_id=1 status=auto_cancelled reason=stream_completed""",
    ),
    Case(
        "stream-cancelled",
        before=[BEGUN, LISTED, RESERVED, DRAWN],
        told=[stream_cancelled(at=HEIGHT)],
        says=f"""
            stream:updated cancelled > stream:1 > {STREAM} withdrawn=250000 remaining=0 status=cancelled {CANCELLATION}
            stream:cancelled stream-cancelled > stream:1, ALICE sender, BOB recipient > streamId=1 sender=ALICE
                recipient=BOB {CANCELLATION}
            marketplace:listing-cancelled listing-auto-cancelled > marketplace, ALICE seller, CAROL buyer > {LISTING}
                status=auto_cancelled reason=stream_cancelled""",
        rows="""
            streams: stream_id=1 status=cancelled cancelled_at_block=200 cancelled_by=ALICE unvested_returned=495000
                vested_paid=250000 cancellation_fee=5000
            market_listings: stream_id=1 status=auto_cancelled reason=stream_cancelled""",
    ),
    Case(
        "stream-sender-updated",
        before=[stream_created()],
        told=[stream_sender_updated(old=ALICE, new=CAROL)],
        says=f"""
            stream:updated sender-updated > stream:1 > {STREAM} sender=CAROL
                oldSender=ALICE newSender=CAROL transferType=direct
            stream:sender-updated stream-sender-updated
                > stream:1, ALICE old-sender, CAROL new-sender, BOB recipient
                > streamId=1 oldSender=ALICE newSender=CAROL recipient=BOB transferType=direct saleId=null""",
        rows="""
            streams: stream_id=1 sender=CAROL
            stream_sender_history: stream_id=1 old_sender=ALICE new_sender=CAROL transfer_type=direct""",
    ),
    Case(
        "stream-sender-updated",
        variant="in-a-sale",
        before=[BEGUN, LISTED],
        told=SALE_TX,
        of=2,
        says=f"""
            stream:updated sender-updated > stream:1 > {STREAM} sender=CAROL
                oldSender=ALICE newSender=CAROL transferType=authorized-contract
            stream:sender-updated stream-sender-updated
                > stream:1, ALICE old-sender, CAROL new-sender, BOB recipient
                > streamId=1 oldSender=ALICE newSender=CAROL recipient=BOB transferType=authorized-contract saleId=9""",
        rows="""
            streams: stream_id=1 sender=CAROL
            stream_sender_history: stream_id=1 old_sender=ALICE new_sender=CAROL transfer_type=authorized-contract
                sale_id=9""",
    ),
]

# -- the market

SALE = "streamId=1 seller=ALICE buyer=CAROL price=5000 marketplaceFee=60 sellerProceeds=4940 saleId=9 saleType=direct"
USUAL_SALE = f"{SALE} marketplaceFee=50 sellerProceeds=4950"
GATEWAY_SALE = f"{SALE} price=7000 marketplaceFee=null sellerProceeds=null saleType=gateway"
SOLD_ROWS = """
            market_listings: stream_id=1 on_chain_active=false sale_id=9 status=sold
            market_state: total_sales=1 total_volume=5000
            market_sales: sale_id=9 stream_id=1 seller=ALICE buyer=CAROL price=5000 kind=direct sold_at_block=200
                sold_at=TIME"""

MARKET = [
    Case(
        "market-nft-listed",
        before=[BEGUN],
        told=[market("nft-listed", stream_id=1, seller=ALICE, price=5_000, listed_at=HEIGHT)],
        says=f"marketplace:new-listing nft-listed > marketplace, ALICE seller > {LISTING} listedAt=200",
        rows="""
            market_listings: stream_id=1 seller=ALICE price=5000 listed_at_block=200 on_chain_active=true
                status=active complete=true
            market_price_history: stream_id=1 new_price=5000 changed_by=ALICE
            market_state: total_listings=1""",
    ),
    Case(
        "market-listing-price-updated",
        before=[BEGUN, LISTED, RESERVED],
        told=[REPRICED],
        says=f"""
            marketplace:listing-updated listing-price-updated > marketplace, ALICE seller, CAROL buyer > {LISTING}
                price=7000 status=pending oldPrice=5000 newPrice=7000""",
        rows="""
            market_listings: stream_id=1 price=7000
            market_price_history: stream_id=1 old_price=5000 new_price=7000 changed_by=ALICE""",
    ),
    Case(
        "market-listing-cancelled",
        before=[BEGUN, LISTED],
        told=[market("listing-cancelled", stream_id=1, seller=ALICE)],
        says=f"""
            marketplace:listing-cancelled listing-cancelled > marketplace, ALICE seller > {LISTING}
                status=cancelled reason=seller""",
        rows="market_listings: stream_id=1 on_chain_active=false status=cancelled reason=seller",
    ),
    Case(
        "market-direct-purchase-completed",
        before=[BEGUN, LISTED],
        told=SALE_TX,
        says=f"""
            marketplace:sale sale-completed > marketplace > {SALE}
            marketplace:sale purchase-completed > CAROL buyer > {SALE} paymentId=null
            marketplace:sale sale-completed > ALICE seller > {SALE} paymentId=null""",
        rows=f"{SOLD_ROWS} marketplace_fee=60 seller_proceeds=4940",
    ),
    Case(
        "market-direct-purchase-completed",
        variant="whose-fee-is-not-told",
        before=[BEGUN, LISTED],
        told=[*moved(1, ALICE, CAROL), BOUGHT],
        says=f"""
            marketplace:sale sale-completed > marketplace > {USUAL_SALE}
            marketplace:sale purchase-completed > CAROL buyer > {USUAL_SALE} paymentId=null
            marketplace:sale sale-completed > ALICE seller > {USUAL_SALE} paymentId=null""",
        rows=f"{SOLD_ROWS} marketplace_fee=50 seller_proceeds=4950",
    ),
    Case(
        "market-direct-purchase-completed",
        variant="of-which-nothing-else-is-told",
        before=[BEGUN, LISTED],
        told=[BOUGHT],
        says=f"""
            marketplace:sale sale-completed > marketplace > {USUAL_SALE}
            marketplace:sale purchase-completed > CAROL buyer > {USUAL_SALE} paymentId=null
            marketplace:sale sale-completed > ALICE seller > {USUAL_SALE} paymentId=null
            stream:updated sender-updated > stream:1 > {STREAM} sender=CAROL""",
        rows=f"""
            {SOLD_ROWS} marketplace_fee=50 seller_proceeds=4950
            streams: stream_id=1 sender=CAROL
            nfts: kind=obligation stream_id=1 owner=CAROL""",
    ),
    Case(
        "market-purchase-initiated",
        before=[BEGUN, LISTED],
        told=[market("purchase-initiated", stream_id=1, buyer=CAROL, payment_id="pay-1", expires_at=1_208)],
        says=f"""
            marketplace:purchase-initiated purchase-initiated > CAROL buyer, ALICE seller > streamId=1 seller=ALICE
                buyer=CAROL price=5000 paymentId=pay-1 initiatedAt=200 expiresAt=1208
            marketplace:listing-updated purchase-initiated > marketplace > {LISTING} status=pending""",
        rows="""
            market_purchases: stream_id=1 buyer=CAROL seller=ALICE price=5000 payment_id=pay-1 initiated_at_block=200
                expires_at_block=1208 status=pending
            market_listings: stream_id=1 purchase_id=ITS_ID status=pending""",
    ),
    Case(
        "market-gateway-purchase-completed",
        before=[BEGUN, LISTED, RESERVED, REPRICED],
        told=[*moved(1, ALICE, CAROL), SETTLED],
        says=f"""
            marketplace:sale sale-completed > marketplace > {GATEWAY_SALE}
            marketplace:sale purchase-completed > CAROL buyer > {GATEWAY_SALE} paymentId=pay-1
            marketplace:sale sale-completed > ALICE seller > {GATEWAY_SALE} paymentId=pay-1""",
        rows="""
            market_sales: sale_id=9 stream_id=1 seller=ALICE buyer=CAROL price=7000 kind=gateway payment_id=pay-1
                sold_at_block=200 sold_at=TIME
            market_listings: stream_id=1 on_chain_active=false sale_id=9 purchase_id=null status=sold
            market_purchases: status=completed closed_block=200 closed_tx=ITS_TX
            market_state: total_sales=1 total_volume=7000""",
    ),
    Case(
        "market-purchase-expired",
        before=[BEGUN, LISTED, RESERVED],
        told=[market("purchase-expired", stream_id=1, buyer=CAROL)],
        says=f"""
            marketplace:purchase-expired purchase-expired > CAROL buyer, ALICE seller > streamId=1 seller=ALICE
                buyer=CAROL price=5000 paymentId=pay-1 expiresAt=150
            marketplace:listing-updated purchase-expired > marketplace > {LISTING}""",
        rows="""
            market_purchases: status=expired closed_block=200 closed_tx=ITS_TX
            market_listings: stream_id=1 purchase_id=null status=active""",
    ),
    Case(
        "market-backend-authorized",
        told=[market("backend-authorized", backend=CAROL)],
        says="access-control:backend backend-authorized > access-control > backend=CAROL authorized=true by=DAVE",
        rows="market_backends: backend=CAROL authorized=true changed_by=DAVE",
    ),
    Case(
        "market-backend-deauthorized",
        before=[market("backend-authorized", backend=CAROL)],
        told=[market("backend-deauthorized", backend=CAROL)],
        says="access-control:backend backend-deauthorized > access-control > backend=CAROL authorized=false by=DAVE",
        rows="market_backends: backend=CAROL authorized=false changed_by=DAVE",
    ),
    Case(
        "market-marketplace-fee-updated",
        told=[market("marketplace-fee-updated", old_fee=250, new_fee=250)],  # as printed: both are the new one
        says="marketplace:config-updated fee-updated > marketplace > oldFeeBps=100 newFeeBps=250 updatedBy=DAVE",
        rows="""
            market_state: fee_bps=250
            config_changes: scope=market old_bps=100 new_bps=250 changed_by=DAVE""",
    ),
]

# -- the treasury

FUNDED = treasury("fee-collected", amount=10_000, caller=CAROL, new_balance=10_000)
ADD_ALICE = treasury("add-admin-proposed", proposal_id=1, new_admin=ALICE, proposer=DEPLOYER)
TWO_ADMINS = (
    ADD_ALICE,
    treasury("admin-proposal-executed", proposal_id=1, action="add", target_admin=ALICE, approvals=1),
)
OFFERED = treasury("admin-transfer-proposed", current_admin=DEPLOYER, proposed_admin=CAROL)
ADD_CAROL = treasury("add-admin-proposed", proposal_id=2, new_admin=CAROL, proposer=ALICE)
CAROL_APPROVED = treasury("admin-proposal-approved", proposal_id=2, approver=DEPLOYER, total_approvals=2)
REMOVE_ALICE = treasury("remove-admin-proposed", proposal_id=2, target_admin=ALICE, proposer=DEPLOYER)
ALICE_APPROVES = treasury("admin-proposal-approved", proposal_id=2, approver=ALICE, total_approvals=2)


def proposed(proposal_id: int, amount: int, proposer: str = ALICE) -> Print:
    terms = {"amount": amount, "recipient": BOB, "description": "rent", "expires_at": 1_208}
    return treasury("withdrawal-proposed", proposal_id=proposal_id, proposer=proposer, **terms)


def approved(proposal_id: int) -> Print:
    return treasury("withdrawal-approved", proposal_id=proposal_id, approver=DEPLOYER, total_approvals=2, required=2)


def executed(proposal_id: int, amount: int) -> Print:
    return treasury("withdrawal-executed", proposal_id=proposal_id, amount=amount, recipient=BOB, approvals=2)


TREASURY = [
    Case(
        "treasury-fee-collected",
        before=[FUNDED],
        told=[treasury("fee-collected", amount=500, caller=CAROL, new_balance=10_500)],
        says="""
            treasury:fee-collected fee-collected > treasury > feeType=general amount=500 caller=CAROL newBalance=10500
                streamId=null saleId=null
            treasury:balance-updated fee-collected > treasury > newBalance=10500 previousBalance=10000 change=500
                reason=fee""",
        rows="""
            treasury_fees: kind=general amount=500 caller=CAROL new_balance=10500
            treasury_state: balance=10500 total_fees=10500 general_fees=10500""",
    ),
    Case(
        "treasury-cancellation-fee-collected",
        before=[FUNDED, stream_created()],
        told=[
            treasury("cancellation-fee-collected", amount=5_000, caller=CONTRACTS.core, new_balance=15_000),
            stream_cancelled(fee=5_000),
        ],
        of=0,
        says="""
            treasury:fee-collected cancellation-fee-collected > treasury > feeType=cancellation amount=5000 caller=CORE
                newBalance=15000 streamId=1 saleId=null
            treasury:balance-updated cancellation-fee-collected > treasury > newBalance=15000 previousBalance=10000
                change=5000 reason=fee""",
        rows="""
            treasury_fees: kind=cancellation amount=5000 caller=CORE new_balance=15000 stream_id=1
            treasury_state: balance=15000 total_fees=15000 cancellation_fees=5000""",
    ),
    Case(
        "treasury-marketplace-fee-collected",
        before=[BEGUN, LISTED],
        told=SALE_TX,
        of=0,
        says="""
            treasury:fee-collected marketplace-fee-collected > treasury > feeType=marketplace amount=60 caller=MARKET
                newBalance=60 streamId=1 saleId=9
            treasury:balance-updated marketplace-fee-collected > treasury > newBalance=60 previousBalance=0 change=60
                reason=fee""",
        rows="""
            treasury_fees: kind=marketplace amount=60 caller=MARKET new_balance=60 stream_id=1 sale_id=9
            treasury_state: balance=60 total_fees=60 marketplace_fees=60""",
    ),
    Case(
        "treasury-withdrawal",
        before=[FUNDED],
        told=[treasury("withdrawal", amount=4_000, recipient=BOB, admin=DEPLOYER, new_balance=6_000)],
        says="""
            treasury:withdrawal withdrawal > treasury > amount=4000 recipient=BOB admin=DEPLOYER newBalance=6000
            treasury:balance-updated withdrawal > treasury > newBalance=6000 previousBalance=10000 change=-4000
                reason=withdrawal
            treasury:withdrawal withdrawal > BOB recipient, DEPLOYER admin > amount=4000 recipient=BOB admin=DEPLOYER
                newBalance=6000""",
        rows="""
            treasury_transfers: kind=withdrawal amount=4000 recipient=BOB admin=DEPLOYER new_balance=6000
            treasury_state: balance=6000""",
    ),
    Case(
        "treasury-distribution",
        before=[FUNDED, treasury("distribution", amount=1_000, recipient=BOB, admin=DEPLOYER, new_balance=9_000)],
        told=[treasury("distribution", amount=4_000, recipient=BOB, admin=DEPLOYER, new_balance=5_000)],
        says="""
            treasury:distribution distribution > treasury > amount=4000 recipient=BOB admin=DEPLOYER newBalance=5000
                recipientTotal=5000
            treasury:balance-updated distribution > treasury > newBalance=5000 previousBalance=9000 change=-4000
                reason=distribution
            treasury:distribution distribution > BOB recipient, DEPLOYER admin > amount=4000 recipient=BOB
                admin=DEPLOYER newBalance=5000 recipientTotal=5000""",
        rows="""
            treasury_transfers: kind=distribution amount=4000 recipient=BOB admin=DEPLOYER new_balance=5000
            treasury_recipient_totals: recipient=BOB total=5000
            treasury_state: balance=5000""",
    ),
    Case(
        "treasury-fee-updated",
        before=TWO_ADMINS,
        told=[treasury("fee-updated", old_fee_bps=50, new_fee_bps=75, admin=DEPLOYER)],
        says="""
            treasury:config-updated fee-updated > treasury, DEPLOYER admin, ALICE admin > oldFeeBps=50 newFeeBps=75
                admin=DEPLOYER""",
        rows="""
            treasury_state: fee_bps=75
            config_changes: scope=treasury old_bps=50 new_bps=75 changed_by=DEPLOYER""",
    ),
    Case(
        "treasury-admin-transfer-proposed",
        before=TWO_ADMINS,
        told=[OFFERED],
        says="""
            treasury:admin-transfer admin-transfer-proposed
                > treasury, DEPLOYER current-admin, CAROL new-admin, ALICE admin
                > currentAdmin=DEPLOYER newAdmin=CAROL""",
        rows="treasury_state: pending_admin=CAROL",
    ),
    Case(
        "treasury-admin-transfer-completed",
        before=[*TWO_ADMINS, OFFERED],
        told=[treasury("admin-transfer-completed", old_admin=DEPLOYER, new_admin=CAROL)],
        says="""
            treasury:admin-transfer admin-transfer-completed
                > treasury, DEPLOYER old-admin, CAROL new-admin, ALICE admin
                > oldAdmin=DEPLOYER newAdmin=CAROL""",
        rows="treasury_state: admin=CAROL pending_admin=null",
    ),
    Case(
        "treasury-admin-transfer-cancelled",
        before=[*TWO_ADMINS, OFFERED],
        told=[treasury("admin-transfer-cancelled", cancelled_by=DEPLOYER)],
        says="""
            treasury:admin-transfer admin-transfer-cancelled
                > treasury, DEPLOYER current-admin, CAROL new-admin, ALICE admin
                > cancelledBy=DEPLOYER newAdmin=CAROL""",
        rows="treasury_state: pending_admin=null",
    ),
    Case(
        "treasury-withdrawal-proposed",
        told=[proposed(1, 4_000, proposer=DEPLOYER)],
        says="""
            treasury:proposal-created withdrawal-proposed > treasury, DEPLOYER proposer > proposalId=1 kind=withdrawal
                proposer=DEPLOYER recipient=BOB amount=4000 description=rent action=null targetAdmin=null
                approvals=[DEPLOYER] approvalCount=1 required=1 proposedAt=200 timelockExpires=344 expiresAt=1208
                executed=false executedAt=null
            treasury:proposal-ready proposal-ready > treasury, DEPLOYER proposer > proposalId=1 kind=withdrawal
                proposer=DEPLOYER approvalCount=1 required=1 timelockExpires=344 expiresAt=1208""",
        rows="""
            treasury_proposals: proposal_id=1 kind=withdrawal proposer=DEPLOYER amount=4000 recipient=BOB
                description=rent approvers=[DEPLOYER] approval_count=1 status=pending proposed_at_block=200
                timelock_block=344 expires_at_block=1208 complete=true""",
    ),
    Case(
        "treasury-withdrawal-approved",
        before=[*TWO_ADMINS, proposed(2, 4_000)],  # at height 9
        told=[approved(2)],
        says="""
            treasury:proposal-approved withdrawal-approved > treasury, DEPLOYER approver, ALICE proposer > proposalId=2
                kind=withdrawal approver=DEPLOYER approvalCount=2 required=2 proposer=ALICE ready=true
            treasury:proposal-ready proposal-ready > treasury, ALICE proposer > proposalId=2 kind=withdrawal
                proposer=ALICE approvalCount=2 required=2 timelockExpires=153 expiresAt=1208""",
        rows="treasury_proposals: proposal_id=2 approvers=[ALICE,DEPLOYER] approval_count=2",
    ),
    Case(
        "treasury-withdrawal-executed",
        before=[FUNDED, *TWO_ADMINS, proposed(2, 1_000), executed(2, 1_000), proposed(3, 4_000), approved(3)],
        told=[executed(3, 4_000)],  # the first was more than a window before
        says="""
            treasury:proposal-executed withdrawal-executed > treasury > proposalId=3 kind=withdrawal recipient=BOB
                amount=4000 approvalCount=2 executedAt=200 executor=DAVE newBalance=5000
            treasury:balance-updated withdrawal-executed > treasury > newBalance=5000 previousBalance=9000
                change=-4000 reason=proposal-executed
            treasury:proposal-executed withdrawal-executed > BOB recipient, DEPLOYER admin, ALICE proposer
                > proposalId=3 kind=withdrawal recipient=BOB amount=4000 approvalCount=2 executedAt=200 executor=DAVE
                newBalance=5000""",
        rows="""
            treasury_proposals: proposal_id=3 status=executed executed_at_block=200 executed_tx=ITS_TX executor=DAVE
            treasury_transfers: kind=multisig amount=4000 recipient=BOB proposal_id=3 new_balance=5000
            treasury_state: balance=5000 withdrawn_in_window=4000 last_withdrawal_block=200""",
    ),
    Case(
        "treasury-add-admin-proposed",
        before=TWO_ADMINS,
        told=[ADD_CAROL],
        says="""
            treasury:admin-proposal-created add-admin-proposed
                > treasury, CAROL target, DEPLOYER admin, ALICE proposer
                > proposalId=2 kind=add-admin proposer=ALICE recipient=null amount=null description=null action=add
                targetAdmin=CAROL approvals=[ALICE] approvalCount=1 required=2 proposedAt=200 timelockExpires=null
                expiresAt=1208 executed=false executedAt=null""",
        rows="""
            treasury_proposals: proposal_id=2 kind=add-admin proposer=ALICE target_admin=CAROL approvers=[ALICE]
                approval_count=1 status=pending proposed_at_block=200 expires_at_block=1208 complete=true""",
    ),
    Case(
        "treasury-add-admin-proposed",
        variant="by-the-only-admin",
        told=[ADD_ALICE],
        says="""
            treasury:admin-proposal-created add-admin-proposed > treasury, ALICE target, DEPLOYER proposer
                > proposalId=1 kind=add-admin proposer=DEPLOYER recipient=null amount=null description=null action=add
                targetAdmin=ALICE approvals=[DEPLOYER] approvalCount=1 required=1 proposedAt=200 timelockExpires=null
                expiresAt=1208 executed=false executedAt=null
            treasury:proposal-ready proposal-ready > treasury, DEPLOYER proposer > proposalId=1 kind=add-admin
                proposer=DEPLOYER approvalCount=1 required=1 timelockExpires=null expiresAt=1208""",
        rows="""
            treasury_proposals: proposal_id=1 kind=add-admin proposer=DEPLOYER target_admin=ALICE approvers=[DEPLOYER]
                approval_count=1 status=pending proposed_at_block=200 expires_at_block=1208 complete=true""",
    ),
    Case(
        "treasury-remove-admin-proposed",
        before=TWO_ADMINS,
        told=[REMOVE_ALICE],
        says="""
            treasury:admin-proposal-created remove-admin-proposed > treasury, ALICE target, DEPLOYER proposer
                > proposalId=2 kind=remove-admin proposer=DEPLOYER recipient=null amount=null description=null
                action=remove targetAdmin=ALICE approvals=[DEPLOYER] approvalCount=1 required=2 proposedAt=200
                timelockExpires=null expiresAt=1208 executed=false executedAt=null""",
        rows="""
            treasury_proposals: proposal_id=2 kind=remove-admin proposer=DEPLOYER target_admin=ALICE
                approvers=[DEPLOYER] approval_count=1 status=pending proposed_at_block=200 expires_at_block=1208
                complete=true""",
    ),
    Case(
        "treasury-admin-proposal-approved",
        before=[*TWO_ADMINS, REMOVE_ALICE],  # at height 9
        told=[ALICE_APPROVES],
        says="""
            treasury:admin-proposal-approved admin-proposal-approved > treasury, ALICE approver, DEPLOYER proposer
                > proposalId=2 kind=remove-admin approver=ALICE approvalCount=2 required=2 proposer=DEPLOYER ready=true
            treasury:proposal-ready proposal-ready > treasury, DEPLOYER proposer > proposalId=2 kind=remove-admin
                proposer=DEPLOYER approvalCount=2 required=2 timelockExpires=null expiresAt=1017""",
        rows="treasury_proposals: proposal_id=2 approvers=[DEPLOYER,ALICE] approval_count=2",
    ),
    Case(
        "treasury-admin-proposal-executed",
        before=[*TWO_ADMINS, ADD_CAROL, CAROL_APPROVED],
        told=[treasury("admin-proposal-executed", proposal_id=2, action="add", target_admin=CAROL, approvals=2)],
        says="""
            treasury:admin-proposal-executed admin-proposal-executed > treasury > proposalId=2 kind=add-admin action=add
                targetAdmin=CAROL approvalCount=2 executedAt=200 executor=DAVE activeAdminCount=3 required=3
            treasury:admin-added admin-added > treasury, CAROL target > admin=CAROL proposalId=2 activeAdminCount=3
                required=3
            treasury:admin-proposal-executed admin-proposal-executed > CAROL admin, DEPLOYER admin, ALICE proposer
                > proposalId=2 kind=add-admin action=add targetAdmin=CAROL approvalCount=2 executedAt=200 executor=DAVE
                activeAdminCount=3 required=3""",
        rows="""
            treasury_proposals: proposal_id=2 status=executed executed_at_block=200 executed_tx=ITS_TX executor=DAVE
            treasury_admins: address=CAROL active=true added_block=200 added_by_proposal=2
            treasury_state: active_admin_count=3 required_signatures=3""",
    ),
    Case(
        "treasury-admin-proposal-executed",
        variant="that-removes",
        before=[*TWO_ADMINS, REMOVE_ALICE, ALICE_APPROVES],
        told=[treasury("admin-proposal-executed", proposal_id=2, action="remove", target_admin=ALICE, approvals=2)],
        says="""
            treasury:admin-proposal-executed admin-proposal-executed > treasury > proposalId=2 kind=remove-admin
                action=remove targetAdmin=ALICE approvalCount=2 executedAt=200 executor=DAVE activeAdminCount=1
                required=1
            treasury:admin-removed admin-removed > treasury, ALICE target > admin=ALICE proposalId=2
                activeAdminCount=1 required=1
            treasury:admin-proposal-executed admin-proposal-executed > DEPLOYER proposer > proposalId=2
                kind=remove-admin action=remove targetAdmin=ALICE approvalCount=2 executedAt=200 executor=DAVE
                activeAdminCount=1 required=1""",
        rows="""
            treasury_proposals: proposal_id=2 status=executed executed_at_block=200 executed_tx=ITS_TX executor=DAVE
            treasury_admins: address=ALICE active=false removed_block=200 removed_by_proposal=2
            treasury_state: active_admin_count=1 required_signatures=1""",
    ),
]

# -- access control

CAROL_ADDED = access("admin-added", admin=CAROL, added_by=DEPLOYER)
CORE_AUTHORIZED = access("contract-authorized", contract=CONTRACTS.core, authorized_by=DEPLOYER)
CAROL_OFFERED = access("admin-transfer-initiated", from_=DEPLOYER, to=CAROL)

ACCESS = [
    Case(
        "access-admin-added",
        told=[CAROL_ADDED],
        says="access-control:role-changed admin-added > access-control, CAROL target > admin=CAROL addedBy=DEPLOYER",
        rows="access_roles: kind=admin principal=CAROL active=true changed_by=DEPLOYER changed_block=200",
    ),
    Case(
        "access-admin-removed",
        before=[CAROL_ADDED],
        told=[access("admin-removed", admin=CAROL, removed_by=ALICE)],
        says="access-control:role-changed admin-removed > access-control, CAROL target > admin=CAROL removedBy=ALICE",
        rows="access_roles: kind=admin principal=CAROL active=false changed_by=ALICE changed_block=200",
    ),
    Case(
        "access-operator-added",
        told=[access("operator-added", operator=CAROL, added_by=DEPLOYER)],
        says="""
            access-control:role-changed operator-added > access-control, CAROL target
                > operator=CAROL addedBy=DEPLOYER""",
        rows="access_roles: kind=operator principal=CAROL active=true changed_by=DEPLOYER changed_block=200",
    ),
    Case(
        "access-operator-removed",
        before=[access("operator-added", operator=CAROL, added_by=DEPLOYER)],
        told=[access("operator-removed", operator=CAROL, removed_by=ALICE)],
        says="""
            access-control:role-changed operator-removed > access-control, CAROL target
                > operator=CAROL removedBy=ALICE""",
        rows="access_roles: kind=operator principal=CAROL active=false changed_by=ALICE changed_block=200",
    ),
    Case(
        "access-contract-authorized",
        before=[CAROL_ADDED],
        told=[CORE_AUTHORIZED],
        says="""
            access-control:contract contract-authorized > access-control, CAROL admin, DEPLOYER admin
                > contract=CORE authorizedBy=DEPLOYER""",
        rows="access_contracts: contract=CORE authorized=true changed_by=DEPLOYER changed_block=200",
    ),
    Case(
        "access-contract-revoked",
        before=[CAROL_ADDED, CORE_AUTHORIZED],
        told=[access("contract-revoked", contract=CONTRACTS.core, revoked_by=CAROL)],
        says="""
            access-control:contract contract-revoked > access-control, CAROL admin, DEPLOYER admin
                > contract=CORE revokedBy=CAROL""",
        rows="access_contracts: contract=CORE authorized=false changed_by=CAROL changed_block=200",
    ),
    Case(
        "access-protocol-paused",
        told=[access("protocol-paused", paused_by=DEPLOYER)],
        says="access-control:protocol protocol-paused > global > paused=true pausedBy=DEPLOYER pausedAt=200",
        rows="protocol_state: paused=true changed_by=DEPLOYER since_block=200",
    ),
    Case(
        "access-protocol-unpaused",
        before=[access("protocol-paused", paused_by=DEPLOYER)],
        told=[access("protocol-unpaused", unpaused_by=CAROL)],
        says="access-control:protocol protocol-unpaused > global > paused=false unpausedBy=CAROL unpausedAt=200",
        rows="protocol_state: paused=false changed_by=CAROL since_block=200",
    ),
    Case(
        "access-admin-transfer-initiated",
        told=[CAROL_OFFERED],
        says="""
            access-control:admin-transfer admin-transfer-initiated
                > access-control, DEPLOYER current-admin, CAROL new-admin
                > currentAdmin=DEPLOYER newAdmin=CAROL""",
        rows="protocol_state: pending_admin=CAROL",
    ),
    Case(
        "access-admin-transfer-completed",
        before=[CAROL_OFFERED],
        told=[access("admin-transfer-completed", new_admin=CAROL)],
        says="""
            access-control:admin-transfer admin-transfer-completed
                > access-control, DEPLOYER current-admin, CAROL new-admin
                > currentAdmin=DEPLOYER newAdmin=CAROL""",
        rows="""
            access_roles: kind=admin principal=CAROL active=true changed_by=DEPLOYER changed_block=200
            protocol_state: pending_admin=null""",
    ),
]

# -- the two NFTs of a stream

OBLIGATION = "nft=obligation tokenId=1 streamId=1"
RECEIPT = "nft=recipient tokenId=1 streamId=1"
MOVED = f"{OBLIGATION} from=ALICE to=CAROL"
MOVED_ROWS = """
            nfts: kind=obligation stream_id=1 owner=CAROL
            nft_transfers: kind=obligation stream_id=1 token_id=1 from_addr=ALICE to_addr=CAROL"""

NFTS = [
    Case(
        "obligation-minted",
        told=[obligation("minted", stream_id=1, token_id=1, owner=ALICE)],
        says=f"nft:minted obligation-minted > ALICE owner, stream:1 > {OBLIGATION} owner=ALICE",
        rows="nfts: kind=obligation stream_id=1 token_id=1 owner=ALICE status=minted minted_block=200",
    ),
    Case(
        "obligation-transferred",
        before=[BEGUN],
        told=[obligation("transferred", stream_id=1, token_id=1, from_=ALICE, to=CAROL, note="synced")],
        says=f"""
            nft:transferred obligation-transferred > ALICE sender > {MOVED} streamSender=ALICE syncRequired=true
            nft:received obligation-transferred > CAROL recipient > {MOVED} streamSender=ALICE syncRequired=true
            nft:transferred obligation-transferred > stream:1 > {MOVED} streamSender=ALICE syncRequired=true""",
        rows=MOVED_ROWS,
    ),
    Case(
        "obligation-transferred",
        variant="in-a-sale",
        before=[BEGUN, LISTED],
        told=SALE_TX,
        of=1,
        says=f"""
            nft:transferred obligation-transferred > ALICE sender > {MOVED} streamSender=CAROL syncRequired=false
            nft:received obligation-transferred > CAROL recipient > {MOVED} streamSender=CAROL syncRequired=false
            nft:transferred obligation-transferred > stream:1 > {MOVED} streamSender=CAROL syncRequired=false""",
        rows=MOVED_ROWS,
    ),
    Case(
        "obligation-nft-burn",
        before=[BEGUN, LISTED],
        told=[NftBurn(CONTRACTS.obligation_asset, 1, ALICE)],
        says=f"""
            nft:burned obligation-nft-burned > ALICE owner, stream:1 > {OBLIGATION} owner=ALICE
            marketplace:listing-cancelled listing-auto-cancelled > marketplace, ALICE seller > {LISTING}
                status=auto_cancelled reason=nft_burned""",
        rows="""
            nfts: kind=obligation stream_id=1 owner=null status=burned burned_block=200
            market_listings: stream_id=1 status=auto_cancelled reason=nft_burned""",
    ),
    Case(
        "recipient-nft-mint",
        told=[NftMint(CONTRACTS.recipient_asset, 1, BOB)],
        says=f"nft:minted recipient-nft-minted > BOB owner, stream:1 > {RECEIPT} owner=BOB",
        rows="nfts: kind=recipient stream_id=1 token_id=1 owner=BOB status=minted minted_block=200",
    ),
    Case(
        "recipient-nft-burn",
        before=[BEGUN],
        told=[NftBurn(CONTRACTS.recipient_asset, 1, BOB)],
        says=f"nft:burned recipient-nft-burned > BOB owner, stream:1 > {RECEIPT} owner=BOB",
        rows="nfts: kind=recipient stream_id=1 owner=null status=burned burned_block=200",
    ),
]

CASES = [*STREAMS, *MARKET, *TREASURY, *ACCESS, *NFTS]
Said: TypeAlias = tuple[str, str, str, str | None, dict[str, object]]  # room, name, type, role and data
Held: TypeAlias = dict[tuple[str, ...], dict[str, object]]  # rows by table and key


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.id)
async def test_an_event_changes_its_rows_and_all_whom_it_concerns_hear_of_it(database: Pool, case: Case) -> None:
    async with database.acquire() as connection:
        await projections.begin(connection, genesis(CONTRACTS))
    await tell(database, *(block(7 + number, it) for number, it in enumerate(case.before)))
    before, said = await held(database), len(await emissions(database))
    where = block(HEIGHT, tx(*case.told, sender=DAVE, index=3))
    await tell(database, where)
    its = stamp(where, case.told[case.of], case.of)
    assert case.name in (its.meta["event"], f"{CONTRACTS.role_of(its.contract)}-{its.meta['event']}")
    alone = len(case.told) == 1  # else the other events have cases of their own
    found = await held(database)
    assert before.keys() <= found.keys()
    changed = [(ref, row) for ref, row in found.items() if row != before.get(ref)]
    changes = [
        (ref[0], difference(ref, row, before.get(ref, {}), its))
        for ref, row in changed
        if alone or row["last_event_id"] == its.id
    ]
    assert sorted(read_rows(case.rows)) == sorted(table for table, _ in changes)
    assert read_rows(case.rows) == dict(changes)
    told = (await emissions(database))[said:]
    assert_says(case, [it for it in told if alone or it[4]["meta"]["id"] == its.id], its)


def test_every_event_of_the_catalogue_has_a_case() -> None:
    names = {f"{it.role}-{it.name}" if it.name.startswith("nft-") else it.name for it in CATALOGUE}
    assert 45 == len(CATALOGUE) == len(names)
    assert names == {it.id for it in CASES if not it.variant} == {it.name for it in CASES}
    assert {1} == set(Counter(it.id for it in CASES).values())


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all that comes of an event says of it; ``meta`` lacks the room and the offset."""

    id: str
    contract: str
    tx_hash: str
    columns: Mapping[str, object]
    facts: Mapping[str, object]
    meta: Mapping[str, object]


def stamp(where: Block, event: Event, of: int) -> Stamp:
    """The stamp of the ``of``-th event of a block's only transaction, which has no other of its source."""
    (its_tx,) = where.txs
    source, name = origin(event)
    contract, index = re.split("::|/", source)[0], event_indexes(where)[its_tx.hash][of]
    id_ = hashlib.sha256(f"{where.hash}:{its_tx.hash}:{source}:0".encode()).hexdigest()[:32]
    row = {"last_event_id": id_, "updated_block": where.height, "event_id": id_, "block": where.height}
    chain = {"block_hash": where.hash, "block_time": where.time, "tx_hash": its_tx.hash}
    facts = {"txHash": its_tx.hash, "blockHeight": where.height, "blockHash": where.hash, "timestamp": where.time}
    meta = {"v": 1, "id": id_, "op": "apply", "event": name, "contract": contract, "reapplied": False, "late": False}
    place, wire = {"tx_index": its_tx.index, "event_index": index}, {"txIndex": its_tx.index, "eventIndex": index}
    return Stamp(id_, contract, its_tx.hash, {**row, **chain, **place}, facts, {**meta, **wire})


def origin(event: Event) -> tuple[str, str]:
    """Whence an event comes, as its identity says it, and its name on the chain."""
    if isinstance(event, Print):
        printed = clarity.plain(event.value)
        assert isinstance(printed, dict)
        return event.contract, str(printed["event"])
    did = {NftMint: "mint", NftBurn: "burn"}[type(event)]
    return f"{event.asset}/{did}", f"nft-{did}"


# -- what a case says, and what is there


def read_says(text: str) -> Iterator[Said]:
    """The emissions of a case, in order."""
    for line in whole_lines(text):
        what, listeners, data = line.split(" > ")
        name, type_ = what.split()
        for listener in listeners.split(", "):
            who, _, role = listener.partition(" ")
            room = f"user:{NAMES[who]}" if role else who
            yield room, name, type_, role or None, dict(fields(data))


def read_rows(text: str) -> dict[str, dict[str, object]]:
    """The changed columns of a case, by table."""
    rows_of: dict[str, dict[str, object]] = {}
    for line in whole_lines(text):
        table, _, columns = line.partition(": ")
        assert table not in rows_of
        rows_of[table] = {
            name: int(it) if isinstance(it, str) and it.isdecimal() else it for name, it in fields(columns)
        }
    return rows_of


def whole_lines(text: str) -> list[str]:
    """Its lines; one that begins with no name and colon goes on with the one above."""
    lines: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        first = line.split()[0]
        if ":" in first and "=" not in first:
            lines.append(line)
        else:
            lines[-1] += f" {line}"
    return lines


def fields(text: str) -> Iterator[tuple[str, object]]:
    """``name=value`` each; of two values the later one counts."""
    for field in text.split():
        name, _, value = field.partition("=")
        many = value[1:-1].split(",") if value.startswith("[") else None
        yield name, [meaning(it) for it in many] if many else meaning(value)


def meaning(value: str) -> object:
    return NAMES[value] if value in NAMES or value.isupper() else value


async def tell(database: Pool, *blocks: Block) -> None:
    """Record these blocks, as ingest does with one delivery."""
    async with database.acquire() as connection, outbox.held(connection):
        await record(connection, [Incoming(a_delivery().applies(*blocks).read(), NOW)], CONTRACTS)


async def held(database: Pool) -> Held:
    """Every row that a fold writes."""
    found: Held = {}
    for table in (it.table for it in projections.STORED.values()):
        for row in await rows(database, table):
            found[table.name, *(str(getattr(row, it.name)) for it in table.primary_key)] = vars(row)
    return found


def difference(
    ref: tuple[str, ...], row: Mapping[str, object], before: Mapping[str, object], its: Stamp
) -> dict[str, object]:
    """The columns of a row that are other than before, and its key; those that the stamp decides are held here."""
    columns = {name: it for name, it in row.items() if it != before.get(name)}
    for name in its.columns.keys() & columns.keys():
        assert its.columns[name] == columns.pop(name), f"{name} of {ref}"
    keys = {it.name for it in tables.metadata.tables[ref[0]].primary_key} - {"id", "event_id"}
    columns |= {name: row[name] for name in keys}
    hashes = {its.id: NAMES["ITS_ID"], its.tx_hash: NAMES["ITS_TX"]}
    return {name: hashes.get(it, it) if isinstance(it, str) else it for name, it in columns.items()}


def assert_says(case: Case, told: Sequence[tuple[int, int, str, str, dict[str, Any]]], its: Stamp) -> None:
    """One entry has these words in this order, each in the whole envelope, and the facts of the chain end its data."""
    says = list(read_says(case.says))
    assert [it[:4] for it in says] == [(room, name, it["type"], it.get("role")) for _, _, room, name, it in told]
    assert [(told[0][0], n) for n in range(len(told))] == [(seq, n) for seq, n, *_ in told]
    for (room, name, type_, role, words), (seq, n, _, _, payload) in zip(says, told, strict=True):
        data = {**words, **its.facts}
        flat = data if name.startswith(("marketplace:", "treasury:")) else {}
        known = {"role": role} if role else {}
        meta = {"offset": f"{seq}-{n}", "room": room, **its.meta}
        assert {**flat, "type": type_, **known, "data": data, "meta": meta} == payload
        assert list(its.facts) == list(payload["data"])[-4:]
