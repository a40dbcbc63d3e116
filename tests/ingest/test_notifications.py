"""Notifications: who is told of what, kept with the event, and true to the chain whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from deploy.local.chainhook import Event, NftBurn, Tx
from ingest.rebuild import rebuild
from ingest.record import Incoming, record
from shared import tables
from shared.database import Pool
from shared.domain.catalogue.core import StreamCreated
from shared.domain.event import Misfit
from shared.domain.notice import TYPES
from shared.settings import DEPLOYER
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    a_delivery,
    block,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)
from tests.ingest.test_record import NOW, assert_gapless, tell
from tests.prints import access, created, market, moved, obligation, treasury
from tests.stored import emissions, notified, rows

NAMES: Final = {ALICE: "alice", BOB: "bob", CAROL: "carol", DAVE: "dave", DEPLOYER: "deployer"}


@dataclass(frozen=True, slots=True)
class Case:
    """What the last transaction tells of, after all others: ``says`` has a line for each, who: type (priority)."""

    name: str
    told: Sequence[Event | Tx]
    says: str


BEGUN = tx(*created(1, ALICE))
LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=5_000, listed_at=8)
RESERVED = market("purchase-initiated", stream_id=1, buyer=CAROL, payment_id="pay-1", expires_at=150)
OFFER = (BEGUN, LISTED, RESERVED)
REPRICED = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=5_000, new_price=7_000)
BOUGHT = market("direct-purchase-completed", stream_id=1, buyer=CAROL, seller=ALICE, price=5_000, sale_id=9)
SETTLED = market(
    "gateway-purchase-completed", stream_id=1, buyer=CAROL, seller=ALICE, price=7_000, payment_id="pay-1", sale_id=9
)
GIFT = obligation("transferred", stream_id=1, token_id=1, from_=ALICE, to=DAVE, note="gift")
ALICE_ADMIN = treasury("admin-proposal-executed", proposal_id=90, action="add", target_admin=ALICE, approvals=1)
BOB_ADMIN = treasury("admin-proposal-executed", proposal_id=91, action="add", target_admin=BOB, approvals=1)
PROPOSED = treasury(
    "withdrawal-proposed",
    proposal_id=1,
    amount=40,
    recipient=CAROL,
    proposer=ALICE,
    description="rent",
    expires_at=2000,
)
APPROVED = treasury("withdrawal-approved", proposal_id=1, approver=BOB, total_approvals=2, required=3)
THIRD = treasury("withdrawal-approved", proposal_id=1, approver=DEPLOYER, total_approvals=3, required=3)
EXECUTED = treasury("withdrawal-executed", proposal_id=1, amount=40, recipient=CAROL, approvals=3)
OTHER_ADMIN = access("admin-added", admin=ALICE, added_by=DEPLOYER)
SOLD = "carol: purchase_completed (high)\nalice: sale_completed (high)"
VOID = "alice: listing_cancelled (high)\ncarol: listing_cancelled (high)"

CASES: Final = [
    Case("stream-created", [stream_created()], "bob: stream_received (high)\nalice: stream_created (normal)"),
    Case(
        "stream-withdrawal",
        [stream_created(), stream_withdrawal()],
        "bob: stream_withdrawal (normal)\nalice: stream_withdrawal (normal)",
    ),
    Case("stream-withdrawal of a stream that is not known", [stream_withdrawal()], "bob: stream_withdrawal (normal)"),
    Case(
        "stream-cancelled",
        [stream_created(), stream_cancelled()],
        "bob: stream_cancelled (high)\nalice: stream_cancelled (normal)",
    ),
    Case(
        "stream-sender-updated",
        [stream_created(), stream_sender_updated(old=ALICE, new=CAROL)],
        """carol: stream_sender_updated (high)
        alice: stream_sender_updated (normal)
        bob: stream_sender_updated (normal)""",
    ),
    Case(
        "one who pays himself", [stream_created(recipient=ALICE), stream_cancelled()], "alice: stream_cancelled (high)"
    ),
    Case("obligation-transferred", [BEGUN, GIFT], "dave: nft_received (high)\nalice: nft_transferred (normal)"),
    Case("obligation-minted", [NftBurn(CONTRACTS.recipient_asset, 1, BOB)], ""),
    Case("nft-listed", [BEGUN, LISTED], "alice: nft_listed (normal)"),
    Case("listing-price-updated", [BEGUN, LISTED, REPRICED], "alice: listing_updated (low)"),
    Case(
        "listing-price-updated under an open purchase",
        [*OFFER, REPRICED],
        "alice: listing_updated (low)\ncarol: listing_updated (high)",
    ),
    Case(
        "listing-cancelled",
        [BEGUN, LISTED, market("listing-cancelled", stream_id=1, seller=ALICE)],
        "alice: listing_cancelled (low)",
    ),
    Case(
        "auto-cancelled: the stream was cancelled",
        [*OFFER, stream_cancelled()],
        f"bob: stream_cancelled (high)\nalice: stream_cancelled (normal)\n{VOID}",
    ),
    Case(
        "auto-cancelled: the stream is completed",
        [*OFFER, stream_withdrawal(amount=1_000_000)],
        f"bob: stream_withdrawal (normal)\nalice: stream_withdrawal (normal)\n{VOID}",
    ),
    Case("auto-cancelled: the NFT was burned", [*OFFER, NftBurn(CONTRACTS.obligation_asset, 1, ALICE)], VOID),
    Case(
        "auto-cancelled: the NFT moved",
        [*OFFER, GIFT],
        f"dave: nft_received (high)\nalice: nft_transferred (normal)\n{VOID}",
    ),
    Case("purchase-initiated", OFFER, "carol: purchase_initiated (urgent)\nalice: purchase_initiated (normal)"),
    Case(
        "purchase-expired",
        [*OFFER, market("purchase-expired", stream_id=1, buyer=CAROL)],
        "carol: purchase_expired (normal)\nalice: purchase_expired (low)",
    ),
    Case(
        "direct sale: of the NFT's move the sale tells",
        [BEGUN, LISTED, tx(*moved(1, ALICE, CAROL), BOUGHT)],
        f"""carol: stream_sender_updated (high)
        alice: stream_sender_updated (normal)
        bob: stream_sender_updated (normal)
        {SOLD}""",
    ),
    Case("gateway sale", [*OFFER, SETTLED], SOLD),
    Case(
        "treasury-withdrawal",
        [treasury("withdrawal", amount=10, recipient=BOB, admin=DEPLOYER, new_balance=90)],
        "deployer: treasury_withdrawal (normal)\nbob: treasury_withdrawal (normal)",
    ),
    Case(
        "treasury-distribution",
        [treasury("distribution", amount=10, recipient=BOB, admin=DEPLOYER, new_balance=90)],
        "bob: treasury_distribution (normal)",
    ),
    Case("treasury-fee-collected", [treasury("fee-collected", amount=1, caller=DAVE, new_balance=1)], ""),
    Case(
        "withdrawal-proposed",
        [ALICE_ADMIN, PROPOSED],
        "deployer: admin_action_required (urgent)\nalice: withdrawal_proposed (normal)",
    ),
    Case("withdrawal-approved", [ALICE_ADMIN, BOB_ADMIN, PROPOSED, APPROVED], "bob: withdrawal_approved (normal)"),
    Case(
        "withdrawal-approved, the last that was needed",
        [ALICE_ADMIN, BOB_ADMIN, PROPOSED, APPROVED, THIRD],
        "deployer: withdrawal_approved (normal)\nalice: withdrawal_approved (high)",
    ),
    Case(
        "withdrawal-executed",
        [ALICE_ADMIN, PROPOSED, EXECUTED],
        """deployer: withdrawal_executed (high)
        alice: withdrawal_executed (high)
        carol: treasury_withdrawal (normal)""",
    ),
    Case(
        "add-admin-proposed",
        [ALICE_ADMIN, treasury("add-admin-proposed", proposal_id=2, new_admin=CAROL, proposer=ALICE)],
        "deployer: admin_action_required (high)",
    ),
    Case(
        "remove-admin-proposed",
        [ALICE_ADMIN, treasury("remove-admin-proposed", proposal_id=2, target_admin=DEPLOYER, proposer=ALICE)],
        "deployer: admin_action_required (high)",
    ),
    Case("admin-proposal-executed: add", [ALICE_ADMIN], "alice: admin_added (high)\ndeployer: admin_added (normal)"),
    Case(
        "admin-proposal-executed: remove",
        [
            ALICE_ADMIN,
            treasury("admin-proposal-executed", proposal_id=3, action="remove", target_admin=ALICE, approvals=2),
        ],
        "alice: admin_removed (high)\ndeployer: admin_removed (normal)",
    ),
    Case(
        "treasury-admin-transfer-proposed",
        [ALICE_ADMIN, treasury("admin-transfer-proposed", current_admin=DEPLOYER, proposed_admin=BOB)],
        "deployer: admin_transfer (urgent)\nbob: admin_transfer (urgent)\nalice: admin_transfer (urgent)",
    ),
    Case(
        "treasury-admin-transfer-completed",
        [treasury("admin-transfer-completed", old_admin=CAROL, new_admin=BOB)],
        "carol: admin_transfer (urgent)\nbob: admin_transfer (urgent)\ndeployer: admin_transfer (urgent)",
    ),
    Case(
        "treasury-admin-transfer-cancelled",
        [
            treasury("admin-transfer-proposed", current_admin=DEPLOYER, proposed_admin=BOB),
            treasury("admin-transfer-cancelled", cancelled_by=DEPLOYER),
        ],
        "deployer: admin_transfer (urgent)\nbob: admin_transfer (urgent)",
    ),
    Case(
        "access-admin-transfer-initiated",
        [access("admin-transfer-initiated", from_=DEPLOYER, to=BOB)],
        "deployer: admin_transfer (high)\nbob: admin_transfer (urgent)",
    ),
    Case(
        "access-admin-transfer-completed",
        [access("admin-transfer-completed", new_admin=BOB)],
        "deployer: admin_transfer (high)\nbob: admin_transfer (urgent)",
    ),
    Case("access-admin-added", [OTHER_ADMIN], "alice: admin_added (high)"),
    Case(
        "access-admin-removed",
        [access("admin-removed", admin=BOB, removed_by=DEPLOYER)],
        "bob: admin_removed (urgent)",
    ),
    Case(
        "access-operator-added",
        [access("operator-added", operator=BOB, added_by=DEPLOYER)],
        "bob: operator_added (normal)",
    ),
    Case(
        "access-operator-removed",
        [access("operator-removed", operator=BOB, removed_by=DEPLOYER)],
        "bob: operator_removed (normal)",
    ),
    Case(
        "access-contract-authorized",
        [OTHER_ADMIN, access("contract-authorized", contract=CONTRACTS.marketplace, authorized_by=DEPLOYER)],
        "deployer: security_alert (high)\nalice: security_alert (high)",
    ),
    Case(
        "access-contract-revoked",
        [OTHER_ADMIN, access("contract-revoked", contract=CONTRACTS.marketplace, revoked_by=DEPLOYER)],
        "deployer: security_alert (urgent)\nalice: security_alert (urgent)",
    ),
    Case(
        "access-protocol-paused",
        [OTHER_ADMIN, access("protocol-paused", paused_by=DEPLOYER)],
        "deployer: protocol_paused (urgent)\nalice: protocol_paused (urgent)",
    ),
    Case(
        "access-protocol-unpaused",
        [OTHER_ADMIN, access("protocol-unpaused", unpaused_by=DEPLOYER)],
        "deployer: protocol_unpaused (high)\nalice: protocol_unpaused (high)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.name)
async def test_it_tells_whom_it_concerns_and_how_pressing_it_is(database: Pool, case: Case) -> None:
    *before, last = (block(7 + i, it) for i, it in enumerate(case.told))
    await tell(database, a_delivery().applies(*before))
    heard = len(await notified(database))
    await tell(database, a_delivery().applies(last))
    told = (await notified(database))[heard:]
    said = [
        f"{NAMES[it['data']['address']]}: {it['type']} ({it['data']['priority']})"
        for _, _, room, name, it in told
        if (name, room) == ("notification:new", f"user:{it['data']['address']}")
    ]
    assert [line.strip() for line in case.says.splitlines()] == said
    assert len(said) == len(told)
    await assert_gapless(database)


def test_every_type_has_a_case() -> None:
    said = {line.split()[1] for case in CASES for line in case.says.splitlines()}
    assert set(TYPES) == said


# -- the row and the push


CREATED = block(7, stream_created())
DRAWN = block(8, stream_withdrawal())


async def held(database: Pool, address: str = BOB) -> list[Any]:
    """The notifications of an address, in the order of telling."""
    return sorted((it for it in await rows(database, tables.notifications) if it.address == address), key=_number)


def _number(row: Any) -> int:
    return int(row.number)


async def marked(database: Pool, status: str, *, type: str) -> None:
    """As fanout marks it."""
    await database.execute("UPDATE notifications SET status = $1 WHERE type = $2", status, type)
    await database.execute(
        "UPDATE notification_counts c SET unread ="
        " (SELECT count(*) FROM notifications n WHERE n.address = c.address AND status = 'unread')"
    )


async def unread(database: Pool, address: str = BOB) -> tuple[int, int]:
    """What the address's count says, and what there is."""
    kept = await database.fetchval("SELECT unread FROM notification_counts WHERE address = $1", address)
    return kept or 0, sum(it.status == "unread" for it in await held(database, address))


async def pushed(database: Pool, address: str = BOB) -> list[tuple[str, str, str]]:
    """What the address's room heard: name, type, and how many were unread."""
    return [
        (name, it["type"], it["data"]["unread"])
        for _, _, room, name, it in await notified(database)
        if room == f"user:{address}"
    ]


async def test_the_push_is_the_row_and_the_count(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED))
    first, last = await held(database), (await notified(database))[0]
    (row,) = first
    seq, n, room, name, payload = last
    assert (1, 3, f"user:{BOB}", "notification:new") == (seq, n, room, name)
    facts = {"txHash": CREATED.txs[0].hash, "blockHeight": 7, "blockHash": CREATED.hash, "timestamp": CREATED.time}
    data = {"streamId": "1", "amount": "1000000", **facts}
    assert data == row.data
    assert ("unread", None, "streams", "high") == (row.status, row.reopens_as, row.category, row.priority)
    assert f"{ALICE[:5]}…{ALICE[-5:]} streams 0.01000000 sBTC to you." == row.message
    assert {
        "id": row.id,
        "address": BOB,
        "type": "stream_received",
        "category": "streams",
        "priority": "high",
        "status": "unread",
        "title": "A stream for you",
        "message": row.message,
        "data": data,
        "actionUrl": "/dashboard/streams/1",
        "actionText": "View stream",
        "eventId": payload["meta"]["id"],
        "createdAt": "2026-02-02T02:40:00.000Z",
        "unread": "1",
        **facts,
    } == payload["data"]
    assert ("stream_received", "apply", "role" in payload) == (payload["type"], payload["meta"]["op"], False)


async def test_it_is_there_exactly_when_its_event_is(database: Pool) -> None:
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, [Incoming(a_delivery().applies(CREATED).read(), NOW)], CONTRACTS)
        assert 2 == await connection.fetchval("SELECT count(*) FROM notifications")
        await transaction.rollback()
    assert [] == await held(database)
    await tell(database, a_delivery().applies(CREATED), a_delivery().applies(CREATED), a_delivery().applies(DRAWN))
    assert ["stream_received", "stream_withdrawal"] == [it.type for it in await held(database)]
    assert [("notification:new", "stream_received", "1"), ("notification:new", "stream_withdrawal", "2")] == (
        await pushed(database)
    )
    assert (2, 2) == await unread(database)


# -- when the chain changes its mind


@pytest.mark.parametrize("status", ["unread", "read", "archived"])
@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one transaction"])
async def test_a_reverted_event_s_are_retracted_and_open_again_as_they_were(
    database: Pool, status: str, together: bool
) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    await marked(database, status, type="stream_withdrawal")
    before = await held(database)
    still = str(1 + (status == "unread"))
    back = [a_delivery().rolls_back(DRAWN), a_delivery().applies(DRAWN)]
    if not together:
        await tell(database, back.pop(0))
        assert [("unread", None), ("retracted", status)] == [(it.status, it.reopens_as) for it in await held(database)]
        assert (1, 1) == await unread(database)
        await tell(database, a_delivery().rolls_back(DRAWN))  # what is retracted stays so
    await tell(database, *back, together=True)
    assert before == await held(database)
    heard = (await pushed(database))[2:]
    assert [("notification:retracted", "stream_withdrawal", "1"), ("notification:new", "stream_withdrawal", still)] == (
        heard
    )
    retracted, again = [it for *_, room, name, it in await notified(database) if room == f"user:{BOB}"][2:]
    assert (before[1].id, "rollback") == (retracted["data"]["id"], retracted["meta"]["op"])
    assert (before[1].id, status, True) == (
        again["data"]["id"],
        again["data"]["status"],
        again["meta"]["reapplied"],
    )
    assert (int(still), int(still)) == await unread(database)
    await assert_gapless(database)


async def test_what_comes_and_goes_in_one_transaction_is_kept_retracted(database: Pool) -> None:
    await tell(
        database,
        a_delivery().applies(CREATED),
        a_delivery().applies(DRAWN),
        a_delivery().rolls_back(DRAWN),
        together=True,
    )
    assert ["unread", "retracted"] == [it.status for it in await held(database)]
    assert (1, 1) == await unread(database)
    assert ["1", "2", "1"] == [count for *_, count in await pushed(database)]


async def test_mined_again_elsewhere_it_is_told_anew_and_the_old_one_stays_retracted(database: Pool) -> None:
    elsewhere = block(9, stream_withdrawal(), fork="b")
    assert elsewhere.txs[0].hash == DRAWN.txs[0].hash
    await tell(database, a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(DRAWN).applies(elsewhere))
    assert ["unread", "retracted", "unread"] == [it.status for it in await held(database)]
    *_, last = await notified(database)
    assert last[-1]["meta"]["reapplied"]


async def test_a_room_that_heard_only_a_notification_hears_of_its_retraction_alone(database: Pool) -> None:
    paused = block(7, access("protocol-paused", paused_by=ALICE))
    await tell(database, a_delivery().applies(paused), a_delivery().rolls_back(paused))
    assert ["global"] == [room for *_, room, name, _ in await emissions(database) if name == "chain:reverted"]
    assert [("notification:new", "protocol_paused", "1"), ("notification:retracted", "protocol_paused", "0")] == (
        await pushed(database, DEPLOYER)
    )


async def test_they_are_retracted_even_when_the_outbox_has_forgotten_what_was_said(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL bitpay.retention = 'on'")
        await connection.execute("DELETE FROM outbox WHERE seq = 1")
    await tell(database, a_delivery().rolls_back(DRAWN, CREATED))
    assert ["retracted", "retracted"] == [it.status for it in await held(database)]


async def test_they_are_retracted_even_when_the_catalogue_reads_their_event_no_longer(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(database, a_delivery().applies(CREATED))

    def read(value: object) -> StreamCreated:
        raise Misfit("is more strict now")

    monkeypatch.setattr(StreamCreated, "read", read)
    await tell(database, a_delivery().rolls_back(CREATED))
    assert (["retracted"], (0, 0)) == ([it.status for it in await held(database)], await unread(database))


# -- a rebuild


async def silent(phase: str, done: int, total: int) -> None:
    """Hears of the progress and says nothing."""


async def test_a_rebuild_mends_the_state_and_leaves_what_was_read_and_tells_nothing(
    database: Pool, recorder: Any
) -> None:
    for delivery in (a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(DRAWN)):
        await recorder.submit(delivery.read())
    await marked(database, "read", type="stream_received")
    kept = [await rows(database, it) for it in (tables.notifications, tables.notification_counts)]
    said = await notified(database)
    await database.execute("DELETE FROM streams")
    found = await rebuild(database, CONTRACTS, silent, swap=True)
    assert (True, 1) == (found.swapped, await database.fetchval("SELECT count(*) FROM streams"))
    assert kept == [await rows(database, it) for it in (tables.notifications, tables.notification_counts)]
    assert said == await notified(database)
    await tell(database, a_delivery().applies(DRAWN))
    assert ["read", "unread"] == [it.status for it in await held(database)]


# -- many at once


async def test_many_writers_at_once_count_every_notification_once(database: Pool) -> None:
    told = [a_delivery().applies(block(8 + i, tx(stream_withdrawal(amount=1), nonce=i))) for i in range(20)]
    await asyncio.gather(*(tell(database, it) for it in told))
    assert (20, 20) == await unread(database)
    assert [str(i) for i in range(1, 21)] == [count for *_, count in await pushed(database)]
