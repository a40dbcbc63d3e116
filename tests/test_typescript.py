"""The client's types are the server's."""

from __future__ import annotations

from pathlib import Path

from deploy.typescript import source

CATALOGUE = Path(__file__).parent.parent / "client" / "src" / "catalogue.ts"


def test_the_clients_types_are_what_the_command_prints() -> None:
    assert CATALOGUE.read_text() == source(), "run: python -m deploy.typescript > client/src/catalogue.ts"
