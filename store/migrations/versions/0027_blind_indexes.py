"""A blind index names its key, so that a rotation of the keys knows which ones to compute anew."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (("traders", "email_index"), ("users", "login_index"), ("beneficiaries", "account_index")):
        op.alter_column(table, column, existing_type=sa.String(length=64), type_=sa.Text(), existing_nullable=False)
