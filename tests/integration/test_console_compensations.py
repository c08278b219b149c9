"""Compensations on the pages: proposed on the page of a dispute, granted by another person, used by the trader."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from domain.dispute_policy import DisputePolicy
from firm import dispute_policies, disputes
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page

FIELDS = {"reason": "Our feed was wrong.", "message": "We are sorry."}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_a_voucher_is_proposed_granted_after_a_proof_and_lowers_the_price_of_its_trader_alone(
    world: ConsoleWorld,
) -> None:
    dispute = f"/disputes/{world.firm.dispute}"
    async with world.browser("sam@firm.example") as support:
        assert "Propose a voucher" not in (await support.get(dispute)).text
        assert (await support.post(f"{dispute}/compensation", amount="50.00", **FIELDS)).status_code == 403
    async with world.browser("finn@firm.example") as finance:  # who could grant this amount alone
        headers = {"X-CSRF-Token": await finance.csrf(), "Idempotency-Key": "granted-at-once"}
        body = {"amount": "50.00", **FIELDS}
        unproven = await finance.http.post(f"/v1{dispute}/compensations", json=body, headers=headers)
        assert (unproven.status_code, unproven.json()["type"]) == (403, "step-up-required"), unproven.text
        form = {"csrf": await finance.csrf(), "key": "granted-at-once-on-the-page", **body}
        asked = await finance.http.post(f"{dispute}/compensation", data=form)
        assert asked.status_code == 403 and "Confirm that it is you" in asked.text
        assert (await finance.get(f"/v1{dispute}")).json()["compensations"] == []
    async with world.browser("rosa@firm.example") as risk:
        assert "Propose a voucher" in (await risk.get(dispute)).text
        for wrong in ("0", "1.234", "much", "0,50", "1,250.00"):
            assert (await risk.post(f"{dispute}/compensation", amount=wrong, **FIELDS)).status_code == 422
        assert (await risk.post(f"{dispute}/compensation", amount="50.00", **FIELDS)).status_code == 303
        page = (await risk.get(dispute)).text
        assert "Propose a voucher" not in page, "there is one already"
        [place] = set(re.findall(r"/compensations/cmp_\w+", page))
        own = (await risk.get(place)).text
        assert "Grant the voucher" not in own and 'value="withdraw"' in own
    async with world.browser("otto@example.org") as trader:
        assert "Voucher" not in (await trader.get(dispute)).text
        assert (await trader.get(place)).status_code == 403
    async with world.browser("finn@firm.example") as finance:
        shown = (await finance.get(place)).text
        for words in ("Voucher of 50.00 USD", "Our feed was wrong.", "We are sorry.", "Rosa Lindgren", "Otto Brandt"):
            assert words in shown, words
        assert not Page(shown).forbidden and 'value="withdraw"' not in shown
        assert place.rsplit("/", 1)[1] in (await finance.get("/queue?kind=compensation")).text
        granted = await finance.post(f"{place}/decision", decision="grant", reason="I read the ticks.")
        assert granted.status_code == 303
        after = (await finance.get(place)).text
        assert "Granted by Finn Okafor (finance)" in after and "I read the ticks." in after
        told = (await finance.get(f"/v1{place}")).json()
        assert (told["state"], told["coupon"], told["proposed_by_name"]) == ("granted", None, "Rosa Lindgren")
        assert told["decisions"][0]["evidence"]["step_up"]["class"] == "money"
    async with world.browser("otto@example.org") as trader:
        page = (await trader.get(dispute)).text
        assert "We are sorry." in page and FIELDS["reason"] not in page and "Finn" not in page
        [code] = set(re.findall(r"VOUCHER-[0-9A-F]{16}", page))
        (own,) = (await trader.get(f"/v1{dispute}")).json()["compensations"]
        assert (own["coupon"], own["reason"], own["proposed_by"]) == (code, "", None)
        price = (await trader.part(f"/buy/two-step?coupon={code}", "section#price")).text
        assert "490.00" in price and "Order for" in price
    async with world.browser("mara@example.org") as other:
        price = (await other.part(f"/buy/two-step?coupon={code}", "section#price")).text
        assert "is for another trader" in price and "Order for" not in price


async def test_a_policy_that_comes_in_between_grants_nothing_without_a_proof(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await dispute_policies.publish(session, DisputePolicy())  # nothing is granted by one person
    body = {"amount": "50.00", **FIELDS}
    async with world.browser("finn@firm.example") as finance:
        csrf = await finance.csrf()

        async def propose(key: str) -> httpx.Response:
            headers = {"X-CSRF-Token": csrf, "Idempotency-Key": key}
            path = f"/v1/disputes/{world.firm.dispute}/compensations"
            return await finance.http.post(path, json=body, headers=headers)

        async with world.db.transaction() as session:
            await disputes.lock(session, world.firm.dispute)
            asked = asyncio.create_task(propose("proposed-too-early"))
            while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                assert not asked.done(), asked.result().text
            async with world.db.transaction() as other:
                await dispute_policies.publish(other, dispute_policies.load_policy())
        refused = await asked
        assert (refused.status_code, refused.json()["type"]) == (409, "changed-meanwhile"), refused.text
        again = await propose("proposed-once-more")
        assert (again.status_code, again.json()["type"]) == (403, "step-up-required")
        assert (await finance.get(f"/v1/disputes/{world.firm.dispute}")).json()["compensations"] == []
