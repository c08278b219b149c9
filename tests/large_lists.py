"""A firm with many old rows of everything that has a list, for tests of what lists cost."""

from typing import Final

import psycopg

from tests.query_costs import Copies, copy_rows

SHORT, LONG = 12_000, 24_000  # more than a list counts
_OLD: Final = "2013-01-01Z"
_TIMES: Final = ("recorded_at", "updated_at", "changed_at", "occurred_at", "closed_at", "due_at", "at")
COPIES: Final[Copies] = {
    "traders": (
        "traders",
        {"name_words": ["k1:none"], "recorded_at": _OLD, "updated_at": _OLD},
        "jsonb_build_object('id', 'trd_' || n, 'email_index', 'none' || n)",
    ),
    "trader_words": ("trader_words", {}, "jsonb_build_object('word', 'k1:none' || n %% 50, 'trader_id', 'trd_' || n)"),
    "challenges": (
        "challenges",
        {"state": "closed", "checkout_id": None, "bought_at": _OLD}
        | {"recorded_at": _OLD, "changed_at": _OLD, "updated_at": _OLD},
        "jsonb_build_object('id', 'chl_' || n, 'trader_id', 'trd_' || n)",
    ),
    "accounts": (
        "accounts",
        {"status": "closed", "recorded_at": _OLD, "updated_at": _OLD},
        (
            "jsonb_build_object('id', 'acc_' || n, 'trader_id', 'trd_' || n, 'challenge_id', 'chl_' || n)"
            " || jsonb_build_object('number', 1000000 + n, 'login', 800000000 + n)"
        ),
    ),
    "account_ranks": (
        "account_ranks",
        {},
        (
            "jsonb_build_object('account_id', 'acc_' || n, 'number', 1000000 + n, 'equity', n)"
            " || jsonb_build_object('closest', n %% 5000)"
        ),
    ),
    "payouts": (
        "payouts",
        {
            "state": "paid",
            "closed_at": _OLD,
            "transfer_id": None,
            "recorded_at": _OLD,
            "changed_at": _OLD,
            "updated_at": _OLD,
        },
        "jsonb_build_object('id', 'pay_' || n, 'trader_id', 'trd_' || n, 'account_id', 'acc_' || n)",
    ),
    "deals": (
        "deals",
        {"updated_at": _OLD},
        "jsonb_build_object('id', 1000000 + n, 'account_id', 'acc_' || n, 'deal_id', 'old' || n)",
    ),
    "breaches": (
        "breaches",
        {"occurred_at": _OLD, "status": "confirmed", "updated_at": _OLD},
        "jsonb_build_object('id', 'brc_' || n, 'account_id', 'acc_' || n)",
    ),
    "alerts": ("alerts", {}, "jsonb_build_object('id', 'alr_' || n, 'key', 'old' || n)"),
    "cases": (
        "cases",
        {"state": "closed", "recorded_at": _OLD, "updated_at": _OLD},
        "jsonb_build_object('id', 'cas_' || n, 'alert_id', 'alr_' || n, 'subject_key', 'old' || n)",
    ),
    "ledger_transactions": (
        "ledger_transactions",
        {"occurred_at": _OLD},
        "jsonb_build_object('id', 1000000 + n, 'key', 'old' || n, 'reference', 'old' || n)",
    ),
    "postings": (
        "postings",
        {"updated_at": _OLD},
        "jsonb_build_object('id', 1000000 + n, 'transaction_id', 1000000 + n)",
    ),
    "phase_passes": (
        "breaches",
        {"occurred_at": _OLD, "balance_minor": 0},
        "jsonb_build_object('id', 'psg_' || n, 'account_id', 'acc_' || n)",
    ),
    "transitions": (
        "transitions",
        {"subject_kind": "payout", "trigger": "payout_rejected", "occurred_at": _OLD},
        "jsonb_build_object('id', 1000000 + n, 'key', 'old' || n, 'subject_id', 'pay_' || n)",
    ),
    "tickets": (
        "tickets",
        {"state": "solved", "due_at": _OLD, "recorded_at": _OLD, "updated_at": _OLD, "account_id": None},
        "jsonb_build_object('id', 'tkt_' || n, 'trader_id', 'trd_' || n)",
    ),
}


def _spread(copies: Copies) -> Copies:
    """Has the old times of each row a minute apart: rows of one time cannot be told by their order."""
    found = {}
    for table, (source, changes, new) in copies.items():
        times = [name for name in _TIMES if changes.get(name) == _OLD]
        apart = "".join(f", '{name}', timestamptz '{_OLD}' + n * interval '1 minute'" for name in times)
        found[table] = (source, changes, new + (f" || jsonb_build_object({apart[2:]})" if times else ""))
    return found


def grow(owner_url: str, first: int, last: int) -> None:
    """Makes the rows numbered so of every list."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        copy_rows(connection, _spread(COPIES), first, last)
