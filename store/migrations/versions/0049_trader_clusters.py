"""Which traders identity facts tie together, for the exposure of each cluster."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trader_clusters",
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("cluster", sa.String(32), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_trader_clusters_trader_id"),
        sa.PrimaryKeyConstraint("trader_id", name="pk_trader_clusters"),
    )
    op.create_index("ix_trader_clusters_cluster", "trader_clusters", ["cluster"])


def downgrade() -> None:
    op.drop_table("trader_clusters")
