"""Lists of tickets by state, by trader and by deadline stay fast with very many tickets."""

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, list[str], str | None], ...] = (
    ("ix_tickets_newest", ["recorded_at", "id"], None),
    ("ix_tickets_state_newest", ["state", "recorded_at", "id"], None),
    ("ix_tickets_trader_newest", ["trader_id", "recorded_at", "id"], None),
    ("ix_tickets_due", ["due_at", "id"], "due_at IS NOT NULL"),
    ("ix_tickets_waiting", ["changed_at", "id"], "state = 'open' AND snoozed_at IS NULL"),
    ("ix_tickets_snoozed", ["recorded_at", "id"], "snoozed_at IS NOT NULL"),
    ("ix_tickets_claimed", ["assignee_id"], "assignee_id IS NOT NULL"),
)


def upgrade() -> None:
    for name, columns, condition in _INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "tickets", columns, postgresql_where=where)


def downgrade() -> None:
    for name, _, _ in _INDEXES:
        op.drop_index(name, "tickets")
