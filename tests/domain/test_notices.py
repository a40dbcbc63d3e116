"""Notices as values: amounts in words, who hears once, and the row on the wire."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext

from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.clarity import U128_MAX
from shared.domain.notice import PRIORITIES, Link, Notice, Notification, notification_view, one_each, sbtc, short
from tests.builders import ALICE, BOB, CONTRACTS

NOTICE = Notice(ALICE, "stream_received", "high", "A stream for you", "…", {"streamId": "1"}, Link("/x", "View"))


@given(st.integers(0, U128_MAX))
@example(0)
@example(1)
@example(10**8)
@example(U128_MAX)
def test_an_amount_in_words_is_exact_and_has_eight_decimals(sats: int) -> None:
    number, unit = sbtc(sats).split(" ")
    whole, _, decimals = number.partition(".")
    assert ("sBTC", 8, str(int(whole))) == (unit, len(decimals), whole)
    with localcontext() as exact:
        exact.prec = 50
        assert sats == Decimal(number) * 10**8


def test_an_address_in_words_keeps_its_ends_and_the_contract_s_name() -> None:
    assert f"{ALICE[:5]}…{ALICE[-5:]}" == short(ALICE)
    assert short(CONTRACTS.core).endswith("….bitpay-core-v5"[1:])


def test_the_id_is_of_the_event_the_address_and_the_type() -> None:
    expected = hashlib.sha256(f"{'e' * 32}:{ALICE}:stream_received".encode()).hexdigest()[:32]
    assert expected == NOTICE.id("e" * 32)
    others = [replace(NOTICE, address=BOB), replace(NOTICE, type="stream_created")]
    assert 4 == len({expected, NOTICE.id("f" * 32), *(it.id("e" * 32) for it in others)})


@given(st.lists(st.builds(replace, st.just(NOTICE), address=st.sampled_from([ALICE, BOB]))), st.data())
def test_each_hears_once_of_each_type_and_as_pressingly_as_can_be(notices: list[Notice], data: st.DataObject) -> None:
    pressed = [replace(it, priority=data.draw(st.sampled_from(PRIORITIES))) for it in notices]
    found = one_each(pressed)
    assert list(dict.fromkeys(it.address for it in pressed)) == [it.address for it in found]
    for it in found:
        all_of_it = [PRIORITIES.index(other.priority) for other in pressed if other.address == it.address]
        assert max(all_of_it) == PRIORITIES.index(it.priority)


def test_a_notification_on_the_wire() -> None:
    at = datetime(2026, 2, 2, 2, 40, 0, 1_500, tzinfo=UTC)
    row = Notification(
        "1" * 32, ALICE, "nft_listed", "marketplace", "normal", "read", "t", "m", {"price": "5"}, "/x", "View", "e", at
    )
    assert {
        "id": "1" * 32,
        "address": ALICE,
        "type": "nft_listed",
        "category": "marketplace",
        "priority": "normal",
        "status": "read",
        "title": "t",
        "message": "m",
        "data": {"price": "5"},
        "actionUrl": "/x",
        "actionText": "View",
        "eventId": "e",
        "createdAt": "2026-02-02T02:40:00.001Z",
    } == notification_view(row)
