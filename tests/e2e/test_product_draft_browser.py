"""A draft of a version in a real browser: what is typed comes back, and the result of a replay arrives by itself."""

import pytest
from playwright.async_api import expect

from activities.impact_replays import ImpactReplays
from tests.browser_stage import Stage

pytestmark = pytest.mark.timeout(900)


async def test_typed_terms_come_back_and_the_replay_arrives(stage: Stage) -> None:
    async with stage.page("rosa@firm.example") as page:
        await page.goto("/products/two-step/1")
        await page.get_by_role("button", name="Draft version 2").click()
        text = page.get_by_label("Text of the definition")
        first = await text.input_value()
        await page.wait_for_load_state()  # its scripts keep what is typed from now on
        typed = first.replace("fee: '540'", "fee: '612'")
        await text.fill(typed)
        await page.reload()
        await expect(text).to_have_value(typed)
        await text.focus()  # whoever has come to the text may send it
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_text("The draft is saved.")).to_be_visible()
        await expect(text).to_have_value(typed)
        await expect(page.get_by_text("Your text from before.")).to_have_count(0)

        await page.get_by_role("button", name="Replay the accounts").click()
        impact = page.get_by_role("region", name="Impact")
        await expect(impact.get_by_text("challenges replayed")).to_be_visible()
        assert await ImpactReplays(stage.world.db).step()
        await expect(impact.get_by_role("rowheader", name="Fees less payouts")).to_be_visible()
        await text.fill(typed.replace("leverage: 100", "leverage: 0"))
        await page.get_by_role("button", name="Check without saving").click()
        await expect(page.get_by_role("region", name="Check", exact=True)).to_contain_text("leverage: 0")
        await expect(page.get_by_text("Your text from before.")).to_have_count(0)
    assert stage.problems == []
