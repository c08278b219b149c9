"""The second wall: loss limits at the venues. How far a platform was compared, by account and by its own list."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "venue_limits",
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("asked", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("sent", postgresql.JSONB(), nullable=True),
        sa.Column("levels", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("sent_at", _TIME, nullable=True),
        sa.Column("sending", postgresql.JSONB(), nullable=True),
        sa.Column("sending_until", _TIME, nullable=True),
        sa.Column("money_at", _TIME, nullable=True),
        sa.Column("shown", postgresql.JSONB(), nullable=True),
        sa.Column("compared_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("account_id", name="pk_venue_limits"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_venue_limits_account_id"),
    )
    op.create_index("ix_venue_limits_asked", "venue_limits", ["account_id"], postgresql_where=sa.text("asked"))
    op.add_column("venue_checks", sa.Column("request", sa.String(64), server_default="", nullable=False))
    op.add_column("venue_checks", sa.Column("compared", sa.Integer(), server_default="0", nullable=False))
    op.add_column("venue_checks", sa.Column("ended_at", _TIME, nullable=True))
    op.execute("UPDATE reconciliation_breaks SET what = kind || '/' || account_id WHERE what LIKE 'venue/%'")
