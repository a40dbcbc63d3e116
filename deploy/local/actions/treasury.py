"""Calls of the treasury that one signature is enough for. Pure.

The treasury's sBTC lies at its own address here, so that what the asset events move is what its prints say.
"""

from __future__ import annotations

from typing import Literal

from deploy.local.actions.signed import Outcome, Said, Signed, number, printed
from deploy.local.chainhook import FtTransfer
from deploy.local.world import Cast, World

HIGHEST_FEE_BPS = 1000


class CollectFee(Signed, frozen=True):
    """Somebody pays the protocol's fee on ``amount`` sats."""

    amount: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, "collect-fee", (self.amount,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        fee = self.amount * world.treasury.fee_bps // 10_000
        if world.access.is_paused or not fee:
            return None
        treasury = world.treasury.but(balance=world.treasury.balance + fee)
        told = printed(
            cast.contracts.treasury,
            "treasury-fee-collected",
            amount=fee,
            caller=self.sender,
            new_balance=treasury.balance,
        )
        events = FtTransfer(fee, self.sender, cast.contracts.treasury), told
        return Outcome(world.but(treasury=treasury), events, number(fee))


class PayOut(Signed, frozen=True):
    """The legacy admin takes funds out, or pays a recipient of fees, whose total the contract keeps."""

    amount: int
    recipient: str
    is_distribution: bool

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        if self.is_distribution:
            return cast.contracts.treasury, "distribute-to-recipient", (self.recipient, self.amount)
        return cast.contracts.treasury, "withdraw", (self.amount, self.recipient)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if self.sender != world.treasury.admin or not 0 < self.amount <= world.treasury.balance:
            return None
        treasury = world.treasury.but(balance=world.treasury.balance - self.amount)
        told = printed(
            cast.contracts.treasury,
            "treasury-distribution" if self.is_distribution else "treasury-withdrawal",
            amount=self.amount,
            recipient=self.recipient,
            admin=self.sender,
            new_balance=treasury.balance,
        )
        events = FtTransfer(self.amount, cast.contracts.treasury, self.recipient), told
        return Outcome(world.but(treasury=treasury), events, number(self.amount))


class SetFee(Signed, frozen=True):
    fee_bps: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, "set-fee-bps", (self.fee_bps,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if self.sender != world.treasury.admin or self.fee_bps > HIGHEST_FEE_BPS:
            return None
        told = printed(
            cast.contracts.treasury,
            "treasury-fee-updated",
            old_fee_bps=world.treasury.fee_bps,
            new_fee_bps=self.fee_bps,
            admin=self.sender,
        )
        return Outcome(world.but(treasury=world.treasury.but(fee_bps=self.fee_bps)), (told,), number(self.fee_bps))


class ProposeAdminTransfer(Signed, frozen=True):
    """The legacy admin offers its place; the multisig set has nothing to do with it."""

    new_admin: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, "propose-admin-transfer", (self.new_admin,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if self.sender != world.treasury.admin or self.new_admin == self.sender:
            return None
        told = printed(
            cast.contracts.treasury,
            "treasury-admin-transfer-proposed",
            current_admin=self.sender,
            proposed_admin=self.new_admin,
        )
        return Outcome(world.but(treasury=world.treasury.but(pending=self.new_admin)), (told,))


class EndAdminTransfer(Signed, frozen=True):
    """Accepted by whom it was offered to, or cancelled by who offered it."""

    verb: Literal["accept", "cancel"]

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, f"{self.verb}-admin-transfer", ()

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        treasury, contract = world.treasury, cast.contracts.treasury
        if treasury.pending is None:
            return None
        if self.verb == "accept" and self.sender == treasury.pending:
            told = printed(
                contract, "treasury-admin-transfer-completed", old_admin=treasury.admin, new_admin=self.sender
            )
            return Outcome(world.but(treasury=treasury.but(admin=self.sender, pending=None)), (told,))
        if self.verb == "cancel" and self.sender == treasury.admin:
            told = printed(contract, "treasury-admin-transfer-cancelled", cancelled_by=self.sender)
            return Outcome(world.but(treasury=treasury.but(pending=None)), (told,))
        return None
