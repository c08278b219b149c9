"""A trader on a phone: buys, reads the room, simulates, requests and follows a payout, and shows it to others."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import select, update

from cli.screenshots import LOOKS
from domain.lifecycle import Paid
from domain.payouts.transfer import RailStatus, RailWord
from firm import challenges, fees
from firm.payouts import attempts, row, transfers
from store.models import Payout
from tests.browser_stage import Stage
from tests.console_history import NOW

pytestmark = pytest.mark.timeout(900)
_AXE = Path(__file__).parent / "vendor" / "axe.min.js"
_EXCESS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def test_a_trader_buys_and_is_paid_on_a_phone(stage: Stage) -> None:
    firm = stage.world.firm
    async with stage.world.db.transaction() as session:
        await session.execute(update(Payout).values(state="cancelled", closed_at=NOW))
    async with stage.page("mara@example.org", **LOOKS["narrow"]) as page:
        await _buys(stage, page)

        await page.goto("/my/details")
        await page.get_by_label("IBAN").fill("DE89 3704 0044 0532 0130 00")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status")).to_contain_text("New payout requests will use this account.")

        await page.goto("/")
        await page.get_by_role("link", name=firm.funded, exact=True).click()
        room = page.get_by_role("region", name="Room", exact=True)
        await expect(room).to_contain_text(re.compile(r"as of 2014-05-02 14:30:07\s+UTC"))
        await expect(room.get_by_role("region", name="Trailing loss")).to_contain_text("After the reset: level")
        await _fits(page)

        start = page.get_by_role("region", name="Request a payout")
        await start.get_by_label("Amount in USD").fill("200.00")
        await start.get_by_role("button", name="Simulate").click()
        await expect(page.get_by_text("Nothing is requested yet.")).to_be_visible()
        breakdown = page.get_by_role("table", name="The amount, line by line")
        await expect(breakdown.get_by_role("row", name="To you")).to_contain_text("180.00")
        await _fits(page)
        await page.get_by_role("button", name="Request this payout").click()

        steps = page.get_by_role("list", name="Steps of this payout")
        now = steps.locator("[aria-current=step]")
        await expect(now).to_contain_text("with the trading platform")
        payout_id = page.url.rsplit("/", 1)[1]
        for state, words in (("approved", "Sent"), ("sent", "Arrived")):
            await _moves_to(stage, payout_id, state)
            await page.reload()
            await expect(now.locator("strong")).to_have_text(words)
        await expect(page.get_by_text("It has not arrived yet.").first).to_be_visible()
        await _moves_to(stage, payout_id, "paid")
        await page.reload()
        await expect(steps.locator("li[data-state=done]")).to_have_count(6)
        await _fits(page)

        await page.goto("/certificates")
        await page.get_by_label("Show the amount").check()
        await page.get_by_role("button", name="Make the certificate").click()
        link = str(await page.locator("[data-secret]").text_content())
        await page.goto(link.replace("http://firm.test", stage.url))
        await expect(page.get_by_role("heading", name="Payout received")).to_be_visible()
        await expect(page.get_by_role("main")).to_contain_text("180.00")
        await _fits(page)
        await page.evaluate(_AXE.read_text())
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [each["id"] for each in found["violations"]] == []


async def _buys(stage: Stage, page: Page) -> None:
    await page.goto("/buy")
    for name in ("two-step", "instant"):
        await page.locator(f"input[name=product][value={name}]").check()
    await page.get_by_role("button", name="Compare the ticked ones").click()
    await expect(page.get_by_role("table", name="Terms side by side")).to_contain_text("Phase 1: profit target")
    await _fits(page)
    await page.locator("a[href='/buy/two-step']").click()
    await page.get_by_label("I have read and accept").check()
    await page.get_by_role("button", name="Order for").click()
    await expect(page.get_by_role("link", name=re.compile(r"^Pay \d"))).to_have_attribute(
        "href", re.compile("^https://pay.example/")
    )
    await _fits(page)
    challenge_id = page.url.rsplit("/", 1)[1]
    async with stage.world.db.transaction() as session:
        bought = await challenges.lock(session, challenge_id)
        paid = Paid(minor=bought.fee_minor, currency="USD")
        assert not await fees.receive(session, bought, paid=paid, reference=bought.id, provider=bought.provider)
    await page.goto("/receipts")
    await expect(page.get_by_role("main")).to_contain_text("2014-000001")


async def _moves_to(stage: Stage, payout_id: str, state: str) -> None:
    """The payout goes on as its workflow takes it on."""
    async with stage.world.db.transaction() as session:
        payout = (await session.scalars(select(Payout).where(Payout.id == payout_id))).one()
        if state == "approved":
            for trigger in ("hold_placed", "risk_clear", "approvals_complete"):
                await row.advance(session, payout, trigger)
            return
        said: RailStatus = "pending" if state == "sent" else "paid"
        attempt = await attempts.current(session, payout_id)
        if attempt is None:
            attempt = await attempts.begin(session, payout, None, payout.terms_digest, seconds=0)
        await transfers.record(session, payout, attempt, RailWord("tr_1", said, row.sent_of(payout)))
        if state == "paid":
            await row.advance(session, payout, "payout_settled")


async def _fits(page: Page) -> None:
    assert int(await page.evaluate(_EXCESS)) <= 0, page.url
