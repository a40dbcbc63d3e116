"""When the chain takes something back, so do we: all who heard it hear that, and what is shown is corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pytest

from deploy.local.chainhook import Block, Event, Tx
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
    stream_withdrawal,
    tx,
)
from tests.ingest.test_record import tell
from tests.prints import access, created, market, moved, treasury
from tests.stored import contents, emissions

Heard = tuple[str, str, dict[str, Any]]  # room, name, payload

STREAM = tx(*created(1, ALICE))
LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=900, listed_at=8)
REPRICED = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=900, new_price=800)
WITHDRAWN = market("listing-cancelled", stream_id=1, seller=ALICE)
BOUGHT = market("direct-purchase-completed", stream_id=1, buyer=DAVE, seller=ALICE, price=900, sale_id=5)
FEE = treasury("fee-collected", amount=100, caller=DAVE, new_balance=100)
PAUSED = access("protocol-paused", paused_by=ALICE)
ADDED = access("operator-added", operator=CAROL, added_by=ALICE)
PROPOSED = treasury(
    "withdrawal-proposed", proposal_id=1, amount=40, recipient=BOB, proposer=ALICE, description="r", expires_at=2000
)
BACKEND = market("backend-authorized", backend=CAROL)


def chain(*happens: Event | Tx) -> list[Block]:
    """One block each, from height 7 on."""
    return [block(7 + number, it) for number, it in enumerate(happens)]


async def taken_back(database: Pool, *blocks: Block) -> list[list[Heard]]:
    """What is said when these blocks are rolled back, an entry each."""
    before = max((seq for seq, *_ in await emissions(database)), default=0)
    await tell(database, a_delivery().rolls_back(*blocks))
    entries: dict[int, list[Heard]] = {}
    for seq, _, room, name, payload in await emissions(database):
        if seq > before:
            entries.setdefault(seq, []).append((room, name, payload))
    return list(entries.values())


async def after_rollback_of_last(database: Pool, *happens: Event | Tx) -> list[list[Heard]]:
    """The entries that the rollback of the last of these blocks makes."""
    blocks = chain(*happens)
    await tell(database, a_delivery().applies(*blocks))
    return await taken_back(database, blocks[-1])


def words(entry: Sequence[Heard]) -> list[tuple[str, str]]:
    return [(room, name) for room, name, _ in entry]


WITHDRAWALS: Final = [STREAM, stream_withdrawal(1, 1), stream_withdrawal(1, 2)]


async def test_all_rooms_that_heard_an_event_hear_that_it_was_taken_back_each_once(database: Pool) -> None:
    blocks = chain(*WITHDRAWALS)
    await tell(database, a_delivery().applies(*blocks))
    told = [(seq, room, name, it) for seq, _, room, name, it in await emissions(database)]
    last = [it for it in told if it[0] == told[-1][0]]
    reverted, _ = await taken_back(database, blocks[-1])
    rooms = list(dict.fromkeys(room for _, room, _, _ in last))
    assert [(room, "chain:reverted") for room in rooms] == words(reverted)
    for room, _, said in reverted:
        heard = [(name, it) for _, where, name, it in last if where == room]
        assert [name for name, _ in heard] == said["data"]["names"]
        assert ("reverted", heard[0][1].get("role")) == (said["type"], said.get("role"))
        meta, original = said["meta"], heard[0][1]["meta"]
        assert "rollback" == meta["op"]
        assert meta["offset"] != original["offset"]
        same = ("v", "id", "room", "event", "contract", "txIndex", "eventIndex")
        assert {key: original[key] for key in same} == {key: meta[key] for key in same}


async def test_what_was_taken_back_is_said_with_the_state_that_is_true_now(database: Pool) -> None:
    reverted, _ = await after_rollback_of_last(database, *WITHDRAWALS)
    data = reverted[0][2]["data"]
    wanted = {"event", "contract", "names", "streamId", "proposalId", "state"}
    assert wanted | {"txHash", "blockHeight", "blockHash", "timestamp"} == set(data)
    assert ("stream-withdrawal", CONTRACTS.core, "1", None, 9) == (
        data["event"],
        data["contract"],
        data["streamId"],
        data["proposalId"],
        data["blockHeight"],
    )
    assert ("1", None) == (data["state"]["stream"]["withdrawn"], data["state"]["listing"])


@pytest.mark.parametrize(
    ("event", "keys", "said"),
    [
        (
            FEE,
            {"balance", "totalFees", "feeBps", "admin", "pendingAdmin", "activeAdminCount", "required", "admins"},
            "treasury",
        ),
        (BACKEND, {"feeBps", "totalListings", "totalSales", "totalVolume"}, "market"),
        (ADDED, {"paused", "pendingAdmin", "admins", "operators"}, "protocol"),
    ],
    ids=["treasury", "market", "access"],
)
async def test_the_state_of_what_is_shared_by_all_has_one_shape(
    database: Pool, event: Event, keys: set[str], said: str
) -> None:
    first, *_ = await after_rollback_of_last(database, event)
    assert {said: keys} == {name: set(view) for name, view in first[0][2]["data"]["state"].items()}


async def test_a_proposal_that_is_gone_has_no_view(database: Pool) -> None:
    first, *_ = await after_rollback_of_last(database, PROPOSED)
    data = first[0][2]["data"]
    assert ("1", None, {"proposal": None}) == (data["proposalId"], data["streamId"], data["state"])


COMPENSATIONS: Final = {
    "a stream that is another": (
        [STREAM, stream_withdrawal(1, 1)],
        [("stream:1", "stream:updated", {"streamId": "1", "withdrawn": "0"})],
    ),
    "a stream that is gone": ([STREAM], [("stream:1", "stream:updated", {"streamId": "1", "status": "reverted"})]),
    "an offer that is gone": (
        [STREAM, LISTED],
        [
            (room, "marketplace:listing-cancelled", {"streamId": "1", "status": "reverted", "reason": "reorg"})
            for room in ("marketplace", f"user:{ALICE}")
        ],
    ),
    "an offer that stands again": (
        [STREAM, LISTED, WITHDRAWN],
        [
            (room, "marketplace:new-listing", {"price": "900", "status": "active", "reason": "reorg"})
            for room in ("marketplace", f"user:{ALICE}")
        ],
    ),
    "an offer that stands no more": (
        [STREAM, LISTED, WITHDRAWN, LISTED],
        [
            (room, "marketplace:listing-cancelled", {"status": "cancelled", "reason": "reorg"})
            for room in ("marketplace", f"user:{ALICE}")
        ],
    ),
    "an offer at its old price": (
        [STREAM, LISTED, REPRICED],
        [
            (room, "marketplace:listing-updated", {"price": "900", "reason": "reorg"})
            for room in ("marketplace", f"user:{ALICE}")
        ],
    ),
    "a balance": (
        [FEE],
        [
            (
                "treasury",
                "treasury:balance-updated",
                {"previousBalance": "100", "newBalance": "0", "change": "-100", "reason": "reorg"},
            )
        ],
    ),
    "the pause": ([PAUSED], [("global", "access-control:protocol", {"paused": False})]),
    "nothing that has a state of that shape": ([ADDED], []),
}


@pytest.mark.parametrize("what", COMPENSATIONS, ids=lambda it: it.replace(" ", "-"))
async def test_what_is_shown_is_corrected(database: Pool, what: str) -> None:
    happens, corrected = COMPENSATIONS[what]
    entries = await after_rollback_of_last(database, *happens)
    last = [it for it in entries[-1] if it[1] != "chain:reverted"]
    found = [(room, name) for room, name, _ in last]
    assert [(room, name) for room, name, _ in corrected] == found
    for (_, _, payload), (_, _, wanted) in zip(last, corrected, strict=True):
        assert ("reverted", "rollback") == (payload["type"], payload["meta"]["op"])
        assert wanted.items() <= payload["data"].items()


async def test_corrections_come_last_streams_first_then_treasury_then_protocol(database: Pool) -> None:
    past = [tx(*created(2, ALICE)), STREAM, LISTED]
    future = [stream_withdrawal(2, 1), PAUSED, stream_cancelled(1), FEE]
    blocks = chain(*past, *future)
    await tell(database, a_delivery().applies(*blocks))
    entries = await taken_back(database, *blocks[3:])
    assert 5 == len(entries)
    assert all({"chain:reverted"} == {name for _, name, _ in entry} for entry in entries[:-1])
    heights = [entry[0][2]["data"]["blockHeight"] for entry in entries[:-1]]
    assert [13, 12, 11, 10] == heights, "from the tip down"
    assert [
        ("stream:1", "stream:updated"),
        ("marketplace", "marketplace:new-listing"),
        (f"user:{ALICE}", "marketplace:new-listing"),
        ("stream:2", "stream:updated"),
        ("treasury", "treasury:balance-updated"),
        ("global", "access-control:protocol"),
    ] == words(entries[-1])
    facts = [payload["data"]["blockHeight"] for _, _, payload in entries[-1]]
    assert [12, 12, 12, 10, 13, 11] == facts, "of the earliest event of each that was taken back"


async def test_a_sale_that_is_taken_back_gives_back_the_offer_and_the_payer(database: Pool) -> None:
    entries = await after_rollback_of_last(database, STREAM, LISTED, tx(*moved(1, ALICE, DAVE), BOUGHT))
    assert ("stream:1", "marketplace", f"user:{ALICE}") == tuple(room for room, _, _ in entries[-1])
    stream, listing, _ = (payload["data"] for _, _, payload in entries[-1])
    assert (ALICE, "active", "reorg") == (stream["sender"], listing["status"], listing["reason"])
    assert [] == (await contents(database))["market_sales"]


@pytest.mark.parametrize("depth", [1, 2, 5, 7])
async def test_a_fork_of_any_depth_takes_all_of_it_and_no_more(database: Pool, depth: int) -> None:
    blocks = chain(STREAM, *(stream_withdrawal(1, 10 + i) for i in range(8)))
    await tell(database, a_delivery().applies(*blocks[:-depth]))
    before = await contents(database)
    await tell(database, a_delivery().applies(*blocks[-depth:]))
    entries = await taken_back(database, *reversed(blocks[-depth:]))
    assert depth + 1 == len(entries)
    after = await contents(database)
    for name in ("streams", "stream_sender_history", "nfts", "market_listings"):
        assert before[name] == after[name]


async def test_two_hooks_that_tell_of_one_reorganisation_tell_of_it_once(database: Pool) -> None:
    blocks = chain(*WITHDRAWALS)
    await tell(database, a_delivery().applies(*blocks))
    assert 2 == len(await taken_back(database, blocks[-1]))
    assert [] == await taken_back(database, blocks[-1])


async def test_a_transaction_in_both_lists_is_taken_back_and_applied_in_the_new_block(database: Pool) -> None:
    happens = stream_withdrawal(1, 5)
    await tell(database, a_delivery().applies(*chain(STREAM), block(8, happens)))
    await tell(database, a_delivery().rolls_back(block(8, happens)).applies(block(8, happens, fork="b")))
    said = await emissions(database)
    ids = [it["meta"]["id"] for _, _, room, name, it in said if (room, name) == ("stream:1", "stream:withdrawal")]
    assert 2 == len(set(ids)) == len(ids)
    ops = [it["meta"]["op"] for _, _, room, _, it in said if room == "stream:1"]
    assert ops.index("rollback") < len(ops) - 1
    assert "apply" == ops[-1]


async def test_the_same_block_applied_again_is_the_same_event_told_as_reapplied(database: Pool) -> None:
    blocks = chain(*WITHDRAWALS)
    await tell(database, a_delivery().applies(*blocks))
    first = [it["meta"] for *_, it in await emissions(database)][-1]
    await taken_back(database, blocks[-1])
    before = len(await emissions(database))
    await tell(database, a_delivery().applies(blocks[-1]))
    again = [it["meta"] for *_, it in (await emissions(database))[before:]]
    assert {first["id"]} == {it["id"] for it in again}
    assert all(it["reapplied"] and it["op"] == "apply" for it in again)


async def test_what_was_never_applied_cannot_be_taken_back(database: Pool) -> None:
    assert [] == await taken_back(database, block(9, stream_withdrawal(1, 5)))
    assert [] == (await contents(database))["streams"]
