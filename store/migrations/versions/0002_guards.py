"""What the database itself guarantees: balanced ledger transactions and records that cannot be altered."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("ledger_transactions", "postings", "audit_log", "products", "proofs", "transitions", "decisions")


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: write a new row instead', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END $$
    """)
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    # Checked at commit, so that the lines of one transaction may arrive one by one. The transaction's row must be
    # of the same database transaction: otherwise lines could be added to an old, balanced transaction later.
    op.execute("""
        CREATE FUNCTION ledger_balances() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE off record;
        BEGIN
            SELECT currency, sum(amount_minor) AS total INTO off FROM postings
             WHERE transaction_id = NEW.transaction_id GROUP BY currency HAVING sum(amount_minor) <> 0 LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'ledger transaction % is off by % %', NEW.transaction_id, off.total, off.currency
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON postings DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION ledger_balances()
    """)
    op.execute("""
        CREATE FUNCTION posting_is_fresh() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM ledger_transactions t
                            WHERE t.id = NEW.transaction_id AND t.xmin = pg_current_xact_id()::xid) THEN
                RAISE EXCEPTION 'ledger transaction % is closed: post a new one', NEW.transaction_id
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER fresh BEFORE INSERT ON postings FOR EACH ROW EXECUTE FUNCTION posting_is_fresh()
    """)
    op.execute("""
        CREATE FUNCTION announce_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('relay', TG_TABLE_NAME);
            RETURN NULL;
        END $$
    """)
    for table in ("outbox", "inbox"):
        op.execute(
            f"CREATE TRIGGER announce AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION announce_outbox()"
        )
