"""What the console's forms do without script, and what they refuse."""

import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from domain.errors import AlreadyDecided
from domain.products.product import Product
from store import products
from store.models import Account, Payout, Ticket, Trader
from tests.console_world import ConsoleWorld, console_world

KEY = "key-made-at-render-0001"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_a_wrong_password_opens_nothing(world: ConsoleWorld) -> None:
    async with world.browser(None) as browser:
        answer = await browser.http.post("/sign-in", data={"login": "ana@firm.example", "password": "wrong wrong"})
        assert answer.status_code == 401 and "Login or password is wrong." in answer.text
        assert "propos_session" not in answer.cookies


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_signing_in_never_leads_to_another_site(world: ConsoleWorld, target: str) -> None:
    async with world.browser(None) as browser:
        form = {"login": "ana@firm.example", "password": "correct horse battery", "next": target}
        assert (await browser.http.post("/sign-in", data=form)).headers["Location"] == "/"


async def test_signing_out_ends_the_session(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        token = browser.http.cookies["propos_session"]
        assert (await browser.post("/sign-out")).headers["Location"] == "/sign-in"
        browser.http.cookies.set("propos_session", token)
        assert (await browser.get("/")).status_code == 303


async def test_a_payout_is_approved_by_a_plain_form_and_its_result_is_shown(world: ConsoleWorld) -> None:
    firm = world.firm
    world.decides_payouts()
    async with world.browser("finn@firm.example") as browser:
        fields = {"tab": "payout", "next": f"payout/{firm.big_payout}"}
        answer = await browser.post(
            f"/payouts/{firm.payout}/decision", decision="approve", reason="Statement checked.", **fields
        )
        landed = f"/queue/payout/{firm.big_payout}?kind=payout"
        assert (answer.status_code, answer.headers["Location"]) == (303, landed)
        assert [(sent[0], sent[1]) for sent in world.temporal.sent] == [(f"payout/{firm.payout}", "approve")]
        shown = (await browser.get(landed)).text
        assert "Decision recorded. The payout is now approved." in shown
        decided = f"/queue/payout/{firm.payout}?kind=payout"
        assert f'<a href="{decided}">Payout 1,116.00 USD, Mara Lindqvist</a>' in shown
        assert f'name="item" value="payout/{firm.big_payout}"' in shown, "the next one is open"
        assert "Decision recorded" not in (await browser.get(landed)).text
        assert "Approved by Finn Okafor (finance), 2014-05-02 14:30 UTC." in (await browser.get(decided)).text


async def test_sending_a_form_twice_decides_once(world: ConsoleWorld) -> None:
    path = f"/payouts/{world.firm.payout}/decision"
    world.answer(f"payout/{world.firm.payout}", state="approved", approvals=1, approvals_needed=1)
    async with world.browser("finn@firm.example") as browser:
        for _ in range(2):
            answer = await browser.post(path, key=KEY, decision="approve", reason="Statement checked.")
            assert answer.status_code == 303
        assert len(world.temporal.sent) == 1
        other = await browser.post(path, key=KEY, decision="reject", reason="Changed my mind.")
        assert other.status_code == 409 and len(world.temporal.sent) == 1


async def test_a_dispute_and_a_case_reach_their_workflows(world: ConsoleWorld) -> None:
    firm = world.firm
    world.answer(f"dispute/{firm.dispute}", state="reinstating")
    world.answer(f"case/{firm.case}", state="cleared")
    async with world.browser("rosa@firm.example") as browser:
        await browser.post(f"/disputes/{firm.dispute}/decision", decision="reinstate", reason="The tick was bad.")
        await browser.post(f"/cases/{firm.case}/decision", decision="clear", reason="Same signal service.")
    assert [sent[:2] for sent in world.temporal.sent] == [
        (f"dispute/{firm.dispute}", "reinstate"),
        (f"case/{firm.case}", "clear"),
    ]


async def test_the_loser_of_a_race_reads_who_was_first(world: ConsoleWorld) -> None:
    world.temporal.refuse(f"payout/{world.firm.payout}", AlreadyDecided("payout", "rejected", "Ana"))
    async with world.browser("finn@firm.example") as browser:
        answer = await browser.post(f"/payouts/{world.firm.payout}/decision", decision="approve", reason="Checked.")
        assert answer.status_code == 409 and "already decided: rejected by Ana" in answer.text


async def test_the_engine_being_down_is_said_with_its_remedy(world: ConsoleWorld) -> None:
    world.temporal.down = True
    async with world.browser("finn@firm.example") as browser:
        answer = await browser.post(f"/payouts/{world.firm.payout}/decision", decision="approve", reason="Checked.")
        assert answer.status_code == 503 and "nothing was decided" in answer.text


@pytest.mark.parametrize("csrf", ["", "not-the-token"])
async def test_a_form_without_the_sessions_token_is_refused(world: ConsoleWorld, csrf: str) -> None:
    async with world.browser("finn@firm.example") as browser:
        sent = {"csrf": csrf, "key": KEY, "decision": "approve", "reason": "Checked."}
        answer = await browser.http.post(f"/payouts/{world.firm.payout}/decision", data=sent)
        assert answer.status_code == 403 and world.temporal.sent == []


async def test_a_form_from_another_site_is_refused(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        browser.http.headers["Sec-Fetch-Site"] = "cross-site"
        sent = {"login": "finn@firm.example", "password": "correct horse battery"}
        assert (await browser.http.post("/sign-in", data=sent)).status_code == 403


@pytest.mark.parametrize("login", ["sam@firm.example", "uma@firm.example", "rosa@firm.example", "mara@example.org"])
async def test_whose_role_may_not_pay_is_refused_by_the_server(world: ConsoleWorld, login: str) -> None:
    async with world.browser(login) as browser:
        answer = await browser.post(f"/payouts/{world.firm.payout}/decision", decision="approve", reason="Please.")
        assert answer.status_code == 403 and world.temporal.sent == []


async def test_a_decision_needs_a_reason_and_a_known_button(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        path = f"/payouts/{world.firm.payout}/decision"
        assert (await browser.post(path, decision="approve", reason="  ")).status_code == 422
        assert (await browser.post(path, decision="send_it_all", reason="Why not.")).status_code == 422
        assert world.temporal.sent == []


async def test_an_identity_is_verified_on_the_record(world: ConsoleWorld) -> None:
    trader_id = world.firm.waiting_trader
    async with world.browser("rosa@firm.example") as browser:
        answer = await browser.post(f"/identity/{trader_id}/decision", decision="verify", reason="Passport seen.")
        assert answer.headers["Location"] == f"/identity/{trader_id}"
        assert (
            "Verified by Rosa Lindgren (risk), 2014-05-02 14:30 UTC."
            in (await browser.get(f"/identity/{trader_id}")).text
        )
        assert "verified" in (await browser.get(f"/traders/{trader_id}")).text
    async with world.db.transaction() as session:
        assert (await session.get_one(Trader, trader_id)).identity == "verified"


async def test_a_ticket_is_answered_and_solved(world: ConsoleWorld) -> None:
    ticket_id = world.firm.ticket
    async with world.browser("sam@firm.example") as browser:
        for _ in range(2):
            assert (
                await browser.post(f"/tickets/{ticket_id}/reply", key=KEY, body="On <b>Monday</b>.")
            ).status_code == 303
        page = (await browser.get(f"/tickets/{ticket_id}")).text
        assert page.count("On &lt;b&gt;Monday&lt;/b&gt;.") == 1
        assert (await browser.post(f"/tickets/{ticket_id}/solve")).status_code == 303
    async with world.db.transaction() as session:
        assert (await session.get_one(Ticket, ticket_id)).state == "solved"


async def test_a_trader_asks_and_changes_the_bank_account(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        wrong = await browser.post("/beneficiary", iban="DE00 0000 0000 0000")
        assert wrong.status_code == 422 and "Check it digit by digit." in wrong.text
        assert (await browser.post("/beneficiary", iban="DE89 3704 0044 0532 0130 00")).status_code == 303
        assert "DE…3000" in (await browser.get("/my/details")).text
        opened = await browser.post("/tickets", subject="Where is it?", body="My payout.")
        assert "Where is it?" in (await browser.get(opened.headers["Location"])).text
        again = await browser.post(f"/accounts/{world.firm.funded}/payout", amount="100.00")
        assert again.status_code == 409 and "still open" in again.text


async def test_a_refused_payout_leads_to_its_proof(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        refused = await browser.post(f"/accounts/{world.firm.active}/payout", amount="100.00")
        assert refused.status_code == 422 and "the challenge is not funded" in refused.text
        (proof,) = set(re.findall(r"/proofs/prf_[0-9a-z]{26}", refused.text))
        shown = await browser.get(proof)
    assert "Recomputed just now from this sheet alone" in shown.text and "not funded" in shown.text


async def test_every_line_of_what_is_paid_is_shown(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        row = await session.get_one(Payout, world.firm.payout)
        row.refund_minor, row.forfeited_minor, row.cycle = 54_000, 12_345, "monthly"
    async with world.browser("finn@firm.example") as browser:
        shown = (await browser.get(f"/payouts/{world.firm.payout}")).text
    for words in ("Fee refund", "540.00", "Above the cap", "123.45", "monthly"):
        assert words in shown


async def test_a_trader_withdraws_only_a_request_of_their_own(world: ConsoleWorld) -> None:
    payout = world.firm.payout
    world.answer(f"payout/{payout}", state="cancelled")
    async with world.browser("otto@example.org") as browser:
        answer = await browser.post(f"/payouts/{payout}/decision", decision="cancel", reason="Not mine.")
        assert answer.status_code == 404 and world.temporal.sent == []
    async with world.browser("mara@example.org") as browser:
        assert "Withdraw this request" in (await browser.get(f"/payouts/{payout}")).text
        await browser.post(f"/payouts/{payout}/decision", decision="cancel", reason="I changed my mind.")
    assert [sent[:2] for sent in world.temporal.sent] == [(f"payout/{payout}", "cancel")]


async def test_a_review_is_closed_with_a_reason_by_risk_alone(world: ConsoleWorld) -> None:
    path = f"/reviews/{world.firm.review}/close"
    async with world.browser("sam@firm.example") as browser:
        assert path not in (await browser.get("/risk")).text
        assert (await browser.post(path, reason="Looked at it.")).status_code == 403
    async with world.browser("rosa@firm.example") as browser:
        assert (await browser.post(path, reason="A misprint of the feed.")).headers["Location"] == "/risk"
        assert "A misprint of the feed." in (await browser.get("/risk")).text


async def test_the_colours_are_kept(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        answer = await browser.post("/theme", theme="dark", back="/queue?kind=case")
        assert answer.headers["Location"] == "/queue?kind=case"
        assert '<html lang="en" data-theme="dark">' in (await browser.get("/")).text


async def test_the_preview_is_of_the_cycle_that_was_chosen_and_shows_every_part(world: ConsoleWorld) -> None:
    number = int(world.firm.funded.removeprefix("A-"))
    async with world.db.transaction() as session:
        account = (await session.scalars(select(Account).where(Account.number == number))).one()
        body = (await products.load(session, account.product, account.version)).model_dump(mode="json")
        cycle = {"name": "monthly", "split_pct": "95", "caps": [{"type": "amount", "value": "100"}]}
        body["payout"] |= {"cycles": [cycle], "fee_refund": {"pct": "100"}, "excess": "deducted_from_account"}
        body["payout"] |= {"min_request": "50"}
        sold = Product.model_validate({**body, "product": "by-cycle", "version": 1})
        await products.publish(session, sold)
        account.product, account.version = sold.product, sold.version
    async with world.browser("mara@example.org") as browser:
        await browser.post("/beneficiary", iban="DE89 3704 0044 0532 0130 00")
        page = f"/accounts/{world.firm.funded}"
        shown = (await browser.get(f"{page}/payout?amount=100.00&cycle=monthly")).text
        unknown = await browser.get(f"{page}/payout?amount=100.00&cycle=weekly")
    assert unknown.status_code == 422 and "no payout cycle" in unknown.text
    for words in ("payout cycle monthly", "Your share", "95.00", "Fee refund", "Above the cap"):
        assert words in shown, words
    assert '<input type="hidden" name="cycle" value="monthly">' in shown
