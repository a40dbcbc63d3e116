"""Several statements in one round trip: of a small delivery's time most goes into waiting for Postgres to say the next
thing. Each statement numbers its parameters from $1, as if it were alone."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from msgspec.json import decode

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


class Writes:
    """Statements that change different rows and see nothing of each other's changes."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._arguments: list[object] = []

    def add(self, statement: str, *arguments: object, name: str = "") -> None:
        """One of them; a ``name`` is for what it returns."""
        self._parts.append(f"{name or f'part{len(self._parts)}'} AS ({_from(statement, len(self._arguments))})")
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
