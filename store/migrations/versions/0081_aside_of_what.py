"""An item is put aside as it is: with the deadline and the state that it has then. What is aside now comes back."""

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("work_marks", sa.Column("aside_deadline", sa.DateTime(timezone=True)))
    op.add_column("work_marks", sa.Column("aside_state", sa.String(24)))


def downgrade() -> None:
    op.drop_column("work_marks", "aside_state")
    op.drop_column("work_marks", "aside_deadline")
