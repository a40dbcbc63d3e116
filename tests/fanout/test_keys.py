"""Tokens of a back end that publishes its keys: whose they are, and what no key set makes good."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import settings as course
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from redis.asyncio import Redis

from bench.deliveries import RECIPIENT, block, body, created
from fanout import keys as module
from fanout.keys import ALGORITHMS, KEYS_MAX, SIZE_MAX, BadKeySet, KeysAway, KeySet, key_table
from fanout.tokens import BadToken, Tokens
from shared.settings import FanoutSettings, fanout_settings
from tests.builders import ALICE
from tests.end_to_end.client import client
from tests.fanout.test_tokens import NEW, claims
from tests.fanout.wire import wire
from tests.posting import post
from tests.processes import Processes, free_port

RSA, PSS, EC, ED = "RS256", "PS256", "ES256", "EdDSA"
ALL = (RSA, PSS, EC, ED)


@cache
def private(algorithm: str, number: int = 0) -> Any:
    """A key for that algorithm, one for each number."""
    if algorithm == EC:
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == ED:
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def jwk(algorithm: str, number: int = 0, **other: Any) -> dict[str, Any]:
    """Its public half, as a key set has it; ``other`` replaces members, None takes one away."""
    kind: Any = {EC: ECAlgorithm, ED: OKPAlgorithm}.get(algorithm, RSAAlgorithm)
    public = kind.to_jwk(private(algorithm, number).public_key(), as_dict=True)
    public.pop("key_ops", None)
    found = {**public, "kid": f"{algorithm}-{number}", "use": "sig", **other}
    return {name: value for name, value in found.items() if value is not None}


def token(algorithm: str, number: int = 0, *, kid: str | None = None, alg: str | None = None, **other: Any) -> str:
    """A token signed with that key; ``kid`` and ``alg`` are what it says instead of the truth."""
    headers = {"kid": kid or f"{algorithm}-{number}"}
    return jwt.encode(claims(**other), private(algorithm, number), algorithm=alg or algorithm, headers=headers)


def unsigned(header: dict[str, Any], said: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(said).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@dataclass(slots=True)
class Source:
    """What answers at JWKS_URL."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes | None = None  # said instead of the keys
    status: int = 200
    asked: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys.json"

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        said = self.raw if self.raw is not None else json.dumps({"keys": self.keys}).encode()
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=said, content_type="application/json", headers=headers)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/keys.json", self.answer)
        async with TestServer(app, port=self.port or free_port()) as server:
            self.port = server.port or 0
            yield


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    found = Source([jwk(it) for it in ALL])
    async with found.serving():
        yield found


@asynccontextmanager
async def kept(keys: KeySet) -> AsyncIterator[KeySet]:
    task = asyncio.create_task(keys.keep())
    try:
        yield keys
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def keys(source: Source, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KeySet]:
    """Keys of that source, fetched."""
    monkeypatch.setattr(module, "LEAST_S", 0.05)
    monkeypatch.setattr(module, "PAUSE_S", (0.05, 0.05))
    async with kept(KeySet(source.url)) as found:
        await found.find(f"{RSA}-0", RSA)
        yield found


@pytest.fixture
def settings(environment: dict[str, str]) -> FanoutSettings:
    return fanout_settings({**environment, "JWT_SECRET": NEW})


@pytest.fixture
def tokens(settings: FanoutSettings, redis: Redis, keys: KeySet) -> Tokens:
    return Tokens(settings, redis, keys)


async def code(tokens: Tokens, encoded: str) -> str:
    with pytest.raises(BadToken) as bad:
        await tokens.read(encoded)
    return bad.value.code


# -- which tokens are good


@pytest.mark.parametrize("algorithm", ALL)
async def test_a_token_of_each_algorithm_says_whose_it_is(tokens: Tokens, algorithm: str) -> None:
    found = await tokens.read(token(algorithm, jti="mine"))
    assert (ALICE, "mine") == (found.address, found.jti)
    other = {RSA: PSS, PSS: RSA}.get(algorithm)
    if other:  # one RSA key is good for both
        assert ALICE == (await tokens.read(token(algorithm, alg=other))).address
    head, said, signature = token(algorithm).split(".")
    assert "UNAUTHENTICATED" == await code(tokens, f"{head}.{said}.{signature[:-8]}AAAAAAAA")
    assert "UNAUTHENTICATED" == await code(tokens, token(algorithm, 1, kid=f"{algorithm}-0"))
    assert "UNAUTHENTICATED" == await code(tokens, jwt.encode(claims(), private(algorithm), algorithm=algorithm))


async def test_secrets_stay_good_beside_keys(tokens: Tokens) -> None:
    assert ALICE == (await tokens.read(jwt.encode(claims(), NEW))).address
    assert ALICE == (await tokens.read(jwt.encode(claims(), NEW, headers={"kid": f"{RSA}-0"}))).address
    encoded, issued = tokens.issue(ALICE)
    assert issued == await tokens.read(encoded)


@pytest.mark.parametrize(
    "other",
    [
        {"sub": None}, {"sub": 7}, {"sub": "nobody"}, {"sub": f"{ALICE}.contract"},
        {"sub": "SP3WN3W1Q9W7EXVS81Z184FNNAP2969VRN5FC0362"}, {"jti": None}, {"jti": ""}, {"jti": "x" * 200},
        {"iat": None}, {"iat": int(time.time()) + 600}, {"exp": None}, {"exp": int(time.time()) + 90_000},
        {"nbf": int(time.time()) + 600},
    ],
    ids=range(13),  # two processes that collect within another second have the same names
)  # fmt: skip
async def test_the_rules_of_claims_are_those_of_every_token(tokens: Tokens, other: dict[str, Any]) -> None:
    assert "UNAUTHENTICATED" == await code(tokens, token(ED, **other))


async def test_an_expired_one_is_told_so_and_only_where_it_was_good(tokens: Tokens) -> None:
    now = int(time.time())
    assert "TOKEN_EXPIRED" == await code(tokens, token(EC, iat=now - 7200, exp=now - 60))
    assert "UNAUTHENTICATED" == await code(tokens, token(EC, 1, kid=f"{EC}-0", iat=now - 7200, exp=now - 60))


async def test_issuer_and_audience_are_held_where_they_are_set(
    settings: FanoutSettings, redis: Redis, keys: KeySet
) -> None:
    strict = Tokens(replace(settings, jwks_issuer="https://id.example", jwks_audience="realtime"), redis, keys)
    good = {"iss": "https://id.example", "aud": "realtime"}
    assert ALICE == (await strict.read(token(ED, **good))).address
    assert ALICE == (await strict.read(token(ED, **good | {"aud": ["other", "realtime"]}))).address
    for bad in ({"iss": "https://other.example"}, {"aud": "other"}, {"iss": None}, {"aud": None}, {"aud": []}):
        assert "UNAUTHENTICATED" == await code(strict, token(ED, **good | bad))
    assert ALICE == (await strict.read(jwt.encode(claims(), NEW))).address, "a sign-in of ours says neither"


# -- which key may verify what


async def test_no_public_key_is_ever_a_secret(tokens: Tokens) -> None:
    """The confusion of algorithms: HMAC with what everybody knows, in every form that it has."""
    for algorithm in (RSA, EC, ED):
        public = private(algorithm).public_key()
        forms = [json.dumps(jwk(algorithm)).encode(), json.dumps({"keys": [jwk(it) for it in ALL]}).encode()]
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
            form = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
            forms += [form, form.strip()]
        for form in forms:
            for alg in ("HS256", "HS384", "HS512"):
                head = {"alg": alg, "kid": f"{algorithm}-0", "typ": "JWT"}
                signing = unsigned(head, claims()).rpartition(".")[0]
                signature = jwt.get_algorithm_by_name(alg).sign(signing.encode(), form)
                forged = f"{signing}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
                assert "UNAUTHENTICATED" == await code(tokens, forged)


async def test_what_a_token_says_of_its_algorithm_makes_no_key_another(tokens: Tokens) -> None:
    for alg in ("none", "None", "HS256", "RS384", "RS512", "PS512", "ES384", "ES256K", "", None, 7, ["RS256"], "rs256"):
        for kid in (f"{RSA}-0", f"{EC}-0", "", None, 7):
            assert "UNAUTHENTICATED" == await code(tokens, unsigned({"alg": alg, "kid": kid}, claims()))
    for algorithm in ALL:
        for other in set(ALL) - {algorithm} - ({RSA, PSS} if algorithm in (RSA, PSS) else set()):
            assert "UNAUTHENTICATED" == await code(tokens, token(algorithm, kid=f"{other}-0"))
    for more in ({"b64": False, "crit": ["b64"]}, {"crit": ["exp"]}, {"jwk": jwk(ED, 1)}, {"jku": "http://x"}):
        forged = jwt.encode(claims(), private(ED, 1), algorithm=ED, headers={"kid": f"{ED}-0", **more})
        assert "UNAUTHENTICATED" == await code(tokens, forged)


@pytest.mark.parametrize(
    "left_out",
    [
        jwk(RSA, use="enc"), jwk(RSA, kid=None), jwk(RSA, kid=""), jwk(RSA, kid=7), jwk(RSA, alg="RS512"),
        jwk(RSA, alg=7), jwk(RSA, key_ops=["sign"]), jwk(RSA, key_ops="verify"), jwk(RSA, d="AQAB"), jwk(RSA, n="AQAB"),
        jwk(RSA, n=None), jwk(RSA, e="!"), jwk(RSA, kty="rsa"), jwk(EC, crv="P-384"), jwk(EC, crv="secp256k1"),
        jwk(EC, x="AQAB"), jwk(EC, y=jwk(EC, 1)["y"]), jwk(ED, crv="X25519"), jwk(ED, crv="Ed448"), jwk(ED, x=7),
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"}, {}, [], None, "key", {"kty": ["RSA"], "kid": "a"},
    ],
)  # fmt: skip
def test_a_key_for_something_else_is_left_out_and_its_neighbours_count(left_out: Any) -> None:
    table = key_table(json.dumps({"keys": [left_out, jwk(ED, 1)]}).encode())
    assert [(f"{ED}-1", ED)] == list(table)


def test_a_key_may_be_bound_to_one_algorithm() -> None:
    assert [(f"{RSA}-0", PSS)] == list(key_table(json.dumps({"keys": [jwk(RSA, alg=PSS)]}).encode()))


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"{", b"[]", b"null", b'"keys"', b"{}", b'{"keys": {}}', b'{"keys": null}', b"\xff\xfe", b"<html>",
        b'{"keys": [' + b"[" * 30_000 + b"]}", json.dumps({"keys": [{}] * (KEYS_MAX + 1)}).encode(),
    ],
    ids=lambda it: repr(it[:16]),
)  # fmt: skip
def test_garbage_is_no_key_set(garbage: bytes) -> None:
    with pytest.raises(BadKeySet):
        key_table(garbage)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e", "use", "alg", "key_ops", "d", "k", "oth"])
words = st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "verify", "AQAB", *ALL, "HS256", "none"])


@course(max_examples=400)
@given(st.sampled_from(ALL), st.dictionaries(members, words | anything, max_size=6), anything)
def test_whatever_a_key_set_holds_only_whole_keys_of_a_kind_are_read(
    algorithm: str, changed: dict[str, Any], beside: Any
) -> None:
    table = key_table(json.dumps({"keys": [{**jwk(algorithm), **changed}, beside]}).encode())
    kinds = {"RS256": rsa.RSAPublicKey, "PS256": rsa.RSAPublicKey, "ES256": ec.EllipticCurvePublicKey}
    for (key_id, alg), key in table.items():
        assert key_id
        assert alg in ALGORITHMS
        assert isinstance(key, kinds.get(alg, ed25519.Ed25519PublicKey))


@course(max_examples=100)
@given(st.data())
async def test_no_token_made_of_pieces_is_good(data: st.DataObject) -> None:
    """Whatever is changed in good tokens, and in what order their parts stand."""
    table = key_table(json.dumps({"keys": [jwk(it) for it in ALL]}).encode())

    class Known(KeySet):
        async def find(self, key_id: str, algorithm: str) -> Any:
            return table.get((key_id, algorithm))

    nothing: Any = None
    tokens = Tokens(_settings(), nothing, Known(""))
    good = _good()
    for _ in range(20):
        parts = [it.split(".") for it in (data.draw(st.sampled_from(good)) for _ in range(3))]
        made = [parts[0][0], parts[1][1], parts[2][2]]
        place, letter = data.draw(st.integers(0, 2)), data.draw(st.sampled_from("Aaz09-_=. é\x00"))
        at = data.draw(st.integers(0, len(made[place]) - (4 if place == 2 else 1)))  # the last ones hold spare bits
        made[place] = made[place][:at] + letter + made[place][at + 1 :]
        forged = ".".join(made)
        if forged not in good:
            with pytest.raises(BadToken):
                await tokens.read(forged)


@cache
def _good() -> list[str]:
    return [*(token(it, jti=it) for it in ALL), jwt.encode(claims(), NEW)]


@cache
def _settings() -> FanoutSettings:
    needed = {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "JWT_SECRET": NEW}
    return fanout_settings(needed)


# -- the source


async def test_a_key_that_was_rotated_in_is_fetched_and_one_that_left_is_refused(
    tokens: Tokens, source: Source
) -> None:
    assert "UNAUTHENTICATED" == await code(tokens, token(ED, 1))
    source.keys = [jwk(ED, 1)]
    assert ALICE == (await tokens.read(token(ED, 1))).address
    assert "UNAUTHENTICATED" == await code(tokens, token(ED))


async def test_made_up_key_ids_share_a_fetch_and_known_ones_cost_none(
    tokens: Tokens, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = source.asked
    for _ in range(50):
        await tokens.read(token(ED))
    assert before == source.asked
    monkeypatch.setattr(module, "LEAST_S", 0.2)
    answers = await asyncio.gather(*(code(tokens, token(ED, kid=f"made-up-{i}")) for i in range(300)))
    assert ["UNAUTHENTICATED"] * 300 == answers
    assert source.asked - before <= 2


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("status", "raw"),
    [(503, None), (302, None), (404, b"{}"), (200, b"garbage"), (200, b'{"keys": []}' + b" " * SIZE_MAX)],
    ids=["503", "redirect", "404", "garbage", "too-long"],
)
async def test_while_the_source_is_away_the_last_keys_hold_for_a_day(
    tokens: Tokens, source: Source, monkeypatch: pytest.MonkeyPatch, status: int, raw: bytes | None
) -> None:
    source.status, source.raw = status, raw
    with pytest.raises(KeysAway):
        await tokens.read(token(ED, 1))  # it may be good, nobody knows
    assert ALICE == (await tokens.read(token(ED))).address
    monkeypatch.setattr(module, "STALE_S", 0.0)
    with pytest.raises(KeysAway):
        await tokens.read(token(ED))
    assert ALICE == (await tokens.read(jwt.encode(claims(), NEW))).address
    monkeypatch.undo()
    source.status, source.raw = 200, None
    assert ALICE == (await tokens.read(token(ED))).address


async def test_keys_are_fetched_again_by_age(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    monkeypatch.setattr(module, "LEAST_S", 0.0)
    async with kept(KeySet(source.url)) as keys:
        assert await keys.find(f"{ED}-0", ED)
        source.keys = []
        await _until(lambda: not keys._ids)
        assert await keys.find(f"{ED}-0", ED) is None


async def test_a_source_that_never_answers_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    monkeypatch.setattr(module, "LEAST_S", 0.0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, kept(KeySet(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")) as keys:
        with pytest.raises(KeysAway):
            await keys.find("a", ED)
    with pytest.raises(KeysAway):  # nobody fetches: a node that ends
        await KeySet("http://127.0.0.1:1/").find("a", ED)


# -- all of it, across processes


async def test_a_node_believes_the_keys_of_a_back_end_once_it_has_them(processes: Processes) -> None:
    """No key set yet is an outage: the client comes back by itself, and is let in as soon as there is one."""
    source = Source([jwk(RSA), jwk(ED)], port=free_port())
    start = asyncio.to_thread
    node = await start(
        processes.start, "fanout", JWKS_URL=source.url, JWKS_ISSUER="https://id.example", JWKS_AUDIENCE="realtime"
    )
    good = token(RSA, sub=RECIPIENT, iss="https://id.example", aud="realtime")
    bearer = {"authorization": f"Bearer {good}"}
    async with (
        wire(node.url) as anonymous,
        httpx.AsyncClient(base_url=node.url) as http,
        client(node.url, ready=False, token=good) as browser,
    ):

        async def connect() -> tuple[bool, object]:
            async with wire(node.url, {"token": good}) as one:
                return one.closed, one.reply

        unanswered, refused, listed, out = await asyncio.gather(
            connect(),
            anonymous.ask("authenticate", {"token": good}),
            http.get("/api/notifications", headers=bearer),
            http.post("/api/auth/logout", headers=bearer),
        )
        assert (True, None) == unanswered
        assert "UNAVAILABLE" == refused["error"]["code"]
        assert [(503, "UNAVAILABLE")] * 2 == [(it.status_code, it.json()["error"]["code"]) for it in (listed, out)]
        assert not [line for line in browser.lines if line["on"] == "connect"]
        async with source.serving():
            await browser.saw("ready")
            ingest = await start(processes.start, "ingest")
            await post(ingest, body(block(100, [created(1)])))
            await browser.until(lambda it: it.heard)
            assert f"user:{RECIPIENT}" == browser.heard[0].payload["meta"]["room"]
            for bad in (token(RSA, sub=RECIPIENT), token(EC, sub=RECIPIENT), good[:-9] + "A" * 9):
                async with wire(node.url, {"token": bad}) as other:
                    assert other.reply
                    assert "UNAUTHENTICATED" == other.reply["message"]
            assert 200 == (await http.get("/api/notifications", headers=bearer)).status_code
            assert 200 == (await http.post("/api/auth/logout", headers=bearer)).status_code
            await browser.until(lambda it: {"on": "disconnect", "reason": "io server disconnect"} in it.lines)
