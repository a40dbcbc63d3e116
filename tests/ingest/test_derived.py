"""What follows from events without being printed: the status of a listing, and who hears that it ended or came back."""

from __future__ import annotations

from typing import Any, Final

import pytest

from deploy.local.chainhook import Block, Event, NftBurn, Tx
from ingest.record import Outcome
from shared import tables
from shared.database import Pool
from tests.builders import (
    ALICE,
    AMOUNT,
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
from tests.ingest.test_record import said, tell
from tests.prints import created, market, moved, told, treasury
from tests.stored import emissions, rows

FACTS: Final = {"txHash", "blockHeight", "blockHash", "timestamp"}
Heard = tuple[str, str, str, str | None, dict[str, Any]]  # room, name, type, role, data without the chain's facts


def passed(from_: str, to: str, stream: int = 1) -> Event:
    """The obligation NFT alone goes to another owner."""
    return told(
        "obligation", "obligation-transferred", stream_id=stream, token_id=stream, from_=from_, to=to, note="gift"
    )


STREAM = tx(*created(1, ALICE))
LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=900, listed_at=8)
REPRICED = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=900, new_price=800)
WITHDRAWN = market("listing-cancelled", stream_id=1, seller=ALICE)
RESERVED = market("purchase-initiated", stream_id=1, buyer=DAVE, payment_id="pay", expires_at=1017)
EXPIRED = market("purchase-expired", stream_id=1, buyer=DAVE)
GIVEN, RETURNED = passed(ALICE, CAROL), passed(CAROL, ALICE)
BURNED = NftBurn(CONTRACTS.obligation_asset, 1, ALICE)
DRAWN_OUT = stream_withdrawal(1, AMOUNT)
CANCELLED = stream_cancelled(1)
PARTIES: Final[dict[str, int | str]] = {"stream_id": 1, "buyer": DAVE, "seller": ALICE, "price": 900}
FEE = treasury("marketplace-fee-collected", amount=9, caller=CONTRACTS.marketplace, new_balance=9)
BOUGHT = market("direct-purchase-completed", **PARTIES, sale_id=1)
SETTLED = market("gateway-purchase-completed", **PARTIES, payment_id="pay", sale_id=1)
BOUGHT_DIRECTLY = tx(FEE, *moved(1, ALICE, DAVE), BOUGHT, sender=DAVE)
BOUGHT_BY_GATEWAY = tx(*moved(1, ALICE, DAVE), SETTLED, sender=BOB)


def chain(*happens: Event | Tx, first: int = 7) -> tuple[Block, ...]:
    """One block each, from ``first`` on."""
    return tuple(block(first + number, it) for number, it in enumerate(happens))


async def heard_of_last(database: Pool, *happens: Event | Tx) -> list[list[Heard]]:
    """What is said of the last of these blocks, an entry each."""
    *past, last = chain(*happens)
    await tell(database, a_delivery().applies(*past))
    return await heard_of(database, last)


async def heard_of(database: Pool, *applied: Block) -> list[list[Heard]]:
    """What is said of these blocks, an entry each."""
    end = max((seq for seq, *_ in await said(database)), default=0)
    await tell(database, a_delivery().applies(*applied))
    return await heard(database, after=end)


async def heard(database: Pool, *, after: int = 0) -> list[list[Heard]]:
    """The entries behind one, each as who heard what."""
    entries: dict[int, list[Heard]] = {}
    for seq, _, room, name, it in await emissions(database):
        if seq > after:
            assert set(it["data"]) >= FACTS
            data = {key: value for key, value in it["data"].items() if key not in FACTS}
            entries.setdefault(seq, []).append((room, name, it["type"], it.get("role"), data))
    return list(entries.values())


def offer(status: str, reason: str | None = None, *, price: int = 900, stream: int = 1) -> dict[str, Any]:
    """The view of Alice's listing."""
    return {
        "streamId": str(stream),
        "seller": ALICE,
        "price": str(price),
        "listedAt": "8",
        "status": status,
        "reason": reason,
    }


def ended(view: dict[str, Any], *, buyer: str | None = None) -> list[Heard]:
    """What is said of an offer that ended without a print."""
    name, kind = "marketplace:listing-cancelled", "listing-auto-cancelled"
    to_buyer: list[Heard] = [(f"user:{buyer}", name, kind, "buyer", view)] if buyer else []
    return [("marketplace", name, kind, None, view), (f"user:{ALICE}", name, kind, "seller", view), *to_buyer]


def restored(view: dict[str, Any]) -> list[Heard]:
    """What is said of an offer that came back."""
    name, kind = "marketplace:new-listing", "listing-restored"
    return [("marketplace", name, kind, None, view), (f"user:{ALICE}", name, kind, "seller", view)]


def of_market(entries: list[list[Heard]]) -> list[Heard]:
    """All that is said of listings."""
    return [it for entry in entries for it in entry if "listing" in it[1]]


async def status(database: Pool, stream: int = 1) -> tuple[str, str | None]:
    """Status and reason of a listing, as it is stored."""
    (found,) = [it for it in await rows(database, tables.market_listings) if it.stream_id == stream]
    return found.status, found.reason


# -- an offer that ends without a print

ENDS: Final = {
    "stream_cancelled": CANCELLED,
    "stream_completed": DRAWN_OUT,
    "nft_burned": BURNED,
    "nft_transferred": GIVEN,
}


@pytest.mark.parametrize("reason", ENDS)
async def test_the_end_of_what_is_offered_is_said_to_the_market_and_the_seller(database: Pool, reason: str) -> None:
    (entry,) = await heard_of_last(database, STREAM, LISTED, ENDS[reason])
    assert ended(offer("auto_cancelled", reason)) == entry[-2:]
    assert [] == of_market([entry[:-2]])
    assert ("auto_cancelled", reason) == await status(database)


@pytest.mark.parametrize("reason", ENDS)
async def test_it_is_said_to_the_buyer_too_while_a_purchase_is_open(database: Pool, reason: str) -> None:
    (entry,) = await heard_of_last(database, STREAM, LISTED, RESERVED, ENDS[reason])
    assert ended(offer("auto_cancelled", reason), buyer=DAVE) == entry[-3:]
    assert [] == of_market([entry[:-3]])


async def test_a_purchase_that_is_over_has_no_buyer_to_tell(database: Pool) -> None:
    (entry,) = await heard_of_last(database, STREAM, LISTED, RESERVED, EXPIRED, GIVEN)
    assert ended(offer("auto_cancelled", "nft_transferred")) == of_market([entry])


async def test_a_seller_who_is_the_buyer_hears_it_once(database: Pool) -> None:
    own = market("purchase-initiated", stream_id=1, buyer=ALICE, payment_id="pay", expires_at=1017)
    (entry,) = await heard_of_last(database, STREAM, LISTED, own, GIVEN)
    assert ended(offer("auto_cancelled", "nft_transferred")) == of_market([entry])


async def test_of_a_seller_nobody_knows_only_the_market_hears(database: Pool) -> None:
    """The listing itself was never told, only a purchase of it."""
    (entry,) = await heard_of_last(database, STREAM, RESERVED, CANCELLED)
    view = {
        "streamId": "1",
        "seller": None,
        "price": None,
        "listedAt": None,
        "status": "auto_cancelled",
        "reason": "stream_cancelled",
    }
    market_heard, _, buyer_heard = ended(view, buyer=DAVE)
    assert [market_heard, buyer_heard] == of_market([entry])


async def test_it_is_said_with_the_last_event_of_that_stream_in_its_transaction(database: Pool) -> None:
    """The NFT goes first and the payer follows; what another stream does behind them is none of it."""
    both = tx(*moved(1, ALICE, CAROL), stream_withdrawal(2))
    entries = await heard_of_last(database, STREAM, tx(*created(2, CAROL)), LISTED, both)
    assert 3 == len(entries)
    assert ended({**offer("auto_cancelled", "nft_transferred")}) == of_market([entries[1]])
    assert [] == of_market([entries[0], entries[2]])
    names = [[name for _, name, *_ in entry] for entry in entries]
    assert names[0] == ["nft:transferred", "nft:received", "nft:transferred"]
    assert names[1] == [
        "stream:updated",
        *["stream:sender-updated"] * 4,
        *["marketplace:listing-cancelled"] * 2,
    ]


async def test_of_two_offers_that_end_in_one_transaction_each_is_said_with_its_own_event(database: Pool) -> None:
    other = market("nft-listed", stream_id=2, seller=ALICE, price=900, listed_at=8)
    both = tx(GIVEN, passed(ALICE, CAROL, 2))
    entries = await heard_of_last(database, STREAM, tx(*created(2, ALICE)), LISTED, other, both)
    first, second = (offer("auto_cancelled", "nft_transferred", stream=it) for it in (1, 2))
    assert [ended(first), ended(second)] == [of_market([it]) for it in entries]


@pytest.mark.parametrize(
    "happens",
    [tx(GIVEN, RETURNED), tx(RESERVED, EXPIRED, GIVEN, RETURNED)],
    ids=["away and back", "reserved meanwhile"],
)
async def test_what_ends_and_returns_within_one_transaction_has_not_ended(database: Pool, happens: Tx) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, happens)
    assert {"nft:transferred", "nft:received", "marketplace:listing-updated"} >= {
        it[1] for entry in entries for it in entry if it[0] in ("marketplace", "stream:1")
    }
    assert [] == [it for it in of_market(entries) if it[2] in ("listing-auto-cancelled", "listing-restored")]
    assert ("active", None) == await status(database)


@pytest.mark.parametrize(
    ("ends", "reason"), [(CANCELLED, "stream_cancelled"), (DRAWN_OUT, "stream_completed"), (BURNED, "nft_burned")]
)
async def test_an_offer_that_has_ended_does_not_end_again_for_another_reason(
    database: Pool, ends: Event, reason: str
) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, GIVEN, ends)
    assert [] == of_market(entries)
    assert ("auto_cancelled", reason) == await status(database)


async def test_an_offer_that_ends_in_the_transaction_that_makes_it_is_told_once(database: Pool) -> None:
    """Nobody has seen it open, so nobody is told that it closed."""
    entries = await heard_of_last(database, STREAM, tx(LISTED, GIVEN))
    view = offer("auto_cancelled", "nft_transferred")
    name = "marketplace:new-listing"
    assert [
        ("marketplace", name, "nft-listed", None, view),
        (f"user:{ALICE}", name, "nft-listed", "seller", view),
    ] == of_market(entries)


async def test_an_offer_withdrawn_by_its_seller_is_not_withdrawn_by_itself_as_well(database: Pool) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, tx(WITHDRAWN, GIVEN))
    assert {"listing-cancelled"} == {it[2] for it in of_market(entries)}
    assert ("cancelled", "seller") == await status(database)


# -- an offer that comes back


async def test_when_the_nft_comes_back_so_does_the_offer(database: Pool) -> None:
    (entry,) = await heard_of_last(database, STREAM, LISTED, GIVEN, RETURNED)
    assert restored(offer("active", "ownership_restored")) == entry[-2:]
    assert [] == of_market([entry[:-2]])
    assert ("active", None) == await status(database)


async def test_an_offer_that_was_reserved_comes_back_reserved(database: Pool) -> None:
    (entry,) = await heard_of_last(database, STREAM, LISTED, RESERVED, GIVEN, RETURNED)
    assert restored(offer("pending", "ownership_restored")) == entry[-2:]
    assert [] == of_market([entry[:-2]])
    assert ("pending", None) == await status(database)


async def test_what_is_listed_anew_is_a_new_listing_and_not_one_restored(database: Pool) -> None:
    again = market("nft-listed", stream_id=1, seller=CAROL, price=700, listed_at=10)
    entries = await heard_of_last(database, STREAM, LISTED, GIVEN, again)
    assert ["nft-listed", "nft-listed"] == [it[2] for it in of_market(entries)]
    assert ("active", None) == await status(database)


async def test_listed_anew_in_the_transaction_that_brought_it_back_it_is_told_once(database: Pool) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, GIVEN, tx(RETURNED, LISTED))
    assert ["nft-listed", "nft-listed"] == [it[2] for it in of_market(entries)]


async def test_an_nft_that_comes_back_to_a_cancelled_stream_brings_no_offer(database: Pool) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, GIVEN, CANCELLED, RETURNED)
    assert [] == of_market(entries)
    assert ("auto_cancelled", "stream_cancelled") == await status(database)


async def test_an_nft_that_comes_back_behind_a_withdrawn_offer_brings_none(database: Pool) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, GIVEN, WITHDRAWN, RETURNED)
    assert [] == of_market(entries)
    assert ("cancelled", "seller") == await status(database)


@pytest.mark.parametrize("happens", [RESERVED, REPRICED, EXPIRED], ids=["reserved", "repriced", "lapsed"])
async def test_an_offer_first_heard_of_by_something_else_is_told_with_that(database: Pool, happens: Event) -> None:
    """A snapshot shows it from then on, so those who listen must hear of it too."""
    entries = await heard_of_last(database, STREAM, happens)
    assert "marketplace" in [room for room, _, kind, *_ in of_market(entries) if kind == "listing-restored"]


# -- a sale


@pytest.mark.parametrize("sale", [BOUGHT_DIRECTLY, BOUGHT_BY_GATEWAY], ids=["direct", "gateway"])
@pytest.mark.parametrize(
    "past", [(LISTED,), (LISTED, RESERVED), (LISTED, GIVEN, RETURNED)], ids=["offered", "reserved", "away and back"]
)
async def test_a_sale_is_no_offer_withdrawn_though_its_nft_moves_first(
    database: Pool, past: tuple[Event, ...], sale: Tx
) -> None:
    entries = await heard_of_last(database, STREAM, *past, sale)
    assert [] == of_market(entries)
    assert ["marketplace:sale"] * 3 == [name for _, name, *_ in entries[-1]]
    assert ("sold", None) == await status(database)


async def test_a_sale_of_an_offer_that_had_ended_is_a_sale(database: Pool) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, GIVEN, tx(*moved(1, CAROL, DAVE), BOUGHT))
    assert [] == of_market(entries)
    assert ("sold", None) == await status(database)


@pytest.mark.parametrize("later", [CANCELLED, DRAWN_OUT, passed(DAVE, CAROL), passed(DAVE, ALICE)])
async def test_nothing_that_happens_to_what_was_sold_is_said_of_its_listing(database: Pool, later: Event) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, BOUGHT_DIRECTLY, later)
    assert [] == of_market(entries)
    assert ("sold", None) == await status(database)


# -- the status: the first that fits decides

STATUSES: Final[dict[str, tuple[tuple[Event | Tx, ...], tuple[str, str | None]]]] = {
    "offered": ((LISTED,), ("active", None)),
    "repriced": ((LISTED, REPRICED), ("active", None)),
    "reserved": ((LISTED, RESERVED), ("pending", None)),
    "reserved and repriced": ((LISTED, RESERVED, REPRICED), ("pending", None)),
    "reserved and lapsed": ((LISTED, RESERVED, EXPIRED), ("active", None)),
    "the NFT is another's": ((LISTED, GIVEN), ("auto_cancelled", "nft_transferred")),
    "another's before a purchase": ((LISTED, RESERVED, GIVEN), ("auto_cancelled", "nft_transferred")),
    "burned before another's": ((LISTED, GIVEN, BURNED), ("auto_cancelled", "nft_burned")),
    "completed before burned": ((LISTED, BURNED, DRAWN_OUT), ("auto_cancelled", "stream_completed")),
    "completed before another's": ((LISTED, GIVEN, DRAWN_OUT), ("auto_cancelled", "stream_completed")),
    "cancelled before burned": ((LISTED, BURNED, CANCELLED), ("auto_cancelled", "stream_cancelled")),
    "cancelled before completed": ((LISTED, DRAWN_OUT, CANCELLED), ("auto_cancelled", "stream_cancelled")),
    "withdrawn before a cancelled stream": ((LISTED, CANCELLED, WITHDRAWN), ("cancelled", "seller")),
    "withdrawn before a burned NFT": ((LISTED, BURNED, WITHDRAWN), ("cancelled", "seller")),
    "withdrawn before a completed stream": ((LISTED, DRAWN_OUT, WITHDRAWN), ("cancelled", "seller")),
    "sold": ((LISTED, BOUGHT_DIRECTLY), ("sold", None)),
    "sold by a gateway": ((LISTED, RESERVED, BOUGHT_BY_GATEWAY), ("sold", None)),
    "sold before cancelled": ((LISTED, BOUGHT_DIRECTLY, CANCELLED), ("sold", None)),
    "sold before withdrawn": ((LISTED, BOUGHT_DIRECTLY, WITHDRAWN), ("sold", None)),
    "sold before burned": ((LISTED, BOUGHT_DIRECTLY, BURNED), ("sold", None)),
}


@pytest.mark.parametrize("what", STATUSES)
@pytest.mark.parametrize("order", ["in order", "backwards"])
async def test_a_listing_has_the_status_of_the_first_rule_that_fits(database: Pool, what: str, order: str) -> None:
    """In whichever order it is told: the status is looked at again when a listing is folded anew."""
    happens, expected = STATUSES[what]
    blocks = chain(STREAM, *happens)
    await tell(database, *(a_delivery().applies(it) for it in (blocks if order == "in order" else blocks[::-1])))
    assert expected == await status(database)


async def test_an_owner_nobody_knows_is_no_other_owner(database: Pool) -> None:
    """The NFT's mint was never told."""
    await tell(database, a_delivery().applies(*chain(LISTED)))
    assert ("active", None) == await status(database)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
async def test_an_offer_that_ended_still_stands_on_the_chain_and_its_seller_may_reprice_it(
    database: Pool, ends: Event
) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, ends, REPRICED)
    (reason,) = (key for key, it in ENDS.items() if it is ends)
    data = {**offer("auto_cancelled", reason, price=800), "oldPrice": "900", "newPrice": "800"}
    name = "marketplace:listing-updated"
    assert [
        ("marketplace", name, "listing-price-updated", None, data),
        (f"user:{ALICE}", name, "listing-price-updated", "seller", data),
    ] == of_market(entries)
    (found,) = await rows(database, tables.market_listings)
    assert (True, "auto_cancelled", 800) == (found.on_chain_active, found.status, found.price)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
async def test_and_may_withdraw_it(database: Pool, ends: Event) -> None:
    entries = await heard_of_last(database, STREAM, LISTED, ends, WITHDRAWN)
    name, view = "marketplace:listing-cancelled", offer("cancelled", "seller")
    assert [
        ("marketplace", name, "listing-cancelled", None, view),
        (f"user:{ALICE}", name, "listing-cancelled", "seller", view),
    ] == of_market(entries)
    (found,) = await rows(database, tables.market_listings)
    assert (False, "cancelled", "seller") == (found.on_chain_active, found.status, found.reason)


async def test_a_late_gift_ends_the_offer_and_says_so(database: Pool) -> None:
    """Told behind a later change of price, it is folded where it belongs and heard of now."""
    blocks = chain(STREAM, LISTED, GIVEN, REPRICED)
    await tell(database, a_delivery().applies(*blocks[:2], blocks[3]))
    (entry,) = await heard_of(database, blocks[2])
    assert ended(offer("auto_cancelled", "nft_transferred", price=800)) == of_market([entry])
    assert ("auto_cancelled", "nft_transferred") == await status(database)


async def test_a_late_gift_that_was_taken_back_since_says_nothing_of_the_offer(database: Pool) -> None:
    blocks = chain(STREAM, LISTED, GIVEN, RETURNED)
    await tell(database, a_delivery().applies(*blocks[:2], blocks[3]))
    assert [] == of_market(await heard_of(database, blocks[2]))
    assert ("active", None) == await status(database)


async def test_what_is_told_again_ends_no_offer_again(database: Pool) -> None:
    blocks = chain(STREAM, LISTED, GIVEN)
    await tell(database, a_delivery().applies(*blocks))
    outcomes: list[Outcome] = await tell(database, a_delivery().applies(blocks[2]), form="v2")
    assert [(0, 1)] == [(it.applied, it.known) for it in outcomes]
    assert 2 == len(of_market(await heard(database, after=4)))
