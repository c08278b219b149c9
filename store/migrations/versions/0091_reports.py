"""Reports read purchases by their month, and decisions by theirs."""

from alembic import op
from sqlalchemy import text

revision = "0091"
down_revision = "0090"
branch_labels = None
depends_on = None

_DECIDED = (
    "trigger IN ('approvals_complete', 'payout_rejected', 'decision_timed_out', 'breach_upheld',"
    " 'reinstatement_granted', 'suspicion_cleared', 'left_inconclusive', 'trader_warned', 'profit_deducted',"
    " 'payout_denied', 'abuse_confirmed')"
)


def upgrade() -> None:
    op.create_index("ix_challenges_bought", "challenges", ["bought_at"])
    op.create_index("ix_transitions_decided", "transitions", ["occurred_at"], postgresql_where=text(_DECIDED))


def downgrade() -> None:
    op.drop_index("ix_transitions_decided", table_name="transitions")
    op.drop_index("ix_challenges_bought", table_name="challenges")
