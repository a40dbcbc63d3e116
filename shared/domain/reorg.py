"""What a rollback says: each reverted event to the rooms that heard it, then the state that is true without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shared.domain.chain import Place
from shared.domain.clarity import Json
from shared.domain.entry import Emission
from shared.domain.event import Event
from shared.domain.rooms import stream_room
from shared.domain.rows import Rows, Stream
from shared.domain.views import stream_view, text

_STREAM = "stream:"


class Told(NamedTuple):
    """One emission of an event as it was spoken when the event was applied."""

    room: str
    name: str
    role: str | None


def reverted(event: Event, name: str, place: Place, told: Sequence[Told], rows: Rows) -> Iterator[Emission]:
    """``chain:reverted`` once to every room that heard of the event, in the order and role of then.

    ``rows`` are those after the whole rollback: its ``state`` lets a client replace what the event had made of it.
    """
    stream_id = next((_stream_id(key) for key in event.aggregates if key.startswith(_STREAM)), None)
    data: dict[str, Json] = {
        "event": name,
        "contract": place.contract,
        "names": None,
        "streamId": text(stream_id),
        "proposalId": None,
        "state": None if stream_id is None else {"stream": _view(rows, stream_id), "listing": None},
    }
    for room in dict.fromkeys(it.room for it in told):
        heard = [it for it in told if it.room == room]
        names: list[Json] = [it.name for it in heard]
        yield Emission(room, "chain:reverted", "reverted", data | {"names": names}, heard[0].role)


def compensation(aggregates: Iterable[str], before: Rows, after: Rows) -> Iterator[tuple[str, Emission]]:
    """State-shaped emissions for what the rollback changed, each with the aggregate it speaks of.

    They carry names that every client knows, so that one which ignores ``chain:reverted`` converges all the same.
    """
    for stream_id in sorted(_stream_id(key) for key in aggregates if key.startswith(_STREAM)):
        view = _view(after, stream_id)
        if view != _view(before, stream_id):
            gone: dict[str, Json] = {"streamId": text(stream_id), "status": "reverted"}
            said = Emission(stream_room(stream_id), "stream:updated", "reverted", view or gone)
            yield f"{_STREAM}{stream_id}", said


def _view(rows: Rows, stream_id: int) -> dict[str, Json] | None:
    stream = rows.get(Stream, stream_id)
    return stream_view(stream) if stream else None


def _stream_id(aggregate: str) -> int:
    return int(aggregate.removeprefix(_STREAM))
