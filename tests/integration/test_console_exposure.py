"""The exposure on the firm's page: its floating result is in the currency that it was converted into."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from store.models import Account
from store.read import summary
from tests.console_world import ConsoleWorld, console_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_a_floating_result_is_not_in_the_currency_of_some_account(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await session.execute(update(Account).values(currency="JPY"))
        assert {row.currency for row in await summary.exposure(session)} == {"USD"}
    async with world.browser("ana@firm.example") as browser:
        page = await browser.get("/")
    assert "-1,842.33" in page.text.replace("\u2212", "-")
    assert "184,233" not in page.text
