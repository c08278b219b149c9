"""Decisions that people asked for: a row before the workflow hears of it, consumed once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "decision_requests",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("verb", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "outcome IS NULL OR consumed_at IS NOT NULL", name=op.f("ck_decision_requests_consumed_first")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_decision_requests_user_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_decision_requests")),
    )
    op.create_index("ix_decision_requests_subject", "decision_requests", ["subject_kind", "subject_id"], unique=False)
    _guards()


def _guards() -> None:
    """What a person asked for stays as it was, and what became of it is written once."""
    op.execute("""
        CREATE FUNCTION keep_what_was_asked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE'
                OR to_jsonb(NEW) - ARRAY['consumed_at', 'outcome', 'answer']
                   <> to_jsonb(OLD) - ARRAY['consumed_at', 'outcome', 'answer']
                OR (OLD.consumed_at IS NOT NULL AND NEW.consumed_at IS DISTINCT FROM OLD.consumed_at)
                OR (OLD.outcome IS NOT NULL AND NEW.outcome IS DISTINCT FROM OLD.outcome)
                OR (OLD.answer IS NOT NULL AND NEW.answer IS DISTINCT FROM OLD.answer) THEN
                RAISE EXCEPTION 'what % holds was asked for by a person and cannot change: ask anew', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute(
        "CREATE TRIGGER keep_what_was_asked BEFORE UPDATE OR DELETE ON decision_requests"
        " FOR EACH ROW EXECUTE FUNCTION keep_what_was_asked()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON decision_requests"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
