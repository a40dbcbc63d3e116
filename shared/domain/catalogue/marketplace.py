"""What the marketplace prints: obligation NFTs offered, reserved, sold; who may settle; its fee."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from shared.domain.catalogue.pairs import Sold, SoldDirectly, fee_of_sale
from shared.domain.entry import Emission
from shared.domain.event import Event, Id, Party, Uint, ascii_text
from shared.domain.notice import Link, Notice, sbtc, short
from shared.domain.rooms import ACCESS_CONTROL, MARKETPLACE
from shared.domain.rows import (
    MARKET,
    ConfigChange,
    Listing,
    MarketBackend,
    MarketState,
    Nft,
    PriceChange,
    Purchase,
    Sale,
    SaleKind,
    Stream,
    stream_aggregate,
)
from shared.domain.schema import BackendChanged, ListingRepriced, MarketFeeUpdated, PrivateSale
from shared.domain.schema import PurchaseExpired as PurchaseExpiredData
from shared.domain.schema import PurchaseInitiated as PurchaseInitiatedData
from shared.domain.views import listing_view, maybe, sale_view, text
from shared.domain.workset import Step

PaymentId = Annotated[str, ascii_text(64)]
BPS = 10_000
MARKET_LINK = Link("/dashboard/marketplace", "View marketplace")


@dataclass(frozen=True, slots=True)
class _OfListing(Event):
    """Any print about one listing: it is the stream's, and the status is looked at when the transaction ends."""

    role: ClassVar[str] = "marketplace"

    stream_id: Id

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({stream_aggregate(self.stream_id)})

    @property
    def link(self) -> Link:
        return MARKET_LINK

    @property
    def what(self) -> str:
        """What is offered, in words."""
        return f"the obligation NFT of stream {self.stream_id}"

    def listing(self, at: Step) -> Listing:
        return at.get(Listing, self.stream_id) or Listing(self.stream_id)

    def settled(self, at: Step) -> Listing:
        """The listing as it was right after this event, with the status that its transaction left it in."""
        listing = self.listing(at)
        end = at.end.get(Listing, self.stream_id) or listing
        return replace(listing, status=end.status, reason=end.reason)

    def purchase(self, listing: Listing, at: Step) -> Purchase | None:
        return at.get(Purchase, listing.purchase_id)

    def repriced(self, at: Step, old: int | None, new: int, seller: str) -> PriceChange:
        return PriceChange(
            at.place.event_id, self.stream_id, old, new, changed_by=seller, block=at.height, tx_hash=at.place.tx_hash
        )


@dataclass(frozen=True, slots=True)
class NftListed(_OfListing):
    name: ClassVar[str] = "market-nft-listed"

    seller: Party
    price: Uint
    listed_at: Uint

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({stream_aggregate(self.stream_id), MARKET})

    def fold(self, at: Step) -> None:
        listing = replace(
            self.listing(at),
            seller=self.seller,
            price=self.price,
            listed_at_block=self.listed_at,
            on_chain_active=True,
            sale_id=None,
            complete=True,
        )
        at.put(listing)
        at.put(self.repriced(at, None, self.price, self.seller))
        market = at.one(MarketState)
        at.put(replace(market, total_listings=market.total_listings + 1))

    def emissions(self, at: Step) -> Iterator[Emission]:
        view = listing_view(self.settled(at))
        yield self.say(MARKETPLACE, "marketplace:new-listing", view)
        yield from self.tell("marketplace:new-listing", view, seller=self.seller)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "price": text(self.price)}
        offered = f"You offer {self.what} for {sbtc(self.price)}."
        yield from self.notify("nft_listed", "normal", "Listed for sale", offered, data, self.seller)


@dataclass(frozen=True, slots=True)
class ListingPriceUpdated(_OfListing):
    name: ClassVar[str] = "market-listing-price-updated"

    seller: Party
    old_price: Uint
    new_price: Uint

    def fold(self, at: Step) -> None:
        listing = self.listing(at)
        at.put(replace(listing, seller=listing.seller or self.seller, price=self.new_price))
        at.put(self.repriced(at, self.old_price, self.new_price, self.seller))

    def emissions(self, at: Step) -> Iterator[Emission]:
        listing = self.settled(at)
        purchase = self.purchase(listing, at)
        data: ListingRepriced = {
            **listing_view(listing),
            "oldPrice": text(self.old_price),
            "newPrice": text(self.new_price),
        }
        yield self.say(MARKETPLACE, "marketplace:listing-updated", data)
        buyer = purchase.buyer if purchase else None
        yield from self.tell("marketplace:listing-updated", data, seller=self.seller, buyer=buyer)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "oldPrice": text(self.old_price), "newPrice": text(self.new_price)}
        purchase = self.purchase(self.listing(at), at)
        prices = f"from {sbtc(self.old_price)} to {sbtc(self.new_price)}"
        mine = f"You changed the price of {self.what} {prices}."
        yours = f"The price of {self.what}, which is reserved for you, went {prices}."
        buyer = purchase.buyer if purchase else None
        yield from self.notify("listing_updated", "low", "Price changed", mine, data, self.seller)
        yield from self.notify("listing_updated", "high", "Price changed", yours, data, buyer)


@dataclass(frozen=True, slots=True)
class ListingCancelled(_OfListing):
    name: ClassVar[str] = "market-listing-cancelled"

    seller: Party

    def fold(self, at: Step) -> None:
        listing = self.listing(at)
        at.put(replace(listing, seller=listing.seller or self.seller, on_chain_active=False))

    def emissions(self, at: Step) -> Iterator[Emission]:
        view = listing_view(self.settled(at))
        yield self.say(MARKETPLACE, "marketplace:listing-cancelled", view)
        yield from self.tell("marketplace:listing-cancelled", view, seller=self.seller)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "reason": "seller"}
        withdrawn = f"You offer {self.what} no longer."
        yield from self.notify("listing_cancelled", "low", "Listing cancelled", withdrawn, data, self.seller)


@dataclass(frozen=True, slots=True)
class _Sale(_OfListing, Sold):
    """A sale of either kind: the listing is sold, and the buyer pays the stream from now on."""

    kind: ClassVar[SaleKind]

    buyer: Party
    seller: Party
    price: Uint

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({stream_aggregate(self.stream_id), MARKET})

    @abstractmethod
    def fee(self, at: Step) -> int | None:
        """What the treasury got of it, where that is known."""

    @property
    def payment(self) -> str | None:
        """The gateway's name for it."""
        return None

    def sale(self, at: Step) -> Sale:
        fee = self.fee(at)
        return Sale(
            sale_id=self.sale_id,
            stream_id=self.stream_id,
            seller=self.seller,
            buyer=self.buyer,
            price=self.price,
            marketplace_fee=fee,
            seller_proceeds=None if fee is None else self.price - fee,
            kind=self.kind,
            payment_id=self.payment,
            sold_at_block=at.height,
            sold_at=at.place.block.time,
            block_hash=at.place.block.hash,
            tx_hash=at.place.tx_hash,
        )

    def fold(self, at: Step) -> None:
        listing = self.listing(at)
        if purchase := self.purchase(listing, at):
            at.put(replace(purchase, status="completed", closed_block=at.height, closed_tx=at.place.tx_hash))
        sold = replace(
            listing,
            seller=listing.seller or self.seller,
            price=self.price if listing.price is None else listing.price,
            on_chain_active=False,
            sale_id=self.sale_id,
            purchase_id=None,
        )
        at.put(sold)
        # the transaction's own prints have done these two already, where all of it was told
        stream = at.get(Stream, self.stream_id) or Stream(self.stream_id)
        if stream.sender != self.buyer:
            at.put(replace(stream, sender=self.buyer))
        nft = at.get(Nft, ("obligation", self.stream_id)) or Nft("obligation", self.stream_id, self.stream_id)
        if nft.owner != self.buyer:
            at.put(replace(nft, owner=self.buyer))
        at.put(self.sale(at))
        market = at.one(MarketState)
        volume = market.total_volume + self.price
        at.put(replace(market, total_sales=market.total_sales + 1, total_volume=volume))

    def emissions(self, at: Step) -> Iterator[Emission]:
        data = sale_view(self.sale(at))
        private: PrivateSale = {**data, "paymentId": self.payment}
        yield self.say(MARKETPLACE, "marketplace:sale", data, type="sale-completed")
        yield from self.tell("marketplace:sale", private, type="purchase-completed", buyer=self.buyer)
        yield from self.tell("marketplace:sale", private, type="sale-completed", seller=self.seller)

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "saleId": text(self.sale_id), "price": text(self.price)}
        bought = f"You bought {self.what} from {short(self.seller)} for {sbtc(self.price)}."
        sold = f"{short(self.buyer)} bought {self.what} from you for {sbtc(self.price)}."
        yield from self.notify("purchase_completed", "high", "Purchase completed", bought, data, self.buyer)
        yield from self.notify("sale_completed", "high", "Sold", sold, data, self.seller)


@dataclass(frozen=True, slots=True)
class DirectPurchaseCompleted(_Sale, SoldDirectly):
    name: ClassVar[str] = "market-direct-purchase-completed"
    kind: ClassVar[SaleKind] = "direct"

    sale_id: Id

    def fee(self, at: Step) -> int | None:
        paid = fee_of_sale(at)
        if paid is None:  # its print was not told: what the market asked for at this place of the chain
            paid = self.price * at.prior.one(MarketState).fee_bps // BPS
        return paid


@dataclass(frozen=True, slots=True)
class GatewayPurchaseCompleted(_Sale):
    name: ClassVar[str] = "market-gateway-purchase-completed"
    kind: ClassVar[SaleKind] = "gateway"

    payment_id: PaymentId
    sale_id: Id

    def fee(self, at: Step) -> int | None:
        return None  # no sBTC moved

    @property
    def payment(self) -> str | None:
        return self.payment_id


@dataclass(frozen=True, slots=True)
class PurchaseInitiated(_OfListing):
    name: ClassVar[str] = "market-purchase-initiated"

    buyer: Party
    payment_id: PaymentId
    expires_at: Uint

    def fold(self, at: Step) -> None:
        listing = self.listing(at)
        if open_one := self.purchase(listing, at):  # its end was not told: a listing has one open purchase at most
            at.put(replace(open_one, status="expired", closed_block=at.height, closed_tx=at.place.tx_hash))
        purchase = Purchase(
            event_id=at.place.event_id,
            stream_id=self.stream_id,
            buyer=self.buyer,
            seller=listing.seller,
            price=listing.price,
            payment_id=self.payment_id,
            initiated_at_block=at.height,
            expires_at_block=self.expires_at,
        )
        at.put(purchase)
        at.put(replace(listing, purchase_id=purchase.event_id))

    def emissions(self, at: Step) -> Iterator[Emission]:
        listing = self.settled(at)
        data: PurchaseInitiatedData = {
            "streamId": text(self.stream_id),
            "seller": listing.seller,
            "buyer": self.buyer,
            "price": maybe(listing.price),
            "paymentId": self.payment_id,
            "initiatedAt": text(at.height),
            "expiresAt": text(self.expires_at),
        }
        yield from self.tell("marketplace:purchase-initiated", data, buyer=self.buyer, seller=listing.seller)
        yield self.say(MARKETPLACE, "marketplace:listing-updated", listing_view(listing))

    def notices(self, at: Step) -> Iterator[Notice]:
        listing = self.listing(at)
        data = {
            "streamId": text(self.stream_id),
            "buyer": self.buyer,
            "price": maybe(listing.price),
            "expiresAt": text(self.expires_at),
        }
        cost = "" if listing.price is None else f" for {sbtc(listing.price)}"
        until = f"until block {self.expires_at}"
        pay = f"{_capital(self.what)} is reserved for you {until}: complete the payment{cost}."
        wait = f"{short(self.buyer)} reserved {self.what}{cost} {until}."
        yield from self.notify("purchase_initiated", "urgent", "Complete your purchase", pay, data, self.buyer)
        yield from self.notify("purchase_initiated", "normal", "Purchase begun", wait, data, listing.seller)


@dataclass(frozen=True, slots=True)
class PurchaseExpired(_OfListing):
    name: ClassVar[str] = "market-purchase-expired"

    buyer: Party

    def fold(self, at: Step) -> None:
        listing = self.listing(at)
        if purchase := self.purchase(listing, at):
            at.put(replace(purchase, status="expired", closed_block=at.height, closed_tx=at.place.tx_hash))
        at.put(replace(listing, purchase_id=None))

    def emissions(self, at: Step) -> Iterator[Emission]:
        listing = self.settled(at)
        before = at.prior.get(Listing, self.stream_id)
        purchase = at.get(Purchase, before.purchase_id) if before else None
        data: PurchaseExpiredData = {
            "streamId": text(self.stream_id),
            "seller": listing.seller,
            "buyer": self.buyer,
            "price": maybe(listing.price),
            "paymentId": purchase.payment_id if purchase else None,
            "expiresAt": text(purchase.expires_at_block) if purchase else None,
        }
        yield from self.tell("marketplace:purchase-expired", data, buyer=self.buyer, seller=listing.seller)
        yield self.say(MARKETPLACE, "marketplace:listing-updated", listing_view(listing))

    def notices(self, at: Step) -> Iterator[Notice]:
        data = {"streamId": text(self.stream_id), "buyer": self.buyer}
        mine = f"{_capital(self.what)} is no longer reserved for you: it was not paid in time."
        theirs = f"{short(self.buyer)} did not pay for {self.what} in time."
        yield from self.notify("purchase_expired", "normal", "Purchase expired", mine, data, self.buyer)
        yield from self.notify("purchase_expired", "low", "Purchase expired", theirs, data, self.listing(at).seller)


@dataclass(frozen=True, slots=True)
class _OfMarket(Event):
    """Any print about the market as a whole. Its author is not printed: it is who sent the transaction."""

    role: ClassVar[str] = "marketplace"

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({MARKET})


@dataclass(frozen=True, slots=True)
class _Backend(_OfMarket):
    authorized: ClassVar[bool]

    backend: Party

    def fold(self, at: Step) -> None:
        at.put(MarketBackend(self.backend, self.authorized, changed_by=at.place.tx_sender))

    def emissions(self, at: Step) -> Iterator[Emission]:
        data: BackendChanged = {"backend": self.backend, "authorized": self.authorized, "by": at.place.tx_sender}
        yield self.say(ACCESS_CONTROL, "access-control:backend", data)


@dataclass(frozen=True, slots=True)
class BackendAuthorized(_Backend):
    name: ClassVar[str] = "market-backend-authorized"
    authorized: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class BackendDeauthorized(_Backend):
    name: ClassVar[str] = "market-backend-deauthorized"
    authorized: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class MarketplaceFeeUpdated(_OfMarket):
    name: ClassVar[str] = "market-marketplace-fee-updated"

    old_fee: Uint  # read after the write: always the new one
    new_fee: Uint

    def fold(self, at: Step) -> None:
        market = at.one(MarketState)
        at.put(replace(market, fee_bps=self.new_fee))
        change = ConfigChange(
            at.place.event_id, MARKET, market.fee_bps, self.new_fee, changed_by=at.place.tx_sender, block=at.height
        )
        at.put(change)

    def emissions(self, at: Step) -> Iterator[Emission]:
        data: MarketFeeUpdated = {
            "oldFeeBps": text(at.prior.one(MarketState).fee_bps),
            "newFeeBps": text(self.new_fee),
            "updatedBy": at.place.tx_sender,
        }
        yield self.say(MARKETPLACE, "marketplace:config-updated", data, type="fee-updated")


def _capital(words: str) -> str:
    """As they begin a sentence."""
    return words[0].upper() + words[1:]
