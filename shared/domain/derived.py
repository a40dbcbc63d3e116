"""What follows from events without being printed: said at the end of a transaction, or after a rollback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shared.domain.catalogue.core import stream_link
from shared.domain.entry import Emission
from shared.domain.listing import is_open
from shared.domain.notice import Notice
from shared.domain.rooms import MARKETPLACE, stream_room, user_room
from shared.domain.rows import Listing, Purchase, Stream
from shared.domain.views import OPEN_LISTING, listing_view, stream_view, text
from shared.domain.workset import View

AUTO_CANCELLED = "listing-auto-cancelled"
_HIDES = ("marketplace:listing-cancelled", "marketplace:sale")


def derived(stream_id: int, before: View, after: View, said: Sequence[Emission]) -> Iterator[Emission]:
    """What a transaction did to a stream or its listing, beyond what its own emissions, ``said``, tell."""
    yield from _stream(stream_id, before, after, said)
    yield from _listing(stream_id, before, after, said)


def _stream(stream_id: int, before: View, after: View, said: Sequence[Emission]) -> Iterator[Emission]:
    """A sale moves the payer, which the core contract prints: said here, where that print could not be read."""
    room, stream, known = stream_room(stream_id), after.get(Stream, stream_id), before.get(Stream, stream_id)
    if stream is None or any(it.room == room and it.name == "stream:updated" for it in said):
        return
    if known is None or stream_view(known) != stream_view(stream):
        yield Emission(room, "stream:updated", "sender-updated", stream_view(stream))


def _listing(stream_id: int, before: View, after: View, said: Sequence[Emission]) -> Iterator[Emission]:
    """An offer that ended without a print, or came back."""
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
        yield from _both("marketplace:listing-cancelled", AUTO_CANCELLED, view, seller=listing.seller, buyer=buyer)
    elif not shown and is_open(listing):
        view = listing_view(listing, "ownership_restored")
        yield from _both("marketplace:new-listing", "listing-restored", view, seller=listing.seller)


_REASONS = {
    "stream_cancelled": "the stream was cancelled",
    "stream_completed": "the stream is completed",
    "nft_burned": "the NFT was burned",
    "nft_transferred": "the NFT has another owner",
}


def derived_notices(stream_id: int, said: Iterable[Emission]) -> Iterator[Notice]:
    """Who hears that an offer ended without a print, of what ``derived`` said."""
    for emission in said:
        if emission.type == AUTO_CANCELLED and emission.role:
            reason = str(emission.data["reason"])
            whose = "you offered" if emission.role == "seller" else "was reserved for you"
            message = f"The obligation NFT of stream {stream_id}, which {whose}, is off the market: {_REASONS[reason]}."
            address = emission.room.removeprefix(user_room(""))
            data = {"streamId": text(stream_id), "reason": reason}
            link = stream_link(stream_id)
            yield Notice(address, "listing_cancelled", "high", "Listing cancelled", message, data, link)


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
    told: set[str] = set()
    for role, address in parties.items():
        if address is not None and address not in told:
            told.add(address)
            yield Emission(user_room(address), name, type, view, role)
