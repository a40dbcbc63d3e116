"""What the other contracts print, in few words: ``market("nft-listed", stream_id=1, seller=ALICE, price=5)``."""

from __future__ import annotations

from deploy.local.chainhook import Event, NftMint, Print
from shared.domain import clarity
from shared.domain.clarity import Ascii, Principal, UInt
from tests.builders import BOB, CONTRACTS, stream_created, stream_sender_updated


def told(role: str, event: str, **fields: int | str) -> Print:
    """A print: integers are uints, addresses principals, all else text."""
    values: dict[str, clarity.Value] = {"event": Ascii(event)}
    for name, value in fields.items():
        printed = name.rstrip("_").replace("_", "-")
        if isinstance(value, int):
            values[printed] = UInt(value)
        else:
            values[printed] = Principal(value) if clarity.is_principal(value) else Ascii(value)
    return Print(getattr(CONTRACTS, role), clarity.Tuple(values))


def market(event: str, **fields: int | str) -> Print:
    return told("marketplace", f"market-{event}", **fields)


def treasury(event: str, **fields: int | str) -> Print:
    return told("treasury", f"treasury-{event}", **fields)


def access(event: str, **fields: int | str) -> Print:
    return told("access", f"access-{event}", **fields)


def obligation(event: str, **fields: int | str) -> Print:
    return told("obligation", f"obligation-{event}", **fields)


def moved(stream: int, old: str, new: str) -> tuple[Event, ...]:
    """The NFT and the payer move together, as in a sale."""
    transfer = obligation("transferred", stream_id=stream, token_id=stream, from_=old, to=new, note="moved")
    return transfer, stream_sender_updated(stream, old=old, new=new, transfer_type="authorized-contract")


def created(stream: int, sender: str) -> tuple[Event, ...]:
    """A stream with its two NFTs."""
    minted = obligation("minted", stream_id=stream, token_id=stream, owner=sender)
    return NftMint(CONTRACTS.recipient_asset, stream, BOB), minted, stream_created(stream, sender=sender)
