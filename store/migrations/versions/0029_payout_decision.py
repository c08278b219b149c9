"""What a decision about a payout needs: deductions of named trades, and an account that can grow again."""

from alembic import op

revision = "0029"
down_revision = "0024"
branch_labels = None
depends_on = None

# The time in which a funded account can be ordered begins with this version for those who wait for it already.
_WINDOW = """
UPDATE challenges SET changed_at = greatest(changed_at, (SELECT min(watermark) FROM market_clock))
WHERE state = 'awaiting_activation'
"""


def upgrade() -> None:
    op.drop_constraint("uq_scalings_account_id", "scalings")
    op.create_index("ix_scalings_account_id", "scalings", ["account_id"])
    op.execute(_WINDOW)
