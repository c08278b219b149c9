"""Items of the work queue that somebody has claimed, put aside or looks at; saved filters."""

import sqlalchemy as sa
from alembic import op

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "work_marks",
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("holder_id", sa.String(32)),
        sa.Column("held_until", _INSTANT),
        sa.Column("aside_until", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", name="pk_work_marks"),
        sa.ForeignKeyConstraint(["holder_id"], ["users.id"], name="fk_work_marks_holder_id"),
    )
    op.create_table(
        "work_looks",
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("seen_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", "user_id", name="pk_work_looks"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_work_looks_user_id"),
    )
    op.create_table(
        "saved_filters",
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("query", sa.String(400), nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "name", name="pk_saved_filters"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_saved_filters_user_id"),
    )


def downgrade() -> None:
    for table in ("saved_filters", "work_looks", "work_marks"):
        op.drop_table(table)
