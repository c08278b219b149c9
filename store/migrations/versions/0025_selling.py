"""Selling: products with add-ons, coupons, sales, receipts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0019"
branch_labels = None
depends_on = None


def _recorded() -> sa.Column[Any]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def upgrade() -> None:
    op.add_column("products", sa.Column("variant_of", sa.String(length=41), nullable=True))
    op.create_index(op.f("ix_products_variant_of"), "products", ["variant_of"])
    op.create_table(
        "coupons",
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("added_by", sa.String(length=40), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        _recorded(),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_coupons")),
    )
    op.create_table(
        "coupon_uses",
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("trader_id", sa.String(length=32), nullable=False),
        _recorded(),
        sa.ForeignKeyConstraint(["code"], ["coupons.code"], name=op.f("fk_coupon_uses_code")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_coupon_uses_challenge_id")),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=op.f("fk_coupon_uses_trader_id")),
        sa.PrimaryKeyConstraint("code", "challenge_id", name=op.f("pk_coupon_uses")),
    )
    op.create_index("ix_coupon_uses_trader", "coupon_uses", ["code", "trader_id"])
    _sales()
    _receipts()
    for table in ("coupon_uses", "sales", "receipts"):
        for name, when, each in (
            ("append_only", "UPDATE OR DELETE", "ROW"),
            ("no_truncate", "TRUNCATE", "STATEMENT"),
        ):
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH {each} EXECUTE FUNCTION refuse_change()"
            )


def _sales() -> None:
    op.create_table(
        "sales",
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("trader_id", sa.String(length=32), nullable=False),
        sa.Column("product", sa.String(length=41), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("add_ons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("quote", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("currency", sa.String(length=4), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("seller", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("terms_hash", sa.String(length=64), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.String(length=32), nullable=True),
        sa.Column("sold_at", sa.DateTime(timezone=True), nullable=False),
        _recorded(),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_sales_challenge_id")),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=op.f("fk_sales_trader_id")),
        sa.ForeignKeyConstraint(["accepted_by"], ["users.id"], name=op.f("fk_sales_accepted_by")),
        sa.PrimaryKeyConstraint("challenge_id", name=op.f("pk_sales")),
    )
    op.create_index(op.f("ix_sales_trader_id"), "sales", ["trader_id"])


def _receipts() -> None:
    op.create_table(
        "receipt_counters",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_receipt_counters")),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("trader_id", sa.String(length=32), nullable=False),
        sa.Column("corrects", sa.String(length=32), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=4), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        _recorded(),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_receipts_challenge_id")),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=op.f("fk_receipts_trader_id")),
        sa.ForeignKeyConstraint(["corrects"], ["receipts.id"], name=op.f("fk_receipts_corrects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("key", name=op.f("uq_receipts_key")),
        sa.UniqueConstraint("year", "number", name=op.f("uq_receipts_year")),
    )
    op.create_index(op.f("ix_receipts_challenge_id"), "receipts", ["challenge_id"])
    op.create_index(op.f("ix_receipts_trader_id"), "receipts", ["trader_id"])
