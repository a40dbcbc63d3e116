"""Prints one genuine-shaped delivery, to be posted by hand: somebody pays somebody, who withdraws a little of it.

Print it again for another one. It tells of a stream that no chain has, in blocks below its first.
"""

from __future__ import annotations

import os
import sys
import time
from random import Random

from deploy.local import chainhook
from deploy.local.actions import Action
from deploy.local.actions.access import SetRole
from deploy.local.actions.streams import Create, Withdraw
from deploy.local.chain import Attempt, Sealed, mine
from deploy.local.simulator import company_of
from deploy.local.world import genesis

BY_HAND = 0  # the stream's id: contracts count from 1


def main() -> None:
    now = time.time()
    height = (int(now) - 1_700_000_000) // 60  # minutes of these years: below the simulated chain until 2030
    company = company_of(os.environ)
    sender, recipient = company.wallets[:2]
    begun = height - 10
    tried: tuple[tuple[int, Action], ...] = (
        (begun, Create(sender, recipient, 50_000_000, begun, height + 10)),
        (height, Withdraw(recipient, BY_HAND, 1_000_000)),
    )
    access = SetRole(company.deployer, "contract", company.contracts.core, is_granted=True)
    allowed = access.perform(genesis(company).but(created=BY_HAND - 1), begun, company)
    assert allowed
    world, blocks = allowed.world, []
    for at, action in tried:
        block = chainhook.fake_hash("example", at, now)
        attempt = Attempt(chainhook.fake_hash("tx", block), 0, action)
        world, told = mine(
            world, Sealed(at, block, chainhook.fake_hash("parent", block), int(now), (attempt,)), company
        )
        blocks.append(told)
    sys.stdout.buffer.write(chainhook.encode(chainhook.v1_decoded(blocks, [], Random())) + b"\n")


if __name__ == "__main__":
    main()
