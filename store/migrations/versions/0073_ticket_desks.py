"""Tickets at the desk of a third party, and who wrote there."""

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.add_column("ticket_messages", sa.Column("desk_author", sa.LargeBinary()))
    op.alter_column("ticket_merges", "merged_by", nullable=True)
    op.create_table(
        "ticket_desks",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("read_until", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ticket_desks"),
    )
    op.create_table(
        "desk_tickets",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("desk", sa.String(40), nullable=False),
        sa.Column("trader_id", sa.String(32)),
        sa.Column("begun_at", _INSTANT, nullable=False),
        sa.Column("opened_id", sa.String(120)),
        sa.Column("now_id", sa.String(120)),
        sa.Column("customer_id", sa.String(120)),
        sa.Column("round", sa.Integer(), server_default="1", nullable=False),
        sa.Column("noted", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("written_at", _INSTANT),
        sa.Column("read_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", "desk", name="pk_desk_tickets"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_desk_tickets_ticket_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_desk_tickets_trader_id"),
    )
    op.create_index("ix_desk_tickets_opened", "desk_tickets", ["desk", "opened_id"])
    op.create_index("ix_desk_tickets_now", "desk_tickets", ["desk", "now_id"])
    op.create_table(
        "desk_articles",
        sa.Column("desk", sa.String(40), nullable=False),
        sa.Column("article_id", sa.String(120), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32)),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("desk", "article_id", name="pk_desk_articles"),
        sa.ForeignKeyConstraint(["message_id"], ["ticket_messages.id"], name="fk_desk_articles_message_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_desk_articles_trader_id"),
    )
    op.create_index("uq_desk_articles_message", "desk_articles", ["desk", "message_id"], unique=True)


def downgrade() -> None:
    """Merges that people made at a desk have nobody of ours who made them: they cannot stay."""
    for table in ("desk_articles", "desk_tickets", "ticket_desks"):
        op.drop_table(table)
    op.execute("DELETE FROM ticket_merges WHERE merged_by IS NULL")
    op.alter_column("ticket_merges", "merged_by", nullable=False)
    op.drop_column("ticket_messages", "desk_author")
