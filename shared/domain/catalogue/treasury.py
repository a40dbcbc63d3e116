"""What the treasury prints of its money and of its legacy admin. Its admins' proposals: ``proposals.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from shared.domain.catalogue.pairs import SaleFee, cancellation_paying, sale_paying
from shared.domain.entry import Emission
from shared.domain.event import Data, Event, Party, Uint
from shared.domain.notice import Link, Notice, sbtc, short
from shared.domain.rooms import TREASURY as ROOM
from shared.domain.rooms import user_room
from shared.domain.rows import (
    TREASURY,
    ConfigChange,
    FeeKind,
    RecipientTotal,
    Ref,
    TreasuryAdmin,
    TreasuryFee,
    TreasuryState,
    TreasuryTransfer,
)
from shared.domain.schema import (
    AdminTransfer,
    BalanceReason,
    BalanceView,
    Distribution,
    Payout,
    TransferCancelled,
    TransferCompleted,
)
from shared.domain.schema import TreasuryFeeUpdated as FeeUpdatedData
from shared.domain.views import fee_view, text
from shared.domain.workset import Step


@dataclass(frozen=True, slots=True)
class TreasuryEvent(Event):
    """Any print of the treasury contract."""

    role: ClassVar[str] = "treasury"

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({TREASURY})

    @property
    def link(self) -> Link:
        return Link("/dashboard/treasury", "View treasury")

    def tell_admins(self, at: Step, name: str, data: Data, proposer: str | None = None) -> Iterator[Emission]:
        """The same to every active admin, ascending."""
        for address in admins(at):
            role = "proposer" if address == proposer else "admin"
            yield self.say(user_room(address), name, data, role=role)

    def balance_updated(self, at: Step, reason: BalanceReason) -> Iterator[Emission]:
        """The new balance, where it is another than was told last."""
        change = balance_change(at.told.one(TreasuryState), at.one(TreasuryState), reason)
        if change:
            yield self.say(ROOM, "treasury:balance-updated", change)


def admins(at: Step) -> list[str]:
    """The active admins, ascending."""
    return sorted(admin.address for admin in at.all(TreasuryAdmin) if admin.active)


def balance_change(before: TreasuryState, after: TreasuryState, reason: BalanceReason) -> BalanceView | None:
    """BalanceView, or None where nothing changed."""
    if before.balance == after.balance:
        return None
    return {
        "newBalance": text(after.balance),
        "previousBalance": text(before.balance),
        "change": text(after.balance - before.balance),
        "reason": reason,
    }


def with_balance(treasury: TreasuryState, change: int, printed: int) -> TreasuryState:
    """The printed balance holds; that it is not what the change makes of ours is counted."""
    drifted = treasury.balance + change != printed
    return replace(treasury, balance=printed, drifts=treasury.drifts + drifted)


@dataclass(frozen=True, slots=True)
class _Fee(TreasuryEvent):
    kind: ClassVar[FeeKind]

    amount: Uint
    caller: Party
    new_balance: Uint

    def paid_for(self, at: Step) -> tuple[int | None, int | None]:
        """Stream and sale that the fee was paid for."""
        return None, None

    def fee(self, at: Step) -> TreasuryFee:
        stream_id, sale_id = self.paid_for(at)
        place = at.place
        return TreasuryFee(
            event_id=place.event_id,
            kind=self.kind,
            amount=self.amount,
            caller=self.caller,
            new_balance=self.new_balance,
            stream_id=stream_id,
            sale_id=sale_id,
            block=at.height,
            block_hash=place.block.hash,
            block_time=place.block.time,
            tx_index=place.tx_index,
            event_index=place.event_index,
            tx_hash=place.tx_hash,
        )

    def fold(self, at: Step) -> None:
        at.put(self.fee(at))
        treasury = with_balance(at.one(TreasuryState), self.amount, self.new_balance)
        totals = replace(
            treasury,
            total_fees=treasury.total_fees + self.amount,
            general_fees=treasury.general_fees + (self.amount if self.kind == "general" else 0),
            cancellation_fees=treasury.cancellation_fees + (self.amount if self.kind == "cancellation" else 0),
            marketplace_fees=treasury.marketplace_fees + (self.amount if self.kind == "marketplace" else 0),
        )
        at.put(totals)

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield self.say(ROOM, "treasury:fee-collected", fee_view(self.fee(at)))
        yield from self.balance_updated(at, "fee")


@dataclass(frozen=True, slots=True)
class FeeCollected(_Fee):
    name: ClassVar[str] = "treasury-fee-collected"
    kind: ClassVar[FeeKind] = "general"


@dataclass(frozen=True, slots=True)
class CancellationFeeCollected(_Fee):
    name: ClassVar[str] = "treasury-cancellation-fee-collected"
    kind: ClassVar[FeeKind] = "cancellation"

    def paid_for(self, at: Step) -> tuple[int | None, int | None]:
        cancelled = cancellation_paying(at, self.amount)
        return (cancelled.stream_id if cancelled else None), None


@dataclass(frozen=True, slots=True)
class MarketplaceFeeCollected(_Fee, SaleFee):
    name: ClassVar[str] = "treasury-marketplace-fee-collected"
    kind: ClassVar[FeeKind] = "marketplace"

    def paid_for(self, at: Step) -> tuple[int | None, int | None]:
        sold = sale_paying(at)
        return (sold.stream_id, sold.sale_id) if sold else (None, None)


@dataclass(frozen=True, slots=True)
class _Payout(TreasuryEvent):
    """The legacy admin paid somebody."""

    kind: ClassVar[Literal["withdrawal", "distribution"]]

    amount: Uint
    recipient: Party
    admin: Party
    new_balance: Uint

    def fold(self, at: Step) -> None:
        transfer = TreasuryTransfer(
            event_id=at.place.event_id,
            kind=self.kind,
            amount=self.amount,
            recipient=self.recipient,
            admin=self.admin,
            proposal_id=None,
            new_balance=self.new_balance,
            block=at.height,
            tx_hash=at.place.tx_hash,
        )
        at.put(transfer)
        at.put(with_balance(at.one(TreasuryState), -self.amount, self.new_balance))

    def data(self, at: Step) -> Payout:
        return {
            "amount": text(self.amount),
            "recipient": self.recipient,
            "admin": self.admin,
            "newBalance": text(self.new_balance),
        }

    def emissions(self, at: Step) -> Iterator[Emission]:
        name, data = f"treasury:{self.kind}", self.data(at)
        yield self.say(ROOM, name, data)
        yield from self.balance_updated(at, self.kind)
        yield from self.tell(name, data, recipient=self.recipient, admin=self.admin)


@dataclass(frozen=True, slots=True)
class TreasuryWithdrawal(_Payout):
    name: ClassVar[str] = "treasury-withdrawal"
    kind: ClassVar[Literal["withdrawal", "distribution"]] = "withdrawal"

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"amount": text(self.amount), "recipient": self.recipient}
        kind, title, paid = "treasury_withdrawal", "Treasury withdrawal", sbtc(self.amount)
        out = f"You paid {paid} from the treasury to {short(self.recipient)}."
        yield from self.notify(kind, "normal", title, out, data, self.admin)
        yield from self.notify(kind, "normal", title, f"The treasury paid you {paid}.", data, self.recipient)


@dataclass(frozen=True, slots=True)
class TreasuryDistribution(_Payout):
    name: ClassVar[str] = "treasury-distribution"
    kind: ClassVar[Literal["withdrawal", "distribution"]] = "distribution"

    @property
    def looks_up(self) -> tuple[Ref, ...]:
        return ((RecipientTotal, self.recipient),)

    def fold(self, at: Step) -> None:
        _Payout.fold(self, at)
        so_far = at.get(RecipientTotal, self.recipient) or RecipientTotal(self.recipient)
        at.put(replace(so_far, total=so_far.total + self.amount))

    def data(self, at: Step) -> Distribution:
        so_far = at.get(RecipientTotal, self.recipient)
        assert so_far is not None
        return {**_Payout.data(self, at), "recipientTotal": text(so_far.total)}

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"amount": text(self.amount), "recipient": self.recipient}
        paid = f"The treasury distributed {sbtc(self.amount)} to you."
        yield from self.notify("treasury_distribution", "normal", "Treasury distribution", paid, data, self.recipient)


@dataclass(frozen=True, slots=True)
class TreasuryFeeUpdated(TreasuryEvent):
    name: ClassVar[str] = "treasury-fee-updated"

    old_fee_bps: Uint
    new_fee_bps: Uint
    admin: Party

    def fold(self, at: Step) -> None:
        treasury = at.one(TreasuryState)
        at.put(replace(treasury, fee_bps=self.new_fee_bps))
        change = ConfigChange(
            at.place.event_id,
            TREASURY,
            self.old_fee_bps,
            self.new_fee_bps,
            changed_by=self.admin,
            block=at.height,
        )
        at.put(change)

    def emissions(self, at: Step) -> Iterator[Emission]:
        data: FeeUpdatedData = {
            "oldFeeBps": text(self.old_fee_bps),
            "newFeeBps": text(self.new_fee_bps),
            "admin": self.admin,
        }
        yield self.say(ROOM, "treasury:config-updated", data)
        yield from self.tell_admins(at, "treasury:config-updated", data)


@dataclass(frozen=True, slots=True)
class _AdminTransfer(TreasuryEvent):
    """A step of handing the legacy admin's rights on."""

    def told(self, at: Step, data: Data, **parties: str | None) -> Iterator[Emission]:
        yield self.say(ROOM, "treasury:admin-transfer", data)
        yield from self.tell("treasury:admin-transfer", data, **parties)
        yield from self.tell_admins(at, "treasury:admin-transfer", data)

    def hand_over(self, at: Step, message: str, data: Data, *parties: str | None) -> Iterator[Notice]:
        title = "Treasury admin transfer"
        yield from self.notify("admin_transfer", "urgent", title, message, data, *parties, *admins(at))


@dataclass(frozen=True, slots=True)
class TreasuryAdminTransferProposed(_AdminTransfer):
    name: ClassVar[str] = "treasury-admin-transfer-proposed"

    current_admin: Party
    proposed_admin: Party

    def fold(self, at: Step) -> None:
        at.put(replace(at.one(TreasuryState), pending_admin=self.proposed_admin))

    def emissions(self, at: Step) -> Iterator[Emission]:
        data: AdminTransfer = {"currentAdmin": self.current_admin, "newAdmin": self.proposed_admin}
        yield from self.told(at, data, current_admin=self.current_admin, new_admin=self.proposed_admin)

    def notices(self, at: Step) -> Iterator[Notice]:
        old, new = self.current_admin, self.proposed_admin
        said = f"{short(old)} offers the treasury's admin rights to {short(new)}."
        yield from self.hand_over(at, said, {"currentAdmin": old, "newAdmin": new}, old, new)


@dataclass(frozen=True, slots=True)
class TreasuryAdminTransferCompleted(_AdminTransfer):
    name: ClassVar[str] = "treasury-admin-transfer-completed"

    old_admin: Party
    new_admin: Party

    def fold(self, at: Step) -> None:
        at.put(replace(at.one(TreasuryState), admin=self.new_admin, pending_admin=None))

    def emissions(self, at: Step) -> Iterator[Emission]:
        data: TransferCompleted = {"oldAdmin": self.old_admin, "newAdmin": self.new_admin}
        yield from self.told(at, data, old_admin=self.old_admin, new_admin=self.new_admin)

    def notices(self, at: Step) -> Iterator[Notice]:
        old, new = self.old_admin, self.new_admin
        said = f"{short(new)} took the treasury's admin rights over from {short(old)}."
        yield from self.hand_over(at, said, {"oldAdmin": old, "newAdmin": new}, old, new)


@dataclass(frozen=True, slots=True)
class TreasuryAdminTransferCancelled(_AdminTransfer):
    name: ClassVar[str] = "treasury-admin-transfer-cancelled"

    cancelled_by: Party

    def fold(self, at: Step) -> None:
        at.put(replace(at.one(TreasuryState), pending_admin=None))

    def emissions(self, at: Step) -> Iterator[Emission]:
        dropped = at.prior.one(TreasuryState).pending_admin
        data: TransferCancelled = {"cancelledBy": self.cancelled_by, "newAdmin": dropped}
        yield from self.told(at, data, current_admin=self.cancelled_by, new_admin=dropped)

    def notices(self, at: Step) -> Iterator[Notice]:
        old, dropped = self.cancelled_by, at.prior.one(TreasuryState).pending_admin
        to = f" to {short(dropped)}" if dropped else ""
        said = f"{short(old)} took back the offer of the treasury's admin rights{to}."
        yield from self.hand_over(at, said, {"cancelledBy": old, "newAdmin": dropped}, old, dropped)
