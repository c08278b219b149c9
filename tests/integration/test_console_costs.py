"""The firm page, the queue, and what is shown of a busy account read as much in a large firm as in a small one."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Final

import psycopg
import pytest

from store import crypto
from tests.console_firm import KEYS
from tests.console_world import ConsoleWorld, console_world
from tests.large_lists import COPIES
from tests.query_costs import Statement, caught_statements, copy_rows, explained

_SHORT, _LONG = 10_500, 42_000  # more than a page counts (10,000), and four times as much
_ROOM: Final = 800  # rows that a page may read beyond what it read before: statistics are estimates
_FIRM: Final = ("/", "/overview", "/queue", "/queue/changes", "/queue?kind=payout,review", "/v1/queue", "/v1/summary")
_COPIES: Final = {name: COPIES[name] for name in ("traders", "challenges", "accounts", "breaches", "payouts")}
# Of the busy account one a minute, and one of each other account, which PostgreSQL takes for the usual number.
_DEALS: Final = """
    INSERT INTO deals SELECT made.* FROM generate_series(%(first)s::int, %(last)s::int) AS n,
           LATERAL (VALUES (n, %(account_id)s), (1000000 + n, 'acc_' || n)) AS of (number, account_id),
           LATERAL (SELECT to_jsonb(d) AS body FROM deals d WHERE deal_id NOT LIKE 'old%%' LIMIT 1) AS one,
           LATERAL jsonb_populate_record(NULL::deals, one.body || jsonb_build_object(
               'id', 1000000 + of.number, 'account_id', of.account_id, 'deal_id', 'old' || of.number,
               'at', timestamptz '2013-06-01Z' + n * interval '1 minute'
           )) AS made
"""
_BARS: Final = """
    INSERT INTO equity_bars (account_id, minute, open_minor, high_minor, low_minor, close_minor, balance_minor)
    SELECT of, timestamptz '2013-06-01Z' + n * interval '1 minute', 100, 120, 90, 110 + n %% 7, 100
      FROM generate_series(%(first)s::int, %(last)s::int) AS n,
           LATERAL (VALUES (%(account_id)s), ('acc_' || n), ('acc_' || n + 1)) AS account (of)
"""
_OLD: Final = 1_370_600_000  # after the first week of these bars


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def _statements(world: ConsoleWorld, account_id: str) -> list[Statement]:
    page = f"/accounts/{world.firm.active}"
    curve, number = f"{page}/curve.json?range=all", world.firm.active
    of_account = (
        *(page, f"{page}?show=venue", f"{page}/live", f"/v1/accounts/{account_id}/timeline"),
        *(curve, f"{curve}&before={_OLD}", f"{curve}&from=1370100000&to={_OLD}"),
        *(f"/deals?account={number}", f"/deals?account={number}&side=buy", f"/deals?q={number}"),
        f"/deals?account={number}&sort=stored",
    )
    async with world.browser("ana@firm.example") as browser:
        older = (await browser.get(f"/v1/accounts/{account_id}/timeline?limit=20")).json()["next_cursor"]
        with caught_statements(world.app.state.deps.db) as caught:
            deals = await browser.get(f"/deals?account={number}")
            later = re.search(r'href="(/deals[^"]+cursor=[^"]+)"', deals.text)
            assert later is not None
            others = (f"/v1/accounts/{account_id}/timeline?cursor={older}", unescape(later.group(1)))
            for place in (*_FIRM, *of_account, *others):
                assert (await browser.get(place)).status_code == 200, place
    return [one for one in caught if "audit_append" not in one[0]]


def _grow(owner_url: str, account_id: str, first: int, last: int) -> None:
    values = {"first": first, "last": last, "account_id": account_id}
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE accounts SET opened_at = '2013-01-01Z' WHERE id = %(account_id)s", values)
        connection.execute(_DEALS, values)
        connection.execute(_BARS, values)
        copy_rows(connection, _COPIES, first, last)


async def test_the_console_reads_as_much_in_a_large_firm_as_in_a_small_one(world: ConsoleWorld, owner_url: str) -> None:
    crypto.install(KEYS)
    with psycopg.connect(owner_url) as connection:
        number = int(world.firm.active.removeprefix("A-"))
        ((account_id,),) = connection.execute("SELECT id FROM accounts WHERE number = %s", (number,)).fetchall()
    _grow(owner_url, account_id, 1, _SHORT)
    short = explained(owner_url, await _statements(world, account_id), ())
    _grow(owner_url, account_id, _SHORT + 1, _LONG)
    long = explained(owner_url, await _statements(world, account_id), ())
    worse = [
        f"{short[one][0]} -> {read}: {one}"
        for one, (read, _) in long.items()
        if one in short and read > short[one][0] + _ROOM
    ]
    assert worse == []
    assert len(short.keys() & long.keys()) > 30  # the same statements, whatever the firm's size
