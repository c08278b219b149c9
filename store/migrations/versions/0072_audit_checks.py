"""Verifications of the audit log are remembered, so that the next one begins where the last one ended. What people wrote
as a reason rests encrypted, beside the append-only rows that keep its digest."""

import sqlalchemy as sa
from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("anchor", sa.BigInteger()),
        sa.Column("anchor_through", sa.BigInteger()),
        sa.Column("anchor_digest", sa.String(64)),
        sa.Column("broken_at", sa.BigInteger()),
        sa.Column("by", sa.String(32)),
        sa.Column(
            "checked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_checks"),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_checks"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_checks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "sealed_reasons",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_sealed_reasons"),
    )
    op.execute(
        "CREATE TRIGGER keep_but_for_keys BEFORE UPDATE OR DELETE ON sealed_reasons FOR EACH ROW"
        " EXECUTE FUNCTION keep_but_for_keys('reason')"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON sealed_reasons"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_table("sealed_reasons")
    op.drop_table("audit_checks")
