"""The simulated chain is a chain: whatever the seed, what it tells could have happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.chain import DEEPEST, Chain, Delivery
from deploy.local.chainhook import Block, NftMint, Print
from deploy.local.simulator import company_of
from shared.domain.clarity import Json, plain

COMPANY = company_of({})
STEPS = 90
seeds = st.integers(0, 2**32)


def play(seed: int, steps: int = STEPS) -> Iterator[tuple[Chain, Delivery]]:
    chain = Chain.begin(seed, 1_760_000_000)
    for step in range(steps):
        chain, delivery = chain.next(1_760_000_000 + 3 * step, COMPANY)
        yield chain, delivery


@dataclass
class Follower:
    """What one knows who reads nothing but deliveries: the canonical blocks that had a match."""

    blocks: list[Block] = field(default_factory=list)
    reorgs: int = 0

    def hear(self, delivery: Delivery) -> None:
        heights = [block.height for block in delivery.apply]
        assert sorted(set(heights)) == heights, "applied from the fork up"
        for gone in delivery.rollback:
            assert self.blocks.pop() == gone, "rolled back tip first, as it was applied"
        self.reorgs += bool(delivery.rollback)
        for block in delivery.apply:
            assert not self.blocks or block.height > self.blocks[-1].height
            assert not self.blocks or block.time >= self.blocks[-1].time
            if self.blocks and self.blocks[-1].height == block.height - 1:
                assert block.parent_hash == self.blocks[-1].hash
            self.blocks.append(block)

    def prints(self) -> Iterator[tuple[int, dict[str, Json]]]:
        """Height and fields of every print that happened, in the order of the chain."""
        for block in self.blocks:
            assert [tx.index for tx in block.txs] == sorted({tx.index for tx in block.txs})
            for tx in block.txs:
                for event in tx.events if tx.success else ():
                    if isinstance(event, Print):
                        value = plain(event.value)
                        assert isinstance(value, dict)
                        yield block.height, value


@dataclass
class Book:
    """One stream as its prints tell it; all amounts in sats."""

    amount: int
    start: int
    end: int
    sender: Json
    recipient: Json
    withdrawn: int = 0
    is_open: bool = True

    def vested(self, height: int) -> int:
        passed = min(max(height - self.start, 0), self.end - self.start)
        return self.amount * passed // (self.end - self.start)


def audit(follower: Follower) -> None:
    """Hold every print against all that was printed before it."""
    streams: dict[int, Book] = {}
    collected = treasury = 0
    for height, told in follower.prints():
        number = {name: value for name, value in told.items() if isinstance(value, int)}
        if told["event"] == "stream-created":
            assert number["stream-id"] == len(streams) + 1
            assert number["start-block"] < number["end-block"]
            parties = told["sender"], told["recipient"]
            streams[number["stream-id"]] = Book(number["amount"], number["start-block"], number["end-block"], *parties)
        elif told["event"] == "treasury-cancellation-fee-collected":
            collected, treasury = number["amount"], treasury + number["amount"]
            assert number["new-balance"] == treasury
        elif told["event"] != "obligation-minted":
            stream = streams[number["stream-id"]]
            assert stream.is_open, "nothing happens to a closed stream"
            if told["event"] == "stream-withdrawal":
                stream.withdrawn += number["amount"]
                assert number["amount"] > 0
                assert stream.withdrawn <= stream.vested(height)
                assert told["recipient"] == stream.recipient
                stream.is_open = stream.withdrawn < stream.amount
            elif told["event"] == "stream-sender-updated":
                assert told["old-sender"] == stream.sender
                stream.sender = told["new-sender"]
            else:
                assert told["event"] == "stream-cancelled"
                parts = number["vested-paid"], number["unvested-returned"], number["cancellation-fee"]
                assert stream.amount == stream.withdrawn + sum(parts)
                assert number["vested-paid"] == stream.vested(height) - stream.withdrawn
                assert number["cancellation-fee"] == (stream.amount - stream.vested(height)) // 100
                assert number["cancellation-fee"] in (0, collected)
                assert number["cancelled-at-block"] == height
                assert told["sender"] == stream.sender
                stream.is_open = False


@given(seeds)
@settings(max_examples=25)
def test_what_is_told_could_have_happened(seed: int) -> None:
    follower = Follower()
    for number, (_, delivery) in enumerate(play(seed)):
        follower.hear(delivery)
        if delivery.rollback or number == STEPS - 1:
            audit(follower)


@given(seeds)
@settings(max_examples=15)
def test_a_reorg_grows_the_chain_and_mines_its_transactions_again_or_never(seed: int) -> None:
    before = 0
    for chain, delivery in play(seed):
        assert chain.height == before + 1 or not before
        assert len(delivery.rollback) <= 2 * DEEPEST
        blocks = (*delivery.apply, *delivery.rollback)
        assert len({block.hash for block in blocks}) == len(blocks), "no block is both applied and rolled back"
        applied = [tx.hash for block in delivery.apply for tx in block.txs]
        assert len(set(applied)) == len(applied)
        before = chain.height


def test_a_creation_is_told_in_the_order_of_the_contracts() -> None:
    for _, delivery in play(7):
        for block in delivery.apply:
            for tx in block.txs:
                names = [
                    plain(event.value)["event"] if isinstance(event, Print) else event.asset  # type: ignore[index,call-overload]
                    for event in tx.events
                    if isinstance(event, (Print, NftMint))
                ]
                if "stream-created" in names:
                    ids = COMPANY.contracts
                    assert [ids.recipient_asset, ids.obligation_asset, "obligation-minted", "stream-created"] == names


def test_everything_happens() -> None:
    follower = Follower()
    hashes: set[str] = set()
    returned = failed = 0
    for _, delivery in play(7, 600):
        follower.hear(delivery)
        for block in delivery.apply:
            returned += block.hash in hashes
            failed += sum(not tx.success for tx in block.txs)
            hashes.add(block.hash)
    names = {told["event"] for _, told in follower.prints()}
    assert {"stream-created", "stream-withdrawal", "stream-cancelled", "stream-sender-updated"} < names
    assert follower.reorgs > 10
    assert returned, "a block that was rolled back is applied again"
    assert failed


@given(seeds, st.integers(0, STEPS - 1))
@settings(max_examples=15)
def test_a_chain_that_was_written_down_goes_on_as_if_nothing_had_happened(seed: int, stop: int) -> None:
    chain = Chain.begin(seed, 1_760_000_000)
    for step, (expected, delivery) in enumerate(play(seed, stop + 3)):
        if step == stop:
            chain = msgspec.json.decode(msgspec.json.encode(chain), type=Chain)
            again = chain.next(1_760_000_000 + 3 * step, COMPANY)
            assert again == chain.next(1_760_000_000 + 3 * step, COMPANY), "a step can be made once more"
        chain, told = chain.next(1_760_000_000 + 3 * step, COMPANY)
        assert (expected, delivery) == (chain, told)


def test_two_chains_share_no_hash() -> None:
    def hashes(seed: int, time: int) -> set[str]:
        _, delivery = Chain.begin(seed, time).next(time, COMPANY)
        return {block.hash for block in delivery.apply} | {tx.hash for block in delivery.apply for tx in block.txs}

    assert not hashes(1, 1000) & hashes(1, 1001)
    assert not hashes(1, 1000) & hashes(2, 1000)
