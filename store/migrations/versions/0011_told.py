"""What the trader reads about a payout, apart from the reasons of the firm."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payouts", sa.Column("told", sa.Text(), nullable=True))
    # A request that could not be made has the trader's own terms as its reason; other reasons may be the firm's.
    op.execute("UPDATE payouts SET told = 'This payout cannot be made: ' || reason || '.' WHERE state = 'refused'")
    op.execute("UPDATE payouts SET told = 'The payout is under review.' WHERE state = 'in_review'")
