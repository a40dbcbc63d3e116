"""Tokens of wallets: JSON Web Tokens (RFC 7519) of a sign-in here, or of a back end that shares the secret."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import jwt
from redis.asyncio import Redis

from fanout.batched import Batched
from shared.settings import FanoutSettings, is_address_of

COOKIE: Final = "auth-token"
LEEWAY_S: Final = 10  # between the clocks of who issues and who reads
TOKEN_MAX: Final = 4096  # characters


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

    def __init__(self, settings: FanoutSettings, redis: Redis) -> None:
        self._secrets, self._ttl_s = settings.jwt_secrets, settings.token_ttl_s
        self._network, self._prefix = settings.common.network, settings.common.redis_prefix
        self._redis = redis
        self._lookups: Batched[str, bytes | None] = Batched(self._look_up)

    def issue(self, address: str) -> tuple[str, Token]:
        """A new token of this address, signed with the first secret."""
        now = int(time.time())
        token = Token(address, now + self._ttl_s, secrets.token_urlsafe(16))
        claims = {"sub": address, "iat": now, "exp": int(token.expires_at), "jti": token.jti}
        return jwt.encode(claims, self._secrets[0], algorithm="HS256"), token

    def read(self, encoded: str) -> Token:
        """Whose it is. Raises ``BadToken``."""
        if len(encoded) > TOKEN_MAX:
            raise BadToken("UNAUTHENTICATED", "this is no token")
        for secret in self._secrets:
            try:
                claims = jwt.decode(
                    encoded,
                    secret,
                    algorithms=["HS256"],
                    leeway=LEEWAY_S,
                    options={"require": ["sub", "iat", "exp", "jti"], "verify_aud": False},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise BadToken("TOKEN_EXPIRED", "this token has expired") from None
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
                break
            return self._token(claims)
        raise BadToken("UNAUTHENTICATED", "this token is not valid here")

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
