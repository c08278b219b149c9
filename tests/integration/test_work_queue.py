"""The order of the work queue: close deadlines first, then everything by due time; pages keep their order."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from front.subjects.subject import kinds
from front.subjects.table import SUBJECTS
from store.models import MarketClock
from store.read import queue
from store.read.pages import Window
from tests.console_history import NOW
from tests.console_world import ConsoleWorld, console_world

KINDS = kinds(SUBJECTS)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def market_time(world: ConsoleWorld, at: datetime) -> None:
    async with world.db.transaction() as session:
        await session.execute(update(MarketClock).values(watermark=at, last_tick_at=at))


async def listed(world: ConsoleWorld) -> list[str]:
    async with world.db.transaction() as session:
        return [item.subject_id for item in (await queue.page(session, Window(), KINDS)).items]


async def test_a_payout_due_in_minutes_comes_before_what_has_waited_for_days_without_a_deadline(
    world: ConsoleWorld,
) -> None:
    firm = world.firm
    await market_time(world, NOW + timedelta(hours=1, minutes=15))
    order = await listed(world)
    assert order[0] == firm.payout, "due in five minutes"
    assert order.index(firm.payout) < order.index(firm.waiting_trader), "waits since nine days"
    await market_time(world, NOW + timedelta(days=2, hours=23, minutes=55))
    order = await listed(world)
    assert order[:3] == [firm.payout, firm.dispute, firm.big_payout], "one late, one due in a minute, one in five"
    assert firm.ticket in order[3:], "the ticket of three days ago"


async def test_what_has_no_deadline_does_not_wait_behind_distant_deadlines(world: ConsoleWorld) -> None:
    firm = world.firm
    order = await listed(world)
    assert order[0] == firm.payout
    assert order.index(firm.waiting_trader) < order.index(firm.ticket) < order.index(firm.big_payout)
    async with world.db.transaction() as session:
        items = (await queue.page(session, Window(), KINDS)).items
    for item in items:
        assert item.due == (item.deadline or item.since + KINDS[item.kind].target)


async def test_pages_keep_their_order_while_market_time_goes_on(world: ConsoleWorld) -> None:
    whole, found, cursor = await listed(world), list[str](), None
    for number in range(len(whole)):
        async with world.db.transaction() as session:
            page = await queue.page(session, Window(limit=1, cursor=cursor), KINDS)
        found += [item.subject_id for item in page.items]
        cursor = page.next_cursor
        await market_time(world, NOW + timedelta(days=3 * (number + 1)))
    assert (found, cursor) == (whole, None)
    assert await listed(world) != whole
