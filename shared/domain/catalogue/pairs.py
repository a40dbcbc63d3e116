"""Events of one transaction that only together say what happened: a sale and its fee, a cancellation and its fee.

They are printed by different contracts, so each is known here by what the others look for in it.
"""

from __future__ import annotations

from shared.domain.workset import Step


class Sold:
    """A sale, direct or settled by a gateway."""

    __slots__ = ()
    stream_id: int
    sale_id: int


class SoldDirectly(Sold):
    """A sale that pays the treasury in the same transaction."""

    __slots__ = ()


class SaleFee:
    """The treasury's fee of a direct sale, printed before it."""

    __slots__ = ()
    amount: int


class Cancelled:
    """A cancellation, whose fee the treasury prints before it."""

    __slots__ = ()
    stream_id: int
    cancellation_fee: int


def sale_of(at: Step, stream_id: int) -> int | None:
    """Id of the sale of this stream in the same transaction."""
    return next((sold.sale_id for sold in at.others(Sold) if sold.stream_id == stream_id), None)


def sale_paying(at: Step) -> SoldDirectly | None:
    """The direct sale that a fee belongs to: the nearest later one."""
    return next(at.others(SoldDirectly, where="later"), None)


def cancellation_paying(at: Step, amount: int) -> Cancelled | None:
    """The cancellation that a fee belongs to: the nearest later one with that fee."""
    return next((it for it in at.others(Cancelled, where="later") if it.cancellation_fee == amount), None)


def fee_of_sale(at: Step) -> int | None:
    """The fee that a direct sale paid: of the prints before it, the last that no earlier sale has."""
    paid = None
    for it in at.others((SaleFee, SoldDirectly), where="earlier"):
        paid = it.amount if isinstance(it, SaleFee) else None
    return paid
