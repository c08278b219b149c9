"""The console in a real browser: with its scripts, its keyboard, its policy."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import select

from cli.screenshots import EXCESS
from front.access import Access
from store.models import User
from store.read import market
from tests.browser_stage import Stage, prove, sign_in, until
from tests.console_world import feed_heard

pytestmark = pytest.mark.timeout(900)


async def expect_item(page: Page, ref: str) -> None:
    """Address, highlighted row and form are all about this one item."""
    await expect(page).to_have_url(re.compile(f"/queue/{ref}([?]|$)"))
    row = page.locator("tr[data-selected]")
    await expect(row).to_have_count(1)
    await expect(row.get_by_role("link")).to_have_id(f"row/{ref}")
    await expect(page.locator("form.decide input[name=item]")).to_have_value(ref)
    await expect(page).to_have_title(re.compile(".+ · PropOS"))


async def test_a_payout_is_approved_from_the_queue(stage: Stage) -> None:
    firm = stage.world.firm
    stage.world.decides_payouts()
    async with stage.page("finn@firm.example") as page:
        await page.goto("/queue?kind=payout")
        panel = page.get_by_role("region", name="Selected")
        await expect(panel).to_contain_text("No item is open")
        await page.get_by_role("link", name="Payout 1,116.00 USD").first.click()
        await expect_item(page, f"payout/{firm.payout}")
        await expect(panel).to_contain_text("Approving sends 1,116.00 USD to DE…4821; 124.00 USD stays with the firm")
        await panel.get_by_label("Reason").fill("Statement and identity checked.")
        await panel.get_by_role("button", name="Approve 1,116.00 USD").click()
        await prove(page)
        await expect(page.get_by_role("status")).to_contain_text("Decision recorded. The payout is now approved.")
        await expect_item(page, f"payout/{firm.big_payout}")
        await expect(panel).to_contain_text("the first of 2 approvals")
        await page.get_by_role("status").get_by_role("link", name="Payout 1,116.00 USD, Mara Lindqvist").click()
        await expect(page).to_have_url(re.compile(f"/queue/payout/{firm.payout}[?]"))
        await expect(panel).to_contain_text("Approved by Finn Okafor (finance), 2014-05-02 14:30 UTC.")
        await expect(panel.get_by_role("button", name="Approve")).to_have_count(0)
    assert [sent[:2] for sent in stage.world.temporal.sent] == [(f"payout/{firm.payout}", "approve")]


async def test_row_and_item_go_together_with_the_mouse_back_and_forward(stage: Stage) -> None:
    firm = stage.world.firm
    items = [f"payout/{firm.payout}", f"case/{firm.case}", f"identity/{firm.waiting_trader}"]
    async with stage.page("ana@firm.example") as page:
        await page.goto("/queue")
        for ref in items:
            row = page.locator("tr[data-row]").filter(has=page.locator(f'[id="row/{ref}"]'))
            await row.locator("td").nth(1).click()  # anywhere on the row beside its box, not only on its link
            await expect_item(page, ref)
        for ref in reversed(items[:-1]):
            await page.go_back()
            await expect_item(page, ref)
        await page.go_forward()
        await expect_item(page, items[1])
        await page.reload()
        await expect_item(page, items[1])
        await page.go_back()
        await expect_item(page, items[0])
        await page.go_back()
        await expect(page).to_have_url(f"{stage.url}/queue")
        await expect(page.locator("tr[data-selected]")).to_have_count(0)
        await expect(page.locator("form.decide")).to_have_count(0)


async def test_back_and_old_links_to_a_decided_item_say_who_decided_it(stage: Stage) -> None:
    firm = stage.world.firm
    stage.world.decides_payouts()
    async with stage.page("finn@firm.example") as page:
        await page.goto(f"/queue/payout/{firm.payout}?kind=payout")
        panel = page.get_by_role("region", name="Selected")
        await panel.get_by_label("Reason").fill("The statement is missing.")
        await panel.get_by_role("button", name="Reject").click()
        await expect_item(page, f"payout/{firm.big_payout}")
        await page.go_back()
        await expect(page).to_have_url(re.compile(f"/queue/payout/{firm.payout}[?]"))
        await expect(panel).to_contain_text("Rejected by Finn Okafor (finance)")
        await expect(page.locator("form.decide")).to_have_count(0)
        await expect(page.locator("tr[data-selected]")).to_have_count(0)
        await panel.get_by_role("link", name="Open the payout").click()
        await expect(page).to_have_url(f"{stage.url}/payouts/{firm.payout}")
        await expect(page.get_by_role("region", name="Decision")).to_contain_text("Rejected by Finn Okafor (finance)")
        await page.get_by_role("link", name="Go to the queue").click()
        await expect(page).to_have_url(f"{stage.url}/queue?kind=payout")


async def test_of_two_operators_the_slower_one_reads_who_was_faster(stage: Stage) -> None:
    firm = stage.world.firm
    stage.world.decides_payouts()
    item = f"/queue/payout/{firm.payout}"
    async with stage.page("ana@firm.example") as ana, stage.page("finn@firm.example") as finn:
        for page in (ana, finn):
            await page.route("**/queue/changes?*", lambda route: route.fulfill(status=204))  # both are too fast for it
            await page.goto(item)
            await page.get_by_label("Reason").fill("I have read the statement.")
        await ana.get_by_role("button", name="Reject").click()
        await expect(ana.get_by_role("status")).to_contain_text(
            "The payout is now ending: its money is going back to the account"
        )
        await finn.get_by_role("button", name="Approve 1,116.00 USD").click()
        await expect(finn.get_by_text("Your decision was not recorded.")).to_contain_text(
            "Rejected by Ana Ruiz (admin), 2014-05-02 14:30 UTC."
        )
        stage.problems.remove("Failed to load resource: the server responded with a status of 409 (Conflict)")
        await finn.get_by_role("link", name="Back", exact=True).click()
        await expect(finn).to_have_url(stage.url + item)
        await expect(finn.get_by_role("region", name="Selected")).to_contain_text("Rejected by Ana Ruiz (admin)")
        await expect(finn.locator("form.decide")).to_have_count(0)
    assert [update for _, update, _ in stage.world.temporal.sent] == ["reject"]


async def test_a_dispute_is_decided_after_reading_its_proof_sheet(stage: Stage) -> None:
    firm = stage.world.firm
    stage.world.answer(f"dispute/{firm.dispute}", state="reinstating")
    async with stage.page("rosa@firm.example") as page:
        await page.goto(f"/disputes/{firm.dispute}")
        await page.get_by_role("link", name="Proof sheet").click()
        await expect(page.get_by_role("heading", name="Proof sheet")).to_be_visible()
        await expect(page.get_by_text("every figure and the hash match")).to_be_visible()
        floor = page.get_by_role("table", name="How the floor was derived, line by line").get_by_role("row").last
        await expect(floor).to_contain_text("95,000.00")
        await page.go_back()
        await page.get_by_label("Reason").fill("The spread was ten times the usual one.")
        await page.get_by_role("button", name="Reinstate the account").click()
        await expect(page.get_by_role("status")).to_contain_text("The dispute is now reinstating")
    assert [sent[:2] for sent in stage.world.temporal.sent] == [(f"dispute/{firm.dispute}", "reinstate")]


async def test_the_keyboard_walks_the_queue_and_finds_the_search(stage: Stage) -> None:
    async with stage.page("ana@firm.example") as page:
        await page.goto("/queue")
        rows = page.get_by_role("region", name="Rows of the queue").locator("tr[data-row]")
        refs = [str(await rows.nth(at).get_by_role("link").get_attribute("id")).removeprefix("row/") for at in range(3)]
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect_item(page, refs[1])
        await expect(rows.nth(1).get_by_role("link")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect_item(page, refs[2])
        await page.keyboard.press("k")
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await expect_item(page, refs[0])
        await page.keyboard.press("Control+k")
        await page.keyboard.type(stage.world.firm.active)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=stage.world.firm.active)).to_be_visible()


async def test_the_account_page_draws_its_curve_and_follows_the_market(stage: Stage) -> None:
    async with stage.page("ana@firm.example") as page:
        await page.goto(f"/accounts/{stage.world.firm.breached}")
        await expect(page.locator("[data-drawn]")).to_be_visible()
        await feed_heard(stage.world, -timedelta(minutes=10))  # however long the page takes
        await expect(page.locator(".live")).to_have_attribute("data-stale", "no")
        await feed_heard(stage.world, timedelta(minutes=5))
        await expect(page.locator(".live")).to_have_attribute("data-stale", "yes")
        await page.get_by_text("As a table").click()
        await expect(page.get_by_role("table", name="Equity at each daily reset")).to_be_visible()


async def test_a_curve_of_many_minutes_is_drawn_part_by_part(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/accounts/{stage.world.firm.active}"
    async with stage.page("ana@firm.example") as page:
        await page.goto(path)
        await expect(page.locator("[data-drawn]")).to_be_visible()
        whole = int(str(await page.locator("[data-drawn]").get_attribute("data-drawn")))
        monkeypatch.setattr(market, "READ", 400)
        await page.goto(path)
        drawn = f"Math.abs(Number(document.querySelector('[data-drawn]')?.dataset.drawn) - {whole}) < 40"
        await until(page, drawn)  # each part begins and ends with a point of its own


async def test_on_a_phone_the_open_item_takes_the_place_of_the_list(stage: Stage) -> None:
    ref = f"payout/{stage.world.firm.payout}"
    async with stage.page("finn@firm.example") as page:
        await page.set_viewport_size({"width": 390, "height": 700})
        await page.goto("/queue")
        panel, rows = page.get_by_role("region", name="Selected"), page.locator("#work-list")
        row = page.locator(f'[id="row/{ref}"]')
        await row.scroll_into_view_if_needed()
        await row.click()
        await expect(page.locator("form.decide input[name=item]")).to_have_value(ref)
        title = panel.get_by_role("heading", level=2).get_by_role("link")
        await expect(title).to_be_in_viewport()
        await expect(title).to_be_focused()
        await expect(rows).to_be_hidden()
        assert await page.evaluate(EXCESS) <= 0
        await panel.get_by_role("link", name="Back to the queue").first.click()
        await expect(rows).to_be_visible()
        await expect(panel).to_contain_text("No item is open")
        await page.set_viewport_size({"width": 1000, "height": 700})
        await row.click()
        await expect(title).to_be_in_viewport()
        await expect(rows).to_be_visible()


async def test_a_part_that_broke_looks_stale_until_it_answers_itself(stage: Stage) -> None:
    told = {"HX-Retarget": "#trouble", "HX-Reswap": "innerHTML"}
    async with stage.page("ana@firm.example") as page:
        live, trouble = page.locator("#live"), page.locator("#trouble")
        await feed_heard(stage.world, -timedelta(minutes=10))  # however long the pages take
        await page.goto("/")
        await page.route("**/overview", lambda route: route.fulfill(status=500, headers=told, body="It broke."))
        await expect(trouble).to_have_text("It broke.")
        for _ in range(2):
            async with page.expect_response("**/live") as answered:
                pass
            await (await answered.value).finished()
        await until(page, "!document.querySelector('#live.htmx-request')")
        await expect(live).to_have_text(re.compile("^stale"))
        await expect(live).to_have_attribute("data-stale", "yes")
        assert await trouble.text_content() == "It broke."
        await page.unroute("**/overview")
        await expect(trouble).to_be_empty()
        await expect(live).to_have_attribute("data-stale", "no")

        # the queue answers that nothing is new
        await page.goto("/queue")
        await page.route("**/queue/changes?*", lambda route: route.fulfill(status=500, headers=told, body="It broke."))
        await expect(trouble).to_have_text("It broke.")
        await expect(live).to_have_text(re.compile("^stale"))
        await page.unroute("**/queue/changes?*")
        await page.route("**/queue/changes?*", lambda route: route.fulfill(status=204))
        await expect(trouble).to_be_empty()
        await expect(live).to_have_text(re.compile("^live"))
        await expect(live).to_have_attribute("data-stale", "no")
    stage.problems[:] = [each for each in stage.problems if "500" not in each]


async def test_the_colours_change_at_once_and_stay(stage: Stage) -> None:
    async with stage.page("ana@firm.example", color_scheme="light") as page:
        await page.get_by_role("button", name="Dark").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.goto("/accounts")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


_KEPT = "Object.keys(sessionStorage).filter((key) => key.startsWith('draft')).map((key) => sessionStorage[key])"
_CLICK_AT_ONCE = """() => {
  window.sent = 0;
  document.addEventListener("submit", (event) => { window.sent += 1; event.preventDefault(); });
  document.addEventListener("htmx:after:swap", () => {
    const form = document.querySelector("#panel form.decide");
    form.elements.reason.value = "Filled in by a script.";
    window.again = () => { form.querySelector("button[name=decision]").click(); return window.sent; };
    window.first = window.again();
  }, { once: true });
}"""


async def test_typed_text_stays_with_its_item_and_its_person(stage: Stage) -> None:
    firm = stage.world.firm
    deps = stage.world.app.state.deps
    object.__setattr__(deps, "access", Access(factor_roles=frozenset({"admin"})))
    async with stage.page("ana@firm.example") as page:
        finn, rosa = [await _member(stage, role) for role in ("finance", "risk")]
        reason, propose = page.locator("#role-reason"), page.get_by_role("button", name="Propose this role")
        await page.goto(f"/staff/{finn}")
        await reason.fill("Finn goes to another desk.")
        await page.goto(f"/staff/{rosa}")
        await expect(reason).to_have_value("")
        await page.goto(f"/staff/{finn}")
        await expect(reason).to_have_value("Finn goes to another desk.")
        await expect(page.get_by_text("Your text from before.")).to_be_visible()
        await expect(page.locator("#state-reason")).to_have_value("")
        await expect(propose).to_be_disabled()
        await reason.focus()
        await expect(propose).to_be_enabled()

        # a click that was meant for the item before this one decides nothing
        await page.goto("/queue?kind=payout")
        await page.evaluate(_CLICK_AT_ONCE)
        await page.get_by_role("link", name="Payout 1,116.00 USD").first.click()
        await until(page, "'first' in window")
        assert await page.evaluate("window.first") == 0
        await until(page, "window.again() > 0")

        # the page of factors has a notice too; it is not that of the decision
        await page.goto(f"/payouts/{firm.payout}")
        await page.get_by_label("Reason").fill("The statement agrees.")
        await page.get_by_role("button", name="Approve 1,116.00 USD").click()
        await page.get_by_role("link", name="Add one on the page Security").click()
        await expect(page.get_by_role("status")).to_contain_text("Your role needs a second factor.")
        await page.goto("/queue?kind=payout")
        await page.get_by_role("link", name="Payout 1,116.00 USD").first.click()
        await expect(page.get_by_label("Reason")).to_have_value("The statement agrees.")

        # somebody else signs in in a second tab
        other = await page.context.new_page()
        await sign_in(other, "rosa@firm.example")
        await page.locator("tr[data-row]").last.get_by_role("link").click()
        await expect(page.locator("body")).to_have_attribute("data-viewer", rosa)
        await page.wait_for_load_state()  # the script that forgets has run
        assert await page.evaluate(_KEPT) == []
        await page.goto(f"/cases/{firm.case}")
        await page.get_by_label("Note").fill("Rosa looked at it.")
        assert await page.evaluate(_KEPT) == ["Rosa looked at it."]
        await other.locator("details.who summary").click()
        await other.get_by_role("button", name="Sign out").click()
        await until(page, f"{_KEPT}.length === 0")
    async with stage.page("mara@example.org") as page:
        await page.goto("/my/details")
        await page.get_by_label("IBAN").fill("DE89370400440532013000")
        await page.goto("/my/messages")
        await page.get_by_label("Your question").fill("When is it paid?")
        assert await page.evaluate(_KEPT) == ["When is it paid?"]
    cut_off = ("401 (Unauthorized)", "htmx:")  # polls that a reload or a sign-out ended
    stage.problems[:] = [each for each in stage.problems if not any(words in each for words in cut_off)]


async def _member(stage: Stage, role: str) -> str:
    async with stage.world.db.transaction() as session:
        return (await session.scalars(select(User.id).where(User.role == role))).one()


async def test_everything_that_changes_something_works_without_script(stage: Stage) -> None:
    firm = stage.world.firm
    stage.world.answer(f"case/{firm.case}", state="cleared")
    async with stage.page("rosa@firm.example", java_script_enabled=False) as page:
        await page.goto("/queue?kind=case")
        await page.get_by_role("link", name="Open the most urgent item").click()
        await page.get_by_label("Reason").fill("One signal, many followers.")
        await page.get_by_role("button", name="Clear suspicion").click()
        await expect(page.get_by_role("status")).to_contain_text("The case is now cleared")
    assert [sent[:2] for sent in stage.world.temporal.sent] == [(f"case/{firm.case}", "clear")]
