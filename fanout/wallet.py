"""What a wallet signs to prove its address, and whether it did. Pure.

The wallet's side is ``stx_signMessage`` of the Stacks libraries: ECDSA over secp256k1 of the SHA-256 of a prefix, the
message's length in bytes as a Bitcoin varint, and the message.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from coincurve import PublicKey

from shared.domain.clarity import parse_address

Purpose = Literal["connection", "payment"]
PURPOSES: Final[dict[Purpose, str]] = {"connection": "Sign in", "payment": "Confirm a payment"}
SINGLE_SIG: Final = {"mainnet": 22, "testnet": 26}  # versions of addresses that one key owns
MESSAGE_MAX: Final = 2048  # characters

_PREFIX: Final = b"\x17Stacks Signed Message:\n"
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1's group
_NONCE: Final = re.compile(r"^Nonce: ([A-Za-z0-9_-]{22,64})$", re.MULTILINE)
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What one wallet is asked to sign. Times in unix seconds."""

    domain: str
    address: str
    network: str
    purpose: Purpose
    nonce: str
    issued_at: int
    expires_at: int

    def text(self) -> str:
        """The message, to be signed as it is."""
        return (
            f"{PURPOSES[self.purpose]} at {self.domain} with the Stacks account\n{self.address}\n\n"
            "Signing is free and sends no transaction. Sign only if you are at this site.\n\n"
            f"Domain: {self.domain}\nNetwork: {self.network}\nPurpose: {self.purpose}\nNonce: {self.nonce}\n"
            f"Issued at: {_time(self.issued_at)}\nExpires at: {_time(self.expires_at)}"
        )


def nonce_of(message: str) -> str | None:
    """The nonce in a message that ``Challenge.text`` may have made."""
    found = _NONCE.findall(message)
    return found[0] if len(found) == 1 else None


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def signed_by(message: str, signature: str, public_key: str, address: str, network: str) -> bool:
    """Whether the key of that address has signed the message.

    ``signature``: 65 bytes in hex, r s v or v r s, with the low one of the two values of s that ECDSA has: the other
    would make a second signature of the first one. ``public_key``: 33 or 65 bytes in hex.
    """
    key, signed = _bytes(public_key, (33, 65)), _bytes(signature, (65,))
    if key is None or signed is None or not _owns(key, address, network):
        return False
    try:
        owner = PublicKey(key)
    except ValueError:
        return False
    digest = message_hash(message)
    return any(_verifies(owner, digest, rs) for rs in _layouts(signed))


def message_hash(message: str) -> bytes:
    """What the wallet's key signs."""
    encoded = message.encode()
    return hashlib.sha256(_PREFIX + _varint(len(encoded)) + encoded).digest()


def _owns(key: bytes, address: str, network: str) -> bool:
    try:
        version, hashed = parse_address(address)
    except ValueError:
        return False
    return version == SINGLE_SIG[network] and hashed == hash160(key)


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256, as in every address."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest(), usedforsecurity=False).digest()


def _layouts(signed: bytes) -> list[bytes]:
    """r and s, for each layout in which v is a recovery id."""
    found = []
    if signed[64] < 4:
        found.append(signed[:64])
    if signed[0] < 4:
        found.append(signed[1:])
    return found


def _verifies(owner: PublicKey, digest: bytes, rs: bytes) -> bool:
    r, s = int.from_bytes(rs[:32]), int.from_bytes(rs[32:])
    if not (0 < r < _ORDER and 0 < s <= _ORDER // 2):
        return False
    body = _der(r) + _der(s)
    return bool(owner.verify(b"\x30" + bytes((len(body),)) + body, digest, hasher=None))


def _der(number: int) -> bytes:
    encoded = number.to_bytes(number.bit_length() // 8 + 1)
    return b"\x02" + bytes((len(encoded),)) + encoded


def _varint(number: int) -> bytes:
    if number < 0xFD:
        return bytes((number,))
    return b"\xfd" + number.to_bytes(2, "little") if number < 0x10000 else b"\xfe" + number.to_bytes(4, "little")


def _bytes(text: str, sizes: tuple[int, ...]) -> bytes | None:
    text = text.removeprefix("0x")
    return bytes.fromhex(text) if len(text) // 2 in sizes and _HEX.fullmatch(text) else None
