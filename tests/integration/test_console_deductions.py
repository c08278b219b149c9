"""The form of a case that names trades, and its approval by somebody else."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from store.models import Account, Case, Challenge, DealRow, DeductedTrade
from store.read import cases
from tests.case_deciding import decide_case
from tests.console_history import INITIAL, NOW
from tests.console_world import ConsoleWorld, console_world

CHECKBOX = re.compile(r'<input type="checkbox" name="trade" value="([^"]+)"[^>]*?( disabled| checked)?>')


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        made.temporal.answers[f"case/{made.firm.case}"] = partial(decide_case, made)
        yield made


async def blamed(world: ConsoleWorld) -> str:
    """The follower of the seeded case, with two closed trades, of 910.00 and -40.00 USD, and open ones."""
    async with world.db.transaction() as session:
        (follower,) = [named for named in (await cases.one(session, world.firm.case)).accounts if named.blamed]
        account = await session.get_one(Account, follower.account_id)
        (await session.get_one(Challenge, account.challenge_id)).account_id = account.id
        opened = await session.scalars(
            select(DealRow).where(DealRow.account_id == account.id).order_by(DealRow.seq).limit(2)
        )
        for number, (row, profit) in enumerate(zip(opened.all(), (91_000, -4_000), strict=True)):
            row.position_id = f"T{number}"
            kept = {name: getattr(row, name) for name in ("account_id", "position_id", "symbol", "lots", "price")}
            session.add(
                DealRow(
                    **kept, deal_id=f"close-{number}", seq=9_000 + number, at=NOW - timedelta(minutes=30), side="sell",
                    entry="out", profit_minor=profit, commission_minor=0, swap_minor=0,
                    balance_minor=INITIAL + profit, reason="client",
                )
            )  # fmt: skip
        return account.id


async def test_one_person_names_trades_with_their_total_and_another_approves(world: ConsoleWorld) -> None:
    account, page = await blamed(world), f"/cases/{world.firm.case}"
    async with world.browser("rosa@firm.example") as rosa:
        shown = (await rosa.get(page)).text
        boxes = dict(CHECKBOX.findall(shown))
        assert boxes.pop(f"{account}/T0") == "" and set(boxes.values()) == {" disabled"}
        assert "910.00" in shown and "made no profit" in shown and "is not closed" in shown
        assert 'name="decision" value="deduct"' not in shown, "nothing is proposed yet"
        fields = {
            "action": "deduct",
            "trade": f"{account}/T0",
            "rule": "Copying is not allowed.",
            "reason": "8 of 9 openings.",
        }
        missing = await rosa.post(f"{page}/action", action="deduct", rule=fields["rule"], reason=fields["reason"])
        assert missing.status_code == 422 and "No trade is named" in missing.text
        answer = await rosa.post(f"{page}/action", **fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, page)
        shown = (await rosa.get(page)).text
        assert "Proposed deduction" in shown and "Rosa Lindgren proposes" in shown
        assert 'name="decision" value="deduct"' not in shown and 'value="withdraw"' in shown
        assert dict(CHECKBOX.findall(shown))[f"{account}/T0"] == " checked"
        forged = await rosa.post(f"{page}/decision", decision="deduct", reason="It is clear.")
        assert forged.status_code == 403 and "somebody else must approve" in forged.text
    async with world.browser("ana@firm.example") as ana:
        shown = (await ana.get(page)).text
        assert "Copying is not allowed." in shown and 'name="decision" value="deduct"' in shown
        answer = await ana.post(f"{page}/decision", decision="deduct", reason="I read the pairs.")
        assert answer.status_code == 303
        shown = (await ana.get(page)).text
        assert "Deduction approved by Ana Ruiz (admin)" in shown and "Does not count for payouts" in shown
        assert 'name="trade"' not in shown
    async with world.db.transaction() as session:
        assert (await session.get_one(Case, world.firm.case)).state == "deducted"
        assert (await session.scalars(select(DeductedTrade.position_id).where(DeductedTrade.counts))).all() == ["T0"]
    async with world.browser("otto@example.org") as otto:
        assert (await otto.post(f"{page}/action", **fields)).status_code == 403
        number = next(iter(re.findall(r"/accounts/(A-\d+)", (await otto.get("/")).text)), "")
        assert number
        found = [
            (await otto.get(f"/accounts/{one}")).text for one in set(re.findall(r"A-\d+", (await otto.get("/")).text))
        ]
        assert any("profit of trade T0" in text and "Copying is not allowed." in text for text in found)


async def test_a_proposal_is_withdrawn_on_the_page_and_the_case_stays_open(world: ConsoleWorld) -> None:
    account, page = await blamed(world), f"/cases/{world.firm.case}"
    async with world.browser("rosa@firm.example") as rosa:
        await rosa.post(
            f"{page}/action", action="deduct", trade=f"{account}/T0", rule="Copying.", reason="8 of 9 openings."
        )
        answer = await rosa.post(f"{page}/decision", decision="withdraw", reason="Not this one.")
        assert answer.status_code == 303
        shown = (await rosa.get(page)).text
        assert "Proposed deduction" not in shown and 'value="clear"' in shown
