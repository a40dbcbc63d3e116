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
from typing import Any, NoReturn, TypeAlias

import msgspec

from ingest.decode import V1, V2, Dialect, Element, Kind, Unfit, an_object, index_of, is_int
from shared.domain.chain import INT64_MAX, BlockRef, Contracts, Place
from shared.domain.clarity import Json, is_principal
from shared.errors import Rejected

YEAR_9999 = 253402300799  # unix seconds
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
    kind: Kind
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
    reader = _Reader(contracts, V2 if second else V1)
    envelope, at = (nested, "event.") if second else (body, "")
    rollback = reader.blocks(envelope, "rollback", at)
    apply = reader.blocks(envelope, "apply", at)
    return Delivery(
        hook=uuid if isinstance(uuid, str) else "",
        rollback=tuple(sorted(rollback, key=lambda block: -block.ref.height)),
        apply=tuple(sorted(apply, key=lambda block: block.ref.height)),
    )


class _Reader:
    """Reads the blocks of one body."""

    def __init__(self, contracts: Contracts, dialect: Dialect) -> None:
        self._contracts, self._dialect = contracts, dialect

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
        if not is_int(height, 0, INT64_MAX):
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
        own = metadata.get("block_time") if self._dialect is V1 and isinstance(metadata, dict) else None
        time = block.get("timestamp") if own is None else own
        if not is_int(time, 0, YEAR_9999):
            raise NotDelivery(f"{at} has no time in unix seconds")
        return time

    def _transaction(self, block: BlockRef, tx_hash: str, at: int, tx: dict[str, Any]) -> Iterator[Observed]:
        """What a transaction did to our contracts. Ranks count every element of a source, readable or not."""

        def place(source: str, rank: int, index: int, tx_index: int = at, sender: str | None = None) -> Place:
            return Place(block, tx_hash, tx_index, sender, source, rank, index)

        try:
            metadata = an_object(tx.get("metadata"), "metadata is no object")
            if not self._dialect.success(metadata):
                return
            elements = self._dialect.elements(tx)
            tx_index = index_of(metadata.get("position"), at, "the transaction's position")
        except Unfit as unfit:
            yield Unreadable(place("transaction", 0, 0), str(unfit), ascii_json(tx))
            return
        sender = metadata.get(self._dialect.sender)
        sender = sender if isinstance(sender, str) and is_principal(sender) else None
        ours: list[Element] = []
        for i, element in enumerate(elements):
            try:
                if found := self._dialect.element(element, i, self._contracts):
                    ours.append(found)
            except Unfit as unfit:  # and so nobody knows whose it is
                where = place("element", i, i, tx_index, sender)
                yield Unreadable(where, f"element {i}: {unfit}", ascii_json(element))
        ranks: Counter[str] = Counter()
        for found in sorted(ours, key=lambda element: element.index):
            where = place(found.source, ranks[found.source], found.index, tx_index, sender)
            ranks[found.source] += 1
            if found.value is None:
                yield Unreadable(where, found.reason, ascii_json(found.raw))
            else:
                yield Readable(where, found.kind, found.name, found.value)


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
