"""Drafts of product versions, and what their terms would have done with recorded accounts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0092"
down_revision = "0091"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "product_drafts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("product", sa.String(41), nullable=False),
        sa.Column("base_product", sa.String(41)),
        sa.Column("base_version", sa.Integer()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("proposal_id", sa.String(32)),
        sa.Column("made_by", sa.String(32), nullable=False),
        sa.Column("made_at", _INSTANT, nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_product_drafts"),
        sa.ForeignKeyConstraint(["proposal_id"], ["product_proposals.id"], name="fk_product_drafts_proposal_id"),
        sa.ForeignKeyConstraint(["made_by"], ["users.id"], name="fk_product_drafts_made_by"),
    )
    op.create_index("ix_product_drafts_product", "product_drafts", ["product"])
    op.create_index("ix_product_drafts_proposal_id", "product_drafts", ["proposal_id"])
    op.create_table(
        "draft_impacts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("draft_id", sa.String(32), nullable=False),
        sa.Column("text_digest", sa.String(64), nullable=False),
        sa.Column("product", sa.String(41), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", _JSON, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("replayed", sa.Integer(), nullable=False),
        sa.Column("whole", sa.Integer(), nullable=False),
        sa.Column("result", _JSON),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(32), nullable=False),
        sa.Column("asked_at", _INSTANT, nullable=False),
        sa.Column("as_of", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_draft_impacts"),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["product_drafts.id"], name="fk_draft_impacts_draft_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name="fk_draft_impacts_asked_by"),
    )
    op.create_index("ix_draft_impacts_draft_id", "draft_impacts", ["draft_id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_draft_impacts_waiting", "draft_impacts", ["asked_at"], postgresql_where=waiting)
    op.create_index(
        "uq_draft_impacts_waiting",
        "draft_impacts",
        ["draft_id", "text_digest", "version"],
        unique=True,
        postgresql_where=waiting,
    )


def downgrade() -> None:
    op.drop_table("draft_impacts")
    op.drop_table("product_drafts")
