"""Reconciliation: open lines of the cash accounts, breaks as rows, balances by the source's own word, cursors."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0030"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_WAITING = "transaction_id IS NULL AND amount_minor <> 0"


def upgrade() -> None:
    _entries()
    _open_lines()
    _breaks()
    _balances()
    op.drop_index("uq_decisions_person", "decisions")
    op.create_index(
        "uq_decisions_person",
        "decisions",
        ["subject_kind", "subject_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("subject_kind NOT IN ('payout', 'sanction_hit', 'break')"),
    )


def _entries() -> None:
    op.add_column("provider_entries", sa.Column("subject", sa.String(40), nullable=True))
    op.add_column("provider_entries", sa.Column("seen_at", _TIME, nullable=True))
    op.add_column("provider_entries", sa.Column("hinted", sa.Boolean(), server_default="false", nullable=False))
    op.execute("""
        UPDATE provider_entries e
           SET subject = coalesce((SELECT payout_id FROM payout_transfers t WHERE t.id = e.reference),
                                  split_part(reference, '/', 1)),
               seen_at = at
    """)
    op.alter_column("provider_entries", "subject", nullable=False)
    op.alter_column("provider_entries", "seen_at", nullable=False)
    op.create_index("ix_provider_entries_subject", "provider_entries", ["subject"])
    op.create_index("ix_provider_entries_newest", "provider_entries", ["provider", "position"])
    op.create_index(
        "ix_provider_entries_waiting",
        "provider_entries",
        ["provider", "position"],
        postgresql_where=sa.text(_WAITING),
    )


def _open_lines() -> None:
    op.create_table(
        "open_lines",
        sa.Column("posting_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(4), nullable=False),
        sa.Column("occurred_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["posting_id"], ["postings.id"], name="fk_open_lines_posting_id"),
        sa.PrimaryKeyConstraint("posting_id", name="pk_open_lines"),
    )
    op.create_index("ix_open_lines_transaction_id", "open_lines", ["transaction_id"])
    op.create_index("ix_open_lines_account", "open_lines", ["account", "reference"])
    op.execute("""
        INSERT INTO open_lines
        SELECT p.id, t.id, p.account, t.kind, t.reference, p.amount_minor, p.currency, t.occurred_at
          FROM postings p JOIN ledger_transactions t ON t.id = p.transaction_id
         WHERE p.layer = 'posted' AND t.reverses IS NULL
           AND NOT EXISTS (SELECT FROM ledger_transactions r WHERE r.reverses = t.id)
           AND (p.account LIKE 'provider:%'
                AND NOT EXISTS (SELECT FROM provider_entries e WHERE e.transaction_id = t.id)
                OR p.account LIKE 'in-transit:%')
    """)
    op.execute("""
        DELETE FROM open_lines o USING (
            SELECT account, reference, currency FROM open_lines WHERE account LIKE 'in-transit:%'
             GROUP BY account, reference, currency HAVING sum(amount_minor) = 0) even
         WHERE o.account = even.account AND o.reference = even.reference AND o.currency = even.currency
    """)
    # A reversal cancels the lines of what it reverses, as long as no statement has shown those. Otherwise the
    # statement has to show the reversal too.
    op.execute("""
        CREATE FUNCTION open_cash_lines() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.open_lines
            SELECT f.id, t.id, f.account, t.kind, t.reference, f.amount_minor, f.currency, t.occurred_at
              FROM fresh f JOIN public.ledger_transactions t ON t.id = f.transaction_id
             WHERE f.layer = 'posted'
               AND (f.account LIKE 'provider:%' OR f.account LIKE 'in-transit:%' OR f.account = 'settlements')
               AND NOT EXISTS (SELECT FROM public.open_lines o WHERE o.transaction_id = t.reverses
                                  AND o.account = f.account AND o.currency = f.currency);
            DELETE FROM public.open_lines o USING fresh f JOIN public.ledger_transactions t ON t.id = f.transaction_id
             WHERE o.transaction_id = t.reverses AND o.account = f.account AND o.currency = f.currency;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER opens_lines AFTER INSERT ON postings REFERENCING NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION open_cash_lines()
    """)


def _breaks() -> None:
    op.create_table(
        "reconciliation_breaks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("what", sa.String(160), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("account", sa.String(80), nullable=True),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("entry_id", sa.String(80), nullable=True),
        sa.Column("posting_id", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(4), nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("first_seen_at", _TIME, nullable=False),
        sa.Column("owner", sa.String(32), nullable=True),
        sa.Column("round", sa.Integer(), server_default="1", nullable=False),
        sa.Column("resolution", sa.String(16), nullable=True),
        sa.Column("transaction_id", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.String(32), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("recorded_at", _TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliation_breaks"),
        sa.ForeignKeyConstraint(["owner"], ["users.id"], name="fk_reconciliation_breaks_owner"),
    )
    op.create_index(
        "uq_reconciliation_breaks_what",
        "reconciliation_breaks",
        ["what"],
        unique=True,
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index(
        "ix_reconciliation_breaks_open",
        "reconciliation_breaks",
        ["first_seen_at"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_reconciliation_breaks_what", "reconciliation_breaks", ["what", "recorded_at"])


def _balances() -> None:
    op.create_table(
        "statement_balances",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("currency", sa.String(4), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("expected_minor", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("checked_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "currency", name="pk_statement_balances"),
    )
    op.create_table(
        "venue_checks",
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("after", sa.String(32), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("platform", name="pk_venue_checks"),
    )
