"""Mail that came in, and tickets of people who are not traders."""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.alter_column("tickets", "trader_id", nullable=True)
    op.add_column("tickets", sa.Column("contact", sa.LargeBinary()))
    op.add_column("tickets", sa.Column("linked_to", sa.String(32)))
    op.create_foreign_key("fk_tickets_linked_to", "tickets", "tickets", ["linked_to"], ["id"])
    op.create_check_constraint("ck_tickets_whose", "tickets", "(trader_id IS NULL) <> (contact IS NULL)")
    op.create_check_constraint(
        "ck_tickets_no_context", "tickets", "contact IS NULL OR (account_id IS NULL AND payout_id IS NULL)"
    )
    op.alter_column("ticket_messages", "author_id", nullable=True)
    _mails()
    _files()


def _mails() -> None:
    op.create_table(
        "incoming_mails",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("door", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("why", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("message_id", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("sender_index", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("whole", sa.LargeBinary(), nullable=False),
        sa.Column("left_out", sa.LargeBinary(), nullable=False),
        sa.Column("reference_ids", sa.LargeBinary(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("named", sa.String(32)),
        sa.Column("ticket_id", sa.String(32)),
        sa.Column("ticket_message_id", sa.String(32)),
        sa.Column("received_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incoming_mails"),
        sa.UniqueConstraint("digest", name="uq_incoming_mails_digest"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_incoming_mails_ticket_id"),
        sa.ForeignKeyConstraint(
            ["ticket_message_id"], ["ticket_messages.id"], name="fk_incoming_mails_ticket_message_id"
        ),
        sa.CheckConstraint(
            "state IN ('ticket', 'automatic', 'bounce', 'ours', 'held')", name="ck_incoming_mails_state"
        ),
    )
    op.create_index("ix_incoming_mails_sender", "incoming_mails", ["sender_index", "received_at"])
    op.create_index(
        "ix_incoming_mails_ticket", "incoming_mails", ["ticket_id"], postgresql_where=sa.text("ticket_id IS NOT NULL")
    )
    op.create_index(
        "ix_incoming_mails_held", "incoming_mails", ["received_at"], postgresql_where=sa.text("state = 'held'")
    )
    op.create_table(
        "mail_references",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("value_index", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mail_references"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_mail_references_ticket_id"),
    )
    op.create_index("ix_mail_references_value", "mail_references", ["value_index"])
    op.create_index("ix_mail_references_ticket", "mail_references", ["ticket_id"])


def _files() -> None:
    op.create_table(
        "mail_attachments",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("mail_id", sa.String(32), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mail_attachments"),
        sa.ForeignKeyConstraint(["mail_id"], ["incoming_mails.id"], name="fk_mail_attachments_mail_id"),
    )
    op.create_index("ix_mail_attachments_mail_id", "mail_attachments", ["mail_id"])
    op.create_table(
        "mail_attachment_parts",
        sa.Column("attachment_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("attachment_id", "number", name="pk_mail_attachment_parts"),
        sa.ForeignKeyConstraint(
            ["attachment_id"], ["mail_attachments.id"], name="fk_mail_attachment_parts_attachment_id"
        ),
    )


def downgrade() -> None:
    """Tickets of people who are not traders cannot stay: they have no trader."""
    for table in ("mail_attachment_parts", "mail_attachments", "mail_references", "incoming_mails"):
        op.drop_table(table)
    op.execute(
        "UPDATE outgoing_mails SET ticket_id = NULL, ticket_message_id = NULL WHERE ticket_id IN"
        " (SELECT id FROM tickets WHERE trader_id IS NULL)"
    )
    op.execute("DELETE FROM ticket_messages WHERE ticket_id IN (SELECT id FROM tickets WHERE trader_id IS NULL)")
    op.execute("UPDATE tickets SET linked_to = NULL")
    op.execute("DELETE FROM tickets WHERE trader_id IS NULL")
    op.alter_column("ticket_messages", "author_id", nullable=False)
    op.drop_constraint("ck_tickets_no_context", "tickets")
    op.drop_constraint("ck_tickets_whose", "tickets")
    op.drop_constraint("fk_tickets_linked_to", "tickets")
    op.drop_column("tickets", "linked_to")
    op.drop_column("tickets", "contact")
    op.alter_column("tickets", "trader_id", nullable=False)
