"""Lists know how their keys were made and how common sounds are; identity checks keep the verified date of birth; a
vote on a sanctions hit may change."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = postgresql.JSONB(astext_type=sa.Text())
    op.add_column("sanctions_versions", sa.Column("method", sa.Integer(), server_default="1", nullable=False))
    op.add_column("sanctions_versions", sa.Column("common", json, server_default="{}", nullable=False))
    op.alter_column("sanctions_versions", "method", server_default=None)
    op.alter_column("sanctions_versions", "common", server_default=None)
    op.add_column("identity_checks", sa.Column("born", sa.LargeBinary()))
    op.create_index(
        "ix_identity_checks_differs", "identity_checks", ["id"], postgresql_where=sa.text("status = 'name_differs'")
    )
    op.drop_index("uq_decisions_person", table_name="decisions")
    op.create_index(
        "uq_decisions_person",
        "decisions",
        ["subject_kind", "subject_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("subject_kind NOT IN ('payout', 'sanction_hit')"),
    )
