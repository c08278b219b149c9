"""The console shows a chargeback with its date, the money and the drafted evidence, and takes the one answer."""

from collections.abc import AsyncIterator

import pytest

from domain import keys
from store.models import Intent
from tests.console_payments import challenge_of_active, charge_back
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_finance_reads_the_drafted_evidence_and_submits_it_once(world: ConsoleWorld) -> None:
    chargeback_id = await charge_back(world)
    path = f"/chargebacks/{chargeback_id}"
    async with world.browser("finn@firm.example") as browser:
        assert "Chargeback: product not received" in (await browser.get("/queue")).text
        page = (await browser.get(path)).text
        for said in ("taken by the acquirer", "15.00", "Answer due", "trades of the customer in all", "SHA-256"):
            assert said in page, said
        answer = await browser.post(f"{path}/decision", decision="submit", reason="The account was used.")
        assert answer.status_code == 303
        assert "The answer is on its way" in (await browser.get(path)).text
        assert "Chargeback: product" not in (await browser.get("/queue")).text
    async with world.db.transaction() as session:
        intent = await session.get_one(Intent, keys.chargeback_answer(chargeback_id))
        assert intent.payload["evidence"]["uncategorized_text"].startswith("The account was used.")


async def test_only_finance_answers_and_traders_read_what_it_means_for_them(world: ConsoleWorld) -> None:
    path = f"/chargebacks/{await charge_back(world)}"
    async with world.browser("rosa@firm.example") as browser:
        assert "Only admin or finance may decide this" in (await browser.get(path)).text
        assert (await browser.post(f"{path}/decision", decision="accept", reason="No.")).status_code == 403
    challenge_id = await challenge_of_active(world)
    async with world.browser("mara@example.org") as browser:
        assert (await browser.get(path)).status_code == 403
        assert "cannot trade until the bank decides" in (await browser.get(f"/challenges/{challenge_id}")).text


async def test_the_list_shows_every_chargeback_by_state(world: ConsoleWorld) -> None:
    async with world.browser("uma@firm.example") as browser:
        assert "No chargebacks" in (await browser.get("/chargebacks")).text
        assert "/chargebacks" in Page((await browser.get("/risk")).text).addresses
        path = f"/chargebacks/{await charge_back(world)}"
        for listed in ("/chargebacks", "/chargebacks?state=evidence_due"):
            page = (await browser.get(listed)).text
            assert path in Page(page).addresses
            assert "product not received" in page and "15.00" in page
        assert path not in Page((await browser.get("/chargebacks?state=lost")).text).addresses
        assert (await browser.get("/chargebacks?state=unheard")).status_code == 422
    async with world.browser("mara@example.org") as browser:
        assert (await browser.get("/chargebacks")).status_code == 403
