"""What the treasury prints of its admins' proposals: made, approved, executed.

A proposal is an aggregate of its own. What it needs of the treasury, how many must sign and who the admins are, is
looked up when it is spoken of and never folded into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from shared.domain.catalogue.treasury import TreasuryEvent, admins
from shared.domain.entry import Emission
from shared.domain.event import Data, Id, Party, Uint, ascii_text
from shared.domain.notice import Link, Notice, Priority, sbtc, short
from shared.domain.rooms import TREASURY as ROOM
from shared.domain.rows import (
    TREASURY,
    Proposal,
    ProposalKind,
    TreasuryAdmin,
    TreasuryState,
    TreasuryTransfer,
    proposal_aggregate,
)
from shared.domain.schema import (
    AdminChanged,
    AdminProposalExecuted,
    ProposalApproved,
    ProposalReady,
    WithdrawalExecuted,
)
from shared.domain.views import maybe, proposal_view, text
from shared.domain.workset import Step

TIMELOCK = 144  # blocks before a withdrawal may be executed
EXPIRY = 1008  # blocks after which a proposal of an admin is void; a withdrawal prints its own
WINDOW = 144  # blocks of the daily limit
SIGNATURES_MAX = 3


@dataclass(frozen=True, slots=True)
class _OfProposal(TreasuryEvent):
    kind: ClassVar[ProposalKind]  # of the proposal, where the print alone says

    proposal_id: Id

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({proposal_aggregate(self.proposal_id)})

    def proposal(self, at: Step) -> Proposal:
        return at.get(Proposal, self.proposal_id) or Proposal(self.proposal_id, self.kind)

    @property
    def link(self) -> Link:
        return Link("/dashboard/treasury", "View proposal")

    def makes_ready(self, count: int, required: int) -> bool:
        """Whether the last approval that was needed is in with this event."""
        return count >= required and (count - 1 < required or isinstance(self, _Proposed))

    def ready(self, at: Step, count: int, required: int) -> Iterator[Emission]:
        """That it has all the approvals it needs, said once."""
        if not self.makes_ready(count, required):
            return
        proposal = self.proposal(at)
        data: ProposalReady = {
            "proposalId": text(self.proposal_id),
            "kind": proposal.kind,
            "proposer": proposal.proposer,
            "approvalCount": text(count),
            "required": text(required),
            "timelockExpires": maybe(proposal.timelock_block),
            "expiresAt": maybe(proposal.expires_at_block),
        }
        yield self.say(ROOM, "treasury:proposal-ready", data, type="proposal-ready")
        yield from self.tell("treasury:proposal-ready", data, type="proposal-ready", proposer=proposal.proposer)


@dataclass(frozen=True, slots=True)
class _Proposed(_OfProposal):
    """A proposal; who makes it approves it."""

    said: ClassVar[str] = "treasury:admin-proposal-created"

    def call_admins(self, at: Step, priority: Priority, proposer: str, what: str, data: Data) -> Iterator[Notice]:
        """Those whose approval it may need: to propose is to approve."""
        asked = f"{short(proposer)} proposes {what}: proposal {self.proposal_id} waits for your approval."
        others = (address for address in admins(at) if address != proposer)
        yield from self.notify("admin_action_required", priority, "Your approval is needed", asked, data, *others)

    def fold_proposal(self, at: Step, made: Proposal) -> None:
        known = self.proposal(at)  # a stub, where an approval was heard first
        assert made.proposer is not None
        proposal = replace(
            made,
            kind=self.kind,
            approvers=approved(known.approvers, made.proposer),
            approval_count=max(1, known.approval_count),
            status=known.status,
            proposed_at_block=at.height,
            executed_at_block=known.executed_at_block,
            executed_tx=known.executed_tx,
            executor=known.executor,
            complete=True,
        )
        at.put(proposal)

    def emissions(self, at: Step) -> Iterator[Emission]:
        proposal, treasury = self.proposal(at), at.one(TreasuryState)
        view = proposal_view(proposal, treasury)
        yield self.say(ROOM, self.said, view)
        yield from self.tell(self.said, view, target=proposal.target_admin)
        yield from self.tell_admins(at, self.said, view, proposal.proposer)
        yield from self.ready(at, proposal.approval_count, treasury.required_signatures)


@dataclass(frozen=True, slots=True)
class TreasuryWithdrawalProposed(_Proposed):
    name: ClassVar[str] = "treasury-withdrawal-proposed"
    kind: ClassVar[ProposalKind] = "withdrawal"
    said: ClassVar[str] = "treasury:proposal-created"

    amount: Uint
    recipient: Party
    proposer: Party
    description: Annotated[str, ascii_text(256)]
    expires_at: Uint

    def fold(self, at: Step) -> None:
        made = Proposal(
            self.proposal_id,
            self.kind,
            proposer=self.proposer,
            amount=self.amount,
            recipient=self.recipient,
            description=self.description,
            timelock_block=at.height + TIMELOCK,
            expires_at_block=self.expires_at,
        )
        self.fold_proposal(at, made)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {
            "proposalId": text(self.proposal_id),
            "amount": text(self.amount),
            "recipient": self.recipient,
            "proposer": self.proposer,
            "expiresAt": text(self.expires_at),
        }
        what = f"to pay {sbtc(self.amount)} to {short(self.recipient)}"
        yield from self.call_admins(at, "urgent", self.proposer, what, data)
        mine = f"You propose {what}: proposal {self.proposal_id}."
        yield from self.notify("withdrawal_proposed", "normal", "Withdrawal proposed", mine, data, self.proposer)


@dataclass(frozen=True, slots=True)
class TreasuryAddAdminProposed(_Proposed):
    name: ClassVar[str] = "treasury-add-admin-proposed"
    kind: ClassVar[ProposalKind] = "add-admin"

    new_admin: Party
    proposer: Party

    def fold(self, at: Step) -> None:
        expires = at.height + EXPIRY
        made = Proposal(
            self.proposal_id,
            self.kind,
            proposer=self.proposer,
            target_admin=self.new_admin,
            expires_at_block=expires,
        )
        self.fold_proposal(at, made)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"proposalId": text(self.proposal_id), "targetAdmin": self.new_admin, "proposer": self.proposer}
        what = f"{short(self.new_admin)} as an admin of the treasury"
        yield from self.call_admins(at, "high", self.proposer, what, data)


@dataclass(frozen=True, slots=True)
class TreasuryRemoveAdminProposed(_Proposed):
    name: ClassVar[str] = "treasury-remove-admin-proposed"
    kind: ClassVar[ProposalKind] = "remove-admin"

    target_admin: Party
    proposer: Party

    def fold(self, at: Step) -> None:
        expires = at.height + EXPIRY
        made = Proposal(
            self.proposal_id,
            self.kind,
            proposer=self.proposer,
            target_admin=self.target_admin,
            expires_at_block=expires,
        )
        self.fold_proposal(at, made)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"proposalId": text(self.proposal_id), "targetAdmin": self.target_admin, "proposer": self.proposer}
        what = f"to remove {short(self.target_admin)} from the treasury's admins"
        yield from self.call_admins(at, "high", self.proposer, what, data)


@dataclass(frozen=True, slots=True)
class _Approved(_OfProposal):
    said: ClassVar[str]

    approver: Party
    total_approvals: Uint

    def required_by(self, at: Step) -> int:
        """How many must approve, as the contract asked at that moment."""
        return at.one(TreasuryState).required_signatures

    def fold(self, at: Step) -> None:
        known = self.proposal(at)
        approvers = approved(known.approvers, self.approver)
        at.put(replace(known, approvers=approvers, approval_count=self.total_approvals))

    def emissions(self, at: Step) -> Iterator[Emission]:
        proposal, required = self.proposal(at), self.required_by(at)
        data: ProposalApproved = {
            "proposalId": text(self.proposal_id),
            "kind": proposal.kind,
            "approver": self.approver,
            "approvalCount": text(self.total_approvals),
            "required": text(required),
            "proposer": proposal.proposer,
            "ready": self.total_approvals >= required,
        }
        yield self.say(ROOM, self.said, data)
        yield from self.tell(self.said, data, approver=self.approver, proposer=proposal.proposer)
        yield from self.ready(at, self.total_approvals, required)


@dataclass(frozen=True, slots=True)
class TreasuryWithdrawalApproved(_Approved):
    name: ClassVar[str] = "treasury-withdrawal-approved"
    kind: ClassVar[ProposalKind] = "withdrawal"
    said: ClassVar[str] = "treasury:proposal-approved"

    required: Uint

    def required_by(self, at: Step) -> int:
        return self.required

    def notices(self, at: Step) -> Iterator[Notice]:
        number = self.proposal_id
        data = {
            "proposalId": text(number),
            "approver": self.approver,
            "approvalCount": text(self.total_approvals),
            "required": text(self.required),
        }
        kind, count = "withdrawal_approved", f"{self.total_approvals} of {self.required} approvals"
        mine = f"You approved proposal {number}, which has {count}."
        yield from self.notify(kind, "normal", "Withdrawal approved", mine, data, self.approver)
        if self.makes_ready(self.total_approvals, self.required):
            ready = f"Your proposal {number} has {count}."
            yield from self.notify(kind, "high", "Your proposal is approved", ready, data, self.proposal(at).proposer)


@dataclass(frozen=True, slots=True)
class TreasuryAdminProposalApproved(_Approved):
    name: ClassVar[str] = "treasury-admin-proposal-approved"
    kind: ClassVar[ProposalKind] = "add-admin"  # or the other: only the proposal says
    said: ClassVar[str] = "treasury:admin-proposal-approved"


@dataclass(frozen=True, slots=True)
class _Executed(_OfProposal):
    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({proposal_aggregate(self.proposal_id), TREASURY})

    def executed(self, known: Proposal, at: Step) -> Proposal:
        return replace(
            known,
            status="executed",
            executed_at_block=at.height,
            executed_tx=at.place.tx_hash,
            executor=at.place.tx_sender,
        )


@dataclass(frozen=True, slots=True)
class TreasuryWithdrawalExecuted(_Executed):
    name: ClassVar[str] = "treasury-withdrawal-executed"
    kind: ClassVar[ProposalKind] = "withdrawal"

    amount: Uint
    recipient: Party
    approvals: Uint

    def fold(self, at: Step) -> None:
        known = self.proposal(at)
        paid = replace(
            known,
            amount=self.amount if known.amount is None else known.amount,
            recipient=known.recipient or self.recipient,
            approval_count=self.approvals,
        )
        at.put(self.executed(paid, at))
        treasury = at.one(TreasuryState)
        balance = treasury.balance - self.amount
        transfer = TreasuryTransfer(
            event_id=at.place.event_id,
            kind="multisig",
            amount=self.amount,
            recipient=self.recipient,
            admin=None,
            proposal_id=self.proposal_id,
            new_balance=balance,
            block=at.height,
            tx_hash=at.place.tx_hash,
        )
        at.put(transfer)
        same_window = at.height - treasury.last_withdrawal_block < WINDOW
        drawn = replace(
            treasury,
            balance=balance,
            withdrawn_in_window=(treasury.withdrawn_in_window if same_window else 0) + self.amount,
            last_withdrawal_block=at.height,
        )
        at.put(drawn)

    def emissions(self, at: Step) -> Iterator[Emission]:
        name = "treasury:proposal-executed"
        data: WithdrawalExecuted = {
            "proposalId": text(self.proposal_id),
            "kind": self.kind,
            "recipient": self.recipient,
            "amount": text(self.amount),
            "approvalCount": text(self.approvals),
            "executedAt": text(at.height),
            "executor": at.place.tx_sender,
            "newBalance": text(at.one(TreasuryState).balance),
        }
        yield self.say(ROOM, name, data)
        yield from self.balance_updated(at, "proposal-executed")
        yield from self.tell(name, data, recipient=self.recipient)
        yield from self.tell_admins(at, name, data, self.proposal(at).proposer)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {
            "proposalId": text(self.proposal_id),
            "amount": text(self.amount),
            "recipient": self.recipient,
        }
        paid = f"The treasury paid {sbtc(self.amount)} to {short(self.recipient)} by proposal {self.proposal_id}."
        mine = f"The treasury paid you {sbtc(self.amount)} by proposal {self.proposal_id}."
        yield from self.notify("withdrawal_executed", "high", "Withdrawal executed", paid, data, *admins(at))
        yield from self.notify("treasury_withdrawal", "normal", "Treasury withdrawal", mine, data, self.recipient)


@dataclass(frozen=True, slots=True)
class TreasuryAdminProposalExecuted(_Executed):
    name: ClassVar[str] = "treasury-admin-proposal-executed"

    action: Annotated[str, ascii_text(10)]  # add or remove
    target_admin: Party
    approvals: Uint

    @property
    def adds(self) -> bool:
        return self.action == "add"

    def proposal(self, at: Step) -> Proposal:
        stub = Proposal(self.proposal_id, "add-admin" if self.adds else "remove-admin")
        return at.get(Proposal, self.proposal_id) or stub

    def fold(self, at: Step) -> None:
        known = self.proposal(at)
        passed = replace(
            known,
            target_admin=known.target_admin or self.target_admin,
            approval_count=self.approvals,
        )
        at.put(self.executed(passed, at))
        admin = at.get(TreasuryAdmin, self.target_admin) or TreasuryAdmin(self.target_admin, active=False)
        if self.adds:
            admin = replace(admin, active=True, added_block=at.height, added_by_proposal=self.proposal_id)
        else:
            admin = replace(admin, active=False, removed_block=at.height, removed_by_proposal=self.proposal_id)
        at.put(admin)
        treasury = at.one(TreasuryState)
        count = treasury.active_admin_count + (1 if self.adds else -1)  # also where membership stayed as it was
        at.put(replace(treasury, active_admin_count=count, required_signatures=min(count, SIGNATURES_MAX)))

    def emissions(self, at: Step) -> Iterator[Emission]:
        name, treasury = "treasury:admin-proposal-executed", at.one(TreasuryState)
        active, required = text(treasury.active_admin_count), text(treasury.required_signatures)
        data: AdminProposalExecuted = {
            "proposalId": text(self.proposal_id),
            "kind": "add-admin" if self.adds else "remove-admin",
            "action": self.action,
            "targetAdmin": self.target_admin,
            "approvalCount": text(self.approvals),
            "executedAt": text(at.height),
            "executor": at.place.tx_sender,
            "activeAdminCount": active,
            "required": required,
        }
        changed = "admin-added" if self.adds else "admin-removed"
        admin: AdminChanged = {
            "admin": self.target_admin,
            "proposalId": text(self.proposal_id),
            "activeAdminCount": active,
            "required": required,
        }
        yield self.say(ROOM, name, data)
        yield self.say(ROOM, f"treasury:{changed}", admin, type=changed)
        yield from self.tell(f"treasury:{changed}", admin, type=changed, target=self.target_admin)
        yield from self.tell_admins(at, name, data, self.proposal(at).proposer)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"proposalId": text(self.proposal_id), "targetAdmin": self.target_admin}
        kind = "admin_added" if self.adds else "admin_removed"
        title = "Treasury admin added" if self.adds else "Treasury admin removed"
        change = "an admin of the treasury" if self.adds else "no longer an admin of the treasury"
        others = (address for address in admins(at) if address != self.target_admin)
        yield from self.notify(kind, "high", title, f"You are {change}.", data, self.target_admin)
        yield from self.notify(kind, "normal", title, f"{short(self.target_admin)} is {change}.", data, *others)


def approved(approvers: tuple[str, ...], approver: str) -> tuple[str, ...]:
    """Who approved so far, in order, each once."""
    return approvers if approver in approvers else (*approvers, approver)
