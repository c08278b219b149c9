"""What surveillance has read for each payout is on the record, and facts about who stands behind a trader.

The stream is read once for all patterns, with one cursor.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("surveillance_cursors", "detector", new_column_name="reader")
    op.execute(
        "INSERT INTO surveillance_cursors (reader, last_deal)"
        " SELECT 'stream', max(last_deal) FROM surveillance_cursors HAVING count(*) > 0"
    )
    op.execute("DELETE FROM surveillance_cursors WHERE reader <> 'stream'")
    op.create_table(
        "payout_readings",
        sa.Column("payout_id", sa.String(32), nullable=False),
        sa.Column("read_to", sa.BigInteger(), nullable=False),
        sa.Column("window_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("patterns", JSONB(), nullable=False),
        sa.Column("cannot_judge", JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("payout_id", name="pk_payout_readings"),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name="fk_payout_readings_payout_id"),
    )
    op.create_table(
        "identity_facts",
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", sa.String(60), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("trader_id", "kind", "digest", "source", name="pk_identity_facts"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_identity_facts_trader_id"),
    )
    op.create_index("ix_identity_facts_digest", "identity_facts", ["kind", "digest"])
    op.create_index("ix_identity_facts_last", "identity_facts", ["last_at"])


def downgrade() -> None:
    op.drop_table("identity_facts")
    op.drop_table("payout_readings")
    op.alter_column("surveillance_cursors", "reader", new_column_name="detector")
