"""The client's types, made of the server's: ``python -m deploy.typescript`` prints ``client/src/catalogue.ts``.

From types to JSON Schema, from there to TypeScript. Quantities are decimal text on the wire, so they are here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import msgspec

from fanout.notifications import NotificationList, Preferences, SomePreferences
from fanout.openapi import Tip
from shared.domain.notice import NotificationView
from shared.domain.now import (
    ChainFacts,
    FeeTold,
    ListingNow,
    NftView,
    ObligationNow,
    ProposalNow,
    PurchaseNow,
    SaleTold,
    StreamNow,
)
from shared.domain.said import FLAT, SAID, State
from shared.domain.views import (
    FeeView,
    ListingView,
    MarketView,
    ProposalView,
    ProtocolView,
    SaleView,
    StreamView,
    TreasuryView,
)

_TYPES: Final = (
    ChainFacts,
    FeeTold,
    FeeView,
    ListingNow,
    ListingView,
    MarketView,
    NftView,
    NotificationList,
    NotificationView,
    ObligationNow,
    Preferences,
    ProposalNow,
    ProposalView,
    ProtocolView,
    PurchaseNow,
    SaleTold,
    SaleView,
    SomePreferences,
    State,
    StreamNow,
    StreamView,
    Tip,
    TreasuryView,
)
_HEAD: Final = """\
/** What the server says. Made by `python -m deploy.typescript` from the server's own types: do not edit. */
/* eslint-disable */

/** Where an emission belongs in the one order of all (`offset`), what it is of, and how it came to be said. */
export interface Meta {
  v: 1;
  offset: string;
  /** The event's identity: the same in every room and on every redelivery. */
  id: string;
  room: string;
  op: "apply" | "rollback" | "broadcast";
  event: string | null;
  contract: string | null;
  txIndex: number | null;
  eventIndex: number | null;
  /** The same was said before and rolled back since. */
  reapplied: boolean;
  /** Something that comes after it on the chain had been told before. */
  late: boolean;
}

export interface Envelope<Data> {
  type: string;
  role?: string;
  data: Data;
  meta: Meta;
}

/** Names of the marketplace and the treasury have every key of `data` at the top level too. */
export type FlatEnvelope<Data> = Envelope<Data> & Data;

/** A snapshot: `asOf` is the cursor to join with, `tip` the block that derived values are true at. */
export interface Snapshot<Data> {
  asOf: string;
  tip: Tip;
  data: Data;
}

/** One page of a list; `next` is what `after` takes, null at the end. */
export interface Page<Data> extends Snapshot<Data[]> {
  next: string | null;
}
"""


def source() -> str:
    """The whole file."""
    every = {*_TYPES, *(part for said in SAID.values() for part in get_args(said) or (said,))}
    _, schemas = msgspec.json.schema_components(sorted(every, key=lambda it: it.__name__), ref_template="{name}")
    parts = [_HEAD, *(_interface(name, schema) for name, schema in sorted(schemas.items()))]
    parts.append("/** Every name on the wire, and what comes under it. */\nexport interface Emissions {\n")
    for name, said in SAID.items():
        data = " | ".join(part.__name__ for part in get_args(said) or (said,))
        parts[-1] += f'  "{name}": {"FlatEnvelope" if name.startswith(FLAT) else "Envelope"}<{data}>;\n'
    parts[-1] += "}\n\nexport type EmissionName = keyof Emissions;\n"
    return "\n".join(parts)


def _interface(name: str, schema: Mapping[str, Any]) -> str:
    return "".join(_lines(name, schema))


def _lines(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    about = " ".join(schema.get("description", "").replace("``", "`").split())
    if about and "TypedDict" not in about and "dict(" not in about:
        yield f"/** {about} */\n"
    yield f"export interface {name} {{\n"
    required = set(schema.get("required", ()))
    for key, value in schema["properties"].items():
        quoted = key if key.isidentifier() else f'"{key}"'
        yield f"  {quoted}{'' if key in required else '?'}: {_type(value)};\n"
    yield "}\n"


_PLAIN: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def _type(schema: Mapping[str, Any]) -> str:
    """A type expression; an error for what the catalogue has never used."""
    if "$ref" in schema:
        return str(schema["$ref"])
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(it).decode() for it in schema["enum"])
    if "const" in schema:
        return msgspec.json.encode(schema["const"]).decode()
    if "anyOf" in schema:
        return " | ".join(_type(it) for it in schema["anyOf"])
    kind = schema["type"]
    if isinstance(kind, list):
        return " | ".join(_PLAIN[it] for it in kind)
    if kind == "array":
        inner = _type(schema["items"])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if kind == "object":
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    return _PLAIN[kind]


if __name__ == "__main__":
    sys.stdout.write(source())
