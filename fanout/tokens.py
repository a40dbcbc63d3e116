"""Tokens of wallets: JSON Web Tokens (RFC 7519) of a sign-in here, or of a back end: signed with a secret that it
shares, or with a key of its own whose public half it publishes (``keys``).

Secrets verify HS256 and nothing else, public keys never do: neither can stand in for the other.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import jwt
from jwt.utils import base64url_encode
from redis.asyncio import Redis

from fanout.batched import Batched
from fanout.keys import ALGORITHMS, KeySet
from shared.errors import Unavailable
from shared.feed import OUTAGES
from shared.settings import FanoutSettings, is_address_of

COOKIE: Final = "auth-token"
LEEWAY_S: Final = 10  # between the clocks of who issues and who reads
TOKEN_MAX: Final = 4096  # characters
AWAY: Final = (*OUTAGES, Unavailable)  # whatever keeps a token from being looked up now
_CLAIMS: Final = ("sub", "iat", "exp", "jti")


class BadToken(Exception):
    """It says nobody's name; ``code`` is the protocol's."""

    def __init__(self, code: Literal["UNAUTHENTICATED", "TOKEN_EXPIRED"], message: str) -> None:
        super().__init__(message)
        self.code: Literal["UNAUTHENTICATED", "TOKEN_EXPIRED"] = code


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid token says. ``expires_at`` in unix seconds."""

    address: str
    expires_at: float
    jti: str


class Tokens:
    """Issues, reads and revokes."""

    def __init__(self, settings: FanoutSettings, redis: Redis, keys: KeySet | None = None) -> None:
        self._secrets, self._ttl_s = tuple(_secret(it) for it in settings.jwt_secrets), settings.token_ttl_s
        self._network, self._prefix = settings.common.network, settings.common.redis_prefix
        self._keys, self._issuer, self._audience = keys, settings.jwks_issuer, settings.jwks_audience
        self._redis = redis
        self._lookups: Batched[str, bytes | None] = Batched(self._look_up)

    def issue(self, address: str) -> tuple[str, Token]:
        """A new token of this address, signed with the first secret."""
        now = int(time.time())
        token = Token(address, now + self._ttl_s, secrets.token_urlsafe(16))
        claims = {"sub": address, "iat": now, "exp": int(token.expires_at), "jti": token.jti}
        return jwt.encode(claims, self._secrets[0]), token

    async def read(self, encoded: str) -> Token:
        """Whose it is. Raises ``BadToken``, or one of ``AWAY`` where that depends on keys which cannot be had now."""
        if len(encoded) > TOKEN_MAX:
            raise BadToken("UNAUTHENTICATED", "this is no token")
        try:
            claims = await self._by_key(encoded) if self._keys else None
            claims = claims or self._by_secret(encoded)
        except jwt.ExpiredSignatureError:
            raise BadToken("TOKEN_EXPIRED", "this token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            claims = None
        if not claims:
            raise BadToken("UNAUTHENTICATED", "this token is not valid here")
        return self._token(claims)

    def _by_secret(self, encoded: str) -> Mapping[str, object] | None:
        for secret in self._secrets:
            try:
                return _decoded(encoded, secret, "HS256")
            except jwt.InvalidSignatureError:
                continue
        return None

    async def _by_key(self, encoded: str) -> Mapping[str, object] | None:
        """None also for a token that is none of the key set's."""
        header = jwt.get_unverified_header(encoded)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if self._keys is None or algorithm not in ALGORITHMS or not isinstance(key_id, str):
            return None
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            return None
        return _decoded(encoded, key, algorithm, issuer=self._issuer or None, audience=self._audience or None)

    def _token(self, claims: Mapping[str, object]) -> Token:
        address, jti, issued, expires = claims["sub"], claims["jti"], claims["iat"], claims["exp"]
        if not isinstance(address, str) or not is_address_of(self._network, address):
            raise BadToken("UNAUTHENTICATED", "this token names no account of the network")
        if not isinstance(jti, str) or not 0 < len(jti) <= 128:
            raise BadToken("UNAUTHENTICATED", "this token cannot be revoked: it has no short jti")
        assert isinstance(issued, int | float)
        assert isinstance(expires, int | float)
        if expires - issued > self._ttl_s + LEEWAY_S:
            raise BadToken("UNAUTHENTICATED", "this token lives too long")
        return Token(address, float(expires), jti)

    async def revoke(self, token: Token) -> None:
        """From now on nobody may use it. Raises one of ``OUTAGES``."""
        left = max(1, int(token.expires_at + LEEWAY_S - time.time()) + 1)
        await self._redis.set(f"{self._prefix}:revoked:{token.jti}", b"1", ex=left)

    async def revoked(self, jti: str) -> bool:
        """Whether it was revoked. Raises one of ``OUTAGES``."""
        return await self._lookups.ask(f"{self._prefix}:revoked:{jti}") is not None

    async def _look_up(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        return cast("list[bytes | None]", await self._redis.mget(keys))

    def end(self) -> None:
        """Nothing more is looked up."""
        self._lookups.end()


def _secret(secret: bytes) -> jwt.PyJWK:
    """A secret made ready once: given as bytes, PyJWT would look for each token whether it is a key of another kind."""
    return jwt.PyJWK({"kty": "oct", "alg": "HS256", "k": base64url_encode(secret).decode()})


def _decoded(
    encoded: str, key: Any, algorithm: str, *, issuer: str | None = None, audience: str | None = None
) -> Mapping[str, object]:
    """What it claims, where this key has signed it with this algorithm. Raises one of PyJWT's errors."""
    claims: Mapping[str, object] = jwt.decode(
        encoded,
        key,
        algorithms=[algorithm],
        issuer=issuer,
        audience=audience,
        leeway=LEEWAY_S,
        options={"require": list(_CLAIMS), "verify_aud": audience is not None},
    )
    return claims


def token_of(headers: Mapping[str, str], cookies: Mapping[str, str] | None = None) -> str | None:
    """The token in ``Authorization: Bearer`` or in the cookie."""
    scheme, _, bearer = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    if cookies is not None:
        return cookies.get(COOKIE)
    for part in headers.get("Cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None
