"""Work of several people on the queue, by keyboard alone: claims, snoozes and what is given to somebody else.

That a queue is cleared by keyboard is in test_sittings_browser.py."""

from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.browser_stage import Stage
from tests.console_payments import more_payouts
from tests.e2e.keyboard import in_hand, keys

pytestmark = pytest.mark.timeout(900)


async def test_a_claim_and_a_snooze_of_several_are_undone_by_keyboard(stage: Stage) -> None:
    world = stage.world
    others = await more_payouts(world, *(timedelta(hours=each) for each in (3, 4)))
    async with stage.page("finn@firm.example") as page:
        await page.goto("/queue?kind=payout")
        rows = page.locator("#work-list tr[data-row]")
        await expect(rows).to_have_count(4)
        await keys(page, "j", "Enter")
        await in_hand(page, f"payout/{world.firm.payout}")
        await keys(page, "c")
        await expect(page.get_by_role("status").first).to_contain_text("This is yours until")
        await keys(page, "u")
        await expect(page.get_by_role("status").first).to_contain_text("Undone. Released.")
        await in_hand(page, f"payout/{world.firm.payout}")
        await expect(page.get_by_role("button", name="Claim", exact=True)).to_be_visible()

        # a selection outlives the opening of another item
        await keys(page, "j", "x", "j", "x")
        await expect(page.locator("[data-picked]")).to_have_text("2 selected:")
        await keys(page, "Enter")
        await in_hand(page, f"payout/{others[1]}")
        await expect(page.locator("[data-picked]")).to_have_text("2 selected:")
        await keys(page, "b")
        await page.keyboard.type("Snooze")
        await keys(page, "Tab", "Tab", "Enter")
        await expect(page.get_by_role("heading", name="Snooze several items")).to_be_visible()
        await keys(page, "Enter")
        await expect(page.get_by_role("status").first).to_have_text("2 of 2 items done.")
        async with stage.page("ana@firm.example") as ana:
            await ana.goto("/queue?kind=payout")
            await expect(ana.locator("#work-list tr[data-row]")).to_have_count(2)
        await keys(page, "u")
        await expect(page.get_by_role("heading", name="Bring back several items")).to_be_visible()
        await page.goto("/queue?kind=payout")
        await expect(rows).to_have_count(4)

        # an item is given to somebody else
        await keys(page, "j", "Enter")
        await in_hand(page, f"payout/{world.firm.payout}")
        await keys(page, "e")
        await expect(page.get_by_label("Give it to")).to_be_focused()
        await keys(page, "Tab")
        await page.keyboard.type("The name on the account is unlike.")
        await keys(page, "Tab", "Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Escalated.")
        await expect(page.locator("tr[data-selected]")).to_contain_text("escalated to admin")
