"""How far the clock of each venue is ahead of ours, as its gateway estimates it."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "venue_clocks",
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("ahead_us", sa.BigInteger(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("platform", name="pk_venue_clocks"),
    )


def downgrade() -> None:
    op.drop_table("venue_clocks")
