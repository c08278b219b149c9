"""Staff are found by role among many traders, and challenges of a state are counted in an index alone."""

import sqlalchemy as sa
from alembic import op

revision = "0096"
down_revision = "0095"
branch_labels = None
depends_on = None


def upgrade() -> None:
    of_staff = sa.text("active AND role <> 'trader'")
    op.create_index("ix_users_staff", "users", ["role", "id"], postgresql_where=of_staff)
    # with the trader, whom row security asks for
    op.create_index("ix_challenges_state_trader", "challenges", ["state", "trader_id"])
    op.drop_index("ix_challenges_state", "challenges")


def downgrade() -> None:
    op.create_index("ix_challenges_state", "challenges", ["state"])
    op.drop_index("ix_challenges_state_trader", "challenges")
    op.drop_index("ix_users_staff", "users")
