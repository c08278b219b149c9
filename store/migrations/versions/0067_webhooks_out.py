"""Business events leave as webhooks: endpoints, their secrets, deliveries and every try."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None


def _time(name: str, *, needed: bool = False, made: bool = False) -> "sa.Column[datetime]":
    default = sa.text("clock_timestamp()") if made else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not (needed or made))


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("kinds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("why", sa.String(length=8), server_default="", nullable=False),
        _time("failing_since"),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        _time("created_at", made=True),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_webhook_endpoints_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("endpoint_id", sa.String(length=32), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        _time("expires_at"),
        _time("recorded_at", made=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_secrets_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index(op.f("ix_webhook_secrets_endpoint_id"), "webhook_secrets", ["endpoint_id"])
    _deliveries()
    # In the transaction of the change: an event and what is to be sent of it are there together, or not at all.
    op.execute("""
        CREATE FUNCTION queue_webhooks() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            INSERT INTO webhook_deliveries (endpoint_id, event_id, state, next_at)
            SELECT e.id, NEW.id, 'waiting', clock_timestamp() FROM webhook_endpoints e
             WHERE e.state = 'enabled' AND e.kinds ?| ARRAY[NEW.kind, '*'];
            RETURN NULL;
        END $$
    """)
    op.execute(
        "CREATE TRIGGER queue_webhooks AFTER INSERT ON business_events FOR EACH ROW WHEN (NEW.subject_kind <> 'endpoint')"
        " EXECUTE FUNCTION queue_webhooks()"
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("endpoint_id", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        _time("next_at", needed=True),
        _time("done_at"),
        _time("recorded_at", made=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["business_events.id"], name=op.f("fk_webhook_deliveries_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("endpoint_id", "event_id", name=op.f("uq_webhook_deliveries_endpoint_id")),
    )
    op.create_index(
        "ix_webhook_deliveries_waiting",
        "webhook_deliveries",
        ["endpoint_id", "next_at"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_webhook_deliveries_event", "webhook_deliveries", ["event_id"])
    op.create_table(
        "webhook_tries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(length=120), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        _time("at", made=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["webhook_deliveries.id"], name=op.f("fk_webhook_tries_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_tries")),
    )
    op.create_index(op.f("ix_webhook_tries_delivery_id"), "webhook_tries", ["delivery_id"])


def downgrade() -> None:
    op.execute("DROP TRIGGER queue_webhooks ON business_events")
    op.execute("DROP FUNCTION queue_webhooks()")
    for table in ("webhook_tries", "webhook_deliveries", "webhook_secrets", "webhook_endpoints"):
        op.drop_table(table)
