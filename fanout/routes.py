"""The snapshots, route by route: what may be asked, what ``data`` is, and how it is read.

``ROUTES`` alone decides what is served: the paths, the reading of their parameters and the OpenAPI document are made
of it, and the type checker holds each route's reader to the type that the document describes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, Generic, NamedTuple, TypedDict, TypeVar

from fanout.query import LIMIT, LIMIT_DEFAULT, Parameter, Query, after, one_of, principal, stream_id
from shared import tables
from shared.database import Connection
from shared.domain import now as n
from shared.domain import rows as r
from shared.domain import views as v
from shared.domain.entry import Cursor
from shared.domain.rows import AnyRow

R = TypeVar("R", bound=AnyRow)
T = TypeVar("T")

_TABLES: Final[dict[type, str]] = {
    r.Stream: tables.streams.name,
    r.Nft: tables.nfts.name,
    r.Listing: tables.market_listings.name,
    r.Purchase: tables.market_purchases.name,
    r.Sale: tables.market_sales.name,
    r.MarketState: tables.market_state.name,
    r.MarketBackend: tables.market_backends.name,
    r.TreasuryState: tables.treasury_state.name,
    r.TreasuryFee: tables.treasury_fees.name,
    r.TreasuryAdmin: tables.treasury_admins.name,
    r.Proposal: tables.treasury_proposals.name,
    r.AccessRole: tables.access_roles.name,
    r.AccessContract: tables.access_contracts.name,
    r.ProtocolState: tables.protocol_state.name,
}
_SELECTS: Final = {
    kind: f"SELECT {', '.join(field.name for field in fields(kind))} FROM {table}"  # noqa: S608 - names of ours
    for kind, table in _TABLES.items()
}


class NotThere(Exception):
    """There is nothing of that id; the message says which."""


class NotBegun(Exception):
    """Ingest has never run on this database: even what is true before the first event is not written."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One consistent view of the database, and of the chain's tip in it; ``time`` in unix seconds."""

    connection: Connection
    cursor: Cursor
    height: int
    time: int | None

    async def all(self, kind: type[R], more: str = "", *values: object) -> list[R]:
        """The rows of a class; ``more`` goes behind the SELECT."""
        found: list[Iterable[Any]] = await self.connection.fetch(f"{_SELECTS[kind]} {more}", *values)
        make: Callable[..., R] = kind
        return [make(*(tuple(it) if isinstance(it, list) else it for it in row)) for row in found]

    async def one(self, kind: type[R], condition: str, *values: object) -> R | None:
        """The row that fits, if there is one."""
        return next(iter(await self.all(kind, f"WHERE {condition}", *values)), None)

    async def single(self, kind: type[R]) -> R:
        """The only row of a table that has one from ingest's first start on. Raises ``NotBegun``."""
        row = await self.one(kind, "id = 1")
        if row is None:
            raise NotBegun
        return row


class Page(NamedTuple, Generic[T]):
    """A part of a list; ``following`` is the ``after`` of the next part, None at the end."""

    data: list[T]
    following: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """One GET. ``read`` gives the ``data``, which is an ``item``, or a page of ``item``s where it is ``paged``."""

    path: str
    about: str
    item: type
    read: Callable[[Moment, Query], Awaitable[object]]
    parameters: tuple[Parameter[Any], ...] = ()
    paged: bool = False


class StreamDetails(TypedDict):
    """A stream and all that hangs on it; ``purchase`` is the open one."""

    stream: n.StreamNow
    nfts: Nfts
    listing: n.ListingNow | None
    purchase: n.PurchaseNow | None


class Nfts(TypedDict):
    obligation: n.ObligationNow | None
    recipient: n.NftView | None


class AccessDetails(TypedDict):
    """Who may do what."""

    protocol: v.ProtocolView
    contracts: list[ContractView]
    backends: list[BackendView]


class ContractView(TypedDict):
    contract: str
    authorized: bool


class BackendView(TypedDict):
    backend: str
    authorized: bool


class _Where:
    """Conditions joined by AND; what is None does not narrow."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._conditions: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        """A condition of ours in which each ``?`` stands for one of the values."""
        if None not in values:
            for value in values:
                self.values.append(value)
                condition = condition.replace("?", f"${len(self.values)}", 1)
            self._conditions.append(condition)

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self._conditions)}" if self._conditions else ""


class _Newest(Generic[R]):
    """Rows by ``columns``, the highest first; together these name a row, so that pages neither repeat nor lose one."""

    def __init__(self, kind: type[R], *columns: str) -> None:
        self._kind, self._columns = kind, columns
        self._after = after(columns)
        self.parameters: tuple[Parameter[Any], ...] = (LIMIT, self._after)

    async def page(self, now: Moment, query: Query, where: _Where) -> Page[R]:
        limit = query[LIMIT] or LIMIT_DEFAULT
        places = ", ".join("?" for _ in self._columns)
        where.add(f"({', '.join(self._columns)}) < ({places})", *(query[self._after] or (None,)))
        order = ", ".join(f"{column} DESC" for column in self._columns)
        rows = await now.all(self._kind, f"{where} ORDER BY {order} LIMIT {limit + 1}", *where.values)
        if len(rows) <= limit:
            return Page(rows, None)
        return Page(rows[:limit], ".".join(str(getattr(rows[limit - 1], column)) for column in self._columns))


ID = stream_id("id", in_path=True)
STREAM_ID = stream_id("streamId")
ADDRESS = principal("address")
SELLER = principal("seller")
ROLE = one_of("role", "sender", "recipient", needs="address")
STREAM_STATUS = one_of("status", "active", "completed", "cancelled")
LISTING_STATUS = one_of(
    "status", "active", "pending", "sold", "cancelled", "auto_cancelled", otherwise="active and pending without it"
)
PROPOSAL_STATUS = one_of("status", "pending", "executed")
PROPOSAL_KIND = one_of("kind", "withdrawal", "add-admin", "remove-admin")
FEE_TYPE = one_of("feeType", "general", "cancellation", "marketplace")

STREAMS = _Newest(r.Stream, "stream_id")
LISTINGS = _Newest(r.Listing, "stream_id")
SALES = _Newest(r.Sale, "sale_id")
PROPOSALS = _Newest(r.Proposal, "proposal_id")
FEES = _Newest(r.TreasuryFee, "block", "tx_index", "event_index", "event_id")


async def _stream(now: Moment, query: Query) -> StreamDetails:
    number = query[ID]
    stream = await now.one(r.Stream, "stream_id = $1", number)
    if stream is None:
        raise NotThere(f"there is no stream {number}")
    nfts = {nft.kind: nft for nft in await now.all(r.Nft, "WHERE stream_id = $1", number)}
    obligation, recipient = nfts.get("obligation"), nfts.get("recipient")
    listing = await now.one(r.Listing, "stream_id = $1", number)
    purchase = listing and await now.one(r.Purchase, "event_id = $1", listing.purchase_id)
    return {
        "stream": n.stream_now(stream, now.height),
        "nfts": {
            "obligation": n.obligation_now(obligation, stream) if obligation else None,
            "recipient": n.nft_view(recipient) if recipient else None,
        },
        "listing": n.listing_now(listing, stream, now.height) if listing else None,
        "purchase": n.purchase_now(purchase, now.height) if purchase else None,
    }


async def _streams(now: Moment, query: Query) -> Page[n.StreamNow]:
    where = _Where()
    where.add(f"? IN ({query[ROLE] or 'sender, recipient'})", query[ADDRESS])
    where.add("status = ?", query[STREAM_STATUS])
    rows, following = await STREAMS.page(now, query, where)
    return Page([n.stream_now(row, now.height) for row in rows], following)


async def _market(now: Moment, query: Query) -> v.MarketView:
    return v.market_view(await now.single(r.MarketState))


async def _listings(now: Moment, query: Query) -> Page[n.ListingNow]:
    where, status = _Where(), query[LISTING_STATUS]
    where.add("status = ANY(?)", [status] if status else v.OPEN_LISTING)
    where.add("seller = ?", query[SELLER])
    rows, following = await LISTINGS.page(now, query, where)
    found = await now.all(r.Stream, "WHERE stream_id = ANY($1)", [row.stream_id for row in rows])
    streams = {stream.stream_id: stream for stream in found}
    return Page([n.listing_now(row, streams.get(row.stream_id), now.height) for row in rows], following)


async def _sales(now: Moment, query: Query) -> Page[n.SaleTold]:
    where = _Where()
    where.add("? IN (seller, buyer)", query[ADDRESS])
    where.add("stream_id = ?", query[STREAM_ID])
    rows, following = await SALES.page(now, query, where)
    return Page([n.sale_told(row) for row in rows], following)


async def _treasury(now: Moment, query: Query) -> v.TreasuryView:
    return v.treasury_view(await now.single(r.TreasuryState), await now.all(r.TreasuryAdmin))


async def _proposals(now: Moment, query: Query) -> Page[n.ProposalNow]:
    treasury, where = await now.single(r.TreasuryState), _Where()
    where.add("status = ?", query[PROPOSAL_STATUS])
    where.add("kind = ?", query[PROPOSAL_KIND])
    rows, following = await PROPOSALS.page(now, query, where)
    return Page([n.proposal_now(row, treasury, now.height) for row in rows], following)


async def _fees(now: Moment, query: Query) -> Page[n.FeeTold]:
    where = _Where()
    where.add("kind = ?", query[FEE_TYPE])
    rows, following = await FEES.page(now, query, where)
    return Page([n.fee_told(row) for row in rows], following)


async def _access(now: Moment, query: Query) -> AccessDetails:
    contracts = await now.all(r.AccessContract, "ORDER BY contract")
    backends = await now.all(r.MarketBackend, "ORDER BY backend")
    return {
        "protocol": v.protocol_view(await now.single(r.ProtocolState), await now.all(r.AccessRole)),
        "contracts": [{"contract": it.contract, "authorized": it.authorized} for it in contracts],
        "backends": [{"backend": it.backend, "authorized": it.authorized} for it in backends],
    }


def _one(
    path: str, about: str, item: type[T], read: Callable[[Moment, Query], Awaitable[T]], *parameters: Parameter[Any]
) -> Route:
    return Route(path, about, item, read, parameters)


def _list(
    path: str,
    about: str,
    item: type[T],
    read: Callable[[Moment, Query], Awaitable[Page[T]]],
    order: _Newest[Any],
    *parameters: Parameter[Any],
) -> Route:
    return Route(path, about, item, read, (*parameters, *order.parameters), paged=True)


ROUTES: Final = (
    _list("/api/streams", "Streams, by id", n.StreamNow, _streams, STREAMS, ADDRESS, ROLE, STREAM_STATUS),
    _one("/api/streams/{id}", "One stream and all that hangs on it", StreamDetails, _stream, ID),
    _one("/api/marketplace", "The marketplace's fee and totals", v.MarketView, _market),
    _list("/api/marketplace/listings", "Offers, by stream", n.ListingNow, _listings, LISTINGS, LISTING_STATUS, SELLER),
    _list("/api/marketplace/sales", "Sales, by id", n.SaleTold, _sales, SALES, ADDRESS, STREAM_ID),
    _one("/api/treasury", "The treasury's balance, fee and admins", v.TreasuryView, _treasury),
    _list(
        "/api/treasury/proposals",
        "Proposals of the treasury's admins, by id",
        n.ProposalNow,
        _proposals,
        PROPOSALS,
        PROPOSAL_STATUS,
        PROPOSAL_KIND,
    ),
    _list("/api/treasury/fees", "Collected fees, by place on the chain", n.FeeTold, _fees, FEES, FEE_TYPE),
    _one("/api/access-control", "Whether all is paused, and who may do what", AccessDetails, _access),
)
