"""What each event of the core contract makes of its stream, and in which words it is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.chainhook import Print
from shared.domain.clarity import U128_MAX
from shared.domain.entry import Offset
from shared.domain.rows import Stream, StreamSender
from shared.domain.views import stream_view
from shared.domain.workset import Rows
from shared.wire import Cause, payload
from tests.builders import (
    ALICE,
    AMOUNT,
    BOB,
    CAROL,
    DAVE,
    GENESIS_S,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
)
from tests.domain.places import at, fold, last_words, then, typed


def stream(rows: Rows, stream_id: int = 1) -> Stream:
    found = rows.get(Stream, stream_id)
    assert found is not None
    return found


def test_a_created_stream_is_as_its_print_says() -> None:
    assert stream(fold(stream_created())) == Stream(
        stream_id=1,
        sender=ALICE,
        original_sender=ALICE,
        recipient=BOB,
        amount=AMOUNT,
        start_block=10,
        end_block=110,
        withdrawn=0,
        withdrawal_count=0,
        last_withdrawal_block=None,
        status="active",
        complete=True,
        created_block=7,
        created_at=GENESIS_S + 70,
        created_tx=at(7).tx_hash,
        last_event_id=at(7).event_id,
        updated_block=7,
    )


def test_withdrawals_add_up_and_the_last_one_completes() -> None:
    part = fold(stream_created(), stream_withdrawal(amount=400_000), stream_withdrawal(amount=599_999))
    row = stream(part)
    assert (999_999, 2, 9, "active", None) == (
        row.withdrawn,
        row.withdrawal_count,
        row.last_withdrawal_block,
        row.status,
        row.completed_at_block,
    )
    then(part, stream_withdrawal(amount=1), at(20))
    row = stream(part)
    assert (AMOUNT, 3, "completed", 20) == (row.withdrawn, row.withdrawal_count, row.status, row.completed_at_block)


def test_a_cancelled_stream_keeps_what_was_withdrawn_and_adds_up() -> None:
    """The contract's own map then says withdrawn = amount; ours stays the sum of the withdrawals."""
    row = stream(fold(stream_created(), stream_withdrawal(), stream_cancelled()))
    assert ("cancelled", ALICE, 60, AMOUNT // 4) == (
        row.status,
        row.cancelled_by,
        row.cancelled_at_block,
        row.withdrawn,
    )
    parts = (row.withdrawn, row.vested_paid, row.unvested_returned, row.cancellation_fee)
    assert row.amount == sum(it for it in parts if it is not None)


def test_cancelled_stands_over_completed_and_completed_never_over_cancelled() -> None:
    all_of_it = stream_withdrawal(amount=AMOUNT)
    over = stream(fold(stream_created(), all_of_it, stream_cancelled()))
    assert ("cancelled", 8) == (over.status, over.completed_at_block)
    assert "cancelled" == stream(fold(stream_created(), stream_cancelled(), all_of_it)).status


def test_a_stream_goes_from_payer_to_payer_and_remembers_the_first() -> None:
    rows = fold(stream_created(), stream_sender_updated(), stream_sender_updated(old=CAROL, new=DAVE))
    assert (DAVE, ALICE) == (stream(rows).sender, stream(rows).original_sender)
    changes = [it for it in rows.written() if isinstance(it, StreamSender)]
    assert [(ALICE, CAROL, 8), (CAROL, DAVE, 9)] == [(it.old_sender, it.new_sender, it.block) for it in changes]
    first = changes[0]
    assert first == StreamSender(
        event_id=at(8).event_id,
        stream_id=1,
        old_sender=ALICE,
        new_sender=CAROL,
        transfer_type="direct",
        sale_id=None,
        block=8,
        tx_hash=at(8).tx_hash,
        last_event_id=at(8).event_id,
        updated_block=8,
    )


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (stream_withdrawal(amount=5), {"recipient": BOB, "withdrawn": 5, "withdrawal_count": 1}),
        (
            stream_cancelled(),
            {
                "sender": ALICE,
                "cancelled_by": ALICE,
                "status": "cancelled",
                "cancelled_at_block": 60,
                "vested_paid": 250_000,
            },
        ),
        (stream_sender_updated(), {"sender": CAROL}),
    ],
    ids=["withdrawal", "cancelled", "sender-updated"],
)
def test_without_its_creation_a_stream_is_a_stub_of_what_the_print_says(told: Print, known: dict[str, Any]) -> None:
    row = stream(fold(told))
    assert known == {name: getattr(row, name) for name in known}
    unknown = {"original_sender", "amount", "start_block", "end_block", "created_block", "created_at", "created_tx"}
    assert {None} == {getattr(row, name) for name in unknown}
    assert row.complete is False


def test_a_creation_completes_the_stub_and_takes_nothing_away() -> None:
    row = stream(fold(stream_sender_updated(), stream_withdrawal(amount=AMOUNT), stream_created()))
    assert (CAROL, ALICE, BOB, AMOUNT, True) == (
        row.sender,
        row.original_sender,
        row.recipient,
        row.amount,
        row.complete,
    )
    assert ("completed", 9) == (row.status, row.completed_at_block)


def test_streams_do_not_touch_each_other() -> None:
    alone = fold(stream_created(1))
    both = fold(stream_created(1), stream_created(2), stream_cancelled(2))
    assert stream(alone) == stream(both)


def test_amounts_of_128_bits_stay_exact() -> None:
    row = stream(fold(stream_created(amount=U128_MAX), stream_withdrawal(amount=U128_MAX - 1)))
    view = stream_view(row)
    assert (str(U128_MAX), str(U128_MAX - 1), "1") == (view["amount"], view["withdrawn"], view["remaining"])


# -- who hears of it, in order; the words themselves are held by tests/golden/streams


def heard(*told: Print) -> list[tuple[str, str, str, str | None]]:
    return [(it.room, it.name, it.type, it.role) for it in last_words(*told)]


def test_who_hears_of_a_creation() -> None:
    assert heard(stream_created()) == [
        (f"user:{ALICE}", "stream:created", "stream-created", "sender"),
        (f"user:{BOB}", "stream:created", "stream-created", "recipient"),
        ("stream:1", "stream:updated", "created", None),
    ]


def test_who_hears_of_a_withdrawal() -> None:
    assert heard(stream_created(), stream_withdrawal()) == [
        ("stream:1", "stream:updated", "withdrawal", None),
        ("stream:1", "stream:withdrawal", "stream-withdrawal", None),
        (f"user:{ALICE}", "stream:withdrawal", "stream-withdrawal", "sender"),
        (f"user:{BOB}", "stream:withdrawal", "stream-withdrawal", "recipient"),
    ]


def test_who_hears_of_a_cancellation() -> None:
    assert heard(stream_created(), stream_cancelled()) == [
        ("stream:1", "stream:updated", "cancelled", None),
        ("stream:1", "stream:cancelled", "stream-cancelled", None),
        (f"user:{ALICE}", "stream:cancelled", "stream-cancelled", "sender"),
        (f"user:{BOB}", "stream:cancelled", "stream-cancelled", "recipient"),
    ]


def test_who_hears_of_another_payer() -> None:
    assert heard(stream_created(), stream_sender_updated()) == [
        ("stream:1", "stream:updated", "sender-updated", None),
        ("stream:1", "stream:sender-updated", "stream-sender-updated", None),
        (f"user:{ALICE}", "stream:sender-updated", "stream-sender-updated", "old-sender"),
        (f"user:{CAROL}", "stream:sender-updated", "stream-sender-updated", "new-sender"),
        (f"user:{BOB}", "stream:sender-updated", "stream-sender-updated", "recipient"),
    ]


def test_after_a_change_of_payer_the_new_one_hears() -> None:
    assert [BOB, CAROL] == sorted(
        (
            it.room.removeprefix("user:")
            for it in last_words(stream_created(), stream_sender_updated(), stream_withdrawal())
            if it.role
        ),
        key=[BOB, CAROL].index,
    )


@pytest.mark.parametrize("told", [stream_withdrawal(), stream_cancelled(), stream_sender_updated()])
def test_a_party_that_is_not_known_has_no_room(told: Print) -> None:
    spoken = last_words(told)
    assert all("None" not in it.room for it in spoken)
    missing = "sender" if told == stream_withdrawal() else "recipient"
    assert missing not in {it.role for it in spoken}
    assert all(it.data[missing] is None for it in spoken if missing in it.data)


# -- laws

UINTS = st.integers(0, U128_MAX) | st.sampled_from([0, 1, 2**53 + 1, 2**63, 2**64, U128_MAX])
PARTIES = st.sampled_from([ALICE, BOB, CAROL, DAVE])
PRINTS = st.lists(
    st.one_of(
        st.builds(stream_created, st.just(1), sender=PARTIES, recipient=PARTIES, amount=UINTS, start=UINTS, end=UINTS),
        st.builds(stream_withdrawal, st.just(1), UINTS, recipient=PARTIES),
        st.builds(stream_cancelled, st.just(1), sender=PARTIES, returned=UINTS, fee=UINTS, paid=UINTS, at=UINTS),
        st.builds(stream_sender_updated, st.just(1), old=PARTIES, new=PARTIES),
    ),
    min_size=1,
    max_size=6,
)
TEXTS = {"sender", "recipient", "status", "oldSender", "newSender", "transferType", "txHash", "blockHash"}


@given(PRINTS)
def test_every_quantity_on_the_wire_is_decimal_text(told: list[Print]) -> None:
    for emission in last_words(*told):
        encoded = payload(emission, Cause(at(7), "x", "apply"), Offset(1, 0))
        for name, value in emission.data.items():
            if name == "completed":
                assert isinstance(value, bool)
            elif name not in TEXTS:
                assert value is None or (isinstance(value, str) and re.fullmatch(r"-?(0|[1-9]\d{0,39})", value)), name
        numbers = re.findall(rb'"(\w+)":-?\d', encoded)
        assert {b"blockHeight", b"timestamp", b"v", b"txIndex", b"eventIndex"} == set(numbers)


@given(PRINTS)
def test_a_fold_is_total_and_looks_at_nothing_but_rows_and_event(told: list[Print]) -> None:
    assert list(fold(*told).written()) == list(fold(*told).written())
    split = fold(*told[:1])
    again = Rows()
    again.load(split.written())
    for number, it in enumerate(told[1:], 1):
        then(again, it, at(7 + number))
    assert stream(fold(*told)) == stream(again)
    row = stream(again)
    assert row.withdrawal_count == sum(typed(it).name == "stream-withdrawal" for it in told)
    assert row.status in {"active", "completed", "cancelled"}
    assert row.complete is any(typed(it).name == "stream-created" for it in told)
