"""A chargeback that is opened again is answered again: answers are by round."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_MANY = "'payout', 'sanction_hit', 'break', 'chargeback'"


def upgrade() -> None:
    op.add_column("chargebacks", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.drop_index("uq_decisions_person", table_name="decisions")
    op.create_index(
        "uq_decisions_person",
        "decisions",
        ["subject_kind", "subject_id", "person_id"],
        unique=True,
        postgresql_where=sa.text(f"subject_kind NOT IN ({_MANY})"),
    )
