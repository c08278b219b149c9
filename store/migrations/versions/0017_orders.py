"""Challenges that go on from another one: a reset, a buyback, or the activation of its funded account."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("challenges", sa.Column("fee_of", sa.String(length=16), server_default="purchase", nullable=False))
    op.add_column("challenges", sa.Column("replaces", sa.String(length=32), nullable=True))
    op.create_foreign_key(op.f("fk_challenges_replaces"), "challenges", "challenges", ["replaces"], ["id"])
    op.create_index(op.f("ix_challenges_replaces"), "challenges", ["replaces"], unique=False)
