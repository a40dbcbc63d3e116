"""A node's routes served in this process, and rows to serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from fanout.notifications import Notifications
from fanout.snapshots import Snapshots
from fanout.tokens import Tokens
from fanout.upstream import Server
from fanout.web import web_app
from ingest.projections import begin
from shared.database import Pool
from shared.domain.rows import AnyRow, Listing, Proposal, Purchase, Sale, Stream, TreasuryFee, TreasuryState, genesis
from shared.settings import fanout_settings
from tests.builders import ALICE, BOB, CAROL, CONTRACTS, DAVE

STREAM = Stream(1, ALICE, ALICE, BOB, amount=1_000, start_block=10, end_block=110, withdrawn=100, complete=True)
LISTING = Listing(1, ALICE, price=900, listed_at_block=20, complete=True)
PURCHASE = Purchase("e" * 32, 1, CAROL, ALICE, 900, "pay-1", initiated_at_block=50, expires_at_block=61)
PROPOSAL = Proposal(
    1,
    "withdrawal",
    ALICE,
    500,
    BOB,
    "rent",
    approvers=(CAROL, ALICE),
    approval_count=2,
    proposed_at_block=40,
    timelock_block=184,
    expires_at_block=1048,
    complete=True,
)
TREASURY = TreasuryState(balance=2**128, total_fees=7, fee_bps=50, admin=ALICE, active_admin_count=2)
FACTS = {"txHash": "0xt", "blockHeight": 50, "blockHash": "0xb", "timestamp": 1_760_000_500}


def sale(number: int, stream_id: int = 1, *, seller: str = ALICE, buyer: str = CAROL) -> Sale:
    return Sale(number, stream_id, seller, buyer, 900, 9, 891, "direct", "pay-1", 50, 1_760_000_500, "0xb", "0xt")


def fee(event_id: str, block: int = 50, tx: int = 0, *, amount: int = 5, kind: str = "general") -> TreasuryFee:
    return TreasuryFee(event_id, kind, amount, DAVE, 105, None, None, block, "0xb", 1_760_000_500, tx, 0, "0xt")


def every_list() -> list[AnyRow]:
    """Rows for each list, among them some that only the last column of an order tells apart."""
    rows: list[AnyRow] = []
    for i in range(1, 8):
        rows += [replace(STREAM, stream_id=i), replace(LISTING, stream_id=i), replace(PROPOSAL, proposal_id=i), sale(i)]
    places = ((7, 1), (7, 1), (7, 0), (7, 2), (9, 0), (10, 0), (8, 0))
    ids = ("a" * 32, "9" * 32, "b" * 32, "1" * 32, "c" * 32, "2" * 32, "d" * 32)
    rows += [fee(event_id, *place, amount=i) for i, (event_id, place) in enumerate(zip(ids, places, strict=True), 1)]
    return rows


async def hold(database: Pool, *rows: AnyRow, tip: int = 60) -> None:
    """Make these rows true, and those of genesis that they do not replace, at that height."""
    await begin(database, rows)
    await begin(database, genesis(CONTRACTS))
    await database.execute(
        "INSERT INTO chain_tip (id, height, hash, time) VALUES (1, $1, '0xa', $2) "
        "ON CONFLICT (id) DO UPDATE SET height = excluded.height, time = excluded.time",
        tip,
        1_760_000_000 + 10 * tip,
    )


@asynccontextmanager
async def serving(
    database: Pool, environment: dict[str, str], redis: Redis | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a node's routes, which are served in this process; with Redis those that need a token too."""

    async def check() -> dict[str, str]:
        return {}

    server = Server(async_mode="aiohttp", namespaces=["/"])
    settings = fanout_settings(environment)
    personal = Notifications(database, Tokens(settings, redis)) if redis else None
    app = web_app(server, Snapshots(database), settings, check, lambda: True, notifications=personal)
    async with TestServer(app) as site, httpx.AsyncClient(base_url=str(site.make_url("/"))) as client:
        yield client


async def data(http: httpx.AsyncClient, path: str, **query: str) -> Any:
    """What a snapshot says."""
    answer = await http.get(path, params=query)
    assert 200 == answer.status_code, answer.text
    return answer.json()["data"]
