"""What a rollback says: each reverted event to the rooms that heard it, then the state that is true without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shared.domain.catalogue.treasury import balance_change
from shared.domain.chain import Place
from shared.domain.derived import corrected
from shared.domain.entry import Emission
from shared.domain.event import Event
from shared.domain.rooms import GLOBAL, stream_room
from shared.domain.rooms import TREASURY as TREASURY_ROOM
from shared.domain.rows import (
    ACCESS,
    MARKET,
    TREASURY,
    AccessRole,
    Listing,
    MarketState,
    Proposal,
    ProtocolState,
    Stream,
    TreasuryAdmin,
    TreasuryState,
    id_of,
    stream_aggregate,
)
from shared.domain.schema import PauseView, Reverted, StateView, StreamGone
from shared.domain.views import (
    StreamView,
    listing_view,
    market_view,
    proposal_view,
    protocol_view,
    stream_view,
    text,
    treasury_view,
)
from shared.domain.workset import View


class Told(NamedTuple):
    """One emission of an event as it was spoken when the event was applied."""

    room: str
    name: str
    role: str | None


def reverted(event: Event, place: Place, told: Sequence[Told], after: View) -> Iterator[Emission]:
    """``chain:reverted`` once to every room that heard of the event, in the order and role of then.

    ``after`` are the rows after the whole rollback: ``state`` lets a client replace what the event had made of it.
    """
    state: StateView = {}
    for aggregate in sorted(event.aggregates):
        state |= _state(aggregate, after)
    data: Reverted = {
        "event": event.name,
        "contract": place.contract,
        "names": [],
        "streamId": _id(event, "stream:"),
        "proposalId": _id(event, "proposal:"),
        "state": state,
    }
    for room in dict.fromkeys(it.room for it in told):
        heard = [it for it in told if it.room == room]
        names = [it.name for it in heard]
        yield Emission(room, "chain:reverted", "reverted", {**data, "names": names}, heard[0].role)


def compensation(aggregates: Iterable[str], before: View, after: View) -> Iterator[tuple[str, Emission]]:
    """State-shaped emissions for what the rollback changed, each with the aggregate it speaks of.

    They carry names that every client knows, so that one which ignores ``chain:reverted`` converges all the same.
    """
    names = frozenset(aggregates)
    for stream_id in sorted(id_of(name) for name in names if name.startswith("stream:")):
        name = stream_aggregate(stream_id)
        view = _stream(after, stream_id)
        if view != _stream(before, stream_id):
            gone: StreamGone = {"streamId": text(stream_id), "status": "reverted"}
            yield name, Emission(stream_room(stream_id), "stream:updated", "reverted", view or gone)
        for emission in corrected(stream_id, before, after):
            yield name, emission
    if TREASURY in names:
        change = balance_change(before.one(TreasuryState), after.one(TreasuryState), "reorg")
        if change:
            yield TREASURY, Emission(TREASURY_ROOM, "treasury:balance-updated", "reverted", change)
    if ACCESS in names:
        pause: PauseView = {"paused": after.one(ProtocolState).paused}
        if pause["paused"] != before.one(ProtocolState).paused:
            yield ACCESS, Emission(GLOBAL, "access-control:protocol", "reverted", pause)


def _state(aggregate: str, now: View) -> StateView:
    """The views of one aggregate; null for what does not exist (any more)."""
    if aggregate == MARKET:
        return {"market": market_view(now.one(MarketState))}
    if aggregate == TREASURY:
        return {"treasury": treasury_view(now.one(TreasuryState), now.all(TreasuryAdmin))}
    if aggregate == ACCESS:
        return {"protocol": protocol_view(now.one(ProtocolState), now.all(AccessRole))}
    if aggregate.startswith("proposal:"):
        proposal = now.get(Proposal, id_of(aggregate))
        return {"proposal": proposal_view(proposal, now.one(TreasuryState)) if proposal else None}
    stream_id = id_of(aggregate)
    listing = now.get(Listing, stream_id)
    return {"stream": _stream(now, stream_id), "listing": listing_view(listing) if listing else None}


def _id(event: Event, kind: str) -> str | None:
    return next((text(id_of(name)) for name in event.aggregates if name.startswith(kind)), None)


def _stream(rows: View, stream_id: int) -> StreamView | None:
    stream = rows.get(Stream, stream_id)
    return stream_view(stream) if stream else None
