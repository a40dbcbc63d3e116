"""The envelope of an emission, and the text in which it leaves."""

from __future__ import annotations

import json

import msgspec
import pytest

from shared.domain.entry import Emission, Offset
from shared.wire import Broadcast, Cause, name_and_data, payload, words
from tests.domain.places import at

FACTS = {"txHash": at().tx_hash, "blockHeight": 7, "blockHash": at().block.hash, "timestamp": at().block.time}


def envelope(emission: Emission, *, late: bool = False) -> dict[str, object]:
    cause = Cause(at(7, 3), "stream-odd", "apply", reapplied=True, late=late)
    found: dict[str, object] = json.loads(payload(emission, cause, Offset(18234, 3)))
    return found


def test_an_envelope_has_type_role_data_and_meta() -> None:
    place = at(7, 3)
    found = envelope(Emission("user:ST1", "stream:odd", "odd", {"streamId": "7", "none": None}, "sender"), late=True)
    assert ["type", "role", "data", "meta"] == list(found)
    assert ("odd", "sender") == (found["type"], found["role"])
    assert found["data"] == {"streamId": "7", "none": None, **FACTS, "txHash": place.tx_hash}
    assert found["meta"] == {
        "v": 1,
        "offset": "18234-3",
        "id": place.event_id,
        "room": "user:ST1",
        "op": "apply",
        "event": "stream-odd",
        "contract": place.contract,
        "txIndex": 3,
        "eventIndex": 3,
        "reapplied": True,
        "late": True,
    }


def test_a_broadcast_has_the_same_envelope_and_nothing_of_the_chain() -> None:
    encoded = payload(Emission("global", "notice", "notice", {"z": 1, "a": None}), Broadcast("ab" * 16), Offset(7, 0))
    found = json.loads(encoded)
    assert ["type", "data", "meta"] == list(found)
    assert ("notice", {"z": 1, "a": None}) == (found["type"], found["data"])
    assert found["meta"] == {
        "v": 1,
        "offset": "7-0",
        "id": "ab" * 16,
        "room": "global",
        "op": "broadcast",
        "event": None,
        "contract": None,
        "txIndex": None,
        "eventIndex": None,
        "reapplied": False,
        "late": False,
    }
    chain = envelope(Emission("stream:7", "stream:odd", "odd", {}))
    assert list(chain["meta"]) == list(found["meta"])  # type: ignore[call-overload]
    assert ("notice", {"z": 1, "a": None}) == name_and_data(words("notice", encoded))


def test_only_user_rooms_know_roles() -> None:
    assert ["type", "data", "meta"] == list(envelope(Emission("stream:7", "stream:odd", "odd", {})))


def test_data_always_ends_with_the_facts_of_the_chain() -> None:
    data = envelope(Emission("stream:7", "stream:odd", "odd", {"z": "1", "a": "2"}))["data"]
    assert isinstance(data, dict)
    assert ["z", "a", "txHash", "blockHeight", "blockHash", "timestamp"] == list(data)


@pytest.mark.parametrize(
    ("name", "flat"),
    [
        ("marketplace:sale", True),
        ("treasury:fee-collected", True),
        ("stream:updated", False),
        ("nft:minted", False),
        ("access-control:protocol", False),
        ("chain:reverted", False),
        ("marketplacex:sale", False),
    ],
)
def test_the_market_and_the_treasury_repeat_their_data_at_the_top(name: str, flat: bool) -> None:
    found = envelope(Emission("marketplace", name, "odd", {"price": "7"}))
    data = found["data"]
    assert isinstance(data, dict)
    assert flat is (data.keys() <= found.keys())
    assert {"type", "data", "meta"} == found.keys() - (data.keys() if flat else set())


def test_what_is_spoken_is_a_name_and_its_payload() -> None:
    said = words(
        "stream:odd", payload(Emission("stream:7", "stream:odd", "odd", {}), Cause(at(), "x", "apply"), Offset(1, 0))
    )
    name, found = json.loads(b"[" + said + b"]")
    assert "stream:odd" == name
    assert "odd" == found["type"]


def test_any_text_is_carried_exactly() -> None:
    strange = '\u2028 "\\ </script> caf\u00e9 \U0001f4a9 \u007f'
    encoded = payload(Emission("stream:7", "x", "odd", {"note": strange}), Cause(at(), "x", "apply"), Offset(1, 0))
    assert strange == msgspec.json.decode(encoded)["data"]["note"]
    assert b"\n" not in encoded
