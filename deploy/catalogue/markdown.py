"""The reference for readers: every name with the rooms that hear it, and every type with its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_type_hints, is_typeddict

from deploy.catalogue.source import (
    ABOUT_ROOMS,
    ANSWERED,
    CLIENT,
    COMMAND,
    ROOMS,
    SNAPSHOTS,
    SPOKEN,
    about,
    is_flat,
)
from deploy.catalogue.typescript import field_type, type_of
from fanout.messages import MESSAGES, SIGNALS
from fanout.notifications import OPERATIONS
from fanout.routes import ROUTES
from shared.domain.schema import SAID


def markdown() -> str:
    """The document."""
    types = dict.fromkeys([*SPOKEN, *ANSWERED, *CLIENT])
    lines = [
        "# Reference",
        "",
        f"Made by `{COMMAND} --markdown` from the types that the server speaks in; what it means is in",
        "[events.md](events.md). For machines the same is in [asyncapi.json](asyncapi.json), and for TypeScript in",
        "`client/src/catalogue.ts`.",
        "",
        "## Rooms",
        "",
        *_table(("room", "what"), ([f"`{address}`", words] for address, words in ABOUT_ROOMS.values())),
        "",
        "## Names",
        "",
        "`type` says what happened, `role` a listener's part in it in user rooms. `data` always ends with the four",
        "fields of [ChainFacts](#chainfacts). Names marked ⧉ repeat the fields of `data` at the top level.",
        "",
        *_table(("name", "type", "rooms (roles)", "data"), _names()),
        "",
        "Besides, to one connection:",
        "",
        *_table(("name", "data", "what"), ([f"`{name}`", _link(it), words] for name, (words, it) in SIGNALS.items())),
        "",
        "## Client messages",
        "",
        *_table(("message", "arguments", "answer", "what"), _messages()),
        "",
        "## Routes",
        "",
        "Snapshots are `{asOf, tip, data}`, lists also have `next`.",
        "",
        *_table(("route", "type", "data"), _routes()),
        "",
        "## Types",
        "",
        "A field with a question mark may be missing; all others are always there, and null where nothing is known.",
    ]
    for it in types:
        lines += ["", f"### {it.__name__}", "", *([about(it), ""] if about(it) else []), *_fields(it)]
    return "\n".join(lines) + "\n"


def _names() -> Iterator[list[str]]:
    for name, its in SAID.items():
        for number, it in enumerate(its):
            shown = f"`{name}`{' ⧉' if is_flat(name) else ''}" if number == 0 else ""
            types = "any type of a notification" if name.startswith("notification:") else _codes(it.types)
            rooms = []
            for room in ROOMS:
                if room in it.heard:
                    roles = "any" if name == "chain:reverted" else ", ".join(it.heard[room])
                    rooms.append(f"`{room}`" + (f" ({roles})" if it.heard[room] else ""))
            yield [shown, types, ", ".join(rooms), _link(it.data)]


def _messages() -> Iterator[list[str]]:
    for name, it in MESSAGES.items():
        arguments = []
        if it.target is not None:
            arguments.append(f"{_code(type_of(it.target))}{'?' if it.target_optional else ''}")
        if it.options is not None:
            arguments.append(_link(it.options) + ("" if name == "authenticate" else "?"))
        yield [f"`{name}`", ", ".join(arguments), _link(it.answer), it.about]


def _routes() -> Iterator[list[str]]:
    for route in ROUTES:
        data = _link(route.item) + (", a list" if route.paged else "")
        yield [f"`GET {route.path}`", f"`{SNAPSHOTS[route.path]}`", data]
    for it in OPERATIONS:
        yield [f"`{it.method.upper()} {it.path}`", f"`{it.answer.__name__}`", f"the whole answer: {_link(it.answer)}"]


def _fields(it: Any) -> list[str]:
    rows = [
        [f"`{name}`{'?' if name in it.__optional_keys__ else ''}", _type(it, name, hint)]
        for name, hint in get_type_hints(it).items()
    ]
    return _table(("field", "type"), rows) if rows else ["No fields."]


def _type(it: type, name: str, hint: Any) -> str:
    return _link(hint) if is_typeddict(hint) else _code(field_type(it, name, hint))


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _link(it: Any) -> str:
    return f"[{it.__name__}](#{it.__name__.lower()})"


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{it}`" for it in words)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    columns = list(head)
    return [_row(columns), _row("---" for _ in columns), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")
