"""When the chain takes something back, so do we: all who heard it hear that, and what is shown is corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, pairwise
from typing import Any, Final

import pytest

from deploy.local.chainhook import Block, Event, Tx
from ingest.record import Incoming, record
from shared import tables
from shared.database import Pool
from shared.domain.chain import event_id
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    FORMS,
    a_delivery,
    block,
    stream_cancelled,
    stream_created,
    stream_withdrawal,
    tx,
)
from tests.ingest.chain_law import Telling
from tests.ingest.test_chain_law import hold
from tests.ingest.test_record import NOW, tell
from tests.prints import access, created, market, moved, told, treasury
from tests.stored import contents, emissions, rows

Heard = tuple[str, str, dict[str, Any]]  # room, name, payload

STREAM = tx(*created(1, ALICE))
LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=900, listed_at=8)
REPRICED = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=900, new_price=800)
WITHDRAWN = market("listing-cancelled", stream_id=1, seller=ALICE)
RESERVED = market("purchase-initiated", stream_id=1, buyer=DAVE, payment_id="pay", expires_at=1017)
EXPIRED = market("purchase-expired", stream_id=1, buyer=DAVE)
GIVEN, RETURNED = (
    told("obligation", "obligation-transferred", stream_id=1, token_id=1, from_=old, to=new, note="gift")
    for old, new in ((ALICE, CAROL), (CAROL, ALICE))
)
BOUGHT = market("direct-purchase-completed", stream_id=1, buyer=DAVE, seller=ALICE, price=900, sale_id=5)
FEE = treasury("fee-collected", amount=100, caller=DAVE, new_balance=100)
PAUSED = access("protocol-paused", paused_by=ALICE)
ADDED = access("operator-added", operator=CAROL, added_by=ALICE)
PROPOSED = treasury(
    "withdrawal-proposed", proposal_id=1, amount=40, recipient=BOB, proposer=ALICE, description="r", expires_at=2000
)
BACKEND = market("backend-authorized", backend=CAROL)
FACTS: Final = ("txHash", "blockHeight", "blockHash", "timestamp")


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


# -- who heard it


async def test_who_heard_only_what_followed_hears_that_it_was_taken_back(database: Pool) -> None:
    """Market, seller and buyer never heard of the gift itself: they heard that it ended the offer."""
    reverted, corrected = await after_rollback_of_last(database, STREAM, LISTED, RESERVED, GIVEN)
    names = {room: (it["data"]["names"], it.get("role")) for room, _, it in reverted}
    assert names == {
        f"user:{ALICE}": (["nft:transferred", "marketplace:listing-cancelled"], "sender"),
        f"user:{CAROL}": (["nft:received"], "recipient"),
        "stream:1": (["nft:transferred"], None),
        "marketplace": (["marketplace:listing-cancelled"], None),
        f"user:{DAVE}": (["marketplace:listing-cancelled"], "buyer"),
    }
    assert [
        ("marketplace", "marketplace:new-listing"),
        (f"user:{ALICE}", "marketplace:new-listing"),
    ] == words(corrected)
    assert {("pending", "reorg")} == {(it["data"]["status"], it["data"]["reason"]) for _, _, it in corrected}


async def test_it_is_said_to_whoever_heard_of_it_last(database: Pool) -> None:
    """Told before its stream was known, then again behind it: the second time the payer heard of it too."""
    stream, drawn = chain(STREAM, stream_withdrawal(1, 1))
    await tell(database, a_delivery().applies(drawn))
    (first, *_) = await taken_back(database, drawn)
    assert ["stream:1", f"user:{BOB}"] == [room for room, *_ in first]
    await tell(database, a_delivery().applies(stream, drawn))
    (second, *_) = await taken_back(database, drawn)
    assert ["stream:1", f"user:{ALICE}", f"user:{BOB}"] == [room for room, *_ in second]


async def test_what_is_applied_and_taken_back_in_one_recording_is_heard_twice(database: Pool) -> None:
    """Two deliveries that share a transaction of the database: who heard it is not read from there yet."""
    stream, drawn = chain(STREAM, stream_withdrawal(1, 1))
    await tell(database, a_delivery().applies(stream))
    await tell(database, a_delivery().applies(drawn), a_delivery().rolls_back(drawn), together=True)
    said = [(room, name) for seq, _, room, name, _ in await emissions(database) if seq == 5]
    assert [(room, "chain:reverted") for room in ("stream:1", f"user:{ALICE}", f"user:{BOB}")] == said


async def test_one_who_had_two_parts_in_it_hears_it_in_the_first(database: Pool) -> None:
    reverted, _ = await after_rollback_of_last(database, stream_created(sender=BOB, recipient=BOB))
    assert [("sender", ["stream:created"]), (None, ["stream:updated"])] == [
        (it.get("role"), it["data"]["names"]) for _, _, it in reverted
    ]


# -- what it says


async def test_every_reverted_event_says_the_state_after_the_whole_rollback(database: Pool) -> None:
    blocks = chain(*WITHDRAWALS, stream_withdrawal(1, 4))
    await tell(database, a_delivery().applies(*blocks))
    *reverted, _ = await taken_back(database, *blocks[1:])
    assert 3 == len(reverted)
    assert {"0"} == {it["data"]["state"]["stream"]["withdrawn"] for entry in reverted for _, _, it in entry}


async def test_an_event_of_two_aggregates_says_both(database: Pool) -> None:
    sold = await after_rollback_of_last(database, STREAM, LISTED, tx(*moved(1, ALICE, DAVE), BOUGHT))
    state = sold[0][0][2]["data"]["state"]
    assert {"stream", "listing", "market"} == set(state)
    assert (ALICE, "active", "0") == (
        state["stream"]["sender"],
        state["listing"]["status"],
        state["market"]["totalSales"],
    )


async def test_an_execution_says_the_proposal_and_the_treasury(database: Pool) -> None:
    paid = treasury("withdrawal-executed", proposal_id=1, amount=40, recipient=BOB, approvals=1)
    reverted, corrected = await after_rollback_of_last(database, FEE, PROPOSED, paid)
    data = reverted[0][2]["data"]
    assert ("1", None, {"proposal", "treasury"}) == (data["proposalId"], data["streamId"], set(data["state"]))
    assert (False, "100") == (data["state"]["proposal"]["executed"], data["state"]["treasury"]["balance"])
    assert [("treasury", "treasury:balance-updated")] == words(corrected)


async def test_a_correction_has_every_field_of_its_view_and_its_cause(database: Pool) -> None:
    blocks = chain(STREAM, stream_withdrawal(1, 1), stream_withdrawal(1, 2))
    await tell(database, a_delivery().applies(blocks[0]))
    view = {key: it for key, it in (await emissions(database))[-1][4]["data"].items() if key not in FACTS}
    await tell(database, a_delivery().applies(*blocks[1:]))
    *_, corrected = await taken_back(database, *blocks[1:])
    ((room, name, payload),) = corrected
    assert ("stream:1", "stream:updated", "reverted") == (room, name, payload["type"])
    facts = (blocks[1].txs[0].hash, 8, blocks[1].hash, blocks[1].time)
    assert {**view, **dict(zip(FACTS, facts, strict=True))} == payload["data"]
    assert {
        "v": 1,
        "offset": payload["meta"]["offset"],
        "id": event_id(blocks[1].hash, blocks[1].txs[0].hash, CONTRACTS.core, 0),
        "room": "stream:1",
        "op": "rollback",
        "event": "stream-withdrawal",
        "contract": CONTRACTS.core,
        "txIndex": 0,
        "eventIndex": payload["meta"]["eventIndex"],
        "reapplied": False,
        "late": False,
    } == payload["meta"]


@pytest.mark.parametrize(
    ("happens", "name", "status"),
    [
        ([LISTED, RESERVED], "marketplace:listing-updated", "active"),
        ([LISTED, RESERVED, EXPIRED], "marketplace:listing-updated", "pending"),
        ([LISTED, GIVEN], "marketplace:new-listing", "active"),
        ([LISTED, GIVEN, RETURNED], "marketplace:listing-cancelled", "auto_cancelled"),
        ([LISTED, stream_cancelled(1)], "marketplace:new-listing", "active"),
    ],
    ids=["a purchase", "its end", "a gift", "a gift returned", "a cancellation"],
)
async def test_an_offer_is_shown_again_as_it_was(database: Pool, happens: list[Event], name: str, status: str) -> None:
    *_, corrected = await after_rollback_of_last(database, STREAM, *happens)
    found = [(room, it.get("role"), it["data"]) for room, said, it in corrected if said == name]
    assert [("marketplace", None), (f"user:{ALICE}", "seller")] == [it[:2] for it in found]
    for _, _, data in found:
        assert ("1", ALICE, "900", "8", status, "reorg") == tuple(
            data[key] for key in ("streamId", "seller", "price", "listedAt", "status", "reason")
        )
    assert [] == [said for _, said, _ in corrected if "listing" in said and said != name]


async def test_the_pause_comes_back_where_its_end_is_taken_back(database: Pool) -> None:
    *_, corrected = await after_rollback_of_last(database, PAUSED, access("protocol-unpaused", unpaused_by=ALICE))
    ((room, name, payload),) = corrected
    assert ("global", "access-control:protocol", True) == (room, name, payload["data"]["paused"])
    assert {"paused", *FACTS} == set(payload["data"])


@pytest.mark.parametrize(
    "happens", [FEE, PAUSED, stream_withdrawal(1, 1)], ids=["a balance", "the pause", "a withdrawal"]
)
async def test_what_two_forks_have_in_common_is_taken_back_and_told_again(database: Pool, happens: Event) -> None:
    """A rollback is corrected before the new fork speaks, though that will say the same."""

    async def news(after: int) -> list[tuple[str, str, str, dict[str, Any]]]:
        return [
            (it["meta"]["op"], room, name, {key: value for key, value in it["data"].items() if key != "blockHash"})
            for seq, _, room, name, it in await emissions(database)
            if seq > after
        ]

    old, new = (block(8, happens, fork=name, parent="a") for name in "ab")
    await tell(database, a_delivery().applies(*chain(STREAM)))
    await tell(database, a_delivery().applies(old))
    first = await news(3)
    await tell(database, a_delivery().rolls_back(old).applies(new))
    second = (await news(3))[len(first) :]
    assert first == [it for it in second if it[0] == "apply"]
    assert ["rollback"] * (len(second) - len(first)) + ["apply"] * len(first) == [it[0] for it in second]


# -- one delivery, one transaction


async def test_a_reorganisation_is_seen_whole_or_not_at_all(database: Pool) -> None:
    """Nobody reads a chain that has been cut and not yet grown; what fails half-way has not happened."""
    old, new = chain(*WITHDRAWALS)[1:], [block(8, stream_cancelled(1), fork="b", parent="a")]
    await tell(database, a_delivery().applies(*chain(*WITHDRAWALS)))
    before = await contents(database)
    reorg = a_delivery().rolls_back(*old).applies(*new)
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, [Incoming(reorg.read(), NOW)], CONTRACTS)
        assert before == await contents(database)
        await transaction.rollback()
    assert before == await contents(database)
    await tell(database, reorg)
    (row,) = await rows(database, tables.streams)
    assert ("cancelled", 0) == (row.status, row.withdrawn)


async def test_all_that_is_taken_back_is_said_before_anything_new(database: Pool) -> None:
    """However the body lists its blocks: from the tip down, then from the fork up."""
    old = chain(STREAM, *(stream_withdrawal(1, 1 + it) for it in range(3)))
    new = [block(8 + it, stream_withdrawal(1, 10 + it), fork="b", parent="a" if it == 0 else "b") for it in range(4)]
    await tell(database, a_delivery().applies(*old))
    end = max(seq for seq, *_ in await emissions(database))
    shuffled = a_delivery().applies(new[2], new[0], new[3], new[1]).rolls_back(old[2], old[1], old[3])
    await tell(database, shuffled)
    said = {seq: it for seq, *_, it in await emissions(database) if seq > end}
    assert [
        *[("rollback", 10), ("rollback", 9), ("rollback", 8)],
        ("rollback", 8),  # the correction has the facts of the earliest
        *[("apply", 8), ("apply", 9), ("apply", 10), ("apply", 11)],
    ] == [(it["meta"]["op"], it["data"]["blockHeight"]) for it in said.values()]


async def test_of_blocks_some_of_which_we_never_had_the_others_are_taken_back(database: Pool) -> None:
    stream, drawn = chain(STREAM, stream_withdrawal(1, 1))
    await tell(database, a_delivery().applies(stream, drawn))
    never = [block(9, stream_withdrawal(1, 3)), block(8, stream_created(5), fork="b")]
    entries = await taken_back(database, *never, drawn)
    assert [["stream:1", f"user:{ALICE}", f"user:{BOB}"], ["stream:1"]] == [
        [it[0] for it in entry] for entry in entries
    ]


# -- several hooks


async def test_a_hook_that_lags_behind_a_reorganisation_ends_with_the_same(database: Pool) -> None:
    """The second tells of the old block once more after the first took it back, then takes it back itself."""
    (stream,) = chain(STREAM)
    old, new = block(8, stream_withdrawal(1, 1)), block(8, stream_withdrawal(1, 2), fork="b", parent="a")
    await tell(database, a_delivery().applies(stream, old))
    reorg = a_delivery().rolls_back(old).applies(new)
    await tell(database, reorg)
    after = await projected(database)
    await tell(database, a_delivery().applies(old))
    (row,) = await rows(database, tables.streams)
    assert 3 == row.withdrawn, "until the second hook has heard of it, both count"
    end = max(seq for seq, *_ in await emissions(database))
    await tell(database, reorg, form="v2")
    assert after == await projected(database)
    assert {"rollback"} == {it["meta"]["op"] for seq, *_, it in await emissions(database) if seq > end}


async def test_two_hooks_that_tell_of_one_reorganisation_in_parts_make_it_whole(database: Pool) -> None:
    """Each lists the transactions that it matches; the first rollback takes along those of the other."""
    whole = block(8, stream_withdrawal(1, 1), FEE)
    streams, fees = (replace(whole, txs=(it,)) for it in whole.txs)
    again = block(8, *whole.txs, fork="b", parent="a")
    new_streams, new_fees = (replace(again, txs=(it,)) for it in again.txs)
    await tell(database, a_delivery().applies(*chain(STREAM), whole))
    end = max(seq for seq, *_ in await emissions(database))
    await tell(
        database,
        a_delivery().rolls_back(streams).applies(new_streams),
        a_delivery().rolls_back(fees).applies(new_fees),
    )
    said = {(it["meta"]["op"], it["meta"]["event"]): 0 for seq, *_, it in await emissions(database) if seq > end}
    assert [
        ("rollback", "treasury-fee-collected"),
        ("rollback", "stream-withdrawal"),
        ("apply", "stream-withdrawal"),
        ("apply", "treasury-fee-collected"),
    ] == [it for it in said if it != ("rollback", "stream-created")]
    (row,), (state,) = await rows(database, tables.streams), await rows(database, tables.treasury_state)
    assert (1, 100) == (row.withdrawn, state.balance)


# -- fork upon fork

RICH: Final[tuple[Tx, ...]] = (
    tx(LISTED, FEE),
    tx(RESERVED, PROPOSED),
    tx(REPRICED, ADDED, PAUSED),
    tx(*moved(1, ALICE, DAVE), BOUGHT),
    tx(stream_withdrawal(1, 1), treasury("fee-updated", old_fee_bps=50, new_fee_bps=60, admin=ALICE)),
    tx(treasury("withdrawal-executed", proposal_id=1, amount=40, recipient=BOB, approvals=3), sender=CAROL),
    tx(stream_cancelled(1, sender=DAVE), BACKEND),
)


def fork(name: str, depth: int, order: int) -> list[Block]:
    """Blocks of one fork from height 8 on: the same transactions, begun elsewhere for each ``order``."""
    turned = RICH[order:] + RICH[:order]
    return [block(8 + it, turned[it], fork=name, parent="a" if it == 0 else name) for it in range(depth)]


@pytest.mark.parametrize("depth", range(1, 8))
async def test_fork_upon_fork_leaves_what_the_last_one_says_and_every_listener_knows_it(
    database: Pool, depth: int
) -> None:
    """The same transactions in another order on each fork; after every step state is a fold of what is canonical."""
    (stream,) = chain(STREAM)
    forks = [fork(name, depth, order) for order, name in enumerate("bcd")]
    steps = [a_delivery().applies(stream, *forks[0])]
    steps += [a_delivery().rolls_back(*old).applies(*new) for old, new in pairwise([*forks, forks[0]])]
    async with database.acquire() as connection, connection.transaction():
        await hold(connection, [Telling(it, form, shares=False) for it, form in zip(steps, cycle(FORMS), strict=False)])


async def test_there_and_back_leaves_every_table_as_it_was(database: Pool) -> None:
    (stream,) = chain(STREAM)
    here, there = fork("b", 7, 0), fork("c", 7, 3)
    await tell(database, a_delivery().applies(stream, *here))
    before = await projected(database)
    await tell(database, a_delivery().rolls_back(*here).applies(*there))
    assert before != await projected(database)
    await tell(database, a_delivery().rolls_back(*there).applies(*here))
    assert before == await projected(database)


async def test_a_block_that_comes_and_goes_has_one_name_each_time(database: Pool) -> None:
    stream, drawn = chain(STREAM, stream_withdrawal(1, 1))
    await tell(database, a_delivery().applies(stream))
    for _ in range(3):
        await tell(database, a_delivery().applies(drawn), a_delivery().rolls_back(drawn))
    said = [it["meta"] for *_, it in await emissions(database) if it["meta"]["event"] == "stream-withdrawal"]
    assert 1 == len({it["id"] for it in said})
    offsets = [it["offset"] for it in said]
    assert len(offsets) == len(set(offsets))
    applied = [it["reapplied"] for it in said if it["op"] == "apply"]
    heard = len(applied) // 3
    assert [False] * heard + [True] * 2 * heard == applied


async def projected(database: Pool) -> dict[str, list[str]]:
    """All that is read; not the events and what was said of them, which remember."""
    memory = {"chain_events", "event_keys", "outbox", "outbox_head", "notifications"}
    return {name: it for name, it in (await contents(database)).items() if name not in memory}
