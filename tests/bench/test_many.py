"""Many connections, here few: the programme that counts them."""

from __future__ import annotations

import shutil

import pytest

from bench.many import main

pytestmark = pytest.mark.alone


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
def test_every_connection_of_every_load_client_hears_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = main(60, events=3, every_s=0.2)
    assert (60, 3) == (found["joined"], found["published"])
    assert [0, 0, 0] == [found[it] for it in ("missing", "twice", "disordered")]
    assert "60 of 60" in capsys.readouterr().out
