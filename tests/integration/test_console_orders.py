"""The form that checks an order, on the account page of its trader and of the firm."""

from collections.abc import AsyncIterator

import pytest

from tests.console_world import ConsoleWorld, console_world
from tests.integration.recorded_feed import opened, two_step
from tests.integration.scripted_venue import ScriptedVenue, judge, on_record, rows

ORDER = "order=buy&symbol=EURUSD&lots=10"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


@pytest.fixture
async def page(database_url: str, world: ConsoleWorld) -> str:
    """An account of Mara, judged by a monitor."""
    on_record(database_url, {1: (two_step(), 1)})
    mara = f"SELECT trader_id FROM accounts WHERE number = {world.firm.funded[2:]}"
    rows(database_url, f"UPDATE challenges SET trader_id = ({mara}) WHERE id = 'chl_1' RETURNING 1")
    rows(database_url, f"UPDATE accounts SET trader_id = ({mara}) WHERE id = 'acc_1' RETURNING 1")
    judge(database_url, ScriptedVenue(opened().batches))
    [(number,)] = rows(database_url, "SELECT number FROM accounts WHERE id = 'acc_1'")
    return f"/accounts/A-{number}"


@pytest.mark.parametrize("login", ["mara@example.org", "rosa@firm.example"])
async def test_the_verdict_says_what_is_lost_at_the_stop(world: ConsoleWorld, page: str, login: str) -> None:
    async with world.browser(login) as browser:
        assert f'action="{page}/order"' in (await browser.get(page)).text
        safe = (await browser.get(f"{page}/order?{ORDER}&stop=1.37600")).text
        wide = (await browser.get(f"{page}/order?{ORDER}&stop=1.37000")).text
    for words in (">allowed<", "the stop loses", "4,000.00", "1,000.00", 'value="1.37600"', "Nothing was sent"):
        assert words in safe, words
    assert "If the stop is hit, the account is worth 90,000.00 USD" in wide
    assert "−5,000.00" in wide or "-5,000.00" in wide


async def test_an_order_that_breaks_a_rule_says_which_and_what_follows(world: ConsoleWorld, page: str) -> None:
    async with world.browser("mara@example.org") as browser:
        shown = (await browser.get(f"{page}/order?order=pending+buy&symbol=EURUSD&lots=10")).text
        assert "A pending order needs a price." in shown
        shown = (await browser.get(f"{page}/order?order=sideways&symbol=EURUSD&lots=10")).text
        assert "There is no such order." in shown
        assert (await browser.get(f"{page}/order?order=buy&symbol=EURUSD&lots=1e999999")).status_code == 422
        assert (await browser.get(f"{page}/order?order=buy&symbol=XAUUSD&lots=1")).status_code == 200


async def test_it_is_for_its_trader_and_those_who_support_them(world: ConsoleWorld, page: str) -> None:
    async with world.browser("otto@example.org") as browser:
        assert (await browser.get(f"{page}/order?{ORDER}")).status_code == 404
    async with world.browser("finn@firm.example") as browser:
        assert (await browser.get(f"{page}/order?{ORDER}")).status_code == 403
        assert f'action="{page}/order"' not in (await browser.get(page)).text
