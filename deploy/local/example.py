"""Prints one genuine-shaped delivery, to be posted by hand: somebody pays somebody, who withdraws a little of it.

Print it again for another one. It tells of a stream that no chain has, in blocks below its first.
"""

from __future__ import annotations

import os
import sys
import time
from random import Random

from deploy.local import chainhook
from deploy.local.actions import Action, Create, Withdraw, World
from deploy.local.chain import Attempt, Sealed, mine
from deploy.local.simulator import company_of

BY_HAND = 0  # the stream's id: contracts count from 1


def main() -> None:
    now = time.time()
    height = (int(now) - 1_700_000_000) // 60  # minutes of these years: below the simulated chain until 2030
    company = company_of(os.environ)
    sender, recipient = company.wallets[:2]
    actions: tuple[Action, ...] = (
        Create(sender, recipient, 50_000_000, height - 10, height + 10),
        Withdraw(recipient, BY_HAND, 1_000_000),
    )
    block = chainhook.fake_hash("example", now)
    attempts = tuple(Attempt(chainhook.fake_hash(block, place), place, action) for place, action in enumerate(actions))
    sealed = Sealed(height, block, chainhook.fake_hash("parent", block), int(now), attempts)
    _, told = mine(World(created=BY_HAND - 1), sealed, company)
    sys.stdout.buffer.write(chainhook.encode(chainhook.v1_decoded([told], [], Random())) + b"\n")


if __name__ == "__main__":
    main()
