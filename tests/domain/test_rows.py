"""Rows at hand, how they read on the wire, and what a reorg says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.reorg import Told, compensation, reverted
from shared.domain.rows import AnyRow, Stream, StreamSender, stream_aggregate
from shared.domain.views import maybe, remaining, stream_view, vesting
from shared.domain.workset import Rows
from tests.builders import (
    ALICE,
    AMOUNT,
    BOB,
    CONTRACTS,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
)
from tests.domain.places import at, fold, now_of, then, typed

ONE, TWO = Stream(1, sender=ALICE), Stream(2, sender=BOB)
RUNNING = Stream(1, amount=AMOUNT, start_block=100, end_block=200)


def loaded(*rows: AnyRow) -> Rows:
    """Rows as the database has them."""
    found = Rows()
    found.load(rows)
    return found


def test_a_row_is_stamped_with_the_event_that_wrote_it() -> None:
    rows = Rows()
    rows.put(ONE, at(7))
    assert replace(ONE, last_event_id=at(7).event_id, updated_block=7) == rows.get(Stream, 1)


def test_only_what_changed_is_written() -> None:
    rows = loaded(ONE, TWO)
    assert [] == list(rows.written())
    rows.put(replace(ONE, withdrawn=5), at(7))
    assert [1] == [it.key for it in rows.written()]
    assert [] == list(rows.gone())


def test_a_row_that_is_gone_does_not_come_back_when_the_database_is_read_again() -> None:
    """Until the transaction ends the database has it still; another aggregate's fold may look at it there."""
    rows = loaded(ONE, TWO)
    rows.forget(frozenset({"stream:1"}))
    rows.load([ONE, TWO])
    assert rows.get(Stream, 1) is None
    assert [1] == [it.key for it in rows.gone()]


def test_what_is_taken_back_to_genesis_is_gone_until_it_is_folded_again() -> None:
    rows = loaded(ONE, TWO)
    rows.forget(frozenset({"stream:1"}))
    assert rows.get(Stream, 1) is None
    assert [1] == [it.key for it in rows.gone()]
    rows.put(ONE, at(7))
    assert [] == list(rows.gone())
    assert [1] == [it.key for it in rows.written()]
    rows.forget(frozenset({"stream:1", "stream:2"}))
    assert [1, 2] == sorted(int(it.key) for it in rows.gone())


def test_a_row_that_was_never_stored_leaves_nothing_to_delete() -> None:
    rows = fold(stream_created(), stream_sender_updated())
    rows.forget(frozenset({"stream:1"}))
    assert [] == [*rows.written(), *rows.gone()]


def test_what_is_stored_is_written_and_deleted_once_and_may_come_back() -> None:
    rows = loaded(ONE, TWO)
    rows.put(replace(ONE, withdrawn=5), at(7))
    rows.forget(frozenset({"stream:2"}))
    rows.stored()
    assert [] == [*rows.written(), *rows.gone()]
    rows.put(replace(ONE, withdrawn=5), at(7))
    assert [] == list(rows.written()), "it is so already"
    rows.put(TWO, at(8))
    assert [2] == [it.key for it in rows.written()]


def test_loading_again_does_not_undo_what_was_written() -> None:
    rows = loaded(ONE)
    rows.put(replace(ONE, withdrawn=5), at(7))
    rows.load([ONE, TWO])
    written = rows.get(Stream, 1)
    assert written is not None
    assert 5 == written.withdrawn
    assert rows.get(Stream, 2) == TWO


def test_every_step_of_a_unit_can_be_looked_back_at() -> None:
    rows = loaded(ONE, TWO)
    with rows.unit() as unit:
        unit.step()
        rows.put(replace(ONE, withdrawn=5), at(7))
        unit.step()
        rows.put(replace(ONE, withdrawn=9), at(7))
        rows.forget(frozenset({"stream:2"}))
        seen = [unit.after(step) for step in (-1, 0, 1)]
        assert [0, 5, 9] == [it.withdrawn for view in seen if (it := view.get(Stream, 1))]
        assert [TWO, TWO, None] == [view.get(Stream, 2) for view in seen]
        assert [{1, 2}, {1, 2}, {1}] == [{it.stream_id for it in view.all(Stream)} for view in seen]


def test_within_a_scope_other_aggregates_are_not_written() -> None:
    rows = Rows()
    with rows.only(frozenset({stream_aggregate(1)})):
        rows.put(ONE, at(7))
        rows.put(TWO, at(7))
    assert [1] == [it.key for it in rows.written()]
    with pytest.raises(KeyError), rows.only(frozenset()):
        raise KeyError
    rows.put(TWO, at(7))
    assert [1, 2] == sorted(int(it.key) for it in rows.written())


def test_a_row_knows_its_aggregate() -> None:
    change = StreamSender("id", 7, ALICE, BOB, "direct", None, 1, "0x")
    assert ("stream:7", "stream:7", "id", 7) == (change.aggregate, Stream(7).aggregate, change.key, Stream(7).key)


# -- views


def test_a_stream_reads_as_the_spec_lists_it() -> None:
    assert stream_view(Stream(7)) == {
        "streamId": "7",
        "sender": None,
        "recipient": None,
        "amount": None,
        "startBlock": None,
        "endBlock": None,
        "withdrawn": "0",
        "totalPaid": "0",
        "remaining": None,
        "status": "active",
        "cancelledAtBlock": None,
        "unvestedReturned": None,
        "vestedPaid": None,
        "cancellationFee": None,
    }


def test_what_remains_is_nothing_once_a_stream_is_closed() -> None:
    for status, left in (("active", AMOUNT - 1), ("completed", 0), ("cancelled", 0)):
        assert left == remaining(replace(RUNNING, withdrawn=1, status=status))
    assert remaining(Stream(1)) is None
    assert "0" == stream_view(Stream(1, status="cancelled"))["remaining"]


def test_a_quantity_is_decimal_text_or_null() -> None:
    assert (None, "0", "340282366920938463463374607431768211455") == (maybe(None), maybe(0), maybe(2**128 - 1))


@pytest.mark.parametrize(
    ("tip", "vested", "phase"),
    [
        (0, "0", "scheduled"),
        (99, "0", "scheduled"),
        (100, "0", "streaming"),
        (101, "10000", "streaming"),
        (199, "990000", "streaming"),
        (200, "1000000", "ended"),
        (2**63, "1000000", "ended"),
    ],
)
def test_a_stream_vests_with_the_height_of_the_chain(tip: int, vested: str, phase: str) -> None:
    assert {"vested": vested, "withdrawable": vested, "phase": phase} == vesting(RUNNING, tip)


def test_what_vests_is_rounded_down_and_exact_at_any_size() -> None:
    thirds = replace(RUNNING, amount=100, start_block=0, end_block=3)
    assert ["0", "33", "66", "100"] == [vesting(thirds, tip)["vested"] for tip in range(4)]
    huge = replace(RUNNING, amount=2**128 - 1, start_block=0, end_block=2)
    assert str((2**128 - 1) // 2) == vesting(huge, 1)["vested"]


def test_what_can_be_drawn_is_what_vested_and_was_not_drawn_yet() -> None:
    drawn = replace(RUNNING, withdrawn=300_000)
    assert ["0", "200000", "700000"] == [vesting(drawn, tip)["withdrawable"] for tip in (120, 150, 200)]
    for status in ("completed", "cancelled"):
        assert "0" == vesting(replace(drawn, status=status), 150)["withdrawable"]
    cancelled = replace(drawn, status="cancelled", vested_paid=100_000)
    assert ["400000"] * 3 == [vesting(cancelled, tip)["vested"] for tip in (0, 150, 500)]


def test_a_stub_has_not_vested_anything_that_is_known() -> None:
    nothing = {"vested": None, "withdrawable": None, "phase": None}
    for stub in (replace(RUNNING, amount=None), replace(RUNNING, start_block=None), replace(RUNNING, end_block=None)):
        assert nothing == vesting(stub, 150)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 2**128 - 1), st.integers(0, 400))
def test_a_stream_of_any_span_vests_between_nothing_and_all(start: int, span: int, amount: int, tip: int) -> None:
    row = replace(RUNNING, start_block=start, end_block=start + span, amount=amount)
    vested = vesting(row, tip)["vested"]
    later = vesting(row, tip + 1)["vested"]
    assert isinstance(vested, str)
    assert isinstance(later, str)
    assert 0 <= int(vested) <= int(later) <= amount


# -- what a rollback says

TOLD = (
    Told("stream:1", "stream:updated", None),
    Told("stream:1", "stream:withdrawal", None),
    Told(f"user:{BOB}", "stream:withdrawal", "recipient"),
)


def test_a_reverted_event_is_said_once_to_each_room_that_heard_of_it() -> None:
    rows = fold(stream_created())
    said = list(reverted(typed(stream_withdrawal()), at(8), TOLD, now_of(rows)))
    assert [("stream:1", None), (f"user:{BOB}", "recipient")] == [(it.room, it.role) for it in said]
    assert {("chain:reverted", "reverted")} == {(it.name, it.type) for it in said}
    row = rows.get(Stream, 1)
    assert row is not None
    assert said[0].data == {
        "event": "stream-withdrawal",
        "contract": CONTRACTS.core,
        "names": ["stream:updated", "stream:withdrawal"],
        "streamId": "1",
        "proposalId": None,
        "state": {"stream": stream_view(row), "listing": None},
    }
    assert said[1].data == {**said[0].data, "names": ["stream:withdrawal"]}


def test_the_state_of_a_stream_that_is_no_more_is_null() -> None:
    (said,) = reverted(typed(stream_created()), at(7), TOLD[:1], now_of(Rows()))
    assert {"stream": None, "listing": None} == said.data["state"]


def test_an_event_that_nobody_heard_of_is_reverted_in_silence() -> None:
    assert [] == list(reverted(typed(stream_created()), at(7), (), now_of(Rows())))


def test_a_compensation_speaks_of_what_differs_by_stream_id() -> None:
    prints = [stream_created(number) for number in (2, 10, 1, 3)]
    before, after = fold(*prints, stream_cancelled(10), stream_withdrawal(2)), fold(*prints[1:])
    names = ["stream:10", "stream:2", "stream:1", "stream:3"]
    said = list(compensation(names, now_of(before), now_of(after)))
    assert [("stream:2", "stream:2"), ("stream:10", "stream:10")] == [(name, it.room) for name, it in said]
    assert {("stream:updated", "reverted", None)} == {(it.name, it.type, it.role) for _, it in said}
    assert {"streamId": "2", "status": "reverted"} == said[0][1].data
    row = after.get(Stream, 10)
    assert row is not None
    assert stream_view(row) == said[1][1].data


def test_what_a_client_cannot_see_needs_no_compensation() -> None:
    """A rollback and the same event in another block: the view is the same, only the stamp differs."""
    before, after = fold(stream_created()), then(Rows(), stream_created(), at(9))
    assert [] == list(compensation(["stream:1"], now_of(before), now_of(after)))
