"""The newest entries, and no hole among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fanout.ring import ENTRY_BYTES, Ring
from shared.domain.entry import Offset
from shared.feed import Framed

Entries = list[tuple[int, list[Framed]]]

said = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=60)), min_size=1, max_size=3)


def offsets(entries: Entries) -> list[tuple[Offset, Framed]]:
    return [(Offset(seq, n), framed) for seq, it in entries for n, framed in enumerate(it)]


def bytes_of(said: list[Framed]) -> int:
    return sum(len(frame) for _, frame in said)


def extend(ring: Ring, first: int, added: list[list[Framed]]) -> None:
    ring.extend(first, added, [bytes_of(it) for it in added])


@given(st.integers(1, 9), st.integers(1, 3_000), st.integers(1, 50), st.lists(st.lists(said, max_size=25)), st.data())
def test_it_holds_the_newest_within_its_bounds_and_reads_on_from_any_of_them(
    entries: int, size: int, first: int, batches: list[list[list[Framed]]], data: st.DataObject
) -> None:
    ring, added = Ring(entries, size), [it for batch in batches for it in batch]
    all_of_them, seq = list(enumerate(added, first)), first
    for batch in batches:
        extend(ring, seq, batch)
        seq += len(batch)

    kept = all_of_them[len(all_of_them) - len(ring) :]
    assert len(ring) <= entries
    assert len(ring) <= 1 or sum(ENTRY_BYTES + bytes_of(it) for _, it in kept) <= size
    assert (len(ring) > 0) == bool(added)
    if not kept:
        return
    seq, it = data.draw(st.sampled_from(kept))
    since = Offset(seq, data.draw(st.integers(0, len(it) - 1)))
    assert ring.holds(since)
    assert [pair for pair in offsets(kept) if pair[0] > since] == list(ring.after(since))


@given(st.lists(said, min_size=1, max_size=20))
def test_of_what_it_has_not_it_says_so(added: list[list[Framed]]) -> None:
    ring = Ring(8, 1 << 20)
    extend(ring, 100, added)
    oldest, newest = 100 + len(added) - len(ring), 99 + len(added)
    assert not ring.holds(Offset(oldest - 1, 0))
    assert not ring.holds(Offset(newest + 1, 0))
    assert ring.holds(Offset(oldest, 0))


def test_it_begins_anew_behind_a_hole() -> None:
    ring = Ring(8, 1 << 20)
    extend(ring, 1, [[("a", b"1")], [("a", b"2")], [("a", b"3")]])
    extend(ring, 7, [[("a", b"7")]])
    assert 1 == len(ring)
    assert not ring.holds(Offset(3, 0))
    assert ring.holds(Offset(7, 0))


def test_the_first_entry_of_an_epoch_is_behind_the_genesis_cursor() -> None:
    ring = Ring(8, 1 << 20)
    extend(ring, 1, [[("a", b"1")]])
    assert ring.holds(Offset(0, 0))
    assert [Offset(1, 0)] == [offset for offset, _ in ring.after(Offset(0, 0))]
