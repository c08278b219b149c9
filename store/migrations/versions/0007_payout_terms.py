"""What payout terms add to a payout, refusals with proofs, and phases that are taken again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("proofs", "kind", type_=sa.String(length=16), existing_nullable=False)
    op.add_column("payouts", sa.Column("refund_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("payouts", sa.Column("forfeited_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("payouts", sa.Column("cycle", sa.String(length=31), nullable=True))
    op.add_column("payouts", sa.Column("proof_id", sa.String(length=32), nullable=True))
    op.create_foreign_key(op.f("fk_payouts_proof_id"), "payouts", "proofs", ["proof_id"], ["id"])
    op.add_column("accounts", sa.Column("attempt", sa.Integer(), server_default="1", nullable=False))
    op.drop_constraint(op.f("uq_accounts_challenge_id"), "accounts", type_="unique")
    op.create_unique_constraint(
        op.f("uq_accounts_challenge_id"), "accounts", ["challenge_id", "phase_index", "attempt"]
    )
