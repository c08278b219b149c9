"""Inactivity and flat-by: rules that time alone can break."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.clocks import Clock
from domain.errors import BadInput
from domain.rules.base import RuleBase
from domain.rules.conduct.flat_by import FlatBy
from domain.rules.conduct.inactivity import Inactivity
from domain.rules.events import Event
from tests.unit.conduct_story import CONTEXT, at, clocked, closed, marked, opened, ordered, release, tell


def silence(**terms: Any) -> Inactivity:
    return Inactivity.model_validate({"type": "inactivity", **({"calendar_days": 30} | terms)})


def flat(**terms: Any) -> FlatBy:
    return FlatBy.model_validate({"type": "flat_by", **terms})


FRIDAY = {"weekday": "friday", "time": "16:00", "zone": "America/New_York"}


@pytest.mark.parametrize(
    ("events", "offences"),
    [
        ([opened("2025-09-02 10:00"), closed("2025-10-20 10:00"), clocked("2025-11-19 10:00")], 0),
        ([opened("2025-09-02 10:00"), closed("2025-10-20 10:00"), clocked("2025-11-19 10:00:00.000001")], 1),
        # never traded: since the assignment
        ([marked("2025-06-01 00:00"), clocked("2025-07-01 00:00"), clocked("2025-07-01 00:00:01")], 1),
        # a pending order is no trade
        ([marked("2025-06-01 00:00"), ordered("2025-06-20 00:00"), clocked("2025-07-02 00:00")], 1),
        # coming back too late is too late, and told once
        ([marked("2025-06-01 00:00"), opened("2025-07-02 00:00"), clocked("2025-09-02 00:00")], 1),
        ([marked("2025-06-01 00:00"), clocked("2025-07-02 00:00"), clocked("2025-07-03 00:00")], 1),
        # a part closed leaves the rest open
        ([opened("2025-06-01 00:00"), closed("2025-06-02 00:00", left="0.5"), clocked("2025-09-01 00:00")], 0),
        # the source counts what is open by itself
        ([marked("2025-06-01 00:00"), clocked("2025-06-30 00:00", 1), clocked("2025-07-20 00:00", 0)], 0),
        # a release that is known ahead is no life of the account
        ([release("2025-09-01 00:00", known="2025-01-01"), marked("2025-06-01 00:00"), clocked("2025-06-20 00:00")], 0),
        # silent, back, silent again
        (
            [
                marked("2025-01-01 00:00"), closed("2025-02-15 00:00"),
                clocked("2025-03-01 00:00"), clocked("2025-04-01 00:00"),
            ],
            2,
        ),
    ],
)  # fmt: skip
def test_inactivity(events: list[Event], offences: int) -> None:
    assert len(tell(silence(), *events)[1]) == offences


def test_inactivity_names_its_deadline_and_suspends_it() -> None:
    rule = silence()
    state, _ = tell(rule, opened("2025-10-19 10:00"), closed("2025-10-20 10:00"))
    assert rule.deadline(state, CONTEXT) == at("2025-11-19 10:00")
    assert rule.due(state, CONTEXT) == at("2025-11-19 10:00:00.000001")
    state, _ = rule.step(state, opened("2025-10-21 10:00"), CONTEXT)
    assert rule.due(state, CONTEXT) is None


def test_30_calendar_days_are_30_times_24_hours_over_a_clock_change() -> None:
    rule = silence()
    state, _ = tell(rule, closed("2025-10-20T10:00:00-04:00"))
    assert rule.deadline(state, CONTEXT) == at("2025-11-19T09:00:00-05:00")


@pytest.mark.parametrize(
    ("terms", "events", "offences"),
    [
        ({"pending_orders_count": True}, [marked("2025-06-01"), ordered("2025-06-20"), clocked("2025-07-02")], 0),
        ({"open_position_suspends": False}, [marked("2025-06-01"), opened("2025-06-02"), clocked("2025-07-02")], 1),
        (
            {"open_position_suspends": False, "counter_starts": "last_trade"},
            [marked("2025-06-01"), opened("2025-06-02"), clocked("2025-07-02")],
            0,
        ),
    ],
)
def test_inactivity_axes(terms: dict[str, Any], events: list[Event], offences: int) -> None:
    assert len(tell(silence(**terms), *events)[1]) == offences


@pytest.mark.parametrize(
    ("events", "offences"),
    [
        ([opened("2025-06-01"), closed("2025-06-20"), clocked("2025-07-01")], 0),
        # a close is no order
        ([opened("2025-06-01"), closed("2025-06-20"), clocked("2025-07-01 00:00:01")], 1),
        ([opened("2025-06-01"), closed("2025-06-20"), ordered("2025-06-25"), clocked("2025-07-25")], 0),
        ([opened("2025-06-01"), closed("2025-06-20"), ordered("2025-06-25"), clocked("2025-07-25 00:00:01")], 1),
        # nothing is found while a position is open, but what has passed has passed
        ([opened("2025-06-01"), clocked("2025-08-01"), closed("2025-08-02")], 0),
        ([opened("2025-06-01"), clocked("2025-08-01"), closed("2025-08-02"), clocked("2025-08-02 00:00:01")], 1),
        ([opened("2025-06-01"), opened("2025-07-20", "b"), closed("2025-08-01"), closed("2025-08-02", "b"),
          clocked("2025-08-19")], 0),
    ],
)  # fmt: skip
def test_inactivity_since_the_last_order(events: list[Event], offences: int) -> None:
    assert len(tell(silence(counter_starts="last_order_placed"), *events)[1]) == offences


def test_a_deadline_that_passed_while_a_position_was_open_is_due_when_it_is_closed() -> None:
    """At that very instant: whatever else is told of it finds the offence too."""
    rule = silence(counter_starts="last_order_placed")
    state, _ = tell(rule, opened("2025-06-01"), closed("2025-08-02"))
    assert rule.due(state, CONTEXT) == at("2025-08-02")


def test_trading_days_skip_weekends_and_holidays() -> None:
    by_week = silence(calendar_days=None, trading_days=3)
    state, _ = tell(by_week, closed("2025-11-26 15:00"))
    # Wednesday's trading day; then Thursday, Friday, Monday, which ends at 17:00 New York
    assert by_week.deadline(state, CONTEXT) == at("2025-12-01T17:00:00-05:00")
    by_venue = silence(calendar_days=None, trading_days=3, calendar="XNYS")
    assert by_venue.deadline(state, VENUE) == at("2025-12-02T17:00:00-05:00")
    assert len(tell(by_venue, closed("2025-11-26 15:00"), clocked("2025-12-02T17:00:01-05:00"), context=VENUE)[1]) == 1


def test_a_calendar_that_is_unknown_or_has_ended_is_said() -> None:
    rule = silence(calendar_days=None, trading_days=3, calendar="XLON")
    with pytest.raises(BadInput, match="XLON"):
        tell(rule, closed("2025-11-26 15:00"), clocked("2025-11-27 15:00"), context=VENUE)
    with pytest.raises(BadInput, match="ends before 3 sessions after 2030-01-01"):
        tell(rule.model_copy(update={"calendar": "XNYS"}), closed("2030-01-01"), clocked("2030-02-01"), context=VENUE)


@given(days=st.integers(1, 400), late=st.integers(-10_000, 10_000))
def test_silence_is_broken_strictly_after_its_deadline(days: int, late: int) -> None:
    rule, since = silence(calendar_days=days), at("2025-06-01 12:00")
    when = since + timedelta(days=days, seconds=late)
    _, found = tell(rule, closed("2025-06-01 12:00"), replace(clocked("2025-06-01"), at=when))
    assert bool(found) is (late > 0 and when > since)


class NewYork:
    """The week of Thanksgiving 2025: closed on Thursday, an early close on Friday."""

    _CLOSES: Mapping[date, str] = {
        date(2025, 11, 24): "16:00",
        date(2025, 11, 25): "16:00",
        date(2025, 11, 26): "16:00",
        date(2025, 11, 28): "13:00",
        date(2025, 12, 1): "16:00",
        date(2025, 12, 2): "16:00",
    }

    def close_on(self, day: date) -> datetime | None:
        close = self._CLOSES.get(day)
        return None if close is None else at(f"{day}T{close}:00-05:00")

    def next_open(self, after: datetime) -> datetime:
        opens = (at(f"{day}T09:30:00-05:00") for day in self._CLOSES)
        return next((one for one in opens if one > after), at("2025-12-03T09:30:00-05:00"))

    def closes_early(self, day: date) -> bool:
        return False


VENUE = replace(CONTEXT, calendars={"XNYS": NewYork()})


@pytest.mark.parametrize(
    ("events", "positions"),
    [
        ([clocked("2025-06-06T15:59:59-04:00", 2)], []),
        ([clocked("2025-06-06T16:00:00-04:00", 2)], [2]),
        ([clocked("2025-06-06T16:00:00-04:00", 0)], []),
        ([clocked("2025-06-06T23:59:59-04:00", 1)], [1]),
        # told once for each week
        ([clocked("2025-06-06T16:00:00-04:00", 2), clocked("2025-06-06T17:00:00-04:00", 2)], [2]),
        ([clocked("2025-06-06T16:00:00-04:00", 2), clocked("2025-06-13T17:00:00-04:00", 1)], [2, 1]),
        ([clocked("2025-06-05T18:00:00-04:00", 3), clocked("2025-06-09T10:00:00-04:00", 3)], []),
        # closing at the very instant is in time, a second later is not
        ([opened("2025-06-06T10:00:00-04:00"), closed("2025-06-06T16:00:00-04:00")], []),
        ([opened("2025-06-06T10:00:00-04:00"), closed("2025-06-06T16:00:01-04:00")], [1]),
        # what a clock event states counts, not what the trades leave open
        ([opened("2025-06-06T10:00:00-04:00"), clocked("2025-06-06T16:30:00-04:00", 3)], [3]),
        ([opened("2025-06-06T10:00:00-04:00"), clocked("2025-06-06T16:30:00-04:00", 0)], []),
        ([opened("2025-06-06T10:00:00-04:00"), clocked("2025-06-06T16:30:00-04:00", 1)], [1]),
        # a part closed leaves the rest open
        ([opened("2025-06-06T10:00:00-04:00"), closed("2025-06-06T15:00:00-04:00", left="0.1"),
          clocked("2025-06-06T16:00:00-04:00")], [1]),
        # nothing was said between Thursday and Monday: it was held over the weekend all the same
        ([opened("2025-06-05T10:00:00-04:00"), marked("2025-06-09T10:00:00-04:00")], [1]),
        ([opened("2025-06-05T10:00:00-04:00"), marked("2025-06-16T10:00:00-04:00")], [1, 1]),
        # opening when one should be flat
        ([opened("2025-06-06T16:00:00-04:00")], [1]),
        ([opened("2025-06-06T16:30:00-04:00"), clocked("2025-06-06T17:00:00-04:00")], [1]),
        ([opened("2025-06-06T10:00:00-04:00"), opened("2025-06-06T16:30:00-04:00", "b")], [1, 1]),
        ([opened("2025-06-07T00:00:00-04:00")], []),
        # New York's clocks changed on 9 March and on 2 November, so 16:00 is another instant
        ([clocked("2025-03-07T20:59:59+00:00", 1)], []),
        ([clocked("2025-03-07T21:00:00+00:00", 1)], [1]),
        ([clocked("2025-03-14T20:00:00+00:00", 1)], [1]),
        ([clocked("2025-11-07T20:00:00+00:00", 1)], []),
    ],
)  # fmt: skip
def test_flat_by_friday_afternoon(events: list[Event], positions: list[int]) -> None:
    assert [found.figures["positions"] for found in tell(flat(**FRIDAY), *events)[1]] == positions


def test_flat_by_every_day_until_the_session_reopens() -> None:
    rule = flat(time="15:10", zone="America/Chicago", reopens="17:00")
    day: list[Event] = [opened("2025-06-02T15:10:00-05:00"), closed("2025-06-02T15:11:00-05:00")]
    assert len(tell(rule, *day)[1]) == 1
    assert not tell(rule, opened("2025-06-02T17:00:00-05:00"), closed("2025-06-03T15:10:00-05:00"))[1]
    state, _ = tell(rule, opened("2025-06-02T17:00:00-05:00"))
    assert rule.due(state, CONTEXT) == at("2025-06-03T15:10:00.000001-05:00")


@pytest.mark.parametrize(
    ("terms", "held_from", "due"),
    [
        ({}, "2025-11-25T10:00:00-05:00", "2025-11-25T16:00:00-05:00"),
        ({"before_close_minutes": 10}, "2025-11-25T10:00:00-05:00", "2025-11-25T15:50:00-05:00"),
        # the early close
        ({"before_close_minutes": 10}, "2025-11-28T10:00:00-05:00", "2025-11-28T12:50:00-05:00"),
        # a night has 17.5 hours, the holiday 41.5
        ({"break_longer_than_hours": "17.5"}, "2025-11-24T10:00:00-05:00", "2025-11-26T16:00:00-05:00"),
        ({"break_longer_than_hours": "41.5"}, "2025-11-24T10:00:00-05:00", "2025-11-28T13:00:00-05:00"),
    ],
)
def test_flat_by_a_venues_close(terms: dict[str, Any], held_from: str, due: str) -> None:
    rule = flat(calendar="XNYS", **terms)
    state, found = tell(rule, opened(held_from), context=VENUE)
    assert not found
    assert rule.due(state, VENUE) == at(due) + timedelta(microseconds=1)
    _, offences = rule.step(state, replace(clocked(held_from), at=at(due)), VENUE)
    assert [(one.figures["flat_by"], one.position_ids) for one in offences] == [(at(due), ("a",))]


class AroundTheClock:
    """Each day's session opens when the last one closes, 17:00 in Chicago; the week ends on Friday."""

    _CLOCK = Clock(zone="America/Chicago", reset="17:00")

    def close_on(self, day: date) -> datetime | None:
        return self._CLOCK.reset_on(day) if day.weekday() < 5 else None

    def next_open(self, after: datetime) -> datetime:
        opens = self._CLOCK.next_reset(after)
        weekend = {4: 2, 5: 1}.get(opens.weekday(), 0)
        return self._CLOCK.reset_on(opens.date() + timedelta(weekend))

    def closes_early(self, day: date) -> bool:
        return False


def test_a_venue_without_nightly_breaks_is_left_for_the_weekend_only() -> None:
    context = replace(CONTEXT, calendars={"FUT": AroundTheClock()})
    rule = flat(calendar="FUT", break_longer_than_hours=2, before_close_minutes=50)
    state, found = tell(rule, opened("2025-06-02T18:00:00-05:00"), context=context)
    assert not found
    assert rule.due(state, context) == at("2025-06-06T16:10:00.000001-05:00")
    _, found = tell(rule, opened("2025-06-08T16:59:00-05:00"), context=context)
    assert [one.figures["until"] for one in found] == [at("2025-06-08T17:00:00-05:00")]


def test_on_a_holiday_the_long_break_still_forbids_opening() -> None:
    rule = flat(calendar="XNYS", break_longer_than_hours=20)
    assert len(tell(rule, opened("2025-11-27T10:00:00-05:00"), context=VENUE)[1]) == 1
    assert not tell(rule, opened("2025-11-25T18:00:00-05:00"), context=VENUE)[1]


def test_nothing_is_due_when_nothing_is_open() -> None:
    rule = flat(**FRIDAY)
    state, _ = tell(rule, opened("2025-06-05 10:00"))
    assert rule.due(state, CONTEXT) == at("2025-06-06T16:00:00.000001-04:00")
    state, _ = tell(rule, opened("2025-06-05 10:00"), closed("2025-06-05 11:00"))
    assert rule.due(state, CONTEXT) is None


@pytest.mark.parametrize(
    ("events", "positions"),
    [
        # Friday 16:00 until Sunday 18:00, longer than 24 hours
        ([opened("2025-06-07T12:00:00-04:00")], [1]),
        ([opened("2025-06-08T17:59:59-04:00")], [1]),
        ([opened("2025-06-08T18:00:00-04:00")], []),
        ([opened("2025-06-06T10:00:00-04:00"), marked("2025-06-08T20:00:00-04:00")], [1]),
        ([clocked("2025-06-07T12:00:00-04:00", 2), clocked("2025-06-08T12:00:00-04:00", 2)], [2]),
        # a position that was found is not found again when it is added to
        ([opened("2025-06-06T17:00:00-04:00"), opened("2025-06-07T12:00:00-04:00", adds=True)], [1]),
        ([opened("2025-06-06T10:00:00-04:00"), opened("2025-06-07T12:00:00-04:00", adds=True)], [1]),
        # the clocks change in the night to Sunday 9 March, and back on 2 November
        ([opened("2025-03-09T21:59:59+00:00")], [1]),
        ([opened("2025-03-09T22:00:00+00:00")], []),
        ([opened("2025-11-02T22:59:59+00:00")], [1]),
        ([opened("2025-11-02T23:00:00+00:00")], []),
    ],
)
def test_flat_by_over_a_weekend_that_ends_on_sunday(events: list[Event], positions: list[int]) -> None:
    rule = flat(**FRIDAY, reopens="18:00", reopens_weekday="sunday")
    assert [found.figures["positions"] for found in tell(rule, *events)[1]] == positions


def test_flat_by_reopens_a_week_later_at_most() -> None:
    rule = flat(**FRIDAY, reopens="15:00", reopens_weekday="friday")
    assert tell(rule, opened("2025-06-13T14:59:59-04:00"))[1][0].figures["until"] == at("2025-06-13T15:00:00-04:00")
    assert not tell(rule, opened("2025-06-13T15:00:00-04:00"))[1]


def test_a_break_that_comes_once_a_year_is_looked_for_far_ahead() -> None:
    class December(NewYork):
        def close_on(self, day: date) -> datetime | None:
            return at(f"{day}T16:00:00-05:00")

        def next_open(self, after: datetime) -> datetime:
            return after + timedelta(hours=100 if (after.month, after.day) == (12, 24) else 17)

    context = replace(CONTEXT, calendars={"XNYS": December()})
    rule = flat(calendar="XNYS", break_longer_than_hours=90)
    state, _ = tell(rule, opened("2025-02-03 10:00"), context=context)
    assert rule.due(state, context) == at("2025-12-24T16:00:00.000001-05:00")


def test_a_calendar_that_ends_has_no_window_after_its_last_session() -> None:
    class Ending(NewYork):
        def next_open(self, after: datetime) -> datetime:
            raise LookupError

    context = replace(CONTEXT, calendars={"XNYS": Ending()})
    state, found = tell(flat(calendar="XNYS"), opened("2025-12-02 10:00"), marked("2025-12-05"), context=context)
    assert not found
    assert flat(calendar="XNYS").due(state, context) is None


def test_an_event_that_is_not_near_a_deadline_changes_nothing() -> None:
    rule = flat(**FRIDAY)
    state, _ = tell(rule, *(opened("2025-06-02 10:00", str(number)) for number in range(100)))
    assert rule.step(state, marked("2025-06-03 10:00"), CONTEXT)[0] is state


@given(
    start=st.datetimes(datetime(2025, 1, 1), datetime(2025, 12, 31)),
    minutes=st.lists(st.integers(1, 3_000), min_size=1, max_size=30),
)
def test_marks_in_between_never_change_what_is_found(start: datetime, minutes: list[int]) -> None:
    """However often an account is looked at, the same weekends are found as with no look at all."""
    rule, clock = flat(**FRIDAY), Clock(zone="America/New_York", reset="16:00")
    begin = at(str(start))
    looks = [begin + timedelta(minutes=sum(minutes[: n + 1])) for n in range(len(minutes))]
    first = replace(opened("2025-01-01"), at=begin)
    events: list[Event] = [replace(marked("2025-01-01"), at=look) for look in looks]
    found = [one.figures["flat_by"] for one in tell(rule, first, *events)[1]]
    days = (begin.date() + timedelta(n) for n in range(-1, 70))
    fridays = [clock.reset_on(day) for day in days if day.weekday() == 4]
    at_opening = [f for f in fridays if f <= begin < Clock(zone="America/New_York", reset="00:00").next_reset(f)]
    assert found == at_opening + [f for f in fridays if begin < f <= looks[-1]]


@pytest.mark.parametrize(
    ("rule", "terms", "field"),
    [
        ("inactivity", {}, "calendar_days, trading_days"),
        ("inactivity", {"calendar_days": 3, "trading_days": 3}, "calendar_days, trading_days"),
        ("inactivity", {"calendar_days": 3, "calendar": "XNYS"}, "calendar"),
        ("flat_by", {}, "time, calendar"),
        ("flat_by", {**FRIDAY, "calendar": "XNYS"}, "time, calendar"),
        ("flat_by", {"time": "16:00"}, "zone"),
        ("flat_by", {**FRIDAY, "zone": "Mars/Olympus"}, "unknown time zone"),
        ("flat_by", {"calendar": "XNYS", "weekday": "friday"}, "weekday, reopens"),
        ("flat_by", {**FRIDAY, "before_close_minutes": 5}, "before_close_minutes"),
        ("flat_by", {**FRIDAY, "reopens_weekday": "sunday"}, "reopens_weekday"),
        (
            "flat_by",
            {"time": "16:00", "zone": "UTC", "reopens": "18:00", "reopens_weekday": "sunday"},
            "reopens_weekday",
        ),
    ],
)
def test_contradictions_are_refused(rule: str, terms: dict[str, Any], field: str) -> None:
    kinds: dict[str, type[RuleBase]] = {"inactivity": Inactivity, "flat_by": FlatBy}
    with pytest.raises(ValidationError, match=field):
        kinds[rule].model_validate({"type": rule, **terms})


def test_words() -> None:
    assert "No more than 30 days" in silence().words(CONTEXT)
    assert "3 trading days" in silence(calendar_days=None, trading_days=3).words(CONTEXT)
    assert "Close all positions by 16:00 America/New_York every Friday." in flat(**FRIDAY).words(CONTEXT)
    words = flat(**FRIDAY, reopens="18:00", reopens_weekday="sunday").words(CONTEXT)
    assert "until 18:00 America/New_York on Sunday." in words
    words = silence(counter_starts="last_order_placed").words(CONTEXT)
    assert "after your last order, or" in words
    assert "Openings and pending orders count, closings do not." in words
    words = flat(calendar="XNYS", before_close_minutes=10, break_longer_than_hours=2).words(CONTEXT)
    assert "Close all positions 10 minutes before the end of each session of XNYS" in words
    assert "longer than 2 hours" in words
