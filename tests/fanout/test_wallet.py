"""A signature proves an address, or it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fanout.wallet import Challenge, hash160, message_hash, nonce_of, signed_by
from shared.domain.clarity import address

VECTORS: list[dict[str, str]] = json.loads((Path(__file__).parent / "vectors/wallet.json").read_text())["vectors"]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
OTHER = {"mainnet": "testnet", "testnet": "mainnet"}
KEY = PrivateKey(b"\x07" * 32)
CHALLENGE = Challenge("app.example.com", "ST000", "testnet", "connection", "n" * 32, 1_760_000_000, 1_760_000_300)


def proves(it: dict[str, str], **other: str) -> bool:
    said = {**it, "signature": it["rsv"], **other}
    return signed_by(said["message"], said["signature"], said["publicKey"], said["address"], said["network"])


@pytest.mark.parametrize("it", VECTORS, ids=lambda it: f"{it['network']}-{len(it['message'])}")
def test_what_the_wallets_own_libraries_sign_is_verified_in_both_layouts(it: dict[str, str]) -> None:
    assert it["messageHash"] == message_hash(it["message"]).hex()
    assert proves(it)
    assert proves(it, signature=it["vrs"])
    assert proves(it, signature=f"0x{it['rsv'].upper()}", publicKey=f"0x{it['publicKey']}")


@pytest.mark.parametrize("it", VECTORS, ids=lambda it: f"{it['network']}-{len(it['message'])}")
def test_whatever_is_changed_proves_nothing(it: dict[str, str]) -> None:
    another = next(vector for vector in VECTORS if vector is not it and vector["network"] == it["network"])
    r, s, v = it["rsv"][:64], int(it["rsv"][64:128], 16), it["rsv"][128:]
    assert not proves(it, message=it["message"] + " ")
    assert not proves(it, address=another["address"])
    assert not proves(it, publicKey=another["publicKey"])
    assert not proves(it, address=another["address"], publicKey=another["publicKey"])
    assert not proves(it, network=OTHER[it["network"]])
    assert not proves(it, signature=f"{r}{ORDER - s:064x}{v}"), "the other s of the same signature"
    assert not proves(it, signature=f"{r}{ORDER - s:064x}{int(v, 16) ^ 1:02x}")
    assert not proves(it, signature=f"{r}{'0' * 64}{v}")
    assert not proves(it, signature=it["rsv"][:-2])
    assert not proves(it, signature=it["rsv"] + "00")
    assert not proves(it, signature=f"{r}{s:064x}1b")
    assert not proves(it, signature="zz" * 65)


def test_an_address_of_several_keys_or_of_a_contract_is_proven_by_nobody() -> None:
    public = KEY.public_key.format()
    signature = KEY.sign_recoverable(message_hash("m"), hasher=None).hex()
    for version, good in ((26, True), (21, False), (22, False), (20, False)):
        assert good == signed_by("m", signature, public.hex(), address(version, hash160(public)), "testnet")
    assert not signed_by("m", signature, public.hex(), f"{address(26, hash160(public))}.contract", "testnet")
    assert not signed_by("m", signature, public.hex(), "nobody", "testnet")


@given(st.data())
def test_no_damaged_signature_is_accepted(data: st.DataObject) -> None:
    it = data.draw(st.sampled_from(VECTORS))
    place = data.draw(st.integers(0, 63))
    damage = data.draw(st.integers(1, 255))
    signature = bytearray.fromhex(it["rsv"])
    signature[place] ^= damage
    assert not proves(it, signature=signature.hex())


def test_a_hundred_thousand_made_up_proofs_raise_nothing_and_prove_nothing() -> None:
    rng, it = Random(1), VECTORS[0]
    texts = ["", "00", "0x", "é", "\x00", "f" * 130, "0" * 130, it["rsv"], it["publicKey"], it["address"]]

    def made_up() -> str:
        return rng.choice(texts) if rng.random() < 0.2 else rng.randbytes(rng.choice((0, 1, 32, 33, 64, 65, 66))).hex()

    for _ in range(100_000):
        signature, key = made_up(), it["publicKey"] if rng.random() < 0.3 else made_up()
        if signature != it["rsv"] or key != it["publicKey"]:
            assert not proves(it, signature=signature, publicKey=key)


def test_a_challenge_says_all_that_is_agreed_to_and_differs_where_anything_does() -> None:
    text = CHALLENGE.text()
    for said in ("app.example.com", "ST000", "testnet", "n" * 32, "2025-10-09T08:53:20Z", "2025-10-09T08:58:20Z"):
        assert said in text
    others: list[dict[str, Any]] = [
        {"domain": "evil.example.com"},
        {"address": "ST001"},
        {"network": "mainnet"},
        {"purpose": "payment"},
        {"nonce": "m" * 32},
        {"issued_at": 1},
        {"expires_at": 1},
    ]
    assert len(others) + 1 == len({text, *(replace(CHALLENGE, **other).text() for other in others)})


@given(st.text())
def test_a_nonce_is_found_only_where_there_is_one(text: str) -> None:
    assert "n" * 32 == nonce_of(CHALLENGE.text())
    assert nonce_of(f"{CHALLENGE.text()}\nNonce: {'m' * 32}") is None
    assert nonce_of(text) is None or "Nonce: " in text
