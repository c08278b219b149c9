"""A page of a list reads as much in a large firm as in a small one, whatever is asked of it."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from store import crypto
from tests.console_firm import KEYS
from tests.console_world import ConsoleWorld, console_world
from tests.large_lists import LONG, SHORT, grow
from tests.query_costs import Statement, caught_statements, explained

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


async def test_a_list_reads_as_much_in_a_large_firm_as_in_a_small_one(world: ConsoleWorld, owner_url: str) -> None:
    crypto.install(KEYS)
    grow(owner_url, 1, SHORT)
    short = explained(owner_url, await _statements(world), _GROWING)
    grow(owner_url, SHORT + 1, LONG)
    long = explained(owner_url, await _statements(world), _GROWING)
    worse = [
        f"{short.get(one, (0, []))[0]} -> {read}: {one}"
        for one, (read, _) in long.items()
        if read > short.get(one, (0, []))[0] + _ROOM
    ]
    assert worse == []
