"""The pages of a trader: what they say of the trader's own account, and what they never say."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.console_world import ConsoleWorld, console_world, feed_heard
from tests.integration.console_page import Page


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_every_page_of_an_account(world: ConsoleWorld) -> None:
    await feed_heard(world, timedelta(0))
    async with world.browser("mara@example.org") as browser:
        for number in (world.firm.active, world.firm.funded):
            for part in ("", "/days", "/trades", "/terms", "/room"):
                answer = await browser.get(f"/accounts/{number}{part}")
                assert answer.status_code == 200, (part, answer.text[:800])
                assert Page(answer.text).forbidden == [] and len(answer.content) < 150_000
