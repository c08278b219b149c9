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
from domain.interventions import GIVEN_UP, HAD_ENDED, HAD_JUDGED
from domain.money import Money
from domain.platform_changes import ADJUSTING
from domain.platform_errors import PlatformChangeRefused
from firm import interventions, parked, platform_changes
from firm.notifications import returned
from firm.payouts.preview import preview
from firm.payouts.situation import situation
from relay.outbox import Connect, OutboxDispatcher
from store.models import (
    Account,
    AccountLive,
    BalanceOperationRow,
    Challenge,
    Intervention,
    Notification,
    OutboxMessage,
    TicketMessage,
    Transition,
)
from tests.payout_world import INITIAL, START, Killed, World, a_firm

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


async def _why(firm: World, made_id: str) -> str:
    """Why it lapsed."""
    async with firm.db.transaction() as session:
        step = select(Transition.detail).where(Transition.subject_id == made_id, Transition.to_state == "lapsed")
        return str((await session.scalars(step)).one()["why"])


async def _told(firm: World) -> list[str]:
    """What the trader was told."""
    async with firm.db.transaction() as session:
        return list(await session.scalars(select(TicketMessage.body)))


async def _given_up(firm: World, key: str) -> None:
    """The message of this key is parked, and a person gives it up."""
    async with firm.db.transaction() as session:
        row = (await session.scalars(select(OutboxMessage).where(OutboxMessage.key == key))).one()
        row.parked_at = row.parked_at or row.recorded_at
    async with firm.db.transaction() as session:
        await parked.drop(session, "outbox", row.id, actor="usr_ana", role="admin", reason="It is of no use.")


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
    assert await _told(firm) == [], "nothing has changed yet"
    with pytest.raises(Conflict, match="is being carried out"):
        await _proposed(firm, 5, ria)
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
    assert await _told(firm) == ["We corrected a fill."]


async def test_what_breaks_a_rule_by_itself_or_cannot_be_done_is_refused(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    ria = await firm.add_user("ria", "risk")
    with pytest.raises(BadInput, match="by this adjustment alone"):
        await _proposed(firm, -INITIAL // 5, ria)
    with pytest.raises(BadInput, match="nothing would be left"):
        await _proposed(firm, -2 * INITIAL, ria)
    with pytest.raises(Conflict, match="does not let programs change balances"):
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
    assert await _told(firm) == [], "the trader hears of nothing that did not happen"
    for _ in range(2):
        async with firm.db.transaction() as session:
            await returned.tell(session, site="https://firm.example")
    async with firm.db.transaction() as session:
        told = (await session.scalars(select(Notification).order_by(Notification.user_id))).all()
        assert [each.user_id for each in told] == ["usr_fay", "usr_ria"], "who approved it, and who proposed it"
        assert HAD_ENDED in told[0].short


async def test_an_account_with_a_stored_breach_is_not_adjusted_any_more(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    made_id = await _proposed(firm, 5_000, ria)
    await _approved(firm, made_id, fay)
    await firm.breached("tina")
    await _relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL + PROFIT}
    assert (await _state(firm, made_id), await _why(firm, made_id)) == ("lapsed", HAD_JUDGED)
    with pytest.raises(Conflict, match="still being updated"):
        await _proposed(firm, 5_000, ria)


async def test_an_account_stays_at_its_platform_until_its_adjustment_is_settled(firm: World) -> None:
    """The platform books it, and the relay dies before it hears so."""
    await firm.add_trader("tina", profit_minor=PROFIT)
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    made_id = await _proposed(firm, 5_000, ria)
    await _approved(firm, made_id, fay)

    async def in_the_way() -> str:
        with pytest.raises(PlatformChangeRefused) as refused:
            async with firm.db.transaction() as session:
                await platform_changes.propose(
                    session,
                    account_id="acc_tina",
                    to_platform="other",
                    close_positions=True,
                    lacks={"other": ()},
                    actor=ria,
                    reason="It closes.",
                )
        return " ".join(refused.value.reasons)

    firm.venue.dies_at = (firm.venue.calls + 2, "after")
    with pytest.raises(Killed):
        await _relayed(firm)
    firm.venue.dies_at = None
    assert set(firm.venue.balances.values()) == {INITIAL + PROFIT + 5_000}
    assert ADJUSTING in await in_the_way()
    await _relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL + PROFIT + 5_000}
    assert await _state(firm, made_id) == "done"
    assert ADJUSTING not in await in_the_way()


@pytest.mark.parametrize("was_made", [False, True])
async def test_an_adjustment_that_is_given_up_ends_as_the_platform_has_it(firm: World, was_made: bool) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    made_id = await _proposed(firm, -5_000, ria)
    await _approved(firm, made_id, fay)
    login, key = next(iter(firm.venue.balances)), record_keys.adjustment(made_id)
    if was_made:
        await firm.venue.balance_operation(login, key=key, operation="adjustment", amount_minor=-5_000)
    await _given_up(firm, key)
    firm.venue.away = True
    await _relayed(firm)
    assert await _state(firm, made_id) == "approved", "the platform has not said what it did"
    firm.venue.away = False
    await _relayed(firm)
    assert await _state(firm, made_id) == ("done" if was_made else "lapsed")
    assert firm.venue.balances[login] == INITIAL + PROFIT - 5_000 * was_made
    assert await _told(firm) == ["We corrected a fill."] * was_made
    if not was_made:
        assert (await _profit(firm), await _why(firm, made_id)) == (PROFIT, GIVEN_UP)
        await _proposed(firm, -5_000, ria)


async def test_an_adjustment_that_is_given_up_twice_lapses_without_an_answer(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    made_id = await _proposed(firm, -5_000, await firm.add_user("ria", "risk"))
    await _approved(firm, made_id, await firm.add_user("fay", "finance"))
    for state in ("approved", "lapsed"):
        await _given_up(firm, record_keys.adjustment(made_id))
        assert await _state(firm, made_id) == state


class _Ended:
    """Temporal, where every workflow has ended."""

    def get_workflow_handle(self, _: str) -> "_Ended":
        return self

    async def signal(self, *_: object, **__: object) -> NoReturn:
        raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")


async def _ended() -> Any:
    return _Ended()


async def _closing(firm: World) -> str:
    """An approved closing."""
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
    return made.id


async def _parked(firm: World) -> list[str]:
    async with firm.db.transaction() as session:
        waiting = OutboxMessage.parked_at.is_not(None), OutboxMessage.dispatched_at.is_(None)
        return list(await session.scalars(select(OutboxMessage.key).where(*waiting)))


async def test_a_closing_whose_challenge_ended_first_lapses_and_holds_nothing_up(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=PROFIT)
    made_id = await _closing(firm)
    async with firm.db.transaction() as session:
        (await session.get_one(Challenge, "chl_tina")).state = "charged_back"
    await _relayed(firm, _ended)
    assert (await _state(firm, made_id), await _parked(firm)) == ("lapsed", [])
    assert "it is charged back" in await _why(firm, made_id) and await _told(firm) == []


async def test_a_closing_waits_for_a_missing_workflow_holds_payouts_and_can_be_given_up(firm: World) -> None:
    tina = await firm.add_trader("tina", profit_minor=PROFIT)
    made_id = await _closing(firm)
    await _relayed(firm, _ended)
    key = record_keys.intervention(made_id)
    assert (await _state(firm, made_id), await _parked(firm)) == ("approved", [key])
    with pytest.raises(Conflict, match="is being closed"):
        await firm.request(tina, 100_000)
    async with firm.db.transaction() as session:
        assert "account_closes" in {block.code for block in (await preview(session, "acc_tina")).blocks}
    await _given_up(firm, key)
    assert (await _state(firm, made_id), await _why(firm, made_id)) == ("lapsed", GIVEN_UP)
    async with firm.db.transaction() as session:
        assert "account_closes" not in {block.code for block in (await preview(session, "acc_tina")).blocks}
    assert await _told(firm) == []
