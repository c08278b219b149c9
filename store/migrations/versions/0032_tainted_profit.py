"""Deductions of tainted profit: the named trades, and what a payout was judged on."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profit_deductions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("proposed_by", sa.String(length=32), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_profit_deductions_case_id")),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name=op.f("fk_profit_deductions_proposed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profit_deductions")),
    )
    op.create_index(op.f("ix_profit_deductions_case_id"), "profit_deductions", ["case_id"])
    op.create_index(
        "uq_profit_deductions_open",
        "profit_deductions",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'approved')"),
    )
    op.create_table(
        "deducted_trades",
        sa.Column("deduction_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("position_id", sa.String(length=40), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_seq", sa.BigInteger(), nullable=False),
        sa.Column("profit_minor", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.CheckConstraint("profit_minor > 0", name=op.f("ck_deducted_trades_profit")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_deducted_trades_account_id")),
        sa.ForeignKeyConstraint(
            ["deduction_id"], ["profit_deductions.id"], name=op.f("fk_deducted_trades_deduction_id")
        ),
        sa.PrimaryKeyConstraint("deduction_id", "account_id", "position_id", name=op.f("pk_deducted_trades")),
    )
    op.create_index(
        "uq_deducted_trades_counts",
        "deducted_trades",
        ["account_id", "position_id"],
        unique=True,
        postgresql_where=sa.text("counts"),
    )
    op.add_column("payouts", sa.Column("base_minor", sa.BigInteger(), nullable=True))
    op.add_column("payouts", sa.Column("tainted_minor", sa.BigInteger(), server_default="0", nullable=False))
    _guards()


def _guards() -> None:
    """What was proposed, and so approved, stays as it was. A trade that counts goes on counting."""
    op.execute("""
        CREATE FUNCTION keep_deducted_trade() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR NOT NEW.counts OR to_jsonb(NEW) - 'counts' <> to_jsonb(OLD) - 'counts' THEN
                RAISE EXCEPTION 'a deducted trade was proposed and cannot change: propose anew'
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    for table, guard in (("profit_deductions", "keep_what_was_proposed"), ("deducted_trades", "keep_deducted_trade")):
        op.execute(f"CREATE TRIGGER {guard} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {guard}()")
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.drop_column("payouts", "tainted_minor")
    op.drop_column("payouts", "base_minor")
    op.drop_table("deducted_trades")
    op.drop_table("profit_deductions")
    op.execute("DROP FUNCTION keep_deducted_trade()")
