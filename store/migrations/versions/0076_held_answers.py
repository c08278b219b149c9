"""An answer can wait for some seconds before its mail leaves, and can be taken back until then."""

import sqlalchemy as sa
from alembic import op

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None

_STATES = ("waiting", "sent", "refused", "undeliverable", "bounced")


def upgrade() -> None:
    op.add_column("outgoing_mails", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    _allow(*_STATES, "withdrawn")
    op.create_index(
        "ix_ticket_messages_held", "ticket_messages", ["ticket_id"], postgresql_where=sa.text("kind = 'held'")
    )


def downgrade() -> None:
    """What was taken back was never sent, so that nothing of it stays. What still waits becomes a note."""
    op.drop_index("ix_ticket_messages_held", "ticket_messages")
    op.execute("UPDATE ticket_messages SET kind = 'note' WHERE kind = 'held'")
    op.execute("DELETE FROM outgoing_mails WHERE state = 'withdrawn'")
    _allow(*_STATES)
    op.drop_column("outgoing_mails", "not_before")


def _allow(*states: str) -> None:
    op.drop_constraint("ck_outgoing_mails_state", "outgoing_mails", type_="check")
    listed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint("ck_outgoing_mails_state", "outgoing_mails", f"state IN ({listed})")
