"""Sign-ins with their device, address and last use; counters of attempts that hold over all processes."""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("sessions", sa.Column("id", sa.String(32)))
    op.add_column("sessions", sa.Column("device", sa.String(80), server_default="", nullable=False))
    op.add_column("sessions", sa.Column("address", sa.LargeBinary()))
    op.add_column("sessions", sa.Column("used_at", _INSTANT, server_default=sa.text("clock_timestamp()")))
    op.execute("UPDATE sessions SET id = 'ses_' || left(token_digest, 26), used_at = created_at")
    op.alter_column("sessions", "id", nullable=False)
    op.alter_column("sessions", "used_at", nullable=False)
    op.create_unique_constraint("uq_sessions_id", "sessions", ["id"])
    op.create_table(
        "attempts",
        sa.Column("key", sa.String(90), nullable=False),
        sa.Column("begun_at", _INSTANT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
    )


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_constraint("uq_sessions_id", "sessions")
    for column in ("used_at", "address", "device", "id"):
        op.drop_column("sessions", column)
