"""Notifications: what people are told, their choices, and the texts.

Business events that are there already count as told: an upgrade tells nobody of the past.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0088"
down_revision = "0087"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("business_events", sa.Column("told", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.alter_column("business_events", "told", server_default=sa.false())
    op.create_index("ix_business_events_untold", "business_events", ["seq"], postgresql_where=sa.text("NOT told"))
    op.add_column("outgoing_mails", sa.Column("html", sa.LargeBinary()))
    op.add_column("outgoing_mails", sa.Column("unsubscribe", sa.LargeBinary()))
    op.create_table(
        "notification_texts",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_notification_texts"),
    )
    _notifications()
    op.create_table(
        "notification_choices",
        sa.Column("owner_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("trader_id", sa.String(32)),
        sa.Column("off", _JSON, nullable=False),
        sa.Column("changed_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "kind", name="pk_notification_choices"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_notification_choices_trader_id"),
    )
    op.create_table(
        "work_reminders",
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("step", sa.String(8), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("told_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", "step", "due_at", "user_id", name="pk_work_reminders"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_work_reminders_user_id"),
    )
    op.create_index("ix_work_reminders_told_at", "work_reminders", ["told_at"])


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(140), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("trader_id", sa.String(32)),
        sa.Column("user_id", sa.String(32)),
        sa.Column("topic", sa.String(120)),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("short", sa.LargeBinary(), nullable=False),
        sa.Column("href", sa.String(200), nullable=False),
        sa.Column("mail_id", sa.String(32)),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("read_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=_NOW, nullable=False),
        sa.CheckConstraint("(trader_id IS NULL) <> (user_id IS NULL)", name="ck_notifications_whose"),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("key", name="uq_notifications_key"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_notifications_trader_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notifications_user_id"),
    )
    for name, columns, where in (
        ("trader", ["trader_id", "id"], "trader_id IS NOT NULL AND shown"),
        ("user", ["user_id", "id"], "user_id IS NOT NULL AND shown"),
        ("unread_trader", ["trader_id"], "read_at IS NULL AND shown"),
        ("unread_user", ["user_id"], "read_at IS NULL AND shown"),
        ("topic", ["topic"], "topic IS NOT NULL"),
        ("read", ["read_at"], "read_at IS NOT NULL"),
    ):
        op.create_index(f"ix_notifications_{name}", "notifications", columns, postgresql_where=sa.text(where))


def downgrade() -> None:
    for table in ("work_reminders", "notification_choices", "notifications", "notification_texts"):
        op.drop_table(table)
    op.drop_column("outgoing_mails", "unsubscribe")
    op.drop_column("outgoing_mails", "html")
    op.drop_index("ix_business_events_untold", "business_events")
    op.drop_column("business_events", "told")
