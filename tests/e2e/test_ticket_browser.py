"""The page of a ticket in a real browser: a macro goes to where the cursor is, and the keyboard sends."""

import re

import pytest
from playwright.async_api import expect

from tests.browser_stage import Stage
from tests.console_world import about_the_funded_account

pytestmark = pytest.mark.timeout(900)


async def test_a_macro_goes_to_the_cursor_and_the_keyboard_sends(stage: Stage) -> None:
    world = stage.world
    await about_the_funded_account(world)
    async with world.browser("ana@firm.example") as admin:
        made = await admin.post("/macros", name="Room", body="You have {{limit.room}} left.")
        assert made.status_code == 303
    async with stage.page("sam@firm.example") as page:
        await page.goto(f"/tickets/{world.firm.ticket}")
        area = page.get_by_label("Answer or note")
        await area.fill("Good morning.\nKind regards")
        await area.evaluate("area => area.setSelectionRange(13, 13)")
        await page.get_by_role("button", name="Room").click()
        await expect(area).to_have_value(re.compile(r"Good morning\.\nYou have [\d,]+\.\d\d USD left\.\nKind regards"))
        await area.press("Control+Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Until then you can take it back.")
        await expect(page.get_by_label("Conversation")).to_contain_text("Facts of the macro Room")
