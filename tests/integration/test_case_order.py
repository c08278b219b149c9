"""Whoever opens several cases in one transaction opens them in one order, so that two never wait for each other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Literal

import pytest
from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from activities.payout_readings import PayoutReadings
from activities.surveillance import SurveillanceLoop
from activities.surveillance_windows import SurveillanceWindowActivities
from activities.trading_memory import TradingMemory
from contracts.surveillance import WindowPart
from domain.surveillance.findings import Finding
from firm import case_opening
from store import surveillance
from store.models import Alert, AuditEntry, Payout
from surveillance.book import Book
from surveillance.pattern import Judged, Limits
from tests.pattern_modules import Following, FollowingThresholds
from tests.payout_world import MEDIUM, START, World, a_firm, ref
from tests.recorded_trades import happen, trades


class Backwards(Following):
    """Tells what it finds in the order of no key."""

    def find(self, book: Book) -> Judged:
        return Judged(tuple(sorted(super().find(book).findings, key=lambda each: each.key, reverse=True)))


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    """Tina and Olga copy Leo, and Olga Tina."""
    async with a_firm(database_url) as world:
        for name in ("leo", "tina", "olga"):
            await world.add_trader(name)
        await happen(world, trades("leo", 6), trades("tina", 6, lag=12), trades("olga", 6, lag=24))
        yield world


async def opened(firm: World) -> Sequence[str]:
    """The keys of the alerts in the order in which they came to a case."""
    async with firm.db.transaction() as session:
        entries = select(AuditEntry.evidence["alert_id"].astext).where(AuditEntry.subject_kind == "case")
        ids = (await session.scalars(entries.order_by(AuditEntry.seq))).all()
        key_of = {row.id: row.key for row in await session.scalars(select(Alert))}
    return [key_of[each] for each in ids]


@pytest.mark.parametrize("caller", ["stream", "window", "payout"])
async def test_all_who_open_cases_do_it_in_the_order_of_their_keys(
    firm: World, caller: Literal["stream", "window", "payout"]
) -> None:
    patterns = {"following": Backwards(Limits(FollowingThresholds()))}
    if caller == "stream":
        loop = SurveillanceLoop(firm.db, patterns=patterns)
        while await loop.step():
            pass
    elif caller == "window":
        windows = SurveillanceWindowActivities(firm.deps, patterns=patterns)
        await ActivityEnvironment().run(windows.judge_window, WindowPart(pattern="following", part=0, parts=1))
    else:
        payout_id = await firm.awaiting(await firm.add_trader("ines"), MEDIUM)
        async with firm.db.transaction() as session:
            payout = await session.get_one(Payout, payout_id)
            payout.requested_at = START + timedelta(days=1)
        await happen(firm, trades("ines", 6, lag=36))
        firm.activities._readings = PayoutReadings(firm.db, patterns)
        await firm.activities.check_risk(ref(payout_id))
    found = await opened(firm)
    assert len(found) >= 3
    assert found == sorted(found)


async def test_two_transactions_with_the_same_findings_wait_and_do_not_deadlock(firm: World) -> None:
    looked = Backwards(Limits(FollowingThresholds()))
    async with TradingMemory.of(firm.db).up_to_date() as memory:
        findings = looked.find(memory.firm(anew=True)).findings
    others = [each.model_copy(update={"detector": "zz", "key": f"zz/{each.key}"}) for each in findings]

    async def open_all(some: Sequence[Finding]) -> int:
        async with firm.db.transaction() as session:
            made = [await case_opening.open_case(session, each) for each in case_opening.in_order(some)]
        return sum(each is not None for each in made)

    both = [*findings, *others]
    news = await asyncio.gather(open_all(both), open_all(both[::-1]), open_all(both))
    assert sorted(news) == [0, 0, len(both)], "each is told once"


async def test_corrected_trades_are_looked_at_again_when_what_was_found_is_not_stored(
    firm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = SurveillanceLoop(firm.db, patterns={"following": Backwards(Limits(FollowingThresholds()))})
    trading = TradingMemory.of(firm.db)
    trading.corrected = {1}

    async def fails(*_: object) -> None:
        raise ConnectionError("the database is away")

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(surveillance, "lock_cursor", fails)
        await loop.step()
    assert trading.corrected == {1}
    again = SurveillanceLoop(firm.db, patterns={"following": Backwards(Limits(FollowingThresholds()))})
    while await again.step():
        pass
    assert trading.corrected == set()
    assert len(await opened(firm)) == 3
