"""Many shards: which of them take new accounts, how far each has come, and accounts on their way between two."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shards", sa.Column("accepting", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("shards", sa.Column("watermark", sa.DateTime(timezone=True), nullable=True))
    # The one shard there was has stored its watermark as the feed's.
    op.execute("UPDATE shards SET watermark = (SELECT min(watermark) FROM market_clock)")
    op.alter_column("accounts", "shard", nullable=True)
    op.add_column("accounts", sa.Column("marks", sa.String(length=8), server_default="quotes", nullable=False))
    op.create_index("ix_accounts_shard_status", "accounts", ["shard", "status"])
    op.create_table(
        "shard_moves",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("from_shard", sa.Integer(), nullable=False),
        sa.Column("to_shard", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=True),
        sa.Column("feed", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["from_shard"], ["shards.id"], name=op.f("fk_shard_moves_from_shard")),
        sa.ForeignKeyConstraint(["to_shard"], ["shards.id"], name=op.f("fk_shard_moves_to_shard")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shard_moves")),
    )
    op.create_index("ix_shard_moves_unfinished", "shard_moves", ["id"], postgresql_where=sa.text("state <> 'done'"))
    op.create_table(
        "shard_move_accounts",
        sa.Column("move_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["move_id"], ["shard_moves.id"], name=op.f("fk_shard_move_accounts_move_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_shard_move_accounts_account_id")),
        sa.PrimaryKeyConstraint("move_id", "account_id", name=op.f("pk_shard_move_accounts")),
    )
    op.create_index(op.f("ix_shard_move_accounts_account_id"), "shard_move_accounts", ["account_id"])
