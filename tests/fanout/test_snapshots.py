"""Snapshots: what each of them says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from bench.deliveries import RECIPIENT, SENDER, body, created, withdrawn
from bench.deliveries import block as bench_block
from ingest.recorder import Recorder
from shared import outbox
from shared.database import Pool
from shared.domain.clarity import Ascii, Principal, Tuple, UInt, Value
from shared.domain.rows import AccessContract, AccessRole, MarketBackend, MarketState, Nft, ProtocolState, TreasuryAdmin
from tests.builders import ALICE, BOB, CAROL, CONTRACTS, DAVE, Print, a_delivery, block, stream_created, tx
from tests.fanout.served import FACTS, LISTING, PROPOSAL, PURCHASE, STREAM, TREASURY, data, fee, hold, sale
from tests.posting import post
from tests.processes import Processes
from tests.stored import emissions


async def test_streams_are_listed_newest_first_in_pages(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await post(ingest, body(bench_block(500_000, [created(i) for i in range(1, 8)] + [withdrawn(3, 10**9)])))
    async with httpx.AsyncClient(base_url=node.url) as http:
        seen: list[str] = []
        after = None
        for _ in range(4):
            query = {"limit": "3"} | ({"after": after} if after else {})
            page = (await http.get("/api/streams", params=query)).json()
            assert {"blockHeight": 500_000, "timestamp": 1_760_500_060} == page["tip"]
            assert page["asOf"].endswith(".8-5")
            seen += [stream["streamId"] for stream in page["data"]]
            after = page["next"]
            if after is None:
                break
        assert [str(i) for i in range(7, 0, -1)] == seen
        done = await data(http, "/api/streams/", status="completed")
        assert [("3", "1000000000", "0")] == [(it["streamId"], it["withdrawn"], it["remaining"]) for it in done]
        assert 7 == len(await data(http, "/api/streams", address=SENDER))
        assert [] == await data(http, "/api/streams", address=RECIPIENT, role="sender")
        one = (await data(http, "/api/streams/5"))["stream"]
        # 1,000,000,000 sats from height 1 to 1,000,000, at 500,000: floor of the exact share
        assert ("499999499", "499999499", "streaming") == (one["vested"], one["withdrawable"], one["phase"])


async def test_a_stream_comes_with_all_that_hangs_on_it(http: httpx.AsyncClient, database: Pool) -> None:
    obligation = Nft("obligation", 1, 1, owner=CAROL)
    recipient = Nft("recipient", 1, 1, status="burned")
    open_one = replace(LISTING, purchase_id=PURCHASE.event_id, status="pending")
    closed = replace(PURCHASE, event_id="d" * 32, status="expired")
    await hold(database, STREAM, obligation, recipient, open_one, PURCHASE, closed)
    assert {
        "stream": {
            "streamId": "1",
            "sender": ALICE,
            "recipient": BOB,
            "amount": "1000",
            "startBlock": "10",
            "endBlock": "110",
            "withdrawn": "100",
            "totalPaid": "100",
            "remaining": "900",
            "status": "active",
            "cancelledAtBlock": None,
            "unvestedReturned": None,
            "vestedPaid": None,
            "cancellationFee": None,
            "vested": "500",
            "withdrawable": "400",
            "phase": "streaming",
        },
        "nfts": {
            "obligation": {"owner": CAROL, "status": "minted", "syncRequired": True},
            "recipient": {"owner": None, "status": "burned"},
        },
        "listing": {
            "streamId": "1",
            "seller": ALICE,
            "price": "900",
            "listedAt": "20",
            "status": "pending",
            "reason": None,
            "purchasable": False,
        },
        "purchase": {
            "streamId": "1",
            "buyer": CAROL,
            "seller": ALICE,
            "price": "900",
            "initiatedAt": "50",
            "expiresAt": "61",
            "lapsed": False,
        },
    } == await data(http, "/api/streams/1")
    await hold(database, tip=61)
    assert (await data(http, "/api/streams/1"))["purchase"]["lapsed"]


async def test_a_stream_alone_has_nothing_else(http: httpx.AsyncClient, database: Pool) -> None:
    await hold(database, STREAM, Nft("obligation", 2, 2, owner=ALICE), replace(STREAM, stream_id=2))
    alone = await data(http, "/api/streams/1")
    assert ({"obligation": None, "recipient": None}, None, None) == (
        alone["nfts"],
        alone["listing"],
        alone["purchase"],
    )
    assert not (await data(http, "/api/streams/2"))["nfts"]["obligation"]["syncRequired"]


@pytest.mark.parametrize(
    ("tip", "changes", "expected"),
    [
        (9, {}, ("0", "0", "scheduled")),
        (10, {}, ("0", "0", "streaming")),
        (109, {}, ("990", "890", "streaming")),
        (110, {}, ("1000", "900", "ended")),
        (60, {"status": "completed"}, ("500", "0", "streaming")),
        (60, {"status": "cancelled", "vested_paid": 250}, ("350", "0", "streaming")),
        (60, {"amount": None}, (None, None, None)),
    ],
)
async def test_vesting_follows_the_tip(
    http: httpx.AsyncClient,
    database: Pool,
    tip: int,
    changes: dict[str, Any],
    expected: tuple[str | None, str | None, str | None],
) -> None:
    await hold(database, replace(STREAM, **changes), tip=tip)
    [stream] = await data(http, "/api/streams")
    assert expected == (stream["vested"], stream["withdrawable"], stream["phase"])


async def test_listings_say_whether_anyone_may_buy_now(http: httpx.AsyncClient, database: Pool) -> None:
    ended = replace(STREAM, stream_id=2, end_block=60)
    others = ["active", "pending", "sold", "cancelled", "auto_cancelled"]  # of streams 3 to 7, which nobody told of
    listings = [replace(LISTING, stream_id=i, status=status) for i, status in enumerate(others, 3)]
    await hold(database, STREAM, LISTING, ended, replace(LISTING, stream_id=2), *listings, MarketState(total_volume=5))
    shown = await data(http, "/api/marketplace/listings")
    assert [("4", False), ("3", True), ("2", False), ("1", True)] == [
        (it["streamId"], it["purchasable"]) for it in shown
    ]
    for i, status in enumerate(others[2:], 5):
        [one] = await data(http, "/api/marketplace/listings", status=status)
        assert (str(i), status, False) == (one["streamId"], one["status"], one["purchasable"])
    assert [] == await data(http, "/api/marketplace/listings", seller=BOB)
    assert 4 == len(await data(http, "/api/marketplace/listings", seller=ALICE))
    market = {"feeBps": "100", "totalListings": "0", "totalSales": "0", "totalVolume": "5"}
    assert market == await data(http, "/api/marketplace")


async def test_sales_are_found_by_party_and_stream(http: httpx.AsyncClient, database: Pool) -> None:
    await hold(database, sale(1), sale(2, 2, buyer=DAVE), sale(3, 2, seller=DAVE, buyer=BOB))
    route = "/api/marketplace/sales"
    assert ["3", "2", "1"] == [it["saleId"] for it in await data(http, route)]
    assert ["3", "2"] == [it["saleId"] for it in await data(http, route, address=DAVE)]
    assert ["2"] == [it["saleId"] for it in await data(http, route, address=ALICE, streamId="2")]
    [one] = await data(http, route, streamId="1")
    assert (
        FACTS
        | {
            "streamId": "1",
            "seller": ALICE,
            "buyer": CAROL,
            "price": "900",
            "marketplaceFee": "9",
            "sellerProceeds": "891",
            "saleId": "1",
            "saleType": "direct",
        }
        == one
    )


@pytest.mark.parametrize(
    ("tip", "changes", "state"),
    [
        (60, {}, "timelocked"),
        (183, {}, "timelocked"),
        (184, {}, "ready"),
        (1047, {}, "ready"),
        (1048, {}, "expired"),
        (60, {"timelock_block": None}, "ready"),
        (184, {"approval_count": 1, "approvers": (ALICE,)}, "pending"),
        (1048, {"approval_count": 1}, "expired"),
        (2000, {"status": "executed", "executed_at_block": 200}, "executed"),
    ],
)
async def test_a_proposal_has_the_state_of_the_tip(
    http: httpx.AsyncClient, database: Pool, tip: int, changes: dict[str, Any], state: str
) -> None:
    await hold(database, replace(TREASURY, required_signatures=2), replace(PROPOSAL, **changes), tip=tip)
    [proposal] = await data(http, "/api/treasury/proposals")
    assert (state, "2") == (proposal["state"], proposal["required"])
    assert list(changes.get("approvers", (CAROL, ALICE))) == proposal["approvals"]


async def test_proposals_are_found_by_status_and_kind(http: httpx.AsyncClient, database: Pool) -> None:
    done = replace(PROPOSAL, proposal_id=2, status="executed")
    admin = replace(PROPOSAL, proposal_id=3, kind="add-admin", target_admin=DAVE)
    await hold(database, PROPOSAL, done, admin)
    route = "/api/treasury/proposals"
    assert ["3", "2", "1"] == [it["proposalId"] for it in await data(http, route)]
    assert ["3", "1"] == [it["proposalId"] for it in await data(http, route, status="pending")]
    assert ["2", "1"] == [it["proposalId"] for it in await data(http, route, kind="withdrawal")]
    [one] = await data(http, route, kind="add-admin", status="pending")
    assert ("add", DAVE) == (one["action"], one["targetAdmin"])


async def test_the_treasury_and_its_fees(http: httpx.AsyncClient, database: Pool) -> None:
    admins = (TreasuryAdmin(ALICE, active=True), TreasuryAdmin(BOB, active=False))
    await hold(database, TREASURY, *admins, fee("a" * 32), fee("b" * 32, 49, kind="marketplace"))
    owner = CONTRACTS.treasury.partition(".")[0]  # the genesis of a fold: here beside the rows above
    assert {
        "balance": str(2**128),
        "totalFees": "7",
        "feeBps": "50",
        "admin": ALICE,
        "pendingAdmin": None,
        "activeAdminCount": "2",
        "required": "1",
        "admins": sorted([ALICE, owner]),
    } == await data(http, "/api/treasury")
    [one] = await data(http, "/api/treasury/fees", feeType="general")
    assert (
        FACTS
        | {
            "feeType": "general",
            "amount": "5",
            "caller": DAVE,
            "newBalance": "105",
            "streamId": None,
            "saleId": None,
        }
        == one
    )
    assert [50, 49] == [it["blockHeight"] for it in await data(http, "/api/treasury/fees")]


async def test_who_may_do_what(http: httpx.AsyncClient, database: Pool) -> None:
    await hold(
        database,
        ProtocolState(paused=True, pending_admin=BOB),
        AccessRole("operator", CAROL, active=True),
        AccessRole("operator", DAVE, active=False),
        AccessContract(f"{BOB}.b", authorized=False, changed_by=ALICE, changed_block=5),
        AccessContract(f"{BOB}.a", authorized=True, changed_by=ALICE, changed_block=5),
        MarketBackend(DAVE, authorized=True, changed_by=ALICE),
    )
    owner = CONTRACTS.access.partition(".")[0]
    assert {
        "protocol": {"paused": True, "pendingAdmin": BOB, "admins": [owner], "operators": [CAROL]},
        "contracts": [{"contract": f"{BOB}.a", "authorized": True}, {"contract": f"{BOB}.b", "authorized": False}],
        "backends": [{"backend": DAVE, "authorized": True}],
    } == await data(http, "/api/access-control")


async def test_a_snapshot_says_what_the_emission_said(
    http: httpx.AsyncClient, database: Pool, recorder: Recorder
) -> None:
    """One who missed the message and reads the snapshot knows the same."""

    def printed(contract: str, event: str, **fields: Value) -> Print:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return Print(contract, Tuple({"event": Ascii(event), **named}))

    numbers: dict[str, Value] = {"stream_id": UInt(1), "price": UInt(900)}
    seller, buyer = Principal(ALICE), Principal(CAROL)
    listed = printed(CONTRACTS.marketplace, "market-nft-listed", seller=seller, listed_at=UInt(8), **numbers)
    paid = printed(
        CONTRACTS.treasury,
        "treasury-marketplace-fee-collected",
        amount=UInt(9),
        caller=Principal(CONTRACTS.marketplace),
        new_balance=UInt(9),
    )
    sold = printed(
        CONTRACTS.marketplace,
        "market-direct-purchase-completed",
        seller=seller,
        buyer=buyer,
        sale_id=UInt(0),
        **numbers,
    )
    await recorder.submit(a_delivery().applies(block(7, stream_created()), block(8, listed)).read())
    [offer] = await data(http, "/api/marketplace/listings")
    await recorder.submit(a_delivery().applies(block(9, tx(paid, sold))).read())
    said = {(room, name): payload["data"] for _, _, room, name, payload in await emissions(database)}
    told = said["marketplace", "marketplace:new-listing"]
    assert offer == {name: told[name] for name in offer if name != "purchasable"} | {"purchasable": True}
    assert [said["marketplace", "marketplace:sale"]] == await data(http, "/api/marketplace/sales")
    assert [said["treasury", "treasury:fee-collected"]] == await data(http, "/api/treasury/fees")
    assert "9" == (await data(http, "/api/treasury"))["balance"]
    market = await data(http, "/api/marketplace")
    assert {"feeBps": "100", "totalListings": "1", "totalSales": "1", "totalVolume": "900"} == market
    answer = (await http.get("/api/streams/1")).json()
    head = await outbox.head(database)
    assert (str(head.cursor), {"blockHeight": 9, "timestamp": 1_760_000_090}) == (answer["asOf"], answer["tip"])
    assert ("sold", None) == (answer["data"]["listing"]["status"], answer["data"]["purchase"])
