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
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

SCHEMA: Final = 1  # number of the newest migration; a process needs at least its own

metadata = MetaData()


def _amount(name: str) -> Column[Decimal]:
    return Column(name, Numeric(39, 0))


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
    Column("reason", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
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
