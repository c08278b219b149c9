"""Proves the invariants of the books with set-based SQL, on the database itself or on a copy of it.

Each check is one query that finds what breaks the invariant. It reads all of history, unlike everything else.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.chart import CHART
from domain.currencies import DIGITS
from store import roles
from store.db import allow_long_job


@dataclass(frozen=True, slots=True)
class Result:
    """`faults`: how many rows break the invariant. `example`: one of them."""

    name: str
    invariant: str
    faults: int
    example: str


@dataclass(frozen=True, slots=True)
class _Check:
    """`finds`: a query with one column `what`, one row for each fault."""

    name: str
    invariant: str
    finds: str


_BOOKS: Final = (
    _Check(
        "balanced",
        "Each transaction sums to zero per currency, posted and pending.",
        """SELECT transaction_id || ' is off by ' || sum(amount_minor) || ' ' || currency AS what FROM postings
            GROUP BY transaction_id, currency, layer HAVING sum(amount_minor) <> 0""",
    ),
    _Check(
        "whole",
        "No transaction is empty, has a line of zero, or has lost or gained a line.",
        """SELECT t.id::text AS what FROM ledger_transactions t LEFT JOIN postings p ON p.transaction_id = t.id
            GROUP BY t.id HAVING count(p.id) = 0
               OR (t.lines IS NOT NULL AND (count(p.id) <> t.lines OR bool_or(p.amount_minor = 0)))""",
    ),
    _Check(
        "kept-balances",
        "Each kept balance is the sum of the account's lines.",
        """SELECT coalesce(k.account, s.account) || ' ' || coalesce(k.currency, s.currency) AS what
             FROM (SELECT account, currency, sum(debit_minor) AS debit, sum(credit_minor) AS credit,
                          sum(pending_minor) AS pending FROM ledger_balances GROUP BY account, currency) k
             FULL JOIN (SELECT account, currency,
                     coalesce(sum(amount_minor) FILTER (WHERE layer = 'posted' AND amount_minor > 0), 0) AS debit,
                     coalesce(-sum(amount_minor) FILTER (WHERE layer = 'posted' AND amount_minor < 0), 0) AS credit,
                     coalesce(sum(amount_minor) FILTER (WHERE layer = 'pending'), 0) AS pending
                     FROM postings GROUP BY account, currency) s
               ON s.account = k.account AND s.currency = k.currency
            WHERE (k.debit, k.credit, k.pending) IS DISTINCT FROM (s.debit, s.credit, s.pending)""",
    ),
    _Check(
        "trial-balance",
        "Debits equal credits per currency, of money and of memorandum accounts.",
        """SELECT b.currency || ' is off by ' || sum(b.debit_minor - b.credit_minor) AS what
             FROM ledger_balances b JOIN ledger_accounts a ON a.name = b.account
            GROUP BY b.currency, a.type = 'memorandum'
           HAVING sum(b.debit_minor - b.credit_minor) <> 0 OR sum(b.pending_minor) <> 0""",
    ),
    _Check(
        "memorandum-apart",
        "No transaction has lines of money and of memorandum accounts.",
        """SELECT p.transaction_id::text AS what FROM postings p JOIN ledger_accounts a ON a.name = p.account
            GROUP BY p.transaction_id HAVING count(DISTINCT a.type = 'memorandum') > 1""",
    ),
    _Check(
        "accounts",
        "Every line is on an account of the chart, and the chart is that of this version.",
        """SELECT 'line on ' || p.account AS what FROM postings p LEFT JOIN ledger_accounts a ON a.name = p.account
            WHERE a.name IS NULL
            UNION ALL
           SELECT 'chart: ' || c.name FROM jsonb_to_recordset(CAST(:chart AS jsonb))
                  AS c(name text, type text, normal text, per_connection boolean)
             LEFT JOIN ledger_accounts a ON a.name = c.name
            WHERE (a.type, a.normal, a.per_connection) IS DISTINCT FROM (c.type, c.normal, c.per_connection)
            UNION ALL
           SELECT 'connection: ' || a.name FROM ledger_accounts a
             LEFT JOIN ledger_accounts f ON f.name = split_part(a.name, ':', 1) AND f.per_connection
            WHERE a.name LIKE '%:%' AND (f.type, f.normal) IS DISTINCT FROM (a.type, a.normal)""",
    ),
    _Check(
        "currencies",
        "Every line is in a currency with a known number of digits, that of ISO 4217.",
        """SELECT 'line in ' || p.currency AS what FROM postings p LEFT JOIN currencies c ON c.code = p.currency
            WHERE c.code IS NULL
            UNION ALL
           SELECT c.code || ' has ' || c.digits || ' digits' FROM currencies c
            WHERE (CAST(:digits AS jsonb) ->> c.code)::int IS DISTINCT FROM c.digits""",
    ),
    _Check(
        "rates",
        "Every exchange of currency names its rate, source and time.",
        """SELECT t.id::text AS what FROM ledger_transactions t JOIN postings p ON p.transaction_id = t.id
            WHERE p.account = 'fx-position' AND NOT coalesce(t.evidence ?& ARRAY['rate', 'source', 'at'], false)
            GROUP BY t.id""",
    ),
    _Check(
        "reversals",
        "A reversal has the opposite lines of what it reverses.",
        """SELECT t.id::text AS what FROM ledger_transactions t
            WHERE t.reverses IS NOT NULL
              AND (SELECT array_agg((account, currency, layer, amount_minor)::text ORDER BY account, currency, layer,
                          amount_minor) FROM postings WHERE transaction_id = t.id)
                  IS DISTINCT FROM
                  (SELECT array_agg((account, currency, layer, -amount_minor)::text ORDER BY account, currency, layer,
                          -amount_minor) FROM postings WHERE transaction_id = t.reverses)""",
    ),
    _Check(
        "reserves",
        "A reserve is pending as a whole, or not at all: it is posted or taken back once.",
        """SELECT reference || ' ' || account AS what FROM (
               SELECT t.reference, p.account, p.currency, sum(p.amount_minor) AS still,
                      coalesce(sum(p.amount_minor) FILTER (WHERE t.kind = 'payout_reserved'), 0) AS reserved
                 FROM postings p JOIN ledger_transactions t ON t.id = p.transaction_id
                WHERE p.layer = 'pending' GROUP BY t.reference, p.account, p.currency) r
            WHERE still <> 0 AND still <> reserved""",
    ),
    _Check(
        "sealed-periods",
        "Sealed periods follow each other, and their entries and closing balances are as they were sealed.",
        """SELECT 'period ' || c.number AS what FROM (
               SELECT p.*, lag(ends_at) OVER w AS last_end, coalesce(lag(hash) OVER w, '') AS last_hash,
                      coalesce(lag(balances) OVER w, '[]') AS last_balances,
                      row_number() OVER w AS nth FROM ledger_periods p WINDOW w AS (ORDER BY number)) c,
                  LATERAL ledger_entries_of(c.starts_at, c.ends_at) now
            WHERE c.number <> c.nth OR c.starts_at IS DISTINCT FROM c.last_end
               OR now.entries <> c.entries OR now.entries_hash <> c.entries_hash
               OR c.balances <> ledger_balances_at(c.last_balances, c.starts_at, c.ends_at)
               OR c.hash <> ledger_period_hash(c.last_hash, c.starts_at, c.ends_at, c.entries_hash, c.balances)""",
    ),
    _Check(
        "triggers",
        "The triggers that guard the books are in force.",
        """SELECT g.tab || '.' || g.name AS what FROM (VALUES
               ('postings', 'append_only'), ('postings', 'no_truncate'), ('postings', 'booked'),
               ('postings', 'opens_lines'),
               ('ledger_transactions', 'append_only'), ('ledger_transactions', 'no_truncate'),
               ('ledger_transactions', 'not_empty'), ('ledger_transactions', 'period_open'),
               ('ledger_periods', 'append_only'), ('ledger_periods', 'no_truncate'),
               ('ledger_accounts', 'append_only'), ('ledger_accounts', 'no_truncate'),
               ('currencies', 'append_only'), ('currencies', 'no_truncate')) g(tab, name)
             LEFT JOIN pg_trigger t ON t.tgrelid = to_regclass('public.' || g.tab) AND t.tgname = g.name
            WHERE t.tgenabled IS NULL OR t.tgenabled NOT IN ('O', 'A')""",
    ),
)

_ROLES: Final = (
    _Check(
        "roles",
        "The application's role is no superuser, makes no roles, and is not the owner.",
        """SELECT 'there is no role ' || wanted AS what FROM unnest(ARRAY[:owner, :app]) wanted
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
            UNION ALL
           SELECT rolname || ' has too many rights' FROM pg_roles r WHERE rolname = :app
              AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication)
            UNION ALL
           SELECT :app || ' is a member of ' || g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = :app""",
    ),
    _Check(
        "privileges",
        "The application cannot change or remove rows of append-only tables, and owns no table.",
        """SELECT c.relname || ': ' || wanted AS what
             FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) wanted, pg_roles r
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND r.rolname = :app
              AND (wanted IN ('TRUNCATE', 'TRIGGER') OR c.relname = ANY(string_to_array(:read_only, ','))
                   OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only'))
              AND has_table_privilege(r.oid, c.oid, wanted)
            UNION ALL
           SELECT c.relname || ' belongs to ' || pg_get_userbyid(c.relowner) FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
              AND pg_get_userbyid(c.relowner) <> :owner""",
    ),
)


async def check(session: AsyncSession, *, is_copy: bool = False) -> Sequence[Result]:
    """Runs every check. A copy is checked without roles and privileges: a server of its own has others."""
    await allow_long_job(session)
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    chart = [{"name": a.name, "type": a.type, "normal": a.normal, "per_connection": a.per_connection} for a in CHART]
    values = {
        "chart": json.dumps(chart),
        "digits": json.dumps(DIGITS),
        "owner": roles.OWNER,
        "app": roles.APP,
        "read_only": ",".join(roles.READ_ONLY),
    }
    results = []
    for each in _BOOKS if is_copy else _BOOKS + _ROLES:
        query = text(f"SELECT count(*), coalesce(min(what), '') FROM ({each.finds}) found")
        used = {name: value for name, value in values.items() if f":{name}" in each.finds}
        faults, example = (await session.execute(query, used)).one()
        results.append(Result(each.name, each.invariant, faults, example))
    return results
