"""Events of a desk are announced apart from the others, and resets of a balance that were given up are found quickly.

A backlog of a slow desk was an earlier event that waits, so payments were not announced beside it.
"""

from alembic import op

revision = "0078"
down_revision = "0076"
branch_labels = None
depends_on = None

_WAITS = "handled_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp()"


def upgrade() -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION announce_inbox() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, public AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM (SELECT min(id) AS first FROM fresh WHERE kind = 'ticket.changed') AS arrived
                 WHERE first IS NOT NULL
                   AND NOT EXISTS (SELECT FROM inbox WHERE {_WAITS} AND kind = 'ticket.changed' AND id < first)
            ) OR EXISTS (
                SELECT FROM (SELECT min(id) AS first FROM fresh WHERE kind <> 'ticket.changed') AS arrived
                 WHERE first IS NOT NULL
                   AND NOT EXISTS (SELECT FROM inbox WHERE {_WAITS} AND kind <> 'ticket.changed' AND id < first)
            ) THEN
                PERFORM pg_notify('relay', TG_TABLE_NAME);
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute(
        "CREATE INDEX ix_inbox_waiting_money ON inbox (id)"
        " WHERE handled_at IS NULL AND parked_at IS NULL AND kind <> 'ticket.changed'"
    )
    op.execute(
        "CREATE INDEX ix_outbox_resets_parked ON outbox (parked_at)"
        " WHERE parked_at IS NOT NULL AND topic = 'venue.reset_balance'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_outbox_resets_parked")
    op.execute("DROP INDEX ix_inbox_waiting_money")
    op.execute(f"""
        CREATE OR REPLACE FUNCTION announce_inbox() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, public AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM inbox WHERE {_WAITS} AND id < (SELECT min(id) FROM fresh)) THEN
                PERFORM pg_notify('relay', TG_TABLE_NAME);
            END IF;
            RETURN NULL;
        END $$
    """)
