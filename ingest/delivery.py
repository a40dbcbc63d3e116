"""What Chainhook said: both generations of bodies, checked and put into one shape. Pure.

The envelope and the blocks must be right, or the whole body is refused. Inside a transaction nothing is ever refused:
what cannot be read is kept as ``Unreadable`` with the reason, and its neighbours are read. Only events of our own
contracts are looked at; a matching transaction comes with all its others.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias, TypeGuard

import msgspec

from shared.domain.chain import INT64_MAX, BlockRef, Contracts, Place
from shared.domain.clarity import MAX_DEPTH, U128_MAX, Json, NotClarity, UInt, from_hex, is_principal, plain
from shared.errors import Rejected

YEAR_9999 = 253402300799  # unix seconds
_JSON_DEPTH = 2 * (MAX_DEPTH + 1)  # a result is two objects, one in the other
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJson(Rejected):
    """The body is no JSON text, or none that fits into integers and memory."""


class NotDelivery(Rejected):
    """The body is JSON and no Chainhook delivery; the message says where."""


@dataclass(frozen=True, slots=True)
class Readable:
    """An event of ours with its decoded value; ``name`` is the print's ``event``."""

    place: Place
    kind: Literal["print", "asset"]
    name: str
    value: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something in a transaction that could not be read, with all that came of it, as ASCII JSON."""

    place: Place
    reason: str
    raw: str


Observed: TypeAlias = Readable | Unreadable


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a delivery with what its transactions did to our contracts, in order."""

    ref: BlockRef
    events: tuple[Observed, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST: blocks to roll back, tip first, then blocks to apply, ascending."""

    hook: str
    rollback: tuple[Block, ...]
    apply: tuple[Block, ...]


def parse_json(body: bytes) -> Any:
    """JSON with exact integers and nothing that JSON does not have. Raises ``NotJson``."""
    try:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            if not _SURROGATE.search(body):
                raise
            # msgspec refuses a lone surrogate, which is JSON all the same; its event goes to quarantine
            return json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise NotJson("nested too deep") from None
    except (
        ValueError,
        MemoryError,
    ) as wrong:  # DecodeError, UnicodeDecodeError and too long numbers are ValueErrors
        raise NotJson(str(wrong)[:200]) from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number


def read_delivery(body: Any, contracts: Contracts, network: str) -> Delivery:
    """The delivery that this JSON value is, whichever generation. Raises ``NotDelivery``."""
    if not isinstance(body, dict):
        raise NotDelivery("the body is no object")
    nested = body.get("event")
    first = "apply" in body or "rollback" in body
    nested = nested if isinstance(nested, dict) else {}
    second = "apply" in nested or "rollback" in nested
    if first == second:
        raise NotDelivery("the body has both envelopes" if first else "the body has neither apply nor event.apply")
    hook = body.get("chainhook")
    uuid = hook.get("uuid") if isinstance(hook, dict) else None
    if second:
        if nested.get("chain") != "stacks":
            raise NotDelivery("event.chain is not stacks")
        if nested.get("network") != network:
            raise NotDelivery(f"event.network is not {network}")
    reader = _Reader(contracts, "v2" if second else "v1")
    envelope, at = (nested, "event.") if second else (body, "")
    rollback = reader.blocks(envelope, "rollback", at)
    apply = reader.blocks(envelope, "apply", at)
    return Delivery(
        hook=uuid if isinstance(uuid, str) else "",
        rollback=tuple(sorted(rollback, key=lambda block: -block.ref.height)),
        apply=tuple(sorted(apply, key=lambda block: block.ref.height)),
    )


@dataclass(frozen=True, slots=True)
class _Element:
    """A contract event of one transaction as found, before its rank is known."""

    source: str
    index: int
    kind: Literal["print", "asset"]
    name: str
    value: dict[str, Json] | None
    reason: str | None
    raw: object


class _Unreadable(Exception):
    """This element cannot be read, for the reason given; ``source`` where it is known to be ours."""

    def __init__(self, reason: str, source: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.source = reason, source


class _Reader:
    """Reads the blocks of one body; knows what both generations call things."""

    def __init__(self, contracts: Contracts, generation: Literal["v1", "v2"]) -> None:
        self._contracts, self._generation = contracts, generation
        self._asset_sources = contracts.asset_sources()

    def blocks(self, envelope: dict[str, Any], name: str, at: str) -> list[Block]:
        found = envelope.get(name)
        if not isinstance(found, list):
            raise NotDelivery(f"{at}{name} is no list")
        return [self._block(block, f"{at}{name}[{i}]") for i, block in enumerate(found)]

    def _block(self, block: Any, at: str) -> Block:
        if not isinstance(block, dict):
            raise NotDelivery(f"{at} is no object")
        identifier = block.get("block_identifier")
        if not isinstance(identifier, dict):
            raise NotDelivery(f"{at} has no block_identifier")
        height = identifier.get("index")
        if not _is_int(height, 0, INT64_MAX):
            raise NotDelivery(f"{at}.block_identifier.index is no height")
        ref = BlockRef(height, _hash(identifier.get("hash"), f"{at}.block_identifier.hash"), self._time(block, at))
        transactions = block.get("transactions")
        if not isinstance(transactions, list):
            raise NotDelivery(f"{at}.transactions is no list")
        events: list[Observed] = []
        for i, transaction in enumerate(transactions):
            identifier = transaction.get("transaction_identifier") if isinstance(transaction, dict) else None
            found = identifier.get("hash") if isinstance(identifier, dict) else None
            tx_hash = _hash(found, f"{at}.transactions[{i}].transaction_identifier.hash")
            events += self._transaction(ref, tx_hash, i, transaction)
        return Block(ref, tuple(events))

    def _time(self, block: dict[str, Any], at: str) -> int:
        """The block's own time where it is told (v1 since 1.9), else the timestamp, which may be minutes older."""
        metadata = block.get("metadata")
        own = metadata.get("block_time") if self._generation == "v1" and isinstance(metadata, dict) else None
        time = block.get("timestamp") if own is None else own
        if not _is_int(time, 0, YEAR_9999):
            raise NotDelivery(f"{at} has no time in unix seconds")
        return time

    def _transaction(self, block: BlockRef, tx_hash: str, at: int, tx: dict[str, Any]) -> Iterator[Observed]:
        def place(source: str, rank: int, index: int, tx_index: int = at, sender: str | None = None) -> Place:
            return Place(block, tx_hash, tx_index, sender, source, rank, index)

        try:
            metadata = _object(tx.get("metadata"), "metadata is no object")
            if not self._success(metadata):
                return
            sender = metadata.get("sender" if self._generation == "v1" else "sender_address")
            sender = sender if isinstance(sender, str) and is_principal(sender) else None
            tx_index = _index(metadata.get("position"), "index", at, "the transaction's position")
            elements = self._list(tx, metadata)
        except _Unreadable as unreadable:
            yield Unreadable(place("transaction", 0, 0), unreadable.reason, ascii_json(tx))
            return
        ours: list[_Element] = []
        for i, element in enumerate(elements):
            try:
                if found := self._element(element, i):
                    ours.append(found)
            except _Unreadable as unreadable:
                source = unreadable.source
                if source is None:
                    reason = f"element {i}: {unreadable.reason}"
                    yield Unreadable(place("element", i, i, tx_index, sender), reason, ascii_json(element))
                else:
                    ours.append(_Element(source, i, "print", "", None, unreadable.reason, element))
        ranks: Counter[str] = Counter()
        for found in sorted(ours, key=lambda element: element.index):
            where = place(found.source, ranks[found.source], found.index, tx_index, sender)
            ranks[found.source] += 1
            if found.value is None:
                yield Unreadable(where, found.reason or "", ascii_json(found.raw))
            else:
                yield Readable(where, found.kind, found.name, found.value)

    def _success(self, metadata: dict[str, Any]) -> bool:
        if self._generation == "v1":
            success = metadata.get("success")
            if not isinstance(success, bool):
                raise _Unreadable("metadata.success is neither true nor false")
            return success
        status = metadata.get("status")
        if not isinstance(status, str):
            raise _Unreadable("metadata.status is no text")
        return status == "success"

    def _list(self, tx: dict[str, Any], metadata: dict[str, Any]) -> list[Any]:
        if self._generation == "v1":
            receipt = _object(metadata.get("receipt"), "metadata.receipt is no object")
            found, name = receipt.get("events"), "metadata.receipt.events"
        else:
            found, name = tx.get("operations"), "operations"
        if not isinstance(found, list):
            raise _Unreadable(f"{name} is no list")
        return found

    def _element(self, element: Any, at: int) -> _Element | None:
        """What is ours of one event or operation, or None. The contract is compared whole, before anything else."""
        body = _object(element, "it is no object")
        told = self._told_v1(body) if self._generation == "v1" else self._told_v2(body)
        if told is None:
            return None
        index, name, reason = at, told.name, None
        value: Json = None
        try:
            key = "position" if self._generation == "v1" else "operation_identifier"
            index = _index(body.get(key), "index", at, key)
            value = _value(told)
            if told.kind == "print":
                printed = value.get("event") if isinstance(value, dict) else None
                if not isinstance(value, dict) or not isinstance(printed, str):
                    raise _Unreadable("the print is no tuple with a text event")
                name = printed
            elif not _is_int(value, 0, INT64_MAX):
                raise _Unreadable("the token id is no uint below 2^63")
            else:
                value = {"token-id": value, "owner": self._owner(body)}
        except _Unreadable as unreadable:
            value, reason = None, unreadable.reason
        whole = value if isinstance(value, dict) else None
        return _Element(told.source, index, told.kind, name, whole, reason, element)

    def _owner(self, body: dict[str, Any]) -> str:
        if self._generation == "v1":
            owner = body["data"].get("recipient" if body["type"] == "NFTMintEvent" else "sender")
        else:
            account = body.get("account")
            owner = account.get("address") if isinstance(account, dict) else None
        if not isinstance(owner, str) or not is_principal(owner):
            raise _Unreadable("the token's owner is no principal")
        return owner

    def _told_v1(self, body: dict[str, Any]) -> _Told | None:
        kind = body.get("type")
        if kind not in ("SmartContractEvent", "NFTMintEvent", "NFTBurnEvent"):
            if isinstance(kind, str):
                return None
            raise _Unreadable("its type is no text")
        data = _object(body.get("data"), "its data is no object")
        if kind == "SmartContractEvent":
            contract = _text(data.get("contract_identifier"), "its contract is no text")
            if self._contracts.role_of(contract) is None or data.get("topic") != "print":
                return None
            return _Told(contract, "print", "", data, "raw_value", "value")
        verb = "mint" if kind == "NFTMintEvent" else "burn"
        decoded = "asset_class_identifier" in data
        asset = _text(
            data.get("asset_class_identifier" if decoded else "asset_identifier"),
            "its asset class is no text",
        )
        source = f"{asset}/{verb}"
        if source not in self._asset_sources:
            return None
        decoded_name = "asset_identifier" if decoded else None
        return _Told(source, "asset", f"nft-{verb}", data, "raw_value", decoded_name)

    def _told_v2(self, body: dict[str, Any]) -> _Told | None:
        kind = body.get("type")
        if kind not in ("contract_log", "token_mint", "token_burn"):
            if isinstance(kind, str):
                return None
            raise _Unreadable("its type is no text")
        if kind == "contract_log":
            metadata = _object(body.get("metadata"), "its metadata is no object")
            contract = _text(metadata.get("contract_identifier"), "its contract is no text")
            if self._contracts.role_of(contract) is None or metadata.get("topic") != "print":
                return None
            return _Told(contract, "print", "", metadata, None, "value", nested=True)
        amount = _object(body.get("amount"), "its amount is no object")
        currency = _object(amount.get("currency"), "its currency is no object")
        token = currency.get("metadata")
        if not isinstance(token, dict) or token.get("token_type") != "nft":
            return None
        verb = kind.removeprefix("token_")
        source = f"{_text(token.get('asset_identifier'), 'its asset class is no text')}/{verb}"
        if source not in self._asset_sources:
            return None
        return _Told(source, "asset", f"nft-{verb}", token, None, "value", nested=True, uint_text=True)


@dataclass(frozen=True, slots=True)
class _Told:
    """An element of ours, and where its value stands: as hex under ``raw``, or under ``decoded`` in another dress."""

    source: str
    kind: Literal["print", "asset"]
    name: str  # of an asset event; a print says its own
    holder: dict[str, Any]
    raw: str | None
    decoded: str | None
    nested: bool = False  # v2: the value may be ``{hex, repr}`` or bare hex
    uint_text: bool = False  # v2: a token id may be ``u7``


def _value(told: _Told) -> Json:
    """The value in the plain form of ``clarity.plain``, whichever way it was told. Raises ``_Unreadable``."""
    if told.raw is not None and told.raw in told.holder:
        return _from_hex(told.holder[told.raw])
    if told.decoded is None or told.decoded not in told.holder:
        raise _Unreadable("it has no value")
    value = told.holder[told.decoded]
    if told.nested:
        if isinstance(value, dict) and "hex" in value:
            return _from_hex(value["hex"])
        if isinstance(value, str) and told.uint_text and re.fullmatch(r"u\d{1,39}", value):
            return int(value[1:])
        if isinstance(value, str):
            return _from_hex(value)
    return _storable(value)


def _from_hex(text: object) -> Json:
    if not isinstance(text, str):
        raise _Unreadable("its hex is no text")
    try:
        value = from_hex(text)
    except NotClarity as wrong:
        raise _Unreadable(f"no Clarity value: {wrong}") from None
    return value.value if isinstance(value, UInt) else _storable(plain(value))


def _storable(value: Any, depth: int = 0) -> Json:
    """A decoded value that Clarity has and Postgres can keep as it is. Raises ``_Unreadable``."""
    if depth > _JSON_DEPTH:
        raise _Unreadable("it is nested deeper than Clarity allows")
    match value:
        case float():
            raise _Unreadable("it has a fraction, which Clarity has not")
        case int() if not -(2**127) <= value <= U128_MAX:
            raise _Unreadable("a number has more than 128 bits")
        case str() if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise _Unreadable("a text has U+0000 or half a surrogate pair")
        case list():
            return [_storable(item, depth + 1) for item in value]
        case dict():
            return {_text(_storable(name), ""): _storable(item, depth + 1) for name, item in value.items()}
        case _:
            return value  # null, truth, integer, text


def _object(value: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unreadable(otherwise)
    return value


def _text(value: Any, otherwise: str) -> str:
    if not isinstance(value, str):
        raise _Unreadable(otherwise)
    return value


def _index(holder: Any, name: str, absent: int, what: str) -> int:
    """The index that an object names; where there is no object at all, the place in the list."""
    if holder is None:
        return absent
    index = holder.get(name) if isinstance(holder, dict) else None
    if not _is_int(index, 0, INT64_MAX):
        raise _Unreadable(f"{what} has no index")
    return index


def _is_int(value: Any, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _hash(value: Any, at: str) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise NotDelivery(f"{at} is not 0x and 64 hex digits")
    return value.lower()


def ascii_json(value: object) -> str:
    """JSON that any text column can keep, half surrogate pairs included."""
    try:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    except RecursionError:  # it was parsed on a shallower stack than this one
        return '"nested too deep to be kept"'
