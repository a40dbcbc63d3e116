"""Places on the chain and the identity of what happened there. Parsed once, valid ever after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block of one fork. ``hash`` is the index block hash, ``time`` in unix seconds."""

    height: int
    hash: str
    time: int


class Position(NamedTuple):
    """Order on the chain. It orders and never identifies: indexes differ between Chainhook's generations."""

    height: int
    tx_index: int
    event_index: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: its block, its transaction, itself."""

    block: BlockRef
    tx_hash: str
    tx_index: int
    tx_sender: str | None
    source: str  # contract id of a print, ``<asset class>/<mint or burn>`` of an asset event
    rank: int  # ordinal among its source's events in its transaction
    event_index: int
    event_id: str = field(init=False, repr=False, compare=False)  # kept: a recorded event is asked for it many times

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_id", event_id(self.block.hash, self.tx_hash, self.source, self.rank))

    @property
    def position(self) -> Position:
        return Position(self.block.height, self.tx_index, self.event_index)

    @property
    def contract(self) -> str:
        return self.source.partition("::")[0]


def event_id(block_hash: str, tx_hash: str, source: str, rank: int) -> str:
    """32 hex digits that name one event, the same through every hook and generation.

    Hashes are lower case with ``0x``; another block with the same transaction gives another id.
    """
    return hashlib.sha256(f"{block_hash}:{tx_hash}:{source}:{rank}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contract ids that we believe, by role; all else in a delivery is somebody else's."""

    core: str
    marketplace: str
    treasury: str
    access: str
    obligation: str
    recipient: str
    obligation_asset: str
    recipient_asset: str

    def role_of(self, contract: str) -> str | None:
        """The role of a contract id, compared whole; None for a foreign one."""
        for role in ROLES:
            if getattr(self, role) == contract:
                return role
        return None

    def asset_sources(self) -> frozenset[str]:
        """The asset events that carry what no print says: ``<asset class>/<mint or burn>``."""
        return frozenset(
            {
                f"{self.obligation_asset}/burn",
                f"{self.recipient_asset}/mint",
                f"{self.recipient_asset}/burn",
            }
        )

    def as_dict(self) -> dict[str, str]:
        """Role to contract id, for obligation and recipient with the asset's name."""
        ids: dict[str, str] = {role: getattr(self, role) for role in ROLES}
        return ids | {"obligation": self.obligation_asset, "recipient": self.recipient_asset}


ROLES = ("core", "marketplace", "treasury", "access", "obligation", "recipient")
