"""Links that people get by mail and use once; which traders confirmed their address.

Traders who signed up before were never asked to confirm their address: it counts as confirmed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("user_id", sa.String(32)),
        sa.Column("email", sa.LargeBinary()),
        sa.Column("change_id", sa.String(32)),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("used_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_links_user_id"),
        sa.PrimaryKeyConstraint("token_digest", name="pk_links"),
    )
    op.create_index("ix_links_user_id", "links", ["user_id"])
    op.add_column("traders", sa.Column("email_confirmed_at", _INSTANT))
    op.execute("UPDATE traders SET email_confirmed_at = recorded_at")


def downgrade() -> None:
    op.drop_column("traders", "email_confirmed_at")
    op.drop_table("links")
