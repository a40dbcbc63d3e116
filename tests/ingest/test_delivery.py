"""Both generations say the same, and whatever else a body says is refused by name or kept as unreadable."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.local.chainhook import Event, FtTransfer, NftBurn, NftMint, NftTransfer, Print
from ingest.delivery import (
    Delivery,
    NotDelivery,
    NotJson,
    Observed,
    Readable,
    Unreadable,
    ascii_json,
    parse_json,
    read_delivery,
)
from shared.domain import clarity
from shared.domain.chain import Place, event_id
from shared.domain.clarity import Ascii, Principal, UInt, Utf8
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    FORMS,
    GENESIS_S,
    a_delivery,
    block,
    block_hash,
    core_print,
    having,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)

V1 = tuple(form for form in FORMS if form.startswith("v1"))
V2 = tuple(form for form in FORMS if form.startswith("v2"))
VAULT = CONTRACTS.core.replace("core", "sbtc-helper")
MINTED = Print(
    CONTRACTS.obligation,
    clarity.Tuple({"event": Ascii("obligation-minted"), "token-id": UInt(7), "owner": Principal(ALICE)}),
)
FOREIGN = Print(f"{CAROL}.dex", stream_created(99).value)
RICH = block(
    7,
    tx(
        FtTransfer(1_000_000, ALICE, VAULT),
        NftMint(CONTRACTS.recipient_asset, 7, BOB),
        NftMint(CONTRACTS.obligation_asset, 7, ALICE),
        MINTED,
        FOREIGN,
        stream_created(7),
        stream_withdrawal(7),
        index=3,
    ),
    tx(stream_created(8), index=5, success=False),
    tx(
        stream_withdrawal(7, 1),
        NftTransfer(CONTRACTS.obligation_asset, 7, ALICE, CAROL),
        stream_withdrawal(7, 2),
        NftBurn(CONTRACTS.recipient_asset, 7, BOB),
        NftBurn(CONTRACTS.obligation_asset, 7, CAROL),
        index=6,
        sender=BOB,
    ),
)


def told(delivery: Delivery) -> list[tuple[Any, ...]]:
    """What a delivery says, without the indexes that differ between generations."""
    return [
        (it.place.event_id, it.place.source, it.place.rank, it.place.tx_index, it.place.tx_sender, it.name, it.value)
        for found in delivery.apply
        for it in found.events
        if isinstance(it, Readable)
    ]


def read(body: object) -> tuple[Observed, ...]:
    """The events of the only block of a body."""
    (found,) = read_delivery(parse_json(ascii_json(body).encode()), CONTRACTS, "testnet").apply
    return found.events


def elements(body: dict[str, Any], place: int = 0) -> list[Any]:
    """The events or operations of a transaction."""
    found: list[Any] = (
        body["event"]["apply"][0]["transactions"][place]["operations"]
        if "event" in body
        else body["apply"][0]["transactions"][place]["metadata"]["receipt"]["events"]
    )
    return found


def only(*events: Event, form: str = "v1") -> dict[str, Any]:
    """The body that says so much of one transaction."""
    return a_delivery().applies(block(7, tx(*events))).body(form)


def metadata(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body.get("event", body)["apply"][0]["transactions"][0]["metadata"]
    return found


# -- the same through both generations


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_delivery_says_the_same(form: str) -> None:
    expected: list[tuple[Any, ...]] = [
        (CONTRACTS.recipient_asset + "/mint", 0, 3, ALICE, "nft-mint", {"token-id": 7, "owner": BOB}),
        (CONTRACTS.obligation, 0, 3, ALICE, "obligation-minted", clarity.plain(MINTED.value)),
        (CONTRACTS.core, 0, 3, ALICE, "stream-created", clarity.plain(stream_created(7).value)),
        (CONTRACTS.core, 1, 3, ALICE, "stream-withdrawal", clarity.plain(stream_withdrawal(7).value)),
        (CONTRACTS.core, 0, 6, BOB, "stream-withdrawal", clarity.plain(stream_withdrawal(7, 1).value)),
        (CONTRACTS.core, 1, 6, BOB, "stream-withdrawal", clarity.plain(stream_withdrawal(7, 2).value)),
        (CONTRACTS.recipient_asset + "/burn", 0, 6, BOB, "nft-burn", {"token-id": 7, "owner": BOB}),
        (CONTRACTS.obligation_asset + "/burn", 0, 6, BOB, "nft-burn", {"token-id": 7, "owner": CAROL}),
    ]
    delivery = a_delivery().applies(RICH).read(form)
    assert expected == [it[1:] for it in told(delivery)]
    hashes = [RICH.txs[0].hash] * 4 + [RICH.txs[2].hash] * 4
    ids = [event_id(RICH.hash, tx_hash, it[0], it[1]) for tx_hash, it in zip(hashes, expected, strict=True)]
    assert ids == [it[0] for it in told(delivery)]


@pytest.mark.parametrize("form", FORMS)
def test_a_block_is_read_with_its_own_time_and_a_hash_in_small_letters(form: str) -> None:
    body = a_delivery().applies(block(7, stream_created())).encoded(form)
    shouted = body.replace(block_hash(7).encode(), b"0x" + block_hash(7)[2:].upper().encode())
    assert shouted != body
    (found,) = read_delivery(parse_json(shouted), CONTRACTS, "testnet").apply
    assert (7, block_hash(7), GENESIS_S + 70) == (found.ref.height, found.ref.hash, found.ref.time)


def test_without_a_time_of_its_own_a_block_has_that_of_its_bitcoin_block() -> None:
    without: list[Any] = [{"block_time": None}, {}, None, "text"]
    for gone in without:
        body = a_delivery().applies(block(7)).body()
        body["apply"][0]["metadata"] = gone
        (found,) = read_delivery(body, CONTRACTS, "testnet").apply
        assert body["apply"][0]["timestamp"] == found.ref.time < GENESIS_S + 70


def test_a_rollback_comes_tip_first_and_an_apply_from_the_fork_up_however_they_were_listed() -> None:
    delivery = a_delivery().rolls_back(*(block(h, fork="b") for h in (7, 9, 8))).applies(*map(block, (9, 7, 8)))
    found = delivery.read("v2")
    assert [9, 8, 7] == [it.ref.height for it in found.rollback]
    assert [7, 8, 9] == [it.ref.height for it in found.apply]


def test_the_hook_is_named_as_it_was_registered_and_may_be_missing() -> None:
    body = a_delivery().body()
    assert "bitpay-core" == read_delivery(body, CONTRACTS, "testnet").hook
    others: list[Any] = [None, [], "x", {}, {"uuid": 7}]
    for gone in others:
        assert "" == read_delivery({**body, "chainhook": gone}, CONTRACTS, "testnet").hook


# -- order and rank


@pytest.mark.parametrize("form", FORMS)
def test_the_order_in_which_events_are_listed_means_nothing(form: str) -> None:
    expected = told(a_delivery().applies(RICH).read(form))
    listed = set()
    for seed in range(20):
        body = a_delivery().applies(RICH).body(form, seed=seed)
        listed.add(ascii_json(elements(body)))
        assert expected == told(read_delivery(body, CONTRACTS, "testnet"))
    if form in ("v1", "v1-raw"):
        assert 10 < len(listed)
    if form != "v1-before-positions":
        body = a_delivery().applies(RICH).body(form)
        for place in (0, 2):
            elements(body, place).reverse()
        assert expected == told(read_delivery(body, CONTRACTS, "testnet"))


def test_before_positions_were_told_the_place_in_the_list_orders() -> None:
    body = only(stream_created(), stream_withdrawal(amount=5), form="v1-before-positions")
    assert all("position" not in it for it in elements(body))
    assert [(0, 0), (1, 1)] == [(it.place.rank, it.place.event_index) for it in read(body)]
    elements(body).reverse()
    assert [0, 1] == [it.place.rank for it in read(body)]
    first = read(body)[0]
    assert isinstance(first, Readable)
    assert "stream-withdrawal" == first.name


def test_an_event_keeps_the_index_of_its_generation_which_only_orders() -> None:
    rich = a_delivery().applies(RICH)
    v1, v2 = ([it.place.event_index for it in rich.read(form).apply[0].events] for form in ("v1", "v2"))
    assert v1 == sorted(v1)
    assert [4, 6, 8, 9] == v2[:4]  # behind fee, call and both sides of a transfer
    assert [2, 5, 6, 7] == v2[4:]


@pytest.mark.parametrize("form", ["v1", "v1-raw", "v2", "v2-bare"])
def test_an_event_that_cannot_be_read_keeps_its_rank(form: str) -> None:
    """So the same event has one identity, whether a hook could tell it or not."""
    body = only(stream_created(), core_print("odd", {}), stream_withdrawal(), form=form)
    good = ascii_json(body)
    for right, wrong in ((':{"event":"odd"}', ":[]"), ("0c00000001056576656e740d000000036f6464", "ff")):
        text = good.replace(right, wrong)
        if text != good:
            observed = read(parse_json(text.encode()))
            assert [0, 1, 2] == [it.place.rank for it in observed]
            assert [Readable, Unreadable, Readable] == [type(it) for it in observed]
            break
    else:
        pytest.fail("nothing was replaced")


# -- what is not ours

NEIGHBOUR = CONTRACTS.core + "0"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "event",
    [
        replace(stream_created(), contract=NEIGHBOUR),
        replace(stream_created(), contract=CONTRACTS.core[:-1]),
        replace(stream_created(), contract=f"{ALICE}.{CONTRACTS.core.partition('.')[2]}"),
        replace(stream_created(), contract=CONTRACTS.core.upper()),
        replace(stream_created(), contract=CONTRACTS.core + "\u200b"),
        NftMint(CONTRACTS.recipient_asset + "s", 7, BOB),
        NftMint(CONTRACTS.recipient_asset.replace("stream-nft", "bitpay-recipient-nft"), 7, BOB),
        NftMint(CONTRACTS.obligation_asset, 7, BOB),
        NftTransfer(CONTRACTS.recipient_asset, 7, BOB, ALICE),
        NftTransfer(CONTRACTS.obligation_asset, 7, BOB, ALICE),
        FtTransfer(7, ALICE, BOB, CONTRACTS.recipient_asset),
    ],
    ids=lambda it: f"{getattr(it, 'contract', getattr(it, 'asset', ''))[41:]!a}-{type(it).__name__}",
)
def test_what_is_not_exactly_ours_is_nobody_s(form: str, event: Event) -> None:
    assert () == read(only(event, form=form))


@pytest.mark.parametrize("form", FORMS)
def test_a_log_that_is_no_print_is_passed_over(form: str) -> None:
    body = ascii_json(only(stream_created(), form=form))
    assert '"topic":"print"' in body
    for topic in ('"printed"', '"Print"', "null", "7", '""'):
        assert () == read(parse_json(body.replace('"topic":"print"', f'"topic":{topic}').encode()))


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_transaction_has_no_events_whatever_it_lists(form: str) -> None:
    assert () == read(a_delivery().applies(block(7, tx(stream_created(), success=False))).body(form))


@pytest.mark.parametrize(
    "status",
    ["abort_by_response", "abort_by_post_condition", "pending", "dropped_replace_by_fee", "Success", "success ", ""],
)
def test_only_success_counts_in_v2(status: str) -> None:
    body = only(stream_created(), form="v2")
    metadata(body)["status"] = status
    assert () == read(body)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_a_foreign_element_can_do_harm(form: str) -> None:
    """Only what is ours is read any further than its type and its contract."""
    body = only(FOREIGN, FtTransfer(1, ALICE, BOB), stream_created(), form=form)
    for element in elements(body):
        if CONTRACTS.core not in ascii_json(element):
            element.update(position=[], operation_identifier="\ud800")
            for holder in (element.get("data"), element.get("metadata")):
                if isinstance(holder, dict):
                    holder.update(value={"x": "\0"}, raw_value=[])
    assert ["stream-created"] == [it.name for it in read(body) if isinstance(it, Readable)]
    assert 1 == len(read(body))


# -- values


@pytest.mark.parametrize(
    "value",
    [
        {"hex": "0x0100000000000000000000000000000007", "repr": "u8"},
        {"hex": "0x0100000000000000000000000000000007", "repr": "u7", "type": "uint"},
        {"hex": "0x0100000000000000000000000000000007"},
        "0x0100000000000000000000000000000007",
        "u7",
        7,
    ],
    ids=str,
)
def test_the_token_id_of_v2_may_come_in_any_dress(value: object) -> None:
    body = only(NftMint(CONTRACTS.recipient_asset, 9, BOB), form="v2")
    elements(body)[2]["amount"]["currency"]["metadata"]["value"] = value
    (found,) = read(body)
    assert isinstance(found, Readable)
    assert {"token-id": 7, "owner": BOB} == found.value


def test_hex_outranks_what_is_said_beside_it() -> None:
    """``repr`` is for eyes, and a raw value has no loss that a decoded one may have."""
    v2 = only(stream_created(), form="v2")
    elements(v2)[2]["metadata"]["value"]["repr"] = '(tuple (event "stream-cancelled"))'
    v1 = only(stream_created(), form="v1-raw")
    elements(v1)[0]["data"]["value"] = {"event": "stream-cancelled"}
    for body in (v1, v2):
        assert ["stream-created"] == [it.name for it in read(body) if isinstance(it, Readable)]


@pytest.mark.parametrize("form", FORMS)
def test_amounts_of_128_bits_and_all_other_values_are_exact(form: str) -> None:
    fields: dict[str, clarity.Value] = {
        "big": UInt(2**128 - 1),
        "small": clarity.Int(-(2**127)),
        "buff": clarity.Buffer(b"\0\xff"),
        "none": clarity.Nothing(),
        "some": clarity.Some(UInt(1)),
        "ok": clarity.Ok(clarity.Bool(value=True)),
        "err": clarity.Err(UInt(305)),
        "list": clarity.List((UInt(1), UInt(2))),
        "text": Utf8("café \U0001f4a9"),
        "who": Principal(CONTRACTS.core),
    }
    (found,) = read(only(core_print("odd", fields), form=form))
    assert isinstance(found, Readable)
    assert found.value == {
        "event": "odd",
        "big": 2**128 - 1,
        "small": -(2**127),
        "buff": "0x00ff",
        "none": None,
        "some": 1,
        "ok": {"result": {"success": True, "value": True}},
        "err": {"result": {"success": False, "value": 305}},
        "list": [1, 2],
        "text": "café \U0001f4a9",
        "who": CONTRACTS.core,
    }


# -- what cannot be read inside a transaction


def of_transaction(change: Callable[[dict[str, Any]], object], form: str, reason: str) -> Any:
    return pytest.param(change, form, "transaction", reason, id=f"{form} {reason}")


def of_element(change: Callable[[Any], object], form: str, reason: str, source: str = CONTRACTS.core) -> Any:
    return pytest.param(change, form, source, reason, id=f"{form} {reason} {source[-6:]}")


def leave_out(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda it: it.pop(name)


def put(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda it: it.update(fields)


@pytest.mark.parametrize(
    ("change", "form", "source", "reason"),
    [
        of_transaction(lambda it: it.update(metadata=None), "v1", "metadata is no object"),
        of_transaction(lambda it: it.pop("metadata"), "v1", "metadata is no object"),
        of_transaction(lambda it: it["metadata"].pop("success"), "v1", "success is neither"),
        of_transaction(lambda it: it["metadata"].update(success=1), "v1", "success is neither"),
        of_transaction(lambda it: it["metadata"].update(success="true"), "v1", "success is neither"),
        of_transaction(lambda it: it["metadata"].update(success=None), "v1", "success is neither"),
        of_transaction(lambda it: it["metadata"].pop("receipt"), "v1", "receipt is no object"),
        of_transaction(lambda it: it["metadata"].update(receipt=None), "v1", "receipt is no object"),
        of_transaction(lambda it: it["metadata"]["receipt"].pop("events"), "v1", "events is no list"),
        of_transaction(lambda it: it["metadata"]["receipt"].update(events=None), "v1", "events is no list"),
        of_transaction(lambda it: it["metadata"]["receipt"].update(events={}), "v1-raw", "events is no list"),
        of_transaction(lambda it: it["metadata"].update(position={}), "v1", "position has no index"),
        of_transaction(lambda it: it["metadata"].update(position=3), "v1", "position has no index"),
        of_transaction(lambda it: it["metadata"].update(position={"index": -1}), "v1", "position has no index"),
        of_transaction(lambda it: it["metadata"].update(position={"index": True}), "v2", "position has no index"),
        of_transaction(lambda it: it["metadata"].update(position={"index": 1.0}), "v2", "position has no index"),
        of_transaction(lambda it: it.update(metadata=[]), "v2", "metadata is no object"),
        of_transaction(lambda it: it["metadata"].pop("status"), "v2", "status is no text"),
        of_transaction(lambda it: it["metadata"].update(status=True), "v2", "status is no text"),
        of_transaction(lambda it: it["metadata"].update(status=None), "v2-bare", "status is no text"),
        of_transaction(lambda it: it.pop("operations"), "v2", "operations is no list"),
        of_transaction(lambda it: it.update(operations=None), "v2", "operations is no list"),
        of_transaction(lambda it: it.update(operations={}), "v2-bare", "operations is no list"),
    ],
)
def test_a_transaction_that_cannot_be_read_is_set_aside_whole_and_its_neighbours_are_kept(
    change: Callable[[dict[str, Any]], object], form: str, source: str, reason: str
) -> None:
    body = a_delivery().applies(block(7, stream_created(1), stream_created(2), stream_created(3))).body(form)
    transactions = (body["event"] if form in V2 else body)["apply"][0]["transactions"]
    change(transactions[1])
    before, aside, behind = read(body)
    assert isinstance(aside, Unreadable)
    assert (source, 0) == (aside.place.source, aside.place.rank)
    assert reason in aside.reason
    assert ascii_json(transactions[1]) == aside.raw
    assert ["stream-created"] * 2 == [it.name for it in (before, behind) if isinstance(it, Readable)]


@pytest.mark.parametrize(
    ("change", "form", "source", "reason"),
    [
        of_element(put(position={}), "v1", "position has no index"),
        of_element(put(position=7), "v1", "position has no index"),
        of_element(put(position={"index": -1}), "v1", "position has no index"),
        of_element(put(position={"index": "1"}), "v1-raw", "position has no index"),
        of_element(put(position={"index": 2**63}), "v1", "position has no index"),
        of_element(put(operation_identifier={}), "v2", "operation_identifier has no index"),
        of_element(put(operation_identifier={"index": None}), "v2", "operation_identifier has no index"),
        of_element(lambda it: it["data"].pop("value"), "v1", "no value"),
        of_element(lambda it: it["data"].pop("raw_value"), "v1-raw", "no value"),
        of_element(lambda it: it["metadata"].pop("value"), "v2", "no value"),
        of_element(lambda it: it["data"].update(raw_value=None), "v1-raw", "hex is no text"),
        of_element(lambda it: it["data"].update(raw_value="0xfe"), "v1-raw", "no Clarity value"),
        of_element(lambda it: it["metadata"]["value"].update(hex=7), "v2", "hex is no text"),
        of_element(lambda it: it["metadata"].update(value={"repr": "u7"}), "v2", "no tuple with a text event"),
        of_element(lambda it: it["metadata"].update(value="u7"), "v2-bare", "without 0x"),
        of_element(lambda it: it["data"].update(value=7), "v1", "no tuple with a text event"),
        of_element(lambda it: it["data"].update(value=None), "v1", "no tuple with a text event"),
        of_element(lambda it: it["data"].update(value=["event"]), "v1", "no tuple with a text event"),
        of_element(lambda it: it["data"].update(value={}), "v1", "no tuple with a text event"),
        of_element(lambda it: it["data"].update(value={"event": 7}), "v1", "no tuple with a text event"),
        of_element(lambda it: it["data"]["value"].update(x=0.5), "v1", "fraction"),
        of_element(lambda it: it["data"]["value"].update(x=2**128), "v1", "128 bits"),
        of_element(lambda it: it["data"]["value"].update(x="\0"), "v1", "U+0000"),
        of_element(lambda it: it["data"]["value"].update(x=["\udfff"]), "v1", "surrogate"),
        of_element(put(data=None), "v1", "data is no object", "element"),
        of_element(put(type=None), "v1", "type is no text", "element"),
        of_element(leave_out("type"), "v1-raw", "type is no text", "element"),
        of_element(leave_out("type"), "v2", "type is no text", "element"),
        of_element(put(metadata=None), "v2", "metadata is no object", "element"),
        of_element(lambda it: it["data"].pop("contract_identifier"), "v1", "contract is no text", "element"),
        of_element(lambda it: it["metadata"].update(contract_identifier=7), "v2", "contract is no text", "element"),
    ],
)
def test_an_element_that_cannot_be_read_is_set_aside_alone(
    change: Callable[[Any], object], form: str, source: str, reason: str
) -> None:
    body = only(stream_created(), stream_sender_updated(), stream_cancelled(), form=form)
    listed = sorted(elements(body), key=lambda it: it.get("position", it.get("operation_identifier"))["index"])
    element = listed[-2]
    change(element)
    observed = read(body)
    (aside,) = (it for it in observed if isinstance(it, Unreadable))
    assert source == aside.place.source
    assert reason in aside.reason
    assert ascii_json(element) == aside.raw
    assert ["stream-created", "stream-cancelled"] == [it.name for it in observed if isinstance(it, Readable)]


@pytest.mark.parametrize("form", ["v1", "v2"])
@pytest.mark.parametrize("element", [None, 7, "x", [], True])
def test_an_element_that_is_no_object_is_set_aside_alone(form: str, element: object) -> None:
    body = only(stream_created(), form=form)
    elements(body).insert(0, element)
    aside, kept = sorted(read(body), key=lambda it: isinstance(it, Readable))
    assert isinstance(aside, Unreadable)
    assert isinstance(kept, Readable)
    assert ("element", 0, "element 0: it is no object", ascii_json(element)) == (
        aside.place.source,
        aside.place.rank,
        aside.reason,
        aside.raw,
    )


@pytest.mark.parametrize(
    ("change", "form", "reason"),
    [
        (lambda it: it["data"].update(asset_identifier=2**63), "v1", "token id"),
        (lambda it: it["data"].update(asset_identifier="7"), "v1", "token id"),
        (lambda it: it["data"].update(asset_identifier=True), "v1", "token id"),
        (lambda it: it["data"].update(raw_value="0x03"), "v1-raw", "token id"),
        (lambda it: it["data"].update(recipient="nobody"), "v1", "owner"),
        (lambda it: it["data"].pop("recipient"), "v1-raw", "owner"),
        (lambda it: it["account"].update(address=None), "v2", "owner"),
        (lambda it: it.pop("account"), "v2", "owner"),
        (lambda it: it["amount"]["currency"]["metadata"].update(value="u"), "v2", "no Clarity value"),
        (lambda it: it["amount"]["currency"]["metadata"].update(value=f"u{2**64}"), "v2", "token id"),
        (lambda it: it["amount"]["currency"]["metadata"].update(value="u" + "9" * 40), "v2", "no Clarity value"),
        (lambda it: it["amount"]["currency"]["metadata"].pop("value"), "v2", "no value"),
    ],
)
def test_a_token_that_cannot_be_read_is_set_aside_under_its_own_name(
    change: Callable[[Any], object], form: str, reason: str
) -> None:
    body = only(NftMint(CONTRACTS.recipient_asset, 7, BOB), form=form)
    change(elements(body)[-1])
    (aside,) = read(body)
    assert isinstance(aside, Unreadable)
    assert (f"{CONTRACTS.recipient_asset}/mint", 0) == (aside.place.source, aside.place.rank)
    assert reason in aside.reason


def test_a_sender_that_is_no_principal_is_not_known() -> None:
    for sender in (None, 7, "", ALICE.lower(), ALICE + "\0", f"{ALICE}."):
        for form, name in (("v1", "sender"), ("v2", "sender_address")):
            body = only(stream_created(), form=form)
            metadata(body)[name] = sender
            assert [None] == [it.place.tx_sender for it in read(body)]


# -- what is no delivery (each fault by itself stands in test_http)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("apply",), None, "apply is no list"),
        (("rollback",), {}, "rollback is no list"),
        (("apply", 1), None, "apply[1] is no object"),
        (("apply", 1, "block_identifier"), None, "apply[1] has no block_identifier"),
        (("apply", 1, "block_identifier", "index"), -1, "apply[1].block_identifier.index"),
        (("apply", 1, "block_identifier", "hash"), "0x", "apply[1].block_identifier.hash"),
        (("apply", 1, "metadata", "block_time"), "1", "apply[1] has no time"),
        (("apply", 1, "transactions"), None, "apply[1].transactions is no list"),
        (("apply", 1, "transactions", 0), None, "apply[1].transactions[0]"),
        (("rollback", 0, "transactions", 0, "transaction_identifier", "hash"), "", "rollback[0].transactions[0]"),
    ],
)
@pytest.mark.parametrize("form", ["v1", "v2"])
def test_a_refusal_names_the_place(path: tuple[Any, ...], value: object, place: str, form: str) -> None:
    whole = a_delivery().applies(block(7), block(8, stream_created())).rolls_back(block(7, stream_created(), fork="b"))
    body = whole.body(form)
    holder: Any = body["event"] if form == "v2" else body
    if form == "v2":
        path, place = tuple("timestamp" if it == "block_time" else it for it in path), f"event.{place}"
        path = path[:2] + path[3:] if "metadata" in path else path
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(NotDelivery) as refused:
        read_delivery(body, CONTRACTS, "testnet")
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "no object"),
        ({}, "neither"),
        ({"event": {}}, "neither"),
        ({"apply": [], "event": {"apply": []}}, "both"),
        ({"event": {"apply": [], "rollback": [], "chain": "bitcoin", "network": "testnet"}}, "chain"),
        ({"event": {"apply": [], "rollback": [], "chain": "stacks", "network": "mainnet"}}, "testnet"),
    ],
)
def test_an_envelope_that_is_not_ours_is_named(body: object, said: str) -> None:
    with pytest.raises(NotDelivery, match=said):
        read_delivery(body, CONTRACTS, "testnet")


# -- laws

GOOD = {form: a_delivery().applies(RICH).rolls_back(block(7, stream_created(), fork="b")).body(form) for form in FORMS}
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["\0", "\ud800", "0x", "0x09", "u7", ALICE, CONTRACTS.core, CONTRACTS.recipient_asset, "success", "print", "1e5"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**130), 2**130)
    | st.sampled_from([0, 1, -1, 2**63 - 1, 2**63, 2**64, 10**18])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def places(value: object) -> list[tuple[Any, Any]]:
    """Every (holder, key) in a JSON value."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += [(value, key), *places(inner)]
    return found


@given(st.data())
def test_no_change_to_a_good_delivery_raises_anything_but_a_refusal(data: st.DataObject) -> None:
    body = copy.deepcopy(GOOD[data.draw(st.sampled_from(sorted(FORMS)))])
    for _ in range(data.draw(st.integers(1, 3))):
        if not (found := places(body)):
            break
        holder, key = data.draw(st.sampled_from(found))
        if data.draw(st.booleans()):
            holder[key] = data.draw(JSON)
        else:
            del holder[key]
    try:
        delivery = read_delivery(parse_json(ascii_json(body).encode()), CONTRACTS, "testnet")
    except NotDelivery:
        return
    for it in (it for told_of in (*delivery.apply, *delivery.rollback) for it in told_of.events):
        assert isinstance(it.place, Place)
        if isinstance(it, Unreadable):
            assert it.reason
            assert it.raw.isascii()
        else:
            ascii_json(it.value).encode()


@given(JSON)
def test_no_json_value_raises_anything_but_a_refusal(value: object) -> None:
    with pytest.raises(NotDelivery):
        read_delivery(parse_json(ascii_json(value).encode()), CONTRACTS, "testnet")


@given(st.binary(max_size=40), st.integers(0, 2000), st.integers(0, 40))
@example(b"\xed\xa0\x80", 20, 3)
@example(b"\\ud800", 20, 0)
def test_no_bytes_raise_anything_but_a_refusal(noise: bytes, at: int, length: int) -> None:
    good = ascii_json(GOOD["v1"]).encode()
    for body in (noise, good[:at] + noise + good[at + length :]):
        with suppress(NotJson, NotDelivery):
            read_delivery(parse_json(body), CONTRACTS, "testnet")


@given(st.integers(), st.integers(min_value=2**64, max_value=2**128 - 1))
def test_integers_of_any_size_are_exact(one: int, other: int) -> None:
    assert {"a": [one, other, -other]} == parse_json(ascii_json({"a": [one, other, -other]}).encode())


def test_fields_that_we_do_not_know_are_no_fault() -> None:
    event = having(stream_created(), memo=Utf8("x"))
    for form in FORMS:
        body = only(event, form=form)
        for holder, _ in places(body):
            if isinstance(holder, dict) and "event" not in holder and "stream-id" not in holder:
                holder["unknown_to_us"] = {"any": [None, 1.5, "\ud800"]}
        assert ["stream-created"] == [it.name for it in read(body) if isinstance(it, Readable)]
