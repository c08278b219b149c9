"""No payout is sent before surveillance has judged every trade up to its request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.payout_readings import PayoutReadings
from activities.trading_memory import TradingMemory
from domain.errors import Unavailable
from firm.payouts.risk import risk_facts
from store.models import Alert, CorrectionRow, DealRow, Payout, PayoutReading
from surveillance.book import Book
from surveillance.pattern import Judged, Limits, Pattern
from tests.pattern_modules import Following, FollowingThresholds, following
from tests.payout_world import MEDIUM, START, World, a_firm, ref
from tests.recorded_trades import happen, trades


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def unread(firm: World, payout_id: str) -> bool:
    async with firm.db.transaction() as session:
        return (await risk_facts(session, await session.get_one(Payout, payout_id))).unread


async def requested_after_trading(firm: World, *histories: object) -> str:
    """A payout of tina that waits for approval, before its trades came onto the record."""
    payout_id = await firm.awaiting(await firm.add_trader("tina"), MEDIUM)
    async with firm.db.transaction() as session:
        (await session.get_one(Payout, payout_id)).requested_at = START + timedelta(days=1)
    return payout_id


async def test_a_payout_waits_until_its_trades_were_judged_and_is_held_by_what_is_found(firm: World) -> None:
    await firm.add_trader("leo")
    payout_id = await requested_after_trading(firm)
    assert not await unread(firm, payout_id), "its account has no trade yet"
    await happen(firm, trades("leo", 6), trades("tina", 6, lag=12, lots="0.50"))
    assert await unread(firm, payout_id)
    firm.activities._readings = PayoutReadings(firm.db, following())
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    assert not await unread(firm, payout_id)
    async with firm.db.transaction() as session:
        alert = (await session.scalars(select(Alert))).one()
        reading = await session.get_one(PayoutReading, payout_id)
        payout = await session.get_one(Payout, payout_id)
    assert alert.key == "following/acc_leo/acc_tina"
    assert reading.patterns == {"following": f"1/{FollowingThresholds().version}"}
    assert (reading.read_to, reading.cannot_judge) == (24, {})
    assert (payout.reason or "").startswith("case "), "the case holds it, not the reading"


async def test_a_deal_that_is_told_late_is_judged_before_the_payout_goes_on(firm: World) -> None:
    payout_id = await requested_after_trading(firm)
    await happen(firm, trades("tina", 2))
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"
    await happen(firm, trades("tina", 1, first=2))
    assert await unread(firm, payout_id)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"
    assert not await unread(firm, payout_id)
    late = trades("tina", 1, first=3)
    for row in late:
        row.at += timedelta(days=2)
    await happen(firm, late)
    assert not await unread(firm, payout_id), "what was traded after the request is no part of it"


class Broken(Following):
    name = "broken"

    def find(self, book: Book) -> Judged:
        raise ZeroDivisionError


def broken(firm: World) -> PayoutReadings:
    return PayoutReadings(firm.db, {"broken": Broken(Limits(FollowingThresholds()))})


async def test_a_pattern_that_fails_holds_the_payout_and_does_not_pass_it(firm: World) -> None:
    payout_id = await requested_after_trading(firm)
    await happen(firm, trades("tina", 2))
    firm.activities._readings = broken(firm)
    with pytest.raises(Unavailable, match="has not judged all trades"):  # so the step is repeated until it works
        await firm.activities.check_risk(ref(payout_id))
    payout = await firm.payout(payout_id)
    assert payout.state == "in_review"
    assert payout.reason == "surveillance has not judged all trades up to the request yet"
    firm.activities._readings = PayoutReadings(firm.db, following())
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def test_an_approval_reads_what_was_not_read_and_is_not_refused_for_it(firm: World) -> None:
    payout_id, fay = await requested_after_trading(firm), await firm.add_user("fay", "finance")
    await happen(firm, trades("tina", 2))
    firm.activities._readings = broken(firm)
    with pytest.raises(Unavailable):
        await firm.activities.check_risk(ref(payout_id))
    with pytest.raises(ApplicationError, match="Surveillance has not judged all trades up to the request yet"):
        await firm.decide(payout_id, fay)
    firm.activities._readings = PayoutReadings(firm.db, following())
    assert await firm.decide(payout_id, fay) == "approved"


async def test_an_approved_payout_that_a_late_deal_stops_is_read_and_goes_on(firm: World) -> None:
    payout_id, fay = await requested_after_trading(firm), await firm.add_user("fay", "finance")
    await happen(firm, trades("tina", 2))
    firm.activities._readings = PayoutReadings(firm.db, following())
    await firm.activities.check_risk(ref(payout_id))
    assert await firm.decide(payout_id, fay) == "approved"

    class Late(PayoutReadings):
        """A deal comes onto the record between the reading and the send."""

        async def ensure(self, payout_id: str) -> None:
            await super().ensure(payout_id)
            if not late:
                late.extend(trades("tina", 1, first=2))
                await happen(firm, late)

    late: list[DealRow] = []
    firm.activities._readings = Late(firm.db, following())
    assert (await firm.activities.send_money(ref(payout_id))).state == "approved", "its approval still counts"
    assert firm.provider.transfers == {}
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"


class Slow(Following):
    """Looks until it is let go; counts how often it began."""

    def __init__(self) -> None:
        super().__init__(Limits(FollowingThresholds()))
        self.began: list[int] = []
        self.go = Event()

    def find(self, book: Book) -> Judged:
        self.began.append(len(book.trades))
        self.go.wait(60)
        return super().find(book)


async def test_a_reading_goes_on_when_an_attempt_ends_and_the_money_is_held_meanwhile(firm: World) -> None:
    tina = await firm.add_trader("tina")
    await happen(firm, trades("tina", 2))
    payout_id, slow = await firm.request(tina, MEDIUM), Slow()
    readings = firm.activities._readings = PayoutReadings(firm.db, {"following": slow})
    attempt = asyncio.create_task(firm.activities.hold_and_judge(ref(payout_id)))
    while not slow.began:
        await asyncio.sleep(0.01)
    assert (await firm.payout(payout_id)).state == "reserved", "nobody can lose the money while the trades are read"
    attempt.cancel()
    with suppress(asyncio.CancelledError):
        await attempt
    (reading,) = readings._running.values()
    again = asyncio.create_task(firm.activities.hold_and_judge(ref(payout_id)))
    await asyncio.sleep(0)
    slow.go.set()
    assert (await again).state == "awaiting_approval"
    assert reading.done() and not readings._running
    assert slow.began == [2, 2], "once for the book of the firm, once for the payout"


async def test_the_stream_goes_on_while_the_book_of_the_firm_is_made_for_a_payout(firm: World) -> None:
    payout_id, slow = await requested_after_trading(firm), Slow()
    await happen(firm, trades("tina", 2))
    firm.activities._readings = PayoutReadings(firm.db, {"following": slow})
    checked = asyncio.create_task(firm.activities.check_risk(ref(payout_id)))
    while not slow.began:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60), TradingMemory.of(firm.db).up_to_date() as memory:
        assert memory.accounts_in_firm == 0, "the book is being made"
    slow.go.set()
    assert (await checked).state == "awaiting_approval"


async def test_a_new_account_of_a_stranger_does_not_make_the_book_of_the_firm_old(firm: World) -> None:
    payout_id = await requested_after_trading(firm)
    await happen(firm, trades("tina", 500))
    firm.activities._readings = PayoutReadings(firm.db, following())
    await firm.activities.check_risk(ref(payout_id))
    memory = TradingMemory.of(firm.db).memory
    book = memory.firm()
    await firm.add_trader("olga")
    await happen(firm, trades("olga", 1, first=400), trades("tina", 1, first=3, lag=300)[:1])
    await firm.activities.check_risk(ref(payout_id))
    assert memory.firm() is book
    assert len(memory.facts) > memory.accounts_in_firm
    await firm.add_trader("leo")
    await happen(firm, trades("leo", 3, lag=2)[:3])
    await happen(firm, trades("tina", 1, first=4, lag=300)[:1])
    await firm.activities.check_risk(ref(payout_id))
    assert memory.deals_since_firm == 0
    assert memory.firm() is not book, "leo trades within seconds of tina: the book must know leo"


async def test_trades_older_than_the_memory_are_judged_for_a_payout_that_comes_from_them(firm: World) -> None:
    payout_id = await requested_after_trading(firm)
    async with firm.db.transaction() as session:
        (await session.get_one(Payout, payout_id)).requested_at = START + timedelta(days=60)
    recent = trades("tina", 1, first=7)
    for row in recent:
        row.at += timedelta(days=50)
    await happen(firm, trades("tina", 4), recent)
    seen: list[int] = []

    class Counting(Pattern[FollowingThresholds]):
        name = "counting"
        thresholds = FollowingThresholds

        def find(self, book: Book) -> Judged:
            seen.append(len(book.trades))
            return Judged()

    firm.activities._readings = PayoutReadings(firm.db, {"counting": Counting(Limits(FollowingThresholds()))})
    await firm.activities.check_risk(ref(payout_id))
    assert seen == [1, 1, 5], "of the firm, of the last 30 days, and since the account was opened"


async def test_older_trades_that_the_venue_cancelled_are_not_judged(firm: World) -> None:
    await firm.add_trader("tina")
    await firm.add_trader("leo")
    recent = trades("tina", 1, first=7)
    for row in recent:
        row.at += timedelta(days=50)
    await happen(firm, trades("tina", 4), trades("leo", 1, first=9), recent)
    body = {"bid": None, "ask": None, "change_minor": None, "reason": ""}
    async with firm.db.transaction() as session:
        session.add(CorrectionRow(feed="fake", seq=1001, corrects_seq=1, at=START, body=body))
        session.add(CorrectionRow(feed="fake", seq=1002, corrects_seq=2, at=START, body=body | {"change_minor": -700}))
    older = await TradingMemory.of(firm.db).older("trd_tina", START)
    assert older is not None
    assert older.firm().trades.profit_minor.tolist() == [0, -700, 0, 0], "of 5 trades one never happened"
