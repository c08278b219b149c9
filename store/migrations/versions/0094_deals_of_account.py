"""The newest deals of one account are found without sorting all of its deals."""

from alembic import op

from store.large_indexes import begin

revision = "0094"
down_revision = "0092"
branch_labels = None
depends_on = None


def upgrade() -> None:
    begin(op.get_bind(), "ix_deals_account")


def downgrade() -> None:
    op.drop_index("ix_deals_account", table_name="deals", if_exists=True)
