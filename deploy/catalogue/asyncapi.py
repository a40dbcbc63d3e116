"""The AsyncAPI 3 document: a channel for each kind of room, with what is said there, and one for client messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from deploy.catalogue.source import (
    ABOUT_ROOMS,
    CLIENT,
    NARROWED,
    ROOMS,
    SPOKEN,
    WORDS,
    Way,
    is_flat,
    rooms_of,
    ways,
)
from fanout.messages import MESSAGES, SIGNALS, Refused
from shared.domain.now import ChainFacts
from shared.domain.schema import SAID, RoomKind
from shared.wire import Meta

_REF: Final = "#/components/schemas/{name}"
_ABOUT: Final = """\
Every emission is a Socket.IO event: the message's name, its payload, and the connection's cursor behind it, which is \
what `since` of a join takes. Quantities are decimal text; only `blockHeight` and `timestamp` are integers."""
_BROADCAST: Final = {
    "title": "broadcast",
    "summary": "What an operator or another service says, under a name of its own, which is also its type",
    "payload": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "pattern": "^[a-z][a-z0-9:-]{0,63}$"},
            "data": {"type": "object"},
            "meta": {"$ref": _REF.format(name="Meta")},
        },
        "required": ["type", "data", "meta"],
    },
}


def asyncapi() -> dict[str, Any]:
    """The document, as JSON."""
    _, schemas = msgspec.json.schema_components([*SPOKEN, *CLIENT], ref_template=_REF)
    for (name, field), words in NARROWED.items():
        if name in schemas:
            properties = schemas[name]["properties"]
            properties[field] = _narrowed(properties[field], WORDS[words][1])
    channels: dict[str, Any] = {room: _room(room) for room in ROOMS}
    channels["connection"] = {
        "address": None,
        "title": "What one connection is told besides",
        "messages": {_id(name): _signal(name, about, data) for name, (about, data) in SIGNALS.items()},
    }
    channels["client"] = {
        "address": None,
        "title": "What a client may say",
        "messages": {name: _asked(name) for name in MESSAGES},
    }
    channels["acknowledgements"] = {
        "address": None,
        "title": "How that is answered, by the acknowledgement of the same packet",
        "messages": {it.__name__: _answer(it) for it in _answers()},
    }
    operations: dict[str, Any] = {}
    for room, channel in channels.items():
        if room not in ("client", "acknowledgements"):
            operations[f"hear-{room}"] = {
                "action": "send",
                "channel": _to("channels", room),
                "summary": f"{channel['title']}: said by the server",
            }
    for name, it in MESSAGES.items():
        operations[name] = {
            "action": "receive",
            "channel": _to("channels", "client"),
            "summary": it.about,
            "messages": [_to("channels", "client", "messages", name)],
            "reply": {
                "channel": _to("channels", "acknowledgements"),
                "messages": [
                    _to("channels", "acknowledgements", "messages", answer.__name__) for answer in (it.answer, Refused)
                ],
            },
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "BitPay Realtime",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "fanout": {
                "host": "localhost:4000",
                "pathname": "/socket.io",
                "protocol": "ws",
                "description": "Socket.IO 4 or later (Engine.IO 4), over WebSocket or long polling",
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


def payload(name: str, room: RoomKind) -> dict[str, Any]:
    """The schema of what comes with a name in rooms of a kind."""
    its = [_envelope(name, room, way) for way in ways(name, room)]
    return its[0] if len(its) == 1 else {"anyOf": its}


def _envelope(name: str, room: RoomKind, way: Way) -> dict[str, Any]:
    data = {"allOf": [_schema(way.data), _schema(ChainFacts)]}
    properties: dict[str, Any] = {"type": {"enum": list(way.types)}}
    if way.roles:
        properties["role"] = {"enum": list(way.roles)}
    properties |= {"data": data, "meta": _schema(Meta)}
    whole = {"type": "object", "properties": properties, "required": list(properties)}
    return {"allOf": [whole, *data["allOf"]]} if is_flat(name) else whole


def _room(room: RoomKind) -> dict[str, Any]:
    address, about = ABOUT_ROOMS[room]
    heard = [name for name in SAID if room in rooms_of(name)]
    channel: dict[str, Any] = {"address": address, "title": f"Room {address}", "description": about}
    if parameters := re.findall(r"{(\w+)}", address):
        channel["parameters"] = {it: {"description": _PARAMETERS[it]} for it in parameters}
    messages = {_id(name): {"name": name, "payload": payload(name, room)} for name in heard}
    return channel | {"messages": {**messages, "broadcast": _BROADCAST}}


def _narrowed(schema: Any, words: tuple[str, ...]) -> Any:
    """The schema, in which a text is one of these words."""
    if schema == {"type": "string"}:
        return {"enum": list(words)}
    if isinstance(schema, list):
        return [_narrowed(it, words) for it in schema]
    return {name: _narrowed(it, words) for name, it in schema.items()} if isinstance(schema, dict) else schema


_PARAMETERS: Final[Mapping[str, str]] = {
    "address": "A Stacks address, exactly as the chain writes it",
    "streamId": "Decimal, without leading zeros",
}


def _signal(name: str, about: str, data: type) -> dict[str, Any]:
    return {"name": name, "summary": about, "payload": _schema(data)}


def _asked(name: str) -> dict[str, Any]:
    """The arguments of a client message, in order; the acknowledgement function is the last of them."""
    it = MESSAGES[name]
    arguments: list[dict[str, Any]] = []
    if it.target is not None:
        arguments.append(msgspec.json.schema(it.target))
    least = len(arguments) - it.target_optional
    if it.options is not None:
        arguments.append(_schema(it.options))
        least += name == "authenticate"
    listed = {"type": "array", "minItems": max(0, least), "maxItems": len(arguments)}
    return {"name": name, "summary": it.about, "payload": listed | ({"items": arguments} if arguments else {})}


def _answers() -> list[type]:
    return list(dict.fromkeys([*(it.answer for it in MESSAGES.values()), Refused]))


def _answer(it: type) -> dict[str, Any]:
    return {"name": it.__name__, "payload": _schema(it)}


def _schema(it: type) -> dict[str, Any]:
    return {"$ref": _REF.format(name=it.__name__)}


def _id(name: str) -> str:
    """As AsyncAPI's tools can use it in a path and in names of code."""
    return name.replace(":", "-")


def _to(*path: str) -> dict[str, Any]:
    return {"$ref": "#/" + "/".join(path)}
