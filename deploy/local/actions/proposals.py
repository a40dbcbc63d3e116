"""Calls of the treasury that need several admins: proposed, approved, executed. Pure.

Both kinds of proposal share one count of ids, from 0, and the proposer's approval is the first.
"""

from __future__ import annotations

from typing import Literal

from deploy.local.actions.signed import Outcome, Said, Signed, number, printed
from deploy.local.chainhook import FtTransfer, Print
from deploy.local.world import DAILY_LIMIT, EXPIRY, Cast, Proposal, World
from shared.domain.clarity import Ascii


class ProposeWithdrawal(Signed, frozen=True):
    amount: int
    recipient: str
    description: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        args = self.amount, self.recipient, Ascii(self.description)
        return cast.contracts.treasury, "propose-multisig-withdrawal", args

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        treasury = world.treasury
        if self.sender not in treasury.admins or not 0 < self.amount <= treasury.balance:
            return None
        told = printed(
            cast.contracts.treasury,
            "treasury-withdrawal-proposed",
            proposal_id=treasury.proposed,
            amount=self.amount,
            recipient=self.recipient,
            proposer=self.sender,
            description=Ascii(self.description),
            expires_at=height + EXPIRY,
        )
        proposal = Proposal("withdrawal", self.recipient, (self.sender,), height, self.amount)
        return _proposed(world, proposal, told)


class ProposeAdmin(Signed, frozen=True):
    """To add ``target`` to the admins, or to remove it from them."""

    kind: Literal["add", "remove"]
    target: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, f"propose-{self.kind}-admin", (self.target,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        treasury, contract = world.treasury, cast.contracts.treasury
        is_admin = self.target in treasury.admins
        if self.sender not in treasury.admins or self.target == self.sender or is_admin is (self.kind == "add"):
            return None
        event, number_, target, sender = (
            f"treasury-{self.kind}-admin-proposed",
            treasury.proposed,
            self.target,
            self.sender,
        )
        if self.kind == "add":
            told = printed(contract, event, proposal_id=number_, new_admin=target, proposer=sender)
        else:
            told = printed(contract, event, proposal_id=number_, target_admin=target, proposer=sender)
        return _proposed(world, Proposal(self.kind, target, (sender,), height), told)


class Approve(Signed, frozen=True):
    """Of either kind of proposal; each has its own function."""

    proposal_id: int
    is_withdrawal: bool

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        function = "approve-multisig-withdrawal" if self.is_withdrawal else "approve-admin-proposal"
        return cast.contracts.treasury, function, (self.proposal_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        proposal = _open(world, self.proposal_id, height, is_withdrawal=self.is_withdrawal)
        if proposal is None or self.sender not in world.treasury.admins or self.sender in proposal.approvals:
            return None
        approved = proposal.but(approvals=(*proposal.approvals, self.sender))
        event = f"treasury-{'withdrawal' if self.is_withdrawal else 'admin-proposal'}-approved"
        required: dict[str, Said] = {"required": world.treasury.required} if self.is_withdrawal else {}
        told = printed(
            cast.contracts.treasury,
            event,
            proposal_id=self.proposal_id,
            approver=self.sender,
            total_approvals=len(approved.approvals),
            **required,
        )
        return Outcome(world.with_proposal(self.proposal_id, approved), (told,))


class ExecuteWithdrawal(Signed, frozen=True):
    """By anyone, when it has its approvals and its time has come."""

    proposal_id: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, "execute-multisig-withdrawal", (self.proposal_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        treasury, proposal = world.treasury, _open(world, self.proposal_id, height, is_withdrawal=True)
        if proposal is None or not treasury.is_ready(proposal, height) or proposal.amount > treasury.balance:
            return None
        withdrawn = treasury.withdrawn_today(height) + proposal.amount
        if withdrawn > DAILY_LIMIT:
            return None
        told = printed(
            cast.contracts.treasury,
            "treasury-withdrawal-executed",
            proposal_id=self.proposal_id,
            amount=proposal.amount,
            recipient=proposal.target,
            approvals=len(proposal.approvals),
        )
        paid = _without(world, self.proposal_id).treasury.but(
            balance=treasury.balance - proposal.amount, withdrawn=withdrawn, withdrawn_at=height
        )
        events = FtTransfer(proposal.amount, cast.contracts.treasury, proposal.target), told
        return Outcome(world.but(treasury=paid), events)


class ExecuteAdminProposal(Signed, frozen=True):
    """By anyone, as soon as it has its approvals. The count of admins moves even if nobody came or went."""

    proposal_id: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.treasury, "execute-admin-proposal", (self.proposal_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        treasury, proposal = world.treasury, _open(world, self.proposal_id, height, is_withdrawal=False)
        if proposal is None or not treasury.is_ready(proposal, height):
            return None
        count = treasury.admin_count + (1 if proposal.kind == "add" else -1)
        if count < 0:  # a uint cannot hold it
            return None
        others = tuple(admin for admin in treasury.admins if admin != proposal.target)
        told = printed(
            cast.contracts.treasury,
            "treasury-admin-proposal-executed",
            proposal_id=self.proposal_id,
            action=Ascii(proposal.kind),
            target_admin=proposal.target,
            approvals=len(proposal.approvals),
        )
        changed = _without(world, self.proposal_id).treasury.but(
            admins=(*others, proposal.target) if proposal.kind == "add" else others, admin_count=count
        )
        return Outcome(world.but(treasury=changed), (told,))


def _open(world: World, proposal_id: int, height: int, *, is_withdrawal: bool) -> Proposal | None:
    """A proposal of that kind that is neither executed nor too old."""
    proposal = world.treasury.proposals.get(proposal_id)
    if proposal is None or height >= proposal.expires_at or is_withdrawal is not (proposal.kind == "withdrawal"):
        return None
    return proposal


def _proposed(world: World, proposal: Proposal, told: Print) -> Outcome:
    number_ = world.treasury.proposed
    after = world.with_proposal(number_, proposal)
    return Outcome(after.but(treasury=after.treasury.but(proposed=number_ + 1)), (told,), number(number_))


def _without(world: World, proposal_id: int) -> World:
    """An executed proposal can never be touched again."""
    treasury = world.treasury
    left = {number_: proposal for number_, proposal in treasury.proposals.items() if number_ != proposal_id}
    return world.but(treasury=treasury.but(proposals=left))
