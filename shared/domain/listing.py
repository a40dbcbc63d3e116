"""A listing's status, which no print tells: it follows from the listing, its stream, its NFT and its open purchase.

It is looked at once at the end of each transaction: a direct sale moves the NFT before it prints the sale, and nobody
shall hear of an offer withdrawn in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from shared.domain.chain import Place
from shared.domain.entry import Emission
from shared.domain.rooms import MARKETPLACE, user_room
from shared.domain.rows import Listing, Nft, Purchase, Stream
from shared.domain.views import OPEN_LISTING, listing_view
from shared.domain.workset import Rows, View

_SHOWS = ("marketplace:new-listing", "marketplace:listing-updated")
_HIDES = ("marketplace:listing-cancelled", "marketplace:sale")


def listing_status(listing: Listing, stream: Stream | None, obligation: Nft | None) -> tuple[str, str | None]:
    """Status and reason of a listing. Pure; the first that fits decides."""
    if listing.sale_id is not None:
        return "sold", None
    if not listing.on_chain_active:
        return "cancelled", "seller"
    if stream is not None and stream.status in ("cancelled", "completed"):
        return "auto_cancelled", f"stream_{stream.status}"
    if obligation is not None and obligation.status == "burned":
        return "auto_cancelled", "nft_burned"
    if obligation is not None and obligation.owner not in (None, listing.seller):
        return "auto_cancelled", "nft_transferred"
    return ("pending" if listing.purchase_id else "active"), None


def settle(rows: Rows, stream_id: int, place: Place) -> None:
    """Write the listing's status at the end of a transaction; ``place`` is its last event of that stream."""
    if listing := rows.get(Listing, stream_id):
        obligation = rows.get(Nft, ("obligation", stream_id))
        status, reason = listing_status(listing, rows.get(Stream, stream_id), obligation)
        if (status, reason) != (listing.status, listing.reason):
            rows.put(replace(listing, status=status, reason=reason), place)


def is_open(listing: Listing | None) -> bool:
    """Whether a marketplace shows it."""
    return listing is not None and listing.status in OPEN_LISTING


def derived(stream_id: int, before: View, after: View, said: Iterable[Emission]) -> Iterator[Emission]:
    """What a transaction did to a listing without a print of its own: ended the offer, or brought it back.

    ``said`` are the transaction's own emissions: who was told by them is not told again.
    """
    listing = after.get(Listing, stream_id)
    if listing is None:
        return
    shown = is_open(before.get(Listing, stream_id))
    for emission in said:
        if emission.room == MARKETPLACE and emission.data["streamId"] == str(stream_id):
            if emission.name == "marketplace:new-listing":
                shown = emission.data["status"] in OPEN_LISTING
            elif emission.name in _HIDES:
                shown = False
    if shown and listing.status == "auto_cancelled":
        view = listing_view(listing)
        purchase = after.get(Purchase, listing.purchase_id)
        buyer = purchase.buyer if purchase else None
        yield from _both(
            "marketplace:listing-cancelled", "listing-auto-cancelled", view, seller=listing.seller, buyer=buyer
        )
    elif not shown and is_open(listing):
        view = listing_view(listing, "ownership_restored")
        yield from _both("marketplace:new-listing", "listing-restored", view, seller=listing.seller)


def corrected(stream_id: int, before: View, after: View) -> Iterator[Emission]:
    """What a rollback did to a listing, in the state-shaped words that every client knows."""
    was, now = before.get(Listing, stream_id), after.get(Listing, stream_id)
    listing = now or was
    if listing is None:
        return
    view = listing_view(listing, "reorg")
    if now is None:
        view["status"] = "reverted"
    if is_open(was) and not is_open(now):
        name = "marketplace:listing-cancelled"
    elif is_open(now) and not is_open(was):
        name = "marketplace:new-listing"
    elif was and now and is_open(now) and listing_view(was) != listing_view(now):
        name = "marketplace:listing-updated"
    else:
        return
    yield from _both(name, "reverted", view, seller=listing.seller)


def _both(name: str, type: str, view: object, **parties: str | None) -> Iterator[Emission]:
    assert isinstance(view, dict)
    yield Emission(MARKETPLACE, name, type, view)
    for role, address in parties.items():
        if address is not None:
            yield Emission(user_room(address), name, type, view, role)
