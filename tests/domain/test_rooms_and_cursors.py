"""Names of rooms, and how far one was told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.chain import INT64_MAX
from shared.domain.entry import Cursor, Offset
from shared.domain.rooms import ACCESS_CONTROL, GLOBAL, MARKETPLACE, TREASURY, parse_stream_id, stream_room, user_room
from tests.builders import ALICE


def test_rooms_have_the_names_of_the_spec() -> None:
    assert ("marketplace", "treasury", "access-control", "global") == (MARKETPLACE, TREASURY, ACCESS_CONTROL, GLOBAL)
    assert (f"user:{ALICE}", "stream:42", "stream:0") == (user_room(ALICE), stream_room(42), stream_room(0))


@given(st.integers(0, INT64_MAX))
def test_a_stream_id_may_be_decimal_text_or_an_integer(stream_id: int) -> None:
    assert stream_id == parse_stream_id(stream_id) == parse_stream_id(str(stream_id))


@pytest.mark.parametrize(
    "given_id",
    [
        *(
            "",
            " ",
            "01",
            "00",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1\n",
            "1.0",
            "1e3",
            "0x1",
            "1_0",
            "u1",
            "\u0661",
            "\u00b9",
            "1\0",
        ),
        *(str(INT64_MAX + 1), "9" * 19, "9" * 400, INT64_MAX + 1, -1, 1.0, True, False, None, [], {}, ["1"], b"1"),
    ],
    ids=repr,
)
def test_anything_else_is_no_stream_id(given_id: object) -> None:
    assert parse_stream_id(given_id) is None


@given(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), st.integers(0, 10**19 - 1), st.integers(0, 10**9 - 1))
def test_a_cursor_is_read_as_it_is_written(epoch: str, seq: int, n: int) -> None:
    cursor = Cursor(epoch, Offset(seq, n))
    assert f"{epoch}.{seq}-{n}" == str(cursor)
    assert cursor == Cursor.parse(str(cursor))


@pytest.mark.parametrize(
    "given_cursor",
    [
        *("", "5ef1db07", "5ef1db07.", "5ef1db07.1", "5ef1db07.1-", "5ef1db07.-0", ".1-0", "1-0"),
        *("5EF1DB07.1-0", "5ef1db0.1-0", "5ef1db077.1-0", "5ef1db0g.1-0", "5ef1db07-1-0", "5ef1db07.1.0"),
        *(
            "5ef1db07.-1-0",
            "5ef1db07.1--1",
            "5ef1db07.1-0 ",
            " 5ef1db07.1-0",
            "5ef1db07.1-0\n",
            "5ef1db07.1-0-0",
            "5ef1db07.\u0661-0",
        ),
        *(
            "5ef1db07." + "1" * 20 + "-0",
            "5ef1db07.1-" + "1" * 10,
            "stream:updated",
            None,
            7,
            True,
            b"5ef1db07.1-0",
            [],
        ),
    ],
    ids=repr,
)
def test_anything_else_is_no_cursor(given_cursor: object) -> None:
    assert Cursor.parse(given_cursor) is None


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    assert Cursor.parse(text) is None or re.fullmatch(r"[0-9a-f]{8}\.[0-9]+-[0-9]+", text)


def test_offsets_compare_as_numbers() -> None:
    assert Offset(9, 10) < Offset(10, 0) < Offset(10, 2) < Offset(10, 10)
    assert "10-2" == str(Offset(10, 2))
