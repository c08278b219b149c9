"""Asking for a payout and holding its money: who may ask, for how much, and that it is held once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, literal_column, select, text, update

from contracts.ids import payout_workflow
from contracts.payouts import PayoutRef, PayoutStatus
from domain.errors import NotFound, PayoutOpen, PayoutRefused
from domain.money import Money
from firm.payouts import requests as payouts
from firm.payouts import row
from firm.payouts import situation as payout_facts
from ports.platform import PositionState
from store import crypto, operations
from store.models import (
    Account,
    AccountLive,
    AuditEntry,
    Challenge,
    Decision,
    Intent,
    OutboxMessage,
    Payout,
    Transition,
)
from tests.payout_world import INITIAL, LARGE, MEDIUM, SMALL, START, Killed, World, a_firm, ref
from tests.rule_states import standing


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def test_a_request_is_on_the_record_with_its_checks_and_starts_its_workflow(firm: World) -> None:
    trader = await firm.add_trader("tina", profit_minor=LARGE)
    payout = await firm.payout(await firm.request(trader, LARGE))
    assert (payout.state, payout.trader_minor, payout.firm_minor) == ("requested", 320_000, 80_000)
    assert payout.approvers_needed == 2
    assert payout.decide_by == payout.requested_at + timedelta(days=5)
    assert {name for name, check in payout.checks.items() if not check["ok"]} == set()
    assert set(payout.checks) >= {"eligibility", "identity", "cases", "disputes", "room:daily_loss", "room:max_loss"}
    async with firm.db.transaction() as session:
        message = (await session.execute(select(OutboxMessage))).scalar_one()
        actions = (await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_kind == "payout"))).all()
    assert (message.topic, message.target, message.name) == ("workflow.start", payout_workflow(payout.id), "Payout")
    assert message.payload == {"payout_id": payout.id}
    assert actions == ["payout.requested"]


async def test_more_than_available_is_refused(firm: World) -> None:
    trader = await firm.add_trader("tina", profit_minor=MEDIUM)
    with pytest.raises(PayoutRefused, match=r"3,000\.01 USD is more than the 3,000\.00 USD available"):
        await firm.request(trader, MEDIUM + 1)


async def test_a_payout_may_not_break_a_rule_by_itself(firm: World) -> None:
    trader = await firm.add_trader("tina", profit_minor=LARGE)
    async with firm.db.transaction() as session:
        situation = await payout_facts.situation(session, "acc_tina")
        situation.spare["daily_loss"] = 100_000
        assert situation.most.minor == 100_000
    raised = standing("two-step", 3, {"daily_loss": INITIAL + 300_000})
    async with firm.db.transaction() as session:
        await session.execute(update(AccountLive).values(rule_state=raised))
    with pytest.raises(PayoutRefused, match=r"break daily loss by itself; at most 1,000\.00 USD"):
        await firm.request(trader, LARGE)
    assert await firm.request(trader, 100_000)


async def test_a_second_payout_waits_for_the_first(firm: World) -> None:
    trader = await firm.add_trader("tina")
    first = await firm.request(trader, SMALL)
    with pytest.raises(PayoutOpen, match=first):
        await firm.request(trader, SMALL)


async def test_two_requests_at_once_make_one_payout(firm: World) -> None:
    trader = await firm.add_trader("tina")
    results = await asyncio.gather(*(firm.request(trader, SMALL) for _ in range(4)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["PayoutOpen"] * 3 + ["str"]


async def test_another_traders_account_does_not_exist(firm: World) -> None:
    await firm.add_trader("tina")
    other = await firm.add_user("eve", "trader", trader_id=None)
    async with firm.db.transaction() as session:
        with pytest.raises(NotFound):
            await payouts.request_payout(
                session,
                account_id="acc_tina",
                actor=other,
                gross=Money(minor=1, currency="USD"),
                rail="fakepay",
                payable=firm.deps.payments.rails.check,
            )


async def test_the_hold_takes_the_money_once(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.request(trader, LARGE)
    for _ in range(2):
        assert await firm.activities.place_hold(ref(payout_id)) == PayoutStatus(state="reserved", steps=1)
    assert list(firm.venue.done.values()) == [("payout_hold", -LARGE)]
    assert await firm.books() == (-320_000, 0, 0)


async def test_who_opened_a_position_meanwhile_is_refused_without_a_trace_in_the_books(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.request(trader, LARGE)
    (login,) = firm.venue.balances
    firm.venue.positions[login] = (
        PositionState(
            position_id="1", symbol="EURUSD", side="buy", lots=Decimal(1), open_price=Decimal(1), opened_at=START
        ),
    )
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    payout = await firm.payout(payout_id)
    assert payout.closed_at is not None
    assert "close all positions first" in (payout.reason or "")
    assert firm.venue.done == {}
    assert await firm.books() == (0, 0, 0)


async def test_the_platform_may_refuse_the_hold(firm: World) -> None:
    trader = await firm.add_trader("tina")
    payout_id = await firm.request(trader, LARGE)
    firm.venue.dies = "before"
    with pytest.raises(Killed):
        await firm.activities.place_hold(ref(payout_id))
    firm.venue.dies = None
    (login,) = firm.venue.balances
    firm.venue.balances[login] = 100  # lost since the request was judged
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    async with firm.db.transaction() as session:
        assert await operations.open_holds(session) == 0


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["place_hold", "release_hold", "settle"])
async def test_a_kill_around_a_platform_call_moves_the_money_once(firm: World, step: str, moment: str) -> None:
    trader = await firm.add_trader("tina")
    finance = await firm.add_user("fay", "finance")
    if step == "place_hold":
        payout_id = await firm.request(trader, MEDIUM)
    else:
        payout_id = await firm.awaiting(trader, MEDIUM)
        await firm.decide(payout_id, finance, "approve" if step == "settle" else "reject")
        if step == "settle":
            await firm.activities.send_money(ref(payout_id))
            firm.provider.becomes(payout_id, "paid")
            await firm.activities.follow_transfer(ref(payout_id))
    activity: Callable[[PayoutRef], Awaitable[PayoutStatus]] = getattr(firm.activities, step)
    firm.venue.dies = "before" if moment == "before" else "after"
    with pytest.raises(Killed):
        await activity(ref(payout_id))
    firm.venue.dies = None
    state = {"place_hold": "reserved", "release_hold": "rejected", "settle": "paid"}[step]
    assert (await activity(ref(payout_id))).state == state
    assert (await activity(ref(payout_id))).state == state
    (balance,) = firm.venue.balances.values()
    assert balance == INITIAL + 400_000 - (0 if step == "release_hold" else MEDIUM)
    owed = {"place_hold": -240_000, "release_hold": 0, "settle": 0}[step]
    assert (await firm.books())[::2] == (owed, 0)


async def test_a_request_takes_its_locks_in_the_order_of_everybody_else(firm: World) -> None:
    """Who holds the challenge can go on to the account while a request waits; the reverse would be a deadlock."""
    trader = await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        await session.execute(select(Challenge.id).with_for_update())
        request = asyncio.create_task(firm.request(trader, SMALL))
        async with asyncio.timeout(20):
            while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                await asyncio.sleep(0.02)
        await session.execute(select(Account.id).with_for_update(nowait=True))
    assert (await firm.payout(await request)).state == "requested"


async def test_nothing_at_rest_lets_the_beneficiary_be_guessed(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.decide(payout_id, fay)
    await firm.activities.send_money(ref(payout_id))
    payout = await firm.payout(payout_id)
    assert payout.state == "sent"
    async with firm.db.transaction() as session:
        product = await row.product_of(session, payout)
        rows = [
            str(row)
            for table in (AuditEntry, Decision, Intent, OutboxMessage, Payout, Transition)
            for row in await session.scalars(
                select(func.to_jsonb(literal_column(table.__tablename__))).select_from(table)
            )
        ]
    assert any(payout.terms_digest in row for row in rows)
    assert not [row for row in rows if payout.beneficiary in row]
    crypto.install(crypto.FieldKeys({"k1": bytes(32)}))  # who does not have the key cannot try account numbers
    assert row.digest(payout, product) != payout.terms_digest
