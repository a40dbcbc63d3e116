"""``python -m bench.fold``: what the fold of the whole catalogue costs in one ingest process, fsync on.

Bodies of 50 events over one connection: lives of streams with their NFTs, listing, sale, fee and withdrawals. Each
round is measured after so many events are stored, which shows whether an event costs more in large tables; then one
event of an aggregate of 10,000 is rolled back, which folds it anew.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import uvloop

from bench.ingest import measure
from bench.posting import Poster, request
from bench.rig import Rig, rig, table
from deploy.local.chainhook import Tx
from tests.builders import ALICE, BOB, CONTRACTS, DAVE, a_delivery, block, stream_created, stream_withdrawal, tx
from tests.prints import created, market, moved, treasury

BODY: Final = 50  # events of a body that is measured
BODIES: Final = 60
FILL: Final = 2_000  # events of a body that only fills the tables
ANEW: Final = 10_000


def life(stream: int) -> list[Tx]:
    """A stream's life: made, drawn from, listed, priced anew, sold with a fee, drawn from by two prints at once."""
    sold: dict[str, int | str] = {"stream_id": stream, "buyer": DAVE, "seller": ALICE, "price": 1000}
    fee = treasury("marketplace-fee-collected", amount=10, caller=CONTRACTS.marketplace, new_balance=10 * stream)
    sale = market("direct-purchase-completed", **sold, sale_id=stream)
    return [
        tx(*created(stream, ALICE)),
        tx(stream_withdrawal(stream, 10), sender=BOB),
        tx(market("nft-listed", stream_id=stream, seller=ALICE, price=900, listed_at=7)),
        tx(market("listing-price-updated", stream_id=stream, seller=ALICE, old_price=900, new_price=1000)),
        tx(fee, *moved(stream, ALICE, DAVE), sale, sender=DAVE),
        tx(stream_withdrawal(stream, 20), stream_withdrawal(stream, 30), sender=BOB),
    ]


class Lives:
    """Makes the bodies: every block and every stream is new."""

    def __init__(self) -> None:
        self._height, self._stream = 2000, 0
        self._waiting: list[Tx] = []

    def body(self, events: int) -> tuple[bytes, int]:
        """One block of at least so many events in whole transactions, as a request; and how many it has."""
        taken: list[Tx] = []
        count = 0
        while count < events:
            if not self._waiting:
                self._stream += 1
                self._waiting = life(self._stream)
            taken.append(self._waiting.pop(0))
            count += len(taken[-1].events)
        self._height += 1
        return request(a_delivery().applies(block(self._height, *taken)).encoded()), count


async def fold_anew(ingest: Poster) -> float:
    """Seconds from the POST that takes back one of ``ANEW`` events of a stream to its answer."""
    stream = 2**40
    await ingest.post(request(a_delivery().applies(block(1, tx(stream_created(stream, amount=10**12)))).encoded()))
    for part in range(ANEW // FILL):
        txs = [tx(stream_withdrawal(stream, 1), nonce=part * FILL + number) for number in range(FILL)]
        await ingest.post(request(a_delivery().applies(block(2 + part, *txs)).encoded()))
    last = block(1000, tx(stream_withdrawal(stream, 1), nonce=-1))
    await ingest.post(request(a_delivery().applies(last).encoded()))
    begin = time.perf_counter()
    answer = await ingest.post(request(a_delivery().rolls_back(last).encoded()))
    assert b'"reverted":1' in answer
    return time.perf_counter() - begin


async def run(sizes: Sequence[int], on: Rig) -> None:
    """Fill to each size and measure; the aggregate that is folded anew comes at the end, beside full tables."""
    print(await on.describe(), end="\n\n", flush=True)
    ingest = on.processes.start("ingest")
    lives, stored = Lives(), 0
    database = await asyncpg.connect(on.postgres.url())
    rows = []
    async with Poster(ingest.port) as poster:
        for size in sizes:
            while stored < size:
                body, count = lives.body(min(FILL, size))
                await poster.post(body)
                stored += count
            # what the filling left behind to be written and cleaned up is not the cost of an event
            for tidy in ("VACUUM (ANALYZE)", "CHECKPOINT"):
                await database.execute(tidy)
            made = [lives.body(BODY) for _ in range(BODIES)]
            result = await measure(ingest, [[body for body, _ in made]])
            count = sum(it for _, it in made)
            stored += count
            each = [latency / it * 1e6 for latency, (_, it) in zip(result.latencies, made, strict=True)]
            rate, cpu = count / result.seconds, result.cpu_s / count * 1e6
            rows.append([f"{size:,}", f"{rate:,.0f}", f"{statistics.median(each):,.0f}", f"{cpu:,.0f}"])
            print(f"measured after {size:,} events", flush=True)
        print("\n" + table(["events stored before", "events/s", "µs/event", "CPU µs/event"], rows))
        seconds = await fold_anew(poster)
        print(f"\nan aggregate of {ANEW:,} events folded anew after a rollback: {seconds:.2f} s")
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fold", description=__doc__)
    parser.add_argument("--sizes", default="0,10000,1000000", help="events stored before each measurement")
    options = parser.parse_args()
    with rig() as on:
        uvloop.run(run([int(it) for it in options.sizes.split(",")], on))


if __name__ == "__main__":
    main()
