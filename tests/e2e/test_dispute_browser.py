"""An appeal against an upheld breach in a real browser. Deciding disputes is in test_sittings_browser.py."""

import re

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import select

from activities.disputes import DisputeActivities
from contracts.messages import DisputeStart
from domain.approvals import Actor
from store import products
from store.models import Account, Dispute
from tests.browser_stage import Stage
from tests.console_firm import Firm, breached

pytestmark = pytest.mark.timeout(900)


async def the_account(stage: Stage, shown: str) -> Account:
    async with stage.world.db.transaction() as session:
        return (await session.scalars(select(Account).where(Account.number == int(shown.removeprefix("A-"))))).one()


async def second_breach(stage: Stage) -> Firm:
    """Another account, of another trader, broke its daily loss and is disputed."""
    trader_id, other = (await the_account(stage, stage.world.firm.active)).trader_id, Firm()
    async with stage.world.db.transaction() as session:
        owner = Actor(user_id="-", person_id="-", role="trader", trader_id=trader_id)
        await breached(session, other, owner, await products.newest(session, "two-step"))
    return other


async def decide(page: Page, dispute_id: str, button: str, reason: str, message: str = "") -> None:
    await page.goto(f"/disputes/{dispute_id}")
    await page.get_by_label("Reason").fill(reason)
    await page.get_by_label("Message to the trader").fill(message)
    await page.get_by_role("button", name=button).click()


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Decision", exact=True)


async def test_an_upheld_dispute_is_appealed_and_decided_by_others(stage: Stage) -> None:
    world, other = stage.world, await second_breach(stage)
    world.decides_disputes(other.dispute)
    status = "[role=status]"
    async with stage.page("rosa@firm.example") as rosa, stage.page("mara@example.org") as mara:
        await decide(rosa, other.dispute, "Uphold the breach", "Every broker had this spread.", "The price was real.")
        await expect(rosa.locator(status)).to_contain_text("The dispute is now upheld")
        await mara.goto(f"/disputes/{other.dispute}")
        await expect(panel(mara)).to_contain_text("The price was real.")
        await expect(mara.locator("main")).not_to_contain_text(re.compile("Every broker|Rosa"))
        await mara.get_by_label("What do you think is wrong").fill("My broker shows another spread.")
        await mara.get_by_role("button", name="Appeal").click()
        await expect(mara.locator(status)).to_contain_text("not involved in the first decision will decide it")
        appeal = await the_appeal(stage, other)
        await decide(rosa, appeal, "Uphold the breach", "I have said so before.")
        await expect(rosa.get_by_text("You decided this dispute the first time")).to_be_visible()
        async with stage.page("ana@firm.example") as ana:
            await decide(ana, appeal, "Uphold the breach", "The ticks agree.", "Our decision stands.")
            await expect(ana.locator(status)).to_contain_text("The dispute is now upheld")
        await mara.goto(f"/disputes/{appeal}")
        await expect(panel(mara)).to_contain_text("Our decision stands.")
        await expect(mara.get_by_role("button", name="Appeal")).to_have_count(0)
    sent = [(name.split("/")[1], verb) for name, verb, _ in world.temporal.sent]
    assert sent == [(other.dispute, "uphold"), (appeal, "uphold"), (appeal, "uphold")]


async def the_appeal(stage: Stage, about: Firm) -> str:
    """The appeal once its workflow has assembled the evidence."""
    async with stage.world.db.transaction() as session:
        statement = select(Dispute.id).where(Dispute.breach_id == about.breach, Dispute.instance == 2)
        appeal = (await session.scalars(statement)).one()
    started = await DisputeActivities(stage.world.deps()).assemble_evidence(DisputeStart(dispute_id=appeal))
    assert started.state == "awaiting_decision"
    stage.world.decides_disputes(appeal)
    return appeal
