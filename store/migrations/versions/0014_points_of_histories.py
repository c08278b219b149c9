"""Points of the histories of accounts: the states from which proofs begin, and the events between them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "history_points",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_history_points_account_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_history_points")),
    )
    op.create_index("ix_history_points_account", "history_points", ["account_id", "number"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON history_points"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON history_points"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
