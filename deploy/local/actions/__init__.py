"""What people do with BitPay in the simulated world, and what the contracts then say. Pure.

An ``Action`` is a signed call: performed in a block it changes the world and prints, or the contract refuses it. The
same action performed in another block, after a reorg, may have another outcome, as on the chain. There is a module
for each contract; calls that mirror each other share a class.

To simulate more: write an action, name it here, and write a scenario that thinks of it (``scenarios.py``).
"""

from __future__ import annotations

from typing import TypeAlias

from deploy.local.actions.access import AcceptAdminTransfer, InitiateAdminTransfer, SetPause, SetRole
from deploy.local.actions.marketplace import (
    BuyNft,
    CancelExpiredPurchase,
    CancelListing,
    CompletePurchase,
    InitiatePurchase,
    ListNft,
    SetBackend,
    SetMarketplaceFee,
    UpdateListingPrice,
)
from deploy.local.actions.nfts import Burn, TransferObligation
from deploy.local.actions.proposals import (
    Approve,
    ExecuteAdminProposal,
    ExecuteWithdrawal,
    ProposeAdmin,
    ProposeWithdrawal,
)
from deploy.local.actions.streams import Cancel, Create, HandOver, Withdraw
from deploy.local.actions.treasury import CollectFee, EndAdminTransfer, PayOut, ProposeAdminTransfer, SetFee

Action: TypeAlias = (
    Create
    | Withdraw
    | Cancel
    | HandOver
    | TransferObligation
    | Burn
    | ListNft
    | UpdateListingPrice
    | CancelListing
    | BuyNft
    | InitiatePurchase
    | CompletePurchase
    | CancelExpiredPurchase
    | SetBackend
    | SetMarketplaceFee
    | CollectFee
    | PayOut
    | SetFee
    | ProposeAdminTransfer
    | EndAdminTransfer
    | ProposeWithdrawal
    | ProposeAdmin
    | Approve
    | ExecuteWithdrawal
    | ExecuteAdminProposal
    | SetRole
    | SetPause
    | InitiateAdminTransfer
    | AcceptAdminTransfer
)
