"""What the firm owes, what it would owe, and the nudge of a workflow whose step takes too long."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from contracts.ids import payout_workflow
from firm import funded_accounts, liability, lifecycles
from firm.funded_accounts import FundedAccount
from firm.lifecycles import Subject
from firm.payouts import situation
from store.models import AccountLive, OutboxMessage, Payout, Review
from store.read.pages import Page, Window
from tests.payout_world import MEDIUM, START, World, a_firm


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.market_time(START + timedelta(days=30))
        yield world


async def of(firm: World, **rates: Decimal) -> liability.LiabilityView:
    async with firm.db.transaction() as session:
        return await liability.liability(session, **rates)


async def test_the_estimate_is_what_each_eligible_trader_could_ask_for(firm: World) -> None:
    await firm.add_trader("tina")
    await firm.add_trader("leo", profit_minor=100_000)
    await firm.add_trader("poor", profit_minor=-5_000)
    expected = 0
    async with firm.db.transaction() as session:
        for name in ("tina", "leo"):
            current = await situation.situation(session, f"acc_{name}")
            amount = current.amount(current.most)
            expected += amount.trader + amount.refund
    (row,) = (await of(firm)).would_owe
    assert (row.accounts, row.eligible, row.all_minor) == (3, 2, expected)
    assert sum(row.blocked.values()) >= 1
    (row,) = (await of(firm, ask=Decimal("0.5"), passes=Decimal("0.8"))).would_owe
    assert (row.all_minor, row.expected_minor) == (expected, expected * 4 // 10)


async def test_each_number_of_the_estimate_has_its_accounts(firm: World) -> None:
    for name, profit in (("tina", 200_000), ("leo", 100_000), ("poor", -5_000), ("zoe", 300_000)):
        trader = await firm.add_trader(name, profit_minor=profit)
    await firm.awaiting(trader, MEDIUM)
    (row,) = (await of(firm)).would_owe

    async def listed(reason: str = "", **given: Any) -> Page[FundedAccount]:
        async with firm.db.transaction() as session:
            return await funded_accounts.page(session, Window(**given), row.product, row.version, reason)

    everyone = (await listed()).items
    assert [each.account_id for each in everyone] == ["acc_leo", "acc_poor", "acc_tina", "acc_zoe"]
    assert len(everyone) == row.accounts
    assert [each.account_id for each in (await listed("eligible")).items] == ["acc_leo", "acc_tina"]
    assert sum(each.amount_minor for each in everyone) == row.all_minor
    for code, count in row.blocked.items():
        found = (await listed(code)).items
        assert len(found) == count
        assert all(code in {reason.code for reason in each.reasons} for each in found)
    (open_one,) = (await listed("payout_open")).items
    assert (open_one.account_id, open_one.amount_minor) == ("acc_zoe", 0)
    assert (await listed("locked")).items == ()
    first = await listed("eligible", limit=1)
    second = await listed("eligible", limit=1, cursor=first.next_cursor)
    back = await listed("eligible", limit=1, cursor=second.previous_cursor)
    assert [page.items[0].account_id for page in (first, second, back)] == ["acc_leo", "acc_tina", "acc_leo"]
    assert (first.previous_cursor, second.next_cursor, back.previous_cursor) == (None, None, None)
    async with firm.db.transaction() as session:
        assert (await funded_accounts.page(session, Window(), row.product, row.version + 1)).items == ()
        assert (await funded_accounts.page(session, Window(), "another")).items == ()


async def test_what_is_owed_goes_from_reserved_to_transit_and_leaves_the_estimate(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    assert (await of(firm)).owed == ()
    payout_id = await firm.awaiting(trader, MEDIUM)
    found = await of(firm)
    payout = await firm.payout(payout_id)
    sent = payout.trader_minor + payout.refund_minor
    assert [(row.stage, row.payouts, row.amount_minor) for row in found.owed] == [("reserved", 1, sent)]
    assert (found.would_owe[0].eligible, found.would_owe[0].blocked) == (0, {"payout_open": 1})
    await firm.decide(payout_id, fay)
    assert [row.stage for row in (await of(firm)).owed] == ["approved"]


async def test_a_step_that_takes_too_long_is_nudged_once_and_then_shown_to_people(firm: World) -> None:
    subject = Subject("payout", await firm.request(await firm.add_trader("tina"), MEDIUM))
    for minutes, nudges, reviews in ((5, 0, 0), (20, 1, 0), (40, 1, 1)):
        async with firm.db.transaction() as session:
            age = datetime.now(UTC) - timedelta(minutes=minutes)
            await session.execute(update(Payout).values(recorded_at=age))
        for _ in range(2):
            async with firm.db.transaction() as session:
                await lifecycles.watch(session, [subject])
        async with firm.db.transaction() as session:
            sent = await session.scalars(
                select(OutboxMessage.name).where(
                    OutboxMessage.target == payout_workflow(subject.id), OutboxMessage.key.startswith("nudge/")
                )
            )
            assert sent.all() == ["market_time_reached"] * nudges
            open_reviews = select(Review.kind).where(Review.status == "open")
            assert (await session.scalars(open_reviews)).all() == ["subject_waits"] * reviews
    async with firm.db.transaction() as session:
        await session.execute(update(Payout).values(recorded_at=datetime.now(UTC)))
        await lifecycles.watch(session, [subject])
    async with firm.db.transaction() as session:
        assert (await session.scalars(select(Review.status))).all() == ["closed"]


async def test_an_account_before_its_first_checkpoint_is_counted_and_can_ask_for_nothing(firm: World) -> None:
    await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        await session.execute(delete(AccountLive).where(AccountLive.account_id == "acc_tina"))
    (row,) = (await of(firm)).would_owe
    assert (row.accounts, row.eligible, row.blocked) == (1, 0, {"nothing_available": 1})
