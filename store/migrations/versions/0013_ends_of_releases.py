"""A scheduled release may last: the end of a speech."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("news_releases", sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
