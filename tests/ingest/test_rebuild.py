"""A rebuild finds what is not a fold of the stored events, says so, and mends it only when it is told to."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from ingest import projections
from ingest.compare import report
from ingest.rebuild import NotNow, Rebuilt, rebuild
from ingest.recorder import Recorder
from shared import outbox, tables
from shared.database import Pool
from shared.domain import catalogue
from shared.domain.catalogue.core import StreamWithdrawal
from shared.domain.event import Misfit
from shared.domain.rows import genesis
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    DAVE,
    a_delivery,
    block,
    stream_cancelled,
    stream_created,
    stream_sender_updated,
    stream_withdrawal,
    tx,
)
from tests.ingest.chain_law import Telling, access, created, market, moved, tellings, treasury
from tests.stored import contents, rows

ROOT = Path(__file__).resolve().parent.parent.parent
# whether a rebuild of this database waits for the outbox; others wait for locks too
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query LIKE '%outbox_head%'"
)
RUN_S = 60
SOLD: dict[str, int | str] = {"stream_id": 1, "buyer": DAVE, "seller": ALICE, "price": 900, "sale_id": 1}
HISTORY = (
    block(7, tx(*created(1, ALICE)), tx(*created(2, CAROL)), stream_created(3)),
    block(
        8,
        market("nft-listed", stream_id=1, seller=ALICE, price=1000, listed_at=8),
        access("operator-added", operator=BOB, added_by=ALICE),
    ),
    block(
        9,
        tx(
            treasury("marketplace-fee-collected", amount=9, caller=CONTRACTS.marketplace, new_balance=9),
            *moved(1, ALICE, DAVE),
            market("direct-purchase-completed", **SOLD),
        ),
        stream_withdrawal(2),
        stream_sender_updated(3),
    ),
    block(10, stream_withdrawal(2, 1), stream_cancelled(3, sender=CAROL)),
)

TAMPER = "UPDATE access_roles SET active = NOT active WHERE kind = 'operator'"  # no block of these tests touches it
TAMPERED = {"access_roles": (f"kind=operator, principal={BOB}: active",)}


async def silent(phase: str, done: int, total: int) -> None:
    """Hears of the progress and says nothing."""


def once(act: Callable[[], Awaitable[object]], *, at: str = "folding") -> Callable[[str, int, int], Awaitable[None]]:
    """Acts when the first chunk of that phase is done."""
    acted = False

    async def tell(phase: str, done: int, total: int) -> None:
        nonlocal acted
        if phase == at and not acted:
            acted = True
            await act()

    return tell


@pytest.fixture
async def history(recorder: Recorder) -> Recorder:
    """A recorder that has recorded a bit of everything, and a reorg."""
    for it in HISTORY:
        await recorder.submit(a_delivery().applies(it).read())
    again = block(10, stream_withdrawal(2, 2), fork="b", parent="a")
    await recorder.submit(a_delivery().rolls_back(HISTORY[3]).applies(again).read())
    return recorder


async def again(database: Pool, *, swap: bool = False) -> Rebuilt:
    return await rebuild(database, CONTRACTS, silent, swap=swap, chunk=3)


def differing(found: Rebuilt) -> dict[str, tuple[str, ...]]:
    return {it.name: it.examples for it in found.tables if not it.same}


# -- what it finds


async def test_what_was_recorded_is_what_it_folds_into(database: Pool, history: Recorder) -> None:
    before = await contents(database)
    for chunk in (1, 2, 5, 1000):
        found = await rebuild(database, CONTRACTS, silent, swap=True, chunk=chunk)
        assert {} == differing(found)
        assert (False, None) == (found.swapped, found.epoch)
    counts = {it.name: (it.rows_live, it.rows_rebuilt) for it in found.tables}
    assert ((3, 3), (1, 1)) == (counts["streams"], counts["market_sales"])
    assert before == await contents(database)
    assert not await database.fetchval("SELECT to_regnamespace('rebuild') IS NOT NULL")


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(steps=tellings())
async def test_whatever_is_told_in_whatever_order_rebuilds_to_the_same(
    database: Pool, recorder: Recorder, steps: list[Telling]
) -> None:
    """Half of it is told before the rebuild begins, the rest while it is under way."""
    await recorder.submit(a_delivery().read())
    await _wipe(database)
    for step in steps[::2]:
        await recorder.submit(step.read())

    async def the_rest() -> None:
        for step in steps[1::2]:
            await recorder.submit(step.read())

    found = await rebuild(database, CONTRACTS, once(the_rest, at="looking for events"), chunk=2)
    assert {} == differing(found), report(found.tables)
    found = await rebuild(database, CONTRACTS, silent, chunk=2)
    assert {} == differing(found), report(found.tables)


async def _wipe(database: Pool) -> None:
    """Back to how ingest found its database."""
    kept = ("deployment", "outbox_head", "outbox")  # the outbox is append-only
    async with database.acquire() as connection, connection.transaction():
        for name in tables.metadata.tables:
            if name not in kept:
                await connection.execute(f"DELETE FROM {name}")
        await projections.begin(connection, genesis(CONTRACTS))


async def test_a_row_that_was_tampered_with_is_named_and_mended_only_by_a_swap(
    database: Pool, history: Recorder
) -> None:
    right = await contents(database)
    await database.execute("UPDATE streams SET amount = amount + 1, status = 'cancelled' WHERE stream_id = 2")
    await database.execute("DELETE FROM market_sales")
    await database.execute("INSERT INTO event_keys VALUES ('stream:9', 'nobody')")
    await database.execute("INSERT INTO treasury_recipient_totals VALUES ('x', 1, '', 0)")
    wrong = await contents(database)
    named = {
        "streams": ("stream_id=2: amount, status",),
        "market_sales": ("sale_id=1: only rebuilt",),
        "treasury_recipient_totals": ("recipient=x: only live",),
        "event_keys": ("aggregate=stream:9, event_id=nobody: only live",),
    }
    found = await again(database)
    assert (named, False) == (differing(found), found.swapped)
    assert wrong == await contents(database)
    epoch = (await outbox.head(database)).epoch
    found = await again(database, swap=True)
    assert (named, True) == (differing(found), found.swapped)
    assert found.epoch == (await outbox.head(database)).epoch != epoch
    mended = await contents(database)
    assert {"outbox_head"} == {name for name, it in mended.items() if it != right[name]}
    assert {} == differing(await again(database))


async def test_what_nobody_is_shown_is_mended_within_the_epoch(database: Pool, history: Recorder) -> None:
    right = await contents(database)
    await database.execute("DELETE FROM event_keys; UPDATE aggregates SET tx_index = 99")
    found = await again(database, swap=True)
    assert (True, None) == (found.swapped, found.epoch)
    assert right == await contents(database)


async def test_only_a_few_of_many_rows_are_named(database: Pool, history: Recorder) -> None:
    await database.execute(
        "UPDATE event_keys SET aggregate = 'stream:' || row FROM"
        " (SELECT event_id AS id, 100 + row_number() OVER () AS row FROM event_keys) it WHERE event_id = id AND"
        " aggregate LIKE 'stream:%'"
    )
    said = report((await again(database)).tables)
    assert re.search(r"^event_keys +\d+ +\d+ +\d+  DIFFERS\n(  .*\n){3}  and \d+ more$", said, re.MULTILINE)
    assert re.search(r"^streams +3 +3 +0  ok$", said, re.MULTILINE)


async def test_a_reader_in_an_older_snapshot_goes_on_seeing_it(database: Pool, history: Recorder) -> None:
    await database.execute("UPDATE streams SET sender = 'x'")
    async with database.acquire() as reader, reader.transaction(isolation="repeatable_read", readonly=True):
        before = await outbox.head(reader)
        assert (await again(database, swap=True)).swapped
        assert {"x"} == {it.sender for it in await rows(reader, tables.streams)}
        assert before == await outbox.head(reader)
    assert "x" not in {it.sender for it in await rows(database, tables.streams)}


# -- events from before the catalogue knew them


async def test_events_stored_before_the_catalogue_knew_them_fold_and_can_be_rolled_back(
    database: Pool, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = block(8, stream_withdrawal(1, 7), fork="b", parent="a")
    with monkeypatch.context() as unknown:
        unknown.delitem(catalogue._BY_NAME, ("core", "stream-withdrawal"))
        await recorder.submit(a_delivery().applies(block(7, stream_created()), fork).read())
        await recorder.submit(a_delivery().rolls_back(fork).applies(block(8, stream_withdrawal(1, 5))).read())
        assert {} == differing(await again(database))
    found = await again(database, swap=True)
    assert {"streams", "aggregates", "event_keys"} == differing(found).keys()
    assert [5] == [it.withdrawn for it in await rows(database, tables.streams)]
    keys = {it.event_id for it in await rows(database, tables.event_keys)}
    assert keys == {it.id for it in await rows(database, tables.chain_events)}  # those off the chain too
    await recorder.submit(a_delivery().rolls_back(block(8, stream_withdrawal(1, 5))).read())
    assert [0] == [it.withdrawn for it in await rows(database, tables.streams)]
    await recorder.submit(a_delivery().applies(fork).read())
    assert [7] == [it.withdrawn for it in await rows(database, tables.streams)]
    assert {} == differing(await again(database))


async def test_events_that_the_catalogue_reads_more_strictly_now_are_counted_and_left_out(
    database: Pool, history: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(value: object) -> StreamWithdrawal:
        raise Misfit("amount of stream-withdrawal is odd")

    monkeypatch.setattr(StreamWithdrawal, "read", strict)
    found = await again(database, swap=True)
    assert {"stream-withdrawal": 3} == found.misfits
    assert {0} == {it.withdrawn for it in await rows(database, tables.streams)}
    await history.submit(a_delivery().rolls_back(block(10, stream_withdrawal(2, 2), fork="b", parent="a")).read())
    assert {} == differing(await again(database))


# -- while ingest goes on


async def test_what_is_recorded_meanwhile_is_in_it(database: Pool, history: Recorder) -> None:
    """A reorg, events behind all others, one that comes late, and a further part of a transaction."""
    whole = block(12, tx(stream_withdrawal(2, 3), stream_withdrawal(1, 3)), stream_created(5))
    part = block(12, tx(stream_withdrawal(2, 3)), fork="a")
    assert part.hash == whole.hash

    async def reorg() -> None:
        gone = block(10, stream_withdrawal(2, 2), fork="b", parent="a")
        await history.submit(a_delivery().rolls_back(gone, HISTORY[2]).applies(HISTORY[3]).read())
        await history.submit(a_delivery().applies(block(11, stream_created(4)), whole).read())
        await history.submit(a_delivery().applies(block(9, stream_withdrawal(2, 9), fork="c", parent="a")).read())

    await database.execute(TAMPER)
    for at in ("reading", "folding", "comparing"):
        before = await contents(database)
        found = await rebuild(database, CONTRACTS, once(reorg, at=at), chunk=1)
        assert TAMPERED == differing(found)
        assert (before == await contents(database)) == (at != "reading")  # told again, it is known
    swapped = await rebuild(database, CONTRACTS, silent, swap=True, chunk=1)
    assert TAMPERED == differing(swapped)
    assert {} == differing(await again(database))


async def test_what_is_recorded_before_the_swap_has_the_lock_is_swapped_in(database: Pool, history: Recorder) -> None:
    await database.execute(TAMPER)

    async def late() -> None:
        await history.submit(a_delivery().rolls_back(HISTORY[2]).applies(block(11, stream_withdrawal(2, 4))).read())

    found = await rebuild(database, CONTRACTS, once(late, at="comparing"), swap=True, chunk=2)
    assert found.swapped
    assert {} == differing(await again(database))
    (stream,) = (it for it in await rows(database, tables.streams) if it.stream_id == 2)
    assert 6 == stream.withdrawn


async def test_recording_waits_while_it_swaps_and_goes_on_behind_it(database: Pool, history: Recorder) -> None:
    await database.execute("UPDATE streams SET amount = 1")
    waiting: list[asyncio.Task[object]] = []

    async def meanwhile() -> None:
        waiting.append(asyncio.create_task(history.submit(a_delivery().applies(block(11, stream_created(8))).read())))
        while not await database.fetchval(WAITS):
            await asyncio.sleep(0.01)

    found = await rebuild(database, CONTRACTS, once(meanwhile, at="swapping"), swap=True)
    assert found.swapped
    await waiting[0]
    assert {} == differing(await again(database))


async def test_whoever_has_read_what_it_mends_looks_again(database: Pool, history: Recorder) -> None:
    """Also where nothing of it was ever shown, and so no epoch begins."""
    await database.execute("UPDATE aggregates SET block_height = 1000")
    async with database.acquire() as connection:
        before = await outbox.head(connection)
        found = await again(database, swap=True)
        after = await outbox.head(connection)
    assert (True, None) == (found.swapped, found.epoch)
    assert (before.epoch, before.offset) == (after.epoch, after.offset)
    assert before.version != after.version


# -- how it ends, and how it does not begin


@pytest.mark.parametrize("at", ["reading", "folding", "comparing", "swapping"])
async def test_interrupted_at_any_time_it_leaves_the_live_tables_as_they_were(
    database: Pool, history: Recorder, at: str
) -> None:
    await database.execute("UPDATE streams SET amount = 1 WHERE stream_id = 2")
    before = await contents(database)

    async def interrupt() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await rebuild(database, CONTRACTS, once(interrupt, at=at), swap=True, chunk=2)
    assert before == await contents(database)
    assert (await again(database, swap=True)).swapped
    assert {} == differing(await again(database))


async def test_of_two_at_once_the_second_refuses(database: Pool, history: Recorder) -> None:
    async def second() -> None:
        with pytest.raises(NotNow, match="another rebuild is at work"):
            await again(database)

    await rebuild(database, CONTRACTS, once(second), chunk=2)
    await again(database)


async def test_a_database_that_is_not_ours_is_left_alone(database: Pool) -> None:
    with pytest.raises(NotNow, match="ingest has not begun"):
        await again(database)
    await database.execute("""INSERT INTO deployment VALUES (1, 'testnet', '{"core": "another"}')""")
    with pytest.raises(NotNow, match="belongs to"):
        await again(database)


# -- the command


def command(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "rebuild", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


async def test_the_command_prints_what_it_found_and_says_it_by_its_status(
    database: Pool, history: Recorder, environment: dict[str, str]
) -> None:
    status, out, err = await asyncio.to_thread(command, environment)
    assert (0, "the live tables are what 18 events fold into") == (status, out.splitlines()[-1])
    assert re.fullmatch(r"(rebuild: [a-z ]+( \d+/\d+ events, \d+/s)?\n)+", err)
    await database.execute("UPDATE streams SET sender = 'x' WHERE stream_id = 1")
    status, out, err = await asyncio.to_thread(command, environment)
    assert (1, "the live tables differ, `rebuild --swap` makes them right") == (status, out.splitlines()[-1])
    assert re.search(r"^streams +3 +3 +1  DIFFERS\n  stream_id=1: sender$", out, re.MULTILINE)
    status, out, err = await asyncio.to_thread(command, environment, "--swap")
    epoch = (await outbox.head(database)).epoch
    assert status == 0
    assert out.endswith(f"\nnew epoch {epoch}: every client fetches anew what it shows\n")
    assert {DAVE, CAROL} == {it.sender for it in await rows(database, tables.streams)}


async def test_the_command_refuses_with_one_line(database: Pool, environment: dict[str, str]) -> None:
    status, out, err = await asyncio.to_thread(command, environment)
    assert (1, "", "rebuild: ingest has not begun with this database yet, there is nothing to rebuild\n") == (
        status,
        out,
        err,
    )
    status, out, err = await asyncio.to_thread(command, environment, "--quick")
    assert (2, "", "usage: python -m ingest [new-epoch | rebuild [--swap]]\n") == (status, out, err)


async def test_an_interrupt_ends_the_command_without_harm(
    database: Pool, history: Recorder, environment: dict[str, str]
) -> None:
    await database.execute("UPDATE streams SET amount = 1 WHERE stream_id = 2")
    before = await contents(database)
    async with database.acquire() as recording, recording.transaction():
        # however long the command takes to get there, the lock outlives it
        await recording.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await outbox.head(recording, lock=True)  # so that the swap waits
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ingest", "rebuild", "--swap",
            cwd=ROOT, env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # parallel test workers ignore it, and a child would inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        ends = time.monotonic() + RUN_S
        while not await database.fetchval(WAITS):
            assert time.monotonic() < ends
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), RUN_S)
    assert (130, b"") == (process.returncode, out)
    assert err.endswith(b"\nrebuild: interrupted; the live tables change in one transaction or not at all\n")
    assert before == await contents(database)
    assert (await again(database, swap=True)).swapped
