"""Proposed product versions, and accounts that move from one version to another."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "product_proposals",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("product", sa.String(length=41), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("proposed_by", sa.String(length=32), nullable=False),
        *_times(),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name=op.f("fk_product_proposals_proposed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_proposals")),
    )
    op.create_index(op.f("ix_product_proposals_state"), "product_proposals", ["state"], unique=False)
    op.create_index(
        "uq_product_proposals_open",
        "product_proposals",
        ["product", "version"],
        unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'approved')"),
    )
    op.add_column("products", sa.Column("proposal_id", sa.String(length=32), nullable=True))
    op.create_foreign_key(op.f("fk_products_proposal_id"), "products", "product_proposals", ["proposal_id"], ["id"])
    _moves()
    _guards()


def _times() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
    )


def _moves() -> None:
    op.create_table(
        "account_moves",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("product", sa.String(length=41), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("proposed_by", sa.String(length=32), nullable=False),
        *_times(),
        sa.ForeignKeyConstraint(
            ["product", "from_version"], ["products.product", "products.version"], name=op.f("fk_account_moves_product")
        ),
        sa.ForeignKeyConstraint(
            ["product", "to_version"],
            ["products.product", "products.version"],
            name="fk_account_moves_to_version",
        ),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name=op.f("fk_account_moves_proposed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_moves")),
    )
    op.create_index(op.f("ix_account_moves_state"), "account_moves", ["state"], unique=False)
    op.create_table(
        "account_move_rows",
        sa.Column("move_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("taken_batch", sa.BigInteger(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_seq", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_move_rows_account_id")),
        sa.ForeignKeyConstraint(["move_id"], ["account_moves.id"], name=op.f("fk_account_move_rows_move_id")),
        sa.PrimaryKeyConstraint("move_id", "account_id", name=op.f("pk_account_move_rows")),
    )
    op.create_index(
        "ix_account_move_rows_waiting",
        "account_move_rows",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _guards() -> None:
    """What was proposed, and so approved, stays as it was: only what became of it may be written."""
    op.execute("""
        CREATE FUNCTION keep_what_was_proposed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR to_jsonb(NEW) - 'state' - 'closed_at' <> to_jsonb(OLD) - 'state' - 'closed_at' THEN
                RAISE EXCEPTION 'what % holds was proposed and cannot change: propose anew', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    for table in ("product_proposals", "account_moves"):
        op.execute(
            f"CREATE TRIGGER keep_what_was_proposed BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keep_what_was_proposed()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
