"""What is recorded: each event once, state that is a fold of what is canonical, an outbox without gaps."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.chainhook import Block, Tx
from ingest.janitor import delete_expired
from ingest.record import Incoming, Outcome, Unheld, record
from ingest.recorder import OtherDeployment, Recorder
from ingest.together import Writes
from shared import outbox, tables
from shared.database import Connection, Pool
from shared.domain.catalogue import read_event
from shared.domain.chain import BlockRef, Place, event_id
from shared.domain.clarity import UInt
from shared.domain.fold import fold
from shared.domain.rows import Stream, StreamSender
from shared.domain.workset import Happened, Rows
from tests.builders import (
    ALICE,
    AMOUNT,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    FORMS,
    ADelivery,
    a_delivery,
    block,
    core_print,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
    tx,
    without,
)
from tests.stored import contents, emissions, recorded, rows, spoken

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
NOW = 1_770_000_000_000_000  # unix µs
CREATED = block(7, stream_created())
DRAWN = block(8, stream_withdrawal())


async def tell(database: Pool, *deliveries: ADelivery, form: str = "v1", together: bool = False) -> list[Outcome]:
    """Record deliveries, each in a transaction of its own or all in one."""
    incoming = [Incoming(delivery.read(form), NOW + i) for i, delivery in enumerate(deliveries)]
    outcomes: list[Outcome] = []
    for batch in [incoming] if together else [[it] for it in incoming]:
        async with database.acquire() as connection:
            outcomes += (await recorded(connection, batch, alone=False))[0]
    return outcomes


def counted(outcome: Outcome) -> tuple[int, int, int, int]:
    return outcome.applied, outcome.known, outcome.reverted, outcome.quarantined


async def stream(database: Pool, stream_id: int = 1) -> Any:
    """The row of a stream, or None."""
    return next((it for it in await rows(database, tables.streams) if it.stream_id == stream_id), None)


async def said(database: Pool, *, after: int = 0) -> list[tuple[int, str, str, str]]:
    """The outbox behind an entry, in short: seq, room, name and operation."""
    return [(seq, room, name, it["meta"]["op"]) for seq, _, room, name, it in await emissions(database) if seq > after]


def ids(*blocks: Block) -> list[str]:
    """The identities of the events of blocks that have one of the core contract in each transaction."""
    return [event_id(it.hash, tx.hash, CONTRACTS.core, 0) for it in blocks for tx in it.txs]


# -- once


@pytest.mark.parametrize("second", FORMS)
async def test_whatever_tells_of_an_event_again_changes_nothing(database: Pool, second: str) -> None:
    told = a_delivery().applies(block(7, tx(stream_created(), stream_withdrawal()), stream_sender_updated()), DRAWN)
    (first,) = await tell(database, told)
    before = await contents(database)
    assert (4, 0, 0, 0) == counted(first)
    (again,) = await tell(database, told, form=second)
    assert (0, 4, 0, 0) == counted(again)
    assert before == await contents(database)


@pytest.mark.parametrize("together", [False, True])
async def test_two_hooks_that_match_one_transaction_tell_of_one_event(database: Pool, together: bool) -> None:
    told = a_delivery().applies(CREATED)
    outcomes = await tell(database, told, told, told, together=together)
    assert [(1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 0, 0)] == [counted(it) for it in outcomes]
    assert [1] * 3 == [seq for seq, *_ in await said(database)]


async def test_hooks_may_tell_of_a_block_in_parts(database: Pool) -> None:
    whole = block(7, stream_created(1), stream_created(2), stream_created(3))
    first, second, third = ((replace(whole, txs=(it,))) for it in whole.txs)
    await tell(database, *(a_delivery().applies(it) for it in (second, third, first)))
    assert {1, 2, 3} == {it.stream_id for it in await rows(database, tables.streams)}
    assert sorted(ids(whole)) == [it.id for it in await rows(database, tables.chain_events)]
    assert [(0, 3)] == [counted(it)[:2] for it in await tell(database, a_delivery().applies(whole), form="v2")]


async def test_a_transaction_listed_twice_in_one_body_counts_once(database: Pool) -> None:
    whole = block(7, tx(stream_created(), without(stream_withdrawal(), "amount")))
    doubled = a_delivery().applies(replace(whole, txs=whole.txs * 2))
    outcomes = await tell(database, doubled, doubled, form="v2")
    assert [(1, 0, 0, 1), (0, 1, 0, 1)] == [counted(it) for it in outcomes]


async def test_an_event_keeps_the_indexes_of_the_delivery_that_brought_it(database: Pool) -> None:
    told = a_delivery().applies(block(7, tx(stream_created(), index=9)))
    await tell(database, told, form="v2")
    await tell(database, told, form="v1")
    (kept,) = await rows(database, tables.chain_events)
    assert (9, 2) == (kept.tx_index, kept.event_index)


async def test_an_event_is_kept_with_all_that_identifies_and_orders_it(database: Pool) -> None:
    told = block(7, tx(stream_created(), index=4, sender=BOB))
    await tell(database, a_delivery().applies(told))
    (kept,) = await rows(database, tables.chain_events)
    assert (kept.block_hash, kept.block_height, kept.block_time) == (told.hash, 7, told.time)
    assert (kept.tx_hash, kept.tx_index, kept.tx_sender) == (told.txs[0].hash, 4, BOB)
    assert (kept.source, kept.contract, kept.rank) == (CONTRACTS.core, CONTRACTS.core, 0)
    assert (kept.kind, kept.name, kept.canonical) == ("print", "stream-created", True)
    assert (kept.seen_at, kept.reverted_at) == (outbox.moment(NOW), None)
    assert ids(told) == [kept.id]
    assert [("stream:1", kept.id)] == [(it.aggregate, it.event_id) for it in await rows(database, tables.event_keys)]


# -- what does not fit


async def test_a_print_with_wrong_fields_is_set_aside_and_its_neighbours_count(database: Pool) -> None:
    bad = without(stream_withdrawal(), "amount")
    told = a_delivery().applies(block(7, tx(stream_created(), bad, stream_withdrawal(amount=5))))
    assert [(2, 0, 0, 1)] == [counted(it) for it in await tell(database, told)]
    (aside,) = await rows(database, tables.quarantine)
    assert ("stream-withdrawal without amount", 1) == (aside.reason, aside.rank)
    assert "stream-withdrawal" == json.loads(aside.raw)["event"]
    assert 5 == (await stream(database)).withdrawn
    before = await contents(database)
    assert [(0, 2, 0, 1)] == [counted(it) for it in await tell(database, told, form="v2")]
    assert before == await contents(database)


@pytest.mark.parametrize("together", [False, True])
async def test_what_another_hook_can_tell_leaves_the_quarantine(database: Pool, together: bool) -> None:
    body = a_delivery().applies(CREATED).body("v1-raw")
    (event,) = body["apply"][0]["transactions"][0]["metadata"]["receipt"]["events"]
    event["data"]["raw_value"] = "0xff"
    broken = _Told(body)
    outcomes = await tell(database, broken, a_delivery().applies(CREATED), together=together)
    assert [(0, 0, 0, 1), (1, 0, 0, 0)] == [counted(it) for it in outcomes]
    assert [] == await rows(database, tables.quarantine)
    assert ids(CREATED) == [it.id for it in await rows(database, tables.chain_events)]
    assert [(0, 1, 0, 0)] == [counted(it) for it in await tell(database, broken)]
    assert [] == await rows(database, tables.quarantine)


async def test_an_event_without_meaning_to_us_is_kept_and_said_to_nobody(database: Pool) -> None:
    odd = block(7, core_print("stream-odd", {"stream-id": UInt(1)}))
    assert [(1, 0, 0, 0)] == [counted(it) for it in await tell(database, a_delivery().applies(odd))]
    assert [] == await said(database)
    assert [(0, 0, 1, 0)] == [counted(it) for it in await tell(database, a_delivery().rolls_back(odd))]
    assert [] == await said(database)
    assert [False] == [it.canonical for it in await rows(database, tables.chain_events)]


# -- rollback


async def test_a_rollback_takes_back_what_its_block_did_and_says_so(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    before = await stream(database)
    assert (AMOUNT // 4, 1) == (before.withdrawn, before.withdrawal_count)
    assert [(0, 0, 1, 0)] == [counted(it) for it in await tell(database, a_delivery().rolls_back(DRAWN))]
    after = await stream(database)
    assert (0, 0, ids(CREATED)[0], 7) == (
        after.withdrawn,
        after.withdrawal_count,
        after.last_event_id,
        after.updated_block,
    )
    flags = {it.id: (it.canonical, it.reverted_at) for it in await rows(database, tables.chain_events)}
    assert {ids(CREATED)[0]: (True, None), ids(DRAWN)[0]: (False, outbox.moment(NOW))} == flags
    assert [
        (3, "stream:1", "chain:reverted", "rollback"),
        (3, f"user:{ALICE}", "chain:reverted", "rollback"),
        (3, f"user:{BOB}", "chain:reverted", "rollback"),
        (4, "stream:1", "stream:updated", "rollback"),
    ] == await said(database, after=2)


async def test_a_stream_whose_creation_is_rolled_back_is_gone(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(CREATED, DRAWN))
    assert await stream(database) is None
    for table in (tables.streams, tables.aggregates, tables.stream_sender_history):
        assert [] == await rows(database, table)


async def test_each_reverted_event_has_an_entry_from_the_tip_down_and_the_compensation_comes_last(
    database: Pool,
) -> None:
    low = block(7, tx(stream_created(2), stream_created(1), index=1), tx(stream_withdrawal(2), index=4))
    high = block(8, stream_sender_updated(1), stream_withdrawal(1))
    await tell(database, a_delivery().applies(low, high), a_delivery().rolls_back(low, high))
    entries: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for seq, _, _, _, payload in await emissions(database):
        if seq > 5:
            entries[seq].append(payload)
    creation = low.txs[0].hash
    assert [
        event_id(high.hash, high.txs[1].hash, CONTRACTS.core, 0),
        event_id(high.hash, high.txs[0].hash, CONTRACTS.core, 0),
        event_id(low.hash, low.txs[1].hash, CONTRACTS.core, 0),
        event_id(low.hash, creation, CONTRACTS.core, 1),
        event_id(low.hash, creation, CONTRACTS.core, 0),
    ] == [entries[seq][0]["meta"]["id"] for seq in (6, 7, 8, 9, 10)]
    gone = [(it["data"]["streamId"], it["data"]["status"], it["meta"]["id"]) for it in entries.pop(11)]
    assert gone == [
        ("1", "reverted", event_id(low.hash, creation, CONTRACTS.core, 1)),
        ("2", "reverted", event_id(low.hash, creation, CONTRACTS.core, 0)),
    ]
    assert {6, 7, 8, 9, 10} == entries.keys()


async def test_a_rollback_of_what_is_not_there_says_nothing(database: Pool) -> None:
    unknown = a_delivery().rolls_back(block(9, stream_created(5), fork="b"))
    await tell(database, a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(DRAWN))
    before = await contents(database)
    outcomes = await tell(database, unknown, a_delivery().rolls_back(DRAWN), unknown, form="v2")
    assert [(0, 0, 0, 0)] * 3 == [counted(it) for it in outcomes]
    assert before == await contents(database)


async def test_a_block_takes_along_and_brings_back_what_this_body_does_not_list(database: Pool) -> None:
    whole = block(7, stream_created(1), stream_created(2), core_print("stream-odd", {}))
    part = replace(whole, txs=whole.txs[:1])
    await tell(database, a_delivery().applies(whole))
    assert [(0, 0, 3, 0)] == [counted(it) for it in await tell(database, a_delivery().rolls_back(part))]
    assert [] == await rows(database, tables.streams)
    empty = replace(whole, txs=())
    assert [(3, 0, 0, 0)] == [counted(it) for it in await tell(database, a_delivery().applies(empty))]
    assert [1, 2] == [it.stream_id for it in await rows(database, tables.streams)]


async def test_a_block_applied_again_is_as_if_it_had_never_been_away(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    before, first = await contents(database), await emissions(database)
    outcomes = await tell(database, a_delivery().rolls_back(DRAWN, CREATED), a_delivery().applies(CREATED, DRAWN))
    assert [(0, 0, 2, 0), (2, 0, 0, 0)] == [counted(it) for it in outcomes]
    after, again = await contents(database), (await emissions(database))[len(first) :]
    for name in ("streams", "stream_sender_history", "aggregates", "event_keys", "quarantine", "chain_tip"):
        assert before[name] == after[name]
    applied = [it for it in again if it[4]["meta"]["op"] == "apply"]
    assert [(room, name) for _, _, room, name, _ in first] == [(room, name) for _, _, room, name, _ in applied]
    for (*_, one), (*_, other) in zip(first, applied, strict=True):
        assert one["meta"]["id"] == other["meta"]["id"]
        assert (False, True) == (one["meta"]["reapplied"], other["meta"]["reapplied"])
        assert (one["data"], one["type"]) == (other["data"], other["type"])
    assert 2 == len(await rows(database, tables.chain_events))


@pytest.mark.parametrize("form", ["v1", "v2"])
async def test_a_transaction_mined_again_elsewhere_is_another_event_of_the_same_transaction(
    database: Pool, form: str
) -> None:
    """One transaction hash in ``rollback`` and in ``apply`` of one body."""
    mined = tx(stream_withdrawal(), index=2)
    old, new = block(8, mined), block(8, replace(mined, index=6), fork="b", parent="a")
    await tell(database, a_delivery().applies(CREATED), a_delivery().applies(old), form=form)
    (outcome,) = await tell(database, a_delivery().applies(new).rolls_back(old), form=form)
    assert (1, 0, 1, 0) == counted(outcome)
    assert ids(old) != ids(new)
    row = await stream(database)
    assert (AMOUNT // 4, 1, ids(new)[0]) == (row.withdrawn, row.withdrawal_count, row.last_event_id)
    (*_, applied) = (it for *_, it in await emissions(database) if it["meta"]["op"] == "apply")
    assert (ids(new)[0], True, 6) == tuple(applied["meta"][name] for name in ("id", "reapplied", "txIndex"))
    assert old.txs[0].hash == applied["data"]["txHash"]
    assert 0 == sum(it["meta"]["reapplied"] for *_, it in await emissions(database) if it["meta"]["op"] == "rollback")


async def test_a_reorg_leaves_no_trace_in_what_is_read(database: Pool) -> None:
    """After going to another fork and back, every projection is as if nothing had happened."""
    fork = [block(8, stream_cancelled(), fork="b"), block(9, stream_created(2), fork="b")]
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    before = await contents(database)
    await tell(database, a_delivery().rolls_back(DRAWN).applies(*fork), form="v2")
    assert ("cancelled", 0) == ((row := await stream(database)).status, row.withdrawn)
    await tell(database, a_delivery().rolls_back(*fork).applies(DRAWN))
    after = await contents(database)
    for name in ("streams", "stream_sender_history", "aggregates"):
        assert before[name] == after[name]


async def test_a_rollback_comes_before_an_apply_whatever_their_order_in_the_body(database: Pool) -> None:
    """One block in both lists of a body ends up applied."""
    await tell(database, a_delivery().applies(CREATED))
    assert [(1, 0, 1, 0)] == [
        counted(it) for it in await tell(database, a_delivery().rolls_back(CREATED).applies(CREATED))
    ]
    assert [True] == [it.canonical for it in await rows(database, tables.chain_events)]


async def test_the_tip_is_the_highest_block_that_is_applied(database: Pool) -> None:
    async def tip() -> list[tuple[Any, ...]]:
        return [(it.height, it.hash, it.time) for it in await rows(database, tables.chain_tip)]

    assert [] == await tip()
    await tell(database, a_delivery().applies(DRAWN), a_delivery().applies(CREATED))
    assert [(8, DRAWN.hash, DRAWN.time)] == await tip()
    await tell(database, a_delivery().rolls_back(block(9)))
    assert [(8, DRAWN.hash, DRAWN.time)] == await tip()
    await tell(database, a_delivery().rolls_back(DRAWN))
    assert [(7, None, None)] == await tip()
    other = block(8, fork="b")
    await tell(database, a_delivery().applies(other))
    assert [(8, other.hash, other.time)] == await tip()


# -- late


async def test_what_arrives_late_is_folded_where_it_belongs(database: Pool) -> None:
    """First heard of a stream by its second withdrawal, then by its creation, then by its first withdrawal."""
    first, second = block(8, stream_withdrawal(amount=1)), block(9, stream_withdrawal(amount=2))
    await tell(database, a_delivery().applies(second))
    stub = await stream(database)
    assert (None, BOB, None, 2, False) == (stub.sender, stub.recipient, stub.amount, stub.withdrawn, stub.complete)
    await tell(database, a_delivery().applies(CREATED))
    await tell(database, a_delivery().applies(first))
    row = await stream(database)
    assert (ALICE, AMOUNT, 3, 2, 9, True) == (
        row.sender,
        row.amount,
        row.withdrawn,
        row.withdrawal_count,
        row.last_withdrawal_block,
        row.complete,
    )
    heard = [
        (it["type"], it["meta"]["late"], it["data"]["withdrawn"])
        for *_, it in await emissions(database)
        if it["meta"]["room"] == "stream:1" and "withdrawn" in it["data"]
    ]
    assert [("withdrawal", False, "2"), ("created", True, "2"), ("withdrawal", True, "3")] == heard


async def test_a_withdrawal_to_the_end_heard_before_the_creation_completes_the_stream(database: Pool) -> None:
    await tell(
        database, a_delivery().applies(block(9, stream_withdrawal(amount=AMOUNT))), a_delivery().applies(CREATED)
    )
    row = await stream(database)
    assert ("completed", 9, 7) == (row.status, row.completed_at_block, row.created_block)


async def test_a_late_change_of_payer_does_not_undo_a_later_one(database: Pool) -> None:
    first, second = block(8, stream_sender_updated(new=CAROL)), block(9, stream_sender_updated(old=CAROL, new=DAVE))
    await tell(database, a_delivery().applies(CREATED), a_delivery().applies(second), a_delivery().applies(first))
    row = await stream(database)
    assert (DAVE, ALICE) == (row.sender, row.original_sender)
    history = {it.block: (it.old_sender, it.new_sender) for it in await rows(database, tables.stream_sender_history)}
    assert {8: (ALICE, CAROL), 9: (CAROL, DAVE)} == history


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("together", [False, True])
async def test_of_two_forks_that_both_count_the_order_of_arrival_decides_nothing(
    database: Pool, order: tuple[int, ...], together: bool
) -> None:
    """So it is between one hook's apply of the new block and another hook's rollback of the old one."""
    forks = [block(8, stream_sender_updated(new=it), stream_withdrawal(), fork=it) for it in (BOB, CAROL, DAVE)]
    await tell(database, a_delivery().applies(CREATED))
    await tell(database, *(a_delivery().applies(forks[it]) for it in order), together=together)
    events = await rows(database, tables.chain_events)
    streams, changes, _ = fold_from_scratch(events)
    assert streams == [_of(Stream, it) for it in await rows(database, tables.streams)]
    assert changes == [_of(StreamSender, it) for it in await rows(database, tables.stream_sender_history)]
    said = [it for *_, it in await emissions(database) if it["meta"]["txIndex"] == 1]
    forks_told = [(it["data"]["txHash"], it["data"]["blockHash"]) for it in said]
    late = [it["meta"]["late"] for it in said]
    assert late == [any(before > it for before in forks_told[:at]) for at, it in enumerate(forks_told)]
    await tell(database, a_delivery().rolls_back(forks[0], forks[2]), together=together)
    assert (CAROL, 1) == ((row := await stream(database)).sender, row.withdrawal_count)


async def test_withdrawals_that_add_up_beyond_128_bits_are_added_up(database: Pool) -> None:
    most = 2**128 - 1
    for height in (8, 9, 10):
        await tell(database, a_delivery().applies(block(height, stream_withdrawal(amount=most))))
    assert 3 * most == (await stream(database)).withdrawn


# -- the outbox


async def test_the_outbox_has_no_gaps_and_its_head_is_its_end(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(DRAWN))
    await tell(database, *[a_delivery().applies(DRAWN)] * 3, a_delivery().rolls_back(CREATED), together=True)
    await assert_gapless(database)


async def test_a_transaction_that_is_not_committed_leaves_no_gap(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED))
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await record(connection, [Incoming(a_delivery().applies(DRAWN).read(), NOW)], CONTRACTS)
        await transaction.rollback()
    await tell(database, a_delivery().applies(block(9, stream_created(2))))
    await assert_gapless(database)
    assert 2 == max(seq for seq, *_ in await said(database))


async def test_many_writers_at_once_number_without_gaps_and_count_each_event_once(database: Pool) -> None:
    told = [a_delivery().applies(block(8 + i // 2, tx(stream_withdrawal(amount=1), nonce=i // 2))) for i in range(40)]
    await asyncio.gather(*(tell(database, it, form=("v1", "v2")[i % 2]) for i, it in enumerate(told)))
    await assert_gapless(database)
    assert 20 == (await stream(database)).withdrawn
    assert 20 == len(await rows(database, tables.chain_events))


async def test_who_is_overtaken_between_reading_and_writing_has_changed_nothing(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(database, a_delivery().applies(CREATED))
    write, contested = Writes.execute, [Incoming(a_delivery().applies(DRAWN).read(), NOW)]

    async def overtaken(self: Writes, connection: Connection, select: str) -> list[Any]:
        monkeypatch.undo()
        # what says nothing counts, too
        await tell(database, a_delivery().applies(block(11)))
        before.update(await contents(database))
        return await write(self, connection, select)

    before: dict[str, list[str]] = {}
    monkeypatch.setattr(Writes, "execute", overtaken)
    async with database.acquire() as connection:
        with pytest.raises(Unheld):
            await record(connection, contested, CONTRACTS, held=False)
        assert before == await contents(database)
        await record(connection, contested, CONTRACTS, held=False)
    assert 2 == len(await rows(database, tables.chain_events))
    await assert_gapless(database)


@pytest.mark.parametrize("changes", [False, True])
async def test_who_waits_for_another_to_record_keeps_nobody_waiting(database: Pool, changes: bool) -> None:
    """Else two could wait for each other. It goes on where the other has changed nothing."""
    await tell(database, a_delivery().applies(CREATED))
    async with database.acquire() as connection, database.acquire() as other:
        holding = other.transaction()
        await holding.start()
        await outbox.head(other, lock=True)
        told = [Incoming(a_delivery().applies(DRAWN).read(), NOW)]
        waiting = asyncio.create_task(record(connection, told, CONTRACTS, held=False))
        while not await database.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await asyncio.sleep(0.01)
        for table in ("streams", "aggregates", "notifications", "notification_counts", "chain_tip"):
            assert await other.fetch(f"SELECT * FROM {table} FOR UPDATE NOWAIT")
        if changes:
            await outbox.renew(other)
        await holding.commit()
        if changes:
            with pytest.raises(Unheld):
                await waiting
        else:
            await waiting
    assert (1 if changes else 2) == len(await rows(database, tables.chain_events))


@pytest.mark.parametrize(
    "told",
    [
        a_delivery().applies(DRAWN),  # again
        a_delivery().rolls_back(DRAWN),
        a_delivery().applies(block(7, tx(stream_sender_updated()), fork="z")),  # behind what is folded
    ],
)
async def test_what_looks_at_the_past_is_recorded_while_the_outbox_is_held(database: Pool, told: ADelivery) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    before = await contents(database)
    async with database.acquire() as connection:
        with pytest.raises(Unheld):
            await record(connection, [Incoming(told.read(), NOW)], CONTRACTS, held=False)
    assert before == await contents(database)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE outbox SET room = 'x'", "DELETE FROM outbox", "TRUNCATE outbox", "DELETE FROM outbox WHERE n = 1"],
)
async def test_the_outbox_is_append_only(database: Pool, statement: str) -> None:
    await tell(database, a_delivery().applies(CREATED))
    before = await contents(database)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await database.execute(statement)
    assert before == await contents(database)


async def test_even_retention_cannot_change_or_empty_it(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED))
    for statement in ("UPDATE outbox SET room = 'x'", "TRUNCATE outbox"):
        async with database.acquire() as connection:
            await connection.execute("SET bitpay.retention = 'on'")
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute(statement)


async def age(database: Pool, days: int, upto: int) -> None:
    """Make entries older, as time would; the trigger is off meanwhile."""
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = 'replica'")
        query = "UPDATE outbox SET created_at = now() - make_interval(days => $1) WHERE seq <= $2"
        await connection.execute(query, days, upto)


async def test_retention_deletes_whole_entries_that_are_old_enough(database: Pool) -> None:
    await tell(database, a_delivery().applies(*(block(7 + i, stream_created(i)) for i in range(6))))
    await age(database, 1, 6)
    await age(database, 91, 3)
    assert 15 == await delete_expired(database, 90)
    assert [4, 4, 4, 5, 5, 5, 6, 6, 6] == [seq for seq, *_ in await said(database)]
    assert 0 == await delete_expired(database, 90)


async def test_retention_goes_on_in_bites_until_all_is_done(database: Pool) -> None:
    await tell(database, a_delivery().applies(*(block(7 + i, stream_created(i)) for i in range(10))))
    await age(database, 91, 9)
    for left in (7, 4, 1, 1):
        async with database.acquire() as connection, connection.transaction():
            await outbox.delete_older(connection, 90, limit=3)
        assert left == len({seq for seq, *_ in await said(database)})
    await assert_gapless(database, first=10)


async def test_retention_keeps_the_last_entry_however_old(database: Pool) -> None:
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    await age(database, 1000, 2)
    assert 5 == await delete_expired(database, 90)
    assert {2} == {seq for seq, *_ in await said(database)}
    await tell(database, a_delivery().rolls_back(DRAWN, CREATED))
    await assert_gapless(database, first=2)


async def test_state_is_still_taken_back_when_what_was_said_is_forgotten(database: Pool) -> None:
    """Retention forgets who heard of an event; what is true does not depend on it."""
    await tell(database, a_delivery().applies(CREATED, DRAWN))
    await age(database, 1000, 2)
    await delete_expired(database, 90)
    await tell(database, a_delivery().rolls_back(CREATED))
    assert (None, AMOUNT // 4) == ((row := await stream(database)).amount, row.withdrawn)
    assert [(4, "stream:1", "stream:updated", "rollback")] == await said(database, after=2)


async def assert_gapless(where: Pool | Connection, first: int = 1) -> None:
    """Entries are numbered from ``first`` to the head, their emissions from 0, all in the order of commits."""
    places = [(seq, n) for seq, n, *_ in await spoken(where)]
    assert all(offset == it["meta"]["offset"] for seq, n, _, _, it in await spoken(where) if (offset := f"{seq}-{n}"))
    end = await (outbox.head(where) if not isinstance(where, asyncpg.Pool) else _head(where))
    counts: dict[int, int] = defaultdict(int)
    for seq, n in places:
        assert counts[seq] == n
        counts[seq] += 1
    assert list(range(first, end.offset.seq + 1)) == sorted(counts)
    assert (places[-1] if places else (0, 0)) == end.offset


async def _head(database: Pool) -> outbox.Head:
    async with database.acquire() as connection:
        return await outbox.head(connection)


# -- whose database it is


async def test_a_database_belongs_to_the_deployment_that_came_first(database: Pool) -> None:
    async def claim(contracts: Any, network: str) -> None:
        await Recorder(database, contracts, network, 1, lambda head: None)._claim()

    await claim(CONTRACTS, "testnet")
    await claim(CONTRACTS, "testnet")
    for contracts, network in ((replace(CONTRACTS, core=f"{ALICE}.other"), "testnet"), (CONTRACTS, "mainnet")):
        with pytest.raises(OtherDeployment):
            await claim(contracts, network)


# -- in the words of the spec


@dataclass(frozen=True, slots=True)
class _Told(ADelivery):
    """A delivery whose body is given."""

    given: Any = None

    def __init__(self, given: Any) -> None:
        object.__setattr__(self, "given", given)
        object.__setattr__(self, "applied", ())
        object.__setattr__(self, "rolled_back", ())

    def body(self, form: str = "v1", *, seed: int = 0) -> dict[str, Any]:
        return self.given  # type: ignore[no-any-return]


CHANGED = block(8, stream_sender_updated())
ENDED = block(9, stream_cancelled())
TO_ONESELF = block(7, stream_created(sender=BOB, recipient=BOB))
STORIES: dict[str, tuple[tuple[ADelivery, ...], int]] = {
    # the deliveries, and behind which entry the golden file begins
    "stream-created": ((a_delivery().applies(CREATED),), 0),
    "stream-created-to-oneself": ((a_delivery().applies(TO_ONESELF),), 0),
    "stream-withdrawal": ((a_delivery().applies(CREATED, DRAWN),), 1),
    "stream-withdrawal-to-oneself": ((a_delivery().applies(TO_ONESELF, DRAWN),), 1),
    "stream-withdrawal-of-an-unknown-stream": ((a_delivery().applies(DRAWN),), 0),
    "stream-withdrawal-of-all": ((a_delivery().applies(CREATED, block(8, stream_withdrawal(amount=AMOUNT))),), 1),
    "stream-cancelled": ((a_delivery().applies(CREATED, DRAWN, ENDED),), 2),
    "stream-cancelled-of-an-unknown-stream": ((a_delivery().applies(ENDED),), 0),
    "stream-sender-updated": ((a_delivery().applies(CREATED, CHANGED),), 1),
    "stream-sender-updated-of-an-unknown-stream": ((a_delivery().applies(CHANGED),), 0),
    "rollback-of-a-withdrawal": ((a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(DRAWN)), 2),
    "rollback-of-a-stream": ((a_delivery().applies(CREATED, DRAWN), a_delivery().rolls_back(DRAWN, CREATED)), 2),
    "rollback-to-oneself": ((a_delivery().applies(TO_ONESELF), a_delivery().rolls_back(TO_ONESELF)), 1),
}


async def tell_story(database: Pool, name: str) -> list[dict[str, Any]]:
    """What a story ends with, as a golden file has it."""
    deliveries, after = STORIES[name]
    await tell(database, *deliveries)
    found = [it for it in await emissions(database) if it[0] > after]
    return [{"room": room, "name": event, "payload": payload} for _, _, room, event, payload in found]


@pytest.mark.parametrize("name", STORIES)
async def test_what_is_said_is_what_the_golden_file_says(database: Pool, name: str) -> None:
    expected = json.loads((GOLDEN / "streams" / f"{name}.json").read_text())
    found = await tell_story(database, name)
    assert expected == found
    assert [list(it["payload"]) for it in expected] == [list(it["payload"]) for it in found]
    assert [list(it["payload"]["data"]) for it in expected] == [list(it["payload"]["data"]) for it in found]


async def test_every_golden_file_has_its_story() -> None:
    assert set(STORIES) == {path.stem for path in (GOLDEN / "streams").iterdir()}


# -- the law

TXS = (
    tx(stream_created(1), stream_created(2, sender=CAROL)),
    tx(stream_withdrawal(1, 400_000), sender=BOB),
    tx(stream_withdrawal(1, 350_000), stream_withdrawal(1, 250_000), sender=BOB),
    tx(stream_sender_updated(1, old=ALICE, new=CAROL)),
    tx(stream_sender_updated(1, old=CAROL, new=DAVE), stream_sender_updated(2, old=CAROL, new=DAVE)),
    tx(stream_cancelled(1)),
    tx(stream_withdrawal(2, 7), core_print("stream-odd", {"stream-id": UInt(2)}), stream_cancelled(2, sender=CAROL)),
    tx(stream_created(2, sender=CAROL), nonce=1),
)


@dataclass(frozen=True, slots=True)
class _Step:
    """A delivery in a form, and whether the next one shares its transaction."""

    delivery: ADelivery
    form: str
    shares: bool


@st.composite
def chains(draw: st.DrawFn) -> list[_Step]:
    """A small chain with forks, told in any order, in parts, again and again, in any form."""
    forest: list[Block] = []
    for number in range(draw(st.integers(2, 5))):
        parent = draw(st.sampled_from([None, *forest]))
        told = draw(st.lists(st.sampled_from(TXS), unique_by=lambda it: it.hash, max_size=4))
        placed = [replace(it, index=index * 2) for index, it in enumerate(told)]
        forest.append(block(parent.height + 1 if parent else 7, *placed, fork=f"fork {number}"))
    any_blocks = st.lists(st.sampled_from(forest), unique_by=lambda it: it.hash, max_size=3)
    steps = []
    for _ in range(draw(st.integers(2, 8))):
        apply, rollback = draw(any_blocks), draw(any_blocks if draw(st.booleans()) else st.just([]))
        if draw(st.integers(0, 3)) == 0:  # another hook, that matches fewer transactions
            apply = [replace(it, txs=draw(_parts(it.txs))) for it in apply]
        delivery = a_delivery().applies(*apply).rolls_back(*rollback)
        steps.append(_Step(delivery, draw(st.sampled_from(sorted(FORMS))), draw(st.booleans())))
    return steps


def _parts(whole: Sequence[Tx]) -> st.SearchStrategy[tuple[Tx, ...]]:
    return st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)).map(
        lambda chosen: tuple(it for it, is_in in zip(whole, chosen, strict=True) if is_in)
    )


class _Model:
    """What should be true, by the simplest means: which events of which block were told, and is it on the chain."""

    def __init__(self) -> None:
        self.told: dict[str, set[str]] = defaultdict(set)
        self.on_chain: set[str] = set()

    def take(self, delivery: ADelivery) -> None:
        read = delivery.read()
        self.on_chain -= {it.ref.hash for it in read.rollback}
        for it in read.apply:
            self.told[it.ref.hash] |= {event.place.event_id for event in it.events}
            self.on_chain.add(it.ref.hash)

    @property
    def canonical(self) -> set[str]:
        return {event for it in self.on_chain for event in self.told[it]}


@settings(max_examples=60)
@given(steps=chains(), seed=st.integers(0, 99))
async def test_whatever_is_delivered_in_whatever_order_state_is_a_fold_of_what_is_canonical(
    database: Pool, steps: list[_Step], seed: int
) -> None:
    """Each example happens in one transaction of the database that is rolled back at its end."""
    model = _Model()
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            batch: list[Incoming] = []
            for number, step in enumerate(steps):
                model.take(step.delivery)
                batch.append(Incoming(step.delivery.read(step.form, seed=seed), NOW + number))
                if not step.shares or step is steps[-1]:
                    await recorded(connection, batch)
                    batch = []
                    await _assert_true(connection, model)
        finally:
            await transaction.rollback()


async def _assert_true(connection: Connection, model: _Model) -> None:
    events = await rows(connection, tables.chain_events)
    assert {event for told in model.told.values() for event in told} == {it.id for it in events}
    assert model.canonical == {it.id for it in events if it.canonical}
    assert [] == await rows(connection, tables.quarantine)
    streams, changes, ends = fold_from_scratch(events)
    assert streams == [_of(Stream, it) for it in await rows(connection, tables.streams)]
    assert changes == [_of(StreamSender, it) for it in await rows(connection, tables.stream_sender_history)]
    assert ends == {
        it.aggregate: (it.block_height, it.tx_index, it.event_index) for it in await rows(connection, tables.aggregates)
    }
    _assert_sums(events, streams)
    await assert_gapless(connection)
    heard: dict[str, list[str]] = defaultdict(list)
    for _, n, _, name, it in await emissions(connection):
        if n == 0 and (it["meta"]["op"] == "apply" or name == "chain:reverted"):
            heard[it["meta"]["id"]].append(it["meta"]["op"])
    for it in events:
        told = heard[it.id]
        assert told == [("apply", "rollback")[place % 2] for place in range(len(told))]
        assert (len(told) % 2 == 1) is (it.canonical and it.name != "stream-odd")


def fold_from_scratch(events: Iterable[Any]) -> tuple[list[Stream], list[StreamSender], dict[str, tuple[int, ...]]]:
    """Streams, changes of payers, and how far each aggregate is folded, from the canonical events alone."""
    found, order = Rows(), Random(1)
    ends: dict[str, tuple[int, ...]] = {}
    canonical = [it for it in events if it.canonical]
    order.shuffle(canonical)
    at: Callable[[Any], Any] = lambda it: (  # noqa: E731
        it.block_height,
        it.tx_index,
        it.tx_hash,
        it.block_hash,
        it.event_index,
        it.source,
        it.rank,
    )
    for it in sorted(canonical, key=at):
        if event := read_event("core", it.name, it.value):
            ref = BlockRef(it.block_height, it.block_hash, it.block_time)
            place = Place(ref, it.tx_hash, it.tx_index, it.tx_sender, it.source, it.rank, it.event_index)
            happened = Happened(place, event)
            fold(found, happened, (happened,), event.aggregates)
            ends |= dict.fromkeys(event.aggregates, tuple(place.position))
    written = list(found.written())
    streams = sorted((it for it in written if isinstance(it, Stream)), key=lambda it: it.key)
    changes = sorted((it for it in written if isinstance(it, StreamSender)), key=lambda it: it.key)
    return streams, changes, ends


def _assert_sums(events: Iterable[Any], streams: Iterable[Stream]) -> None:
    """Beyond the code's own fold: what must hold of a stream in any order of its events."""
    by_stream: dict[int, list[Any]] = defaultdict(list)
    for it in events:
        if it.canonical and it.name != "stream-odd":
            by_stream[it.value["stream-id"]].append(it)
    assert list(by_stream) == [] or set(by_stream) == {it.stream_id for it in streams}
    for row in streams:
        named = {name: [it for it in by_stream[row.stream_id] if it.name == f"stream-{name}"] for name in NAMES}
        assert sum(it.value["amount"] for it in named["withdrawal"]) == row.withdrawn
        assert len(named["withdrawal"]) == row.withdrawal_count
        assert bool(named["created"]) is row.complete
        assert (AMOUNT if named["created"] else None) == row.amount
        if named["cancelled"]:
            assert "cancelled" == row.status
        else:
            assert ("completed" if row.complete and row.withdrawn >= AMOUNT else "active") == row.status


NAMES = ("created", "withdrawal", "cancelled", "sender-updated")


def _of(kind: type[Any], row: Any) -> Any:
    return kind(**vars(row))
