"""Several platforms and payment providers: what a shard reads, what took a fee, and what sends a payout.

An installation had one platform and one provider until now. Their names are read from its rows; one without such rows
gets the name `sandbox`.

The ids of two providers may be the same, so they are unique per provider. Two platforms may have the same symbols and
sequence numbers, so a review of a feed names the feed.
"""

import sqlalchemy as sa
from alembic import op

from domain.errors import Conflict

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FEED_REVIEWS = "('bad_tick', 'out_of_order', 'stale', 'stale_feed', 'gap', 'estimated', 'unknown_symbol')"


_PLATFORMS = "SELECT platform FROM accounts"
_PROVIDERS = "SELECT provider FROM provider_entries UNION SELECT provider FROM inbox"


def upgrade() -> None:
    platform = _only_name("platform", "accounts", _PLATFORMS)
    provider = _only_name("payment provider", "provider_entries and inbox", _PROVIDERS)
    for table, column, name in (
        ("shards", "platform", platform),
        ("challenges", "provider", provider),
        ("payouts", "rail", provider),
    ):
        op.add_column(table, sa.Column(column, sa.String(length=40), server_default=name, nullable=False))
        op.alter_column(table, column, server_default="sandbox")
    op.drop_constraint("uq_challenges_checkout_id", "challenges", type_="unique")
    op.create_unique_constraint("uq_challenges_provider", "challenges", ["provider", "checkout_id"])
    op.drop_constraint("uq_payouts_transfer_id", "payouts", type_="unique")
    op.create_unique_constraint("uq_payouts_rail", "payouts", ["rail", "transfer_id"])
    prefix = sa.text(
        f"UPDATE reviews SET key = :platform || '/' || key WHERE account_id IS NULL AND kind IN {_FEED_REVIEWS}"
    )
    op.get_bind().execute(prefix, {"platform": platform})


def _only_name(what: str, tables: str, query: str) -> str:
    """Returns the one name that the rows have, or `sandbox` when there are no rows. Raises Conflict for several."""
    names = sorted(op.get_bind().scalars(sa.text(f"SELECT DISTINCT * FROM ({query}) AS found")))
    if len(names) > 1:
        raise Conflict(
            f"This database cannot be upgraded: its rows name {len(names)} {what}s, {', '.join(names)}, and earlier"
            " versions know one.",
            remedy=f"Nothing was changed. Write the name of the configured {what} into every row of {tables}, and"
            " start the upgrade again.",
        )
    return names[0] if names else "sandbox"
