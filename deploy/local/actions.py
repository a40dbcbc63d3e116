"""What people do with BitPay in the simulated world, and what the contracts then say. Pure.

An ``Action`` is a signed call: performed in a block it changes the world and prints, or the contract refuses it. The
same action performed in another block, after a reorg, may have another outcome, as on the chain. A ``scenario``
thinks of an action that makes sense now.

To simulate more: write an action (its fields are the call's arguments) and a scenario, and name them in ``Action``
and ``SCENARIOS`` at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import msgspec

from deploy.local.chainhook import Call, Event, FtTransfer, NftMint, Print
from shared.domain import clarity
from shared.domain.chain import Contracts
from shared.domain.clarity import Ascii, Principal, UInt

FEE_PERCENT = 1  # of what had not vested, kept by the treasury when a stream is cancelled
BUSY = 12  # open streams from which on new ones become rare


class Stream(msgspec.Struct, frozen=True):
    """A payment stream as the core contract keeps it; amounts in sats, start and end in block heights."""

    sender: str
    recipient: str
    amount: int
    start: int
    end: int
    withdrawn: int = 0
    is_open: bool = True

    def vested(self, height: int) -> int:
        """Sats that belong to the recipient at this height."""
        if height <= self.start:
            return 0
        if height >= self.end:
            return self.amount
        return self.amount * (height - self.start) // (self.end - self.start)

    def withdrawable(self, height: int) -> int:
        return self.vested(height) - self.withdrawn


class World(msgspec.Struct, frozen=True):
    """All that the contracts remember. Every change makes a new one."""

    streams: dict[int, Stream] = {}
    created: int = 0  # the last stream id
    treasury: int = 0  # sats

    def with_stream(self, stream_id: int, stream: Stream) -> World:
        return msgspec.structs.replace(self, streams=self.streams | {stream_id: stream})

    def open(self) -> list[tuple[int, Stream]]:
        return [(stream_id, stream) for stream_id, stream in self.streams.items() if stream.is_open]

    def without_closed(self) -> World:
        """The same, forgetting what can never change again."""
        return msgspec.structs.replace(self, streams=dict(self.open()))


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: our contracts, and wallets of this network."""

    contracts: Contracts
    wallets: tuple[str, ...]
    network: str

    @property
    def vault(self) -> str:
        """The contract that holds the sBTC of all streams."""
        return self.contracts.core.replace("bitpay-core", "bitpay-sbtc-helper")


def cast(contracts: Contracts, network: str, wallets: int = 8) -> Cast:
    """A cast with that many wallets, the same at every call."""
    version = 22 if network == "mainnet" else 26
    keys = (hashlib.sha256(f"simulated wallet {number}".encode()).digest()[:20] for number in range(wallets))
    return Cast(contracts, tuple(clarity.address(version, key) for key in keys), network)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did: the world after it, what is told, what the call answered."""

    world: World
    events: tuple[Event, ...]
    result: clarity.Value


class Create(msgspec.Struct, frozen=True, tag="create-stream"):
    sender: str
    recipient: str
    amount: int
    start: int
    end: int

    def call(self, cast: Cast) -> Call:
        args = Principal(self.recipient), UInt(self.amount), UInt(self.start), UInt(self.end)
        return Call(cast.contracts.core, "create-stream", args)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream_id = world.created + 1
        stream = Stream(self.sender, self.recipient, self.amount, self.start, self.end)
        ids = cast.contracts
        return Outcome(
            msgspec.structs.replace(world.with_stream(stream_id, stream), created=stream_id),
            (
                FtTransfer(self.amount, self.sender, cast.vault),
                NftMint(ids.recipient_asset, stream_id, self.recipient),
                NftMint(ids.obligation_asset, stream_id, self.sender),
                printed(
                    ids.obligation,
                    "obligation-minted",
                    stream_id=UInt(stream_id),
                    token_id=UInt(stream_id),
                    owner=Principal(self.sender),
                ),
                printed(
                    ids.core,
                    "stream-created",
                    stream_id=UInt(stream_id),
                    sender=Principal(self.sender),
                    recipient=Principal(self.recipient),
                    amount=UInt(self.amount),
                    start_block=UInt(self.start),
                    end_block=UInt(self.end),
                ),
            ),
            clarity.Ok(UInt(stream_id)),
        )


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    sender: str
    stream_id: int
    amount: int | None = None  # None: all that has vested

    def call(self, cast: Cast) -> Call:
        if self.amount is None:
            return Call(cast.contracts.core, "withdraw-from-stream", (UInt(self.stream_id),))
        return Call(cast.contracts.core, "withdraw-partial", (UInt(self.stream_id), UInt(self.amount)))

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or not stream.is_open or stream.recipient != self.sender:
            return None
        amount = stream.withdrawable(height) if self.amount is None else self.amount
        if not 0 < amount <= stream.withdrawable(height):
            return None
        withdrawn = stream.withdrawn + amount
        drawn = msgspec.structs.replace(stream, withdrawn=withdrawn, is_open=withdrawn < stream.amount)
        told = printed(
            cast.contracts.core,
            "stream-withdrawal",
            stream_id=UInt(self.stream_id),
            recipient=Principal(self.sender),
            amount=UInt(amount),
        )
        events = FtTransfer(amount, cast.vault, self.sender), told
        return Outcome(world.with_stream(self.stream_id, drawn), events, clarity.Ok(UInt(amount)))


class Cancel(msgspec.Struct, frozen=True, tag="cancel-stream"):
    sender: str
    stream_id: int

    def call(self, cast: Cast) -> Call:
        return Call(cast.contracts.core, "cancel-stream", (UInt(self.stream_id),))

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or not stream.is_open or stream.sender != self.sender:
            return None
        paid = stream.withdrawable(height)
        unvested = stream.amount - stream.vested(height)
        fee = unvested * FEE_PERCENT // 100
        balance = world.treasury + fee
        events: list[Event] = []
        if paid:
            events.append(FtTransfer(paid, cast.vault, stream.recipient))
        if unvested > fee:
            events.append(FtTransfer(unvested - fee, cast.vault, self.sender))
        if fee:
            events.append(FtTransfer(fee, cast.vault, cast.contracts.treasury))
            collected = printed(
                cast.contracts.treasury,
                "treasury-cancellation-fee-collected",
                amount=UInt(fee),
                caller=Principal(cast.contracts.core),
                new_balance=UInt(balance),
            )
            events.append(collected)
        cancelled = printed(
            cast.contracts.core,
            "stream-cancelled",
            stream_id=UInt(self.stream_id),
            sender=Principal(self.sender),
            unvested_returned=UInt(unvested - fee),
            cancellation_fee=UInt(fee),
            vested_paid=UInt(paid),
            cancelled_at_block=UInt(height),
        )
        events.append(cancelled)
        closed = world.with_stream(self.stream_id, msgspec.structs.replace(stream, is_open=False))
        return Outcome(
            msgspec.structs.replace(closed, treasury=balance), tuple(events), clarity.Ok(UInt(unvested - fee))
        )


class HandOver(msgspec.Struct, frozen=True, tag="update-stream-sender"):
    """The payer names another payer."""

    sender: str
    stream_id: int
    new_sender: str

    def call(self, cast: Cast) -> Call:
        return Call(cast.contracts.core, "update-stream-sender", (UInt(self.stream_id), Principal(self.new_sender)))

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or not stream.is_open or stream.sender != self.sender:
            return None
        told = printed(
            cast.contracts.core,
            "stream-sender-updated",
            stream_id=UInt(self.stream_id),
            old_sender=Principal(self.sender),
            new_sender=Principal(self.new_sender),
            transfer_type=Ascii("direct"),
        )
        moved = world.with_stream(self.stream_id, msgspec.structs.replace(stream, sender=self.new_sender))
        return Outcome(moved, (told,), clarity.Ok(clarity.Bool(True)))


Action: TypeAlias = Create | Withdraw | Cancel | HandOver
Scenario: TypeAlias = Callable[[World, int, Cast, Random], Action | None]


def printed(contract: str, event: str, **fields: clarity.Value) -> Print:
    """A print as all our contracts make them: a tuple that names its event; ``stream_id`` is printed ``stream-id``."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Print(contract, clarity.Tuple({"event": Ascii(event), **named}))


def somebody_pays(world: World, height: int, cast: Cast, rng: Random) -> Action:
    sender, recipient = rng.sample(cast.wallets, 2)
    start = height + rng.randint(0, 4)
    amount = rng.choice((250_000, 1_000_000, 12_345_678, 50_000_000, 250_000_000)) + rng.randint(0, 999)
    return Create(sender, recipient, amount, start, start + rng.choice((8, 20, 40, 120)))


def somebody_withdraws(world: World, height: int, cast: Cast, rng: Random) -> Action | None:
    ready = [(stream_id, stream) for stream_id, stream in world.open() if stream.withdrawable(height) > 0]
    if not ready:
        return None
    stream_id, stream = rng.choice(ready)
    part = rng.randint(1, stream.withdrawable(height)) if rng.random() < 0.3 else None
    return Withdraw(stream.recipient, stream_id, part)


def somebody_cancels(world: World, height: int, cast: Cast, rng: Random) -> Action | None:
    running = [(stream_id, stream) for stream_id, stream in world.open() if height < stream.end]
    if len(running) < 3:
        return None
    stream_id, stream = rng.choice(running)
    return Cancel(stream.sender, stream_id)


def somebody_hands_over(world: World, height: int, cast: Cast, rng: Random) -> Action | None:
    if not (running := world.open()):
        return None
    stream_id, stream = rng.choice(running)
    others = [wallet for wallet in cast.wallets if wallet not in (stream.sender, stream.recipient)]
    return HandOver(stream.sender, stream_id, rng.choice(others))


SCENARIOS: tuple[tuple[int, Scenario], ...] = (  # the first number is how often, relative to the others
    (4, somebody_pays),
    (8, somebody_withdraws),
    (2, somebody_cancels),
    (1, somebody_hands_over),
)


def next_action(world: World, height: int, cast: Cast, rng: Random) -> Action:
    """Something that makes sense now."""
    weights = [weight for weight, _ in SCENARIOS]
    for scenario in (rng.choices(SCENARIOS, weights)[0][1] for _ in range(8)):
        if scenario is somebody_pays and len(world.open()) >= BUSY:
            continue
        if action := scenario(world, height, cast, rng):
            return action
    return somebody_pays(world, height, cast, rng)
