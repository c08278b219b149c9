"""Business events: what programs of others are told of, written by the database in the transaction of the change.

The audit log is where nearly every change of the firm arrives, so one trigger on it makes nearly every event; which
action is which event is a table that `propos migrate` writes from the catalogue in the code. What the monitor and the
lifecycle write without an audit entry has a trigger of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

# table -> (trigger, kind, kind of subject, id of subject, trader, account, challenge, time)
_OF_ROWS = {
    "traders": (
        "INSERT ON traders",
        "trader.signed_up",
        "trader",
        "NEW.id",
        "NEW.id",
        "NULL",
        "NULL",
        "NEW.created_at",
    ),
    "chargebacks": (
        *("INSERT ON chargebacks", "chargeback.opened", "chargeback", "NEW.id"),
        *("NEW.trader_id", "NULL", "NEW.challenge_id", "NEW.opened_at"),
    ),
    "accounts": (
        *("UPDATE OF status ON accounts", "account.opened", "account", "NEW.id"),
        *("NEW.trader_id", "NEW.id", "NEW.challenge_id", "coalesce(NEW.opened_at, clock_timestamp())"),
    ),
    "warnings": (
        *("INSERT ON warnings", "account.warning", "account", "NEW.account_id"),
        *("(SELECT a.trader_id FROM accounts a WHERE a.id = NEW.account_id)", "NEW.account_id"),
        *("(SELECT a.challenge_id FROM accounts a WHERE a.id = NEW.account_id)", "NEW.at"),
    ),
    "breaches": (
        *("INSERT ON breaches", "account.breached", "breach", "NEW.id"),
        *("(SELECT a.trader_id FROM accounts a WHERE a.id = NEW.account_id)", "NEW.account_id"),
        *("NEW.challenge_id", "NEW.occurred_at"),
    ),
    "phase_passes": (
        *("INSERT ON phase_passes", "phase.passed", "account", "NEW.account_id"),
        *("(SELECT a.trader_id FROM accounts a WHERE a.id = NEW.account_id)", "NEW.account_id"),
        *("NEW.challenge_id", "NEW.occurred_at"),
    ),
}
_WHEN = {"accounts": "WHEN (OLD.status = 'opening' AND NEW.status = 'active')"}


def upgrade() -> None:
    _tables()
    op.execute("""
        CREATE FUNCTION emit_event(kind text, subject_kind text, subject_id text, trader text, account text,
                                   challenge text, occurred_at timestamptz) RETURNS text
        LANGUAGE sql SET search_path = pg_catalog, public AS $$
            INSERT INTO business_events (id, kind, subject_kind, subject_id, trader_id, account_id, challenge_id,
                                         occurred_at)
            VALUES ('evt_' || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
                           || substr(replace(gen_random_uuid()::text, '-', ''), 1, 14),
                    $1, $2, $3, $4, $5, $6, $7)
            RETURNING id
        $$
    """)
    op.execute("""
        CREATE FUNCTION emit_of_audit() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        DECLARE
            event_kind text;
            trader text;
            account text;
            challenge text;
        BEGIN
            SELECT s.kind INTO event_kind FROM event_sources s WHERE s.action = NEW.action;
            IF event_kind IS NULL THEN
                RETURN NULL;
            END IF;
            CASE NEW.subject_kind
                WHEN 'trader' THEN trader := NEW.subject_id;
                WHEN 'challenge' THEN
                    SELECT c.trader_id, c.account_id, c.id INTO trader, account, challenge
                      FROM challenges c WHERE c.id = NEW.subject_id;
                WHEN 'payout' THEN
                    SELECT p.trader_id, p.account_id, p.challenge_id INTO trader, account, challenge
                      FROM payouts p WHERE p.id = NEW.subject_id;
                WHEN 'ticket' THEN
                    SELECT t.trader_id, t.account_id INTO trader, account FROM tickets t WHERE t.id = NEW.subject_id;
                WHEN 'dispute' THEN
                    SELECT d.trader_id, d.account_id, d.challenge_id INTO trader, account, challenge
                      FROM disputes d WHERE d.id = NEW.subject_id;
                WHEN 'chargeback' THEN
                    SELECT b.trader_id, b.challenge_id INTO trader, challenge
                      FROM chargebacks b WHERE b.id = NEW.subject_id;
                ELSE NULL;
            END CASE;
            PERFORM emit_event(event_kind, NEW.subject_kind, NEW.subject_id, trader, account, challenge,
                               NEW.occurred_at);
            RETURN NULL;
        END $$
    """)
    op.execute("CREATE TRIGGER emit AFTER INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION emit_of_audit()")
    for table, (on, *values) in _OF_ROWS.items():
        kind, subject_kind, *expressions = values
        op.execute(
            f"CREATE FUNCTION emit_of_{table}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public"
            f" AS $$ BEGIN PERFORM emit_event('{kind}', '{subject_kind}', {', '.join(expressions)}); RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER emit AFTER {on} FOR EACH ROW {_WHEN.get(table, '')} EXECUTE FUNCTION emit_of_{table}()"
        )


def _tables() -> None:
    op.create_table(
        "event_sources",
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("action", name=op.f("pk_event_sources")),
    )
    op.create_table(
        "business_events",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=80), nullable=False),
        sa.Column("trader_id", sa.String(length=32), nullable=True),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("challenge_id", sa.String(length=32), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_business_events")),
        sa.UniqueConstraint("seq", name=op.f("uq_business_events_seq")),
    )
    op.create_index("ix_business_events_kind", "business_events", ["kind", "seq"])
    op.create_index(op.f("ix_business_events_recorded_at"), "business_events", ["recorded_at"])


def downgrade() -> None:
    for table in _OF_ROWS:
        op.execute(f"DROP TRIGGER emit ON {table}")
        op.execute(f"DROP FUNCTION emit_of_{table}()")
    op.execute("DROP TRIGGER emit ON audit_log")
    op.execute("DROP FUNCTION emit_of_audit()")
    op.execute("DROP FUNCTION emit_event")
    op.drop_table("business_events")
    op.drop_table("event_sources")
