"""The page of a case: what a person sees before deciding, and what the trader sees of the decision."""

import re
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import update

from store.models import Alert, Case
from tests.case_deciding import decide_case
from tests.console_world import ConsoleWorld, console_world

RULE = "Copying the trades of others is not allowed."


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        made.temporal.answers[f"case/{made.firm.case}"] = partial(decide_case, made)
        yield made


async def test_a_warning_is_read_before_it_is_sent_and_the_trader_appeals(world: ConsoleWorld) -> None:
    page = f"/cases/{world.firm.case}"
    async with world.browser("rosa@firm.example") as rosa:
        shown = (await rosa.get(page)).text
        assert (
            "Linked accounts" in shown and "<svg class=" in shown and "the policy proposes to warn the trader" in shown
        )
        assert "No case of this pattern and threshold version is decided yet" in shown
        assert "Send the warning" not in shown
        copied = re.search(r"(A-\d+) copies (A-\d+): 8 of 9 trades", shown)
        assert copied and f"Copy trading · {copied[1]}, Otto Brandt, and 1 more account" in shown
        assert f"Copy trading, Otto Brandt, {copied[1]}" in (await rosa.get("/queue?kind=case")).text
        assert f"{copied[1]} copies {copied[2]}: 8 of 9 trades" in (await rosa.get("/risk")).text
        fields = {"action": "warn", "rule": RULE, "reason": "8 of 9 openings."}
        told = await rosa.post(f"{page}/action", **fields, message="Otto Brandt scored 0.91.")
        assert told.status_code == 422 and "The message cannot be sent to the trader" in told.text
        assert (await rosa.post(f"{page}/action", **fields)).status_code == 303
        assert (await rosa.post(f"{page}/notes", body="The trader called.")).status_code == 303
        user = re.findall(r'<option value="(usr_[0-9a-z]+)" selected>Rosa', (await rosa.get(page)).text)
        assert (await rosa.post(f"{page}/assignment", to=user[0])).status_code == 303
        shown = (await rosa.get(page)).text
        assert "Otto Brandt reads: A warning about your trading" in shown and "The trader called." in shown
        assert "Reassign" in shown and f"The rule: {RULE}" in shown
        assert (await rosa.post(f"{page}/decision", decision="warn", reason="It is clear.")).status_code == 303
        assert "Warned by Rosa Lindgren (risk)" in (await rosa.get(page)).text
        figures = (await rosa.get("/risk/precision")).text
        assert "100 % (21 % to 100 %)" in figures
    async with world.browser("otto@example.org") as otto:
        numbers = sorted(set(re.findall(r"A-\d+", (await otto.get("/")).text)))
        pages = {number: (await otto.get(f"/accounts/{number}")).text for number in numbers}
        (own,) = [number for number, text in pages.items() if "Decisions about the trading" in text]
        (action,) = re.findall(r'action="(/actions/act_[0-9a-z]+/appeal)"', pages[own])
        assert RULE in pages[own] and "0.91" not in pages[own] and world.firm.case not in pages[own]
        assert (await otto.get(page)).status_code in (403, 404)
        answer = await otto.post(action, statement="It was my own idea.")
        assert answer.status_code == 303
        assert "Appeal: warn the trader" in (await otto.get(answer.headers["Location"])).text
        assert (await otto.post(action, statement="Once more.")).status_code == 409


async def test_a_blind_case_hides_its_score_until_it_is_decided(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await session.execute(update(Case).values(is_blind=True))
    page = f"/cases/{world.firm.case}"
    async with world.browser("rosa@firm.example") as rosa:
        shown = (await rosa.get(page)).text
        assert "hidden until the case is decided" in shown and "0.91" not in shown
        assert (await rosa.http.get(f"/v1/cases/{world.firm.case}")).json()["score"] is None
        assert (await rosa.post(f"{page}/decision", decision="clear", reason="One signal.")).status_code == 303
        assert "0.91 of 1" in (await rosa.get(page)).text


async def test_changed_evidence_is_shown_and_offers_no_decision(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await session.execute(update(Alert).values(score=0))
    async with world.browser("rosa@firm.example") as rosa:
        shown = (await rosa.get(f"/cases/{world.firm.case}")).text
        assert "changed after it was recorded" in shown and 'name="decision"' not in shown
