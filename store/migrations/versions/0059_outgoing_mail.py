"""Mail that the firm sends, and addresses that take none any more."""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "outgoing_mails",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("recipient_index", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("ticket_id", sa.String(32)),
        sa.Column("ticket_message_id", sa.String(32)),
        sa.Column("state", sa.String(16), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("message_id", sa.String(320)),
        sa.Column("error", sa.LargeBinary()),
        sa.Column("sent_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outgoing_mails"),
        sa.UniqueConstraint("key", name="uq_outgoing_mails_key"),
        sa.UniqueConstraint("message_id", name="uq_outgoing_mails_message_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name="fk_outgoing_mails_ticket_id"),
        sa.ForeignKeyConstraint(
            ["ticket_message_id"], ["ticket_messages.id"], name="fk_outgoing_mails_ticket_message_id"
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'refused', 'undeliverable', 'bounced')", name="ck_outgoing_mails_state"
        ),
    )
    op.create_index("ix_outgoing_mails_recipient", "outgoing_mails", ["recipient_index"])
    op.create_index("ix_outgoing_mails_recorded", "outgoing_mails", ["recorded_at"])
    op.create_index(
        "ix_outgoing_mails_ticket", "outgoing_mails", ["ticket_id"], postgresql_where=sa.text("ticket_id IS NOT NULL")
    )
    op.create_table(
        "mail_addresses",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("address_index", sa.Text(), nullable=False),
        sa.Column("code", sa.String(16), nullable=False),
        sa.Column("mail_id", sa.String(32)),
        sa.Column("marked_at", _INSTANT, server_default=now, nullable=False),
        sa.Column("cleared_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_mail_addresses"),
        sa.UniqueConstraint("address_index", name="uq_mail_addresses_address_index"),
        sa.ForeignKeyConstraint(["mail_id"], ["outgoing_mails.id"], name="fk_mail_addresses_mail_id"),
    )


def downgrade() -> None:
    op.drop_table("mail_addresses")
    op.drop_table("outgoing_mails")
