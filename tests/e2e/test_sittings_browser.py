"""A firm on real processes, and its people in real browsers: a trader who buys, trades and is paid on a phone; finance
who clear a queue of ten payouts, risk who decide disputes, and support who answer a ticket, by keyboard alone."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from cli.demo.actors import ApiClient, Trader
from cli.demo.seed import small_bands
from cli.screenshots import LOOKS
from tests.e2e.firm import DAY, Firm, minutes, open_for_business
from tests.e2e.keyboard import POLL_REFUSED, in_hand, keys, open_row, prove, sign_in, tab_to
from tests.e2e.phone import (
    NORA,
    PASSWORD,
    follows_to_the_end,
    identifies,
    reads_the_room,
    signs_up_and_buys,
    simulates_and_requests,
)

_RISING = [(m, f"{2650 + m // 2}.000") for m in range(210)]
_FALLING = [(m, f"{2754 - (m - 210) * 4}.000") for m in range(210, 240)]
_WINNERS, _LATE, _LOSERS = range(8), 8, (20, 21)
_CHECKED = "Statement and identity checked."

expect.set_options(timeout=60_000)


@dataclass
class Desk:
    """A running firm and a browser; `problems` are scripts that failed and requests that the policy blocked."""

    firm: Firm
    browser: Browser
    problems: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(self, login: str = "", **options: Any) -> AsyncIterator[Page]:
        """A window of its own. With `login`, a member of the staff has signed in with the keyboard."""
        context = await self.browser.new_context(base_url=self.firm.stack.api_url, **options)
        context.set_default_timeout(120_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note)
        if login:
            await page.goto("/sign-in")
            await sign_in(page, login, self.firm.staff.password)
        yield page
        await context.close()

    def _note(self, said: ConsoleMessage) -> None:
        if said.type == "error" and said.location["url"].startswith(self.firm.stack.api_url):
            self.problems.append(said.text)

    async def prove(self, page: Page) -> None:
        """The page that asks for a proof is a 403, which the browser reports; it is no problem."""
        await prove(page, self.firm.staff.password)
        self.problems[:] = [each for each in self.problems if "403 (Forbidden)" not in each]


@pytest.mark.timeout(1800)
async def test_a_firm_is_run_by_keyboard_and_traded_with_on_a_phone(
    data_dir: Path, chromium_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROPOS_DEFAULT_RAIL", "sandbox")  # it says by itself that money has arrived
    monkeypatch.setenv("PROPOS_POLICY", str(small_bands(tmp_path)))  # two people decide above 1,500.00
    quotes = minutes([*_RISING, *_FALLING])
    async with open_for_business(data_dir, quotes) as firm, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=["--headless", "--no-sandbox"])
        desk = Desk(firm, browser)
        async with desk.page(**LOOKS["narrow"], has_touch=True) as phone:
            await firm.advance(DAY + timedelta(minutes=1))
            await signs_up_and_buys(firm, phone)
            nora = await firm.signed_in(NORA, PASSWORD)
            winners = await firm.traders([*_WINNERS, _LATE], "instant")
            losers = await firm.traders(_LOSERS, "two-step")
            await _trade(firm, [nora, *(each.api for each in winners)], [each.api for each in losers], phone)
            await identifies(firm, phone)
            rosa = await firm.operator("rosa")
            for each in winners:
                await rosa.post(f"/v1/traders/{each.trader_id}/identity", {"verified": True, "reason": "Seen."})
            await _disputes_are_decided(desk, losers)
            await _a_ticket_is_answered(desk, losers[0])

            await firm.advance(DAY + timedelta(days=8))
            asked = [await _asks(each, "3500.00" if each is winners[0] else "2000.00") for each in winners[:-1]]
            own = await simulates_and_requests(firm, phone)
            late = await _clears_the_queue(desk, asked, own, lambda: _asks(winners[-1], "2000.00"))
            await follows_to_the_end(firm, phone, own)
        await browser.close()
        assert desk.problems == []
        states = {each["id"]: each["state"] for each in await rosa.items("/v1/payouts")}
        assert len(states) == 10 and {own, late} <= states.keys()
        assert states[own] == "paid" and list(states.values()).count("rejected") == 2
        assert set(states.values()) <= {"paid", "rejected", "returned"}, "some banks send money back"


async def _trade(firm: Firm, rising: list[ApiClient], falling: list[ApiClient], page: Page) -> None:
    """Gold rises, and these sell what they bought; then it falls, and the others have bought."""
    await _each_orders(firm, rising, "buy")
    await firm.advance(DAY + timedelta(minutes=100))
    await reads_the_room(firm, page)
    await firm.advance(DAY + timedelta(minutes=200))
    await _each_orders(firm, rising, "sell")
    await _each_orders(firm, falling, "buy")
    await firm.advance(DAY + timedelta(minutes=245))


async def _each_orders(firm: Firm, people: list[ApiClient], side: str) -> None:
    for person in people:
        (account,) = await person.items("/v1/accounts")
        position = await firm.position(account["login"]) if side == "sell" else None
        await firm.order(account["login"], f"{side}-{account['id']}", side, "2", position)


async def _asks(trader: Trader, amount: str) -> str:
    (account,) = await trader.api.items("/v1/accounts")
    return str((await trader.api.post(f"/v1/accounts/{account['id']}/payouts", {"amount": amount}))["id"])


# the staff at their keyboards


async def _clears_the_queue(desk: Desk, asked: list[str], own: str, asks: Callable[[], Awaitable[str]]) -> str:
    """Eight payouts, of which the first is big, and the one from the phone; a tenth is asked for meanwhile. Returns its
    id."""
    firm, grace, farid = desk.firm, await desk.firm.operator("grace"), await desk.firm.operator("farid")
    async with desk.page("farid") as page:
        status = page.get_by_role("status").first
        await keys(page, "g", "q")
        await expect(page.get_by_role("heading", name="Work queue")).to_be_visible()
        await keys(page, "]")  # to check
        await expect(page).to_have_url(re.compile("show=mine"))
        rows, panel = page.locator("#work-list tr[data-row]"), page.get_by_role("region", name="Selected")
        await expect(rows).to_have_count(9)
        listed = [str(await each.get_attribute("id")).removeprefix("row/payout/") for each in await _links(page)]
        assert sorted(listed) == sorted([*asked, own])
        big, (lost, refused, third, *others) = asked[0], [each for each in listed if each in asked[1:]]

        # one is lost to another operator, while the text for it is being typed
        await open_row(page, f"payout/{lost}")
        row = await in_hand(page, f"payout/{lost}")
        await keys(page, "Enter")
        await expect(panel.get_by_label("Reason")).to_be_focused()
        await page.keyboard.type("The statement agrees with")
        place = await row.bounding_box()
        seen = (await grace.get(f"/v1/payouts/{lost}"))["seen"]
        await grace.post(f"/v1/payouts/{lost}/reject", {"reason": "The account was reported.", "seen": seen})
        await expect(panel.locator("#item-news")).to_contain_text("Rejected by Grace Obi (finance)")
        await expect(row).to_contain_text("no longer waiting")
        await expect(page.locator("#work-tabs a[aria-current] .count")).to_have_text("8")
        assert await row.bounding_box() == place, "the row in hand has not moved"
        await expect(panel.get_by_label("Reason")).to_have_value("The statement agrees with")
        await expect(panel.get_by_label("Reason")).to_be_focused()
        for name in ("Approve", "Reject"):
            await expect(panel.get_by_role("button", name=name)).to_be_disabled()

        # what comes in waits behind a button; the focus stays where it is
        tab = page.locator("#work-tabs a[aria-current]")
        await keys(page, "Escape")
        await tab_to(page, tab, "Shift+Tab")
        late = await asks()
        await firm.settle()
        await expect(page.locator("#work-news")).to_have_text("Show 1 new")
        await expect(tab.locator(".count")).to_have_text("9")
        await expect(tab).to_be_focused()
        await keys(page, "l")
        await expect(page.locator(f"[id='row/payout/{late}']")).to_be_visible()
        await expect(rows).to_have_count(9)

        # one is rejected, and the next one opens by itself
        await open_row(page, f"payout/{refused}")
        await in_hand(page, f"payout/{refused}")
        await keys(page, "c")
        await expect(status).to_contain_text("This is yours until")
        await in_hand(page, f"payout/{refused}")
        await expect(panel.get_by_label("Reason")).to_have_value("", timeout=5_000)
        await keys(page, "Enter")
        await page.keyboard.type("The statement is missing.")
        await tab_to(page, panel.get_by_role("button", name="Reject"))
        await keys(page, "Enter")
        await expect(status).to_contain_text("The payout is now ending")
        await expect(page).not_to_have_url(re.compile(refused))
        await expect(page.locator("tr[data-selected]").get_by_role("link")).to_be_focused()

        # the sign-in ends while a reason is typed, and the text comes back
        await open_row(page, f"payout/{third}")
        await in_hand(page, f"payout/{third}")
        await keys(page, "Enter")
        await page.keyboard.type(_CHECKED)
        await _ends_every_sign_in(firm, farid.user["token"])
        await expect(page).to_have_url(re.compile("/sign-in[?]next="))
        desk.problems[:] = [each for each in desk.problems if each != POLL_REFUSED]
        await sign_in(page, "farid", firm.staff.password)
        await in_hand(page, f"payout/{third}")
        await expect(panel.get_by_label("Reason")).to_have_value(_CHECKED)
        await expect(panel.get_by_text("Your text from before.")).to_be_visible()
        await expect(panel.get_by_role("button", name="Reject")).to_be_disabled()
        await keys(page, "Enter", "Tab", "Enter")
        await desk.prove(page)
        await expect(status).to_contain_text("The payout is now approved.")

        # the big one goes to a second person
        await open_row(page, f"payout/{big}")
        await in_hand(page, f"payout/{big}")
        await keys(page, "Enter")
        await page.keyboard.type(_CHECKED)
        await keys(page, "Tab", "Enter")
        await desk.prove(page)
        await expect(status).to_contain_text("It has 1 of 2 approvals.")

        # the other six are in order
        await expect(rows).to_have_count(6)
        for each in (*others, own, late):
            await open_row(page, f"payout/{each}")
            await in_hand(page, f"payout/{each}")
            await keys(page, "Enter")
            await page.keyboard.type(_CHECKED)
            await keys(page, "Tab", "Enter")
            await desk.prove(page)
            await expect(status).to_contain_text("The payout is now approved.")
        await keys(page, "g", "q")
        await expect(page.get_by_role("heading", name="Work queue")).to_be_visible()
        await keys(page, "]")
        await expect(page.get_by_role("region", name="Queue")).to_contain_text("Nothing for you to check")
    seen = (await grace.get(f"/v1/payouts/{big}"))["seen"]
    await grace.post(f"/v1/payouts/{big}/approve", {"reason": _CHECKED, "seen": seen})
    assert len(others) == 4
    return late


async def _ends_every_sign_in(firm: Firm, token: str) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=firm.stack.api_url, headers=bearer, timeout=60) as http:
        assert (await http.delete("/v1/sessions")).status_code == 204


async def _links(page: Page) -> list[Any]:
    return await page.locator("#work-list tr[data-row]").get_by_role("link").all()


async def _disputes_are_decided(desk: Desk, losers: list[Trader]) -> None:
    """Risk upholds one breach and has the other account reinstated, which needs two people."""
    firm, ids = desk.firm, list[str]()
    for trader in losers:
        (account,) = await trader.api.items("/v1/accounts")
        (breach,) = await trader.api.items(f"/v1/accounts/{account['id']}/breaches")
        statement = {"statement": "My broker shows another spread."}
        ids.append(str((await trader.api.post(f"/v1/breaches/{breach['id']}/disputes", statement))["id"]))
    await firm.settle()
    first, second = ids
    async with desk.page("rosa") as page:
        panel, status = page.get_by_role("region", name="Selected"), page.get_by_role("status").first
        await keys(page, "g", "q")
        await expect(page.get_by_role("heading", name="Work queue")).to_be_visible()
        decided = (
            (first, "Reinstate the account", "1 of 2 people say so"),
            (second, "Uphold the breach", "is now upheld"),
        )
        for dispute_id, button, told in decided:
            await open_row(page, f"dispute/{dispute_id}")
            await in_hand(page, f"dispute/{dispute_id}")
            await keys(page, "Enter")
            await page.keyboard.type("I compared the ticks of three brokers.")
            await tab_to(page, panel.get_by_role("button", name=button))
            await keys(page, "Enter")
            await expect(status).to_contain_text(told)
    rui = await firm.operator("rui")
    seen = (await rui.get(f"/v1/disputes/{first}"))["seen"]
    await rui.post(f"/v1/disputes/{first}/reinstate", {"reason": "I agree.", "seen": seen})
    await firm.settle(*(f"dispute/{each}" for each in ids))
    reinstated, upheld = [await each.api.get(f"/v1/challenges/{each.challenge_id}") for each in losers]
    assert (reinstated["state"], upheld["state"]) == ("active", "breached")
    (account,) = await losers[0].api.items("/v1/accounts")
    assert (await firm.sandbox.account(account["login"]))["trading_enabled"]


async def _a_ticket_is_answered(desk: Desk, trader: Trader) -> None:
    (account,) = await trader.api.items("/v1/accounts")
    ana = await desk.firm.operator("ana")
    await ana.post("/v1/macros", {"name": "Equity", "body": "Your equity is {{account.equity}}."})
    asked = {"account_id": account["id"], "subject": "What is left?", "body": "I cannot see my equity."}
    await trader.api.post("/v1/tickets", asked)
    await desk.firm.settle()
    async with desk.page("sam") as page:
        await keys(page, "g", "t")
        await expect(page.get_by_role("heading", name="Tickets")).to_be_visible()
        await keys(page, "j", "Enter")
        await expect(page.get_by_label("Conversation")).to_contain_text("I cannot see my equity.")
        area = page.get_by_label("Answer or note")
        await tab_to(page, area)
        await page.keyboard.type("Good morning.\nKind regards")
        await keys(page, "ArrowUp", "End")
        await tab_to(page, page.get_by_role("button", name="Equity"))
        await keys(page, "Enter")
        await expect(area).to_have_value(
            re.compile(r"^Good morning\.\nYour equity is [\d,]+\.\d\d USD\.\nKind regards$")
        )
        await expect(area).to_be_focused()
        await keys(page, "Control+Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Until then you can take it back.")
        await expect(page.get_by_label("Conversation")).to_contain_text("Facts of the macro Equity")
