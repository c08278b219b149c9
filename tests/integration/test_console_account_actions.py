"""The actions on an account's page: what each says before it is confirmed, what it leaves behind, and who sees what."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import select

from adapters.platforms.sandbox import PLUGIN
from domain.keys import new_id
from ports.capabilities import PlatformFeatures
from store.clock import market_now
from store.models import Account, AccountFreeze, AuditEntry, OutboxMessage, Review, Ticket
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page

ROSA, SAM, FINN, UMA, MARA = (
    *("rosa@firm.example", "sam@firm.example", "finn@firm.example", "uma@firm.example"),
    "mara@example.org",
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    shown = PlatformFeatures("sandbox", "sandbox", True, PLUGIN.capabilities)
    async with console_world(database_url, platforms=(shown,)) as made:
        yield made


async def test_a_freeze_says_what_it_does_and_the_trader_never_learns_why(world: ConsoleWorld) -> None:
    page = f"/accounts/{world.firm.active}"
    async with world.browser(ROSA) as browser:
        shown = (await browser.get(page)).text
        assert f'href="{page}/actions/freeze"' in shown and f'hx-get="{page}/actions"' in shown
        menu = (await browser.get(f"{page}/actions")).text
        assert f'href="{page}/actions/freeze"' in menu and "The account is not frozen." in menu
        opened = (await browser.part(f"{page}/actions", "div#action-list")).text
        assert opened.startswith('<ul class="menu" id="action-list">') and "The account is not frozen." in opened
        preview = (await browser.get(f"{page}/actions/freeze")).text
        assert "Freezes trading at sandbox now." in preview and "requested in the meantime wait." in preview
        assert "Pending orders stay: sandbox does not cancel them for us." in preview
        assert Page(preview).forbidden == []
        empty = await browser.post(f"{page}/actions/freeze", reason=" ")
        assert empty.status_code == 422
        key = "f" * 20
        for _ in range(2):  # the same form twice is one freeze
            answer = await browser.post(f"{page}/actions/freeze", key=key, reason="The login was sold <b>.")
            assert answer.status_code == 303, answer.text
        frozen = (await browser.get(page)).text
        assert "Frozen by Rosa" in frozen and "The login was sold &lt;b&gt;." in frozen
        assert f'href="{page}/actions/thaw"' in frozen and f'href="{page}/actions/freeze"' not in frozen
        assert "The account is frozen already." in (await browser.get(f"{page}/actions")).text
        refused = (await browser.get(f"{page}/actions/freeze")).text
        assert 'id="why-not"' in refused
        assert (await browser.post(f"{page}/actions/note", body="Rang twice, no answer.")).status_code == 303
        noted = (await browser.get(f"{page}?show=people")).text
        assert "Rang twice, no answer." in noted and "The login was sold" in noted
    async with world.browser(MARA) as browser:
        mine = (await browser.get(f"{page}?show=people")).text
        assert "account has been frozen since" in mine and "Frozen: trading stopped, payouts wait." in mine
        assert all(text not in mine for text in ("The login was sold", "Rang twice", "Rosa", "/actions/"))
        assert (await browser.get(f"{page}/actions/freeze")).status_code == 403
        assert (await browser.get(f"{page}/actions")).status_code == 403
    async with world.browser(SAM) as browser:  # support may freeze, and not thaw
        assert (await browser.post(f"{page}/actions/thaw", reason="A mistake.")).status_code == 403
    async with world.browser(ROSA) as browser:
        assert (await browser.post(f"{page}/actions/thaw", reason="A mistake.")).status_code == 303
        assert "frozen already" not in (await browser.get(f"{page}/actions")).text
    async with world.db.transaction() as session:
        freezes = list(await session.scalars(select(AccountFreeze)))
        topics = list(await session.scalars(select(OutboxMessage.topic).where(OutboxMessage.topic.like("venue.%"))))
        named = select(AuditEntry.action).where(AuditEntry.subject_kind == "account").order_by(AuditEntry.seq)
        actions = list(await session.scalars(named))
    assert len(freezes) == 1 and freezes[0].ended_at is not None
    assert "The login was sold" not in freezes[0].reason, "people's words rest encrypted"
    assert topics == ["venue.freeze", "venue.resume"]
    assert actions == ["account.frozen", "account.noted", "account.thawed"]


async def test_each_role_is_offered_its_own_actions_and_dead_ones_say_why(world: ConsoleWorld) -> None:
    page, over = f"/accounts/{world.firm.active}", f"/accounts/{world.firm.breached}"
    async with world.browser(FINN) as browser:
        assert "/actions/freeze" not in (await browser.get(page)).text
        text = (await browser.get(f"{page}/actions")).text
        assert "Refund the fee" in text and "/actions/freeze" not in text
        assert (await browser.get(f"{page}/actions/freeze")).status_code == 404
        assert (await browser.post(f"{page}/actions/freeze", reason="because")).status_code == 403
    async with world.browser(UMA) as browser:
        assert "/actions" not in (await browser.get(page)).text
        assert (await browser.post(f"{page}/actions/note", body="hello")).status_code == 403
    async with world.browser(ROSA) as browser:
        ended = (await browser.get(f"{over}/actions/freeze")).text
        assert "The account has ended. There is no trading to freeze." in ended and "data-draft" not in ended
        elsewhere = await browser.get(f"{over}/actions/compensate")
        assert elsewhere.headers["location"] == f"/disputes/{world.firm.dispute}"
        led = await browser.part(f"{over}/actions/compensate", "details#actions")
        assert (led.status_code, led.headers["HX-Redirect"]) == (200, elsewhere.headers["location"])
        assert "location" not in led.headers, "htmx would follow it, and swap in what is there"
    async with world.browser(SAM) as browser:
        sent = await browser.post(f"{page}/actions/message", subject="Your account", body="Please call us.")
        assert sent.status_code == 303
    async with world.db.transaction() as session:
        ticket = next(each for each in await session.scalars(select(Ticket)) if each.subject == "Your account")
        account = await session.get_one(Account, ticket.account_id)
    assert f"A-{account.number}" == world.firm.active and ticket.state == "waiting_for_trader"


async def test_the_page_shows_money_positions_and_links_for_staff_alone(world: ConsoleWorld) -> None:
    async with world.browser(ROSA) as browser:
        text = (await browser.get(f"/accounts/{world.firm.funded}")).text
        assert f"/ledger?q={world.firm.funded}" in text and "How it is calculated" in text
        assert f'href="/accounts/{world.firm.active}"' in text, "another account of the same trader"
        deals = (await browser.get(f"/accounts/{world.firm.active}?show=venue")).text
        assert "/deals?q=" in deals
    async with world.browser(MARA) as browser:
        mine = (await browser.get(f"/accounts/{world.firm.funded}")).text
        assert "How it is calculated" in mine
        assert all(text not in mine for text in ("Money history", "Linked accounts", "/deals?q=", "/ledger"))


async def test_the_history_of_a_workflow_is_for_who_may_read_it_and_says_when_temporal_is_away(
    world: ConsoleWorld,
) -> None:
    page = f"/workflows/payout/{world.firm.payout}"
    async with world.browser(UMA) as browser:
        assert f'href="{page}"' in (await browser.get(f"/payouts/{world.firm.payout}")).text
        gone = await browser.get(page)
        assert gone.status_code == 404 and "There is no history here" in gone.text
        world.temporal.down = True
        away = await browser.get(page)
        assert away.status_code == 200 and 'id="away"' in away.text and "cannot be reached" in away.text
        assert (await browser.get("/workflows/payout/pay_unknown")).status_code == 404
        assert (await browser.get(f"{page}?at=%25")).status_code in (200, 422)
    async with world.browser(SAM) as browser:
        assert (await browser.get(page)).status_code == 403
    async with world.browser(MARA) as browser:
        assert (await browser.get(page)).status_code == 403


async def test_the_risk_page_leads_to_the_older_disputes_and_reviews(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        now = await market_now(session)
        for number in range(35):
            key, at = f"bad_tick/{number}", now - timedelta(minutes=number)
            detail = {"symbol": f"SYM{number}"}
            session.add(
                Review(id=new_id("rev"), key=key, kind="bad_tick", detail=detail, status="open", occurred_at=at)
            )
    async with world.browser(ROSA) as browser:
        first = (await browser.get("/risk")).text
        older = re.search(r'href="(/risk\?reviews=[^"#]+)#reviews">Older', first)
        assert older is not None and "SYM34" not in first
        rest = (await browser.get(unescape(older.group(1)))).text
        assert "SYM34" in rest and 'href="/risk?#reviews">Newest' in rest


async def test_an_adjustment_is_proposed_with_its_figures_and_approved_by_somebody_else(world: ConsoleWorld) -> None:
    page = f"/accounts/{world.firm.active}"
    sent = {"direction": "credit", "amount": "12.50", "message": "We corrected a fill.", "reason": "Filled twice."}
    async with world.browser(SAM) as browser:
        preview = (await browser.get(f"{page}/actions/adjust")).text
        assert "Changes the balance at sandbox" in preview and "The least room is" in preview
        assert Page(preview).forbidden == [] and "<textarea" not in preview, "the amount comes first"
        ahead = (await browser.get(f"{page}/actions/adjust?direction=debit&amount=12.50")).text
        assert "The balance goes from 103,462.91 USD to 103,450.41 USD." in ahead
        assert "Daily loss: the room goes from 5,527.07 USD to 5,514.57 USD; the floor stays at 98,089.44 USD." in ahead
        assert "<textarea" in ahead and Page(ahead).forbidden == []
        for amount, why in (("all", "amount"), ("9,000.00", "would break"), ("10000000", "nothing would be left")):
            refused = (await browser.get(f"{page}/actions/adjust?direction=debit&amount={amount}")).text
            assert 'role="alert"' in refused and why in refused and "<textarea" not in refused
        closing = (await browser.get(f"{page}/actions/close")).text
        assert "Ends the challenge for good." in closing and "Nothing is refunded by this." in closing
        again = (await browser.get(f"{page}/actions/reset")).text
        assert "all rules and trading days start again" in again and "Nothing is charged." in again
        for wrong in ({"amount": "-1"}, {"direction": "sideways"}, {"message": ""}):
            assert (await browser.post(f"{page}/actions/adjust", **{**sent, **wrong})).status_code == 422
        for _ in range(2):  # the same form twice is one proposal
            answer = await browser.post(f"{page}/actions/adjust", key="a" * 20, **sent)
            assert answer.status_code == 303, answer.text
        item = answer.headers["location"]
        shown = (await browser.get(item)).text
        assert "12.50 USD" in shown and "The balance goes from" in shown and "Filled twice." in shown
        refused = (await browser.get(f"{page}/actions/close")).text
        assert "waiting for approval" in refused
    async with world.browser(MARA) as browser:
        assert (await browser.get(item)).status_code in (403, 404)
        assert (await browser.get(f"{page}/actions/adjust")).status_code == 403
    async with world.browser(ROSA) as browser:
        assert "Adjustment of 12.50 USD" in (await browser.get("/queue?kind=intervention")).text
        approved = await browser.post(f"{item}/decision", decision="approve", reason="I read the deals.")
        assert approved.status_code == 303, approved.text
    async with world.db.transaction() as session:
        topics = list(await session.scalars(select(OutboxMessage.topic).where(OutboxMessage.topic.like("venue.%"))))
        audited = set(await session.scalars(select(AuditEntry.action)))
    assert topics == ["venue.adjust"] and "intervention.proposed" in audited


async def test_a_page_that_breaks_is_a_page_and_a_part_of_one_a_notice(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    async with world.browser(ROSA) as browser:
        monkeypatch.setattr("console.pages.accounts.present.page", broken)
        page = await browser.get(f"/accounts/{world.firm.active}")
        assert page.status_code == 500 and page.headers["content-type"].startswith("text/html")
        assert "Something went wrong" in page.text and page.headers["x-request-id"] in page.text
        assert "a fault of ours" not in page.text and 'href="/"' in page.text and Page(page.text).forbidden == []
        part = await browser.part(f"/accounts/{world.firm.active}", "div#account-head")
        assert part.status_code == 500 and part.headers["hx-retarget"] == "#trouble"
        assert "<main" not in part.text and part.headers["x-request-id"] in part.text
        program = await browser.get(f"/v1/accounts/{world.firm.active}")
        assert program.status_code == 200, "by its number"
