"""Service clocks: the policy, an injected clock, events and timers of tickets, and by when people decide."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0062"
down_revision = "0060"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "service_policies",
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_service_policies"),
    )
    op.create_table(
        "service_time",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("moved", sa.Interval(), nullable=False),
        sa.Column("follows_market", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_time"),
        sa.CheckConstraint("id = 1", name="ck_service_time_one_row"),
    )
    op.execute("""
        CREATE FUNCTION service_now() RETURNS timestamptz LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
            SELECT coalesce(
                (SELECT CASE WHEN follows_market THEN (SELECT min(watermark) FROM market_clock)
                             ELSE clock_timestamp() + moved END FROM service_time),
                clock_timestamp())
        $$
    """)
    _clocks()
    op.create_table(
        "service_deadlines",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("policy_number", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.PrimaryKeyConstraint("kind", "subject_id", name="pk_service_deadlines"),
    )
    op.create_index(
        "ix_service_deadlines_policy",
        "service_deadlines",
        ["policy_number"],
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    for table in ("service_policies", "ticket_clock_events"):
        for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH {each} EXECUTE FUNCTION refuse_change()"
            )


def _clocks() -> None:
    op.create_table(
        "ticket_clock_events",
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=True),
        sa.Column("clock", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("target_minutes", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ticket_clock_events"),
        *_owner("ticket_clock_events"),
    )
    op.create_index("ix_ticket_clock_events_ticket", "ticket_clock_events", ["ticket_id", "number"])
    op.create_table(
        "ticket_clocks",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("clock", sa.String(16), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("policy_number", sa.BigInteger(), nullable=False),
        sa.Column("due_at", _INSTANT),
        sa.Column("breached_at", _INSTANT),
        sa.PrimaryKeyConstraint("ticket_id", "clock", name="pk_ticket_clocks"),
        *_owner("ticket_clocks"),
    )
    op.create_index(
        "ix_ticket_clocks_counting", "ticket_clocks", ["policy_number"],
        postgresql_where=sa.text("status IN ('running', 'paused')"),
    )  # fmt: skip
    op.create_table(
        "ticket_timers",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("clock", sa.String(16), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=True),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("fired_at", _INSTANT),
        sa.Column("outcome", sa.String(8)),
        sa.PrimaryKeyConstraint("ticket_id", "clock", "generation", name="pk_ticket_timers"),
        *_owner("ticket_timers"),
    )
    op.create_index("ix_ticket_timers_due", "ticket_timers", ["due_at"], postgresql_where=sa.text("fired_at IS NULL"))


def _owner(table: str) -> tuple[sa.ForeignKeyConstraint, ...]:
    return (
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=f"fk_{table}_ticket_id"),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=f"fk_{table}_trader_id"),
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION service_now()")
    for table in (
        "service_deadlines", "ticket_timers", "ticket_clocks", "ticket_clock_events", "service_time", "service_policies",
    ):  # fmt: skip
        op.drop_table(table)
