"""Signing in with a wallet: a challenge, its signature, a token; and signing out."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from redis.asyncio import Redis

from fanout.address import client_address
from fanout.answers import answer, read_body, refusal
from fanout.tokens import AWAY, COOKIE, BadToken, Token, Tokens, token_of
from fanout.wallet import MESSAGE_MAX, PURPOSES, SINGLE_SIG, Challenge, Purpose, nonce_of, signed_by
from shared.domain.clarity import is_principal, parse_address
from shared.settings import FanoutSettings
from shared.wire import encode

log = logging.getLogger("fanout.signin")

CHALLENGE_S: Final = 300
A_MINUTE: Final = 10  # challenges of one client; each node counts for itself
COUNTED_MAX: Final = 100_000  # clients that are counted within a minute

# KEYS[1] challenge; ARGV[1] what was signed. Deletes it and says 1 where it is still that one: of two tries one wins.
_CONSUME = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
"""


class Signed(msgspec.Struct, rename="camel"):
    """What a wallet's application sends to be verified."""

    address: str
    public_key: str
    signature: str
    message: str
    wallet_type: str = "stacks"


class SignIn:
    """The routes of sign-in. ``on_logout`` closes the connections of a token."""

    def __init__(
        self, settings: FanoutSettings, redis: Redis, tokens: Tokens, on_logout: Callable[[str], Awaitable[None]]
    ) -> None:
        self._settings, self._redis, self._tokens, self._on_logout = settings, redis, tokens, on_logout
        self._consume = redis.register_script(_CONSUME)
        self._minute, self._counts = 0, dict[str, int]()

    def routes(self) -> list[web.RouteDef]:
        """A trailing slash is the same path."""
        return [
            web.get("/api/auth/wallet/challenge{slash:/?}", self._answered(self._challenge)),
            web.post("/api/auth/wallet/verify{slash:/?}", self._answered(self._verify)),
            web.post("/api/auth/logout{slash:/?}", self._answered(self._log_out)),
        ]

    def _answered(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answered(request: web.Request) -> web.Response:
            try:
                response = await handler(request)
            except AWAY as error:
                log.warning("sign-in cannot be answered now", extra={"error": repr(error)})
                response = refusal(503, "UNAVAILABLE", "sign-in is not possible right now; try again")
            response.headers["Cache-Control"] = "no-store"
            return response

        return answered

    # -- the challenge

    async def _challenge(self, request: web.Request) -> web.Response:
        address, kind = request.query.get("address", ""), request.query.get("type", "connection")
        network = self._settings.common.network
        if kind not in PURPOSES:
            return refusal(400, "BAD_REQUEST", f"type must be one of {', '.join(PURPOSES)}")
        if "." in address or not is_principal(address) or parse_address(address)[0] != SINGLE_SIG[network]:
            return refusal(400, "BAD_REQUEST", f"address must be an account of {network} that one key owns")
        if not self._may_ask(client_address(request.headers, request.remote or "", self._settings.trusted_proxies)):
            return refusal(429, "RATE_LIMITED", f"at most {A_MINUTE} challenges a minute")
        now = int(time.time())
        purpose: Purpose = "payment" if kind == "payment" else "connection"
        challenge = Challenge(
            self._domain(request), address, network, purpose, secrets.token_urlsafe(24), now, now + CHALLENGE_S
        )
        kept = encode({"message": challenge.text(), "address": address, "type": kind})
        await self._redis.set(self._key(challenge.nonce), kept, ex=CHALLENGE_S)
        return answer({"success": True, "challenge": challenge.text(), "expiresAt": challenge.expires_at, "type": kind})

    def _domain(self, request: web.Request) -> str:
        """The host of the page that asks; its Origin was found allowed before this."""
        return urlsplit(request.headers.get("Origin") or self._settings.allowed_origins[0]).netloc

    def _may_ask(self, client: str) -> bool:
        minute = int(time.time() // 60)
        if minute != self._minute or len(self._counts) >= COUNTED_MAX:
            self._minute, self._counts = minute, {}
        self._counts[client] = self._counts.get(client, 0) + 1
        return self._counts[client] <= A_MINUTE

    def _key(self, nonce: str) -> str:
        return f"{self._settings.common.redis_prefix}:challenge:{nonce}"

    # -- its signature

    async def _verify(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        try:
            signed = msgspec.json.decode(body, type=Signed)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return refusal(400, "BAD_REQUEST", f"the body is not what a wallet signs: {error}")
        kind = await self._proven(signed)
        if kind is None:
            return answer(_UNVERIFIED, status=401)
        proven: dict[str, object] = {"success": True, "verified": True, "address": signed.address}
        if kind == "payment":
            return answer(proven)
        encoded, token = self._tokens.issue(signed.address)
        response = answer(proven | {"token": encoded, "expiresAt": int(token.expires_at)})
        response.set_cookie(
            COOKIE,
            encoded,
            max_age=max(1, int(token.expires_at - time.time())),
            path="/",
            httponly=True,
            secure=True,
            samesite="Lax",
        )
        return response

    async def _proven(self, signed: Signed) -> str | None:
        """What the signature is for; None where it proves nothing."""
        nonce = nonce_of(signed.message) if len(signed.message) <= MESSAGE_MAX else None
        if nonce is None or signed.wallet_type != "stacks":
            return None
        kept = await self._redis.get(self._key(nonce))
        if kept is None:
            return None
        asked: dict[str, Any] = msgspec.json.decode(kept)
        if asked["message"] != signed.message or asked["address"] != signed.address:
            return None
        network = self._settings.common.network
        if not signed_by(signed.message, signed.signature, signed.public_key, signed.address, network):
            return None
        return str(asked["type"]) if await self._consume(keys=[self._key(nonce)], args=[kept]) else None

    # -- the end

    async def _log_out(self, request: web.Request) -> web.Response:
        given = token_of(request.headers, request.cookies)
        try:
            token: Token = await self._tokens.read(given or "")
        except BadToken as bad:
            response = refusal(401, bad.code, str(bad))
        else:
            await self._tokens.revoke(token)
            await self._on_logout(token.jti)
            response = answer({"success": True})
        response.del_cookie(COOKIE, path="/", httponly=True, secure=True, samesite="Lax")
        return response


_UNVERIFIED: Final = {
    "success": False,
    "verified": False,
    "error": {"code": "UNAUTHENTICATED", "message": "the signature does not prove the address"},
}
