"""Interventions: what one person proposes to do to an account by hand, and another approves."""

import sqlalchemy as sa
from alembic import op

revision = "0097"
down_revision = "0096"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_CHANGING = "'state', 'closed_at'"


def upgrade() -> None:
    op.create_table(
        "interventions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("challenge_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("change_minor", sa.BigInteger()),
        sa.Column("currency", sa.String(4), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("message", sa.String(400), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(32), nullable=False),
        sa.Column("proposed_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_interventions_account_id"),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name="fk_interventions_challenge_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_interventions_trader_id"),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name="fk_interventions_proposed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_interventions"),
        sa.CheckConstraint("(kind = 'adjust') = (change_minor IS NOT NULL)", name="ck_interventions_change"),
    )
    op.create_index("ix_interventions_account_id", "interventions", ["account_id"])
    op.create_index("ix_interventions_challenge_id", "interventions", ["challenge_id"])
    waits = sa.text("state IN ('proposed', 'approved')")
    op.create_index("ux_interventions_open", "interventions", ["account_id"], unique=True, postgresql_where=waits)
    op.execute(
        "CREATE TRIGGER keep_but_for_keys BEFORE UPDATE OR DELETE ON interventions FOR EACH ROW"
        f" EXECUTE FUNCTION keep_but_for_keys({_CHANGING})"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON interventions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Refuses while one waits to be carried out: earlier versions would never do it."""
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM interventions WHERE state = 'approved') THEN
                RAISE EXCEPTION 'an approved intervention waits to be carried out';
            END IF;
        END $$
    """)
    op.drop_table("interventions")
