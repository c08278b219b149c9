"""Challenges for passkeys, tries of a proof, and step-ups: fresh proofs for what is decided."""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "factor_challenges",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("about", sa.String(64), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_factor_challenges"),
    )
    op.create_index("ix_factor_challenges_expires_at", "factor_challenges", ["expires_at"])
    op.create_table(
        "proof_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_proof_attempts_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_proof_attempts"),
    )
    op.create_index("ix_proof_attempts_user", "proof_attempts", ["user_id", "at"])
    op.create_table(
        "step_ups",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("about", sa.String(64), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("made_at", _INSTANT, server_default=now, nullable=False),
        sa.Column("used_at", _INSTANT),
        sa.Column("used_key", sa.String(64)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_step_ups_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_step_ups"),
    )
    op.create_index("ix_step_ups_about", "step_ups", ["user_id", "about"])
    op.create_index("ix_step_ups_used_key", "step_ups", ["used_key"])
    op.execute("""
        CREATE FUNCTION keep_step_up() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR OLD.used_at IS NOT NULL
               OR to_jsonb(NEW) - '{used_at,used_key}'::text[] <> to_jsonb(OLD) - '{used_at,used_key}'::text[] THEN
                RAISE EXCEPTION 'a step-up is used once and never changes' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute(
        "CREATE TRIGGER keep_step_up BEFORE UPDATE OR DELETE ON step_ups FOR EACH ROW EXECUTE FUNCTION keep_step_up()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON step_ups FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_table("step_ups")
    op.execute("DROP FUNCTION keep_step_up()")
    op.drop_table("proof_attempts")
    op.drop_table("factor_challenges")
