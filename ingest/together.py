"""Several statements in one round trip: of a small delivery's time much goes into waiting for Postgres to say the next
thing. Each statement numbers its parameters from $1, as if it were alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec.json import decode, encode

from shared.database import Connection

_PLACE: Final = re.compile(r"\$(\d+)")


class Reads:
    """Selects of one JSON array a row: exact for 128 bits, and of one shape whatever the table."""

    def __init__(self) -> None:
        self._selects: list[str] = []
        self._arguments: list[object] = []

    def add(self, columns: str, rest: str, *arguments: object) -> int:
        """``SELECT columns FROM rest``; returns the number that its rows will have."""
        number = len(self._selects)
        select = f"SELECT {number}, json_build_array({columns})::text FROM {rest}"  # noqa: S608 - names of ours
        self._selects.append(_from(select, len(self._arguments)))
        self._arguments += arguments
        return number

    async def fetch(self, connection: Connection) -> list[tuple[int, list[Any]]]:
        """All rows, each with the number of its select."""
        if not self._selects:
            return []
        rows = await connection.fetch(" UNION ALL ".join(self._selects), *self._arguments)
        return [(number, decode(columns)) for number, columns in rows]


def in_json(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as ``insert_all`` takes them. One parameter for a table, and not a list for each of its columns: with lists
    the driver and the server took a tenth of a small delivery's time for their encoding."""
    return encode([dict(zip(names, row, strict=True)) for row in rows]).decode()


class Writes:
    """Statements that change different rows and see nothing of each other's changes."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._arguments: list[object] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, statement: str, *arguments: object, name: str = "", first: bool = False) -> None:
        """One of them; a ``name`` is for what it returns. The ``first`` is what operators see of a long statement."""
        part = f"{name or f'part{len(self._parts)}'} AS ({_from(statement, len(self._arguments))})"
        self._parts.insert(0 if first else len(self._parts), part)
        self._arguments += arguments

    async def execute(self, connection: Connection, select: str = "SELECT 1") -> list[Any]:
        """Do them all; ``select`` says what to return of those that have a name."""
        if not self._parts:
            return []
        found: list[Any] = await connection.fetch(f"WITH {', '.join(self._parts)} {select}", *self._arguments)
        return found


@lru_cache(maxsize=1024)
def _from(statement: str, first: int) -> str:
    return _PLACE.sub(lambda it: f"${int(it[1]) + first}", statement) if first else statement
