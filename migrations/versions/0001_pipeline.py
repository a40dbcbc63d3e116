"""Events, streams, and the outbox with its head."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None


def _stamp() -> tuple[sa.Column[str], sa.Column[int]]:
    return sa.Column("last_event_id", sa.Text, nullable=False), sa.Column(
        "updated_block", sa.BigInteger, nullable=False
    )


def _single() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False)


def upgrade() -> None:
    amount = sa.Numeric(39, 0)
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "deployment",
        _single(),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("contracts", pg.JSONB, nullable=False),
    )
    op.create_table(
        "chain_tip",
        _single(),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text),
        sa.Column("time", sa.BigInteger),
    )
    op.create_table(
        "chain_events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("block_hash", sa.Text, nullable=False),
        sa.Column("block_height", sa.BigInteger, nullable=False),
        sa.Column("block_time", sa.BigInteger, nullable=False),
        sa.Column("tx_hash", sa.Text, nullable=False),
        sa.Column("tx_index", sa.BigInteger, nullable=False),
        sa.Column("tx_sender", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("rank", sa.BigInteger, nullable=False),
        sa.Column("event_index", sa.BigInteger, nullable=False),
        sa.Column("contract", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", pg.JSONB, nullable=False),
        sa.Column("canonical", sa.Boolean, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("reverted_at", moment),
        sa.UniqueConstraint("block_hash", "tx_hash", "source", "rank"),
    )
    op.create_index("chain_events_block_hash", "chain_events", ["block_hash"])
    op.create_index(
        "chain_events_reverted_tx",
        "chain_events",
        ["tx_hash"],
        postgresql_where=sa.text("reverted_at IS NOT NULL"),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("block_hash", sa.Text, nullable=False),
        sa.Column("block_height", sa.BigInteger, nullable=False),
        sa.Column("tx_hash", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("rank", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.create_table(
        "event_keys",
        sa.Column("aggregate", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
    )
    op.create_table(
        "aggregates",
        sa.Column("aggregate", sa.Text, primary_key=True),
        sa.Column("block_height", sa.BigInteger, nullable=False),
        sa.Column("tx_index", sa.BigInteger, nullable=False),
        sa.Column("event_index", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "streams",
        sa.Column("stream_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sender", sa.Text),
        sa.Column("original_sender", sa.Text),
        sa.Column("recipient", sa.Text),
        sa.Column("amount", amount),
        sa.Column("start_block", amount),
        sa.Column("end_block", amount),
        sa.Column("withdrawn", sa.Numeric, nullable=False),  # a sum: without a bound
        sa.Column("withdrawal_count", sa.BigInteger, nullable=False),
        sa.Column("last_withdrawal_block", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("completed_at_block", sa.BigInteger),
        sa.Column("cancelled_at_block", amount),
        sa.Column("cancelled_by", sa.Text),
        sa.Column("unvested_returned", amount),
        sa.Column("vested_paid", amount),
        sa.Column("cancellation_fee", amount),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("created_block", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("created_tx", sa.Text),
        *_stamp(),
    )
    op.create_index("streams_sender", "streams", ["sender", "stream_id"])
    op.create_index("streams_recipient", "streams", ["recipient", "stream_id"])
    op.create_table(
        "stream_sender_history",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("stream_id", sa.BigInteger, nullable=False),
        sa.Column("old_sender", sa.Text, nullable=False),
        sa.Column("new_sender", sa.Text, nullable=False),
        sa.Column("transfer_type", sa.Text, nullable=False),
        sa.Column("sale_id", sa.BigInteger),
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.Column("tx_hash", sa.Text, nullable=False),
        *_stamp(),
    )
    op.create_index("stream_sender_history_stream_id", "stream_sender_history", ["stream_id"])
    _outbox(moment)


def _outbox(moment: sa.DateTime) -> None:
    op.create_table(
        "outbox_head",
        _single(),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.execute(
        sa.text("INSERT INTO outbox_head (id, epoch, seq, n) VALUES (1, :epoch, 0, 0)").bindparams(
            epoch=secrets.token_hex(4)
        )
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Text),
        sa.Column("op", sa.Text, nullable=False),
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("payload", pg.JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_index("outbox_room", "outbox", ["room", "seq", "n"])
    op.create_index("outbox_event_id", "outbox", ["event_id"])
    op.execute(
        """
        CREATE FUNCTION outbox_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND current_setting('bitpay.retention', true) = 'on' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'the outbox is append-only: % refused', TG_OP;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER outbox_append_only BEFORE UPDATE OR DELETE ON outbox"
        " FOR EACH ROW EXECUTE FUNCTION outbox_is_append_only()"
    )
    op.execute(
        "CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox"
        " FOR EACH STATEMENT EXECUTE FUNCTION outbox_is_append_only()"
    )
