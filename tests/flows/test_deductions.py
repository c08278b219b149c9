"""Alert, case, a deduction by two people, and a payout that pays less: on real Postgres and Temporal."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from sqlalchemy import func, select

from contracts.ids import case_workflow
from domain.errors import PayoutRefused
from domain.money import Money
from firm import case_actions
from firm.payouts.preview import preview
from store.models import LedgerTransaction
from tests.flows.opened_case import opened
from tests.payout_stage import Stage, a_stage


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


async def test_a_deduction_by_two_people_ends_the_payout_it_is_in_and_the_next_one_pays_less(stage: Stage) -> None:
    world = stage.world
    trader, ria = await world.add_trader("tina"), await world.add_user("ria", "risk")
    rob, fay = await world.add_user("rob", "risk"), await world.add_user("fay", "finance")
    await world.traded("tina", date(2014, 5, 5), date(2014, 5, 6), pnl_minor=150_000)
    case_id = await opened(stage)
    first = await world.request(trader, 400_000)
    await stage.becomes(first, "in_review")
    async with world.db.transaction() as session:
        booked = await session.scalar(select(func.count()).select_from(LedgerTransaction))
        await case_actions.propose(
            session,
            case_id,
            action="deduct",
            trades=[("acc_tina", "tina-2")],
            rule="Copying is not allowed.",
            actor=ria,
            reason="copied",
        )
    assert (await stage.refused(case_workflow(case_id), "deduct", ria)).type == "self-approval"
    assert (await stage.refused(case_workflow(case_id), "deduct", fay)).type == "not-allowed"
    async with world.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerTransaction)) == booked
    assert (await stage.decide(case_workflow(case_id), "deduct", rob))["state"] == "deducted"
    await stage.case_ends(case_id, "deducted")
    await stage.ends(first, "cancelled")
    told = (await world.payout(first)).told or ""
    assert "tainted profit 1,500.00 USD of trade tina-2" in told and "Copying is not allowed" in told
    with pytest.raises(PayoutRefused):
        await world.request(trader, 250_001)
    async with world.db.transaction() as session:
        ahead = await preview(session, "acc_tina", Money(minor=250_000, currency="USD"))
    assert (ahead.base_minor, ahead.most_minor, ahead.gross_minor) == (250_000, 250_000, 250_000)
    assert [(trade.position_id, trade.profit_minor) for trade in ahead.tainted] == [("tina-2", 150_000)]
    second = await world.request(trader, 250_000)
    await stage.becomes(second, "awaiting_approval")
    paid = await world.payout(second)
    assert (paid.gross_minor, paid.trader_minor, paid.base_minor) == (250_000, ahead.trader_minor, 250_000)
    assert "tainted profit 1,500.00 USD of trade tina-2" in paid.checks["eligibility"]["words"]
    assert paid.checks["deductions"]["ok"]
