"""The client's types, as a TypeScript module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from deploy.catalogue.source import (
    ANSWERED,
    CLIENT,
    COMMAND,
    EVENTS,
    NARROWED,
    SNAPSHOTS,
    SPOKEN,
    WORDS,
    about,
    is_flat,
)
from fanout.messages import MESSAGES, SIGNALS
from fanout.notifications import OPERATIONS
from fanout.routes import ROUTES
from shared.domain.notice import NEW, RETRACTED
from shared.domain.now import ChainFacts
from shared.domain.schema import ROLES, SAID, Said
from shared.wire import Meta

WIDTH: Final = 120
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")
_PLAIN: Final[Mapping[Any, str]] = {
    str: "string",
    int: "number",
    bool: "boolean",
    NoneType: "null",
    None: "null",
    object: "unknown",
}


def typescript() -> str:
    """The module."""
    known = dict.fromkeys([*SPOKEN, *ANSWERED, *CLIENT])
    del known[Meta], known[ChainFacts]
    parts = [
        f"// What the server says and answers, as types. Made from its catalogue by\n//     {COMMAND} --typescript",
        "// Quantities (amounts, ids, heights, counts) are decimal text: read them with BigInt.",
        *(_union(name, comment, words) for name, (comment, words) in WORDS.items()),
        _interface(ChainFacts),
        _interface(Meta),
        _ENVELOPES,
        *(_interface(it) for it in known),
        "\n".join(_emissions()),
        _list("EMISSION_NAMES", "Every durable name.", SAID),
        _BROADCAST,
        _list("EVENT_NAMES", "Every event of the chain.", EVENTS),
        "\n".join(_signals()),
        _SNAPSHOTS,
        *_snapshots(),
        "\n".join(_answers()),
        "\n".join(_messages()),
    ]
    return "\n\n".join(parts) + "\n"


_ENVELOPES: Final = """\
/** What comes with a name. `role` is the listener's part in it, in user rooms only. */
export interface Envelope<Data, Type extends string = string, Role extends string = string> {
  type: Type;
  role?: Role;
  data: Data;
  meta: Meta;
}

/** The same with the fields of `data` repeated at the top level: names of `marketplace:` and `treasury:`. */
export type FlatEnvelope<Data, Type extends string = string, Role extends string = string> = Data &
  Envelope<Data, Type, Role>;"""
_BROADCAST: Final = """\
/** What an operator or another service says, under a name of its own: no event of the chain, and no facts of it. */
export type Broadcast = Envelope<Record<string, unknown>>;"""
_SNAPSHOTS: Final = """\
/** What is true as of a cursor: join the room with `since` this, and nothing falls between. */
export interface Snapshot<Data> {
  asOf: string;
  tip: Tip;
  data: Data;
}

/** A part of a list, the newest first; `next` is the `after` of the part that follows, null at the end. */
export interface Page<Item> extends Snapshot<Item[]> {
  next: string | null;
}"""


def type_of(hint: Any) -> str:
    """A Python type in TypeScript. Raises ``TypeError`` for one that the wire does not have."""
    if is_typeddict(hint):
        name: str = hint.__name__
        return name
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(_literal(it) for it in parts)
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(type_of(it) for it in parts))
    if origin is list:
        item = type_of(parts[0])
        return f"({item})[]" if " " in item else f"{item}[]"
    if origin is dict:
        return f"Record<string, {type_of(parts[1])}>"
    raise TypeError(f"{hint} has no TypeScript")


def field_type(it: type, name: str, hint: Any) -> str:
    """The type of a field; texts of which all are known have theirs."""
    words = NARROWED.get((it.__name__, name))
    return type_of(hint).replace("string", words) if words else type_of(hint)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else f'"{name}"'


def _comment(text: str, indent: str = "") -> list[str]:
    if not text:
        return []
    line = f"{indent}/** {text} */"
    if len(line) <= WIDTH:
        return [line]
    lines, words = [f"{indent}/**"], f"{indent} *"
    for word in text.split():
        if len(words) + 1 + len(word) > WIDTH:
            lines.append(words)
            words = f"{indent} *"
        words += f" {word}"
    return [*lines, words, f"{indent} */"]


def _field(name: str, type_: str, optional: bool = False) -> list[str]:
    line = f"  {_key(name)}{'?' if optional else ''}: {type_};"
    if len(line) <= WIDTH:
        return [line]
    return [f"  {_key(name)}{'?' if optional else ''}:", *_alternatives(type_.split(" | "), "    ")]


def _alternatives(types: Iterable[str], indent: str) -> list[str]:
    lines = [f"{indent}| {it}" for it in types]
    lines[-1] += ";"
    return lines


def _interface(it: Any) -> str:
    lines = [*_comment(about(it)), f"export interface {it.__name__} {{"]
    for name, hint in get_type_hints(it).items():
        lines += _field(name, field_type(it, name, hint), name in it.__optional_keys__)
    if lines[-1].endswith("{"):
        return "\n".join([*lines[:-1], f"export type {it.__name__} = Record<string, never>;"])
    return "\n".join([*lines, "}"])


def _union(name: str, comment: str, words: Iterable[str]) -> str:
    return "\n".join([*_comment(comment), f"export type {name} =", *_alternatives(map(_literal, words), "  ")])


def _list(name: str, comment: str, words: Iterable[str]) -> str:
    return "\n".join([*_comment(comment), f"export const {name} = [", *(f'  "{it}",' for it in words), "] as const;"])


def _words(words: Iterable[str]) -> str:
    return " | ".join(map(_literal, words))


def _emissions() -> Iterator[str]:
    yield from _comment("Every durable name, and what comes with it; behind it comes the cursor.")
    yield "export interface Emissions {"
    for name, its in SAID.items():
        if len(its) == 1:
            yield from _envelope(f'  "{name}": ', name, its[0], "  ")
            continue
        yield f'  "{name}":'
        for it in its:
            yield from _envelope("    | ", name, it, "      ", end=";" if it is its[-1] else "")
    yield "}"


def _envelope(begin: str, name: str, it: Said, indent: str, end: str = ";") -> list[str]:
    """The type of what comes with a name, over several lines where one is too short."""
    types = "NotificationType" if name in (NEW, RETRACTED) else _words(it.types)
    role = "Role" if it.heard.get("user") == ROLES else _words(it.heard.get("user", ())) or "never"
    kind, parts = "FlatEnvelope" if is_flat(name) else "Envelope", [f"{it.data.__name__} & ChainFacts", types, role]
    line = f"{begin}{kind}<{', '.join(parts)}>{end}"
    if len(line) <= WIDTH:
        return [line]
    lines = [f"{begin}{kind}<"]
    for number, part in enumerate(parts, 1):
        comma = "" if number == len(parts) else ","
        if len(part) + len(indent) + 3 <= WIDTH:
            lines.append(f"{indent}  {part}{comma}")
        else:
            lines += [f"{indent}  | {it}" for it in part.split(" | ")]
            lines[-1] += comma
    return [*lines, f"{indent}>{end}"]


def _signals() -> Iterator[str]:
    yield from _comment("What a node says besides; only `system:cursor` has a cursor behind it.")
    yield "export interface Signals {"
    for name, (comment, data) in SIGNALS.items():
        yield from _comment(f"{comment}.", "  ")
        yield f'  "{name}": {type_of(data)};'
    yield "}"


def _snapshots() -> Iterator[str]:
    for route in ROUTES:
        body = f"{'Page' if route.paged else 'Snapshot'}<{type_of(route.item)}>"
        comment = _comment(f"GET {route.path}: {route.about}.")
        yield "\n".join([*comment, f"export type {SNAPSHOTS[route.path]} = {body};"])


def _answers() -> Iterator[str]:
    yield from _comment("What each route answers with status 200.")
    yield "export interface Answers {"
    for route in ROUTES:
        yield f'  "GET {route.path}": {SNAPSHOTS[route.path]};'
    for it in OPERATIONS:
        yield f'  "{it.method.upper()} {it.path}": {type_of(it.answer)};'
    yield "}"


def _messages() -> Iterator[str]:
    yield from _comment("What a client may say; the last argument is a function that takes the answer.")
    yield "export interface ClientMessages {"
    for name, it in MESSAGES.items():
        arguments = []
        if it.target is not None:
            arguments.append(f"target{'?' if it.target_optional else ''}: {type_of(it.target)}")
        if it.options is not None:
            arguments.append(f"options{'?' if name != 'authenticate' else ''}: {type_of(it.options)}")
        yield from _comment(f"{it.about}.", "  ")
        yield f'  "{name}": {{ arguments: [{", ".join(arguments)}]; answer: {type_of(it.answer)} | Refused }};'
    yield "}"
