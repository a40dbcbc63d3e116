"""The tables, as SQLAlchemy Core; the migrations make exactly these, which a test holds.

Amounts are ``numeric(39,0)``: a Clarity uint goes to 2^128 - 1. The outbox keeps the payload's very text (``json``),
so that an emission is encoded once in its life.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

SCHEMA: Final = 3  # number of the newest migration; a process needs at least its own

metadata = MetaData()


def _amount(name: str, *, known: bool = False) -> Column[Decimal]:
    return Column(name, Numeric(39, 0), nullable=not known)


def _sum(name: str) -> Column[Decimal]:
    return Column(name, Numeric, nullable=False)  # of uints: without a bound


def _number(name: str, *, known: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=not known)


def _words(name: str, *, known: bool = False) -> Column[str]:
    return Column(name, Text, nullable=not known)


def _event() -> Column[str]:
    return Column("event_id", Text, primary_key=True)


def _where() -> tuple[Column[int], Column[str]]:
    return _number("block", known=True), _words("tx_hash", known=True)


def _stamp() -> tuple[Column[str], Column[int]]:
    return Column("last_event_id", Text, nullable=False), Column("updated_block", BigInteger, nullable=False)


def _single() -> Column[int]:
    return Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False)


deployment = Table(
    "deployment",
    metadata,
    _single(),
    Column("network", Text, nullable=False),
    Column("contracts", JSONB, nullable=False),
)

chain_tip = Table(
    "chain_tip",
    metadata,
    _single(),
    Column("height", BigInteger, nullable=False),
    Column("hash", Text),
    Column("time", BigInteger),
)

chain_events = Table(
    "chain_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("block_hash", Text, nullable=False),
    Column("block_height", BigInteger, nullable=False),
    Column("block_time", BigInteger, nullable=False),
    Column("tx_hash", Text, nullable=False),
    Column("tx_index", BigInteger, nullable=False),
    Column("tx_sender", Text),
    Column("source", Text, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("event_index", BigInteger, nullable=False),
    Column("contract", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", JSONB, nullable=False),
    Column("canonical", Boolean, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("reverted_at", DateTime(timezone=True)),
    UniqueConstraint("block_hash", "tx_hash", "source", "rank"),
    Index("chain_events_block_hash", "block_hash"),
    Index("chain_events_reverted_tx", "tx_hash", postgresql_where=text("reverted_at IS NOT NULL")),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("block_hash", Text, nullable=False),
    Column("block_height", BigInteger, nullable=False),
    Column("tx_hash", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("rank", BigInteger, nullable=False),
    # it keeps its place when another hook tells it readably; 0 for rows from before these two
    Column("tx_index", BigInteger, nullable=False, server_default="0"),
    Column("event_index", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("quarantine_block_hash", "block_hash"),
)

event_keys = Table(
    "event_keys",
    metadata,
    Column("aggregate", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
)

# How far each aggregate is folded: an event before that place is late, and its aggregate is folded anew.
aggregates = Table(
    "aggregates",
    metadata,
    Column("aggregate", Text, primary_key=True),
    Column("block_height", BigInteger, nullable=False),
    Column("tx_index", BigInteger, nullable=False),
    Column("event_index", BigInteger, nullable=False),
)

outbox_head = Table(
    "outbox_head",
    metadata,
    _single(),
    Column("epoch", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text),
    Column("op", Text, nullable=False),  # apply, rollback or broadcast
    Column("room", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("outbox_room", "room", "seq", "n"),
    Index("outbox_event_id", "event_id"),
)

streams = Table(
    "streams",
    metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sender", Text),
    Column("original_sender", Text),
    Column("recipient", Text),
    _amount("amount"),
    _amount("start_block"),
    _amount("end_block"),
    Column("withdrawn", Numeric, nullable=False),  # a sum of uints: without a bound
    Column("withdrawal_count", BigInteger, nullable=False),
    Column("last_withdrawal_block", BigInteger),
    Column("status", Text, nullable=False),
    Column("completed_at_block", BigInteger),
    _amount("cancelled_at_block"),
    Column("cancelled_by", Text),
    _amount("unvested_returned"),
    _amount("vested_paid"),
    _amount("cancellation_fee"),
    Column("complete", Boolean, nullable=False),
    Column("created_block", BigInteger),
    Column("created_at", BigInteger),
    Column("created_tx", Text),
    *_stamp(),
    Index("streams_sender", "sender", "stream_id"),
    Index("streams_recipient", "recipient", "stream_id"),
)

stream_sender_history = Table(
    "stream_sender_history",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("old_sender", Text, nullable=False),
    Column("new_sender", Text, nullable=False),
    Column("transfer_type", Text, nullable=False),
    Column("sale_id", BigInteger),
    Column("block", BigInteger, nullable=False),
    Column("tx_hash", Text, nullable=False),
    *_stamp(),
    Index("stream_sender_history_stream_id", "stream_id"),
)

nfts = Table(
    "nfts",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    _number("token_id", known=True),
    _words("owner"),
    _words("status", known=True),
    _number("minted_block"),
    _number("burned_block"),
    *_stamp(),
    Index("nfts_stream_id", "stream_id"),
)

nft_transfers = Table(
    "nft_transfers",
    metadata,
    _event(),
    _words("kind", known=True),
    _number("stream_id", known=True),
    _number("token_id", known=True),
    _words("from_addr", known=True),
    _words("to_addr", known=True),
    *_where(),
    *_stamp(),
    Index("nft_transfers_stream_id", "stream_id"),
)

market_listings = Table(
    "market_listings",
    metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    _words("seller"),
    _amount("price"),
    _amount("listed_at_block"),
    Column("on_chain_active", Boolean, nullable=False),
    _number("sale_id"),
    _words("purchase_id"),
    _words("status", known=True),
    _words("reason"),
    Column("complete", Boolean, nullable=False),
    *_stamp(),
    Index("market_listings_status", "status", "stream_id"),
    Index("market_listings_seller", "seller", "stream_id"),
)

market_price_history = Table(
    "market_price_history",
    metadata,
    _event(),
    _number("stream_id", known=True),
    _amount("old_price"),
    _amount("new_price", known=True),
    _words("changed_by", known=True),
    *_where(),
    *_stamp(),
    Index("market_price_history_stream_id", "stream_id"),
)

market_purchases = Table(
    "market_purchases",
    metadata,
    _event(),
    _number("stream_id", known=True),
    _words("buyer", known=True),
    _words("seller"),
    _amount("price"),
    _words("payment_id", known=True),
    _number("initiated_at_block", known=True),
    _amount("expires_at_block", known=True),
    _words("status", known=True),
    _number("closed_block"),
    _words("closed_tx"),
    *_stamp(),
    Index("market_purchases_stream_id", "stream_id"),
)

market_sales = Table(
    "market_sales",
    metadata,
    Column("sale_id", BigInteger, primary_key=True, autoincrement=False),
    _number("stream_id", known=True),
    _words("seller", known=True),
    _words("buyer", known=True),
    _amount("price", known=True),
    _amount("marketplace_fee"),
    _amount("seller_proceeds"),
    _words("kind", known=True),
    _words("payment_id"),
    _number("sold_at_block", known=True),
    _number("sold_at", known=True),
    _words("block_hash", known=True),
    _words("tx_hash", known=True),
    *_stamp(),
    Index("market_sales_stream_id", "stream_id", "sale_id"),
    Index("market_sales_seller", "seller", "sale_id"),
    Index("market_sales_buyer", "buyer", "sale_id"),
)

market_state = Table(
    "market_state",
    metadata,
    _single(),
    _amount("fee_bps", known=True),
    _number("total_listings", known=True),
    _number("total_sales", known=True),
    _sum("total_volume"),
    *_stamp(),
)

market_backends = Table(
    "market_backends",
    metadata,
    Column("backend", Text, primary_key=True),
    Column("authorized", Boolean, nullable=False),
    _words("changed_by"),
    *_stamp(),
)

config_changes = Table(
    "config_changes",
    metadata,
    _event(),
    _words("scope", known=True),
    _amount("old_bps", known=True),
    _amount("new_bps", known=True),
    _words("changed_by"),
    _number("block", known=True),
    *_stamp(),
    Index("config_changes_scope", "scope"),
)

treasury_state = Table(
    "treasury_state",
    metadata,
    _single(),
    _sum("balance"),
    _sum("total_fees"),
    _sum("general_fees"),
    _sum("cancellation_fees"),
    _sum("marketplace_fees"),
    _amount("fee_bps", known=True),
    _words("admin"),
    _words("pending_admin"),
    _number("active_admin_count", known=True),
    _number("required_signatures", known=True),
    _number("last_withdrawal_block", known=True),
    _sum("withdrawn_in_window"),
    _number("drifts", known=True),
    *_stamp(),
)

treasury_fees = Table(
    "treasury_fees",
    metadata,
    _event(),
    _words("kind", known=True),
    _amount("amount", known=True),
    _words("caller", known=True),
    _amount("new_balance", known=True),
    _number("stream_id"),
    _number("sale_id"),
    _number("block", known=True),
    _words("block_hash", known=True),
    _number("block_time", known=True),
    _number("tx_index", known=True),
    _number("event_index", known=True),
    _words("tx_hash", known=True),
    *_stamp(),
    Index("treasury_fees_place", "block", "tx_index", "event_index", "event_id"),
)

treasury_transfers = Table(
    "treasury_transfers",
    metadata,
    _event(),
    _words("kind", known=True),
    _amount("amount", known=True),
    _words("recipient", known=True),
    _words("admin"),
    _number("proposal_id"),
    _sum("new_balance"),
    *_where(),
    *_stamp(),
)

treasury_recipient_totals = Table(
    "treasury_recipient_totals",
    metadata,
    Column("recipient", Text, primary_key=True),
    _sum("total"),
    *_stamp(),
)

treasury_admins = Table(
    "treasury_admins",
    metadata,
    Column("address", Text, primary_key=True),
    Column("active", Boolean, nullable=False),
    _number("added_block"),
    _number("added_by_proposal"),
    _number("removed_block"),
    _number("removed_by_proposal"),
    *_stamp(),
)

treasury_proposals = Table(
    "treasury_proposals",
    metadata,
    Column("proposal_id", BigInteger, primary_key=True, autoincrement=False),
    _words("kind", known=True),
    _words("proposer"),
    _amount("amount"),
    _words("recipient"),
    _words("description"),
    _words("target_admin"),
    Column("approvers", ARRAY(Text), nullable=False),
    _amount("approval_count", known=True),
    _words("status", known=True),
    _number("proposed_at_block"),
    _number("timelock_block"),
    _amount("expires_at_block"),
    _number("executed_at_block"),
    _words("executed_tx"),
    _words("executor"),
    Column("complete", Boolean, nullable=False),
    *_stamp(),
)

access_roles = Table(
    "access_roles",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("active", Boolean, nullable=False),
    _words("changed_by"),
    _number("changed_block"),
    *_stamp(),
)

access_contracts = Table(
    "access_contracts",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("authorized", Boolean, nullable=False),
    _words("changed_by", known=True),
    _number("changed_block", known=True),
    *_stamp(),
)

protocol_state = Table(
    "protocol_state",
    metadata,
    _single(),
    Column("paused", Boolean, nullable=False),
    _words("changed_by"),
    _number("since_block"),
    _words("pending_admin"),
    _words("contract_owner"),
    *_stamp(),
)

# No projection: it remembers what was told, and what became of it. A rebuild leaves these three alone.
notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    # the order of telling; its writers run one by one, so that it becomes visible in order
    Column("number", BigInteger, Identity(always=True), nullable=False),
    _words("address", known=True),
    _words("type", known=True),
    _words("category", known=True),
    _words("priority", known=True),
    _words("status", known=True),  # unread, read, archived or retracted
    _words("reopens_as"),  # of one that is retracted: its status until then
    _words("title", known=True),
    _words("message", known=True),
    Column("data", JSON, nullable=False),
    _words("action_url"),
    _words("action_text"),
    _words("event_id", known=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("notifications_address", "address", "number"),
    Index("notifications_event_id", "event_id"),
    Index("notifications_unread", "address", "number", postgresql_where=text("status = 'unread'")),
)

# A row is also the lock behind which what is unread changes: who counts has waited for all that was counted before.
notification_counts = Table(
    "notification_counts",
    metadata,
    Column("address", Text, primary_key=True),
    _number("unread", known=True),
)

notification_preferences = Table(
    "notification_preferences",
    metadata,
    Column("address", Text, primary_key=True),
    Column("category", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("enabled", Boolean, nullable=False),
)
