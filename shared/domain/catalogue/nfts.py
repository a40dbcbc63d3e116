"""The NFTs of a stream: the obligation, which is its payer's and may be sold, and the recipient's receipt.

The obligation contract prints; the recipient's prints nothing, and neither prints a burn, so these three are read from
asset events. Token ids are stream ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from shared.domain.catalogue.core import stream_link
from shared.domain.catalogue.pairs import sale_of
from shared.domain.entry import Emission
from shared.domain.event import Event, Id, Party, ascii_text
from shared.domain.notice import Link, Notice, short
from shared.domain.rooms import stream_room
from shared.domain.rows import Nft, NftKind, NftTransfer, Stream, stream_aggregate
from shared.domain.schema import NftMoved, NftOwned
from shared.domain.views import sync_required, text
from shared.domain.workset import Step


@dataclass(frozen=True, slots=True)
class _NftEvent(Event):
    kind: ClassVar[NftKind]

    @property
    def stream(self) -> int:
        raise NotImplementedError

    @property
    def token(self) -> int:
        return self.stream

    @property
    def aggregates(self) -> frozenset[str]:
        return frozenset({stream_aggregate(self.stream)})

    def nft(self, at: Step) -> Nft:
        return at.get(Nft, (self.kind, self.stream)) or Nft(self.kind, self.stream, self.token)

    def to_owner(self, name: str, owner: str, type: str) -> Iterator[Emission]:
        data: NftOwned = {
            "nft": self.kind,
            "tokenId": text(self.token),
            "streamId": text(self.stream),
            "owner": owner,
        }
        yield from self.tell(name, data, type=type, owner=owner)
        yield self.say(stream_room(self.stream), name, data, type=type)

    def mint(self, at: Step, owner: str) -> None:
        at.put(replace(self.nft(at), token_id=self.token, owner=owner, status="minted", minted_block=at.height))


@dataclass(frozen=True, slots=True)
class _Asset(_NftEvent):
    token_id: Id
    owner: Party

    @property
    def stream(self) -> int:
        return self.token_id


@dataclass(frozen=True, slots=True)
class _Burned(_Asset):
    name: ClassVar[str] = "nft-burn"

    def fold(self, at: Step) -> None:
        at.put(replace(self.nft(at), owner=None, status="burned", burned_block=at.height))

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.to_owner("nft:burned", self.owner, f"{self.kind}-nft-burned")


@dataclass(frozen=True, slots=True)
class ObligationMinted(_NftEvent):
    role: ClassVar[str] = "obligation"
    name: ClassVar[str] = "obligation-minted"
    kind: ClassVar[NftKind] = "obligation"

    stream_id: Id
    token_id: Id
    owner: Party

    @property
    def stream(self) -> int:
        return self.stream_id

    @property
    def token(self) -> int:
        return self.token_id

    def fold(self, at: Step) -> None:
        self.mint(at, self.owner)

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.to_owner("nft:minted", self.owner, "obligation-minted")


@dataclass(frozen=True, slots=True)
class ObligationTransferred(_NftEvent):
    """The NFT moved; the stream's sender did not, until somebody syncs it, whatever the note says."""

    role: ClassVar[str] = "obligation"
    name: ClassVar[str] = "obligation-transferred"
    kind: ClassVar[NftKind] = "obligation"

    stream_id: Id
    token_id: Id
    from_: Party
    to: Party
    note: Annotated[str, ascii_text(61)]

    @property
    def stream(self) -> int:
        return self.stream_id

    @property
    def token(self) -> int:
        return self.token_id

    def fold(self, at: Step) -> None:
        at.put(replace(self.nft(at), token_id=self.token, owner=self.to))
        transfer = NftTransfer(
            event_id=at.place.event_id,
            kind=self.kind,
            stream_id=self.stream_id,
            token_id=self.token_id,
            from_addr=self.from_,
            to_addr=self.to,
            block=at.height,
            tx_hash=at.place.tx_hash,
        )
        at.put(transfer)

    def emissions(self, at: Step) -> Iterator[Emission]:
        stream = at.end.get(Stream, self.stream_id)
        data: NftMoved = {
            "nft": self.kind,
            "tokenId": text(self.token),
            "streamId": text(self.stream),
            "from": self.from_,
            "to": self.to,
            "streamSender": stream.sender if stream else None,
            "syncRequired": sync_required(self.to, stream),
        }
        yield from self.tell("nft:transferred", data, sender=self.from_)
        yield from self.tell("nft:received", data, recipient=self.to)
        yield self.say(stream_room(self.stream_id), "nft:transferred", data)

    @property
    def link(self) -> Link:
        return stream_link(self.stream_id)

    def notices(self, at: Step) -> Iterator[Notice]:
        """Of a sale's transfer the sale itself tells both."""
        if sale_of(at, self.stream_id) is not None:
            return
        data = {
            "nft": self.kind,
            "tokenId": text(self.token),
            "streamId": text(self.stream),
            "from": self.from_,
            "to": self.to,
        }
        got = f"{short(self.from_)} sent you the obligation NFT of stream {self.stream_id}."
        sent = f"The obligation NFT of stream {self.stream_id} went to {short(self.to)}."
        yield from self.notify("nft_received", "high", "Obligation NFT received", got, data, self.to)
        yield from self.notify("nft_transferred", "normal", "Obligation NFT transferred", sent, data, self.from_)


@dataclass(frozen=True, slots=True)
class ObligationBurned(_Burned):
    role: ClassVar[str] = "obligation"
    kind: ClassVar[NftKind] = "obligation"


@dataclass(frozen=True, slots=True)
class RecipientMinted(_Asset):
    role: ClassVar[str] = "recipient"
    name: ClassVar[str] = "nft-mint"
    kind: ClassVar[NftKind] = "recipient"

    def fold(self, at: Step) -> None:
        self.mint(at, self.owner)

    def emissions(self, at: Step) -> Iterator[Emission]:
        yield from self.to_owner("nft:minted", self.owner, "recipient-nft-minted")


@dataclass(frozen=True, slots=True)
class RecipientBurned(_Burned):
    role: ClassVar[str] = "recipient"
    kind: ClassVar[NftKind] = "recipient"
