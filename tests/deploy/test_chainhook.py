"""The builder: four renderings, one meaning; and the habits of genuine bodies that break naive receivers."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local import chainhook
from deploy.local.chainhook import Block, FtTransfer, NftBurn, NftMint, NftTransfer, Print, Tx, fake_hash
from ingest.delivery import Delivery, Readable, parse_json, read_delivery
from shared.domain import clarity
from tests.builders import ALICE, BOB, CONTRACTS

uints = st.integers(0, clarity.U128_MAX)
ids = st.integers(0, 2**63 - 1)
parties = st.sampled_from([ALICE, BOB, CONTRACTS.core])
values = st.one_of(
    uints.map(clarity.UInt),
    st.booleans().map(clarity.Bool),
    parties.map(clarity.Principal),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9).map(clarity.Ascii),
    st.just(clarity.Nothing()),
    uints.map(lambda number: clarity.Some(clarity.UInt(number))),
)
prints = st.builds(
    lambda contract, name, fields: Print(contract, clarity.Tuple({"event": clarity.Ascii(name), **fields})),
    st.sampled_from([CONTRACTS.core, CONTRACTS.treasury]),
    st.sampled_from(["stream-created", "never-heard-of"]),
    st.dictionaries(st.sampled_from(["amount", "stream-id", "a"]), values),
)
assets = st.sampled_from([CONTRACTS.obligation_asset, CONTRACTS.recipient_asset])
events = st.one_of(
    prints,
    st.builds(NftMint, assets, ids, parties),
    st.builds(NftBurn, assets, ids, parties),
    st.builds(NftTransfer, assets, ids, parties, parties),
    st.builds(FtTransfer, uints, parties, parties),
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    height = draw(st.integers(1, 2**40))
    places = sorted(draw(st.sets(st.integers(0, 9), max_size=3)))
    txs = tuple(
        Tx(fake_hash(height, place), ALICE, tuple(draw(st.lists(events, max_size=4))), place, draw(st.booleans()))
        for place in places
    )
    return Block(height, fake_hash("block", height), fake_hash("parent"), 1_760_000_000 + height % 10**6, txs)


deliveries = st.tuples(
    st.lists(blocks(), max_size=2), st.lists(blocks(), max_size=2), st.randoms(use_true_random=False)
)


def read(body: chainhook.Body) -> Delivery:
    return read_delivery(parse_json(chainhook.encode(body)), CONTRACTS, "testnet")


def meaning(delivery: Delivery) -> list[object]:
    """All that must not depend on who tells it: everything but the indexes."""
    told: list[object] = []
    for block in (*delivery.rollback, *delivery.apply):
        told.append((block.ref.height, block.ref.hash, block.ref.time))
        for event in block.events:
            assert isinstance(event, Readable), event
            told.append((event.place.event_id, event.place.tx_index, event.kind, event.name, event.value))
    return told


@given(deliveries)
def test_all_renderings_say_the_same(made: tuple[list[Block], list[Block], Random]) -> None:
    apply, rollback, rng = made
    first, *others = [meaning(read(render(apply, rollback, rng))) for render in chainhook.RENDERINGS]
    assert [first] * 3 == others


@given(deliveries)
def test_a_decoded_value_is_what_its_hex_decodes_to(made: tuple[list[Block], list[Block], Random]) -> None:
    apply, rollback, rng = made
    seed = rng.random()
    decoded = list(_v1_events(chainhook.v1_decoded(apply, rollback, Random(seed))))
    raw = list(_v1_events(chainhook.v1_raw(apply, rollback, Random(seed))))
    assert [event["position"] for event in decoded] == [event["position"] for event in raw]
    for plain, coded in zip(decoded, raw, strict=True):
        if "raw_value" in coded["data"]:
            value = clarity.plain(clarity.from_hex(coded["data"]["raw_value"]))
            key = "value" if plain["type"] == "SmartContractEvent" else "asset_identifier"
            assert value == plain["data"][key]


@given(blocks(), st.randoms(use_true_random=False))
def test_v1_counts_events_over_the_whole_block_and_lists_them_in_any_order(block: Block, rng: Random) -> None:
    body: Any = chainhook.v1_decoded([block], [], rng)
    seen: list[int] = []
    for tx, told in zip(block.txs, body["apply"][0]["transactions"], strict=True):
        listed = [event["position"]["index"] for event in told["metadata"]["receipt"]["events"]]
        seen += sorted(listed)
        assert len(tx.events) == len(listed)
        assert all(index >= chainhook.UNSEEN_EVENTS * (tx.index - block.txs.index(tx)) for index in listed)
    assert sorted(set(seen)) == seen


def test_v1_shuffles() -> None:
    tx = Tx(fake_hash(1), ALICE, tuple(NftMint(CONTRACTS.recipient_asset, number, BOB) for number in range(8)))
    block = Block(1, fake_hash(2), fake_hash(3), 4, (tx,))
    orders = {
        tuple(event["position"]["index"] for event in _v1_events(chainhook.v1_raw([block], [], Random(seed))))
        for seed in range(4)
    }
    assert len(orders) > 1


@given(blocks())
def test_v2_numbers_operations_in_each_transaction_and_pairs_transfers(block: Block) -> None:
    body: Any = chainhook.v2([block], [], Random(0))
    for tx, told in zip(block.txs, body["event"]["apply"][0]["transactions"], strict=True):
        operations = told["operations"]
        assert list(range(len(operations))) == [each["operation_identifier"]["index"] for each in operations]
        assert ["fee", "contract_call"] == [each["type"] for each in operations[:2]]
        transfers = [int(each["amount"]["value"]) for each in operations if each["type"] == "token_transfer"]
        taken, given_ = transfers[::2], transfers[1::2]
        assert [-amount for amount in taken] == given_
        assert 2 * sum(isinstance(event, (NftTransfer, FtTransfer)) for event in tx.events) == len(transfers)
        assert ("success" == told["metadata"]["status"]) is tx.success


def test_integers_stay_exact() -> None:
    burn = NftBurn(CONTRACTS.obligation_asset, clarity.U128_MAX, ALICE)
    block = Block(1, fake_hash(2), fake_hash(3), 4, (Tx(fake_hash(1), ALICE, (burn,)),))
    raw = chainhook.encode(chainhook.v1_decoded([block], [], Random(0)))
    assert b'"asset_identifier":340282366920938463463374607431768211455' in raw
    assert json.loads(raw)["apply"][0]["block_identifier"]["index"] == 1


@pytest.mark.parametrize("render", chainhook.RENDERINGS)
def test_a_failed_transaction_still_lists_what_did_not_happen(render: chainhook.Render) -> None:
    minted = NftMint(CONTRACTS.recipient_asset, 1, BOB)
    block = Block(1, fake_hash(2), fake_hash(3), 4, (Tx(fake_hash(1), ALICE, (minted,), success=False),))
    body = render([block], [], Random(0))
    assert CONTRACTS.recipient_asset.encode() in chainhook.encode(body)
    assert [()] == [found.events for found in read(body).apply]


def _v1_events(body: Any) -> Any:
    for block in (*body["apply"], *body["rollback"]):
        for tx in block["transactions"]:
            yield from tx["metadata"]["receipt"]["events"]
