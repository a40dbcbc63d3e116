"""What somebody could sensibly do next, and how long nothing happens before. Pure.

A ``Scenario`` looks at the world and thinks of an action, or of none. What must follow of itself (a proposal is
approved, then executed; a purchase is settled or runs out; a pause ends) is a scenario as well, so everything that is
begun is carried on, whatever a reorg did in between.

Where somebody commands what happens next, scenarios are chosen for what they lead to (``on_the_way``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias, TypeVar

from deploy.local.actions import Action
from deploy.local.actions.access import AcceptAdminTransfer, InitiateAdminTransfer, Role, SetPause, SetRole
from deploy.local.actions.marketplace import (
    BuyNft,
    CancelExpiredPurchase,
    CancelListing,
    CompletePurchase,
    InitiatePurchase,
    ListNft,
    SetBackend,
    SetMarketplaceFee,
    UpdateListingPrice,
    can_settle,
)
from deploy.local.actions.nfts import Burn, TransferObligation
from deploy.local.actions.proposals import (
    Approve,
    ExecuteAdminProposal,
    ExecuteWithdrawal,
    ProposeAdmin,
    ProposeWithdrawal,
)
from deploy.local.actions.streams import Cancel, Create, HandOver, Withdraw
from deploy.local.actions.treasury import CollectFee, EndAdminTransfer, PayOut, ProposeAdminTransfer, SetFee
from deploy.local.errors import Impossible
from deploy.local.world import DAILY_LIMIT, Cast, Listing, Proposal, Purchase, Stream, World

T = TypeVar("T")
Goal: TypeAlias = Literal["create", "withdraw", "list", "buy"]

BUSY = 12  # open streams from which on there are no new ones
QUIET = 0.07  # of all blocks come after a quiet stretch, if somebody waits for its end
TOO_LATE = 0.2  # of these stretches outlast a reserved purchase, the others a timelock
UNPAUSED = 0.3  # of the actions during a pause end it
ADMINS = (3, 5)  # of the treasury: fewer are added to, more are not


@dataclass(frozen=True, slots=True)
class Now:
    """All that a scenario may look at."""

    world: World
    height: int
    cast: Cast
    rng: Random

    def pick(self, items: Iterable[T]) -> T | None:
        """Any of them; None where there are none."""
        found = list(items)
        return self.rng.choice(found) if found else None

    def somebody(self, *but: str | None) -> str:
        """A wallet that is none of these."""
        return self.rng.choice([wallet for wallet in self.cast.wallets if wallet not in but])

    def running(self) -> list[tuple[int, Stream]]:
        return [(number, stream) for number, stream in self.world.open() if self.height < stream.end]

    def over(self) -> list[tuple[int, Stream]]:
        return [(number, stream) for number, stream in self.world.streams.items() if not stream.is_open]

    def offers(self) -> list[tuple[int, Stream, Listing]]:
        """Active listings that nobody is paying for."""
        listed = ((number, stream, stream.listing) for number, stream in self.world.streams.items())
        return [(number, it, offer) for number, it, offer in listed if offer and offer.is_active and not offer.purchase]

    def wanted(self) -> list[tuple[int, Stream, Listing]]:
        """Those of them that somebody would buy: the stream runs, and the seller has what is sold."""
        return [offer for offer in self.offers() if offer[1].is_open and can_settle(self.world, offer[1], self.cast)]

    def purchases(self) -> list[tuple[int, Stream, Purchase]]:
        pending = ((number, stream, stream.purchase) for number, stream in self.world.streams.items())
        return [(number, stream, purchase) for number, stream, purchase in pending if purchase]


Scenario: TypeAlias = Callable[[Now], Action | None]


def somebody_pays(now: Now) -> Action | None:
    return None if now.world.access.is_paused or len(now.world.open()) >= BUSY else a_payment(now)


def a_payment(now: Now) -> Action:
    sender, recipient = now.rng.sample(now.cast.wallets, 2)
    start = now.height + now.rng.randint(0, 4)
    amount = now.rng.choice((250_000, 1_000_000, 12_345_678, 50_000_000, 250_000_000)) + now.rng.randint(0, 999)
    return Create(sender, recipient, amount, start, start + now.rng.choice((12, 30, 120, 600, 2500)))


def somebody_withdraws(now: Now) -> Action | None:
    if not (found := now.pick(it for it in now.world.open() if it[1].withdrawable(now.height) > 0)):
        return None
    stream_id, stream = found
    part = now.rng.randint(1, stream.withdrawable(now.height)) if now.rng.random() < 0.3 else None
    return Withdraw(stream.recipient, stream_id, part)


def somebody_cancels(now: Now) -> Action | None:
    if now.world.access.is_paused or len(running := now.running()) < 3:
        return None
    stream_id, stream = now.rng.choice(running)
    return Cancel(stream.sender, stream_id)


def somebody_hands_over(now: Now) -> Action | None:
    if not (found := now.pick(now.running())):
        return None
    stream_id, stream = found
    return HandOver(stream.sender, stream_id, now.somebody(stream.sender, stream.recipient))


def somebody_makes_the_owner_the_payer(now: Now) -> Action | None:
    """After an obligation was given away the old payer says who pays from now on."""
    moved = (it for it in now.world.open() if it[1].obligation not in (None, it[1].sender))
    if not (found := now.pick(moved)) or (owner := found[1].obligation) is None:
        return None
    return HandOver(found[1].sender, found[0], owner)


def somebody_gives_an_obligation_away(now: Now) -> Action | None:
    if not (found := now.pick(now.running())) or (owner := found[1].obligation) is None:
        return None
    return TransferObligation(owner, found[0], now.somebody(owner, found[1].recipient))


def somebody_burns_an_obligation(now: Now) -> Action | None:
    """That of a closed stream as a rule, sometimes one that is still worth something."""
    streams = now.world.streams.items() if now.rng.random() < 0.2 else now.over()
    if not (found := now.pick(it for it in streams if it[1].obligation)) or (owner := found[1].obligation) is None:
        return None
    return Burn(owner, found[0], is_obligation=True)


def somebody_burns_a_receipt(now: Now) -> Action | None:
    if not (found := now.pick(it for it in now.over() if it[1].receipt)) or (owner := found[1].receipt) is None:
        return None
    return Burn(owner, found[0], is_obligation=False)


def somebody_lists(now: Now) -> Action | None:
    """The payer offers the obligation while it is worth something."""
    free = (it for it in now.running() if it[1].listing is None and it[1].obligation == it[1].sender)
    if not (found := now.pick(free)):
        return None
    return ListNft(found[1].sender, found[0], max(1, found[1].amount * now.rng.randint(5, 40) // 100))


def somebody_reprices(now: Now) -> Action | None:
    """Sometimes while somebody is paying."""
    active = [(number, it.listing) for number, it in now.world.streams.items() if it.listing and it.listing.is_active]
    if not (found := now.pick(active)):
        return None
    stream_id, listing = found
    return UpdateListingPrice(listing.seller, stream_id, max(1, listing.price * now.rng.randint(80, 120) // 100))


def somebody_delists(now: Now) -> Action | None:
    """Gladly what cannot be sold any more."""
    offers, wanted = now.offers(), {offer[0] for offer in now.wanted()}
    dead = [offer for offer in offers if offer[0] not in wanted]
    found = now.pick(dead or offers)
    return CancelListing(found[2].seller, found[0]) if found else None


def somebody_buys(now: Now) -> Action | None:
    if now.world.access.is_paused or not (found := now.pick(now.wanted())):
        return None
    stream_id, stream, listing = found
    return BuyNft(now.somebody(listing.seller, stream.recipient), stream_id)


def somebody_checks_out(now: Now) -> Action | None:
    if not (found := now.pick(now.wanted())):
        return None
    stream_id, stream, listing = found
    buyer = now.somebody(listing.seller, stream.recipient)
    return InitiatePurchase(buyer, stream_id, f"pay_{now.rng.getrandbits(64):016x}")


def a_backend_settles(now: Now) -> Action | None:
    due = (it for it in now.purchases() if now.height <= it[2].expires_at and can_settle(now.world, it[1], now.cast))
    if not (backend := now.pick(now.world.market.backends)) or not (found := now.pick(due)):
        return None
    return CompletePurchase(backend, found[0], found[2].payment_id)


def somebody_clears_a_purchase(now: Now) -> Action | None:
    found = now.pick(it for it in now.purchases() if now.height > it[2].expires_at)
    return CancelExpiredPurchase(now.somebody(), found[0]) if found else None


def the_owner_changes_backends(now: Now) -> Action | None:
    backends = now.world.market.backends
    if len(backends) < 2:
        return SetBackend(now.cast.deployer, now.somebody(*backends), is_authorized=True)
    return SetBackend(now.cast.deployer, now.rng.choice(backends), is_authorized=False)


def the_owner_changes_the_market_fee(now: Now) -> Action:
    return SetMarketplaceFee(now.cast.deployer, now.rng.choice((50, 100, 150, 200, 250)))


def somebody_pays_a_fee(now: Now) -> Action | None:
    return None if now.world.access.is_paused else CollectFee(now.somebody(), now.rng.randint(1, 500) * 1_000_000)


def the_treasurer_pays_out(now: Now) -> Action | None:
    treasury = now.world.treasury
    amount = treasury.balance * now.rng.randint(1, 10) // 100
    return PayOut(treasury.admin, amount, now.somebody(), now.rng.random() < 0.5) if amount else None


def the_treasurer_changes_the_fee(now: Now) -> Action:
    return SetFee(now.world.treasury.admin, now.rng.choice((25, 50, 75, 100)))


def the_treasurer_changes(now: Now) -> Action:
    treasury = now.world.treasury
    if treasury.pending is None:
        return ProposeAdminTransfer(treasury.admin, now.somebody(treasury.admin))
    if now.rng.random() < 0.6:
        return EndAdminTransfer(treasury.pending, "accept")
    return EndAdminTransfer(treasury.admin, "cancel")


def an_admin_proposes_a_withdrawal(now: Now) -> Action | None:
    treasury = now.world.treasury
    most = min(treasury.balance // 4, DAILY_LIMIT)
    waiting = sum(proposal.kind == "withdrawal" for proposal in treasury.proposals.values())
    if waiting >= 3 or not most:
        return None
    purpose = now.rng.choice(("audit", "grants", "hosting", "legal", "liquidity"))
    return ProposeWithdrawal(now.rng.choice(treasury.admins), now.rng.randint(1, most), now.somebody(), purpose)


def an_admin_proposes_an_admin(now: Now) -> Action | None:
    """One vote at a time for each; added while there are few, removed when there are many."""
    treasury, (few, many) = now.world.treasury, ADMINS
    voted = {proposal.target for proposal in treasury.proposals.values() if proposal.kind != "withdrawal"}
    count = len(treasury.admins)
    grow = count < few or (count < many and now.rng.random() < 0.5)
    kind: Literal["add", "remove"] = "add" if grow else "remove"
    proposer = now.rng.choice(treasury.admins)
    candidates = [wallet for wallet in now.cast.wallets if wallet not in treasury.admins] if grow else treasury.admins
    target = now.pick(wallet for wallet in candidates if wallet not in voted and wallet != proposer)
    removals = sum(proposal.kind == "remove" for proposal in treasury.proposals.values())
    if target is None or (not grow and count - removals <= few):
        return None
    return ProposeAdmin(proposer, kind, target)


def an_admin_approves(now: Now) -> Action | None:
    treasury = now.world.treasury
    short = (it for it in treasury.proposals.items() if len(it[1].approvals) < treasury.required)
    if not (found := now.pick(short)):
        return None
    proposal_id, proposal = found
    approver = now.pick(admin for admin in treasury.admins if admin not in proposal.approvals)
    return Approve(approver, proposal_id, proposal.kind == "withdrawal") if approver else None


def somebody_executes(now: Now) -> Action | None:
    treasury = now.world.treasury

    def can_be(proposal: Proposal) -> bool:
        left = min(treasury.balance, DAILY_LIMIT - treasury.withdrawn_today(now.height))
        return treasury.is_ready(proposal, now.height) and proposal.amount <= left

    if not (found := now.pick(it for it in treasury.proposals.items() if can_be(it[1]))):
        return None
    proposal_id, proposal = found
    execute = ExecuteWithdrawal if proposal.kind == "withdrawal" else ExecuteAdminProposal
    return execute(now.somebody(), proposal_id)


def the_owner_authorizes(now: Now) -> Action | None:
    missing = (it for it in now.cast.needed if it not in now.world.access.contracts)
    contract = next(missing, None)
    return SetRole(now.cast.deployer, "contract", contract, is_granted=True) if contract else None


def an_admin_changes_roles(now: Now) -> Action:
    """A role is granted until two wallets have it, then one of them loses it. The owner always stays an admin."""
    access = now.world.access
    role: Role = now.rng.choice(("admin", "operator"))
    holders = [who for who in (access.admins if role == "admin" else access.operators) if who != now.cast.deployer]
    if len(holders) < 2:
        return SetRole(now.rng.choice(access.admins), role, now.somebody(*holders, now.cast.deployer), is_granted=True)
    signer = now.cast.deployer if role == "admin" else now.rng.choice(access.admins)
    return SetRole(signer, role, now.rng.choice(holders), is_granted=False)


def an_admin_tries_a_contract(now: Now) -> Action:
    """One that nothing depends on comes and goes."""
    access, tried = now.world.access, f"{now.cast.deployer}.bitpay-payroll"
    return SetRole(now.rng.choice(access.admins), "contract", tried, is_granted=tried not in access.contracts)


def an_admin_pauses(now: Now) -> Action | None:
    access = now.world.access
    return None if access.is_paused else SetPause(now.rng.choice(access.admins), is_paused=True)


def the_owner_offers_the_admin_role(now: Now) -> Action:
    if pending := now.world.access.pending:
        return AcceptAdminTransfer(pending)
    return InitiateAdminTransfer(now.cast.deployer, now.somebody(now.cast.deployer))


SCENARIOS: tuple[tuple[int, Scenario], ...] = (  # the first number is how often, relative to the others
    (28, somebody_pays),
    (40, somebody_withdraws),
    (10, somebody_cancels),
    (3, somebody_hands_over),
    (6, somebody_makes_the_owner_the_payer),
    (4, somebody_gives_an_obligation_away),
    (2, somebody_burns_an_obligation),
    (4, somebody_burns_a_receipt),
    (12, somebody_lists),
    (3, somebody_reprices),
    (2, somebody_delists),
    (6, somebody_buys),
    (5, somebody_checks_out),
    (8, a_backend_settles),
    (6, somebody_clears_a_purchase),
    (3, the_owner_changes_backends),
    (2, the_owner_changes_the_market_fee),
    (4, somebody_pays_a_fee),
    (4, the_treasurer_pays_out),
    (2, the_treasurer_changes_the_fee),
    (4, the_treasurer_changes),
    (3, an_admin_proposes_a_withdrawal),
    (5, an_admin_proposes_an_admin),
    (18, an_admin_approves),
    (12, somebody_executes),
    (5, an_admin_changes_roles),
    (3, an_admin_tries_a_contract),
    (1, an_admin_pauses),
    (3, the_owner_offers_the_admin_role),
)
_GOALS: dict[Goal, type[Action]] = {"create": Create, "withdraw": Withdraw, "list": ListNft, "buy": BuyNft}
_WEIGHTS, _SCENARIOS = zip(*SCENARIOS, strict=True)


def next_action(world: World, height: int, cast: Cast, rng: Random) -> Action:
    """Something that makes sense now. At first the owner authorizes our contracts: nothing works before."""
    now = Now(world, height, cast, rng)
    if authorization := the_owner_authorizes(now):
        return authorization
    if world.access.is_paused and rng.random() < UNPAUSED:
        return SetPause(rng.choice(world.access.admins), is_paused=False)
    while True:  # ends: some of them always have an idea
        scenario: Scenario = rng.choices(_SCENARIOS, _WEIGHTS)[0]
        if action := scenario(now):
            return action


def on_the_way(goal: Goal, world: World, height: int, cast: Cast, rng: Random) -> Iterator[Action]:
    """What leads to a goal within one block of that height, each action upon the one before; the last is the goal."""
    action: Action | None = None
    while not isinstance(action, _GOALS[goal]):
        action = _next_on_the_way(goal, Now(world, height, cast, rng))
        yield action
        outcome = action.perform(world, height, cast)
        assert outcome, f"{action} leads nowhere"
        world = outcome.world


def _next_on_the_way(goal: Goal, now: Now) -> Action:
    """Nobody lists without a stream or buys without an offer, and while the protocol is paused neither begins."""
    if authorization := the_owner_authorizes(now):
        return authorization
    if goal == "withdraw":
        if withdrawal := somebody_withdraws(now):
            return withdrawal
        raise Impossible("no stream is open that could be drawn from: create one first")
    if goal == "list" and (listing := somebody_lists(now)):
        return listing
    if now.world.access.is_paused:
        return SetPause(now.rng.choice(now.world.access.admins), is_paused=False)
    if goal == "buy":
        return somebody_buys(now) or somebody_lists(now) or a_payment(now)
    return a_payment(now)


def height_for(goal: Goal, world: World, height: int) -> int:
    """The height of the next block in which the goal can be reached: nothing vests before a stream has begun."""
    starts = [stream.start for _, stream in world.open()] if goal == "withdraw" else []
    return max(height, min(starts, default=0)) + 1


def next_height(world: World, height: int, rng: Random) -> int:
    """The height of the next block with something in it, after one of ``height``.

    Timelocks and expiries are hundreds of blocks away, and whoever watches sees a block in seconds. So now and then
    nobody does anything until one of them is over; Chainhook never tells of a block without a match.
    """
    treasury = world.treasury
    waiting = (it for it in treasury.proposals.values() if len(it.approvals) >= treasury.required)
    timelocks = [it.unlocks_at for it in waiting if it.unlocks_at > height]
    expiries = [it.purchase.expires_at + 1 for it in world.streams.values() if it.purchase]
    due = [at for at in (expiries if rng.random() < TOO_LATE else timelocks) if at > height]
    return min(due) if due and rng.random() < QUIET else height + 1
