"""Calls of the marketplace, which sells the obligation NFT of a stream. Pure.

Sales succeed here. On v5 a direct one never can, for the NFT's transfer demands the seller's signature, and a gateway
one only when the backend is the seller; a repaired contract prints the same.
"""

from __future__ import annotations

from deploy.local.actions.nfts import obligation_transferred
from deploy.local.actions.signed import Outcome, Said, Signed, number, printed
from deploy.local.actions.streams import sender_updated
from deploy.local.chainhook import Event, FtTransfer
from deploy.local.world import EXPIRY, Cast, Listing, Purchase, Stream, World
from shared.domain.clarity import Ascii

HIGHEST_FEE_BPS = 1000


class ListNft(Signed, frozen=True):
    """Once for each stream: a listing that was sold or cancelled stays in the contract's map."""

    stream_id: int
    price: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "list-nft", (self.stream_id, self.price)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        stream = world.streams.get(self.stream_id)
        if stream is None or stream.listing or stream.obligation != self.sender or self.price <= 0:
            return None
        told = printed(
            cast.contracts.marketplace,
            "market-nft-listed",
            stream_id=self.stream_id,
            seller=self.sender,
            price=self.price,
            listed_at=height,
        )
        listed = world.with_stream(self.stream_id, stream.but(listing=Listing(self.sender, self.price)))
        return Outcome(listed, (told,))


class UpdateListingPrice(Signed, frozen=True):
    """Also while somebody is paying: the sale settles at the new price."""

    stream_id: int
    price: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "update-listing-price", (self.stream_id, self.price)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        found = offered(world, self.stream_id)
        if found is None or found[1].seller != self.sender or self.price <= 0:
            return None
        stream, listing = found
        told = printed(
            cast.contracts.marketplace,
            "market-listing-price-updated",
            stream_id=self.stream_id,
            seller=self.sender,
            old_price=listing.price,
            new_price=self.price,
        )
        return Outcome(relisted(world, self.stream_id, stream, listing.but(price=self.price)), (told,))


class CancelListing(Signed, frozen=True):
    stream_id: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "cancel-listing", (self.stream_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        found = offered(world, self.stream_id)
        if found is None or found[1].seller != self.sender or found[1].purchase:
            return None
        stream, listing = found
        told = printed(
            cast.contracts.marketplace, "market-listing-cancelled", stream_id=self.stream_id, seller=self.sender
        )
        return Outcome(relisted(world, self.stream_id, stream, listing.but(is_active=False)), (told,))


class BuyNft(Signed, frozen=True):
    """A wallet pays the seller and the marketplace's fee, and takes NFT and stream in the same transaction."""

    stream_id: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "buy-nft", (self.stream_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        found = offered(world, self.stream_id)
        if found is None or found[1].purchase:
            return None
        stream, listing = found
        handed = _handed_over(world, self.stream_id, stream, listing, self.sender, self.sender, cast)
        fee = listing.price * world.market.fee_bps // 10_000
        if handed is None or (fee and world.access.is_paused):
            return None
        treasury = world.treasury.but(balance=world.treasury.balance + fee)
        events: list[Event] = []
        if listing.price > fee:
            events.append(FtTransfer(listing.price - fee, self.sender, listing.seller))
        if fee:
            collected = printed(
                cast.contracts.treasury,
                "treasury-marketplace-fee-collected",
                amount=fee,
                caller=cast.contracts.marketplace,
                new_balance=treasury.balance,
            )
            events += FtTransfer(fee, self.sender, cast.contracts.treasury), collected
        sold, moved = handed
        told = printed(
            cast.contracts.marketplace,
            "market-direct-purchase-completed",
            stream_id=self.stream_id,
            buyer=self.sender,
            seller=listing.seller,
            price=listing.price,
            sale_id=sold.market.sales,
        )
        return Outcome(sold.but(treasury=treasury), (*events, *moved, told), number(sold.market.sales))


class InitiatePurchase(Signed, frozen=True):
    """A checkout elsewhere begins: the listing is reserved for who signs this."""

    stream_id: int
    payment_id: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "initiate-purchase", (self.stream_id, Ascii(self.payment_id))

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        found = offered(world, self.stream_id)
        if found is None or found[1].purchase or found[1].seller == self.sender:
            return None
        stream, listing = found
        purchase = Purchase(self.sender, self.payment_id, height + EXPIRY)
        told = printed(
            cast.contracts.marketplace,
            "market-purchase-initiated",
            stream_id=self.stream_id,
            buyer=self.sender,
            payment_id=Ascii(self.payment_id),
            expires_at=purchase.expires_at,
        )
        return Outcome(relisted(world, self.stream_id, stream, listing.but(purchase=purchase)), (told,))


class CompletePurchase(Signed, frozen=True):
    """An authorized backend saw the money: NFT and stream go to the buyer, no sBTC moves, no fee is taken."""

    stream_id: int
    payment_id: str

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "complete-purchase", (self.stream_id, Ascii(self.payment_id))

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        found = offered(world, self.stream_id)
        if found is None or self.sender not in world.market.backends:
            return None
        stream, listing = found
        purchase = listing.purchase
        if purchase is None or purchase.payment_id != self.payment_id or height > purchase.expires_at:
            return None
        handed = _handed_over(world, self.stream_id, stream, listing, purchase.buyer, self.sender, cast)
        if handed is None:
            return None
        sold, moved = handed
        told = printed(
            cast.contracts.marketplace,
            "market-gateway-purchase-completed",
            stream_id=self.stream_id,
            buyer=purchase.buyer,
            seller=listing.seller,
            price=listing.price,
            payment_id=Ascii(purchase.payment_id),
            sale_id=sold.market.sales,
        )
        return Outcome(sold, (*moved, told), number(sold.market.sales))


class CancelExpiredPurchase(Signed, frozen=True):
    """Anyone may clear a reservation that ran out."""

    stream_id: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "cancel-expired-purchase", (self.stream_id,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        found = offered(world, self.stream_id)
        if found is None or found[1].purchase is None or height <= found[1].purchase.expires_at:
            return None
        stream, listing = found
        told = printed(
            cast.contracts.marketplace,
            "market-purchase-expired",
            stream_id=self.stream_id,
            buyer=found[1].purchase.buyer,
        )
        return Outcome(relisted(world, self.stream_id, stream, listing.but(purchase=None)), (told,))


class SetBackend(Signed, frozen=True):
    """Printed even where nothing changes."""

    backend: str
    is_authorized: bool

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        verb = "add" if self.is_authorized else "remove"
        return cast.contracts.marketplace, f"{verb}-authorized-backend", (self.backend,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if self.sender != cast.deployer:
            return None
        others = tuple(backend for backend in world.market.backends if backend != self.backend)
        backends = (*others, self.backend) if self.is_authorized else others
        event = f"market-backend-{'authorized' if self.is_authorized else 'deauthorized'}"
        told = printed(cast.contracts.marketplace, event, backend=self.backend)
        return Outcome(world.but(market=world.market.but(backends=backends)), (told,))


class SetMarketplaceFee(Signed, frozen=True):
    fee_bps: int

    def called(self, cast: Cast) -> tuple[str, str, tuple[Said, ...]]:
        return cast.contracts.marketplace, "set-marketplace-fee", (self.fee_bps,)

    def perform(self, world: World, height: int, cast: Cast) -> Outcome | None:
        if self.sender != cast.deployer or self.fee_bps > HIGHEST_FEE_BPS:
            return None
        market = world.market.but(fee_bps=self.fee_bps)
        told = printed(  # the contract reads the old fee after the write
            cast.contracts.marketplace, "market-marketplace-fee-updated", old_fee=market.fee_bps, new_fee=self.fee_bps
        )
        return Outcome(world.but(market=market), (told,))


def offered(world: World, stream_id: int) -> tuple[Stream, Listing] | None:
    """A stream with its listing, where that is active."""
    stream = world.streams.get(stream_id)
    return (stream, stream.listing) if stream and stream.listing and stream.listing.is_active else None


def can_settle(world: World, stream: Stream, cast: Cast) -> bool:
    """Whether a sale of this listed stream would go through: the seller still has what is sold."""
    held = stream.listing is not None and stream.obligation == stream.listing.seller
    return held and not stream.is_cancelled and cast.contracts.marketplace in world.access.contracts


def relisted(world: World, stream_id: int, stream: Stream, listing: Listing) -> World:
    return world.with_stream(stream_id, stream.but(listing=listing))


def _handed_over(
    world: World, stream_id: int, stream: Stream, listing: Listing, buyer: str, signer: str, cast: Cast
) -> tuple[World, tuple[Event, ...]] | None:
    """The sale itself: NFT and stream go to the buyer, the listing is over; None where that cannot be."""
    if buyer == listing.seller or not can_settle(world, stream, cast):
        return None
    sold = stream.but(sender=buyer, obligation=buyer, listing=listing.but(is_active=False, purchase=None))
    events = (
        *obligation_transferred(stream_id, listing.seller, buyer, cast),
        sender_updated(stream_id, stream, buyer, signer, cast),
    )
    market = world.market.but(sales=world.market.sales + 1)
    return world.with_stream(stream_id, sold).but(market=market), events
