"""What traders sign in to a venue with, shown to them once; stops of the trading at a platform."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.String(length=32), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_venue", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _recorded_at(),
        sa.CheckConstraint("password IS NULL OR shown_at IS NULL", name=op.f("ck_credentials_shown")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_credentials_account_id")),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name=op.f("fk_credentials_asked_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("account_id", "number", name=op.f("uq_credentials_account_id")),
    )
    op.create_table(
        "platform_stops",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("symbol", sa.String(length=40), nullable=True),
        sa.Column("lifts", sa.Boolean(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("proposed_by", sa.String(length=32), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        _recorded_at(),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name=op.f("fk_platform_stops_proposed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_stops")),
    )
    op.create_index(op.f("ix_platform_stops_platform"), "platform_stops", ["platform"])
    op.create_index(
        "uq_platform_stops_open",
        "platform_stops",
        ["platform", sa.text("coalesce(symbol, '')")],
        unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'approved')"),
    )
    op.execute("""
        CREATE FUNCTION keep_password_gone() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF OLD.password IS NULL AND NEW.password IS NOT NULL THEN
                RAISE EXCEPTION 'a password that was handed over does not come back'
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute(
        "CREATE TRIGGER keep_password_gone BEFORE UPDATE ON credentials"
        " FOR EACH ROW EXECUTE FUNCTION keep_password_gone()"
    )


def _recorded_at() -> "sa.Column[datetime]":
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def downgrade() -> None:
    op.drop_table("platform_stops")
    op.drop_table("credentials")
    op.execute("DROP FUNCTION keep_password_gone()")
