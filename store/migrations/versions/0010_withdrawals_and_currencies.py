"""Who approved a payout may still stop it, and currencies of four letters."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MONEY = ("challenges", "accounts", "payouts", "postings", "provider_entries")


def upgrade() -> None:
    op.drop_constraint("uq_decisions_subject_kind", "decisions", type_="unique")
    op.create_unique_constraint(
        "uq_decisions_subject_kind", "decisions", ["subject_kind", "subject_id", "person_id", "decision"]
    )
    op.create_index(
        "uq_decisions_person",
        "decisions",
        ["subject_kind", "subject_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("subject_kind <> 'payout'"),
    )
    for table in _MONEY:
        op.alter_column(table, "currency", type_=sa.String(length=4), existing_type=sa.String(length=3))
