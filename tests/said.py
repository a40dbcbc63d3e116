"""Whether what was said is as clients are told: of its name's types, for its room, and with nothing more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final, NamedTuple

from jsonschema import Draft202012Validator
from msgspec.json import decode

from deploy.catalogue.asyncapi import asyncapi, payload
from shared.database import Pool
from shared.domain.now import ChainFacts
from shared.domain.schema import SAID, RoomKind

FACTS: Final = frozenset(ChainFacts.__required_keys__)
DOCUMENT: Final = asyncapi()


class Heard(NamedTuple):
    """One way in which something was said."""

    name: str
    data: str
    type: str
    room: RoomKind
    role: str | None


async def assert_said_as_typed(database: Pool) -> None:
    """Each kind of emission in the outbox; broadcasts aside, and names that only a test has."""
    rows = await database.fetch(
        "SELECT DISTINCT ON (name, payload ->> 'type', payload ->> 'role', split_part(room, ':', 1))"
        " room, name, payload::text FROM outbox WHERE op <> 'broadcast'"
    )
    hold((room, name, decode(text)) for room, name, text in rows)


def hold(told: Iterable[tuple[str, str, dict[str, Any]]]) -> set[Heard]:
    """Check these words, each with its room and name, against the schema; returns in which ways they were said."""
    found = set()
    for room, name, said in told:
        kind, role, fields = kind_of(room), said.get("role"), said["data"].keys() - FACTS
        validator(name, kind).validate(said)
        assert room == said["meta"]["room"]
        assert said["data"].keys() >= FACTS
        assert (role is not None) == (kind == "user" and not name.startswith("notification:"))
        fits = [
            Heard(name, it.data.__name__, said["type"], kind, role)
            for it in SAID[name]
            if said["type"] in it.types and kind in it.heard and it.data.__required_keys__ == fields
            if role is None or role in it.heard[kind]
        ]
        assert fits, (name, said)
        found.update(fits)
    return found


def kind_of(room: str) -> RoomKind:
    """What kind of room this is."""
    kind: Any = room.partition(":")[0]
    return kind


@cache
def validator(name: str, room: RoomKind) -> Draft202012Validator:
    """What may come with a name in rooms of a kind, with no property more."""
    schemas = {
        it: {**schema, "properties": closed(schema["properties"])} if "properties" in schema else schema
        for it, schema in DOCUMENT["components"]["schemas"].items()
    }
    return Draft202012Validator({**closed(payload(name, room)), "components": {"schemas": schemas}})


def closed(schema: Any) -> Any:
    """The schema, with no property allowed that it does not name, however deep."""
    if isinstance(schema, list):
        return [closed(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    if "allOf" in schema:  # its parts add up
        parts = [
            it if "$ref" in it else {**it, "properties": closed(it["properties"])} for it in map(dict, schema["allOf"])
        ]
        return {**schema, "allOf": parts, "unevaluatedProperties": False}
    inner = {name: closed(it) for name, it in schema.items()}
    return inner | ({"unevaluatedProperties": False} if {"properties", "$ref"} & schema.keys() else {})
