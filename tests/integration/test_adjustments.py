"""Corrections of balances by staff: moved once at the platform, judged as profit or loss, and never without room."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest
from sqlalchemy import select, update
from sqlalchemy.sql import func
from temporalio.service import RPCError, RPCStatusCode

from domain import record_keys
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, Unavailable
from domain.money import Money
from firm import interventions
from firm.payouts.situation import situation
from relay.outbox import Connect, OutboxDispatcher
from store.models import Account, AccountLive, BalanceOperationRow, Intervention, OutboxMessage, TicketMessage
from tests.payout_world import INITIAL, START, World, a_firm

PROFIT = 400_000


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def _no_temporal() -> NoReturn:
    raise Unavailable("no workflows here")


async def _proposed(firm: World, minor: int, actor: Actor, *, moves_balances: bool = True) -> str:
    async with firm.db.transaction() as session:
        made = await interventions.propose(
            session,
            "acc_tina",
            "adjust",
            change=Money(minor=minor, currency="USD"),
            moves_balances=moves_balances,
            actor=actor,
            reason="The venue filled it twice.",
            message="We corrected a fill.",
        )
        return made.id


async def _approved(firm: World, made_id: str, actor: Actor) -> None:
    async with firm.db.transaction() as session:
        await interventions.decide(
            session, made_id, verb="approve", moves_balances=True, actor=actor, reason="I saw it.", key=made_id
        )


async def _relayed(firm: World, connect: Connect = _no_temporal) -> None:
    async with firm.db.transaction() as session:
        await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))
    await OutboxDispatcher(firm.db, connect, firm.deps.platforms).step()


async def _state(firm: World, made_id: str) -> str:
    async with firm.db.transaction() as session:
        return (await session.get_one(Intervention, made_id)).state


async def _profit(firm: World) -> int | None:
    async with firm.db.transaction() as session:
        return (await situation(session, "acc_tina")).facts.profit_minor


async def test_an_adjustment_moves_the_balance_once_and_is_profit_or_loss(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    made_id = await _proposed(firm, -100_000, ria)
    assert await _profit(firm) == PROFIT
    await _approved(firm, made_id, fay)
    assert await _profit(firm) == PROFIT - 100_000, "what is to be taken pays out no more"
    for _ in range(2):
        await _relayed(firm)
        assert set(firm.venue.balances.values()) == {INITIAL + PROFIT - 100_000}
    assert await _state(firm, made_id) == "done"
    async with firm.db.transaction() as session:
        live = await session.get_one(AccountLive, "acc_tina")
        live.balance_minor = live.equity_minor = INITIAL + PROFIT - 100_000
        row = {"operation": "adjustment", "seq": 30, "at": START, "amount_minor": -100_000}
        key = record_keys.adjustment(made_id)
        session.add(BalanceOperationRow(account_id="acc_tina", key=key, balance_minor=live.balance_minor, **row))
    assert await _profit(firm) == PROFIT - 100_000
    async with firm.db.transaction() as session:
        assert "We corrected a fill." in (await session.scalars(select(TicketMessage.body))).all()


async def test_what_breaks_a_rule_by_itself_or_cannot_be_done_is_refused(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    ria = await firm.add_user("ria", "risk")
    with pytest.raises(BadInput, match="by this adjustment alone"):
        await _proposed(firm, -INITIAL // 5, ria)
    with pytest.raises(BadInput, match="nothing would be left"):
        await _proposed(firm, -2 * INITIAL, ria)
    with pytest.raises(Conflict, match="cannot change balances"):
        await _proposed(firm, 100, ria, moves_balances=False)


async def test_an_account_that_ended_meanwhile_keeps_its_balance(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    made_id = await _proposed(firm, 5_000, await firm.add_user("ria", "risk"))
    await _approved(firm, made_id, await firm.add_user("fay", "finance"))
    async with firm.db.transaction() as session:
        (await session.get_one(Account, "acc_tina")).status = "locked"
    await _relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL + PROFIT}
    assert await _state(firm, made_id) == "lapsed"


class _Ended:
    """Temporal, where every workflow has ended."""

    def get_workflow_handle(self, _: str) -> "_Ended":
        return self

    async def signal(self, *_: object, **__: object) -> NoReturn:
        raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")


async def _ended() -> Any:
    return _Ended()


async def test_a_closing_whose_challenge_ended_first_lapses_and_holds_nothing_up(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    async with firm.db.transaction() as session:
        made = await interventions.propose(
            session,
            "acc_tina",
            "close",
            change=None,
            moves_balances=True,
            actor=await firm.add_user("ria", "risk"),
            reason="The trader asked for it.",
            message="As you wished.",
        )
    await _approved(firm, made.id, await firm.add_user("fay", "finance"))
    await _relayed(firm, _ended)
    assert await _state(firm, made.id) == "lapsed"
    async with firm.db.transaction() as session:
        parked = select(OutboxMessage.key).where(OutboxMessage.parked_at.is_not(None))
        assert (await session.scalars(parked)).all() == []
