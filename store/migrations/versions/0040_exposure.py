"""What the traders hold together: figures now and by minute, policy, limits, what-ifs; stops of a product or the firm."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exposure_now",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("shard", name="pk_exposure_now"),
    )
    op.create_table(
        "exposure_minutes",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("minute", "shard", name="pk_exposure_minutes"),
    )
    op.create_table(
        "exposure_policies",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("number", name="pk_exposure_policies"),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON exposure_policies"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON exposure_policies"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "exposure_standings",
        sa.Column("limit_id", sa.String(41), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("limit_id", "name", name="pk_exposure_standings"),
    )
    _what_ifs()
    _stops()


def _recorded_at() -> "sa.Column[datetime]":
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False
    )


def _what_ifs() -> None:
    op.create_table(
        "what_ifs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_what_ifs"),
    )
    op.create_index("ix_what_ifs_recorded_at", "what_ifs", ["recorded_at"])
    op.create_table(
        "what_if_answers",
        sa.Column("what_if_id", sa.String(32), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("what_if_id", "shard", name="pk_what_if_answers"),
        sa.ForeignKeyConstraint(
            ["what_if_id"], ["what_ifs.id"], name="fk_what_if_answers_what_if_id", ondelete="CASCADE"
        ),
    )


def _stops() -> None:
    op.add_column("platform_stops", sa.Column("product", sa.String(41)))
    op.add_column("platform_stops", sa.Column("action", sa.String(16), server_default="close_only", nullable=False))
    op.drop_index("uq_platform_stops_open", "platform_stops")
    op.create_index(
        "uq_platform_stops_open",
        "platform_stops",
        ["platform", sa.text("coalesce(symbol, '')"), sa.text("coalesce(product, '')"), "action"],
        unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'approved')"),
    )


def downgrade() -> None:
    op.drop_index("uq_platform_stops_open", "platform_stops")
    op.execute("DELETE FROM platform_stops WHERE product IS NOT NULL OR action <> 'close_only'")
    op.create_index(
        "uq_platform_stops_open",
        "platform_stops",
        ["platform", sa.text("coalesce(symbol, '')")],
        unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'approved')"),
    )
    op.drop_column("platform_stops", "action")
    op.drop_column("platform_stops", "product")
    for table in (
        "what_if_answers",
        "what_ifs",
        "exposure_standings",
        "exposure_policies",
        "exposure_minutes",
        "exposure_now",
    ):
        op.drop_table(table)
