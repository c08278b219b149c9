"""An inbox event is announced only when no earlier one waits.

A transaction that notifies commits alone in its database, so each commit waits for the disk writes of those before it.
Webhooks come by the hundreds at once. While an event waits, its own announcement reaches the relay, which goes on until
nothing waits; an event that commits in the middle of that is found when the relay looks without being told.
"""

from alembic import op

revision = "0031"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION announce_inbox() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM inbox
                            WHERE handled_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp()
                              AND id < (SELECT min(id) FROM fresh)) THEN
                PERFORM pg_notify('relay', TG_TABLE_NAME);
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("DROP TRIGGER announce ON inbox")
    op.execute("""
        CREATE TRIGGER announce AFTER INSERT ON inbox REFERENCING NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION announce_inbox()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER announce ON inbox")
    op.execute("DROP FUNCTION announce_inbox()")
    op.execute("CREATE TRIGGER announce AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION announce_outbox()")
