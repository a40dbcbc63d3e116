"""Signing in over HTTP, as a wallet's application does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest
from coincurve import PrivateKey
from redis.asyncio import Redis

from fanout.wallet import hash160, message_hash
from shared.domain.clarity import address
from tests.fanout.wire import wire
from tests.processes import Process, Processes

KEY = PrivateKey(b"\x11" * 32)
PUBLIC = KEY.public_key.format()
MINE = address(26, hash160(PUBLIC))
CHALLENGE, VERIFY, LOGOUT = "/api/auth/wallet/challenge", "/api/auth/wallet/verify", "/api/auth/logout"


@pytest.fixture
def node(processes: Processes) -> Process:
    return processes.start("fanout", ALLOWED_ORIGINS="https://app.example.com,https://other.example.com")


@pytest.fixture
async def http(node: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=node.url) as client:
        yield client


async def challenge(http: httpx.AsyncClient, who: str = MINE, **more: str) -> str:
    answer = await http.get(CHALLENGE, params={"address": who, **more})
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["challenge"])


def signed(message: str, key: PrivateKey = KEY, **other: Any) -> dict[str, Any]:
    return {
        "address": MINE,
        "publicKey": key.public_key.format().hex(),
        "signature": key.sign_recoverable(message_hash(message), hasher=None).hex(),
        "message": message,
        "walletType": "stacks",
        **other,
    }


async def test_a_wallet_signs_in_hears_its_room_and_signs_out(http: httpx.AsyncClient, node: Process) -> None:
    asked = await http.get(CHALLENGE, params={"address": MINE}, headers={"origin": "https://other.example.com"})
    body = asked.json()
    assert (True, "connection") == (body["success"], body["type"])
    assert "Domain: other.example.com" in body["challenge"]
    answer = await http.post(VERIFY, json=signed(body["challenge"]))
    assert (200, True, MINE) == (answer.status_code, answer.json()["verified"], answer.json()["address"])
    cookie = answer.headers["set-cookie"]
    for part in ("auth-token=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert part in cookie
    token = answer.json()["token"]
    async with wire(node.url, {"token": token}) as one:
        assert (await one.ask("leave-user-room"))["room"] == f"user:{MINE}"
        out = await http.post(LOGOUT, headers={"authorization": f"Bearer {token}"})
        assert {"success": True} == out.json()
        await one.until(lambda it: "41" in it.packets)
        await one.until(lambda it: it.closed)
    async with wire(node.url, {"token": token}) as again:
        assert again.reply
        assert "UNAUTHENTICATED" == again.reply["message"]


async def test_signing_out_closes_connections_on_other_nodes_too(http: httpx.AsyncClient, processes: Processes) -> None:
    other = processes.start("fanout")
    token = (await http.post(VERIFY, json=signed(await challenge(http)))).json()["token"]
    async with wire(other.url, {"token": token}) as one:
        await http.post(LOGOUT, headers={"cookie": f"auth-token={token}"})
        await one.until(lambda it: it.closed)


async def test_a_payment_is_confirmed_without_a_token(http: httpx.AsyncClient) -> None:
    answer = await http.post(VERIFY, json=signed(await challenge(http, type="payment")))
    assert {"success": True, "verified": True, "address": MINE} == answer.json()
    assert "set-cookie" not in answer.headers


async def test_two_tries_with_one_challenge_have_one_winner(http: httpx.AsyncClient) -> None:
    first, second = await challenge(http), await challenge(http)  # asking again voids nothing
    answers = await asyncio.gather(*(http.post(VERIFY, json=signed(first)) for _ in range(8)))
    assert [200] + [401] * 7 == sorted(it.status_code for it in answers)
    assert 200 == (await http.post(VERIFY, json=signed(second))).status_code


async def test_every_refusal_is_the_same(http: httpx.AsyncClient, redis: Redis, prefix: str) -> None:
    message = await challenge(http)
    other = PrivateKey(b"\x12" * 32)
    tries = [
        signed(message, key=other),
        signed(message, key=other, address=address(26, hash160(other.public_key.format()))),
        signed(message, address=address(22, hash160(PUBLIC))),
        signed(message.replace("app.example.com", "evil.example.com")),
        signed(message.replace("testnet", "mainnet")),
        signed(message + " "),
        signed(message, walletType="ethereum"),
        signed("hello"),
        signed(f"Nonce: {'n' * 32}"),
        signed(message) | {"signature": "00" * 65},
    ]
    answers = [await http.post(VERIFY, json=it) for it in tries]
    assert {401} == {it.status_code for it in answers}
    assert 1 == len({it.text for it in answers})
    assert (False, False) == (answers[0].json()["success"], answers[0].json()["verified"])
    async for key in redis.scan_iter(f"{prefix}:challenge:*"):
        assert 0 < await redis.ttl(key) <= 300
        await redis.delete(key)  # as its time does
    late = await http.post(VERIFY, json=signed(message))
    assert answers[0].text == late.text


@pytest.mark.parametrize("query", [{}, {"address": "x"}, {"address": "SP000000000000000000002Q6VF78"}])
async def test_only_an_account_of_this_network_is_challenged(http: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await http.get(CHALLENGE, params=query)
    assert (400, "BAD_REQUEST") == (answer.status_code, answer.json()["error"]["code"])
    assert 400 == (await http.get(CHALLENGE, params={"address": MINE, "type": "other"})).status_code


async def test_a_client_gets_ten_challenges_a_minute(http: httpx.AsyncClient) -> None:
    answers = [await http.get(CHALLENGE, params={"address": MINE}) for _ in range(25)]
    statuses = [it.status_code for it in answers]
    assert 10 <= statuses.count(200) <= 20  # a minute may have begun meanwhile
    assert "RATE_LIMITED" == next(it for it in answers if it.status_code == 429).json()["error"]["code"]


async def test_behind_a_proxy_a_client_is_who_the_proxy_says(processes: Processes) -> None:
    """Whatever it writes into the header itself, and whoever else comes through that proxy."""
    node = processes.start("fanout", TRUSTED_PROXIES="1")
    async with httpx.AsyncClient(base_url=node.url) as http:

        async def ask(number: int, client: str) -> int:
            headers = {"X-Forwarded-For": f"10.0.0.{number}, {client}"}
            return (await http.get(CHALLENGE, params={"address": MINE}, headers=headers)).status_code

        statuses = [await ask(number, "192.0.2.1") for number in range(25)]
        assert 10 <= statuses.count(200) <= 20  # a minute may have begun meanwhile
        assert 200 == await ask(1, "192.0.2.2")


async def test_no_body_whatever_is_an_error_of_ours(http: httpx.AsyncClient) -> None:
    rng = Random(3)
    good = signed(await challenge(http))
    for _ in range(300):
        made: Any = dict(good)
        for name in rng.sample(sorted(made), rng.randrange(1, 5)):
            made[name] = rng.choice([None, 7, "", [], {}, "x" * 3000, "\x00", "é" * 50, True, "0x"])
        body = json.dumps(made).encode()
        if rng.random() < 0.3:
            body = body[: rng.randrange(len(body))]
        if rng.random() < 0.1:
            body = rng.randbytes(200)
        answer = await http.post(VERIFY, content=body)
        assert answer.status_code in (400, 401, 413), answer.text
        assert answer.json()["success"] is False
    assert 413 == (await http.post(VERIFY, content=b"x" * 9000)).status_code
    assert 401 == (await http.post(LOGOUT)).status_code
    assert 405 == (await http.get(VERIFY)).status_code
