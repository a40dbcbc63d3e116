"""A listing's status, which no print tells: it follows from the listing, its stream, its NFT and its open purchase.

It is looked at once at the end of each transaction: a direct sale moves the NFT before it prints the sale, and nobody
shall hear of an offer withdrawn in between.
"""

from __future__ import annotations

from dataclasses import replace

from shared.domain.chain import Place
from shared.domain.rows import Listing, ListingReason, ListingStatus, Nft, Stream
from shared.domain.views import OPEN_LISTING
from shared.domain.workset import Rows


def listing_status(
    listing: Listing, stream: Stream | None, obligation: Nft | None
) -> tuple[ListingStatus, ListingReason | None]:
    """Status and reason of a listing. Pure; the first that fits decides."""
    if listing.sale_id is not None:
        return "sold", None
    if not listing.on_chain_active:
        return "cancelled", "seller"
    if stream is not None and stream.status != "active":
        return "auto_cancelled", "stream_cancelled" if stream.status == "cancelled" else "stream_completed"
    if obligation is not None and obligation.status == "burned":
        return "auto_cancelled", "nft_burned"
    owner = obligation.owner if obligation else None
    if owner and listing.seller and owner != listing.seller:
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
