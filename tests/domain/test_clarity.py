"""Clarity values as bytes and as plain JSON, and addresses in their one true spelling."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain import clarity
from shared.domain.clarity import (
    Ascii,
    Bool,
    Buffer,
    Err,
    Int,
    List,
    NotClarity,
    Nothing,
    Ok,
    Principal,
    Some,
    Tuple,
    UInt,
    Utf8,
    Value,
)

U7 = "0100000000000000000000000000000007"
VAULT = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7.bitpay-core-v5"

VECTORS: list[tuple[Value, str]] = [
    (UInt(1), "0x0100000000000000000000000000000001"),
    (UInt(2**128 - 1), "0x01ffffffffffffffffffffffffffffffff"),
    (Int(-1), "0x00ffffffffffffffffffffffffffffffff"),
    (Bool(value=True), "0x03"),
    (Bool(value=False), "0x04"),
    (Nothing(), "0x09"),
    (Ok(Bool(value=True)), "0x0703"),
    (Some(UInt(1)), "0x0a0100000000000000000000000000000001"),
    (Err(UInt(305)), "0x080100000000000000000000000000000131"),
    (Buffer(bytes.fromhex("deadbeef")), "0x0200000004deadbeef"),
    (Ascii("stream-created"), "0x0d0000000e73747265616d2d63726561746564"),
    (Utf8("café"), "0x0e00000005636166c3a9"),
    (
        List((UInt(1), UInt(2))),
        "0x0b0000000201000000000000000000000000000000010100000000000000000000000000000002",
    ),
    (Principal("SP000000000000000000002Q6VF78"), "0x05160000000000000000000000000000000000000000"),
    (Principal("SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4"), "0x0514f6decc7cfff2a413bd7cd4f53c25ad7fd1899acc"),
    (Principal("SN1EZQR3ZY1EVRY3NGYBY5SQNRBRQECBAD6XDHPMM"), "0x05155dfbe07ff05dbc78758797e2e6f5c2f177316a69"),
    (Principal("ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7"), "0x051a9e3906d3219a6eef0b5a73731ade426c8801cb6f"),
    (Principal(VAULT), "0x061a9e3906d3219a6eef0b5a73731ade426c8801cb6f0e6269747061792d636f72652d7635"),
    (
        Tuple({"event": Ascii("x"), "ok": Bool(value=False), "stream-id": UInt(7)}),
        f"0x0c00000003056576656e740d0000000178026f6b040973747265616d2d6964{U7}",
    ),
]


@pytest.mark.parametrize(("value", "text"), VECTORS, ids=lambda it: str(it)[:20])
def test_a_value_has_these_bytes_and_these_bytes_that_value(value: Value, text: str) -> None:
    assert value == clarity.from_hex(text)
    assert text == "0x" + clarity.encode(value).hex()


PLAIN: list[tuple[Value, Any]] = [
    (UInt(2**128 - 1), 2**128 - 1),
    (Int(-1), -1),
    (Bool(value=True), True),
    (Nothing(), None),
    (Some(Nothing()), None),
    (Some(Some(UInt(1))), 1),
    (Ok(Bool(value=True)), {"result": {"success": True, "value": True}}),
    (Err(UInt(305)), {"result": {"success": False, "value": 305}}),
    (Buffer(b""), "0x"),
    (Buffer(b"\xde\xad"), "0xdead"),
    (Ascii("a"), "a"),
    (Utf8("café"), "café"),
    (Principal(VAULT), VAULT),
    (List(()), []),
    (List((UInt(1), Nothing())), [1, None]),
    (Tuple({"stream-id": UInt(7), "note": Some(Ascii("x"))}), {"stream-id": 7, "note": "x"}),
]


@pytest.mark.parametrize(("value", "plain"), PLAIN, ids=lambda it: str(it)[:20])
def test_a_value_reads_as_chainhook_decodes_it(value: Value, plain: object) -> None:
    assert plain == clarity.plain(value)
    assert type(plain) is type(clarity.plain(value))


# -- laws

ACCOUNTS = st.builds(clarity.address, st.integers(0, 31), st.binary(min_size=20, max_size=20))
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_?!-]{0,20}", fullmatch=True)
CONTRACTS = st.builds("{}.{}".format, ACCOUNTS, st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,40}", fullmatch=True))
LEAVES: st.SearchStrategy[Value] = st.one_of(
    st.integers(-(2**127), 2**127 - 1).map(Int),
    st.integers(0, 2**128 - 1).map(UInt),
    st.booleans().map(Bool),
    st.just(Nothing()),
    st.binary(max_size=40).map(Buffer),
    st.text(st.characters(max_codepoint=127), max_size=20).map(Ascii),
    st.text(max_size=20).map(Utf8),
    st.sampled_from(["\0", "a\0b", "\U0001f4a9"]).map(Utf8),
    (ACCOUNTS | CONTRACTS).map(Principal),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Some),
        inner.map(Ok),
        inner.map(Err),
        st.lists(inner, max_size=4).map(lambda items: List(tuple(items))),
        st.dictionaries(NAMES, inner, max_size=4).map(Tuple),
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_encoded_decodes_to_the_same(value: Value) -> None:
    raw = clarity.encode(value)
    assert value == clarity.decode(raw)
    assert raw == clarity.encode(clarity.decode(raw))
    assert clarity.plain(value) == clarity.plain(clarity.from_hex("0x" + raw.hex()))


@given(VALUES, st.binary(min_size=1, max_size=8))
def test_a_value_ends_where_its_bytes_end(value: Value, more: bytes) -> None:
    raw = clarity.encode(value)
    with pytest.raises(NotClarity):
        clarity.decode(raw + more)
    with pytest.raises(NotClarity):
        clarity.decode(raw[:-1])


WRAPPERS = st.sampled_from([Some, Ok, Err, lambda it: List((it,)), lambda it: Tuple({"x": it})])


@given(LEAVES, st.lists(WRAPPERS, min_size=33, max_size=40))
def test_a_value_nests_32_deep_and_no_deeper(leaf: Value, wrappers: list[Any]) -> None:
    value = leaf
    for wrap in wrappers[:32]:
        value = wrap(value)
    assert value == clarity.decode(clarity.encode(value))
    clarity.plain(value)
    for wrap in wrappers[32:]:
        value = wrap(value)
        with pytest.raises(NotClarity, match="deeper than 32"):
            clarity.decode(clarity.encode(value))


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x0a" * 5000)
@example(b"\x0b\x00\x00\x00\x01" * 5000)
def test_no_bytes_raise_anything_but_that_they_are_no_value(raw: bytes) -> None:
    assert_survived(raw)


def assert_survived(raw: bytes) -> None:
    """These bytes are a value that holds together, or none."""
    try:
        value = clarity.decode(raw)
    except NotClarity:
        return
    clarity.plain(value)
    assert value == clarity.decode(clarity.encode(value))


@given(VALUES, st.data())
def test_no_change_to_good_bytes_raises_anything_but_that_they_are_no_value(value: Value, data: st.DataObject) -> None:
    raw = bytearray(clarity.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert_survived(bytes(raw))


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_that_it_is_no_value(text: str) -> None:
    for given_text in (text, "0x" + text):
        with suppress(NotClarity):
            clarity.from_hex(given_text)


# -- what is refused

HOSTILE = {
    "nothing": "",
    "no prefix": U7,
    "prefix in capitals": "0X" + U7,
    "nothing behind the prefix": "0x",
    "odd": "0x0",
    "odd and long": "0x" + U7 + "0",
    "not hex": "0xzz",
    "white space": "0x" + U7[:10] + " " + U7[10:],
    "white space at the end": "0x" + U7 + "\n",
    "digits that are not ASCII": "0x\u0660\u0663",
    "uint too short": "0x" + U7[:-2],
    "int too short": "0x00" + "ff" * 15,
    "bytes left over": "0x" + U7 + "00",
    "two values": "0x0303",
    "unknown tag 0f": "0x0f",
    "unknown tag ff": "0xff",
    "some of nothing": "0x0a",
    "ok of nothing": "0x07",
    "buffer of 2^31": "0x0280000000",
    "buffer of 2^32-1": "0x02ffffffff00",
    "buffer longer than the bytes": "0x020000000200",
    "list of 2^31": "0x0b80000000",
    "list longer than the bytes": "0x0b0000000203",
    "list that ends early": "0x0b00000001" + U7[:-2],
    "tuple of 2^31": "0x0c80000000016103",
    "tuple key twice": "0x0c00000002" + "016103" * 2,
    "tuple key of no letters": "0x0c000000010003",
    "tuple key of other bytes": "0x0c0000000101ff03",
    "tuple key too long for the bytes": "0x0c0000000180" + "61" * 3,
    "tuple key of 129 letters": "0x0c0000000181" + "61" * 129 + "03",
    "tuple without value": "0x0c000000010161",
    "length cut off": "0x0d0000",
    "ascii of other bytes": "0x0d0000000180",
    "utf8 that is none": "0x0e00000001ff",
    "utf8 of a surrogate": "0x0e00000003eda080",
    "utf8 overlong": "0x0e00000002c0af",
    "utf8 cut off": "0x0e00000001c3",
    "principal too short": "0x051a" + "00" * 19,
    "principal version 32": "0x0520" + "00" * 20,
    "contract without a name": "0x061a" + "00" * 20 + "00",
    "contract name of other bytes": "0x061a" + "00" * 20 + "01ff",
    "contract name with a dot": "0x061a" + "00" * 20 + "03612e62",
    "contract name cut off": "0x061a" + "00" * 20 + "0561",
    "33 deep": "0x" + "0a" * 33 + "09",
    "200 deep": "0x" + "0a" * 200 + "09",
    "a million deep": "0x" + "0a" * 1_000_000 + "09",
    "200 lists deep": "0x" + "0b00000001" * 200 + "09",
    "200 tuples deep": "0x" + "0c000000010161" * 200 + "09",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_hex_is_no_value(name: str) -> None:
    with pytest.raises(NotClarity):
        clarity.from_hex(HOSTILE[name])


def test_hex_may_have_capitals() -> None:
    assert Buffer(b"\xde\xad") == clarity.from_hex("0x0200000002DeAD")


def test_a_tuple_is_written_in_the_order_of_its_names_and_read_in_any() -> None:
    unsorted = clarity.from_hex("0x0c00000002" + "016203" + "016104")
    assert Tuple({"a": Bool(value=False), "b": Bool(value=True)}) == unsorted
    assert "0c00000002" + "016104" + "016203" == clarity.encode(unsorted).hex()


# -- addresses


@given(st.integers(0, 31), st.binary(min_size=20, max_size=20))
@example(22, bytes(20))
@example(26, bytes(19) + b"\x01")
@example(20, b"\0\0" + b"\xff" * 18)
def test_an_address_is_one_text_and_that_text_the_address(version: int, hash160: bytes) -> None:
    text = clarity.address(version, hash160)
    assert (version, hash160) == clarity.parse_address(text)
    assert clarity.is_principal(text)
    assert clarity.is_principal(f"{text}.some-contract")
    assert 28 <= len(text) <= 41


@given(
    st.integers(0, 31), st.integers(0, 20).flatmap(lambda zeros: st.binary(min_size=20 - zeros, max_size=20 - zeros))
)
def test_leading_zero_bytes_are_leading_zero_digits(version: int, tail: bytes) -> None:
    hash160 = tail.rjust(20, b"\0")
    text = clarity.address(version, hash160)
    zeros = len(hash160) - len(hash160.lstrip(b"\0"))
    assert text[2:].startswith("0" * zeros)
    assert (version, hash160) == clarity.parse_address(text)


KNOWN = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7"


@given(st.integers(0, len(KNOWN) - 1), st.sampled_from(clarity.C32 + "ILOUiloubcd. \0\u0660"))
def test_one_wrong_letter_is_another_address_or_none(place: int, letter: str) -> None:
    text = KNOWN[:place] + letter + KNOWN[place + 1 :]
    assert (text == KNOWN) is clarity.is_principal(text)


@pytest.mark.parametrize(
    "text",
    [
        KNOWN.lower(),
        "st" + KNOWN[2:],
        KNOWN.replace("0", "O"),
        KNOWN.replace("1", "I"),
        KNOWN.replace("1", "L"),
        KNOWN[:2] + "0" + KNOWN[2:],
        KNOWN + "0",
        KNOWN[:-1],
        " " + KNOWN,
        KNOWN + "\n",
        "'" + KNOWN,
        "T" + KNOWN[1:],
        "SP000000000000000000002Q6VF7",
        "SP00000000000000000002Q6VF78",
        "SP0000000000000000000002Q6VF78",
        "",
        "S",
        "ST",
        "S" + "Z" * 40,
        "S" * 10_000,
        KNOWN + ".",
        KNOWN + ".1abc",
        KNOWN + ".a.b",
        KNOWN + ".a b",
        KNOWN + ".caf\u00e9",
        KNOWN + "." + "a" * 129,
        KNOWN + ".a\n",
        "." + KNOWN,
    ],
)
def test_other_spellings_are_no_principals(text: str) -> None:
    assert not clarity.is_principal(text)


@pytest.mark.parametrize("name", ["a", "bitpay-core-v5", "A_1", "a" * 128, "x--y"])
def test_a_contract_has_a_name(name: str) -> None:
    assert clarity.is_principal(f"{KNOWN}.{name}")
