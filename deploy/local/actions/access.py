"""Calls of the access control: who may do what, and whether anybody may. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from deploy.local.actions.signed import Outcome, Said, Signed, printed
from deploy.local.world import Cast, World

Role: TypeAlias = Literal["admin", "operator", "contract"]
_VERBS = {  # of granting and of taking away: the function's, the print's; contracts have words of their own
    "admin": (("add", "added"), ("remove", "removed")),
    "operator": (("add", "added"), ("remove", "removed")),
    "contract": (("authorize", "authorized"), ("revoke", "revoked")),
}


class SetRole(Signed, frozen=True):
    """Grant a role or take it away. For operators and contracts it is printed even where nothing changes."""

    role: Role
    who: str
    is_granted: bool

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.access, f"{_VERBS[self.role][not self.is_granted][0]}-{self.role}", (self.who,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        access = world.access
        may = self.sender in access.admins
        if self.role == "admin":
            if self.is_granted is (self.who in access.admins):
                return None
            if not self.is_granted:  # not even other admins may
                may = self.sender in (cast.deployer, self.who)
        if not may:
            return None
        holders: dict[Role, tuple[str, ...]]
        holders = {"admin": access.admins, "operator": access.operators, "contract": access.contracts}
        others = tuple(holder for holder in holders[self.role] if holder != self.who)
        changed = access.but(**{f"{self.role}s": (*others, self.who) if self.is_granted else others})
        done = _VERBS[self.role][not self.is_granted][1]
        fields = {self.role: self.who, f"{done}_by": self.sender}
        told = printed(cast.contracts.access, f"access-{self.role}-{done}", **fields)
        return Outcome(world.but(access=changed), (told,))


class SetPause(Signed, frozen=True):
    """No stream is created and no fee collected while the protocol is paused."""

    is_paused: bool

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.access, f"{'pause' if self.is_paused else 'unpause'}-protocol", ()

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        access = world.access
        if self.sender not in access.admins or access.is_paused is self.is_paused:
            return None
        if self.is_paused:
            told = printed(cast.contracts.access, "access-protocol-paused", paused_by=self.sender)
        else:
            told = printed(cast.contracts.access, "access-protocol-unpaused", unpaused_by=self.sender)
        return Outcome(world.but(access=access.but(is_paused=self.is_paused)), (told,))


class InitiateAdminTransfer(Signed, frozen=True):
    new_admin: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.access, "initiate-admin-transfer", (self.new_admin,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if self.sender != cast.deployer:
            return None
        event = "access-admin-transfer-initiated"
        told = printed(cast.contracts.access, event, from_=self.sender, to=self.new_admin)
        return Outcome(world.but(access=world.access.but(pending=self.new_admin)), (told,))


class AcceptAdminTransfer(Signed, frozen=True):
    """The role is granted; nobody loses it."""

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.access, "accept-admin-transfer", ()

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        access = world.access
        if access.pending is None or self.sender != access.pending:
            return None
        others = tuple(admin for admin in access.admins if admin != self.sender)
        told = printed(cast.contracts.access, "access-admin-transfer-completed", new_admin=self.sender)
        return Outcome(world.but(access=access.but(admins=(*others, self.sender), pending=None)), (told,))
