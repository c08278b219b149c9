"""Several platforms and payment providers: what a shard reads, what took a fee, and what sends a payout.

The ids of two providers may be the same, so they are unique per provider. Two platforms may have the same symbols and
sequence numbers, so a review of a feed names the feed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FEED_REVIEWS = "('bad_tick', 'out_of_order', 'stale', 'stale_feed', 'gap', 'estimated', 'unknown_symbol')"


def upgrade() -> None:
    for table, column in (("shards", "platform"), ("challenges", "provider"), ("payouts", "rail")):
        op.add_column(table, sa.Column(column, sa.String(length=40), server_default="sandbox", nullable=False))
    op.drop_constraint("uq_challenges_checkout_id", "challenges", type_="unique")
    op.create_unique_constraint("uq_challenges_provider", "challenges", ["provider", "checkout_id"])
    op.drop_constraint("uq_payouts_transfer_id", "payouts", type_="unique")
    op.create_unique_constraint("uq_payouts_rail", "payouts", ["rail", "transfer_id"])
    op.execute(f"UPDATE reviews SET key = 'sandbox/' || key WHERE account_id IS NULL AND kind IN {_FEED_REVIEWS}")
