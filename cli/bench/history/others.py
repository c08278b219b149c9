"""What a day leaves on the record beside trading: messages, keys, entries of the ledger and of the audit log.

Filled by the owner of the database with its triggers off, in a few statements, as `cli/bench/payout_history.py` does.
Wall times run along with the days and end now.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from cli.bench.outside import RAIL

# name of the table -> rows for each account and day, and the statement that makes the rows from number first to last
_FILL: Final[dict[str, tuple[float, str]]] = {
    "inbox": (0.16, """
        INSERT INTO inbox (provider, event_id, kind, object_id, attempts, received_at, next_at, handled_at)
        SELECT 'stripe', 'evt_' || n, 'checkout.paid', 'cs_' || n, 1, %(at)s, %(at)s, %(at)s
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "outbox": (1.0, """
        INSERT INTO outbox (key, topic, target, name, payload, attempts, recorded_at, next_at, dispatched_at)
        SELECT 'old/' || n, 'workflow.signal',
               CASE WHEN n %% 2 = 0 THEN 'challenge/' || a.challenge_id ELSE 'challenge/chl_old' || n END,
               CASE WHEN n %% 4 = 0 THEN 'payment_settled' ELSE 'risk_changed' END, '{"key": "a key", "at": "a time"}',
               1, %(at)s, %(at)s, %(at)s
          FROM generate_series(%(first)s::int, %(last)s::int) AS n JOIN accounts a ON a.login = 1 + n %% %(accounts)s
        """),
    "idempotency_keys": (0.1, """
        INSERT INTO idempotency_keys (user_id, key, route, input_digest, status, response, recorded_at)
        SELECT 'usr_of_a_trader_' || n %% %(accounts)s, 'key-' || n, 'POST /v1/payouts', repeat('0', 64),
               201, jsonb_build_object('id', 'pay_' || n, 'state', 'requested', 'gross_minor', n), %(at)s
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "audit_log": (0.2, """
        INSERT INTO audit_log (seq, actor, role, action, subject_kind, subject_id, reason, evidence, occurred_at,
                               recorded_at, previous, digest)
        SELECT 1000000 + n, 'system', 'system', 'payout.paid', 'payout', 'pay_' || n, '',
               jsonb_build_object('gross_minor', n, 'currency', 'USD', 'digest', repeat('0', 64)), %(at)s, %(at)s,
               repeat('0', 64), repeat('1', 64)
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "ledger_transactions": (0.08, """
        INSERT INTO ledger_transactions (id, key, input_digest, kind, reference, lines, occurred_at, recorded_at)
        SELECT 1000000 + n, 'old_' || n || '/fee_paid', repeat('0', 64), 'fee_paid', 'chl_old' || n, 2, %(market)s,
               %(at)s
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "postings": (0.16, """
        INSERT INTO postings (transaction_id, account, currency, amount_minor)
        SELECT 1000000 + (n + 1) / 2, CASE WHEN n %% 2 = 0 THEN 'fees' ELSE 'provider:' || %(rail)s END, 'USD',
               CASE WHEN n %% 2 = 0 THEN -54000 ELSE 54000 END
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "transitions": (0.16, """
        INSERT INTO transitions (subject_kind, subject_id, key, trigger, from_state, to_state, detail, occurred_at,
                                 recorded_at)
        SELECT 'payout', 'pay_' || n, 'paid/' || n, 'transfer_paid', 'sending', 'paid', '{}', %(market)s, %(at)s
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "business_events": (0.1, """
        INSERT INTO business_events (id, kind, subject_kind, subject_id, occurred_at, recorded_at, told)
        SELECT 'evt_old' || n, 'payout.paid', 'payout', 'pay_' || n, %(market)s, %(at)s, true
          FROM generate_series(%(first)s::int, %(last)s::int) AS n
        """),
    "proofs": (0.02, """
        INSERT INTO proofs (id, account_id, kind, digest, body, recorded_at)
        SELECT 'prf_old' || n, a.id, 'violation', repeat('0', 64),
               (SELECT jsonb_object_agg('event' || e, jsonb_build_object('seq', n + e, 'at', %(market)s::timestamptz,
                                                                         'balance_minor', 10000000 + e * n))
                  FROM generate_series(1, 40) AS e), %(at)s
          FROM generate_series(%(first)s::int, %(last)s::int) AS n JOIN accounts a ON a.login = 1 + n %% %(accounts)s
        """),
}  # fmt: skip
_MINUTES: Final = """
    INSERT INTO exposure_minutes (minute, shard, body)
    SELECT %(market)s::timestamptz + n * interval '10 minutes', 0,
           (SELECT jsonb_object_agg('symbol' || s, jsonb_build_object('long', s * n, 'short', n, 'accounts', s,
                                                                      'floating_minor', s * n * 7))
              FROM generate_series(1, 20) AS s)
      FROM generate_series(0, 143) AS n
"""

_ACCOUNT: Final = """
    INSERT INTO ledger_accounts (name, type, normal, title)
    SELECT 'provider:' || %s, type, normal, title FROM ledger_accounts WHERE name = 'provider'
    ON CONFLICT DO NOTHING
"""


class Others:
    """Fills the tables day by day. `begins`: the wall time of the first day."""

    def __init__(self, owner_url: str, accounts: int, begins: datetime, market: datetime) -> None:
        self._connection = psycopg.connect(owner_url, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")  # no trigger, no foreign key
        self._accounts, self._begins, self._market = accounts, begins, market
        self._last = dict.fromkeys(_FILL, 0)
        self._connection.execute(_ACCOUNT, (RAIL,))

    def close(self) -> None:
        self._connection.close()

    def fill(self, day: int) -> None:
        values: dict[str, Any] = {
            "accounts": self._accounts,
            "at": self._begins + timedelta(days=day),
            "market": self._market + timedelta(days=day),
            "rail": RAIL,
        }
        for table, (rate, statement) in _FILL.items():
            first = self._last[table] + 1
            self._last[table] = max(first, round(self._accounts * rate * (day + 1)))
            self._connection.execute(statement, {**values, "first": first, "last": self._last[table]})
        self._connection.execute(_MINUTES, values)

    def due(self, day: int, count: int) -> None:
        """Puts messages into the outbox that are due now."""
        self._connection.execute(
            "INSERT INTO outbox (key, topic, target, name, payload, attempts) SELECT 'due/' || %(day)s || '/' || n,"
            " 'workflow.signal', 'challenge/' || a.challenge_id, 'risk_changed', '{}', 0"
            " FROM generate_series(1, %(count)s::int) AS n JOIN accounts a ON a.login = n",
            {"day": day, "count": count},
        )

    def clean(self) -> None:
        """Removes dead rows where every day leaves many. PostgreSQL does so by itself, but each minute at most."""
        self._connection.execute("VACUUM account_live, outbox, shards, market_clock")

    def look(self) -> None:
        """Has PostgreSQL look at its tables, which it does by itself as well."""
        self._connection.execute("ANALYZE")
