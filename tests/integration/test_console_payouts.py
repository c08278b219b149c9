"""Payouts in the console: which rail they are sent again over, which bank account is paid, and what is in the way."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from firm.beneficiaries import CONFIRMED, WAITING
from front.subjects.table import SUBJECTS
from store import crypto
from store.models import Beneficiary, Payout
from tests.console_payments import send_and_return
from tests.console_world import ConsoleWorld, console_world
from tests.mailed import confirm_account
from tests.payout_world import START, Provider


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, SUBJECTS, Provider(name="otherpay"), Provider(name="thirdpay")) as made:
        yield made


async def _add(world: ConsoleWorld, name: str, rail: str, state: str) -> str:
    async with world.db.transaction() as session:
        payout = await session.get_one(Payout, world.firm.payout)
        row = Beneficiary(
            id=f"ben_{name:0<26}",
            trader_id=payout.trader_id,
            rail=rail,
            account=f"DE8937040044053201{name}",
            account_index=crypto.keys().blind_index(name),
            state=state,
            changes=True,
            added_by=None,
            added_at=START,
        )
        session.add(row)
        return row.id


async def _halts(world: ConsoleWorld, halted: str | None) -> None:
    async with world.db.transaction() as session:
        payout = await session.get_one(Payout, world.firm.payout)
        payout.state, payout.halted = "in_review", halted


async def test_a_payout_is_sent_again_over_every_configured_rail_that_its_trader_is_paid_over(
    world: ConsoleWorld,
) -> None:
    await _add(world, "01", "otherpay", CONFIRMED)
    await _add(world, "02", "thirdpay", WAITING)
    await _add(world, "03", "nowhere", CONFIRMED)
    page, given = f"/payouts/{world.firm.payout}", list[Any]()

    def answer(decision: str, request: Any) -> dict[str, Any]:
        given.append((decision, request.rail, request.beneficiary))
        found = {"subject_id": world.firm.payout, "decision": decision, "approvals": 0, "approvals_needed": 0}
        return {**found, "state": "in_review"}

    world.temporal.answers[f"payout/{world.firm.payout}"] = answer
    async with world.browser("finn@firm.example") as browser:
        assert '<select id="rail-' not in (await browser.get(page)).text, "nothing is sent again yet"
        await _halts(world, "The provider refused the transfer: no such account.")
        shown = (await browser.get(page)).text
        queue = (await browser.get(f"/queue/payout/{world.firm.payout}")).text
        offered = dict(re.findall(r'<input type="hidden" name="to-([a-z]+)" value="([0-9a-f]{16})">', shown))
        assert list(offered) == ["sandbox", "otherpay"]
        assert offered["otherpay"] == crypto.keys().digest(f"DE8937040044053201{'01'}")[:16]
        for rail, account in offered.items():
            for text in (shown, queue):
                assert re.search(rf'<option value="{rail}">{rail}: .*\({account}\)</option>', text)
            sent = {"decision": "send_again", "reason": "Over this rail.", "rail": rail, f"to-{rail}": account}
            assert (await browser.post(f"{page}/decision", **sent)).status_code == 303
        await browser.post(f"{page}/decision", decision="reject", reason="No.", rail="otherpay")
    assert given == [*(("send_again", *each) for each in offered.items()), ("reject", "", "")]


async def test_the_form_says_that_a_trader_reads_the_reason_only_where_it_can_be_rejected(database_url: str) -> None:
    async with console_world(database_url) as world, world.browser("finn@firm.example") as browser:
        path = f"/payouts/{world.firm.payout}"
        assert "the trader sees it only if you reject the payout" in (await browser.get(path)).text
        await send_and_return(world, world.firm.payout)
        page = (await browser.get(path)).text
        assert "1,116.00 USD came back and is still owed to the trader." in page
        assert "the trader sees it only" not in page
        for choice in ("Send again", "Put back on the account", "Keep as a claim"):
            assert f">{choice}</button>" in page


async def test_a_trader_chooses_the_bank_account_that_a_payout_goes_to(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await session.execute(update(Payout).values(state="cancelled", closed_at=START))
    page = f"/accounts/{world.firm.funded}/payout"
    async with world.browser("mara@example.org") as browser:
        for account in ("DE89 3704 0044 0532 0130 00", "FR14 2004 1010 0505 0001 3M02 606"):
            assert (await browser.post("/beneficiary", iban=account)).status_code == 303
            if account.startswith("FR"):
                await confirm_account(browser.http, world.db, "mara@example.org")
        async with world.db.transaction() as session:
            rows = await session.scalars(select(Beneficiary).order_by(Beneficiary.recorded_at.desc()).limit(2))
            second, first = (row.id for row in rows)
        shown = (await browser.get(f"{page}?amount=200.00&beneficiary={first}")).text
        assert f'<option value="{first}" selected>' in shown
        assert f'<option value="{second}">' in shown
        assert "not confirmed yet" in shown
        waits = (await browser.get(f"{page}?amount=200.00&beneficiary={second}")).text
        assert "What blocks this payout" in waits and "not confirmed over a second channel" in waits
        asked = await browser.post(page, amount="200.00", beneficiary=first)
        assert asked.status_code == 303, asked.text
    async with world.db.transaction() as session:
        (made,) = await session.scalars(select(Payout).where(Payout.state == "requested"))
    assert made.beneficiary_id == first
