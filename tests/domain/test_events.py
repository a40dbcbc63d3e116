"""From a decoded print to a typed event: every field is there, of its type, and fits our tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.chainhook import Print
from shared.domain import clarity
from shared.domain.catalogue import CATALOGUE, read_event
from shared.domain.catalogue.core import StreamCancelled, StreamCreated, StreamSenderUpdated, StreamWithdrawal
from shared.domain.chain import INT64_MAX, ROLES, BlockRef, Place, Position, event_id
from shared.domain.clarity import U128_MAX
from shared.domain.event import Event, Misfit
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
)

PRINTS = {
    "stream-created": stream_created(7),
    "stream-withdrawal": stream_withdrawal(7),
    "stream-cancelled": stream_cancelled(7),
    "stream-sender-updated": stream_sender_updated(7),
}
FIELDS = {
    "stream-created": {
        "stream-id": "id",
        "sender": "principal",
        "recipient": "principal",
        "amount": "uint",
        "start-block": "uint",
        "end-block": "uint",
    },
    "stream-withdrawal": {"stream-id": "id", "recipient": "principal", "amount": "uint"},
    "stream-cancelled": {
        "stream-id": "id",
        "sender": "principal",
        "unvested-returned": "uint",
        "cancellation-fee": "uint",
        "vested-paid": "uint",
        "cancelled-at-block": "uint",
    },
    "stream-sender-updated": {
        "stream-id": "id",
        "old-sender": "principal",
        "new-sender": "principal",
        "transfer-type": "text",
    },
}
GOOD: dict[str, list[Any]] = {
    "id": [0, 1, INT64_MAX],
    "uint": [0, INT64_MAX + 1, U128_MAX],
    "principal": [ALICE, CONTRACTS.core],
    "text": ["", "direct", "authorized-contract"],
}
NEITHER: list[Any] = [None, [], {}, ["1"], {"x": 1}, 1.0]
BAD: dict[str, list[Any]] = {
    "id": [*NEITHER, True, False, -1, "7", "", INT64_MAX + 1, U128_MAX, U128_MAX + 1],
    "uint": [*NEITHER, True, False, -1, "7", "", U128_MAX + 1],
    "principal": [*NEITHER, 7, True, "", ALICE.lower(), ALICE[:-1], f"{ALICE}.", f"'{ALICE}", f"{ALICE}\0"],
    "text": [*NEITHER, 7, True, "x" * 20, "caf\u00e9"],
}
CASES = [(name, field, kind) for name, fields in FIELDS.items() for field, kind in fields.items()]


def printed(name: str) -> dict[str, Any]:
    """A good print of this event, decoded."""
    found = clarity.plain(PRINTS[name].value)
    assert isinstance(found, dict)
    return found


def read(name: str, value: Any) -> Event:
    event = read_event("core", name, value)
    assert event is not None
    return event


def test_a_print_becomes_its_event() -> None:
    assert StreamCreated(7, ALICE, BOB, 1_000_000, 10, 110) == read("stream-created", printed("stream-created"))
    assert StreamWithdrawal(7, BOB, 250_000) == read("stream-withdrawal", printed("stream-withdrawal"))
    cancelled = StreamCancelled(
        stream_id=7,
        sender=ALICE,
        unvested_returned=495_000,
        cancellation_fee=5_000,
        vested_paid=250_000,
        cancelled_at_block=60,
    )
    assert cancelled == read("stream-cancelled", printed("stream-cancelled"))
    changed = StreamSenderUpdated(7, ALICE, CAROL, "direct")
    assert changed == read("stream-sender-updated", printed("stream-sender-updated"))


@pytest.mark.parametrize(("name", "field", "kind"), CASES)
def test_a_missing_field_is_named(name: str, field: str, kind: str) -> None:
    value = printed(name)
    del value[field]
    with pytest.raises(Misfit, match=f"{name} without {field}"):
        read(name, value)


@pytest.mark.parametrize(("name", "field", "kind"), CASES)
def test_a_field_of_another_type_is_named(name: str, field: str, kind: str) -> None:
    for bad in BAD[kind]:
        with pytest.raises(Misfit) as misfit:
            read(name, {**printed(name), field: bad})
        assert f"{field} of {name}" in str(misfit.value), repr(bad)


@pytest.mark.parametrize(("name", "field", "kind"), CASES)
def test_a_field_may_be_anything_of_its_type(name: str, field: str, kind: str) -> None:
    for good in GOOD[kind]:
        event = read(name, {**printed(name), field: good})
        assert good == getattr(event, field.replace("-", "_"))
        assert type(good) is type(getattr(event, field.replace("-", "_")))


@pytest.mark.parametrize("name", FIELDS)
def test_further_fields_are_no_fault(name: str) -> None:
    assert read(name, printed(name)) == read(name, {**printed(name), "memo": "\u2603", "__class__": 7})


@pytest.mark.parametrize("name", FIELDS)
def test_only_a_tuple_can_be_an_event(name: str) -> None:
    others: list[Any] = [None, True, 7, "x", [], [printed(name)]]
    for value in others:
        with pytest.raises(Misfit):
            read(name, value)


@pytest.mark.parametrize("name", FIELDS)
@given(st.data())
def test_no_tuple_raises_anything_but_a_misfit(name: str, data: st.DataObject) -> None:
    any_value = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
    value = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[name], any_value)))
    try:
        read(name, value)
    except Misfit as misfit:
        assert name in str(misfit)  # noqa: PT017 - most raise, some do not


def test_the_catalogue_knows_the_core_events_by_their_contract_and_name() -> None:
    assert set(FIELDS) == {event.name for event in CATALOGUE if event.role == "core"}
    for name in FIELDS:
        assert [name] == [it.name for it in [read(name, printed(name))]]
        for role in {*ROLES, ""} - {"core"}:
            assert read_event(role, name, printed(name)) is None
    for unknown in ("", "stream-create", "stream-created ", "Stream-Created", "market-nft-listed"):
        assert read_event("core", unknown, {}) is None


@pytest.mark.parametrize("told", PRINTS.values(), ids=list(PRINTS))
def test_an_event_of_a_stream_folds_into_that_stream_alone(told: Print) -> None:
    value = clarity.plain(told.value)
    assert isinstance(value, dict)
    assert {"stream:7"} == read(str(value["event"]), value).aggregates


# -- identity


def test_an_event_has_the_identity_that_everybody_computes() -> None:
    """The vector of the spec."""
    source = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7.bitpay-core-v5"
    found = event_id("0x" + "1" * 64, "0x" + "2" * 64, source, 0)
    assert "70b8c48de9caeeb9254e58b5cc4360ec" == found
    place = Place(BlockRef(7, "0x" + "1" * 64, 9), "0x" + "2" * 64, 3, None, source, 0, 5)
    assert found == place.event_id
    assert Position(7, 3, 5) == place.position
    assert source == place.contract


def test_nothing_but_block_transaction_source_and_rank_identifies() -> None:
    base = Place(BlockRef(7, "0xb", 9), "0xt", 3, None, "S.c", 0, 5)
    same = Place(BlockRef(8, "0xb", 10), "0xt", 4, ALICE, "S.c", 0, 6)
    assert base.event_id == same.event_id
    others = [("0xc", "0xt", "S.c", 0), ("0xb", "0xu", "S.c", 0), ("0xb", "0xt", "S.d", 0), ("0xb", "0xt", "S.c", 1)]
    assert 5 == len({base.event_id, *(event_id(*it) for it in others)})


def test_the_contract_of_an_asset_event_is_that_of_its_class() -> None:
    place = Place(BlockRef(7, "0xb", 9), "0xt", 3, None, f"{CONTRACTS.recipient_asset}/mint", 0, 5)
    assert CONTRACTS.recipient == place.contract
    assert "recipient" == CONTRACTS.role_of(place.contract)


def test_a_contract_is_ours_by_its_whole_id() -> None:
    assert ["core", "marketplace", "treasury", "access", "obligation", "recipient"] == list(ROLES)
    for role in ROLES:
        contract = getattr(CONTRACTS, role)
        assert role == CONTRACTS.role_of(contract)
        for other in (contract + "0", contract[:-1], contract.upper(), contract.partition(".")[2], "", f" {contract}"):
            assert CONTRACTS.role_of(other) is None
    assert CONTRACTS.role_of(CONTRACTS.recipient_asset) is None
