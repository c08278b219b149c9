"""Old mails can be removed: their files go with them, and an address that was marked by one stays marked."""

from alembic import op

revision = "0075"
down_revision = "0073"
branch_labels = None
depends_on = None

_KEYS = (
    ("mail_attachments", "mail_id", "incoming_mails", "CASCADE"),
    ("mail_attachment_parts", "attachment_id", "mail_attachments", "CASCADE"),
    ("mail_addresses", "mail_id", "outgoing_mails", "SET NULL"),
)


def upgrade() -> None:
    _refer(on_delete=True)


def downgrade() -> None:
    _refer(on_delete=False)


def _refer(*, on_delete: bool) -> None:
    for table, column, referred, then in _KEYS:
        name = f"fk_{table}_{column}"
        op.drop_constraint(name, table, type_="foreignkey")
        op.create_foreign_key(name, table, referred, [column], ["id"], ondelete=then if on_delete else None)
