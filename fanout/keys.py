"""The public keys of a back end that issues tokens: its JSON Web Key Set (RFC 7517), fetched and kept.

Which algorithm a key may verify follows from what the key is, never from what a token says: a token names a row of the
table (key id, algorithm), and there is such a row or not. Secrets have no row here, so no public key is ever one.

The set is fetched every ten minutes, and sooner where a token names a key id that is not in it, as after a rotation.
Made-up ids bring that about no more often than every other second, and whoever waits for such a fetch shares it. While
the source is away the last set holds, as long as the longest token lives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from fanout.metrics import KEY_FETCHES
from shared.errors import Unavailable

log = logging.getLogger("fanout.keys")

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Table = Mapping[tuple[str, str], PublicKey]  # by key id and algorithm

ALGORITHMS: Final = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
EVERY_S: Final = 600.0  # how old a set becomes before it is fetched again
LEAST_S: Final = 2.0  # between the beginnings of two fetches, whoever asks
ANSWER_S: Final = 5.0  # how long one may take
STALE_S: Final = 86_400.0  # how long a set holds while its source is away: as long as the longest token
PAUSE_S: Final = (LEAST_S, 60.0)  # after a fetch that failed
SIZE_MAX: Final = 65_536  # bytes of a set
KEYS_MAX: Final = 100
RSA_BITS: Final = (2048, 8192)  # the least is RFC 7518's (3.3)
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


class KeysAway(Unavailable):
    """Whether a key is good cannot be known now."""


class BadKeySet(ValueError):
    """What was fetched is no key set."""


class KeySet:
    """The keys of one source. ``keep`` fetches them, as long as it runs."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._table: Table = {}
        self._ids: frozenset[str] = frozenset()
        self._fetched_at: float | None = None  # monotonic seconds
        self._begun = self._ended = 0  # fetches
        self._failed = False  # the last one
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[None] | None = None  # done when a fetch ends

    async def find(self, key_id: str, algorithm: str) -> PublicKey | None:
        """The key of that id, if it is one for that algorithm. Raises ``KeysAway``.

        Waits for a fetch where the id is not known: for ``LEAST_S`` and ``ANSWER_S`` at most.
        """
        if key_id not in self._ids or not self._holds():
            await self._fetched(key_id)
            if not self._holds() or (self._failed and key_id not in self._ids):
                raise KeysAway("the keys that tokens are signed with cannot be fetched")
        return self._table.get((key_id, algorithm))

    def _holds(self) -> bool:
        return self._fetched_at is not None and time.monotonic() - self._fetched_at < STALE_S

    async def _fetched(self, key_id: str) -> None:
        """Wait until the id is known, or a fetch that begins from now on has ended."""
        before = self._begun
        self._wanted.set()
        try:
            async with asyncio.timeout(LEAST_S + 2 * ANSWER_S):
                while self._ended <= before and not (key_id in self._ids and self._holds()):
                    if self._next is None:
                        self._next = asyncio.get_running_loop().create_future()
                    await asyncio.shield(self._next)
        except TimeoutError:
            raise KeysAway("the keys that tokens are signed with were not fetched in time") from None

    async def keep(self) -> None:
        """Fetch, for ever."""
        pause = PAUSE_S[0]
        async with ClientSession(timeout=ClientTimeout(ANSWER_S), headers=_HEADERS, auto_decompress=False) as session:
            while True:
                self._wanted.clear()
                began = time.monotonic()
                self._begun += 1
                await self._fetch(session)
                self._ended = self._begun
                if self._next is not None:
                    self._next.set_result(None)
                    self._next = None
                wait_s = pause if self._failed else EVERY_S
                pause = min(2 * pause, PAUSE_S[1]) if self._failed else PAUSE_S[0]
                try:
                    async with asyncio.timeout(wait_s):
                        await self._wanted.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(max(0.0, began + LEAST_S - time.monotonic()))

    async def _fetch(self, session: ClientSession) -> None:
        try:
            async with session.get(self._url, allow_redirects=False) as response:
                if response.status != 200:
                    raise BadKeySet(f"it was answered {response.status}")
                body = b""
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > SIZE_MAX:
                        raise BadKeySet(f"it has more than {SIZE_MAX} bytes")
            table = key_table(body)
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            self._failed = True
            KEY_FETCHES.labels(result="failed").inc()
            log.warning("the key set cannot be fetched", extra={"error": repr(error), "keys": len(self._ids)})
            return
        self._failed, self._table, self._fetched_at = False, table, time.monotonic()
        ids = frozenset(key_id for key_id, _ in table)
        if ids != self._ids:
            log.info("the key set is another one", extra={"keys": len(ids)})
        self._ids = ids
        KEY_FETCHES.labels(result="ok").inc()


def key_table(body: bytes) -> Table:
    """The keys in a key set that verify signatures. Raises ``BadKeySet``.

    What is for something else, of a kind unknown here, weak, private or broken is left out, as RFC 7517 (5) has it.
    """
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadKeySet(f"it is no JSON: {error}") from None
    keys = decoded.get("keys") if isinstance(decoded, dict) else None
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        raise BadKeySet(f"it has no list of keys, or more than {KEYS_MAX}")
    table: dict[tuple[str, str], PublicKey] = {}
    for key in keys:
        if isinstance(key, dict) and _verifies(key):
            public, fits = _read(key)
            table |= {(key["kid"], algorithm): public for algorithm in fits if key.get("alg", algorithm) == algorithm}
    return table


def _verifies(key: Mapping[str, Any]) -> bool:
    """Whether it is a public key for signatures that has a name."""
    operations = key.get("key_ops", ["verify"])
    named = isinstance(key.get("kid"), str) and 0 < len(key["kid"]) <= 256
    for_signatures = key.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return named and for_signatures and not key.keys() & {"d", "k"}


def _read(key: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """The key, and the algorithms that its kind has."""
    kind = (key.get("kty"), key.get("crv"))
    try:
        if kind == ("RSA", None):
            rsa = RSAAlgorithm.from_jwk(dict(key))
            return (rsa, ("RS256", "PS256")) if RSA_BITS[0] <= rsa.key_size <= RSA_BITS[1] else (None, ())
        if kind == ("EC", "P-256"):
            return ECAlgorithm.from_jwk(dict(key)), ("ES256",)
        if kind == ("OKP", "Ed25519"):
            return OKPAlgorithm.from_jwk(dict(key)), ("EdDSA",)
    except (PyJWTError, ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm) as error:
        log.info("a key of the key set cannot be read", extra={"error": repr(error)})
    return None, ()
