"""A page of a list reads as much in a large firm as in a small one, whatever is asked of it."""

from collections.abc import AsyncIterator
from typing import Final

import psycopg
import pytest

from store import crypto
from tests.console_firm import KEYS
from tests.console_world import ConsoleWorld, console_world
from tests.query_costs import Copies, Statement, caught_statements, copy_rows, explained

_GROWING: Final = (
    *(
        "traders",
        "trader_words",
        "accounts",
        "account_ranks",
        "challenges",
        "payouts",
        "deals",
        "breaches",
        "cases",
        "ledger_transactions",
        "postings",
    ),
)
_PAGES: Final = (
    *("/accounts", "/accounts?status=closed", "/accounts?state=breached", "/accounts?product=rare"),
    *("/accounts?q=A-10001", "/accounts?q=lindqvist", "/accounts?q=nobody"),
    *("/accounts?sort=equity", "/accounts?sort=-equity", "/accounts?sort=closest", "/accounts?sort=-closest"),
    *("/accounts?sort=daily", "/accounts?sort=total", "/accounts?sort=closest&status=closed"),
    *("/challenges", "/challenges?state=breached", "/challenges?sort=changed", "/challenges?q=lindqvist"),
    *("/challenges?q=A-10001", "/payouts", "/payouts?state=awaiting_approval", "/payouts?sort=-amount"),
    *("/payouts?q=lindqvist", "/payouts?q=A-10001", "/payouts?state=paid&closed_since=2026-01-01"),
    *("/traders", "/traders?q=lindqvist", "/traders?q=mara%40example.org", "/traders?q=A-10001"),
    *("/deals", "/deals?account=A-10001", "/deals?q=d1", "/deals?q=lindqvist", "/deals?q=nobody"),
    *("/ledger", "/ledger?account=fees", "/ledger?q=lindqvist", "/ledger?reference=chl_nothing"),
    *("/breaches", "/breaches?since=2026-01-01", "/breaches?q=lindqvist"),
    *("/cases", "/cases?state=open", "/cases?q=A-10001"),
    *(f"/{name}?updated_since=2026-01-01" for name in ("accounts", "challenges", "traders", "payouts", "deals")),
    *(f"/{name}?updated_since=2026-01-01" for name in ("ledger", "breaches", "cases")),
    *("/search?q=lindqvist", "/search?q=A-10001", "/search?q=77", "/search?q=mara%40example.org"),
)
_ROOM: Final = 600  # rows that a page may read beyond what it read before: statistics are estimates
_SHORT, _LONG = 12_000, 24_000  # more than a list counts
_OLD: Final = "2013-01-01Z"
_COPIES: Final[Copies] = {
    "traders": (
        "traders",
        {"name_words": ["k1:none"], "recorded_at": _OLD, "updated_at": _OLD},
        "jsonb_build_object('id', 'trd_' || n, 'email_index', 'none' || n)",
    ),
    "trader_words": ("trader_words", {}, "jsonb_build_object('word', 'k1:none' || n %% 50, 'trader_id', 'trd_' || n)"),
    "challenges": (
        "challenges",
        {"state": "closed", "checkout_id": None, "recorded_at": _OLD, "changed_at": _OLD, "updated_at": _OLD},
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
            "jsonb_build_object('account_id', 'acc_' || n, 'number', 1000000 + n, 'equity_up', n, 'equity_down', n)"
            " || jsonb_build_object('closest_up', n %% 5000, 'closest_down', n %% 5000)"
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
}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def _statements(world: ConsoleWorld) -> list[Statement]:
    async with world.browser("ana@firm.example") as browser:
        with caught_statements(world.app.state.deps.db) as caught:
            for page in _PAGES:
                assert (await browser.get(page)).status_code in (200, 303), page
    frame = ("FROM outbox", "FROM inbox", "AS kind, ")  # the work that waits, which another test looks at
    return [one for one in caught if not any(part in one[0] for part in frame)]


def _grow(owner_url: str, first: int, last: int) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        copy_rows(connection, _COPIES, first, last)


async def test_a_list_reads_as_much_in_a_large_firm_as_in_a_small_one(world: ConsoleWorld, owner_url: str) -> None:
    crypto.install(KEYS)
    _grow(owner_url, 1, _SHORT)
    short = explained(owner_url, await _statements(world), _GROWING)
    _grow(owner_url, _SHORT + 1, _LONG)
    long = explained(owner_url, await _statements(world), _GROWING)
    worse = [
        f"{short.get(one, (0, []))[0]} -> {read}: {one}"
        for one, (read, _) in long.items()
        if read > short.get(one, (0, []))[0] + _ROOM
    ]
    assert worse == []
