"""Offences that do not end a phase, breaches of conduct (which have no floor), gates, and scheduled news."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("breaches", "floor_minor", nullable=True)
    op.create_table(
        "offences",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("phase_index", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.String(length=41), nullable=False),
        sa.Column("offence", sa.Integer(), nullable=False),
        sa.Column("consequence", sa.String(length=20), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("deducted_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("proof_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        _recorded_at(),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_offences_account_id")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_offences_challenge_id")),
        sa.ForeignKeyConstraint(["proof_id"], ["proofs.id"], name=op.f("fk_offences_proof_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offences")),
        sa.UniqueConstraint("account_id", "phase_index", "rule_id", "offence", name=op.f("uq_offences_account_id")),
    )
    op.create_index("ix_offences_account_at", "offences", ["account_id", "occurred_at"])
    op.create_index(op.f("ix_offences_challenge_id"), "offences", ["challenge_id"])
    op.create_table(
        "gate_standings",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("rule_id", sa.String(length=41), nullable=False),
        sa.Column("met", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("blocks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("proof_id", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_gate_standings_account_id")),
        sa.ForeignKeyConstraint(["proof_id"], ["proofs.id"], name=op.f("fk_gate_standings_proof_id")),
        sa.PrimaryKeyConstraint("account_id", "rule_id", name=op.f("pk_gate_standings")),
    )
    op.create_table(
        "news_releases",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("impact", sa.String(length=12), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_news_releases")),
        sa.UniqueConstraint("key", name=op.f("uq_news_releases_key")),
    )


def _recorded_at() -> sa.Column[Any]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )
