"""Sign-in with an identity provider: who is who there, visits under way, invitations to link a login."""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "provider_identities",
        sa.Column("issuer", sa.String(400), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("linked_by", sa.String(32), nullable=False),
        sa.Column("linked_at", _INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_provider_identities_user_id"),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_provider_identities"),
    )
    op.create_index("ix_provider_identities_user_id", "provider_identities", ["user_id"])
    op.create_table(
        "provider_visits",
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("next_page", sa.String(400), nullable=False),
        sa.Column("user_id", sa.String(32)),
        sa.Column("invitation", sa.String(64)),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_provider_visits_user_id"),
        sa.PrimaryKeyConstraint("state", name="pk_provider_visits"),
    )
    op.create_index("ix_provider_visits_expires_at", "provider_visits", ["expires_at"])
    op.create_table(
        "provider_invitations",
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("invited_by", sa.String(32), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("used_at", _INSTANT),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_provider_invitations_user_id"),
        sa.PrimaryKeyConstraint("token_digest", name="pk_provider_invitations"),
    )
    op.create_index("ix_provider_invitations_user_id", "provider_invitations", ["user_id"])


def downgrade() -> None:
    for table in ("provider_invitations", "provider_visits", "provider_identities"):
        op.drop_table(table)
