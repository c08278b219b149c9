"""What the queue, the overview, health and metrics ask costs the same on a long record as on a short one.

Every statement of these pages is caught on its way to PostgreSQL and explained there, with what it really reads.
"""

from collections.abc import AsyncIterator
from typing import Final

import psycopg
import pytest

from cli.bench.payout_history import fill
from tests.console_world import ConsoleWorld, console_world
from tests.query_costs import Copies, Statement, caught_statements, copy_rows, explained

# Tables that only grow, of which the test makes many rows.
GROWING: Final = (
    "inbox",
    "outbox",
    "ledger_transactions",
    "postings",
    "provider_entries",
    "payouts",
    "breaches",
    "phase_passes",
)
_NOT_HERE: Final = "FROM provider_entries"  # the open ends of reconciliation have a test of their own
_PAGES: Final = ("/", "/overview", "/queue", "/queue?kind=payout", "/readyz", "/metrics")
_ROOM: Final = 300  # rows that a page may read beyond what it read before: statistics are estimates
_SHORT, _LONG = 2_000, 20_000

_OLD: Final = "2013-01-01Z"
_COPIES: Final[Copies] = {
    "payouts": (
        "payouts",
        {"state": "paid", "closed_at": _OLD, "requested_at": _OLD, "transfer_id": None},
        "jsonb_build_object('id', 'pay_' || n)",
    ),
    "breaches": (
        "breaches",
        {"occurred_at": _OLD, "status": "confirmed"},
        "jsonb_build_object('id', 'brc_' || n, 'offence', 1000 + n)",
    ),
    "phase_passes": (
        "breaches",
        {"occurred_at": _OLD, "balance_minor": 0},
        "jsonb_build_object('id', 'psg_' || n, 'account_id', 'acc_' || n)",
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
                assert (await browser.get(page)).status_code in (200, 503), page
    wanted = [one for one in caught if _NOT_HERE not in one[0]]
    return list({statement: (statement, values) for statement, values in wanted}.values())


def _grow(owner_url: str, first: int, last: int) -> None:
    fill(owner_url, entries=last, events=last, first=first)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        copy_rows(connection, _COPIES, first, last)


async def test_pages_read_as_much_on_a_long_record_as_on_a_short_one(world: ConsoleWorld, owner_url: str) -> None:
    _grow(owner_url, 1, _SHORT)
    short = explained(owner_url, await _statements(world), GROWING)
    _grow(owner_url, _SHORT + 1, _LONG)
    long = explained(owner_url, await _statements(world), GROWING)
    grown = {one: (short.get(one, (0, []))[0], read) for one, (read, _) in long.items()}
    worse = [f"{rows}: {one}" for one, rows in grown.items() if rows[1] > rows[0] + _ROOM]
    whole = [f"{tables}: {one}" for one, (_, tables) in long.items() if tables]
    assert (worse, whole) == ([], [])
