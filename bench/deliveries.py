"""Deliveries for benchmarks: v1 bodies of stream events, as many and as large as wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

CORE = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7.bitpay-core-v5"
SENDER = "ST28KFP5Z4JR6BHFHKNF8Q76BZP7K4PAB33KYWRNH"
RECIPIENT = "ST2SYNDPW9DBS2EJ81XY9EA9D8MY9KFVARTT9RTXW"


def _hash(text: str) -> str:
    return "0x" + hashlib.sha256(text.encode()).hexdigest()


def created(stream_id: int) -> dict[str, Any]:
    """The print of a new stream."""
    return {
        "event": "stream-created",
        "stream-id": stream_id,
        "sender": SENDER,
        "recipient": RECIPIENT,
        "amount": 10**9,
        "start-block": 1,
        "end-block": 10**6,
    }


def withdrawn(stream_id: int, amount: int = 1) -> dict[str, Any]:
    """The print of a withdrawal."""
    return {"event": "stream-withdrawal", "stream-id": stream_id, "recipient": RECIPIENT, "amount": amount}


def transaction(tx_hash: str, index: int, value: dict[str, Any], event_index: int) -> dict[str, Any]:
    """A decoded v1 transaction with one print, as large as a small genuine one."""
    return {
        "transaction_identifier": {"hash": tx_hash},
        "operations": [],
        "metadata": {
            "success": True,
            "result": "(ok true)",
            "sender": SENDER,
            "nonce": index,
            "fee": 3000,
            "kind": {"type": "ContractCall", "data": {"contract_identifier": CORE, "method": "x", "args": []}},
            "position": {"index": index},
            "raw_tx": "0x" + "ab" * 200,
            "receipt": {
                "contract_calls_stack": [],
                "events": [
                    {
                        "type": "SmartContractEvent",
                        "position": {"index": event_index},
                        "data": {"contract_identifier": CORE, "topic": "print", "value": value},
                    }
                ],
                "mutated_assets_radius": [],
                "mutated_contracts_radius": [CORE],
            },
        },
    }


def block(height: int, values: list[dict[str, Any]], salt: str = "") -> dict[str, Any]:
    """One block with a transaction for each print."""
    name = f"{salt}{height}"
    return {
        "block_identifier": {"index": height, "hash": _hash(f"block {name}")},
        "parent_block_identifier": {"index": height - 1, "hash": _hash(f"block {salt}{height - 1}")},
        "timestamp": 1_760_000_000 + height,
        "metadata": {"block_time": 1_760_000_060 + height},
        "transactions": [transaction(_hash(f"tx {name} {i}"), i, value, i) for i, value in enumerate(values)],
    }


def body(*blocks: dict[str, Any], rollback: Sequence[dict[str, Any]] = ()) -> bytes:
    """The v1 body that applies these blocks, after rolling back others (tip first)."""
    hook = {"uuid": "bench", "predicate": {"scope": "print_event"}, "is_streaming_blocks": True}
    return json.dumps({"apply": list(blocks), "rollback": list(rollback), "events": [], "chainhook": hook}).encode()
