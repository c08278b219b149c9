"""Compensations that are granted in a dispute.

A coupon can be for one trader alone: `trader` in its terms.
"""

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

_CHANGING = ("state", "reason", "message", "coupon", "used_in", "closed_at")  # of the texts: their key


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "compensations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("dispute_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(4), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("coupon", sa.String(30), nullable=True),
        sa.Column("used_in", sa.String(32), nullable=True),
        sa.Column("proposed_by", sa.String(32), nullable=False),
        sa.Column("proposed_at", time, nullable=False),
        sa.Column("closed_at", time, nullable=True),
        sa.Column("recorded_at", time, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_compensations"),
        sa.CheckConstraint("amount_minor > 0", name="ck_compensations_amount"),
        sa.ForeignKeyConstraint(["dispute_id"], ["disputes.id"], name="fk_compensations_dispute_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_compensations_trader_id"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_compensations_account_id"),
        sa.ForeignKeyConstraint(["coupon"], ["coupons.code"], name="fk_compensations_coupon"),
        sa.ForeignKeyConstraint(["used_in"], ["challenges.id"], name="fk_compensations_used_in"),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name="fk_compensations_proposed_by"),
    )
    op.create_index("ix_compensations_dispute_id", "compensations", ["dispute_id"])
    op.create_index("ix_compensations_coupon", "compensations", ["coupon"], unique=True)
    op.create_index(
        "uq_compensations_open", "compensations", ["dispute_id"], unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'granted', 'used')"),
    )  # fmt: skip
    changing = ", ".join(f"'{column}'" for column in _CHANGING)
    op.execute(
        "CREATE TRIGGER keep_but_for_keys BEFORE UPDATE OR DELETE ON compensations FOR EACH ROW"
        f" EXECUTE FUNCTION keep_but_for_keys({changing})"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON compensations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Refuses while a compensation was granted: earlier versions would let everybody use its voucher, and would not
    book it."""
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM compensations WHERE state IN ('granted', 'used')) THEN
                RAISE EXCEPTION 'the earlier tables cannot hold the compensations that were granted';
            END IF;
        END $$
    """)
    op.execute("UPDATE coupons SET terms = terms - 'trader'")
    op.drop_table("compensations")
