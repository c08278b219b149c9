"""A person keeps filters of every list, not only of the work queue."""

import sqlalchemy as sa
from alembic import op

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("saved_filters", sa.Column("page", sa.String(40), nullable=False, server_default="/queue"))
    op.alter_column("saved_filters", "page", server_default=None)
    op.drop_constraint("pk_saved_filters", "saved_filters")
    op.create_primary_key("pk_saved_filters", "saved_filters", ["user_id", "page", "name"])


def downgrade() -> None:
    op.execute("DELETE FROM saved_filters WHERE page <> '/queue'")
    op.drop_constraint("pk_saved_filters", "saved_filters")
    op.create_primary_key("pk_saved_filters", "saved_filters", ["user_id", "name"])
    op.drop_column("saved_filters", "page")
