"""Items of the work queue are escalated to a role or a person. The mark says to whom; the audit log keeps the reason."""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("work_marks", sa.Column("escalated_role", sa.String(16)))
    op.add_column("work_marks", sa.Column("escalated_id", sa.String(32)))
    op.add_column("work_marks", sa.Column("escalated_by", sa.String(32)))
    for column in ("escalated_id", "escalated_by"):
        op.create_foreign_key(f"fk_work_marks_{column}", "work_marks", "users", [column], ["id"])


def downgrade() -> None:
    for column in ("escalated_by", "escalated_id", "escalated_role"):
        op.drop_column("work_marks", column)
