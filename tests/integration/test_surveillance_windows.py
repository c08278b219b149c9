"""A window is cut into parts that any worker takes; together they find what one worker finds."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pytest
from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from activities.surveillance_windows import PatternFailed, SurveillanceWindowActivities
from contracts.messages import SurveillanceWindowsStart
from contracts.surveillance import WindowPart
from domain.surveillance.base import Thresholds
from domain.surveillance.policy import SurveillancePolicy
from firm import surveillance_policies
from store.models import Alert
from store.read import cases, precision
from store.read.pages import Window
from surveillance.book import Book
from surveillance.pattern import Judged, Limits, Pattern
from tests.pattern_modules import Following, FollowingThresholds, following
from tests.payout_world import START, World, a_firm
from tests.recorded_trades import happen, trades

TRADERS = ("leo", "tina", "olga", "zoe", "ines")


class Busy(Pattern[Thresholds]):
    """Names every account that traded. `seen`: the accounts of each book."""

    name = "busy"
    thresholds = Thresholds

    def __init__(self) -> None:
        super().__init__(Limits(Thresholds()))
        self.seen: list[list[str]] = []
        self.fails_at = -1

    def find(self, book: Book) -> Judged:
        rows = np.unique(book.trades.account).tolist()
        if len(self.seen) == self.fails_at:
            self.fails_at = -1
            raise ZeroDivisionError
        self.seen.append([str(book.accounts.id[row]) for row in rows])
        return Judged(tuple(self._finding(book, row) for row in rows))

    def _finding(self, book: Book, row: int):  # type: ignore[no-untyped-def]
        return self.finding(
            book,
            str(book.accounts.id[row]),
            limits=self.limits.default,
            at=int(book.trades.opened.max()),
            score=0.6,
            sentence="It traded.",
            roles=[(row, "trader")],
            blamed=[row],
            trades=np.flatnonzero(book.trades.account == row),
            evidence=[],
        )


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        for name in TRADERS:
            await world.add_trader(name)
        await happen(world, *(trades(name, 6, lag=500 * n) for n, name in enumerate(TRADERS)))
        yield world


async def keys(firm: World) -> list[str]:
    async with firm.db.transaction() as session:
        return list(await session.scalars(select(Alert.key).order_by(Alert.key)))


async def judged(activities: SurveillanceWindowActivities, part: WindowPart, *done: int) -> tuple[int, int]:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_details=list(done))
    report = await environment.run(activities.judge_window, part)
    return report.findings, report.new


async def test_the_parts_of_a_window_find_together_what_one_part_finds(firm: World) -> None:
    busy = Busy()
    activities = SurveillanceWindowActivities(firm.deps, patterns={"busy": busy}, in_a_part=2, at_once=1)
    plan = await activities.plan_window(SurveillanceWindowsStart())
    assert [(part.part, part.parts) for part in plan.parts] == [(0, 3), (1, 3), (2, 3)]
    found = [await judged(activities, part) for part in plan.parts]
    assert sum(count for count, _ in found) == len(TRADERS)
    assert sorted(each for (each,) in busy.seen) == sorted(f"acc_{name}" for name in TRADERS), "each once"
    whole = SurveillanceWindowActivities(firm.deps, patterns={"busy": Busy()})
    (part,) = (await whole.plan_window(SurveillanceWindowsStart())).parts
    assert await judged(whole, part) == (len(TRADERS), 0), "the same findings, and no case twice"
    assert await keys(firm) == sorted(f"busy/acc_{name}" for name in TRADERS)


async def test_a_part_goes_on_where_its_last_sign_of_life_was(firm: World) -> None:
    busy = Busy()
    busy.fails_at = 3
    activities = SurveillanceWindowActivities(firm.deps, patterns={"busy": busy}, at_once=1)
    (part,) = (await activities.plan_window(SurveillanceWindowsStart())).parts
    with pytest.raises(PatternFailed):
        await judged(activities, part)
    assert len(await keys(firm)) == 3
    assert await judged(activities, part, 3) == (2, 2)
    assert len(busy.seen) == len(TRADERS), "what was done is not done again"


async def test_a_window_is_due_every_six_hours_of_market_time(firm: World) -> None:
    activities = SurveillanceWindowActivities(firm.deps, patterns=following())
    first = await activities.plan_window(SurveillanceWindowsStart())
    assert [(part.pattern, part.parts) for part in first.parts] == [("following", 1)]
    assert (await activities.plan_window(SurveillanceWindowsStart(after=first.at))).parts == ()
    later = trades("leo", 1, first=20)
    for row in later:
        row.at += timedelta(hours=6)
    await happen(firm, later)
    assert (await activities.plan_window(SurveillanceWindowsStart(after=first.at))).parts != ()
    assert (first.at or START) > START


class NearThresholds(FollowingThresholds):
    near_line: ClassVar[Mapping[str, float]] = {"min_matches": 0.85}

    max_lag_seconds: int = 600
    min_matches: int = 7  # the traders of this file follow each other six times


class NearFollowing(Following):
    thresholds = NearThresholds


async def _samples(firm: World, rate: str) -> None:
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    async with firm.db.transaction() as session:
        body = SurveillancePolicy.model_validate({"samples": {"below_line": rate, "blind": "0"}})
        made = await surveillance_policies.propose(
            session, body.model_dump(mode="json"), actor=ria, reason="What do we miss?"
        )
    async with firm.db.transaction() as session:
        await surveillance_policies.decide(
            session, made.id, verdict="approve", actor=rob, reason="I read it.", key="k1"
        )


async def test_what_is_a_little_below_the_line_is_sampled_into_blind_cases_that_hold_nothing(firm: World) -> None:
    limits = Limits[FollowingThresholds](NearThresholds())
    activities = SurveillanceWindowActivities(firm.deps, patterns={"following": NearFollowing(limits)})
    (part,) = (await activities.plan_window(SurveillanceWindowsStart())).parts
    await _samples(firm, "1")
    report = await ActivityEnvironment().run(activities.judge_window, part)
    assert (report.findings, report.new) == (0, 0), "nothing reaches the line"
    assert report.sampled > 0
    again = await ActivityEnvironment().run(activities.judge_window, part)
    assert again.sampled == 0, "people look at these owners already"
    async with firm.db.transaction() as session:
        rows = (await cases.page(session, Window(limit=50))).items
        assert len(rows) == report.sampled
        assert {(row.score, row.is_sample, row.is_blind) for row in rows} == {(None, False, True)}
        view = await cases.one(session, rows[0].id)
        (counts,) = (await precision.by_pattern(session)).items
    assert not view.hold.is_on and not any(each.holds for each in view.accounts)
    assert view.thresholds_version == NearThresholds().version, "it is these thresholds that did not find it"
    assert (counts.above.undecided, counts.below.undecided) == (0, report.sampled)


async def test_nothing_below_the_line_is_looked_for_at_a_rate_of_zero(firm: World) -> None:
    limits = Limits[FollowingThresholds](NearThresholds())
    activities = SurveillanceWindowActivities(firm.deps, patterns={"following": NearFollowing(limits)})
    (part,) = (await activities.plan_window(SurveillanceWindowsStart())).parts
    await _samples(firm, "0")
    report = await ActivityEnvironment().run(activities.judge_window, part)
    assert (report.findings, report.sampled) == (0, 0)
