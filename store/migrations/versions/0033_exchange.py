"""Payouts in another currency than the account's: the rates, and the conversion of each payout and attempt."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exchange_rates",
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("sold", sa.String(4), nullable=False),
        sa.Column("bought", sa.String(4), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=False),
        sa.Column("source", sa.String(80), nullable=False),
        sa.Column("quoted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_exchange_rates"),
        sa.ForeignKeyConstraint(["sold"], ["currencies.code"], name="fk_exchange_rates_sold"),
        sa.ForeignKeyConstraint(["bought"], ["currencies.code"], name="fk_exchange_rates_bought"),
        sa.UniqueConstraint("sold", "bought", "source", "quoted_at", name="uq_exchange_rates_sold"),
        sa.CheckConstraint("price > 0 AND sold <> bought", name="ck_exchange_rates_is_a_rate"),
    )
    op.create_index("ix_exchange_rates_quoted_at", "exchange_rates", ["quoted_at"])
    for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON exchange_rates FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )
    op.add_column("beneficiaries", sa.Column("currency", sa.String(4)))
    op.create_foreign_key("fk_beneficiaries_currency", "beneficiaries", "currencies", ["currency"], ["code"])
    for table in ("payouts", "payout_transfers"):
        op.add_column(table, sa.Column("conversion", postgresql.JSONB(astext_type=sa.Text())))


def downgrade() -> None:
    for table in ("payouts", "payout_transfers"):
        op.drop_column(table, "conversion")
    op.drop_column("beneficiaries", "currency")
    op.drop_table("exchange_rates")
