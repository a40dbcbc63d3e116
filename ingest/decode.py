"""What one event of a transaction says, in either generation's words. Pure.

Both generations are put into one form: an element of ours with its source, its index and its value as
``clarity.plain`` writes it. The contract is compared whole, before anything else is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeGuard

from shared.domain.chain import INT64_MAX, Contracts
from shared.domain.clarity import MAX_DEPTH, U128_MAX, Json, NotClarity, UInt, from_hex, is_principal, plain

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_JSON_DEPTH = 2 * (MAX_DEPTH + 1)  # a result is two objects, one in the other

Kind: TypeAlias = Literal["print", "asset"]


class Unfit(Exception):
    """Something in a transaction cannot be read, for the reason given."""


@dataclass(frozen=True, slots=True)
class Told:
    """An element of ours, and where its value stands: as hex under ``raw``, or under ``decoded`` in another dress."""

    source: str
    kind: Kind
    name: str  # of an asset event; a print says its own
    holder: dict[str, Any]
    raw: str | None
    decoded: str | None
    owner: object = None  # of an asset event, as told
    nested: bool = False  # v2: the value may be ``{hex, repr}`` or bare hex


@dataclass(frozen=True, slots=True)
class Element:
    """An element of ours, read as far as it can be: without a value there is a reason."""

    source: str
    index: int
    kind: Kind
    name: str
    value: dict[str, Json] | None
    reason: str
    raw: object


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one generation calls things. Each function raises ``Unfit``."""

    success: Callable[[dict[str, Any]], bool]  # of a transaction's metadata
    sender: str
    elements: Callable[[dict[str, Any]], list[Any]]  # of a transaction
    position: str
    tell: Callable[[dict[str, Any], Contracts], Told | None]  # of an element; None where it is not ours

    def element(self, element: Any, at: int, contracts: Contracts) -> Element | None:
        """What is ours of one event or operation, or None; ``at`` is its place in the list. Raises ``Unfit``."""
        body = an_object(element, "it is no object")
        told = self.tell(body, contracts)
        if told is None:
            return None
        index = at
        try:
            index = index_of(body.get(self.position), at, self.position)
            name, value = _named(told, value_of(told))
        except Unfit as unfit:
            return Element(told.source, index, told.kind, told.name, None, str(unfit), element)
        return Element(told.source, index, told.kind, name, value, "", element)


def _named(told: Told, value: Json) -> tuple[str, dict[str, Json]]:
    """The event's name and fields; an asset event's are ``token-id`` and ``owner``."""
    if told.kind == "print":
        name = value.get("event") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(name, str):
            raise Unfit("the print is no tuple with a text event")
        return name, value
    if not is_int(value, 0, INT64_MAX):
        raise Unfit("the token id is no uint below 2^63")
    if not isinstance(told.owner, str) or not is_principal(told.owner):
        raise Unfit("the token's owner is no principal")
    return told.name, {"token-id": value, "owner": told.owner}


def _success_v1(metadata: dict[str, Any]) -> bool:
    success = metadata.get("success")
    if not isinstance(success, bool):
        raise Unfit("metadata.success is neither true nor false")
    return success


def _success_v2(metadata: dict[str, Any]) -> bool:
    return a_text(metadata.get("status"), "metadata.status is no text") == "success"


def _elements_v1(tx: dict[str, Any]) -> list[Any]:
    receipt = an_object(tx["metadata"].get("receipt"), "metadata.receipt is no object")
    return _a_list(receipt.get("events"), "metadata.receipt.events is no list")


def _elements_v2(tx: dict[str, Any]) -> list[Any]:
    return _a_list(tx.get("operations"), "operations is no list")


def _tell_v1(body: dict[str, Any], contracts: Contracts) -> Told | None:
    kind = a_text(body.get("type"), "its type is no text")
    if kind not in ("SmartContractEvent", "NFTMintEvent", "NFTBurnEvent"):
        return None
    data = an_object(body.get("data"), "its data is no object")
    if kind == "SmartContractEvent":
        contract = a_text(data.get("contract_identifier"), "its contract is no text")
        if contracts.role_of(contract) is None or data.get("topic") != "print":
            return None
        return Told(contract, "print", "", data, "raw_value", "value")
    verb, owner = ("mint", "recipient") if kind == "NFTMintEvent" else ("burn", "sender")
    decoded = "asset_class_identifier" in data  # decoding turns asset_identifier from the class into the id
    asset = data.get("asset_class_identifier" if decoded else "asset_identifier")
    source = f"{a_text(asset, 'its asset class is no text')}/{verb}"
    if source not in contracts.asset_sources():
        return None
    name = "asset_identifier" if decoded else None
    return Told(source, "asset", f"nft-{verb}", data, "raw_value", name, owner=data.get(owner))


def _tell_v2(body: dict[str, Any], contracts: Contracts) -> Told | None:
    kind = a_text(body.get("type"), "its type is no text")
    if kind not in ("contract_log", "token_mint", "token_burn"):
        return None
    if kind == "contract_log":
        metadata = an_object(body.get("metadata"), "its metadata is no object")
        contract = a_text(metadata.get("contract_identifier"), "its contract is no text")
        if contracts.role_of(contract) is None or metadata.get("topic") != "print":
            return None
        return Told(contract, "print", "", metadata, None, "value", nested=True)
    amount = an_object(body.get("amount"), "its amount is no object")
    token = an_object(amount.get("currency"), "its currency is no object").get("metadata")
    if not isinstance(token, dict) or token.get("token_type") != "nft":
        return None
    verb = kind.removeprefix("token_")
    source = f"{a_text(token.get('asset_identifier'), 'its asset class is no text')}/{verb}"
    if source not in contracts.asset_sources():
        return None
    account = body.get("account")
    owner = account.get("address") if isinstance(account, dict) else None
    return Told(source, "asset", f"nft-{verb}", token, None, "value", owner=owner, nested=True)


V1: Final = Dialect(_success_v1, "sender", _elements_v1, "position", _tell_v1)
V2: Final = Dialect(_success_v2, "sender_address", _elements_v2, "operation_identifier", _tell_v2)


def value_of(told: Told) -> Json:
    """The value in the plain form of ``clarity.plain``, whichever way it was told. Raises ``Unfit``."""
    if told.raw is not None and told.raw in told.holder:
        return _from_hex(told.holder[told.raw])
    if told.decoded is None or told.decoded not in told.holder:
        raise Unfit("it has no value")
    value = told.holder[told.decoded]
    if told.nested:
        if isinstance(value, dict) and "hex" in value:
            return _from_hex(value["hex"])
        if isinstance(value, str) and told.kind == "asset" and re.fullmatch(r"u\d{1,39}", value):
            return int(value[1:])
        if isinstance(value, str):
            return _from_hex(value)
    return _storable(value)


def _from_hex(text: object) -> Json:
    if not isinstance(text, str):
        raise Unfit("its hex is no text")
    try:
        value = from_hex(text)
    except NotClarity as wrong:
        raise Unfit(f"no Clarity value: {wrong}") from None
    return value.value if isinstance(value, UInt) else _storable(plain(value))


def _storable(value: Any, depth: int = 0) -> Json:
    """A decoded value that Clarity has and Postgres can keep as it is. Raises ``Unfit``."""
    if depth > _JSON_DEPTH:
        raise Unfit("it is nested deeper than Clarity allows")
    match value:
        case float():
            raise Unfit("it has a fraction, which Clarity has not")
        case int() if not -(2**127) <= value <= U128_MAX:
            raise Unfit("a number has more than 128 bits")
        case str() if _UNSTORABLE.search(value):
            raise Unfit("a text has U+0000 or half a surrogate pair")
        case list():
            return [_storable(item, depth + 1) for item in value]
        case dict():
            return {a_text(_storable(name), ""): _storable(item, depth + 1) for name, item in value.items()}
        case None | bool() | int() | str():
            return value
        case _:
            raise Unfit("it is nothing that JSON has")


def an_object(value: Any, otherwise: str) -> dict[str, Any]:
    """The object that a value is; raises ``Unfit`` with the reason ``otherwise``."""
    if not isinstance(value, dict):
        raise Unfit(otherwise)
    return value


def _a_list(value: Any, otherwise: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit(otherwise)
    return value


def a_text(value: Any, otherwise: str) -> str:
    """The text that a value is; raises ``Unfit`` with the reason ``otherwise``."""
    if not isinstance(value, str):
        raise Unfit(otherwise)
    return value


def index_of(holder: Any, absent: int, what: str) -> int:
    """The index that an object names; where there is no object at all, the place in the list."""
    if holder is None:
        return absent
    index = holder.get("index") if isinstance(holder, dict) else None
    if not is_int(index, 0, INT64_MAX):
        raise Unfit(f"{what} has no index")
    return index


def is_int(value: Any, low: int, high: int) -> TypeGuard[int]:
    """Whether this is an integer of that range; true and 1.0 are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
