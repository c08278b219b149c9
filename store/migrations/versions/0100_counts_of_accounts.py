"""Accounts and payouts of a state are counted in an index alone, as challenges are."""

from alembic import op

revision = "0100"
down_revision = "0099"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # with the trader, whom row security asks for
    op.create_index("ix_accounts_status_trader", "accounts", ["status", "trader_id"])
    op.create_index("ix_payouts_state_trader", "payouts", ["state", "trader_id"])
    op.drop_index("ix_payouts_state", "payouts")
    # with the id, by which the accounts of a challenge are counted
    op.create_index("ix_challenges_state_trader_id", "challenges", ["state", "trader_id", "id"])
    op.drop_index("ix_challenges_state_trader", "challenges")


def downgrade() -> None:
    op.create_index("ix_challenges_state_trader", "challenges", ["state", "trader_id"])
    op.drop_index("ix_challenges_state_trader_id", "challenges")
    op.create_index("ix_payouts_state", "payouts", ["state"])
    op.drop_index("ix_payouts_state_trader", "payouts")
    op.drop_index("ix_accounts_status_trader", "accounts")
