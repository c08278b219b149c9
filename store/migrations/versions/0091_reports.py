"""Reports read purchases by their month, and decisions by theirs."""

from alembic import op

from store.large_indexes import begin

revision = "0091"
down_revision = "0090"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_challenges_bought", "challenges", ["bought_at"])
    begin(op.get_bind(), "ix_transitions_decided")


def downgrade() -> None:
    op.drop_index("ix_transitions_decided", table_name="transitions", if_exists=True)
    op.drop_index("ix_challenges_bought", table_name="challenges")
