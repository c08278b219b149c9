"""How large the tables became, and what that says of a firm of 50,000 accounts."""

from typing import Any, Final

import psycopg

from cli.bench.timing import rounded

ACCOUNTS: Final = 50_000
_TRADING: Final = 0.3  # share of accounts that hold positions at any time
_MINUTES: Final = 1_440
_PARTS: Final = """
    SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c
     WHERE c.oid IN (SELECT relid FROM pg_partition_tree(%(name)s::regclass) WHERE isleaf)
        OR (c.oid = %(name)s::regclass AND c.relkind = 'r')
"""


# Rows that a firm of ACCOUNTS writes on a trading day; docs/operations.md says why so many.
RATES: Final = {
    "equity_bars": round(ACCOUNTS * _TRADING * _MINUTES),
    "equity_hours": round(ACCOUNTS * _TRADING * 24),
    "deals": ACCOUNTS * 10,
    "stop_changes": ACCOUNTS * 5,
    "daily_snapshots": ACCOUNTS,
    "outbox": ACCOUNTS,
    "inbox": 8_000,
    "idempotency_keys": 5_000,
    "audit_log": 10_000,
    "ledger_transactions": 4_000,
    "postings": 8_000,
    "transitions": 8_000,
    "business_events": 5_000,
    "proofs": 1_000,
    "exposure_minutes": _MINUTES * 4,
}


def sizes(owner_url: str) -> dict[str, dict[str, Any]]:
    """Returns bytes and rows of each table, its bytes a row with all indexes, and the megabytes a day of ACCOUNTS.
    Parts without rows are left out of the bytes a row: they are made ahead."""
    found = {}
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for table, rate in RATES.items():
            parts = [
                (size, connection.execute(f"SELECT count(*) FROM {part}".encode()).fetchall()[0][0])
                for part, size in connection.execute(_PARTS, {"name": table}).fetchall()
            ]
            rows = sum(count for _, count in parts)
            each = sum(size for size, count in parts if count) / rows if rows else None
            found[table] = {
                "bytes": sum(size for size, _ in parts),
                "rows": rows,
                "bytes_a_row": None if each is None else round(each),
                "rows_a_day_at_50000": rate,
                "mb_a_day_at_50000": None if each is None else rounded(each * rate / 1e6),
            }
    return found
