"""Chainhook deliveries in the shapes of the genuine ones, from plain values. Pure.

Say what happened on the chain with ``Block``, ``Tx`` and the events below; ``v1_decoded``, ``v1_raw``, ``v2`` and
``v2_bare`` write it as the two generations do, with all that a real body carries (``docs/chainhook.md``). The habits
imitated here were read off genuine bodies; those that break naive receivers:

- v1 lists the events of a transaction in any order and counts ``position.index`` over the whole block, other
  people's transactions included; v2 numbers operations from 0 in each transaction, the fee being the first.
- A transaction comes whole, and a failed one still lists the events that did not happen.
- Arrays that are sets come in any order; which one is drawn from the ``random.Random`` that is handed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from shared.domain import clarity
from shared.domain.clarity import Json

Body: TypeAlias = dict[str, Json]

SBTC = "ST1F7QA2MDF17S807EPA36TSS8AMEFY4KA9TVGWXT.sbtc-token::sbtc-token"
ANCHOR_AGE_S = 64  # a v1 timestamp is that of an older Bitcoin block
UNSEEN_EVENTS = 2  # how many events each transaction has that matched no hook
OK = clarity.Ok(clarity.Bool(True))
_FEE = 3000
_COST: dict[str, Json] = {
    "read_count": 21,
    "read_length": 45981,
    "runtime": 200572,
    "write_count": 6,
    "write_length": 927,
}


@dataclass(frozen=True, slots=True)
class Print:
    """What a contract printed."""

    contract: str
    value: clarity.Value

    @property
    def source(self) -> str:
        return self.contract


@dataclass(frozen=True, slots=True)
class NftMint:
    """``asset`` is a class, ``<contract id>::<asset name>``."""

    asset: str
    token_id: int
    recipient: str


@dataclass(frozen=True, slots=True)
class NftBurn:
    asset: str
    token_id: int
    sender: str


@dataclass(frozen=True, slots=True)
class NftTransfer:
    asset: str
    token_id: int
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class FtTransfer:
    """Tokens that moved along, sBTC as a rule. ``amount`` in the token's smallest unit."""

    amount: int
    sender: str
    recipient: str
    asset: str = SBTC


Event: TypeAlias = Print | NftMint | NftBurn | NftTransfer | FtTransfer


@dataclass(frozen=True, slots=True)
class Call:
    """The contract call that a transaction made."""

    contract: str
    function: str
    args: tuple[clarity.Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction with all its events in order. ``index`` is its place in the block.

    ``success`` False with events is an abort by a post-condition, without any one by the contract.
    """

    hash: str
    sender: str
    events: tuple[Event, ...]
    index: int = 0
    success: bool = True
    call: Call | None = None
    result: clarity.Value = OK
    nonce: int = 7


@dataclass(frozen=True, slots=True)
class Block:
    """One block of one fork with the transactions that matched; ``time`` in unix seconds."""

    height: int
    hash: str
    parent_hash: str
    time: int
    txs: tuple[Tx, ...]


Blocks: TypeAlias = Sequence[Block]
Render: TypeAlias = Callable[[Blocks, Blocks, Random], Body]


def v1_decoded(apply: Blocks, rollback: Blocks, rng: Random, hook: str = "bitpay-core") -> Body:
    """A body of the open-source service whose hook has ``decode_clarity_values``."""
    return _v1(apply, rollback, rng, hook, decoded=True)


def v1_raw(apply: Blocks, rollback: Blocks, rng: Random, hook: str = "bitpay-nft") -> Body:
    """The same from a hook without it: values as hex."""
    return _v1(apply, rollback, rng, hook, decoded=False)


def v2(apply: Blocks, rollback: Blocks, rng: Random, hook: str = "bitpay-all", network: str = "testnet") -> Body:
    """A body of the hosted service with decoding: values as ``{hex, repr}``."""
    return _v2(apply, rollback, rng, hook, network, decoded=True)


def v2_bare(apply: Blocks, rollback: Blocks, rng: Random, hook: str = "bitpay-bare", network: str = "testnet") -> Body:
    """The same without decoding: values as bare hex."""
    return _v2(apply, rollback, rng, hook, network, decoded=False)


RENDERINGS: tuple[Render, ...] = (v1_decoded, v1_raw, v2, v2_bare)


def encode(body: Body) -> bytes:
    """The bytes on the wire: compact, integers exact, v1's keys in alphabetical order."""
    return json.dumps(body, separators=(",", ":"), sort_keys="apply" in body, ensure_ascii=False).encode()


def fake_hash(*parts: object) -> str:
    """``0x`` and 64 hex digits that follow from the parts."""
    return "0x" + hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()


def event_indexes(block: Block) -> dict[str, range]:
    """v1's ``position.index`` of each transaction's events, by transaction hash."""
    found, due, others = {}, 0, 0
    for tx in sorted(block.txs, key=lambda tx: tx.index):
        due += (tx.index - others) * UNSEEN_EVENTS
        found[tx.hash] = range(due, due + len(tx.events))
        due += len(tx.events)
        others = tx.index + 1
    return found


def _v1(apply: Blocks, rollback: Blocks, rng: Random, hook: str, *, decoded: bool) -> Body:
    return {
        "apply": [_v1_block(block, rng, decoded=decoded) for block in apply],
        "chainhook": {
            "is_streaming_blocks": True,
            "predicate": {
                "contains": "-",
                "contract_identifier": _predicate(apply, rollback),
                "scope": "print_event",
            },
            "uuid": hook,
        },
        "events": [],
        "rollback": [_v1_block(block, rng, decoded=decoded) for block in rollback],
    }


def _predicate(apply: Blocks, rollback: Blocks) -> str:
    """The contract that a hook would have had to name to get this."""
    txs = (tx for block in (*apply, *rollback) for tx in block.txs)
    return next((_call(tx).contract for tx in txs), "")


def _v1_block(block: Block, rng: Random, *, decoded: bool) -> Json:
    bitcoin = block.height - 3_500_000 if block.height > 3_500_000 else block.height
    indexes = event_indexes(block)
    return {
        "block_identifier": {"hash": block.hash, "index": block.height},
        "metadata": {
            "bitcoin_anchor_block_identifier": {"hash": fake_hash("bitcoin", bitcoin), "index": bitcoin},
            "block_time": block.time,
            "confirm_microblock_identifier": None,
            "cycle_number": None,
            "pox_cycle_index": bitcoin // 20,
            "pox_cycle_length": 20,
            "pox_cycle_position": bitcoin % 20,
            "reward_set": None,
            "signer_bitvec": "013700000027" + "f" * 78,
            "signer_public_keys": _shuffled([f"0x02{fake_hash('signer', who)[2:]}" for who in range(3)], rng),
            "signer_signature": [f"00{fake_hash(block.hash, who)[2:] * 2}" for who in range(3)],
            "stacks_block_hash": fake_hash("stacks", block.hash),
            "tenure_height": block.height // 40,
        },
        "parent_block_identifier": {"hash": block.parent_hash, "index": block.height - 1},
        "timestamp": block.time - ANCHOR_AGE_S,
        "transactions": [_v1_tx(tx, indexes[tx.hash], rng, decoded=decoded) for tx in block.txs],
    }


def _v1_tx(tx: Tx, indexes: range, rng: Random, *, decoded: bool) -> Json:
    call = _call(tx)
    args = [written(arg, quote="") for arg in call.args]
    events = [_v1_event(event, index, decoded=decoded) for event, index in zip(tx.events, indexes, strict=True)]
    assets = {event.asset for event in tx.events if not isinstance(event, Print)}
    contracts = {event.contract if isinstance(event, Print) else event.asset.split("::")[0] for event in tx.events}
    return {
        "metadata": {
            "description": f"invoked: {call.contract}::{call.function}({', '.join(args)})",
            "execution_cost": dict(_COST),
            "fee": _FEE,
            "kind": {
                "data": {"args": [*args], "contract_identifier": call.contract, "method": call.function},
                "type": "ContractCall",
            },
            "nonce": tx.nonce,
            "position": {"index": tx.index},
            "raw_tx": f"0x80800000000400{fake_hash('raw', tx.hash)[2:] * 2}",
            "receipt": {
                "contract_calls_stack": [],
                "events": _shuffled(events, rng),
                "mutated_assets_radius": _shuffled(sorted(assets), rng),
                "mutated_contracts_radius": _shuffled(sorted(contracts), rng),
            },
            "result": written(_result(tx), quote=""),
            "sender": tx.sender,
            "sponsor": None,
            "success": tx.success,
        },
        "operations": list(_v1_operations(tx)),
        "transaction_identifier": {"hash": tx.hash},
    }


def _v1_event(event: Event, index: int, *, decoded: bool) -> Json:
    data: dict[str, Json]
    match event:
        case Print():
            kind = "SmartContractEvent"
            data = {"contract_identifier": event.contract, "topic": "print"}
            data |= {"value": clarity.plain(event.value)} if decoded else {"raw_value": _hex(event.value)}
        case FtTransfer():
            kind = "FTTransferEvent"
            data = {"amount": str(event.amount), "asset_identifier": event.asset, **_parties(event)}
        case NftMint() | NftBurn() | NftTransfer():
            kind = {NftMint: "NFTMintEvent", NftBurn: "NFTBurnEvent", NftTransfer: "NFTTransferEvent"}[type(event)]
            data = (
                {"asset_class_identifier": event.asset, "asset_identifier": event.token_id}
                if decoded
                else {"asset_identifier": event.asset, "raw_value": _hex(clarity.UInt(event.token_id))}
            )
            data |= _parties(event)
    return {"data": data, "position": {"index": index}, "type": kind}


def _parties(event: NftMint | NftBurn | NftTransfer | FtTransfer) -> dict[str, Json]:
    sides = {"recipient": getattr(event, "recipient", None), "sender": getattr(event, "sender", None)}
    return {side: address for side, address in sides.items() if address is not None}


def _v1_operations(tx: Tx) -> Iterator[Json]:
    """Rosetta entries of the assets that moved; the two sides of a transfer name each other."""
    index = 0
    for event in tx.events:
        if isinstance(event, Print):
            continue
        sides = _parties(event)
        for side in sorted(sides, reverse=True):  # what is taken comes before what is given
            entry: dict[str, Json] = {
                "account": {"address": sides[side]},
                "amount": _v1_amount(event),
                "operation_identifier": {"index": index},
                "status": "SUCCESS",
                "type": "DEBIT" if side == "sender" else "CREDIT",
            }
            if len(sides) == 2:
                entry["related_operations"] = [{"index": index + (1 if side == "sender" else -1)}]
            yield entry
            index += 1


def _v1_amount(event: NftMint | NftBurn | NftTransfer | FtTransfer) -> Json:
    fungible = isinstance(event, FtTransfer)
    token = None if isinstance(event, FtTransfer) else _hex(clarity.UInt(event.token_id))
    return {
        "currency": {
            "decimals": 6 if fungible else 0,
            "metadata": {
                "asset_class_identifier": event.asset,
                "asset_identifier": token,
                "standard": "SIP10" if fungible else "SIP09",
            },
            "symbol": "TOKEN" if fungible else event.asset,
        },
        "value": event.amount if isinstance(event, FtTransfer) else 1,
    }


def _v2(apply: Blocks, rollback: Blocks, rng: Random, hook: str, network: str, *, decoded: bool) -> Body:
    del rng  # nothing in a v2 body is known to come in any order
    return {
        "event": {
            "apply": [_v2_block(block, decoded=decoded) for block in apply],
            "rollback": [_v2_block(block, decoded=decoded) for block in rollback],
            "chain": "stacks",
            "network": network,
        },
        "chainhook": {
            "name": hook,
            "uuid": f"{fake_hash(hook)[2:10]}-0000-4000-8000-{fake_hash(hook)[10:22]}",
        },
    }


def _v2_block(block: Block, *, decoded: bool) -> Json:
    bitcoin = block.height - 3_500_000 if block.height > 3_500_000 else block.height
    return {
        "timestamp": block.time,
        "block_identifier": {"hash": block.hash, "index": block.height},
        "parent_block_identifier": {"hash": block.parent_hash, "index": block.height - 1},
        "transactions": [_v2_tx(tx, decoded=decoded) for tx in block.txs],
        "metadata": {
            "canonical": True,
            "burn_block_identifier": {"index": bitcoin, "hash": fake_hash("bitcoin", bitcoin)},
            "burn_block_timestamp": block.time - ANCHOR_AGE_S,
            "parent_microblock_identifier": None,
            "tenure_height": block.height // 40,
            "execution_cost": dict(_COST),
            "tx_total_size": 1203 * len(block.txs),
            "tx_count": len(block.txs),
        },
    }


def _v2_tx(tx: Tx, *, decoded: bool) -> Json:
    failed = "abort_by_post_condition" if tx.events else "abort_by_response"
    return {
        "metadata": {
            "type": "contract_call",
            "nonce": tx.nonce,
            "result": _v2_value(_result(tx), decoded=decoded),
            "status": "success" if tx.success else failed,
            "fee_rate": str(_FEE),
            "position": {"index": tx.index, "microblock_identifier": None},
            "execution_cost": dict(_COST),
            "sender_address": tx.sender,
            "sponsor_address": None,
            "canonical": True,
            "sponsored": False,
            "microblock_canonical": True,
            "vm_error": None,
        },
        "operations": [
            {**operation, "status": "success", "operation_identifier": {"index": index}}
            for index, operation in enumerate(_v2_operations(tx, decoded=decoded))
        ],
        "transaction_identifier": {"hash": tx.hash},
    }


def _v2_operations(tx: Tx, *, decoded: bool) -> Iterator[dict[str, Json]]:
    call, account = _call(tx), {"address": tx.sender}
    fee: dict[str, Json] = {"value": str(-_FEE), "currency": {"symbol": "STX", "decimals": 6}}
    yield {"type": "fee", "amount": fee, "account": {**account}, "metadata": {"sponsored": False}}
    args: list[Json] = [
        {"hex": _hex(arg), "repr": written(arg), "name": f"arg{place}", "type": _type(arg)}
        for place, arg in enumerate(call.args)
    ]
    called: dict[str, Json] = {
        "contract_identifier": call.contract,
        "function_name": call.function,
        "args": args,
    }
    yield {"type": "contract_call", "account": {**account}, "metadata": called}
    for event in tx.events:
        yield from _v2_event(event, decoded=decoded)


def _v2_event(event: Event, *, decoded: bool) -> Iterator[dict[str, Json]]:
    """One operation, or two for a transfer: first what is taken, then what is given."""
    if isinstance(event, Print):
        log = {"value": _v2_value(event.value, decoded=decoded), "contract_identifier": event.contract}
        yield {"type": "contract_log", "metadata": {"topic": "print", **log}}
        return
    token: dict[str, Json] = {"token_type": "ft", "asset_identifier": event.asset}
    amount = 1
    if isinstance(event, FtTransfer):
        amount = event.amount
    else:
        token |= {"token_type": "nft", "value": _v2_value(clarity.UInt(event.token_id), decoded=decoded)}
    kind = {NftMint: "token_mint", NftBurn: "token_burn"}.get(type(event), "token_transfer")
    sides = _parties(event)
    for side in sorted(sides, reverse=True):
        signed = -amount if side == "sender" else amount
        yield {
            "type": kind,
            "amount": {
                "value": str(signed),
                "currency": {"symbol": "", "decimals": 0, "metadata": {**token}},
            },
            "account": {"address": sides[side]},
        }


def _v2_value(value: clarity.Value, *, decoded: bool) -> Json:
    return {"hex": _hex(value), "repr": written(value)} if decoded else _hex(value)


def _call(tx: Tx) -> Call:
    """The call that was said, or any that could have caused the first event."""
    if tx.call:
        return tx.call
    for event in tx.events:
        return Call(event.contract if isinstance(event, Print) else event.asset.split("::")[0], "call")
    return Call(tx.sender, "call")


def _result(tx: Tx) -> clarity.Value:
    """A contract that refused says ``err``; an abort by a post-condition keeps its ``ok``."""
    return tx.result if tx.success or tx.events else clarity.Err(clarity.UInt(305))


def _hex(value: clarity.Value) -> str:
    return "0x" + clarity.encode(value).hex()


def _shuffled(items: Iterable[Json], rng: Random) -> list[Json]:
    return rng.sample(found := list(items), len(found))


def written(value: clarity.Value, quote: str = "'") -> str:
    """Clarity text, for eyes: ``u5``, ``(some …)``, ``(tuple (k v))``. v1 leaves out a principal's ``quote``."""
    match value:
        case clarity.UInt(number):
            return f"u{number}"
        case clarity.Int(number):
            return str(number)
        case clarity.Bool(truth):
            return "true" if truth else "false"
        case clarity.Principal(text):
            return quote + text
        case clarity.Ascii(text):
            return json.dumps(text)
        case clarity.Utf8(text):
            return "u" + json.dumps(text)
        case clarity.Buffer(raw):
            return f"0x{raw.hex()}"
        case clarity.Nothing():
            return "none"
        case clarity.Some(inner):
            return f"(some {written(inner, quote)})"
        case clarity.Ok(inner):
            return f"(ok {written(inner, quote)})"
        case clarity.Err(inner):
            return f"(err {written(inner, quote)})"
        case clarity.List(items):
            return f"({' '.join(['list', *(written(item, quote) for item in items)])})"
        case clarity.Tuple(fields):
            parts = (f"({name} {written(fields[name], quote)})" for name in sorted(fields))
            return f"({' '.join(['tuple', *parts])})"


def _type(value: clarity.Value) -> str:
    names: dict[type, str] = {clarity.UInt: "uint", clarity.Int: "int", clarity.Bool: "bool"}
    names |= {clarity.Principal: "principal", clarity.Buffer: "(buff 32)"}
    return names.get(type(value), "(optional uint)" if isinstance(value, clarity.Nothing) else "(string-ascii 64)")
