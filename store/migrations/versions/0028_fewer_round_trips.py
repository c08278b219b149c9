"""An audit entry takes its number and finds its predecessor in one round trip, behind the locks of both.

Also the indexes of pages that read what waits among rows that pile up.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_inbox_parked": ("inbox", "parked_at", "parked_at IS NOT NULL AND handled_at IS NULL"),
    "ix_outbox_parked": ("outbox", "parked_at", "parked_at IS NOT NULL AND dispatched_at IS NULL"),
    "ix_payouts_open": ("payouts", "state", "closed_at IS NULL"),
    "ix_payouts_closed_at": ("payouts", "closed_at", "closed_at IS NOT NULL"),
    "ix_breaches_newest": ("breaches", "occurred_at, id", ""),
    "ix_breaches_locked_at": ("breaches", "locked_at", "locked_at IS NOT NULL"),
    "ix_phase_passes_newest": ("phase_passes", "occurred_at", ""),
}


def upgrade() -> None:
    # Each statement of a volatile function has a snapshot of its own: the last entry is read after the locks are held.
    op.execute("""
        CREATE FUNCTION audit_tail(writers integer, kind text, subject text, OUT seq bigint, OUT previous text)
        LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(writers);
            PERFORM pg_advisory_xact_lock(writers, hashtext(kind || '/' || subject));
            seq := nextval('audit_seq');
            SELECT a.digest INTO previous FROM audit_log a
             WHERE a.subject_kind = kind AND a.subject_id = subject ORDER BY a.seq DESC LIMIT 1;
        END $$
    """)
    for name, (table, columns, where) in _INDEXES.items():
        op.create_index(name, table, columns.split(", "), postgresql_where=sa.text(where) if where else None)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name)
    op.execute("DROP FUNCTION audit_tail(integer, text, text)")
