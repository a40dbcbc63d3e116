"""A small chain that lives by a seed: blocks with people's actions in them, and now and then a reorg. Pure.

``Chain`` is a value: ``next`` gives the chain one step later and the delivery that tells of it, and follows from
seed, step, time and command alone. So a chain that was written down and read again goes on as if nothing had
happened, and a step that may not have been delivered can be made once more, bit for bit.

Only what was tried is kept (``Sealed``); what came of it is performed again from the oldest world kept, ``base``.
Blocks without a match are not even that: heights may jump. Times do not jump with them, for a block is as old as its
step: whoever compares it with a clock finds it new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Literal

import msgspec

from deploy.local.actions import Action
from deploy.local.chainhook import OK, Block, Tx, fake_hash
from deploy.local.errors import Impossible
from deploy.local.scenarios import Goal, height_for, next_action, next_height, on_the_way
from deploy.local.world import Cast, World, genesis

GENESIS = 3_605_000  # height of the block before the first
DEEPEST = 5  # blocks that a reorg takes back at most
KEPT = 12  # blocks that are kept to be taken back
REORGS = 0.06  # of all steps
RETURNS = 0.25  # of all reorgs: the chain goes back to the fork it had left
DROPPED = 0.2  # of the transactions of a block that is rolled back
ABORTED = 0.04  # of all transactions


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody wants to happen next. ``block``: whatever the seed decides.

    A ``reorg`` takes back ``depth`` blocks that have something in them, or as many as are kept, and the empty ones
    between them.
    """

    do: Goal | Literal["block", "reorg"]
    depth: int = 0

    def __post_init__(self) -> None:
        if self.do == "reorg" and not 1 <= self.depth <= DEEPEST:
            raise ValueError(f"depth of a reorg must be from 1 to {DEEPEST}, not {self.depth}")
        if self.do != "reorg" and self.depth:
            raise ValueError(f"depth belongs to a reorg, not to {self.do}")


class Attempt(msgspec.Struct, frozen=True):
    """An action in a block. ``aborted``: a post-condition failed, nothing of it happened."""

    tx_hash: str
    index: int
    action: Action
    aborted: bool = False


class Sealed(msgspec.Struct, frozen=True):
    """One block as it is kept; ``time`` in unix seconds."""

    height: int
    hash: str
    parent_hash: str
    time: int
    attempts: tuple[Attempt, ...]


class Base(msgspec.Struct, frozen=True):
    """The newest block that no reorg can touch any more, and the world after it."""

    height: int
    hash: str
    world: World


@dataclass(frozen=True, slots=True)
class Delivery:
    """What Chainhook would tell of one step: ``rollback`` tip first, ``apply`` from the fork up."""

    apply: tuple[Block, ...]
    rollback: tuple[Block, ...] = ()


class Chain(msgspec.Struct, frozen=True):
    """The chain after ``step`` steps. ``left`` is the fork that the last step left, if it did."""

    seed: int
    step: int
    base: Base
    blocks: tuple[Sealed, ...] = ()
    left: tuple[Sealed, ...] = ()

    @classmethod
    def begin(cls, seed: int, time: int, cast: Cast) -> Chain:
        """A chain without blocks. Its hashes follow from seed and time: no two chains share any."""
        return cls(seed, 0, Base(GENESIS, fake_hash("genesis", seed, time), genesis(cast)))

    @property
    def height(self) -> int:
        return self.blocks[-1].height if self.blocks else self.base.height

    def next(self, time: int, cast: Cast, command: Command | None = None) -> tuple[Chain, Delivery]:
        """One step: usually one block more, sometimes a reorg, whose delivery has both lists.

        Raises ``Impossible`` for a command that cannot be carried out on this chain.
        """
        rng = Random(f"{self.seed}:{self.step}")
        time = max(time, self.blocks[-1].time if self.blocks else 0)
        if command:
            if command.do == "reorg":
                return self._reorg(self._fork(command.depth), time, cast, rng)
            if command.do != "block":
                return self._towards(command.do, time, cast, rng)
        depth = rng.randint(1, DEEPEST)
        if self.left and self.height - self.left[0].height < DEEPEST and rng.random() < RETURNS:
            return self._return_to_left(time, cast, rng)
        if len(self.blocks) > depth and rng.random() < REORGS:
            return self._reorg(self.height - depth, time, cast, rng)
        return self._step(self.blocks, (), ((),), time, cast, rng)

    def _fork(self, depth: int) -> int:
        """The height from which a reorg that was commanded forks. The last of ``KEPT`` blocks stays: what replaces
        the others must not be pushed out by its own last block."""
        told = [place for place, block in enumerate(self.blocks) if block.attempts and place > len(self.blocks) - KEPT]
        if not told:
            raise Impossible("there is no block yet that could be taken back: make one first")
        return self.blocks[told[-depth:][0]].height - 1

    def _towards(self, goal: Goal, time: int, cast: Cast, rng: Random) -> tuple[Chain, Delivery]:
        """One block in which the goal is reached, and nothing happens beside what it needs."""
        world, _ = replay(self.base.world, self.blocks, cast)
        height, tip = height_for(goal, world, self.height), self.blocks[-1] if self.blocks else self.base
        actions = enumerate(on_the_way(goal, world, height, cast, rng))
        part = tuple(Attempt(fake_hash("tx", tip.hash, self.step, number), 0, action) for number, action in actions)
        return self._step(self.blocks, (), (part,), time, cast, rng, at=height)

    def _reorg(self, fork: int, time: int, cast: Cast, rng: Random) -> tuple[Chain, Delivery]:
        """Another fork wins by one block. Most transactions are mined again somewhere, some never."""
        stay = tuple(block for block in self.blocks if block.height <= fork)
        gone = self.blocks[len(stay) :]
        again = [attempt for block in gone for attempt in block.attempts if rng.random() >= DROPPED]
        cuts = sorted(rng.randint(0, len(again)) for _ in gone)
        parts = [tuple(again[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(again)], strict=True)]
        return self._step(stay, gone, tuple(parts), time, cast, rng)

    def _return_to_left(self, time: int, cast: Cast, rng: Random) -> tuple[Chain, Delivery]:
        """The fork that had lost grows longer after all: its blocks are applied again, the very same."""
        stay = tuple(block for block in self.blocks if block.height < self.left[0].height)
        gone = self.blocks[len(stay) :]
        missing = len(gone) + 1 - len(self.left)
        return self._step(stay, gone, ((),) * missing, time, cast, rng, again=self.left)

    def _step(
        self,
        stay: tuple[Sealed, ...],
        gone: tuple[Sealed, ...],
        parts: tuple[tuple[Attempt, ...], ...],
        time: int,
        cast: Cast,
        rng: Random,
        again: tuple[Sealed, ...] = (),
        at: int | None = None,
    ) -> tuple[Chain, Delivery]:
        """Put ``again`` and one new block for each of ``parts`` on what stays; the last block has new actions too,
        unless its height is given with ``at``.

        What replaces a block has its height, and the last block comes after all that is gone.
        """
        before = replay(self.base.world, self.blocks, cast)[1] if gone else {}
        grown = [*stay, *again]
        world, told = replay(self.base.world, grown, cast)
        last = at or (self.height + 1 if gone else next_height(world, self.height, rng))
        heights = [*(block.height for block in gone[len(again) :]), last]
        for part, height in zip(parts, heights, strict=True):
            parent = grown[-1] if grown else self.base
            grown.append(self._seal(parent, height, part, height == last != at, world, time, cast, rng))
            world, told[grown[-1].hash] = mine(world, grown[-1], cast)
        return self._kept(tuple(grown), gone, cast), Delivery(
            apply=tuple(told[block.hash] for block in grown[len(stay) :] if block.attempts),
            rollback=tuple(before[block.hash] for block in reversed(gone) if block.attempts),
        )

    def _seal(
        self,
        parent: Sealed | Base,
        height: int,
        part: tuple[Attempt, ...],
        newest: bool,
        world: World,
        time: int,
        cast: Cast,
        rng: Random,
    ) -> Sealed:
        below = parent.hash if parent.height == height - 1 else fake_hash("quiet", parent.hash, height - 1)
        attempts: list[Attempt] = []
        index = rng.randint(0, 2)  # other people's transactions stand between ours
        for attempt in part:
            attempts.append(msgspec.structs.replace(attempt, index=index))
            index += rng.randint(1, 3)
        for number in range(rng.choice((1, 1, 2, 3)) if newest else 0):
            draft = Sealed(height, "", below, time, tuple(attempts))
            action = next_action(mine(world, draft, cast)[0], height, cast, rng)
            tx_hash = fake_hash("tx", parent.hash, self.step, number)
            attempts.append(Attempt(tx_hash, index, action, rng.random() < ABORTED))
            index += rng.randint(1, 3)
        return Sealed(height, fake_hash("block", below, self.step, time), below, time, tuple(attempts))

    def _kept(self, blocks: tuple[Sealed, ...], gone: tuple[Sealed, ...], cast: Cast) -> Chain:
        base = self.base
        for block in blocks[:-KEPT]:
            base = Base(block.height, block.hash, mine(base.world, block, cast)[0])
        return Chain(self.seed, self.step + 1, base, blocks[-KEPT:], gone)


def replay(world: World, blocks: Iterable[Sealed], cast: Cast) -> tuple[World, dict[str, Block]]:
    """Mine blocks one after the other: the world after them, and each block by its hash."""
    told = {}
    for sealed in blocks:
        world, told[sealed.hash] = mine(world, sealed, cast)
    return world, told


def mine(world: World, sealed: Sealed, cast: Cast) -> tuple[World, Block]:
    """Perform a block's actions one after the other: the world after them, and what is told of them."""
    txs = []
    for attempt in sealed.attempts:
        action = attempt.action
        outcome = action.perform(world, sealed.height, cast)
        success = outcome is not None and not attempt.aborted
        tx = Tx(
            hash=attempt.tx_hash,
            sender=action.sender,
            events=outcome.events if outcome else (),
            index=attempt.index,
            success=success,
            call=action.call(cast),
            result=outcome.result if outcome else OK,
        )
        txs.append(tx)
        if outcome and success:
            world = outcome.world
    return world.without_the_past(sealed.height), Block(
        sealed.height, sealed.hash, sealed.parent_hash, sealed.time, tuple(txs)
    )
