"""A long record for the payout benchmark: reconciled fees in the ledger, and handled events and messages.

Filled by the owner of the database with its triggers off, in a few statements; kept balances are written as the
triggers would have.
"""

from typing import Any, Final

import psycopg
from sqlalchemy import text

from cli.bench.outside import RAIL
from store.db import Database

ENTRIES: Final = 1_000_000
EVENTS: Final = 500_000
_FEE: Final = 54_000

_FILL: Final = (
    """
    INSERT INTO ledger_accounts (name, type, normal, title)
    SELECT 'provider:' || %(rail)s, type, normal, title FROM ledger_accounts WHERE name = 'provider'
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO ledger_transactions (key, input_digest, kind, reference, lines, occurred_at)
    SELECT 'old_' || n || '/fee_paid', repeat('0', 64), 'fee_paid', 'chl_old' || n, 2,
           timestamptz '2013-01-01Z' + n * interval '20 seconds'
      FROM generate_series(%(first)s::int, %(entries)s::int) AS n
    """,
    """
    INSERT INTO postings (transaction_id, account, currency, amount_minor)
    SELECT t.id, side.account, 'USD', side.sign * %(fee)s
      FROM ledger_transactions t,
           (VALUES ('provider:' || %(rail)s, 1), ('fees', -1)) AS side (account, sign)
     WHERE t.id > %(after)s
    """,
    """
    INSERT INTO provider_entries (provider, entry_id, kind, object_id, reference, subject, amount_minor, currency, at,
                                  seen_at, transaction_id)
    SELECT %(rail)s, 'ent-old' || id, 'charge', 'co_old' || id, reference, reference, %(fee)s, 'USD', occurred_at,
           occurred_at, id
      FROM ledger_transactions WHERE id > %(after)s
    """,
    "DELETE FROM open_lines WHERE transaction_id > %(after)s",
    """
    INSERT INTO ledger_balances (account, currency, slot, debit_minor, credit_minor, pending_minor)
    VALUES ('provider:' || %(rail)s, 'USD', 0, %(fee)s::bigint * %(added)s, 0, 0),
           ('fees', 'USD', 0, 0, %(fee)s::bigint * %(added)s, 0)
    ON CONFLICT (account, currency, slot) DO UPDATE
       SET debit_minor = ledger_balances.debit_minor + excluded.debit_minor,
           credit_minor = ledger_balances.credit_minor + excluded.credit_minor
    """,
    """
    INSERT INTO inbox (provider, event_id, kind, object_id, attempts, handled_at)
    SELECT 'stripe', 'evt_old' || n, 'checkout.paid', 'cs_old' || n, 1, clock_timestamp()
      FROM generate_series(%(first)s::int, %(events)s::int) AS n
    """,
    """
    INSERT INTO outbox (key, topic, target, name, payload, attempts, dispatched_at)
    SELECT 'old/' || n, 'workflow.signal', 'challenge/chl_old' || n, 'payment_settled', '{}', 1, clock_timestamp()
      FROM generate_series(%(first)s::int, %(events)s::int) AS n
    """,
)
_BUYERS: Final = text("""
    INSERT INTO challenges (id, trader_id, product, version, state, phase_index, fee_minor, currency, provider,
                            checkout_id, bought_at, changed_at)
    SELECT 'chl_' || lpad(n::text, 26, '0'), c.trader_id, c.product, c.version, 'awaiting_payment', 0, c.fee_minor,
           c.currency, :provider, 'cs_' || n, c.bought_at, c.bought_at
      FROM generate_series(1, :count) AS n, (SELECT * FROM challenges ORDER BY id LIMIT 1) AS c
""")


def fill(owner_url: str, *, entries: int = ENTRIES, events: int = EVENTS, first: int = 1) -> dict[str, int]:
    """Fills the real tables with the entries and events from number `first`; returns what is there then."""
    values: dict[str, Any] = {"rail": RAIL, "entries": entries, "events": events, "fee": _FEE, "first": first}
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger: each would run a million times
        ((after,),) = connection.execute("SELECT coalesce(max(id), 0) FROM ledger_transactions").fetchall()
        for statement in _FILL:
            connection.execute(statement, {**values, "after": after, "added": entries - first + 1})
        connection.execute("SET session_replication_role = origin")
        connection.execute("VACUUM (ANALYZE) ledger_transactions, postings, provider_entries, inbox, outbox")
    return {"ledger_entries": entries, "inbox_rows": events}


async def add_buyers(db: Database, count: int, provider: str) -> list[str]:
    """Adds challenges that wait for their fee; returns the ids of their checkouts."""
    async with db.transaction() as session:
        await session.execute(_BUYERS, {"count": count, "provider": provider})
    return [f"cs_{number}" for number in range(1, count + 1)]
