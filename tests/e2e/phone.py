"""A trader with a phone, in front of a real browser: from the sign-up to a payout that has arrived."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

from playwright.async_api import Page, expect

from cli.demo.mailbox import mailbox_of
from cli.screenshots import EXCESS
from sandbox.bank.ibans import iban_of
from tests.e2e.firm import DAY, Firm

NORA, PASSWORD = "nora.lind@example.org", "a long phone password"
_AXE = Path(__file__).parent / "vendor" / "axe.min.js"


async def signs_up_and_buys(firm: Firm, page: Page) -> None:
    await page.goto("/sign-up")
    for label, text in (("Name", "Nora Lind"), ("E-mail address", NORA), ("Country", "SE")):
        await page.get_by_label(label).fill(text)
    await page.get_by_label("Password (at least").fill(PASSWORD)
    await page.get_by_label("Repeat the password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign up").tap()
    await expect(page.get_by_role("status")).to_contain_text("open its link to confirm your address")
    await page.goto(f"/confirm?token={await mailbox_of(firm.stack.settings.data_dir).token(NORA, 'confirm')}")
    await page.get_by_role("button", name="Confirm").tap()
    await expect(page.get_by_role("status")).to_contain_text("Your e-mail address is confirmed.")

    await page.goto("/buy")
    for name in ("two-step", "instant"):
        await page.locator(f"input[name=product][value={name}]").check()
    await page.get_by_role("button", name="Compare selected").tap()
    await expect(page.get_by_role("table", name="Terms side by side")).to_contain_text("Phase 1: profit target")
    await _fits(page)
    await page.locator("a[href='/buy/instant']").tap()
    await page.get_by_label("I have read and accept").check()
    await page.get_by_role("button", name="Order for").tap()
    pay = page.get_by_role("link", name=re.compile(r"^Pay 1,250\.00 USD"))
    await expect(pay).to_be_visible()
    await _fits(page)
    await pay.tap()
    await page.get_by_role("button", name="Pay with a card that is declined").tap()
    await expect(page.get_by_role("alert")).to_contain_text("The card was declined.")
    await page.get_by_role("button", name="by card").tap()
    await expect(page).to_have_url(re.compile("/checkout/"))
    await firm.settle()
    await page.goto("/receipts")
    await expect(page.get_by_role("main")).to_contain_text("1,250.00")


async def reads_the_room(firm: Firm, page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("main").get_by_role("link", name=re.compile(r"^A-\d+$")).first.tap()
    room = page.get_by_role("region", name="Room", exact=True)
    await expect(room).to_contain_text(re.compile(r"as of 2026-03-06 01:(39|40):\d\d\s+UTC"))
    trailing = room.get_by_role("region", name="Trailing loss")
    await expect(trailing).to_contain_text("After the reset: level")
    await expect(trailing.locator(".room")).to_contain_text(re.compile(r"[\d,]+\.\d\d USD"))
    await expect(room.locator("dt:text-is('Open profit or loss') + dd")).to_contain_text("+")
    await _fits(page)


async def identifies(firm: Firm, page: Page) -> None:
    await page.goto("/my/details")
    await page.get_by_label("IBAN").fill(iban_of("nora lind"))
    await page.get_by_role("button", name="Save").tap()
    await expect(page.get_by_role("status")).to_contain_text("New payout requests will use this account.")
    await page.get_by_role("button", name="Start the identity check").tap()
    await expect(page.get_by_role("status")).to_contain_text("Your identity check is ready.")
    await page.get_by_role("link", name="Continue the check").tap()
    await page.get_by_label("Name on the document").fill("Nora Lind")
    await page.get_by_role("button", name="Complete").tap()
    await expect(page.get_by_role("heading", name="Identity and bank account")).to_be_visible()
    await firm.advance(DAY + timedelta(minutes=250))  # the check takes two minutes
    await page.reload()
    await expect(page.get_by_role("region", name="Identity")).to_contain_text("Your identity is verified.")


async def simulates_and_requests(firm: Firm, page: Page) -> str:
    """Returns the id of the payout."""
    await page.goto("/")
    await page.get_by_role("main").get_by_role("link", name=re.compile(r"^A-\d+$")).first.tap()
    start = page.get_by_role("region", name="Request a payout")
    await start.get_by_label("Amount in USD").fill("1,000.00")
    await start.get_by_role("button", name="Simulate").tap()
    await expect(page.get_by_text("Nothing is requested yet.")).to_be_visible()
    breakdown = page.get_by_role("table", name="The amount, line by line")
    await expect(breakdown.get_by_role("row", name="To you")).to_contain_text("600.00")
    await _fits(page)
    await page.get_by_role("button", name="Request this payout").tap()
    await expect(page).to_have_url(re.compile("/payouts/pay_"))
    await firm.settle()
    await _is_at(page, "Approved", "with the firm's finance team, until 2026-03-")
    await _fits(page)
    return page.url.rsplit("/", 1)[1]


async def _is_at(page: Page, step: str, words: str) -> None:
    await page.reload()
    now = page.get_by_role("list", name="Steps of this payout").locator("[aria-current=step]")
    await expect(now.locator("strong")).to_have_text(step)
    await expect(now).to_contain_text(words)


async def follows_to_the_end(firm: Firm, page: Page, payout_id: str) -> None:
    assert page.url.endswith(payout_id)
    await firm.settle(f"payout/{payout_id}")
    await _is_at(page, "Arrived", "with the payment company and your bank")
    await expect(page.get_by_text("It has not arrived yet.").first).to_be_visible()
    await firm.advance(DAY + timedelta(days=14))
    done = page.get_by_role("list", name="Steps of this payout").locator("li[data-state=done]")
    async with asyncio.timeout(300):  # the relay reads what arrived a moment later
        while await done.count() < 6:
            await asyncio.sleep(0.5)
            await page.reload()
    await _fits(page)
    await page.goto("/certificates")
    await page.get_by_label("Show the amount").check()
    await page.get_by_role("button", name="Create certificate").tap()
    await page.goto(str(await page.locator("[data-secret]").text_content()))
    await expect(page.get_by_role("heading", name="Payout received")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("600.00")
    await _fits(page)
    await page.evaluate(_AXE.read_text())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [each["id"] for each in found["violations"]] == []


async def _fits(page: Page) -> None:
    assert int(await page.evaluate(EXCESS)) <= 0, page.url
