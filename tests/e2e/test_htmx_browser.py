"""What the pages do with htmx, in a real browser: what a request tells, and what no answer may do to a page."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.async_api import Page, Request, Route, expect

from domain.errors import NotFound
from domain.products.product import Product
from store import products
from tests.browser_stage import Stage, until
from tests.console_firm import PASSWORD

pytestmark = pytest.mark.timeout(900)

_NODES = """() => {
  const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
  let nodes = 0;
  while (walker.nextNode()) nodes += 1;
  return nodes;
}"""
_COUNT_ANSWERS = """() => {
  window.answers = 0;
  window.stopped = 0;
  window.wanted = 0;
  document.addEventListener("htmx:config:request", () => { window.wanted += 1; });
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
    if (ctx.response) window.answers += 1;
    else window.stopped += 1;
  });
}"""


def by_script(request: Request) -> bool:
    return request.resource_type == "fetch"


def complaints(stage: Stage, *words: str) -> None:
    """Takes out what the browser says of answers that a test has asked for."""
    stage.problems[:] = [each for each in stage.problems if not any(part in each for part in words)]


@contextmanager
def noted(page: Page) -> Iterator[list[Request]]:
    """The requests of scripts meanwhile."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if by_script(request):
            found.append(request)

    page.on("request", note)
    yield found
    page.remove_listener("request", note)


async def test_a_poll_says_so_and_a_person_names_what_is_replaced(stage: Stage) -> None:
    firm = stage.world.firm
    polls = {
        "/": ("/overview", "div#numbers"),
        "/accounts": ("/accounts/rows", "tbody#rows"),
        f"/accounts/{firm.active}": ("/live", "div#account-head"),
        "/exposure": ("/exposure/figures", "div#figures"),
        f"/tickets/{firm.ticket}": ("/presence", "div#presence"),
        "/queue": ("/queue/changes", "div#work-poll"),
    }
    async with stage.page("ana@firm.example") as page:
        for path, (part, target) in polls.items():
            await page.goto(path)
            async with page.expect_request(re.compile(re.escape(part))) as asked:
                pass
            sent = (await asked.value).headers
            named = ("x-poll", "hx-request", "hx-target")
            assert [sent.get(name) for name in named] == ["1", "true", target], path

        styles = "document.querySelectorAll('style').length + document.adoptedStyleSheets.length"
        assert await page.evaluate(styles) == 0, "htmx adds none of its own"
        await page.route("**/queue/changes?*", lambda route: route.fulfill(status=204))
        first, second = (page.locator("tr[data-row]").nth(at).get_by_role("link") for at in range(2))
        refs = [str(await each.get_attribute("id")).removeprefix("row/") for each in (first, second)]
        with noted(page) as requests:
            for link, ref in ((first, refs[0]), (second, refs[1])):
                await link.click()
                await expect(page).to_have_url(re.compile(f"/queue/{ref}"))
            await page.go_back()
            await expect(page.locator("form.decide input[name=item]")).to_have_value(refs[0])
            await expect(page.locator("tr[data-selected]").get_by_role("link")).to_be_focused()
        ours = [each for each in requests if "/changes" not in each.url]
        assert [each.headers.get("hx-target") for each in ours] == ["div#work", "div#work", None]
        assert [each.headers.get("hx-history-restore-request") for each in ours] == [None, None, "true"]
        assert not any("x-poll" in each.headers for each in ours)
        answers = [await each.response() for each in ours]
        texts = [await answer.text() for answer in answers if answer is not None]
        assert ["<html" in text for text in texts] == [False, False, True]

        async with page.context.expect_page() as opened:
            await second.click(modifiers=["Control"])
        await expect(await opened.value).to_have_url(re.compile(f"/queue/{refs[1]}"))
        await expect(page).to_have_url(re.compile(f"/queue/{refs[0]}"))


async def test_no_error_page_takes_the_place_of_a_part(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = "<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"

    async def gone(*_: object) -> None:
        raise NotFound("There is no payout with this id.", remedy="It was deleted.")

    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    async with stage.page("finn@firm.example") as page:
        trouble, reason = page.locator("#trouble"), page.locator("form.decide textarea")
        await page.goto("/queue?kind=payout")
        await page.locator("tr[data-row]").first.get_by_role("link").click()
        await reason.fill("I have read the statement.")
        here = page.url
        link = page.locator("tr[data-row]").nth(1).get_by_role("link")
        ref = str(await link.get_attribute("id")).removeprefix("row/")
        await page.route("**/queue/changes?*", lambda route: route.fulfill(status=204))
        for fault, words in ((gone, "There is no payout with this id."), (broken, "Something went wrong")):
            with monkeypatch.context() as patched:
                patched.setattr("console.pages.queue.QueuePages._open", fault)
                await link.click()
                await expect(trouble).to_contain_text(words)
            await expect(trouble.get_by_role("link", name="Reload the page")).to_have_attribute(
                "href", here.removeprefix(stage.url)
            )
        await page.route(f"**/queue/{ref}?*", lambda route: route.fulfill(status=502, body=proxy))
        await link.click()
        await expect(trouble).to_have_text("The console did not answer. Try again.")
        assert page.url == here
        await expect(page.locator("h1")).to_have_text(["Work queue"])
        await expect(reason).to_have_value("I have read the statement.")

        # the poll gets it, too
        await page.unroute("**/queue/changes?*")
        await page.route("**/queue/changes?*", lambda route: route.fulfill(status=502, body=proxy))
        await expect(page.locator("#live")).to_have_attribute("data-silent", "yes")
        await expect(page.locator("h1")).to_have_text(["Work queue"])
        await expect(reason).to_have_value("I have read the statement.")

        # nothing answers at all
        await page.unroute("**/queue/changes?*")
        await expect(page.locator("#live")).not_to_have_attribute("data-silent", "yes")
        await page.context.set_offline(True)
        await expect(page.locator("#live")).to_have_text(re.compile("^stale"))
        await link.click()
        await expect(trouble).to_have_text("The console did not answer. Try again.")
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(trouble).to_be_in_viewport()
        assert page.url == here

        # it answers again
        await page.context.set_offline(False)
        await page.unroute(f"**/queue/{ref}?*")
        await expect(page.locator("#live")).not_to_have_attribute("data-silent", "yes")
        await link.click()
        await expect(page.locator("form.decide input[name=item]")).to_have_value(ref)
        await expect(trouble).to_be_empty()

        # back to an item that is gone: its address has its page, with everything around it
        with monkeypatch.context() as patched:
            patched.setattr("console.pages.queue.QueuePages._open", gone)
            await page.go_back()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")
            await expect(page.get_by_role("main")).to_contain_text("There is no payout with this id.")
            assert page.url == here
    complaints(stage, "404 (Not Found)", "500 (Internal", "502 (Bad", "ERR_INTERNET_DISCONNECTED", "Failed to fetch")


async def test_who_has_been_signed_out_gets_the_sign_in_page_as_a_page(stage: Stage) -> None:
    async with stage.page("finn@firm.example") as page:
        other = await page.context.new_page()

        async def leaves_meanwhile() -> tuple[str, str]:
            """Signs out in the other tab; gives the addresses of the two items that were open here before."""
            await page.goto("/queue?kind=payout")
            await page.route("**/queue/changes?*", lambda route: route.fulfill(status=204))
            addresses = []
            for at in range(2):
                row = page.locator("tr[data-row]").nth(at).get_by_role("link")
                addresses.append(str(await row.get_attribute("href")))
                await row.click()
                await expect(page.locator("tr[data-selected]").get_by_role("link")).to_have_attribute(
                    "href", addresses[-1]
                )
            await other.goto("/")
            await other.locator("details.who summary").click()
            await other.get_by_role("button", name="Sign out").click()
            await expect(other).to_have_url(re.compile("/sign-in"))
            return addresses[0], addresses[1]

        async def at_the_door(back: str) -> None:
            await expect(page.get_by_label("Password")).to_be_visible()
            await expect(page.get_by_role("navigation", name="Main")).to_have_count(0)
            assert await page.evaluate("new URL(location).searchParams.get('next')") == back
            await page.get_by_label("Login").fill("finn@firm.example")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in", exact=True).click()
            await expect(page).to_have_url(stage.url + back)

        first, second = await leaves_meanwhile()
        await page.locator("tr[data-row]").first.get_by_role("link").click()
        await at_the_door(second)
        first, second = await leaves_meanwhile()
        await page.go_back()
        await at_the_door(first)
        first, second = await leaves_meanwhile()
        await page.unroute("**/queue/changes?*")
        await at_the_door(second)

        # a proxy sends the poll elsewhere
        away = {"Location": "/sign-ins"}
        await page.route("**/queue/changes?*", lambda route: route.fulfill(status=302, headers=away))
        await expect(page).to_have_url(f"{stage.url}/sign-ins")
    complaints(stage, "401 (Unauthorized)")


async def test_polls_leave_nothing_behind_and_stop_while_nobody_looks_or_somebody_reads(stage: Stage) -> None:
    async with stage.page("ana@firm.example") as page:
        await page.goto(f"/accounts/{stage.world.firm.active}")
        await expect(page.locator("[data-drawn]")).to_be_visible()  # drawing it makes nodes, too
        await page.evaluate(_COUNT_ANSWERS)
        await until(page, "window.answers >= 1")
        nodes = await page.evaluate(_NODES)
        await page.evaluate("window.answers = 0")
        await until(page, "window.answers >= 2")
        assert await page.evaluate(_NODES) == nodes
        for looks_away, looks_again in (
            (
                "getSelection().selectAllChildren(document.querySelector('#gauges'))",
                "getSelection().removeAllRanges()",
            ),
            (
                "Object.defineProperty(document, 'hidden', { value: true, configurable: true })",
                "delete document.hidden",
            ),
        ):
            await page.evaluate(f"window.answers = window.stopped = 0, {looks_away}, 0")
            await until(page, "window.stopped >= 3")
            assert await page.evaluate("window.answers") <= 1, "one was on its way"
            await page.evaluate(f"window.answers = 0, {looks_again}, 0")
            await until(page, "window.answers >= 1")

        # a slow answer replaces the part; what waited behind it asks no more
        free = asyncio.Event()

        async def hold(route: Route) -> None:
            await free.wait()
            await route.continue_()

        await page.route("**/live", hold)
        await page.evaluate("window.wanted = window.stopped = 0")
        await until(page, "window.wanted >= 3")
        free.set()
        await until(page, "window.stopped >= 1")


async def test_of_quick_choices_the_last_one_is_priced(stage: Stage) -> None:
    """The answer to the first is held back until all are made."""
    chosen = asyncio.Event()

    async def hold(route: Route) -> None:
        await chosen.wait()
        await route.continue_()

    async with stage.world.db.transaction() as session:
        body = (await products.newest(session, "two-step")).model_dump(mode="json")
        split = {"id": "split_90", "name": "90% split", "price": "100", "changes": {"payout.split_pct": "90"}}
        await products.publish(session, Product.model_validate(body | {"product": "add-ons", "add_ons": [split]}))
    async with stage.page("mara@example.org") as page:
        await page.goto("/buy/add-ons")
        box = page.get_by_label("90% split")
        await page.route("**/buy/add-ons?*", hold)
        await box.check()
        await box.uncheck()
        await page.get_by_label("Coupon codes").fill("NONE")
        await page.keyboard.press("Tab")
        chosen.set()
        await expect(page.locator("#price")).to_contain_text("There is no coupon NONE")
