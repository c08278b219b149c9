"""A link by mail that changes where a trader is paid."""

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("links", sa.Column("account", sa.LargeBinary()))
    op.add_column("links", sa.Column("rail", sa.String(40)))
    op.add_column("links", sa.Column("currency", sa.String(4)))


def downgrade() -> None:
    op.execute("DELETE FROM links WHERE kind = 'beneficiary'")
    for column in ("currency", "rail", "account"):
        op.drop_column("links", column)
