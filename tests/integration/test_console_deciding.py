"""A decision is about the item of its address: which item is shown, what a form may decide, what a late form says."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from store.models import Payout, Trader
from tests.console_world import Browser, ConsoleWorld, console_world

KEY = "key-made-at-render-0001"
REASON = "Statement and identity checked."
FORM = 'name="decision"'


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        made.decides_payouts()
        yield made


async def shown(browser: Browser, path: str) -> str:
    """The page's text; the fixture's flash is read on the way."""
    answer = await browser.get(path)
    assert answer.status_code == 200
    return answer.text


async def test_the_queue_opens_nothing_that_nobody_chose(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        for path in ("/queue", "/queue?kind=payout", f"/queue?kind=payout&item={world.firm.payout}"):
            html = await shown(browser, path)
            assert FORM not in html and "data-selected" not in html and "Open the most urgent item" in html, path
        for path in ("/queue/payout/pay_unknown", "/queue/ticket/tkt_unknown", "/queue/inbox/x", "/queue/payouts/x"):
            assert (await browser.get(path)).status_code == 404, path


async def test_row_and_item_name_the_same_amount(world: ConsoleWorld) -> None:
    firm = world.firm
    async with world.db.transaction() as session:
        (await session.get_one(Payout, firm.payout)).refund_minor = 54_000
    async with world.browser("finn@firm.example") as browser:
        html = await shown(browser, f"/queue/payout/{firm.payout}")
        row = re.search(r"<tr data-row data-selected>.*?</tr>", html)
        assert row is not None and "Payout 1,656.00 USD, Mara Lindqvist" in row.group(0)
        assert f'<a href="/payouts/{firm.payout}">Payout 1,656.00 USD, Mara Lindqvist</a>' in html
        assert "Approve 1,656.00 USD" in html


async def test_a_decided_item_says_who_decided_it_and_never_offers_another(world: ConsoleWorld) -> None:
    firm = world.firm
    item = f"/queue/payout/{firm.payout}?kind=payout"
    async with world.browser("ana@firm.example") as ana, world.browser("finn@firm.example") as finn:
        open_page = await shown(finn, item)
        assert f'action="/payouts/{firm.payout}/decision"' in open_page
        await ana.post(f"/payouts/{firm.payout}/decision", decision="reject", reason="The statement is missing.")
        for path in (item, f"/payouts/{firm.payout}"):
            html = await shown(finn, path)
            assert "Rejected by Ana Ruiz (admin), 2014-05-02 14:30 UTC." in html
            assert "The statement is missing." in html and FORM not in html
        html = await shown(finn, item)
        assert f'href="/payouts/{firm.payout}"' in html and 'href="/queue?kind=payout"' in html
        assert f'href="/queue/payout/{firm.big_payout}?kind=payout"' in html and "data-selected" not in html


async def test_the_next_item_that_this_person_can_decide_opens_by_itself(world: ConsoleWorld) -> None:
    firm = world.firm
    async with world.browser("finn@firm.example") as browser:
        first = await shown(browser, f"/queue/case/{firm.case}")
        assert FORM not in first and "your role is finance" in first and "Next item" in first
        answer = await browser.post(
            f"/payouts/{firm.payout}/decision", decision="approve", reason=REASON, tab="all", next="case/cas_unknown"
        )
        assert answer.headers["Location"] == f"/queue/payout/{firm.big_payout}"
        assert f'name="item" value="payout/{firm.big_payout}"' in await shown(browser, answer.headers["Location"])
        gone = await shown(browser, f"/queue/payout/{firm.payout}")
        assert f'class="btn primary" href="/queue/payout/{firm.big_payout}"' in gone and "Approved by Finn" in gone
        last = await browser.post(
            f"/payouts/{firm.big_payout}/decision", decision="reject", reason=REASON, tab="payout"
        )
        assert last.headers["Location"] == "/queue?kind=payout", "nothing else waits in this list"
        assert "Nothing is waiting" in await shown(browser, last.headers["Location"])


async def test_the_form_of_one_item_never_decides_another(world: ConsoleWorld) -> None:
    firm = world.firm
    async with world.browser("finn@firm.example") as browser:
        form = await browser.form(f"/payouts/{firm.big_payout}/decision")
        path = f"/payouts/{firm.payout}/decision"
        for fields in (form, {"item": "", "seen": form["seen"]}):
            answer = await browser.post(path, decision="approve", reason=REASON, **fields)
            assert answer.status_code == 422 and "belongs to another item" in answer.text
    assert world.temporal.sent == []


async def test_a_form_opened_before_somebody_decided_is_told_who(world: ConsoleWorld) -> None:
    path = f"/payouts/{world.firm.payout}/decision"
    async with world.browser("ana@firm.example") as ana, world.browser("finn@firm.example") as finn:
        stale = await finn.form(path)
        await ana.post(path, decision="reject", reason="The statement is missing.")
        answer = await finn.post(path, decision="approve", reason=REASON, **stale)
        assert answer.status_code == 409 and "Your decision was not recorded." in answer.text
        assert "Rejected by Ana Ruiz (admin), 2014-05-02 14:30 UTC." in answer.text
    assert [update for _, update, _ in world.temporal.sent] == ["reject"]


async def test_a_last_approval_is_not_given_on_a_page_that_says_nothing_leaves_yet(world: ConsoleWorld) -> None:
    path = f"/payouts/{world.firm.big_payout}/decision"
    async with world.browser("ana@firm.example") as ana, world.browser("finn@firm.example") as finn:
        stale = await finn.form(path)
        assert "nothing leaves yet" in await shown(finn, f"/payouts/{world.firm.big_payout}")
        fields = {"tab": "payout", "next": f"payout/{world.firm.payout}"}
        landed = await ana.post(path, decision="approve", reason=REASON, **fields)
        html = await shown(ana, landed.headers["Location"])
        assert "It has 1 of 2 approvals" in html
        assert f'name="item" value="payout/{world.firm.payout}"' in html, "the next one is open"
        refused = await finn.post(path, decision="approve", reason=REASON, **stale)
        assert refused.status_code == 409 and "This payout has changed since you opened the page" in refused.text
        assert "Approving sends 4,320.00 USD" in await shown(finn, f"/payouts/{world.firm.big_payout}")
        await finn.post(path, decision="approve", reason=REASON)
        html = await shown(finn, f"/payouts/{world.firm.big_payout}")
        assert "Approved by Ana Ruiz (admin) and Finn Okafor (finance), 2014-05-02 14:30 UTC." in html
    assert [update for _, update, _ in world.temporal.sent] == ["approve", "approve"]


async def test_the_same_form_sent_again_gets_its_first_answer(world: ConsoleWorld) -> None:
    path = f"/payouts/{world.firm.payout}/decision"
    async with world.browser("finn@firm.example") as browser:
        form = await browser.form(path)
        for _ in range(2):
            answer = await browser.post(path, key=KEY, decision="approve", reason=REASON, **form)
            assert answer.status_code == 303
    assert [update for _, update, _ in world.temporal.sent] == ["approve"]


async def test_of_two_people_at_once_one_decides_and_the_other_is_told(world: ConsoleWorld) -> None:
    trader_id = world.firm.waiting_trader
    path = f"/identity/{trader_id}/decision"
    async with world.browser("ana@firm.example") as ana, world.browser("rosa@firm.example") as rosa:
        answers = await asyncio.gather(
            ana.post(path, decision="verify", reason="Passport seen."),
            rosa.post(path, decision="refuse", reason="The passport has expired."),
        )
        assert sorted(answer.status_code for answer in answers) == [303, 409]
        told = next(answer.text for answer in answers if answer.status_code == 409)
        html = await shown(ana, f"/queue/identity/{trader_id}")
        who = re.search(r"(Verified by Ana Ruiz|Refused by Rosa Lindgren) \([a-z]+\), 2014-05-02 14:30 UTC\.", html)
        assert who is not None and who.group(0) in told and FORM not in html
        assert len(re.findall(r"<strong>(Verified|Refused)</strong> by", html)) == 1
    async with world.db.transaction() as session:
        kept = (await session.get_one(Trader, trader_id)).identity
    assert kept == who.group(1).split()[0].lower()
