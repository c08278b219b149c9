"""The console shows a doubtful breach with its facts and takes the decision; a trader sees warnings, room, and what a
payout leaves."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from store.models import Breach, Review
from tests.console_world import ConsoleWorld, console_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_a_doubtful_breach_is_shown_with_its_facts_and_confirmed(world: ConsoleWorld) -> None:
    path = f"/reviews/{world.firm.doubtful}"
    async with world.browser("rosa@firm.example") as browser:
        assert "EURUSD has been silent for 2 h while" in (await browser.get("/risk")).text
        page = (await browser.get(path)).text
        for said in ("Equity as estimated", "95,000.00", "sequence 71,300", "Confirm the breach", "Dismiss: no breach"):
            assert said in page
        answer = await browser.post(f"{path}/decision", decision="confirm", reason="Gold fell everywhere.")
        assert answer.status_code == 303
        assert "The breach was confirmed" in (await browser.get(path)).text
    async with world.db.transaction() as session:
        review = await session.get_one(Review, world.firm.doubtful)
        assert await session.scalar(select(Breach.rule_id).where(Breach.account_id == review.account_id))
        assert (review.status, review.outcome) == ("closed", "confirmed")


async def test_only_risk_may_decide_it(world: ConsoleWorld) -> None:
    path = f"/reviews/{world.firm.doubtful}"
    async with world.browser("finn@firm.example") as browser:
        assert "Only admin or risk may decide this" in (await browser.get(path)).text
        assert (await browser.post(f"{path}/decision", decision="dismiss", reason="No.")).status_code == 403


async def test_a_trader_sees_warnings_room_and_what_a_payout_leaves(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        home = (await browser.get("/")).text
        assert "82.00 % of daily loss is used: equity 95,900.00 USD" in home
        assert "will breach daily loss even if no price moves" in home
        own = (await browser.get(f"/accounts/{world.firm.active}")).text
        assert "82.00 % of daily loss" in own and "Room to every limit" in own
        ahead = await browser.get(f"/accounts/{world.firm.funded}/payout?amount=1,200.00")
        assert "Room after the payout" in ahead.text
        assert "3,627.19" in ahead.text
        place = f"/accounts/{world.firm.funded}/payout"
        refused = (await browser.get(f"{place}?amount=0,50"), await browser.post(place, amount="0,50"))
        for each in refused:
            assert each.status_code == 422 and "Write 0.50 with a point." in each.text, "it is not 50.00"
