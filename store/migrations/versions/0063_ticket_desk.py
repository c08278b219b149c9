"""The ticket desk: notes, claims, snoozing, merging, macros and ratings."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_COLUMNS: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("opened_by", sa.String(32)),
    ("merged_into", sa.String(32)),
    ("root_id", sa.String(32)),
    ("due_at", _INSTANT),
    ("snoozed_at", _INSTANT),
    ("snoozed_until", _INSTANT),
    ("last_snoozed_until", _INSTANT),
    ("assignee_id", sa.String(32)),
    ("lease_until", _INSTANT),
)
_COUNTS = ("solved_times", "snoozes")
_KEYS = (("opened_by", "users"), ("merged_into", "tickets"), ("root_id", "tickets"), ("assignee_id", "users"))


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("tickets", sa.Column(name, kind))
    for name in _COUNTS:
        op.add_column("tickets", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    for name, target in _KEYS:
        op.create_foreign_key(f"fk_tickets_{name}", "tickets", target, [name], ["id"])
    op.create_index("ix_tickets_root_id", "tickets", ["root_id"])
    op.add_column("ticket_messages", sa.Column("kind", sa.String(8), server_default="public", nullable=False))
    op.add_column("ticket_messages", sa.Column("automatic", sa.Boolean(), server_default="false", nullable=False))
    op.create_table(
        "ticket_merges",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("source_id", sa.String(32), nullable=False),
        sa.Column("target_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("from_state", sa.String(24), nullable=False),
        sa.Column("merged_by", sa.String(32), nullable=False),
        sa.Column("merged_at", _INSTANT, nullable=False),
        sa.Column("undone_by", sa.String(32)),
        sa.Column("undone_at", _INSTANT),
        _recorded(),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_merges"),
        *_refers("ticket_merges", source_id="tickets", target_id="tickets", trader_id="traders"),
        *_refers("ticket_merges", merged_by="users", undone_by="users"),
    )
    undone = sa.text("undone_at IS NULL")
    op.create_index("uq_ticket_merges_source", "ticket_merges", ["source_id"], unique=True, postgresql_where=undone)
    op.create_index("ix_ticket_merges_target", "ticket_merges", ["target_id"])
    op.create_table(
        "ticket_looks",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("seen_at", _INSTANT, nullable=False),
        sa.Column("writing", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", "user_id", name="pk_ticket_looks"),
        *_refers("ticket_looks", ticket_id="tickets", user_id="users"),
    )
    _macros()
    op.create_table(
        "ticket_ratings",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("comment", sa.LargeBinary()),
        sa.Column("given_at", _INSTANT, nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("ticket_id", "round", name="pk_ticket_ratings"),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="ck_ticket_ratings_score"),
        *_refers("ticket_ratings", ticket_id="tickets", trader_id="traders"),
    )


def _macros() -> None:
    op.create_table(
        "ticket_macros",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.String(32), nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.Column("retired_at", _INSTANT),
        _recorded(),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_macros"),
        *_refers("ticket_macros", changed_by="users"),
    )
    in_use = sa.text("retired_at IS NULL")
    op.create_index(
        "uq_ticket_macros_name", "ticket_macros", [sa.text("lower(name)")], unique=True, postgresql_where=in_use
    )
    op.create_table(
        "ticket_fills",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("macro_id", sa.String(32), nullable=False),
        sa.Column("macro_version", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("as_of", _INSTANT, nullable=False),
        sa.Column("message_id", sa.String(32)),
        _recorded(),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_fills"),
        *_refers("ticket_fills", ticket_id="tickets", trader_id="traders", macro_id="ticket_macros", user_id="users"),
        *_refers("ticket_fills", message_id="ticket_messages"),
    )
    op.create_index("ix_ticket_fills_message", "ticket_fills", ["message_id"])
    op.create_index("ix_ticket_fills_ticket", "ticket_fills", ["ticket_id"])


def _recorded() -> sa.Column[Any]:
    return sa.Column("recorded_at", _INSTANT, server_default=sa.func.clock_timestamp(), nullable=False)


def _refers(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([name], [f"{target}.id"], name=f"fk_{table}_{name}") for name, target in columns.items()
    ]


def downgrade() -> None:
    for table in ("ticket_ratings", "ticket_fills", "ticket_macros", "ticket_looks", "ticket_merges"):
        op.drop_table(table)
    for name in ("kind", "automatic"):
        op.drop_column("ticket_messages", name)
    for name in (*_COUNTS, *(name for name, _ in reversed(_COLUMNS))):
        op.drop_column("tickets", name)
