"""Disputes: a deadline, a second instance, two people, sealed words, frozen evidence, and the firm's policy."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

_SEALED = {"dispute_words": ("reason", "message"), "dispute_packs": ("files",)}


def _recorded_at() -> sa.Column[Any]:
    now = sa.text("clock_timestamp()")
    return sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=now, nullable=False)


def upgrade() -> None:
    op.add_column("disputes", sa.Column("instance", sa.SmallInteger(), server_default="1", nullable=False))
    op.add_column("disputes", sa.Column("decide_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("disputes", sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("disputes", sa.Column("message", sa.LargeBinary(), nullable=True))
    op.drop_constraint("uq_disputes_breach_id", "disputes", type_="unique")
    op.create_index("uq_disputes_breach_instance", "disputes", ["breach_id", "instance"], unique=True)
    op.create_check_constraint("ck_disputes_instances", "disputes", "instance IN (1, 2)")
    op.create_table(
        "dispute_policies",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("number", name="pk_dispute_policies"),
    )
    op.create_table(
        "dispute_words",
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("dispute_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("decision_id", name="pk_dispute_words"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_dispute_words_decision_id"),
        sa.ForeignKeyConstraint(["dispute_id"], ["disputes.id"], name="fk_dispute_words_dispute_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_dispute_words_trader_id"),
    )
    op.create_index("ix_dispute_words_dispute_id", "dispute_words", ["dispute_id"])
    op.create_table(
        "dispute_packs",
        sa.Column("dispute_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("dispute_id", name="pk_dispute_packs"),
        sa.ForeignKeyConstraint(["dispute_id"], ["disputes.id"], name="fk_dispute_packs_dispute_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_dispute_packs_trader_id"),
    )
    _guard()


def _guard() -> None:
    """Rows stay as they are, but for the key that their texts are under."""
    op.execute("""
        CREATE FUNCTION keep_but_for_keys() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR to_jsonb(NEW) - TG_ARGV <> to_jsonb(OLD) - TG_ARGV THEN
                RAISE EXCEPTION 'a row of % cannot change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    for table, columns in _SEALED.items():
        names = ", ".join(f"'{column}'" for column in columns)
        op.execute(
            f"CREATE TRIGGER keep_but_for_keys BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
            f" EXECUTE FUNCTION keep_but_for_keys({names})"
        )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dispute_policies"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    for table in ("dispute_policies", *_SEALED):
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    for table in ("dispute_packs", "dispute_words", "dispute_policies"):
        op.drop_table(table)
    op.execute("DROP FUNCTION keep_but_for_keys()")
    op.drop_constraint("ck_disputes_instances", "disputes", type_="check")
    op.drop_index("uq_disputes_breach_instance", table_name="disputes")
    op.create_unique_constraint("uq_disputes_breach_id", "disputes", ["breach_id"])
    for column in ("message", "escalated_at", "decide_by", "instance"):
        op.drop_column("disputes", column)
