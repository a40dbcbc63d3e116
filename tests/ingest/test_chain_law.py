"""The law of the fold: whatever is delivered, in whatever order, state is a fold of what is canonical, and who listens
to what is said knows the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.json import decode

from ingest import memory, projections
from ingest.memory import Memory
from ingest.record import Incoming
from shared.database import Connection, Pool
from shared.domain.catalogue import read_event
from shared.domain.chain import BlockRef, Place
from shared.domain.fold import fold, in_order, settle_all, transactions
from shared.domain.rows import (
    AnyRow,
    Listing,
    Proposal,
    ProtocolState,
    Stream,
    TreasuryAdmin,
    TreasuryState,
    genesis,
)
from shared.domain.views import listing_view, proposal_view, stream_view, treasury_view
from shared.domain.workset import Happened, Rows
from shared.tables import metadata
from tests.builders import ALICE, CAROL, CONTRACTS, DAVE, a_delivery, block, stream_cancelled, tx
from tests.ingest.chain_law import Listener, Telling, Told, created, market, moved, tellings, treasury
from tests.stored import recorded

# the same chains in every run of all tests; `make test-law` looks at others each time
SEARCHES: Final = "CHAIN_LAW_EXAMPLES" in os.environ
EXAMPLES: Final = int(os.environ.get("CHAIN_LAW_EXAMPLES", "2000"))
NOW: Final = 1_763_900_000_000_000
_EVENTS = (
    "SELECT id, canonical, contract, name, value, block_height, block_hash, block_time, tx_hash, tx_index, tx_sender,"
    " source, rank, event_index FROM chain_events"
)
_EMPTY = "; ".join(
    (
        "SET session_replication_role = replica",  # else a trigger keeps the outbox
        *(f"DELETE FROM {name}" for name in metadata.tables if name not in ("deployment", "outbox_head")),
        "UPDATE outbox_head SET seq = 0, n = 0",
        "SET session_replication_role = origin",
    )
)
_SAID = "SELECT seq, n, room, name, payload::text FROM outbox WHERE seq > $1 ORDER BY seq, n"


@pytest.mark.timeout(max(120, EXAMPLES // 5))
@settings(max_examples=EXAMPLES, derandomize=not SEARCHES, suppress_health_check=list(HealthCheck))
@given(steps=tellings())
async def test_state_is_a_fold_of_the_canonical_chain_and_a_listener_knows_it(
    database: Pool, steps: list[Telling]
) -> None:
    """Each example happens in one transaction of the database that is rolled back at its end."""
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await hold(connection, steps)
        finally:
            await transaction.rollback()


PROCESSES: Final = 3


@pytest.mark.timeout(max(120, EXAMPLES // 5))
@settings(max_examples=EXAMPLES // 5, derandomize=not SEARCHES, suppress_health_check=list(HealthCheck))
@given(steps=tellings(), whose=st.lists(st.integers(0, PROCESSES - 1), min_size=1, max_size=7))
async def test_so_it_is_when_several_processes_record_and_each_remembers_what_it_has_recorded(
    database: Pool, monkeypatch: pytest.MonkeyPatch, steps: list[Telling], whose: list[int]
) -> None:
    """Each transaction is committed; the next example finds the database empty. What was told before, Postgres says."""
    monkeypatch.setattr(memory, "TOLD_MAX", 0)
    async with database.acquire() as connection:
        try:
            await hold(connection, steps, whose, alone=False)
        finally:
            await connection.execute(_EMPTY)


async def hold(
    connection: Connection, steps: list[Telling], whose: Sequence[int] = (0,), *, alone: bool = True
) -> None:
    """Record these tellings, and look after each transaction whether the law holds. ``whose`` says which process
    records the first one, the next, and so on, and from its beginning again."""
    memories = [Memory(CONTRACTS) for _ in range(PROCESSES)]
    told, listener, heard = Told(), Listener(), 0
    batch: list[Incoming] = []
    for number, step in enumerate(steps):
        delivery = step.read()
        told.take(delivery)
        batch.append(Incoming(delivery, NOW + number))
        if step.shares and step is not steps[-1]:
            continue
        await recorded(connection, batch, memories[whose[number % len(whose)]], alone=alone)
        batch = []
        events = await connection.fetch(_EVENTS)
        assert told.canonical == {it["id"] for it in events if it["canonical"]}
        scratch, ends = from_scratch(events)
        state = await stored(connection)
        assert scratch == state
        kept = await connection.fetch("SELECT aggregate, block_height, tx_index, event_index FROM aggregates")
        assert ends == {name: place for name, *place in kept}
        said = await connection.fetch(_SAID, heard)
        for seq, n, room, name, payload in said:
            assert (seq, n) in ((heard, 0), (heard + 1, 0)) or n > 0
            heard = seq
            spoken = decode(payload)
            assert f"{seq}-{n}" == spoken["meta"]["offset"]
            listener.hear(room, name, spoken)
        assert heard == await connection.fetchval("SELECT seq FROM outbox_head")
        assert sorted({it[0] for it in said}) == list(range(heard - len({it[0] for it in said}) + 1, heard + 1))
        assert_heard(listener, state)


def from_scratch(events: list[Any]) -> tuple[dict[Any, AnyRow], dict[str, list[int]]]:
    """Every row, and how far each aggregate is folded, from the canonical events alone."""
    found = Rows(genesis(CONTRACTS))
    ends: dict[str, list[int]] = {}
    happened = []
    for it in events:
        role = CONTRACTS.role_of(it["contract"]) or ""
        if it["canonical"] and (event := read_event(role, it["name"], decode(it["value"]))):
            ref = BlockRef(it["block_height"], it["block_hash"], it["block_time"])
            place = Place(
                ref, it["tx_hash"], it["tx_index"], it["tx_sender"], it["source"], it["rank"], it["event_index"]
            )
            happened.append(Happened(place, event))
    for transaction in transactions(sorted(happened, key=lambda it: in_order(it.place))):
        for it in transaction:
            fold(found, it, transaction, it.event.aggregates)
            ends |= {name: list(it.place.position) for name in it.event.aggregates}
        settle_all(found, transaction, frozenset(ends))
    every = cast("list[AnyRow]", [row for kind in projections.STORED for row in found.all(kind)])
    return {(type(it), it.key): it for it in every}, ends


async def stored(connection: Connection) -> dict[Any, AnyRow]:
    """Every row of every projection; genesis where a table has not its row yet."""
    found: dict[Any, AnyRow] = {(type(it), it.key): it for it in genesis(CONTRACTS)}
    for kind, table in projections.STORED.items():
        names = ", ".join(projections.NAMES[kind])
        for record_ in await connection.fetch(f"SELECT {names} FROM {table.table.name}"):
            read = cast("AnyRow", projections.read(kind, record_))
            found[kind, read.key] = read
    return found


def assert_heard(listener: Listener, state: dict[Any, AnyRow]) -> None:
    """Who applied what was said has the views that a snapshot has."""
    rows = list(state.values())
    (treasury,) = (it for it in rows if isinstance(it, TreasuryState))
    admins = [it for it in rows if isinstance(it, TreasuryAdmin)]
    streams = {str(it.stream_id): dict(stream_view(it)) for it in rows if isinstance(it, Stream)}
    assert streams == {
        key: {name: value for name, value in view.items() if name in streams.get(key, view)}
        for key, view in listener.streams.items()
    }
    listings = [listing_view(it) for it in rows if isinstance(it, Listing)]
    shown = {it["streamId"]: (it["price"], it["seller"], it["status"]) for it in listings if it["status"] in SHOWN}
    assert shown == {key: (it["price"], it["seller"], it["status"]) for key, it in listener.listings.items()}
    view = treasury_view(treasury, admins)
    assert view["balance"] == listener.balance
    if "treasury" not in listener.stale:
        assert set(view["admins"]) == listener.admins
    for it in rows:
        if isinstance(it, Proposal) and str(it.proposal_id) not in listener.stale:
            proposal, known = proposal_view(it, treasury), listener.proposals[str(it.proposal_id)]
            for name in ("executed", "approvalCount", "approvals"):
                assert proposal[name] == known[name], name
    (protocol,) = (it for it in rows if isinstance(it, ProtocolState))
    assert protocol.paused == listener.paused


SHOWN: Final = ("active", "pending")


# What the law found, told plainly.


async def test_a_sale_whose_payer_print_was_unreadable_still_tells_the_stream_its_payer(database: Pool) -> None:
    sale = tx(*moved(1, ALICE, DAVE), market("direct-purchase-completed", **SOLD), sender=DAVE)
    steps = [
        Telling(a_delivery().applies(block(7, tx(*created(1, ALICE)))), "v1", shares=False),
        Telling(a_delivery().applies(block(8, sale)), "v1", shares=False, unreadable=frozenset({CONTRACTS.core})),
        Telling(a_delivery().applies(block(8, sale)), "v2", shares=False),
    ]
    async with database.acquire() as connection:
        await hold(connection, steps)
        said = await connection.fetch(
            "SELECT payload ->> 'type' AS type, payload #>> '{data,sender}' AS sender FROM outbox"
            " WHERE room = 'stream:1' AND name = 'stream:updated' ORDER BY seq, n"
        )
    assert [("created", ALICE), ("sender-updated", DAVE), ("sender-updated", DAVE)] == [tuple(it) for it in said]


async def test_two_forks_with_a_transaction_at_the_same_place_fold_the_same_in_whichever_order(
    database: Pool,
) -> None:
    """Their events stand at equal places of the chain; each transaction stays in one piece."""
    forks = [block(8, tx(*created(1, who), *moved(1, who, DAVE)), fork=who) for who in (ALICE, CAROL)]
    for order in (forks, forks[::-1]):
        async with database.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await hold(connection, [Telling(a_delivery().applies(it), "v1", shares=False) for it in order])
            await transaction.rollback()


async def test_of_two_forks_at_one_place_the_later_told_is_late_if_it_folds_first(database: Pool) -> None:
    """Who heard the one that folds last must not take the other for the newer: also between equal places."""
    forks = [block(8, tx(*created(1, who)), fork=who) for who in (ALICE, CAROL)]
    late = set()
    for order in (forks, forks[::-1]):
        async with database.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            both = a_delivery()
            for it in order:
                both = both.applies(it)
            await hold(connection, [Telling(both, "v1", shares=False)])
            said = await connection.fetch("SELECT payload #>> '{meta,late}' FROM outbox ORDER BY seq")
            assert said[0][0] == "false"
            late.add(said[-1][0])
            await transaction.rollback()
    assert late == {"true", "false"}


async def test_what_one_transaction_was_told_unreadably_and_then_readably_stands_beside_its_neighbours(
    database: Pool,
) -> None:
    """Its place is the one that was given to them, though nothing of that is stored yet."""
    cancelled = tx(
        treasury("cancellation-fee-collected", amount=5000, caller=CONTRACTS.core, new_balance=5000),
        stream_cancelled(1, sender=ALICE),
        index=2,
    )
    told = block(7, tx(*created(1, ALICE)), cancelled)
    listed = tx(market("nft-listed", stream_id=1, seller=ALICE, price=1000, listed_at=7), index=2)
    fork = block(7, tx(*created(1, ALICE)), listed, fork="b")
    steps = [
        Telling(
            a_delivery().applies(told, fork),
            "v1-before-positions",
            shares=True,
            unreadable=frozenset({CONTRACTS.treasury}),
        ),
        Telling(a_delivery().rolls_back(told).applies(told), "v1", shares=False),
    ]
    async with database.acquire() as connection:
        await hold(connection, steps)


SOLD: Final[dict[str, int | str]] = {"stream_id": 1, "buyer": DAVE, "seller": ALICE, "price": 900, "sale_id": 1}
