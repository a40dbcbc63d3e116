"""The catalogue: every event that we know, by the contract that prints it.

To add an event, write its class beside its siblings and name it in ``CATALOGUE``. An event of an accepted contract that
is not named here is kept as it came and told to nobody.
"""

from __future__ import annotations

from typing import Final

from shared.domain.catalogue import access, core, marketplace, nfts, proposals, treasury
from shared.domain.clarity import Json
from shared.domain.event import Event

CATALOGUE: Final[tuple[type[Event], ...]] = (
    core.StreamCreated,
    core.StreamWithdrawal,
    core.StreamCancelled,
    core.StreamSenderUpdated,
    marketplace.NftListed,
    marketplace.ListingPriceUpdated,
    marketplace.ListingCancelled,
    marketplace.DirectPurchaseCompleted,
    marketplace.PurchaseInitiated,
    marketplace.GatewayPurchaseCompleted,
    marketplace.PurchaseExpired,
    marketplace.BackendAuthorized,
    marketplace.BackendDeauthorized,
    marketplace.MarketplaceFeeUpdated,
    treasury.FeeCollected,
    treasury.CancellationFeeCollected,
    treasury.MarketplaceFeeCollected,
    treasury.TreasuryWithdrawal,
    treasury.TreasuryDistribution,
    treasury.TreasuryFeeUpdated,
    treasury.TreasuryAdminTransferProposed,
    treasury.TreasuryAdminTransferCompleted,
    treasury.TreasuryAdminTransferCancelled,
    proposals.TreasuryWithdrawalProposed,
    proposals.TreasuryWithdrawalApproved,
    proposals.TreasuryWithdrawalExecuted,
    proposals.TreasuryAddAdminProposed,
    proposals.TreasuryRemoveAdminProposed,
    proposals.TreasuryAdminProposalApproved,
    proposals.TreasuryAdminProposalExecuted,
    access.AccessAdminAdded,
    access.AccessAdminRemoved,
    access.AccessOperatorAdded,
    access.AccessOperatorRemoved,
    access.AccessContractAuthorized,
    access.AccessContractRevoked,
    access.AccessProtocolPaused,
    access.AccessProtocolUnpaused,
    access.AccessAdminTransferInitiated,
    access.AccessAdminTransferCompleted,
    nfts.ObligationMinted,
    nfts.ObligationTransferred,
    nfts.ObligationBurned,
    nfts.RecipientMinted,
    nfts.RecipientBurned,
)

_BY_NAME: Final = {(event.role, event.name): event for event in CATALOGUE}


def read_event(role: str, name: str, value: Json) -> Event | None:
    """The typed event, or None where the catalogue does not know its name. Raises ``Misfit``."""
    event = _BY_NAME.get((role, name))
    return event.read(value) if event else None
