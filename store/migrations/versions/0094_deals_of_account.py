"""The newest deals of one account are found without sorting all of its deals."""

from alembic import op

revision = "0094"
down_revision = "0092"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_deals_account", "deals", ["account_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_deals_account", table_name="deals")
