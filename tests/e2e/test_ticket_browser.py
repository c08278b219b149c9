"""The page of a ticket in a real browser: one that came by mail is answered by mail; the mails go over SMTP.

That a macro goes to where the cursor is, and that the keyboard sends, is in test_sittings_browser.py."""

import pytest
from playwright.async_api import expect

from tests.browser_stage import Stage
from tests.mail_desk import US
from tests.post_office import letter, post_office

pytestmark = pytest.mark.timeout(900)
MARA, FIRST = "mara@example.org", "<first@mail.example.org>"


async def test_a_ticket_by_mail_is_answered_with_a_macro_by_mail(stage: Stage) -> None:
    await written(stage, "Equity", "Your equity on {{account.number}} is {{account.equity}}.")
    async with post_office(stage.world.db) as post, stage.page("sam@firm.example") as page:
        await post.bring(letter(MARA, FIRST, "How much is left?", "I cannot see my equity.", References="<old@x.org>"))
        await page.goto("/tickets?state=open")
        await page.get_by_role("row", name="Mara Lindqvist").get_by_role("link", name="How much is left?").click()
        await expect(page.get_by_label("Conversation")).to_contain_text("I cannot see my equity.")
        account = page.get_by_role("region", name="Account")
        await expect(account).to_contain_text("the newest account; the ticket names no account")
        number = await account.get_by_role("link").inner_text()
        equity = await account.locator("dt:text-is('Equity') + dd").inner_text()
        await expect(page.get_by_role("region", name="Likely answer")).to_contain_text("as of")
        area, said = page.get_by_label("Answer or note"), f"Your equity on {number} is {equity}."
        await page.get_by_role("button", name="Equity").click()
        await expect(area).to_have_value(said)
        await page.get_by_role("button", name="Send to the trader").click()
        await expect(page.get_by_label("Conversation")).to_contain_text("will be sent in a few seconds")
        await post.let_go()
        answer, acknowledged = await post.got(MARA, said), await post.got(MARA, "We have your mail")
        assert (answer["Subject"], answer["From"].addresses[0].addr_spec) == ("Re: How much is left?", US)
        assert answer["In-Reply-To"] == acknowledged["Message-ID"] != answer["Message-ID"]
        assert answer["References"].split() == ["<old@x.org>", FIRST, acknowledged["Message-ID"]]
        assert (answer["Auto-Submitted"], acknowledged["Auto-Submitted"]) == (None, "auto-generated")
        thanks = {"To": answer["Reply-To"], "In_Reply_To": answer["Message-ID"]}
        await post.bring(letter(MARA, "<second@mail.example.org>", "Re: How much is left?", "Thank you!", **thanks))
        await page.reload()
        await expect(page.get_by_label("Conversation")).to_contain_text("Thank you!")


async def written(stage: Stage, name: str, body: str) -> None:
    """An administrator writes a macro."""
    async with stage.world.browser("ana@firm.example") as admin:
        assert (await admin.post("/macros", name=name, body=body)).status_code == 303
