"""The simulated chain is a chain: whatever the seed, what it tells could have happened. And everything happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.actions import Action
from deploy.local.actions.access import SetPause, SetRole
from deploy.local.actions.marketplace import (
    BuyNft,
    CancelExpiredPurchase,
    CancelListing,
    InitiatePurchase,
    ListNft,
    UpdateListingPrice,
)
from deploy.local.actions.streams import Create, Withdraw
from deploy.local.chain import DEEPEST, KEPT, Attempt, Chain, Command, Delivery, Sealed, mine, replay
from deploy.local.chainhook import Block, Print, fake_hash
from deploy.local.errors import Impossible
from deploy.local.simulator import company_of
from deploy.local.world import Listing, Stream, genesis
from shared.domain import clarity
from tests.deploy.auditor import Auditor, Follower, names

COMPANY = company_of({})
DEFAULT_SEED = 7
GENESIS_S = 1_760_000_000
STEPS = 150
seeds = st.integers(0, 2**32)
commands = st.builds(Command, st.sampled_from(("create", "withdraw", "list", "buy", "block"))) | st.builds(
    Command, st.just("reorg"), st.integers(1, DEEPEST)
)
commanded = st.lists(st.none() | commands, min_size=STEPS, max_size=STEPS)  # None: nobody commands that step

PRINTS = """
stream-created: stream-id u, sender p, recipient p, amount u, start-block u, end-block u
stream-withdrawal: stream-id u, recipient p, amount u
stream-cancelled: stream-id u, sender p, unvested-returned u, cancellation-fee u, vested-paid u, cancelled-at-block u
stream-sender-updated: stream-id u, old-sender p, new-sender p, transfer-type s19
market-nft-listed: stream-id u, seller p, price u, listed-at u
market-listing-price-updated: stream-id u, seller p, old-price u, new-price u
market-listing-cancelled: stream-id u, seller p
market-direct-purchase-completed: stream-id u, buyer p, seller p, price u, sale-id u
market-purchase-initiated: stream-id u, buyer p, payment-id s64, expires-at u
market-gateway-purchase-completed: stream-id u, buyer p, seller p, price u, payment-id s64, sale-id u
market-purchase-expired: stream-id u, buyer p
market-backend-authorized: backend p
market-backend-deauthorized: backend p
market-marketplace-fee-updated: old-fee u, new-fee u
treasury-fee-collected: amount u, caller p, new-balance u
treasury-cancellation-fee-collected: amount u, caller p, new-balance u
treasury-marketplace-fee-collected: amount u, caller p, new-balance u
treasury-withdrawal: amount u, recipient p, admin p, new-balance u
treasury-distribution: amount u, recipient p, admin p, new-balance u
treasury-fee-updated: old-fee-bps u, new-fee-bps u, admin p
treasury-admin-transfer-proposed: current-admin p, proposed-admin p
treasury-admin-transfer-completed: old-admin p, new-admin p
treasury-admin-transfer-cancelled: cancelled-by p
treasury-withdrawal-proposed: proposal-id u, amount u, recipient p, proposer p, description s256, expires-at u
treasury-withdrawal-approved: proposal-id u, approver p, total-approvals u, required u
treasury-withdrawal-executed: proposal-id u, amount u, recipient p, approvals u
treasury-add-admin-proposed: proposal-id u, new-admin p, proposer p
treasury-remove-admin-proposed: proposal-id u, target-admin p, proposer p
treasury-admin-proposal-approved: proposal-id u, approver p, total-approvals u
treasury-admin-proposal-executed: proposal-id u, action s10, target-admin p, approvals u
access-admin-added: admin p, added-by p
access-admin-removed: admin p, removed-by p
access-operator-added: operator p, added-by p
access-operator-removed: operator p, removed-by p
access-contract-authorized: contract p, authorized-by p
access-contract-revoked: contract p, revoked-by p
access-protocol-paused: paused-by p
access-protocol-unpaused: unpaused-by p
access-admin-transfer-initiated: from p, to p
access-admin-transfer-completed: new-admin p
obligation-minted: stream-id u, token-id u, owner p
obligation-transferred: stream-id u, token-id u, from p, to p, note s61
"""
GOALS = {"create": Create, "withdraw": Withdraw, "list": ListNft, "buy": BuyNft}
FIELDS = dict(line.split(": ") for line in PRINTS.strip().splitlines())
ASSETS = ("stream-nft/mint", "stream-nft/burn", "obligation-nft/burn")


def play(seed: int, steps: int = STEPS, commands: Sequence[Command | None] = ()) -> Iterator[tuple[Chain, Delivery]]:
    """A chain step by step; what is commanded and cannot be is no step."""
    chain = Chain.begin(seed, GENESIS_S, COMPANY)
    for step in range(steps):
        with suppress(Impossible):
            chain, delivery = chain.next(GENESIS_S + 3 * step, COMPANY, commands[step] if commands else None)
            yield chain, delivery


def followed(seed: int, steps: int) -> Follower:
    follower = Follower()
    for _, delivery in play(seed, steps):
        follower.hear(delivery)
    return follower


@pytest.fixture(scope="module")
def quarter_of_an_hour() -> Follower:
    """What a viewer of ``make run`` sees in that time."""
    return followed(DEFAULT_SEED, 300)


@given(seeds, st.just(()) | commanded)
@settings(max_examples=20, deadline=None)
def test_what_is_told_could_have_happened(seed: int, commands: Sequence[Command | None]) -> None:
    follower = Follower()
    for _, delivery in play(seed, commands=commands):
        follower.hear(delivery)
        if delivery.rollback:
            Auditor(COMPANY).audit(follower.txs())
    Auditor(COMPANY).audit(follower.txs())


@given(seeds, st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_contracts_refuse_what_cannot_be_whoever_tries_it(seed: int, rng: Random) -> None:
    """Every action is tried again later, some at once, as anybody may send whatever they like."""
    tried: list[Action] = []
    world, told = genesis(COMPANY), list[Block]()
    for chain, _ in play(seed):
        tried += [attempt.action for attempt in chain.blocks[-1].attempts]
        actions = [tried[-1], *rng.choices(tried, k=3), *rng.choices(tried[-20:], k=3)]
        attempts = tuple(Attempt(fake_hash(chain.step, at), at, action) for at, action in enumerate(actions))
        sealed = Sealed(chain.height, fake_hash(chain.step), "", GENESIS_S, attempts)
        world, block = mine(world, sealed, COMPANY)
        told.append(block)
    Auditor(COMPANY).audit((block.height, tx) for block in told for tx in block.txs if tx.success)


def test_an_offer_is_not_withdrawn_while_somebody_pays_but_its_price_may_change() -> None:
    seller, recipient, buyer, other = COMPANY.wallets[:4]
    stream = Stream(seller, recipient, 1000, 0, 100, seller, recipient, listing=Listing(seller, 10))
    reserved = InitiatePurchase(buyer, 1, "pay_1").perform(genesis(COMPANY).with_stream(1, stream), 5, COMPANY)
    assert reserved
    assert CancelListing(seller, 1).perform(reserved.world, 6, COMPANY) is None
    assert InitiatePurchase(other, 1, "pay_2").perform(reserved.world, 6, COMPANY) is None
    assert UpdateListingPrice(seller, 1, 11).perform(reserved.world, 6, COMPANY)
    assert CancelExpiredPurchase(other, 1).perform(reserved.world, 5 + 1008, COMPANY) is None
    assert CancelExpiredPurchase(other, 1).perform(reserved.world, 5 + 1009, COMPANY)


def test_every_event_of_every_contract_is_seen_soon(quarter_of_an_hour: Follower) -> None:
    seen = Counter(name for _, tx in quarter_of_an_hour.txs() for name in names(tx.events))
    assert {*FIELDS, *ASSETS} == set(seen)
    assert 45 == len(seen)
    streams = sum(count for name, count in seen.items() if name.startswith("stream-"))
    for others in ("market-", "treasury-", "access-"):
        assert streams > 2 * sum(count for name, count in seen.items() if name.startswith(others))


def test_a_print_has_the_fields_of_its_contract_in_their_order(quarter_of_an_hour: Follower) -> None:
    roles = {"stream": "core", "market": "marketplace"}
    for _, tx in quarter_of_an_hour.txs():
        for event in tx.events:
            if isinstance(event, Print):
                assert isinstance(event.value, clarity.Tuple)
                (_, name), *fields = event.value.fields.items()
                assert isinstance(name, clarity.Ascii)
                assert [it.split(" ")[0] for it in FIELDS[name.value].split(", ")] == [key for key, _ in fields]
                for kind, (_, value) in zip(FIELDS[name.value].split(", "), fields, strict=True):
                    assert is_a(kind.split(" ")[1], value)
                prefix = name.value.split("-")[0]
                assert event.contract == getattr(COMPANY.contracts, roles.get(prefix, prefix))


def is_a(kind: str, value: clarity.Value) -> bool:
    if kind.startswith("s"):
        return isinstance(value, clarity.Ascii) and len(value.value) <= int(kind[1:])
    return isinstance(value, {"u": clarity.UInt, "p": clarity.Principal}[kind])


def test_pauses_are_short(quarter_of_an_hour: Follower) -> None:
    told = [name for _, tx in quarter_of_an_hour.txs() for name in names(tx.events)]
    for place, name in enumerate(told):
        if name == "access-protocol-paused":
            assert "access-protocol-unpaused" in told[place : place + 40]


@pytest.mark.parametrize("seed", [DEFAULT_SEED, 11])
def test_a_chain_that_runs_for_long_stays_sound_and_small(seed: int) -> None:
    follower, sizes, quiet = Follower(), [], 0
    height = Chain.begin(seed, GENESIS_S, COMPANY).height
    for chain, delivery in play(seed, 3000):
        follower.hear(delivery)
        sizes.append(len(msgspec.json.encode(chain)))
        quiet += chain.height - height > 100
        height = chain.height
    Auditor(COMPANY).audit(follower.txs())
    assert max(sizes) < 48_000
    assert max(sizes[1500:]) < 1.5 * max(sizes[500:1500]), "and does not grow"
    assert quiet > 30, "time passes, for what waits for it"
    assert {1, 2, 3, 4, 5} == set(follower.depths)
    assert DEEPEST == 5 < KEPT - DEEPEST


@given(seeds, st.just(()) | commanded)
@settings(max_examples=20, deadline=None)
def test_a_reorg_grows_the_chain_and_mines_its_transactions_again_or_never(
    seed: int, commands: Sequence[Command | None]
) -> None:
    before = 0
    for chain, delivery in play(seed, commands=commands):
        assert chain.height > before
        if delivery.rollback:
            assert chain.height == before + 1
            assert commands or before - delivery.rollback[-1].height < DEEPEST
            assert chain.base.height < delivery.rollback[-1].height
        blocks = (*delivery.apply, *delivery.rollback)
        assert len({block.hash for block in blocks}) == len(blocks), "no block is both applied and rolled back"
        applied = [tx.hash for block in delivery.apply for tx in block.txs]
        assert len(set(applied)) == len(applied)
        before = chain.height


@given(seeds, st.integers(0, STEPS), commanded)
@settings(max_examples=20, deadline=None)
def test_a_command_does_what_it_says_and_no_more(seed: int, start: int, commands: Sequence[Command | None]) -> None:
    *_, chain = Chain.begin(seed, GENESIS_S, COMPANY), *(chain for chain, _ in play(seed, start))
    for command in commands:
        kept = sum(bool(block.attempts) for block in chain.blocks[-KEPT + 1 :])
        with suppress(Impossible):
            chain, delivery = chain.next(chain.blocks[-1].time if chain.blocks else GENESIS_S, COMPANY, command)
            if command and command.do == "reorg":
                assert min(command.depth, kept) == len(delivery.rollback)
            elif command and command.do != "block":
                (block,), attempts = delivery.apply, chain.blocks[-1].attempts
                assert not delivery.rollback
                assert block.height == chain.height
                assert all(tx.success for tx in block.txs), "what it needs is done before it"
                *needed, last = [type(attempt.action) for attempt in attempts]
                assert GOALS[command.do] is last
                assert last not in needed
                assert {SetRole, SetPause, Create, ListNft} >= {*needed}


@pytest.mark.parametrize("goal", ["create", "buy"])
def test_a_command_ends_a_pause_that_stands_in_its_way(goal: Literal["create", "buy"]) -> None:
    for chain, _ in play(DEFAULT_SEED, 600):
        world, _ = replay(chain.base.world, chain.blocks, COMPANY)
        if world.access.is_paused:
            after, _ = chain.next(GENESIS_S, COMPANY, Command(goal))
            actions = [attempt.action for attempt in after.blocks[-1].attempts]
            assert isinstance(actions[0], SetPause)
            assert not actions[0].is_paused
            return
    raise AssertionError("the protocol was never paused")


@pytest.mark.parametrize("command", [Command("withdraw"), Command("reorg", 1)])
def test_what_an_empty_chain_cannot_do_is_refused(command: Command) -> None:
    with pytest.raises(Impossible, match="first"):
        Chain.begin(7, GENESIS_S, COMPANY).next(GENESIS_S, COMPANY, command)


def test_what_was_created_can_be_drawn_from_at_once() -> None:
    """Also where the stream begins some blocks later: until then the chain is quiet."""
    chain = Chain.begin(DEFAULT_SEED, GENESIS_S, COMPANY)
    for do in ("create", "withdraw", "withdraw"):
        chain, delivery = chain.next(GENESIS_S, COMPANY, Command(do))
    assert ["stream-withdrawal"] == names(delivery.apply[0].txs[0].events)


def test_blocks_are_never_ahead_of_the_clock() -> None:
    for step, (_, delivery) in enumerate(play(DEFAULT_SEED, 400)):
        assert all(block.time <= GENESIS_S + 3 * step for block in delivery.apply)


def test_blocks_return_and_transactions_fail() -> None:
    hashes: set[str] = set()
    returned = aborted = refused = 0
    for _, delivery in play(DEFAULT_SEED, 600):
        for block in delivery.apply:
            returned += block.hash in hashes
            failed = [tx for tx in block.txs if not tx.success]
            aborted += sum(bool(tx.events) for tx in failed)
            refused += sum(not tx.events for tx in failed)
            hashes.add(block.hash)
    assert returned, "a block that was rolled back is applied again"
    assert aborted, "by a post-condition"
    assert refused, "by a contract, after a reorg changed what came before"


@given(seeds, st.integers(0, STEPS - 1), st.none() | commands)
@settings(max_examples=20, deadline=None)
def test_a_chain_that_was_written_down_goes_on_as_if_nothing_had_happened(
    seed: int, stop: int, command: Command | None
) -> None:
    *_, (chain, _) = play(seed, stop + 1)
    written = msgspec.json.encode((chain, command))
    read, command = msgspec.json.decode(written, type=tuple[Chain, Command | None])
    assert written == msgspec.json.encode((read, command))
    for step, asked in enumerate((command, None, None)):
        with suppress(Impossible):
            expected = chain.next(GENESIS_S + 3 * (STEPS + step), COMPANY, asked)
            assert expected == read.next(GENESIS_S + 3 * (STEPS + step), COMPANY, asked)
            assert expected == read.next(GENESIS_S + 3 * (STEPS + step), COMPANY, asked), "a step can be made once more"
            chain = read = expected[0]


def test_the_same_seed_is_the_same_chain() -> None:
    assert list(play(DEFAULT_SEED)) == list(play(DEFAULT_SEED))


def test_two_chains_share_no_hash() -> None:
    def hashes(seed: int, time: int) -> set[str]:
        _, delivery = Chain.begin(seed, time, COMPANY).next(time, COMPANY)
        return {block.hash for block in delivery.apply} | {tx.hash for block in delivery.apply for tx in block.txs}

    assert not hashes(1, 1000) & hashes(1, 1001)
    assert not hashes(1, 1000) & hashes(2, 1000)
