"""Whether what was said has the shape that clients are told of."""

from __future__ import annotations

from types import UnionType
from typing import Any, get_args, is_typeddict

import msgspec

from shared.database import Pool
from shared.domain.said import FLAT, SAID

_ENVELOPE = {"type", "role", "data", "meta"}


async def assert_said_as_typed(database: Pool) -> None:
    """Every emission in the outbox has exactly the keys and types of its name."""
    rows = await database.fetch("SELECT DISTINCT ON (name, op, payload ->> 'type') name, op, payload::text FROM outbox")
    for name, op, text in rows:
        if op == "broadcast":
            continue
        said = msgspec.json.decode(text)
        problems = [problem for kind in _kinds(SAID[name]) if (problem := _problem(kind, said["data"]))]
        assert len(problems) < len(_kinds(SAID[name])), (name, said["data"], problems)
        flat = said["data"] if name.startswith(FLAT) else {}
        assert {key: it for key, it in said.items() if key not in _ENVELOPE} == {
            key: it for key, it in flat.items() if key not in _ENVELOPE
        }, name


def _kinds(said: Any) -> tuple[Any, ...]:
    return get_args(said) if isinstance(said, UnionType) else (said,)


def _problem(kind: Any, data: dict[str, Any]) -> str | None:
    assert is_typeddict(kind)
    if unknown := data.keys() - (kind.__required_keys__ | kind.__optional_keys__):
        return f"{kind.__name__} has no {sorted(unknown)}"
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        return f"{kind.__name__}: {error}"
    return None
