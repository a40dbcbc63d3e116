"""A table for every read model of the catalogue; quarantine keeps the place of what it holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "access_contracts",
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("authorized", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_block", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("contract"),
    )
    op.create_table(
        "access_roles",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("changed_block", sa.BigInteger(), nullable=True),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "principal"),
    )
    op.create_table(
        "config_changes",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("old_bps", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("new_bps", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("config_changes_scope", "config_changes", ["scope"], unique=False)
    op.create_table(
        "market_backends",
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("authorized", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("backend"),
    )
    op.create_table(
        "market_listings",
        sa.Column("stream_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seller", sa.Text(), nullable=True),
        sa.Column("price", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("listed_at_block", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("on_chain_active", sa.Boolean(), nullable=False),
        sa.Column("sale_id", sa.BigInteger(), nullable=True),
        sa.Column("purchase_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id"),
    )
    op.create_index("market_listings_seller", "market_listings", ["seller", "stream_id"], unique=False)
    op.create_index("market_listings_status", "market_listings", ["status", "stream_id"], unique=False)
    op.create_table(
        "market_price_history",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=False),
        sa.Column("old_price", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("new_price", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.Text(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("market_price_history_stream_id", "market_price_history", ["stream_id"], unique=False)
    op.create_table(
        "market_purchases",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=False),
        sa.Column("buyer", sa.Text(), nullable=False),
        sa.Column("seller", sa.Text(), nullable=True),
        sa.Column("price", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("initiated_at_block", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_block", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("closed_block", sa.BigInteger(), nullable=True),
        sa.Column("closed_tx", sa.Text(), nullable=True),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("market_purchases_stream_id", "market_purchases", ["stream_id"], unique=False)
    op.create_table(
        "market_sales",
        sa.Column("sale_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=False),
        sa.Column("seller", sa.Text(), nullable=False),
        sa.Column("buyer", sa.Text(), nullable=False),
        sa.Column("price", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("marketplace_fee", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("seller_proceeds", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("sold_at_block", sa.BigInteger(), nullable=False),
        sa.Column("sold_at", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.Text(), nullable=False),
        sa.Column("tx_hash", sa.Text(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sale_id"),
    )
    op.create_index("market_sales_buyer", "market_sales", ["buyer", "sale_id"], unique=False)
    op.create_index("market_sales_seller", "market_sales", ["seller", "sale_id"], unique=False)
    op.create_index("market_sales_stream_id", "market_sales", ["stream_id", "sale_id"], unique=False)
    op.create_table(
        "market_state",
        sa.Column("id", sa.Integer(), sa.CheckConstraint("id = 1"), autoincrement=False, nullable=False),
        sa.Column("fee_bps", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("total_listings", sa.BigInteger(), nullable=False),
        sa.Column("total_sales", sa.BigInteger(), nullable=False),
        sa.Column("total_volume", sa.Numeric(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "nft_transfers",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("from_addr", sa.Text(), nullable=False),
        sa.Column("to_addr", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.Text(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("nft_transfers_stream_id", "nft_transfers", ["stream_id"], unique=False)
    op.create_table(
        "nfts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("minted_block", sa.BigInteger(), nullable=True),
        sa.Column("burned_block", sa.BigInteger(), nullable=True),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "stream_id"),
    )
    op.create_index("nfts_stream_id", "nfts", ["stream_id"], unique=False)
    op.create_table(
        "protocol_state",
        sa.Column("id", sa.Integer(), sa.CheckConstraint("id = 1"), autoincrement=False, nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("since_block", sa.BigInteger(), nullable=True),
        sa.Column("pending_admin", sa.Text(), nullable=True),
        sa.Column("contract_owner", sa.Text(), nullable=True),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "treasury_admins",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("added_block", sa.BigInteger(), nullable=True),
        sa.Column("added_by_proposal", sa.BigInteger(), nullable=True),
        sa.Column("removed_block", sa.BigInteger(), nullable=True),
        sa.Column("removed_by_proposal", sa.BigInteger(), nullable=True),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_table(
        "treasury_fees",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("new_balance", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), nullable=True),
        sa.Column("sale_id", sa.BigInteger(), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.Text(), nullable=False),
        sa.Column("block_time", sa.BigInteger(), nullable=False),
        sa.Column("tx_index", sa.BigInteger(), nullable=False),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.Text(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index(
        "treasury_fees_place", "treasury_fees", ["block", "tx_index", "event_index", "event_id"], unique=False
    )
    op.create_table(
        "treasury_proposals",
        sa.Column("proposal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("proposer", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("target_admin", sa.Text(), nullable=True),
        sa.Column("approvers", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("approval_count", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proposed_at_block", sa.BigInteger(), nullable=True),
        sa.Column("timelock_block", sa.BigInteger(), nullable=True),
        sa.Column("expires_at_block", sa.Numeric(precision=39, scale=0), nullable=True),
        sa.Column("executed_at_block", sa.BigInteger(), nullable=True),
        sa.Column("executed_tx", sa.Text(), nullable=True),
        sa.Column("executor", sa.Text(), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("proposal_id"),
    )
    op.create_table(
        "treasury_recipient_totals",
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("recipient"),
    )
    op.create_table(
        "treasury_state",
        sa.Column("id", sa.Integer(), sa.CheckConstraint("id = 1"), autoincrement=False, nullable=False),
        sa.Column("balance", sa.Numeric(), nullable=False),
        sa.Column("total_fees", sa.Numeric(), nullable=False),
        sa.Column("general_fees", sa.Numeric(), nullable=False),
        sa.Column("cancellation_fees", sa.Numeric(), nullable=False),
        sa.Column("marketplace_fees", sa.Numeric(), nullable=False),
        sa.Column("fee_bps", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("admin", sa.Text(), nullable=True),
        sa.Column("pending_admin", sa.Text(), nullable=True),
        sa.Column("active_admin_count", sa.BigInteger(), nullable=False),
        sa.Column("required_signatures", sa.BigInteger(), nullable=False),
        sa.Column("last_withdrawal_block", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_in_window", sa.Numeric(), nullable=False),
        sa.Column("drifts", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "treasury_transfers",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=39, scale=0), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("admin", sa.Text(), nullable=True),
        sa.Column("proposal_id", sa.BigInteger(), nullable=True),
        sa.Column("new_balance", sa.Numeric(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.Text(), nullable=False),
        sa.Column("last_event_id", sa.Text(), nullable=False),
        sa.Column("updated_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.add_column("quarantine", sa.Column("tx_index", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("quarantine", sa.Column("event_index", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("quarantine_block_hash", "quarantine", ["block_hash"], unique=False)
