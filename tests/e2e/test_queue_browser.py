"""The work queue by keyboard alone, in a real browser: it stays current, the row in hand stays, typed text stays."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import delete

from store.models import Session
from tests.browser_stage import Stage
from tests.console_firm import PASSWORD
from tests.console_payments import more_payouts

pytestmark = pytest.mark.timeout(900)
_POLL_GONE = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"


async def _keys(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def _in_hand(page: Page, payout_id: str) -> Locator:
    """Address, highlighted row and form are about this payout; gives its row."""
    ref = f"payout/{payout_id}"
    await expect(page).to_have_url(re.compile(f"/queue/{ref}([?]|$)"))
    row = page.locator("tr[data-selected]")
    await expect(row.get_by_role("link")).to_have_id(f"row/{ref}")
    await expect(row.get_by_role("link")).to_be_focused()
    await expect(page.locator("#panel form.decide input[name=item]")).to_have_value(ref)
    return row


async def test_a_queue_of_payouts_is_cleared_by_keyboard_alone(stage: Stage) -> None:
    world, firm = stage.world, stage.world.firm
    second, third = await more_payouts(world, timedelta(hours=3), timedelta(hours=4))
    world.decides_payouts(second, third)
    async with stage.page("finn@firm.example") as page, stage.page("ana@firm.example") as ana:
        await _keys(page, "g", "q")
        await expect(page.get_by_role("heading", name="Work queue")).to_be_visible()
        await _keys(page, "]")  # to check
        await expect(page).to_have_url(re.compile("show=mine"))
        rows, panel = page.locator("#work-list tr[data-row]"), page.get_by_role("region", name="Selected")
        await expect(rows).to_have_count(4)

        # the most urgent one is lost to Ana, while the text for it is being typed
        await _keys(page, "j", "Enter")
        row = await _in_hand(page, firm.payout)
        await _keys(page, "Enter")
        await expect(panel.get_by_label("Reason")).to_be_focused()
        await page.keyboard.type("The statement agrees with")
        place = await row.bounding_box()
        await ana.goto(f"/queue/payout/{firm.payout}")
        await expect(panel.get_by_text("Ana Ruiz is looking at this")).to_be_visible()
        await ana.get_by_label("Reason").fill("The bank account was reported.")
        await ana.get_by_role("button", name="Reject").click()
        await expect(panel.locator("#item-news")).to_contain_text("Rejected by Ana Ruiz (admin)")
        await expect(row).to_contain_text("no longer waiting")
        await expect(page.locator("#count-payouts")).to_contain_text("3")
        await expect(page.locator("#work-tabs a[aria-current] .count")).to_have_text("3")
        assert await row.bounding_box() == place, "the row in hand has not moved"
        await expect(panel.get_by_label("Reason")).to_have_value("The statement agrees with")
        await expect(panel.get_by_label("Reason")).to_be_focused()
        for name in ("Approve 1,116.00 USD", "Reject"):
            await expect(panel.get_by_role("button", name=name)).to_be_disabled()

        # what comes in waits behind a button; focus and cursor stay where they are
        tab = page.locator("#work-tabs a[aria-current]")
        await tab.focus()
        (fourth,) = await more_payouts(world, timedelta(hours=1))
        world.decides_payouts(second, third, fourth)
        await expect(page.locator("#work-news")).to_have_text("Show 1 new")
        await expect(tab.locator(".count")).to_have_text("4")
        await expect(tab).to_be_focused()
        await _keys(page, "Escape", "j")
        cursor = page.locator("tr.cursor").get_by_role("link")
        await expect(cursor).to_have_id(f"row/payout/{second}")
        await expect(rows).to_have_count(4)
        await _keys(page, "l")
        await expect(rows.first.get_by_role("link")).to_have_id(f"row/payout/{fourth}")
        await expect(rows).to_have_count(4)
        await expect(cursor).to_have_id(f"row/payout/{second}")

        # the second one is rejected, and the next one opens by itself
        await _keys(page, "Enter")
        await _in_hand(page, second)
        await _keys(page, "c")
        await expect(page.get_by_role("status").first).to_contain_text("This is yours until")
        await _in_hand(page, second)
        await expect(panel.get_by_label("Reason")).to_have_value("", timeout=5_000)
        await _keys(page, "Enter")
        await page.keyboard.type("The statement is missing.")
        await _keys(page, "Tab", "Tab", "Tab")
        await expect(panel.get_by_role("button", name="Reject")).to_be_focused()
        await _keys(page, "Enter")
        await expect(page.get_by_role("status").first).to_contain_text("The payout is now ending")
        await _in_hand(page, third)

        # the third is approved; the session ends while the text is typed, and the text comes back
        await _keys(page, "Enter")
        await page.keyboard.type("Statement and identity checked.")
        async with world.db.transaction() as session:
            await session.execute(delete(Session).where(Session.user_id == await _user(page)))
        await expect(page).to_have_url(re.compile("/sign-in[?]next="))
        stage.problems.remove(_POLL_GONE)
        await page.keyboard.type("finn@firm.example")
        await _keys(page, "Tab")
        await page.keyboard.type(PASSWORD)
        await _keys(page, "Enter")
        await _in_hand(page, third)
        await expect(panel.get_by_label("Reason")).to_have_value("Statement and identity checked.")
        await expect(panel.get_by_text("Your text from before.")).to_be_visible()
        await expect(panel.get_by_role("button", name="Reject")).to_be_disabled()
        await _keys(page, "Enter", "Tab", "Enter")
        await _prove(page)
        await expect(page.get_by_role("status").first).to_contain_text("The payout is now approved.")

        # the big one goes to a second check, and the last one closes the list
        await _in_hand(page, firm.big_payout)
        for payout_id, told in ((firm.big_payout, "It has 1 of 2 approvals."), (fourth, "The payout is now approved.")):
            await _in_hand(page, payout_id)
            await _keys(page, "Enter")
            await page.keyboard.type("Statement and identity checked.")
            await _keys(page, "Tab", "Enter")
            await _prove(page)
            await expect(page.get_by_role("status").first).to_contain_text(told)
        await expect(page).to_have_url(f"{stage.url}/queue?show=mine")
        await expect(page.get_by_role("region", name="Queue")).to_contain_text("Nothing for you to check")

        # the other five of the ten are in order, and are approved at once
        others = await more_payouts(world, *(timedelta(hours=each) for each in range(5, 10)))
        world.decides_payouts(*others)
        await expect(page.locator("#work-news")).to_have_text("Show 5 new")
        await _keys(page, "l")
        await expect(rows).to_have_count(5)
        await _keys(page, "j", "Shift+J", "Shift+J", "Shift+J", "Shift+J")
        await expect(page.locator("[data-picked]")).to_have_text("5 selected:")
        await _keys(page, "b", "Tab", "Enter")
        await expect(page.get_by_role("region", name="Selected items")).to_contain_text("5,580.00")
        await page.keyboard.type("All five statements checked.")
        await _keys(page, "Tab", "Enter")
        await _prove(page)
        await expect(page.get_by_role("status").first).to_have_text("5 of 5 items done.")
        await _keys(page, "g", "q")
        await expect(page.get_by_role("heading", name="Work queue")).to_be_visible()

        # an old link says who decided, and leads on
        await page.goto(f"/queue/payout/{second}?show=mine")
        await expect(panel).to_contain_text("Rejected by Finn Okafor (finance)")
        await expect(page.locator("form.decide input[name=item]")).to_have_count(0)
    assert sorted(sent[:2] for sent in world.temporal.sent) == sorted(
        [
            (f"payout/{firm.payout}", "reject"),
            (f"payout/{second}", "reject"),
            *((f"payout/{each}", "approve") for each in (third, firm.big_payout, fourth, *others)),
        ]
    )


async def test_a_claim_and_a_snooze_of_several_are_undone_by_keyboard(stage: Stage) -> None:
    world = stage.world
    others = await more_payouts(world, *(timedelta(hours=each) for each in (3, 4)))
    async with stage.page("finn@firm.example") as page:
        await page.goto("/queue?kind=payout")
        rows = page.locator("#work-list tr[data-row]")
        await expect(rows).to_have_count(4)
        await _keys(page, "j", "Enter")
        await _in_hand(page, world.firm.payout)
        await _keys(page, "c")
        await expect(page.get_by_role("status").first).to_contain_text("This is yours until")
        await _keys(page, "u")
        await expect(page.get_by_role("status").first).to_contain_text("Undone. Released.")
        await _in_hand(page, world.firm.payout)
        await expect(page.get_by_role("button", name="Claim", exact=True)).to_be_visible()

        # a selection outlives the opening of another item
        await _keys(page, "j", "x", "j", "x")
        await expect(page.locator("[data-picked]")).to_have_text("2 selected:")
        await _keys(page, "Enter")
        await _in_hand(page, others[1])
        await expect(page.locator("[data-picked]")).to_have_text("2 selected:")
        await _keys(page, "b")
        await page.keyboard.type("Snooze")
        await _keys(page, "Tab", "Tab", "Enter")
        await expect(page.get_by_role("heading", name="Snooze several items")).to_be_visible()
        await _keys(page, "Enter")
        await expect(page.get_by_role("status").first).to_have_text("2 of 2 items done.")
        async with stage.page("ana@firm.example") as ana:
            await ana.goto("/queue?kind=payout")
            await expect(ana.locator("#work-list tr[data-row]")).to_have_count(2)
        await _keys(page, "u")
        await expect(page.get_by_role("heading", name="Bring back several items")).to_be_visible()
        await page.goto("/queue?kind=payout")
        await expect(rows).to_have_count(4)

        # an item is given to somebody else
        await _keys(page, "j", "Enter")
        await _in_hand(page, world.firm.payout)
        await _keys(page, "e")
        await expect(page.get_by_label("Give it to")).to_be_focused()
        await _keys(page, "Tab")
        await page.keyboard.type("The name on the account is unlike.")
        await _keys(page, "Tab", "Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Escalated.")
        await expect(page.locator("tr[data-selected]")).to_contain_text("escalated to admin")


async def _user(page: Page) -> str:
    return str(await page.locator("body").get_attribute("data-viewer"))


async def _prove(page: Page) -> None:
    await expect(page.get_by_label("Your password")).to_be_focused()
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
