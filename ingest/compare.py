"""Two schemas with the same tables: where their rows differ, and how the one becomes as the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.json import decode
from sqlalchemy import Table

from shared.database import Connection

NAMED = 3  # rows of a table that are named in a report
LONG_S: Final = 86_400.0  # for statements over whole tables: as long as they take


@dataclass(frozen=True, slots=True)
class Compared:
    """One table of both schemas. ``examples`` name a few of the rows that differ, and in which columns."""

    table: Table
    rows_live: int
    rows_rebuilt: int
    differing: int = 0
    examples: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def same(self) -> bool:
        return self.differing == 0


async def compare(connection: Connection, tables: Iterable[Table], live: str, rebuilt: str) -> list[Compared]:
    """Compare table by table, within the caller's transaction, whose snapshot decides what is compared."""
    return [await _compare(connection, table, live, rebuilt) for table in tables]


async def _compare(connection: Connection, table: Table, live: str, rebuilt: str) -> Compared:
    """Count and sum up both sides; only where those differ, look which rows do."""
    sides = [await connection.fetchrow(_sum(table, schema), timeout=LONG_S) for schema in (live, rebuilt)]
    rows_live, rows_rebuilt = (int(side["count"]) for side in sides)
    if sides[0] == sides[1]:
        return Compared(table, rows_live, rows_rebuilt)
    found = await connection.fetch(_differing(table, live, rebuilt), timeout=LONG_S)
    differing = int(found[0]["differing"]) if found else 0
    return Compared(table, rows_live, rows_rebuilt, differing, tuple(_example(table, row) for row in found))


def _sum(table: Table, schema: str) -> str:
    """How many rows, and the sum of a 64-bit hash of each: the same whatever their order."""
    listed = ", ".join(f"it.{name}" for name in _columns(table))
    return (
        f"SELECT count(*), sum(hashtextextended(ROW({listed})::text, 0)::numeric)"  # noqa: S608 - names of ours
        f" FROM {schema}.{table.name} it"
    )


def _differing(table: Table, live: str, rebuilt: str) -> str:
    keys = ", ".join(_keys(table))
    order = ", ".join(str(place) for place in range(1, len(_keys(table)) + 1))
    return f"""
        SELECT {keys}, to_json(l)::text AS live, to_json(r)::text AS rebuilt, count(*) OVER () AS differing
        FROM {live}.{table.name} l FULL JOIN {rebuilt}.{table.name} r USING ({keys})
        WHERE {_row(table, "l")} IS DISTINCT FROM {_row(table, "r")}
        ORDER BY {order} LIMIT {NAMED}
    """  # noqa: S608 - names of ours


def _example(table: Table, row: Mapping[str, Any]) -> str:
    key = ", ".join(f"{name}={row[name]}" for name in _keys(table))
    if row["live"] is None or row["rebuilt"] is None:
        return f"{key}: only {'rebuilt' if row['live'] is None else 'live'}"
    live, rebuilt = decode(row["live"]), decode(row["rebuilt"])
    return f"{key}: {', '.join(name for name in _columns(table) if live[name] != rebuilt[name])}"


async def mend(connection: Connection, differing: Iterable[Compared], live: str, rebuilt: str) -> None:
    """Make the live tables as the rebuilt ones, within the caller's transaction.

    Rows are deleted and inserted, never a table emptied or renamed: who reads in a snapshot of an earlier moment goes
    on seeing that moment.
    """
    for it in differing:
        table = it.table
        same_key = " AND ".join(f"l.{name} = r.{name}" for name in _keys(table))
        columns = ", ".join(_columns(table))
        await connection.execute(
            f"DELETE FROM {live}.{table.name} l WHERE NOT EXISTS (SELECT FROM {rebuilt}.{table.name} r"  # noqa: S608
            f" WHERE {same_key} AND {_row(table, 'l')} IS NOT DISTINCT FROM {_row(table, 'r')})",
            timeout=LONG_S,
        )
        await connection.execute(
            f"INSERT INTO {live}.{table.name} ({columns}) SELECT {columns} FROM {rebuilt}.{table.name} r"  # noqa: S608
            f" WHERE NOT EXISTS (SELECT FROM {live}.{table.name} l WHERE {same_key})",
            timeout=LONG_S,
        )


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _row(table: Table, side: str) -> str:
    return f"ROW({', '.join(f'{side}.{name}' for name in _columns(table))})"


def report(compared: Sequence[Compared]) -> str:
    """The comparison as a table of text, with a few of the rows that differ below their table."""
    width = max(len(it.name) for it in compared)
    lines = [f"{'table':{width}}  {'live':>10}  {'rebuilt':>10}  {'differing':>10}"]
    for it in compared:
        verdict = "ok" if it.same else "DIFFERS"
        lines.append(f"{it.name:{width}}  {it.rows_live:>10}  {it.rows_rebuilt:>10}  {it.differing:>10}  {verdict}")
        lines += [f"  {example}" for example in it.examples]
        if it.differing > len(it.examples):
            lines.append(f"  and {it.differing - len(it.examples)} more")
    return "\n".join(lines) + "\n"
