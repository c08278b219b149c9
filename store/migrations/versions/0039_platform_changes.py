"""Accounts that change their platform in the middle of a phase, and the places that they have had."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_ENDED = "'rejected', 'withdrawn', 'abandoned', 'done'"


def upgrade() -> None:
    op.create_table(
        "platform_changes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("challenge_id", sa.String(32), nullable=False),
        sa.Column("from_platform", sa.String(40), nullable=False),
        sa.Column("from_login", sa.BigInteger(), nullable=False),
        sa.Column("to_platform", sa.String(40), nullable=False),
        sa.Column("close_positions", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("proposed_by", sa.String(32), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("balance_minor", sa.BigInteger()),
        sa.Column("from_seq", sa.BigInteger()),
        sa.Column("to_login", sa.BigInteger()),
        sa.Column("to_seq", sa.BigInteger()),
        sa.Column("to_shard", sa.Integer()),
        sa.Column("to_marks", sa.String(8)),
        sa.Column("switched_at", sa.DateTime(timezone=True)),
        sa.Column("proof_id", sa.String(32)),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_platform_changes"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_platform_changes_account_id"),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name="fk_platform_changes_challenge_id"),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name="fk_platform_changes_proposed_by"),
        sa.ForeignKeyConstraint(["proof_id"], ["proofs.id"], name="fk_platform_changes_proof_id"),
    )
    op.create_index("ix_platform_changes_account_id", "platform_changes", ["account_id"])
    op.create_index("ix_platform_changes_state", "platform_changes", ["state"])
    op.create_index(
        "uq_platform_changes_unfinished",
        "platform_changes",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text(f"state NOT IN ({_ENDED})"),
    )
    op.create_table(
        "account_places",
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("login", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("change_id", sa.String(32)),
        sa.PrimaryKeyConstraint("account_id", "number", name="pk_account_places"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_account_places_account_id"),
        sa.ForeignKeyConstraint(["change_id"], ["platform_changes.id"], name="fk_account_places_change_id"),
        sa.UniqueConstraint("platform", "login", name="uq_account_places_platform"),
    )


def downgrade() -> None:
    op.drop_table("account_places")
    op.drop_table("platform_changes")
