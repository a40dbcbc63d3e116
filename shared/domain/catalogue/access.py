"""What access control prints: roles, contracts that may use the vault, the pause, the admin role offered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from shared.domain.entry import Emission
from shared.domain.event import Event, Party
from shared.domain.notice import Link, Notice, Priority, short
from shared.domain.rooms import ACCESS_CONTROL, GLOBAL, user_room
from shared.domain.rows import ACCESS, AccessContract, AccessRole, ProtocolState
from shared.domain.views import text
from shared.domain.workset import Step


@dataclass(frozen=True, slots=True)
class _AccessEvent(Event):
    role: ClassVar[str] = "access"

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({ACCESS})

    @property
    def link(self) -> Link:
        return Link("/dashboard/access-control", "View access control")

    def admins(self, at: Step) -> list[str]:
        """The active admins, ascending."""
        return sorted(role.principal for role in at.all(AccessRole) if role.kind == "admin" and role.active)


@dataclass(frozen=True, slots=True)
class _RoleChanged(_AccessEvent):
    """A role granted or revoked; the print's first field has it, its second who did it."""

    kind: ClassVar[str]
    active: ClassVar[bool]
    priority: ClassVar[Priority] = "normal"  # of its notice

    def parties(self) -> tuple[str, str]:
        """Whom it is about, and who did it."""
        whom, by = (getattr(self, field.name) for field in fields(self))
        return whom, by

    def fold(self, at: Step) -> None:
        whom, by = self.parties()
        at.put(AccessRole(self.kind, whom, self.active, changed_by=by, changed_block=at.height))

    def emissions(self, at: Step) -> Iterator[Emission]:
        whom, by = self.parties()
        data = {self.kind: whom, ("addedBy" if self.active else "removedBy"): by}
        yield self.say(ACCESS_CONTROL, "access-control:role-changed", data)
        yield from self.tell("access-control:role-changed", data, target=whom)

    def notices(self, at: Step) -> Iterator[Notice]:
        whom, by = self.parties()
        data = {self.kind: whom, ("addedBy" if self.active else "removedBy"): by}
        done = "added" if self.active else "removed"
        gave, took = f"{short(by)} made you an {self.kind}.", f"{short(by)} took your role as {self.kind} from you."
        title, message = f"{self.kind.capitalize()} role {done}", gave if self.active else took
        yield from self.notify(f"{self.kind}_{done}", self.priority, title, message, data, whom)


@dataclass(frozen=True, slots=True)
class AccessAdminAdded(_RoleChanged):
    name: ClassVar[str] = "access-admin-added"
    kind: ClassVar[str] = "admin"
    active: ClassVar[bool] = True
    priority: ClassVar[Priority] = "high"

    admin: Party
    added_by: Party


@dataclass(frozen=True, slots=True)
class AccessAdminRemoved(_RoleChanged):
    name: ClassVar[str] = "access-admin-removed"
    kind: ClassVar[str] = "admin"
    active: ClassVar[bool] = False
    priority: ClassVar[Priority] = "urgent"

    admin: Party
    removed_by: Party


@dataclass(frozen=True, slots=True)
class AccessOperatorAdded(_RoleChanged):
    name: ClassVar[str] = "access-operator-added"
    kind: ClassVar[str] = "operator"
    active: ClassVar[bool] = True

    operator: Party
    added_by: Party


@dataclass(frozen=True, slots=True)
class AccessOperatorRemoved(_RoleChanged):
    name: ClassVar[str] = "access-operator-removed"
    kind: ClassVar[str] = "operator"
    active: ClassVar[bool] = False

    operator: Party
    removed_by: Party


@dataclass(frozen=True, slots=True)
class _ContractChanged(_AccessEvent):
    """A contract let in or shut out."""

    def changed(self, at: Step, data: dict[str, object]) -> Iterator[Emission]:
        yield self.say(ACCESS_CONTROL, "access-control:contract", data)
        for address in self.admins(at):
            yield self.say(user_room(address), "access-control:contract", data, role="admin")


@dataclass(frozen=True, slots=True)
class AccessContractAuthorized(_ContractChanged):
    name: ClassVar[str] = "access-contract-authorized"

    contract: Party
    authorized_by: Party

    def fold(self, at: Step) -> None:
        at.put(AccessContract(self.contract, True, changed_by=self.authorized_by, changed_block=at.height))

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.changed(at, {"contract": self.contract, "authorizedBy": self.authorized_by})

    def notices(self, at: Step) -> Iterator[Notice]:
        said = f"{short(self.authorized_by)} let {short(self.contract)} use the vault."
        data = {"contract": self.contract, "authorizedBy": self.authorized_by}
        yield from self.notify("security_alert", "high", "Contract authorized", said, data, *self.admins(at))


@dataclass(frozen=True, slots=True)
class AccessContractRevoked(_ContractChanged):
    name: ClassVar[str] = "access-contract-revoked"

    contract: Party
    revoked_by: Party

    def fold(self, at: Step) -> None:
        at.put(AccessContract(self.contract, False, changed_by=self.revoked_by, changed_block=at.height))

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.changed(at, {"contract": self.contract, "revokedBy": self.revoked_by})

    def notices(self, at: Step) -> Iterator[Notice]:
        said = f"{short(self.revoked_by)} shut {short(self.contract)} out of the vault."
        data = {"contract": self.contract, "revokedBy": self.revoked_by}
        yield from self.notify("security_alert", "urgent", "Contract revoked", said, data, *self.admins(at))


@dataclass(frozen=True, slots=True)
class _PauseChanged(_AccessEvent):
    def fold_pause(self, at: Step, paused: bool, by: str) -> None:
        at.put(replace(at.one(ProtocolState), paused=paused, changed_by=by, since_block=at.height))

    def told(self, at: Step, data: dict[str, object]) -> Iterator[Emission]:
        """State-shaped: whether the protocol is paused now, which a late print need not have the last word on."""
        yield self.say(GLOBAL, "access-control:protocol", {"paused": at.one(ProtocolState).paused, **data})


@dataclass(frozen=True, slots=True)
class AccessProtocolPaused(_PauseChanged):
    name: ClassVar[str] = "access-protocol-paused"

    paused_by: Party

    def fold(self, at: Step) -> None:
        self.fold_pause(at, True, self.paused_by)

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.told(at, {"pausedBy": self.paused_by, "pausedAt": text(at.height)})

    def notices(self, at: Step) -> Iterator[Notice]:
        said, data = f"{short(self.paused_by)} paused the protocol.", {"pausedBy": self.paused_by}
        yield from self.notify("protocol_paused", "urgent", "Protocol paused", said, data, *self.admins(at))


@dataclass(frozen=True, slots=True)
class AccessProtocolUnpaused(_PauseChanged):
    name: ClassVar[str] = "access-protocol-unpaused"

    unpaused_by: Party

    def fold(self, at: Step) -> None:
        self.fold_pause(at, False, self.unpaused_by)

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.told(at, {"unpausedBy": self.unpaused_by, "unpausedAt": text(at.height)})

    def notices(self, at: Step) -> Iterator[Notice]:
        said, data = f"{short(self.unpaused_by)} let the protocol go on.", {"unpausedBy": self.unpaused_by}
        yield from self.notify("protocol_unpaused", "high", "Protocol unpaused", said, data, *self.admins(at))


@dataclass(frozen=True, slots=True)
class _AdminTransfer(_AccessEvent):
    def told(self, current: str | None, new: str) -> Iterator[Emission]:
        data = {"currentAdmin": current, "newAdmin": new}
        yield self.say(ACCESS_CONTROL, "access-control:admin-transfer", data)
        yield from self.tell("access-control:admin-transfer", data, current_admin=current, new_admin=new)

    def hand_over(self, message: str, current: str | None, new: str) -> Iterator[Notice]:
        kind, title, data = "admin_transfer", "Admin transfer", {"currentAdmin": current, "newAdmin": new}
        yield from self.notify(kind, "high", title, message, data, current)
        yield from self.notify(kind, "urgent", title, message, data, new)


@dataclass(frozen=True, slots=True)
class AccessAdminTransferInitiated(_AdminTransfer):
    name: ClassVar[str] = "access-admin-transfer-initiated"

    from_: Party
    to: Party

    def fold(self, at: Step) -> None:
        at.put(replace(at.one(ProtocolState), pending_admin=self.to))

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.told(self.from_, self.to)

    def notices(self, at: Step) -> Iterator[Notice]:
        offered = f"{short(self.from_)} offers the admin role to {short(self.to)}."
        yield from self.hand_over(offered, self.from_, self.to)


@dataclass(frozen=True, slots=True)
class AccessAdminTransferCompleted(_AdminTransfer):
    name: ClassVar[str] = "access-admin-transfer-completed"

    new_admin: Party

    def fold(self, at: Step) -> None:
        """Nobody loses the role: the contract's owner stays an admin."""
        owner = at.one(ProtocolState).contract_owner
        at.put(AccessRole("admin", self.new_admin, True, changed_by=owner, changed_block=at.height))
        at.put(replace(at.one(ProtocolState), pending_admin=None))

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.told(at.one(ProtocolState).contract_owner, self.new_admin)

    def notices(self, at: Step) -> Iterator[Notice]:
        accepted = f"{short(self.new_admin)} accepted the admin role."
        yield from self.hand_over(accepted, at.one(ProtocolState).contract_owner, self.new_admin)
