"""Certificates: pages about passed phases and payouts, behind links that their traders can revoke."""

import sqlalchemy as sa
from alembic import op

revision = "0086"
down_revision = "0084"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "certificates",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("name_shown", sa.String(8), nullable=False),
        sa.Column("amount_shown", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("linked_at", _INSTANT, nullable=False),
        sa.Column("revoked_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
        sa.UniqueConstraint("kind", "subject_id", name="uq_certificates_kind"),
        sa.UniqueConstraint("digest", name="uq_certificates_digest"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_certificates_trader_id"),
    )
    op.create_index("ix_certificates_trader_id", "certificates", ["trader_id"])
    op.execute("SELECT secure_rows()")


def downgrade() -> None:
    op.drop_table("certificates")
