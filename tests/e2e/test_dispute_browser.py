"""Disputes in a real browser: one reinstated by two people, one rejected, appealed and decided by others."""

import re

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import select

from activities.challenges import ChallengeActivities
from activities.disputes import DisputeActivities
from contracts.challenges import ChallengeFact
from contracts.messages import DisputeStart
from domain.approvals import Actor
from store import products
from store.models import Account, Dispute
from tests.browser_stage import Stage
from tests.challenge_world import Seat, Venue
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


async def reinstated(stage: Stage, dispute_id: str) -> Venue:
    """The challenge and the dispute do what follows from the decision. Returns the venue."""
    account = await the_account(stage, stage.world.firm.breached)
    venue = Venue("sandbox", {account.login or 0: Seat(account.login or 0, 9_400_000)})
    deps, start = stage.world.deps(venue), DisputeStart(dispute_id=dispute_id)
    fact = ChallengeFact(challenge_id=account.challenge_id, key="overturned", subject_id=dispute_id)
    assert (await ChallengeActivities(deps).reinstate_account(fact)).state == "active"
    assert (await DisputeActivities(deps).record_reinstatement(start)).state == "reinstated"
    return venue


async def test_a_dispute_is_reinstated_by_two_people_and_another_rejected_and_appealed(stage: Stage) -> None:
    world, firm, other = stage.world, stage.world.firm, await second_breach(stage)
    world.decides_disputes(firm.dispute, other.dispute)
    status = "[role=status]"
    async with stage.page("rosa@firm.example") as rosa, stage.page("ana@firm.example") as ana:
        await decide(rosa, firm.dispute, "Reinstate the account", "The spread was ten times the usual one.")
        await expect(rosa.locator(status)).to_contain_text("1 of 2 people say so; another person must decide too")
        await ana.goto(f"/disputes/{firm.dispute}")
        await expect(panel(ana)).to_contain_text("1 wants to reinstate.")
        await decide(ana, firm.dispute, "Reinstate the account", "I agree.", "We were wrong; you trade again.")
        await expect(ana.locator(status)).to_contain_text("The dispute is now reinstating")
        venue = await reinstated(stage, firm.dispute)
        await rosa.goto(f"/disputes/{firm.dispute}")
        await expect(panel(rosa)).to_contain_text("trades again")
        await expect(panel(rosa)).to_contain_text("Account reinstated by Rosa Lindgren (risk) and Ana Ruiz (admin)")
        await expect(rosa.locator("form.decide").get_by_label("Reason")).to_have_count(0)

        await decide(rosa, other.dispute, "Uphold the breach", "Every broker had this spread.", "The price was real.")
        await expect(rosa.locator(status)).to_contain_text("The dispute is now upheld")
        async with stage.page("mara@example.org") as mara:
            await mara.goto(f"/disputes/{other.dispute}")
            await expect(panel(mara)).to_contain_text("The price was real.")
            await expect(mara.locator("main")).not_to_contain_text(re.compile("Every broker|Rosa"))
            await mara.get_by_label("What do you think is wrong").fill("My broker shows another spread.")
            await mara.get_by_role("button", name="Appeal").click()
            await expect(mara.locator(status)).to_contain_text("Other people than the first time will decide it")
            appeal = await the_appeal(stage, other)
            await decide(rosa, appeal, "Uphold the breach", "I have said so before.")
            await expect(rosa.get_by_text("You decided this dispute the first time")).to_be_visible()
            await decide(ana, appeal, "Uphold the breach", "The ticks agree.", "Our decision stands.")
            await expect(ana.locator(status)).to_contain_text("The dispute is now upheld")
            await mara.goto(f"/disputes/{appeal}")
            await expect(panel(mara)).to_contain_text("Our decision stands.")
            await expect(mara.get_by_role("button", name="Appeal")).to_have_count(0)
    seat = next(iter(venue.seats.values()))
    assert seat.enabled and seat.balance_minor > 9_500_000, "above the floor of 95,000.00 again"
    sent = [(name.split("/")[1], verb) for name, verb, _ in world.temporal.sent]
    one, two = (firm.dispute, "reinstate"), (other.dispute, "uphold")
    assert sent == [one, one, two, (appeal, "uphold"), (appeal, "uphold")]


async def the_appeal(stage: Stage, about: Firm) -> str:
    """The appeal once its workflow has assembled the evidence."""
    async with stage.world.db.transaction() as session:
        statement = select(Dispute.id).where(Dispute.breach_id == about.breach, Dispute.instance == 2)
        appeal = (await session.scalars(statement)).one()
    started = await DisputeActivities(stage.world.deps()).assemble_evidence(DisputeStart(dispute_id=appeal))
    assert started.state == "awaiting_decision"
    stage.world.decides_disputes(appeal)
    return appeal
