"""Rounds and expiry of approvals, the firm's payout policies, and beneficiaries as rows of a trader."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _policies()
    _beneficiaries()
    _payouts()
    op.add_column("decisions", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.add_column("decisions", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    # a person may approve again: after taking the approval back, after it expired, and in a later round
    op.drop_constraint("uq_decisions_subject_kind", "decisions", type_="unique")
    op.create_index("ix_decisions_subject", "decisions", ["subject_kind", "subject_id"], unique=False)
    op.create_index("ix_decisions_person", "decisions", ["person_id", "occurred_at"], unique=False)


def _policies() -> None:
    op.create_table(
        "payout_policies",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_payout_policies")),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON payout_policies"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON payout_policies"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _beneficiaries() -> None:
    op.create_table(
        "beneficiaries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("trader_id", sa.String(length=32), nullable=False),
        sa.Column("rail", sa.String(length=40), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("account_index", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("changes", sa.Boolean(), nullable=False),
        sa.Column("added_by", sa.String(length=32), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=op.f("fk_beneficiaries_trader_id")),
        sa.ForeignKeyConstraint(["added_by"], ["users.id"], name=op.f("fk_beneficiaries_added_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_beneficiaries")),
    )
    op.create_index("ix_beneficiaries_trader_id", "beneficiaries", ["trader_id"], unique=False)
    op.create_index(
        "ix_beneficiaries_waiting", "beneficiaries", ["added_at"], postgresql_where=sa.text("state = 'waiting'")
    )


def _payouts() -> None:
    op.add_column("payouts", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.add_column("payouts", sa.Column("policy_hash", sa.String(length=64), nullable=True))
    op.add_column("payouts", sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payouts", sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payouts", sa.Column("beneficiary_id", sa.String(length=32), nullable=True))
    op.create_foreign_key(op.f("fk_payouts_beneficiary_id"), "payouts", "beneficiaries", ["beneficiary_id"], ["id"])
    op.create_index("ix_payouts_approved_at", "payouts", ["currency", "approved_at"], unique=False)
