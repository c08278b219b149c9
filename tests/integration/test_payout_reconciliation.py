"""Every cent at the provider finds its ledger transaction, every day its snapshots, every hold its end."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from activities.operations import OperationsActivities
from activities.reconciliation import ReconciliationActivities
from contracts.ids import RECONCILIATION_WORKFLOW, daily_close_workflow
from contracts.messages import DailyCloseStart, ReconciliationStart
from domain.clocks import Clock
from domain.ledger import fee_paid, reversal
from domain.money import Money
from store import ledger, operations
from store.models import Account, DailyClose, DailySnapshot, Payout, ProviderEntryRow, Review, Wakeup
from store.reconciliation import breaks
from tests.payout_world import INITIAL, LARGE, MEDIUM, START, World, a_firm, ref

PRAGUE = DailyCloseStart(clock_group="Europe/Prague@00:00", zone="Europe/Prague", reset="00:00")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def reconcile(firm: World) -> tuple[int, int, int]:
    report = await ReconciliationActivities(firm.deps).reconcile(ReconciliationStart())
    return report.entries, report.tied, report.unreconciled


async def sent(firm: World) -> str:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.decide(payout_id, fay)
    await firm.activities.send_money(ref(payout_id))
    return payout_id


async def test_a_transfer_and_its_return_are_tied_to_their_postings(firm: World) -> None:
    payout_id = await sent(firm)
    assert await reconcile(firm) == (1, 1, 0)
    firm.provider.becomes(payout_id, "returned")
    assert await reconcile(firm) == (1, 0, 1)  # the provider was faster than we
    await firm.activities.follow_transfer(ref(payout_id))
    assert await reconcile(firm) == (0, 1, 0)
    async with firm.db.transaction() as session:
        wakeup = await session.get_one(Wakeup, RECONCILIATION_WORKFLOW)
    assert wakeup.due_at == datetime(2014, 5, 23, tzinfo=UTC)


async def test_what_does_not_agree_is_counted_on_both_sides(firm: World) -> None:
    async with firm.db.transaction() as session:
        await ledger.post(session, fee_paid("chl_1", money(54_000), "fakepay"), occurred_at=START)
    firm.provider.enter("charge", "ch_1", "chl_1", 53_999)
    firm.provider.enter("charge", "ch_2", "chl_unknown", 54_000)
    assert await reconcile(firm) == (2, 0, 3)


async def test_two_equal_movements_do_not_share_one_posting(firm: World) -> None:
    async with firm.db.transaction() as session:
        await ledger.post(session, fee_paid("chl_1", money(54_000), "fakepay"), occurred_at=START)
    for n in range(2):
        firm.provider.enter("charge", f"ch_{n}", "chl_1", 54_000)
    assert await reconcile(firm) == (2, 1, 1)
    async with firm.db.transaction() as session:
        rows = await session.scalars(select(ProviderEntryRow).order_by(ProviderEntryRow.position))
        assert [row.transaction_id is not None for row in rows] == [True, False]


async def test_a_mistake_and_its_reversal_need_no_movement(firm: World) -> None:
    entry = fee_paid("chl_1", money(54_000), "fakepay")
    async with firm.db.transaction() as session:
        number = await ledger.post(session, entry, occurred_at=START)
        assert await breaks.open_ends(session) == 1
        await ledger.post(session, reversal(entry), occurred_at=START, reverses=number)
        assert await breaks.open_ends(session) == 0


def money(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


async def test_a_closed_payout_that_still_binds_money_is_counted(firm: World) -> None:
    payout_id = await firm.awaiting(await firm.add_trader("tina"), LARGE)
    async with firm.db.transaction() as session:
        assert await operations.open_holds(session) == 0  # it is open, and may bind money
        await session.execute(update(Payout).where(Payout.id == payout_id).values(state="rejected"))
        assert await operations.open_holds(session) == 1


# daily close


async def close(firm: World) -> tuple[int, int, bool]:
    report = await OperationsActivities(firm.deps).check_daily_close(PRAGUE)
    return report.closed, report.missing, report.caught_up


async def snapshot(firm: World, name: str, day: date) -> None:
    async with firm.db.transaction() as session:
        row = {"balance_minor": INITIAL, "equity_minor": INITIAL, "floors": {}}
        session.add(DailySnapshot(account_id=f"acc_{name}", day=day, reset_at=START, **row))


async def test_a_day_is_checked_a_minute_after_its_reset_and_a_missed_one_is_reviewed(firm: World) -> None:
    await firm.add_trader("tina")
    await firm.add_trader("leo")
    first = Clock(zone="Europe/Prague", reset="00:00").day_end(date(2014, 5, 2))  # an hour after the accounts opened
    await firm.market_time(first + timedelta(seconds=59))
    assert await close(firm) == (0, 0, True)
    async with firm.db.transaction() as session:
        wakeup = await session.get_one(Wakeup, daily_close_workflow(PRAGUE.clock_group))
    assert wakeup.due_at == first + timedelta(minutes=1)
    await firm.market_time(first + timedelta(days=1, minutes=1))
    await snapshot(firm, "tina", date(2014, 5, 3))
    assert await close(firm) == (2, 1, True)
    assert await close(firm) == (0, 0, True)
    async with firm.db.transaction() as session:
        days = (await session.scalars(select(DailyClose).order_by(DailyClose.day))).all()
        review = (await session.execute(select(Review))).scalar_one()
    assert [(row.day.day, row.accounts, row.missing) for row in days] == [(2, 0, 0), (3, 2, 1)]
    assert (review.kind, review.account_id, review.detail["day"]) == ("missed_reset", "acc_leo", "2014-05-03")


async def test_an_account_that_ended_before_the_reset_needs_no_snapshot(firm: World) -> None:
    await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        await session.execute(update(Account).values(ended_at=START + timedelta(hours=20)))
    await firm.market_time(START + timedelta(days=2))
    assert await close(firm) == (2, 0, True)


async def test_many_days_are_closed_in_portions(firm: World) -> None:
    await firm.add_trader("tina")
    await firm.market_time(START + timedelta(days=20))
    assert (await close(firm))[::2] == (14, False)
    assert (await close(firm))[::2] == (6, True)
