"""Whose token it is; who may issue one, and for how long."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import jwt
import pytest
from redis.asyncio import Redis

from fanout.address import client_address
from fanout.tokens import BadToken, Tokens, token_of
from shared.settings import FanoutSettings, fanout_settings
from tests.builders import ALICE, BOB

OLD, NEW = "o" * 64, "n" * 64


@pytest.fixture
def settings(environment: dict[str, str]) -> FanoutSettings:
    return fanout_settings({**environment, "JWT_SECRET": f"{NEW},{OLD}"})


@pytest.fixture
def tokens(settings: FanoutSettings, redis: Redis, prefix: str) -> Tokens:
    return Tokens(replace(settings, common=replace(settings.common, redis_prefix=prefix)), redis)


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {"sub": ALICE, "iat": now, "exp": now + 3600, "jti": "j", **other}
    return {name: value for name, value in found.items() if value is not None}


async def code(tokens: Tokens, encoded: str) -> str:
    with pytest.raises(BadToken) as bad:
        await tokens.read(encoded)
    return bad.value.code


async def test_a_token_says_what_it_was_issued_for(tokens: Tokens) -> None:
    encoded, token = tokens.issue(ALICE)
    assert token == await tokens.read(encoded)
    assert ALICE == token.address
    assert 86_390 < token.expires_at - time.time() <= 86_400
    assert NEW not in encoded
    assert jwt.decode(encoded, NEW, algorithms=["HS256"])["jti"] == token.jti


async def test_every_secret_of_the_list_is_accepted_and_no_other(tokens: Tokens) -> None:
    assert ALICE == (await tokens.read(jwt.encode(claims(), OLD))).address
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(), "x" * 32))


@pytest.mark.parametrize(
    "other",
    [
        {"sub": None},
        {"sub": 7},
        {"sub": "nobody"},
        {"sub": f"{ALICE}.contract"},
        {"sub": "SP3WN3W1Q9W7EXVS81Z184FNNAP2969VRN5FC0362"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 200},
        {"iat": None},
        {"iat": "now"},
        {"iat": timedelta(seconds=600)},
        {"exp": None},
        {"exp": "never"},
        {"exp": timedelta(seconds=90_000)},
        {"nbf": timedelta(seconds=600)},
    ],
    ids=str,
)
async def test_a_token_that_lacks_or_stretches_anything_is_refused(tokens: Tokens, other: dict[str, Any]) -> None:
    """A time from now stands for the moment that it will be."""
    now = time.time()
    other = {name: int(now + it.total_seconds()) if isinstance(it, timedelta) else it for name, it in other.items()}
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(**other), NEW))


async def test_an_expired_token_is_told_so(tokens: Tokens) -> None:
    now = int(time.time())
    assert "TOKEN_EXPIRED" == await code(tokens, jwt.encode(claims(iat=now - 7200, exp=now - 60), NEW))
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(iat=now - 7200, exp=now - 60), "x" * 32))


async def test_the_algorithm_is_not_the_tokens_to_choose(tokens: Tokens) -> None:
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(), None, algorithm="none"))  # type: ignore[arg-type]
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(), NEW, algorithm="HS512"))
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(), NEW, algorithm="HS384"))


async def test_a_hundred_thousand_made_up_tokens_are_refused_and_nothing_else_happens(tokens: Tokens) -> None:
    rng = Random(2)
    good = jwt.encode(claims(), NEW)
    head, body, signature = good.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=é\x00 "
    for _ in range(100_000):
        kind = rng.randrange(4)
        if kind == 0:
            made = "".join(rng.choices(alphabet, k=rng.randrange(80)))
        elif kind == 1:
            place = rng.randrange(len(good) - len(signature))  # the last characters of a signature hold spare bits
            made = good[:place] + rng.choice(alphabet) + good[place + 1 :]
        elif kind == 2:
            made = ".".join(rng.choices((head, body, signature, ""), k=rng.randrange(1, 5)))
        else:
            made = f"{head}.{body}.{''.join(rng.choices(alphabet[:64], k=43))}"
        if made != good:
            with pytest.raises(BadToken):
                await tokens.read(made)


async def test_a_revoked_token_is_known_until_it_would_have_expired(tokens: Tokens, redis: Redis, prefix: str) -> None:
    _, token = tokens.issue(BOB)
    assert not await tokens.revoked(token.jti)
    await tokens.revoke(token)
    assert await tokens.revoked(token.jti)
    assert 86_390 < await redis.ttl(f"{prefix}:revoked:{token.jti}") <= 86_412


def test_a_token_comes_in_the_header_or_the_cookie() -> None:
    assert "t" == token_of({"Authorization": "Bearer t"})
    assert "t" == token_of({"Authorization": "bearer  t"}, {"auth-token": "u"})
    assert "u" == token_of({}, {"auth-token": "u"})
    assert "u" == token_of({"Cookie": "a=b; auth-token=u; c"})
    assert token_of({"Authorization": "Basic t", "Cookie": "a=b"}) is None


@pytest.mark.parametrize(
    ("forwarded", "trusted", "address"),
    [
        ("", 0, "peer"),
        ("1.1.1.1, 2.2.2.2", 0, "peer"),
        ("1.1.1.1, 2.2.2.2", 1, "2.2.2.2"),
        ("1.1.1.1,2.2.2.2", 2, "1.1.1.1"),
        ("made up, 1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
        ("1.1.1.1", 2, "peer"),
        (" , ", 1, "peer"),
    ],
)
def test_what_a_client_writes_itself_is_never_its_address(forwarded: str, trusted: int, address: str) -> None:
    assert address == client_address({"X-Forwarded-For": forwarded}, "peer", trusted)
