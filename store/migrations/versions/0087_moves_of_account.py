"""The moves of one account to another version are found without reading those of others."""

from alembic import op

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_account_move_rows_account", "account_move_rows", ["account_id"])


def downgrade() -> None:
    op.drop_index("ix_account_move_rows_account", table_name="account_move_rows")
