"""Clarity values as bytes (SIP-005), and as the plain JSON that Chainhook prints when it decodes them itself.

Every length is checked against the bytes that are left before anything is allocated, nesting is bounded by what
the chain allows, and a value must end where its bytes end. So hostile input costs no more than its own size.

Source: SIP-005, "Clarity value representation"; limits from stacks-core ``clarity/src/vm/types``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

MAX_DEPTH = 32  # nesting the chain allows
U128_MAX = 2**128 - 1
C32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_C32_DIGITS = frozenset(C32)
_TO_BASE_32 = str.maketrans(C32, "0123456789abcdefghijklmnopqrstuv")  # as ``int`` reads them

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"


class NotClarity(ValueError):
    """These bytes or this text are no Clarity value; the message says what is wrong and at which byte."""


@dataclass(frozen=True, slots=True)
class Int:
    value: int


@dataclass(frozen=True, slots=True)
class UInt:
    value: int


@dataclass(frozen=True, slots=True)
class Buffer:
    value: bytes


@dataclass(frozen=True, slots=True)
class Bool:
    value: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """``ST…`` or ``ST….contract-name``, in canonical c32check spelling."""

    value: str


@dataclass(frozen=True, slots=True)
class Ok:
    value: Value


@dataclass(frozen=True, slots=True)
class Err:
    value: Value


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


@dataclass(frozen=True, slots=True)
class Some:
    value: Value


@dataclass(frozen=True, slots=True)
class List:
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Ascii:
    value: str


@dataclass(frozen=True, slots=True)
class Utf8:
    value: str


Value: TypeAlias = Int | UInt | Buffer | Bool | Principal | Ok | Err | Nothing | Some | List | Tuple | Ascii | Utf8

_NAME = re.compile(rb"[a-zA-Z](?:[a-zA-Z0-9]|[-_!?+<>=/*])*|[-+=/*]|[<>]=?")
_CONTRACT_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9]|[-_]){0,127}")


def from_hex(text: str) -> Value:
    """Decode ``0x…`` as Chainhook writes it. Raises ``NotClarity``."""
    if not text.startswith("0x"):
        raise NotClarity("hex without 0x")
    try:  # fromhex skips white space, so the length is compared
        raw = bytes.fromhex(text[2:])
    except ValueError:
        raise NotClarity("not hex") from None
    if len(raw) * 2 != len(text) - 2:
        raise NotClarity("not hex")
    return decode(raw)


def decode(raw: bytes) -> Value:
    """Decode exactly one value. Raises ``NotClarity`` for anything else, bytes left over included."""
    value, end = _decode(raw, 0, 0)
    if end != len(raw):
        raise NotClarity(f"{len(raw) - end} bytes left over at byte {end}")
    return value


def _decode(raw: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > MAX_DEPTH:
        raise NotClarity(f"nested deeper than {MAX_DEPTH} at byte {at}")
    (tag,), at = _take(raw, at, 1)
    match tag:
        case 0x00:
            body, at = _take(raw, at, 16)
            return Int(int.from_bytes(body, signed=True)), at
        case 0x01:
            body, at = _take(raw, at, 16)
            return UInt(int.from_bytes(body)), at
        case 0x02:
            body, at = _sized(raw, at)
            return Buffer(body), at
        case 0x03 | 0x04:
            return Bool(tag == 0x03), at
        case 0x05 | 0x06:
            return _principal(raw, at, contract=tag == 0x06)
        case 0x07 | 0x08 | 0x0A:
            inner, at = _decode(raw, at, depth + 1)
            return (Ok(inner) if tag == 0x07 else Err(inner) if tag == 0x08 else Some(inner)), at
        case 0x09:
            return Nothing(), at
        case 0x0B:
            count, at = _count(raw, at)
            items = []
            for _ in range(count):
                item, at = _decode(raw, at, depth + 1)
                items.append(item)
            return List(tuple(items)), at
        case 0x0C:
            return _tuple(raw, at, depth)
        case 0x0D:
            body, at = _sized(raw, at)
            if not body.isascii():
                raise NotClarity(f"string-ascii with other bytes before byte {at}")
            return Ascii(body.decode("ascii")), at
        case 0x0E:
            body, at = _sized(raw, at)
            try:
                return Utf8(body.decode("utf-8")), at
            except UnicodeDecodeError:
                raise NotClarity(f"string-utf8 that is not UTF-8 before byte {at}") from None
        case _:
            raise NotClarity(f"unknown tag 0x{tag:02x} at byte {at - 1}")


def _take(raw: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if end > len(raw):
        raise NotClarity(f"{length} bytes wanted at byte {at}, {len(raw) - at} left")
    return raw[at:end], end


def _count(raw: bytes, at: int) -> tuple[int, int]:
    body, at = _take(raw, at, 4)
    count = int.from_bytes(body)
    if count > len(raw) - at:  # each element takes at least one byte
        raise NotClarity(f"{count} elements announced at byte {at}, {len(raw) - at} bytes left")
    return count, at


def _sized(raw: bytes, at: int) -> tuple[bytes, int]:
    length, at = _count(raw, at)
    return _take(raw, at, length)


def _principal(raw: bytes, at: int, *, contract: bool) -> tuple[Value, int]:
    body, at = _take(raw, at, 21)
    if body[0] > 31:
        raise NotClarity(f"address version {body[0]} before byte {at}")
    text = address(body[0], body[1:])
    if contract:
        (length,), at = _take(raw, at, 1)
        name, at = _take(raw, at, length)
        if not name.isascii() or not _CONTRACT_NAME.fullmatch(name.decode("ascii")):
            raise NotClarity(f"no contract name before byte {at}")
        text = f"{text}.{name.decode('ascii')}"
    return Principal(text), at


def _tuple(raw: bytes, at: int, depth: int) -> tuple[Value, int]:
    count, at = _count(raw, at)
    fields: dict[str, Value] = {}
    for _ in range(count):
        (length,), at = _take(raw, at, 1)
        name, at = _take(raw, at, length)
        if not 1 <= length <= 128 or not _NAME.fullmatch(name):
            raise NotClarity(f"no field name before byte {at}")
        key = name.decode("ascii")
        if key in fields:
            raise NotClarity(f"field {key} twice before byte {at}")
        fields[key], at = _decode(raw, at, depth + 1)
    return Tuple(fields), at


def encode(value: Value) -> bytes:
    """The inverse of ``decode``; tuple fields in byte order of their names, as the chain writes them."""
    match value:
        case Int(number):
            return b"\x00" + number.to_bytes(16, signed=True)
        case UInt(number):
            return b"\x01" + number.to_bytes(16)
        case Buffer(raw):
            return b"\x02" + len(raw).to_bytes(4) + raw
        case Bool(truth):
            return b"\x03" if truth else b"\x04"
        case Principal(text):
            account, dot, name = text.partition(".")
            version, hash160 = parse_address(account)
            tail = bytes([len(name)]) + name.encode("ascii") if dot else b""
            return (b"\x06" if dot else b"\x05") + bytes([version]) + hash160 + tail
        case Ok(inner):
            return b"\x07" + encode(inner)
        case Err(inner):
            return b"\x08" + encode(inner)
        case Nothing():
            return b"\x09"
        case Some(inner):
            return b"\x0a" + encode(inner)
        case List(items):
            return b"\x0b" + len(items).to_bytes(4) + b"".join(map(encode, items))
        case Tuple(fields):
            parts = (
                bytes([len(name)]) + name.encode("ascii") + encode(fields[name])
                for name in sorted(fields, key=lambda name: name.encode("ascii"))
            )
            return b"\x0c" + len(fields).to_bytes(4) + b"".join(parts)
        case Ascii(text):
            return b"\x0d" + len(text).to_bytes(4) + text.encode("ascii")
        case Utf8(text):
            raw = text.encode("utf-8")
            return b"\x0e" + len(raw).to_bytes(4) + raw


def plain(value: Value) -> Json:
    """The JSON that Chainhook v1 writes for a decoded value, so that both ways of telling an event agree.

    ``none`` is null and ``some`` leaves no trace; results are ``{"result": {"success", "value"}}``; buffers ``0x…``.
    """
    match value:
        case Int(number) | UInt(number):
            return number
        case Bool(truth):
            return truth
        case Buffer(raw):
            return "0x" + raw.hex()
        case Principal(text) | Ascii(text) | Utf8(text):
            return text
        case Nothing():
            return None
        case Some(inner):
            return plain(inner)
        case Ok(inner):
            return {"result": {"success": True, "value": plain(inner)}}
        case Err(inner):
            return {"result": {"success": False, "value": plain(inner)}}
        case List(items):
            return [plain(item) for item in items]
        case Tuple(fields):
            return {name: plain(field) for name, field in fields.items()}


def address(version: int, hash160: bytes) -> str:
    """c32check text of an account: ``S``, the version's digit, then hash160 and checksum in base 32."""
    body = hash160 + _checksum(version, hash160)
    number, digits = int.from_bytes(body), ""
    while number:
        number, digit = divmod(number, 32)
        digits = C32[digit] + digits
    zeros = len(body) - len(body.lstrip(b"\0"))
    return "S" + C32[version] + "0" * zeros + digits


def parse_address(text: str) -> tuple[int, bytes]:
    """(version, hash160) of c32check text; only the canonical spelling passes. Raises ``NotClarity``."""
    if not 5 <= len(text) <= 41 or text[0] != "S" or not _C32_DIGITS.issuperset(text[1:]):
        raise NotClarity("not an address")
    try:
        body = int(text[2:].translate(_TO_BASE_32), 32).to_bytes(24)
    except OverflowError:
        raise NotClarity("not an address") from None
    version, hash160 = C32.index(text[1]), body[:20]
    zeros = len(text) - 2 - len(text[2:].lstrip("0"))
    if zeros != len(body) - len(body.lstrip(b"\0")) or body[20:] != _checksum(version, hash160):
        raise NotClarity("address with a wrong checksum")
    return version, hash160


def version_of(address: str) -> int:
    """The version of what ``is_principal`` has found to be one, a contract or not."""
    return C32.index(address[1])


@lru_cache(maxsize=65536)  # the same few parties again and again, and a checksum each time
def is_principal(text: str) -> bool:
    """Whether this is the canonical text of an account or of a contract."""
    account, dot, name = text.partition(".")
    try:
        parse_address(account)
    except NotClarity:
        return False
    return not dot or _CONTRACT_NAME.fullmatch(name) is not None


def _checksum(version: int, hash160: bytes) -> bytes:
    once = hashlib.sha256(bytes([version]) + hash160).digest()
    return hashlib.sha256(once).digest()[:4]
