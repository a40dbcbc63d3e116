"""Names that nobody can guess."""

from __future__ import annotations

import re

from fanout.ids import AT_ONCE, SESSION_BYTES, SOCKET_BYTES, Ids


def test_no_name_comes_twice_and_each_has_all_its_randomness() -> None:
    ids = Ids()
    sizes = [SESSION_BYTES if i % 3 else SOCKET_BYTES for i in range(3 * AT_ONCE)]
    made = [ids.make(size) for size in sizes]
    assert len(set(made)) == len(made)
    assert all(
        re.fullmatch(r"[A-Za-z0-9_-]+", it) and len(it) * 6 == size * 8 for it, size in zip(made, sizes, strict=True)
    )
    assert SESSION_BYTES * 8 >= 128
    assert SOCKET_BYTES * 8 >= 96
