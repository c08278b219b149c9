"""Accounts and currencies as tables, kept balances, pending lines, sealed periods, and the functions that an application
without ownership needs.

Entries of earlier versions stay as they are. Their accounts become rows, and their sums the first kept balances.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from domain.currencies import DIGITS
from domain.errors import Conflict

revision = "0021"
down_revision = "0026"
branch_labels = None
depends_on = None

# Every account that versions before this one posted to.
_EARLIER = (
    ("provider", "asset", "debit", "Cash at a provider or bank", True),
    ("fees", "income", "credit", "Revenue from fees", False),
    ("suspense", "liability", "credit", "Money received that was not due", False),
    ("trader-payable", "liability", "credit", "Payouts payable to traders", False),
    ("payout-expense", "expense", "debit", "Profit shares of traders", False),
    ("chargebacks", "expense", "debit", "Losses from chargebacks", False),
    ("account-profit", "memorandum", "debit", "Profit that left trading accounts", False),
    ("forfeited-profit", "memorandum", "credit", "Profit that was paid to nobody", False),
)
_SAFE = "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"


def upgrade() -> None:
    _make_accounts()
    _extend_entries()
    _make_balances()
    _make_periods()
    _make_seal()
    _guard_entries()
    _make_part_functions()


def _make_accounts() -> None:
    currencies = op.create_table(
        "currencies",
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("digits", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_currencies")),
    )
    accounts = op.create_table(
        "ledger_accounts",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("type", sa.String(length=12), nullable=False),
        sa.Column("normal", sa.String(length=6), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("per_connection", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ledger_accounts")),
        sa.CheckConstraint("type IN ('asset', 'liability', 'income', 'expense', 'memorandum')", name="type"),
        sa.CheckConstraint("normal IN ('debit', 'credit')", name="normal"),
    )
    op.bulk_insert(currencies, [{"code": code, "digits": digits} for code, digits in sorted(DIGITS.items())])
    names = ("name", "type", "normal", "title", "per_connection")
    op.bulk_insert(accounts, [dict(zip(names, row, strict=True)) for row in _EARLIER])
    op.execute("""
        INSERT INTO ledger_accounts (name, type, normal, title)
        SELECT p.account, f.type, f.normal, f.title || ': ' || split_part(p.account, ':', 2)
          FROM (SELECT DISTINCT account FROM postings WHERE account LIKE '%:%') p
          JOIN ledger_accounts f ON f.name = split_part(p.account, ':', 1) AND f.per_connection
    """)
    unknown = op.get_bind().scalar(
        sa.text(
            "SELECT min(account || ' in ' || currency) FROM postings WHERE currency NOT IN (SELECT code FROM currencies)"
            " OR account NOT IN (SELECT name FROM ledger_accounts)"
        )
    )
    if unknown is not None:
        raise Conflict(f"The books have postings to {unknown}, which no earlier version made.")


def _extend_entries() -> None:
    op.add_column("ledger_transactions", sa.Column("lines", sa.SmallInteger(), nullable=True))
    op.add_column("ledger_transactions", sa.Column("evidence", postgresql.JSONB(), nullable=True))
    op.create_index(op.f("ix_ledger_transactions_occurred_at"), "ledger_transactions", ["occurred_at"])
    op.add_column("postings", sa.Column("layer", sa.String(length=8), server_default="posted", nullable=False))
    op.create_check_constraint("layer", "postings", "layer IN ('posted', 'pending')")
    op.create_foreign_key(op.f("fk_postings_account"), "postings", "ledger_accounts", ["account"], ["name"])
    op.create_foreign_key(op.f("fk_postings_currency"), "postings", "currencies", ["currency"], ["code"])
    op.drop_index("ix_postings_account", "postings")
    op.create_index("ix_postings_account", "postings", ["account", "currency", "layer", "id"])


def _make_balances() -> None:
    op.create_table(
        "ledger_balances",
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("currency", sa.String(length=4), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("debit_minor", "credit_minor", "pending_minor")
        ),
        sa.PrimaryKeyConstraint("account", "currency", "slot", name=op.f("pk_ledger_balances")),
        sa.ForeignKeyConstraint(["account"], ["ledger_accounts.name"], name=op.f("fk_ledger_balances_account")),
        sa.ForeignKeyConstraint(["currency"], ["currencies.code"], name=op.f("fk_ledger_balances_currency")),
    )
    op.execute("ALTER TABLE ledger_balances SET (fillfactor = 50)")  # each posting updates a row in place
    op.execute("""
        INSERT INTO ledger_balances (account, currency, slot, debit_minor, credit_minor, pending_minor)
        SELECT account, currency, 0, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0),
               coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0), 0
          FROM postings GROUP BY account, currency
    """)


def _make_periods() -> None:
    op.create_table(
        "ledger_periods",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("entries_hash", sa.String(length=64), nullable=False),
        sa.Column("balances", postgresql.JSONB(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_by", sa.String(length=80), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_periods")),
        sa.UniqueConstraint("ends_at", name=op.f("uq_ledger_periods_ends_at")),
    )
    op.execute("""
        CREATE FUNCTION period_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE sealed timestamptz := (SELECT max(ends_at) FROM public.ledger_periods);
        BEGIN
            IF NEW.occurred_at < sealed THEN
                RAISE EXCEPTION 'the books are sealed until %: post into the open period', sealed
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER period_open BEFORE INSERT ON ledger_transactions FOR EACH ROW EXECUTE FUNCTION period_is_open()
    """)
    for table in ("ledger_periods", "ledger_accounts", "currencies"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _make_seal() -> None:
    # The hash of the entries of a period, each with its lines, in the order of their ids.
    op.execute("""
        CREATE FUNCTION ledger_entries_of(starts timestamptz, ends timestamptz, OUT entries bigint, OUT entries_hash text)
        LANGUAGE sql STABLE AS $$
            SELECT count(*), encode(sha256(coalesce(string_agg(e.hash, ''::bytea ORDER BY e.id), ''::bytea)), 'hex')
              FROM (SELECT t.id, sha256(convert_to(concat_ws('|', t.id, t.key, t.input_digest, t.kind, t.reference,
                           coalesce(t.reverses, 0), coalesce(t.evidence::text, ''), extract(epoch FROM t.occurred_at),
                           (SELECT string_agg(concat_ws(':', p.id, p.account, p.currency, p.layer, p.amount_minor), ','
                                              ORDER BY p.id)
                              FROM public.postings p WHERE p.transaction_id = t.id)), 'UTF8')) AS hash
                      FROM public.ledger_transactions t
                     WHERE t.occurred_at < ends AND (starts IS NULL OR t.occurred_at >= starts)) e
        $$
    """)
    # The closing balances: those of the period before, and the lines of this one. History before is not read again.
    op.execute("""
        CREATE FUNCTION ledger_balances_at(before jsonb, starts timestamptz, ends timestamptz) RETURNS jsonb
        LANGUAGE sql STABLE AS $$
            SELECT coalesce(jsonb_agg(jsonb_build_object('account', account, 'currency', currency,
                                      'posted_minor', posted, 'pending_minor', pending) ORDER BY account, currency), '[]')
              FROM (SELECT account, currency, sum(posted) AS posted, sum(pending) AS pending FROM (
                        SELECT account, currency, posted_minor AS posted, pending_minor AS pending
                          FROM jsonb_to_recordset(before)
                               AS b(account text, currency text, posted_minor bigint, pending_minor bigint)
                         UNION ALL
                        SELECT p.account, p.currency, CASE p.layer WHEN 'posted' THEN p.amount_minor ELSE 0 END,
                               CASE p.layer WHEN 'pending' THEN p.amount_minor ELSE 0 END
                          FROM public.postings p JOIN public.ledger_transactions t ON t.id = p.transaction_id
                         WHERE t.occurred_at < ends AND (starts IS NULL OR t.occurred_at >= starts)) moved
                     GROUP BY account, currency) closing
        $$
    """)
    op.execute("""
        CREATE FUNCTION ledger_period_hash(before text, starts timestamptz, ends timestamptz, entries_hash text,
                                           balances jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
            SELECT encode(sha256(convert_to(concat_ws('|', before, coalesce(extract(epoch FROM starts)::text, ''),
                          extract(epoch FROM ends), entries_hash, balances::text), 'UTF8')), 'hex')
        $$
    """)
    op.execute(f"""
        CREATE FUNCTION seal_ledger_period(ends timestamptz, sealed_by text) RETURNS integer
        LANGUAGE plpgsql {_SAFE} AS $$
        DECLARE last ledger_periods; done record; closing jsonb; chosen integer;
        BEGIN
            LOCK TABLE ledger_transactions IN SHARE ROW EXCLUSIVE MODE;  -- waits for entries that are being posted
            SELECT * INTO last FROM ledger_periods ORDER BY number DESC LIMIT 1;
            IF ends <= last.ends_at THEN
                RAISE EXCEPTION 'the books are already sealed until %', last.ends_at USING ERRCODE = 'restrict_violation';
            END IF;
            chosen := coalesce(last.number, 0) + 1;
            SELECT * INTO done FROM ledger_entries_of(last.ends_at, ends);
            closing := ledger_balances_at(coalesce(last.balances, '[]'), last.ends_at, ends);
            INSERT INTO ledger_periods (number, starts_at, ends_at, entries, entries_hash, balances, hash, sealed_by)
            VALUES (chosen, last.ends_at, ends, done.entries, done.entries_hash, closing,
                    ledger_period_hash(coalesce(last.hash, ''), last.ends_at, ends, done.entries_hash, closing),
                    sealed_by);
            RETURN chosen;
        END $$
    """)


def _guard_entries() -> None:
    op.execute("DROP TRIGGER balanced ON postings")
    op.execute("DROP TRIGGER fresh ON postings")
    op.execute("DROP FUNCTION ledger_balances(), posting_is_fresh()")
    _judge_lines()
    op.execute("""
        CREATE TRIGGER booked AFTER INSERT ON postings REFERENCING NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION book_lines()
    """)
    op.execute("""
        CREATE FUNCTION entry_has_lines() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM public.postings WHERE transaction_id = NEW.id) THEN
                RAISE EXCEPTION 'ledger transaction % has no lines', NEW.id USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER not_empty AFTER INSERT ON ledger_transactions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION entry_has_lines()
    """)
    op.execute(f"""
        CREATE FUNCTION ledger_account(wanted text) RETURNS text LANGUAGE plpgsql {_SAFE} AS $$
        BEGIN
            IF wanted ~ '^[a-z-]+:[a-z0-9][a-z0-9_.-]*$'
               AND NOT EXISTS (SELECT FROM ledger_accounts WHERE name = wanted) THEN
                INSERT INTO ledger_accounts (name, type, normal, title)
                SELECT wanted, type, normal, title || ': ' || split_part(wanted, ':', 2) FROM ledger_accounts
                 WHERE name = split_part(wanted, ':', 1) AND per_connection
                ON CONFLICT DO NOTHING;
            END IF;
            RETURN wanted;
        END $$
    """)


def _judge_lines() -> None:
    # The lines of an entry come in one statement, so they are judged at its end: in a savepoint, too.
    op.execute(f"""
        CREATE FUNCTION book_lines() RETURNS trigger LANGUAGE plpgsql {_SAFE} AS $$
        DECLARE bad record; chosen smallint; free boolean := false;
        BEGIN
            SELECT f.transaction_id INTO bad
              FROM (SELECT transaction_id, count(*) AS n FROM fresh GROUP BY transaction_id) f
              JOIN ledger_transactions t ON t.id = f.transaction_id
             WHERE t.lines IS DISTINCT FROM f.n
                OR (SELECT count(*) FROM postings p WHERE p.transaction_id = t.id) <> f.n LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'ledger transaction % is closed: all its lines come with it, in one statement',
                    bad.transaction_id USING ERRCODE = 'restrict_violation';
            END IF;
            SELECT transaction_id INTO bad FROM fresh WHERE amount_minor = 0 LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'ledger transaction % has a line of zero', bad.transaction_id
                    USING ERRCODE = 'check_violation';
            END IF;
            SELECT transaction_id, currency, sum(amount_minor) AS total INTO bad FROM fresh
             GROUP BY transaction_id, currency, layer HAVING sum(amount_minor) <> 0 LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'ledger transaction % is off by % %', bad.transaction_id, bad.total, bad.currency
                    USING ERRCODE = 'check_violation';
            END IF;
            SELECT f.transaction_id INTO bad FROM fresh f JOIN ledger_accounts a ON a.name = f.account
             GROUP BY f.transaction_id HAVING count(DISTINCT a.type = 'memorandum') > 1 LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'ledger transaction % mixes money with memorandum accounts', bad.transaction_id
                    USING ERRCODE = 'check_violation';
            END IF;
            SELECT f.transaction_id INTO bad FROM fresh f JOIN ledger_transactions t ON t.id = f.transaction_id
             WHERE f.account = 'fx-position' AND (t.evidence -> 'rate' IS NULL OR t.evidence -> 'source' IS NULL) LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'ledger transaction % exchanges currency without its rate', bad.transaction_id
                    USING ERRCODE = 'check_violation';
            END IF;
            -- A transaction takes a slot that no other one uses and keeps it to its end, so it waits for nobody.
            FOR i IN 0..63 LOOP
                chosen := (pg_backend_pid() + i) % 64;
                free := pg_try_advisory_xact_lock(7120021, chosen);
                EXIT WHEN free;
            END LOOP;
            IF NOT free THEN
                PERFORM pg_advisory_xact_lock(7120021, chosen);
            END IF;
            INSERT INTO ledger_balances AS b (account, currency, slot, debit_minor, credit_minor, pending_minor)
            SELECT account, currency, chosen,
                   coalesce(sum(amount_minor) FILTER (WHERE layer = 'posted' AND amount_minor > 0), 0),
                   coalesce(-sum(amount_minor) FILTER (WHERE layer = 'posted' AND amount_minor < 0), 0),
                   coalesce(sum(amount_minor) FILTER (WHERE layer = 'pending'), 0)
              FROM fresh GROUP BY account, currency ORDER BY account, currency
            ON CONFLICT (account, currency, slot) DO UPDATE
               SET debit_minor = b.debit_minor + excluded.debit_minor,
                   credit_minor = b.credit_minor + excluded.credit_minor,
                   pending_minor = b.pending_minor + excluded.pending_minor;
            RETURN NULL;
        END $$
    """)


def _make_part_functions() -> None:
    """The owner's rights for the two changes of tables that the relay makes."""
    op.execute(f"""
        CREATE FUNCTION make_part(parent text, part text, time_column text, starts text, ends text, sealed boolean)
        RETURNS integer LANGUAGE plpgsql {_SAFE} AS $$
        DECLARE rest text := parent || '_default'; has_rows boolean;
                within text := format('%I >= %L AND %I < %L', time_column, starts, time_column, ends);
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = parent::regclass) THEN
                RAISE EXCEPTION '% is not stored in parts', parent;
            END IF;
            -- who writes from here on waits before a part is chosen: a row chosen for the rest would be refused there
            EXECUTE format('LOCK TABLE ONLY %I IN SHARE ROW EXCLUSIVE MODE', parent);
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %s)', rest, within) INTO has_rows;
            IF has_rows AND sealed THEN
                RETURN 0;
            END IF;
            EXECUTE format('CREATE TABLE public.%I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES INCLUDING STORAGE)',
                           part, parent);
            IF has_rows THEN
                EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %s RETURNING *) INSERT INTO %I SELECT * FROM moved',
                               rest, within, part);
            END IF;
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, starts, ends);
            IF sealed THEN  -- rows are sealed by the table's own trigger
                EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I'
                               ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', part);
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'propos_app') THEN
                EXECUTE format('GRANT SELECT, INSERT%s ON %I TO propos_app',
                               CASE WHEN sealed THEN '' ELSE ', UPDATE, DELETE' END, part);
            END IF;
            RETURN 1;
        END $$
    """)
    op.execute(f"""
        CREATE FUNCTION drop_part(part text) RETURNS void LANGUAGE plpgsql {_SAFE} AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
                            WHERE i.inhrelid = part::regclass AND part NOT LIKE '%\\_default'
                              AND c.relname IN ('equity_bars', 'equity_hours', 'deals', 'daily_snapshots')) THEN
                RAISE EXCEPTION '% is not a part that may be removed', part USING ERRCODE = 'restrict_violation';
            END IF;
            EXECUTE format('DROP TABLE %I', part);
        END $$
    """)
    for function in (
        "make_part(text, text, text, text, text, boolean)",
        "drop_part(text)",
        "seal_ledger_period(timestamptz, text)",
        "ledger_account(text)",
    ):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
