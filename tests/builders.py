"""What happened on the chain and what Chainhook says of it, in words that read as a sentence.

``a_delivery().applies(block(7, stream_created())).encoded("v2")`` is the body of one POST. An event alone in a block is
a transaction of its own; ``tx(...)`` puts several into one. Hashes follow from the content: a transaction with the
same events and nonce is the same transaction in whichever block, and a block is named by its height and its fork, so
that ``block(8, fork="b")`` competes with ``block(8)`` and two hooks may tell of one block in parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from deploy.local import chainhook
from deploy.local.chainhook import Block, Body, Event, Print, Tx, encode, fake_hash
from ingest.delivery import Delivery, parse_json, read_delivery
from shared.domain import clarity
from shared.domain.chain import Contracts
from shared.domain.clarity import Ascii, Principal, UInt
from shared.settings import ingest_settings

CONTRACTS: Final[Contracts] = ingest_settings(
    {"DATABASE_URL": "postgresql://-/-", "REDIS_URL": "redis://-", "CHAINHOOK_SECRET_TOKEN": "-"}
).contracts
ALICE, BOB, CAROL, DAVE = (clarity.address(26, bytes([number]) * 20) for number in (1, 2, 3, 4))
GENESIS_S: Final = 1_760_000_000  # unix seconds; a block every ten
AMOUNT: Final = 1_000_000  # sats of a stream, when nothing else is said


def stream_created(
    stream_id: int = 1,
    *,
    sender: str = ALICE,
    recipient: str = BOB,
    amount: int = AMOUNT,
    start: int = 10,
    end: int = 110,
) -> Print:
    """Alice pays Bob."""
    return core_print(
        "stream-created",
        {
            "stream-id": UInt(stream_id),
            "sender": Principal(sender),
            "recipient": Principal(recipient),
            "amount": UInt(amount),
            "start-block": UInt(start),
            "end-block": UInt(end),
        },
    )


def stream_withdrawal(stream_id: int = 1, amount: int = AMOUNT // 4, *, recipient: str = BOB) -> Print:
    """Bob takes a part."""
    return core_print(
        "stream-withdrawal",
        {"stream-id": UInt(stream_id), "recipient": Principal(recipient), "amount": UInt(amount)},
    )


def stream_cancelled(
    stream_id: int = 1,
    *,
    sender: str = ALICE,
    returned: int = 495_000,
    fee: int = 5_000,
    paid: int = 250_000,
    at: int = 60,
) -> Print:
    """Alice ends it."""
    return core_print(
        "stream-cancelled",
        {
            "stream-id": UInt(stream_id),
            "sender": Principal(sender),
            "unvested-returned": UInt(returned),
            "cancellation-fee": UInt(fee),
            "vested-paid": UInt(paid),
            "cancelled-at-block": UInt(at),
        },
    )


def stream_sender_updated(
    stream_id: int = 1, *, old: str = ALICE, new: str = CAROL, transfer_type: str = "direct"
) -> Print:
    """Carol pays from now on."""
    return core_print(
        "stream-sender-updated",
        {
            "stream-id": UInt(stream_id),
            "old-sender": Principal(old),
            "new-sender": Principal(new),
            "transfer-type": Ascii(transfer_type),
        },
    )


def core_print(event: str, fields: dict[str, clarity.Value]) -> Print:
    """Any print of the core contract."""
    return Print(CONTRACTS.core, clarity.Tuple({"event": Ascii(event), **fields}))


def without(event: Print, *names: str) -> Print:
    """The print with these fields left out."""
    assert isinstance(event.value, clarity.Tuple)
    return replace(
        event, value=clarity.Tuple({name: it for name, it in event.value.fields.items() if name not in names})
    )


def having(event: Print, **fields: clarity.Value) -> Print:
    """The print with these fields added or replaced; hyphens are written as underscores."""
    assert isinstance(event.value, clarity.Tuple)
    changed = {name.replace("_", "-"): value for name, value in fields.items()}
    return replace(event, value=clarity.Tuple({**event.value.fields, **changed}))


def tx(*events: Event, index: int | None = None, sender: str = ALICE, success: bool = True, nonce: int = 0) -> Tx:
    """Events in one transaction; ``index`` is its place in the block, or its place among those that are named."""
    tx_hash = fake_hash("tx", *map(_content, events), sender, nonce)
    return Tx(tx_hash, sender, events, -1 if index is None else index, success, nonce=nonce)


def _content(event: Event) -> str:
    return f"{event.contract}:{clarity.encode(event.value).hex()}" if isinstance(event, Print) else repr(event)


def block(height: int, *told: Event | Tx, fork: str = "a", parent: str | None = None) -> Block:
    """A block of one fork; ``parent`` is the fork of the block below it."""
    txs = [it if isinstance(it, Tx) else tx(it) for it in told]
    return Block(
        height,
        block_hash(height, fork),
        block_hash(height - 1, parent or fork),
        GENESIS_S + 10 * height,
        tuple(replace(it, index=place) if it.index < 0 else it for place, it in enumerate(txs)),
    )


def block_hash(height: int, fork: str = "a") -> str:
    """The name of that block."""
    return fake_hash("block", height, fork)


@dataclass(frozen=True, slots=True)
class ADelivery:
    """One POST of Chainhook, before it takes one of its forms."""

    rolled_back: tuple[Block, ...] = ()
    applied: tuple[Block, ...] = ()

    def applies(self, *blocks: Block) -> ADelivery:
        return replace(self, applied=self.applied + blocks)

    def rolls_back(self, *blocks: Block) -> ADelivery:
        return replace(self, rolled_back=self.rolled_back + blocks)

    def body(self, form: str = "v1", *, seed: int = 0) -> dict[str, Any]:
        """Its JSON in one of ``FORMS``; ``seed`` draws the order of what has none."""
        return FORMS[form](self, Random(seed))

    def encoded(self, form: str = "v1", *, seed: int = 0) -> bytes:
        """Its bytes on the wire."""
        return encode(self.body(form, seed=seed))

    def read(self, form: str = "v1", *, seed: int = 0) -> Delivery:
        """As ingest reads it."""
        return read_delivery(parse_json(self.encoded(form, seed=seed)), CONTRACTS, "testnet")


def a_delivery() -> ADelivery:
    """A delivery that says nothing yet."""
    return ADelivery()


def _plain(render: chainhook.Render) -> Callable[[ADelivery, Random], Body]:
    return lambda delivery, rng: render(delivery.applied, delivery.rolled_back, rng)


def _before_positions(delivery: ADelivery, rng: Random) -> dict[str, Any]:
    """v1 before 1.3.1: events have no position, so they stand in their order; no signer messages; a ``proof``."""
    body: dict[str, Any] = chainhook.v1_raw(delivery.applied, delivery.rolled_back, rng)
    del body["events"]
    for metadata in _metadata_of_transactions(body):
        metadata["proof"] = None
        events = metadata["receipt"]["events"]
        events.sort(key=lambda event: event["position"]["index"])
        for event in events:
            del event["position"]
    return body


def _decoded_objects(delivery: ADelivery, rng: Random) -> dict[str, Any]:
    """v2 whose logs carry values that are decoded already, as some integrators report."""
    body: dict[str, Any] = chainhook.v2(delivery.applied, delivery.rolled_back, rng)
    for name in ("apply", "rollback"):
        for told in body["event"][name]:
            for transaction in told["transactions"]:
                for operation in transaction["operations"]:
                    if operation["type"] == "contract_log":
                        log = operation["metadata"]
                        log["value"] = clarity.plain(clarity.from_hex(log["value"]["hex"]))
    return body


def _metadata_of_transactions(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [tx["metadata"] for name in ("apply", "rollback") for told in body[name] for tx in told["transactions"]]


FORMS: Final[dict[str, Callable[[ADelivery, Random], dict[str, Any]]]] = {
    "v1": _plain(chainhook.v1_decoded),
    "v1-raw": _plain(chainhook.v1_raw),
    "v1-before-positions": _before_positions,
    "v2": _plain(chainhook.v2),
    "v2-bare": _plain(chainhook.v2_bare),
    "v2-objects": _decoded_objects,
}
