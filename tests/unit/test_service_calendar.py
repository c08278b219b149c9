"""Business hours: sums over days, holidays, changes of clocks, and deadlines in working days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from domain.service.calendar import BusinessCalendar
from domain.service.policy import ALWAYS_OPEN, ServicePolicy, deadline
from firm.service.policy import load_policy

_WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",))
PRAGUE = BusinessCalendar.model_validate(
    {"zone": "Europe/Prague", "week": _WEEK, "holidays": [{"day": "2026-04-06", "name": "Easter Monday"}]}
)
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-03-02 08:00", 4, "2026-03-02 12:00"),  # Monday 09:00 in Prague
        ("2026-03-02 14:00", 4, "2026-03-03 10:00"),  # an hour today, three tomorrow
        ("2026-03-02 23:00", 1, "2026-03-03 09:00"),  # at midnight nothing is open
        ("2026-03-06 15:00", 2, "2026-03-09 09:00"),  # Friday afternoon until Monday
        ("2026-03-27 15:00", 2, "2026-03-30 08:00"),  # the clocks change on Sunday: Monday opens at 07:00 UTC
        ("2026-04-03 14:00", 2, "2026-04-07 08:00"),  # Easter Monday is closed
        ("2026-03-02 12:00", 4, "2026-03-02 16:00"),  # exactly at the end of business
        ("2026-03-07 10:00", 0, "2026-03-09 08:00"),  # nothing to wait for, but closed
    ],
)
def test_a_deadline_counts_open_time_only(start: str, hours: int, due: str) -> None:
    assert PRAGUE.add(at(start), hours * HOUR) == at(due)
    assert PRAGUE.between(at(start), at(due)) == hours * HOUR


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-28", 24)])
def test_a_day_of_the_zone_may_have_23_or_25_hours(day: str, hours: int) -> None:
    always = BusinessCalendar(zone="Europe/Prague", week={"sat": ("00:00-24:00",), "sun": ("00:00-24:00",)})
    (span,) = always.spans(date.fromisoformat(day))
    assert span[1] - span[0] == hours * HOUR


def test_skipped_and_repeated_local_times_have_one_meaning() -> None:
    night = BusinessCalendar(zone="Europe/Prague", week={"sun": ("02:15-02:45",)})
    assert night.spans(date(2026, 3, 29)) == ()  # the clocks skip it
    early = BusinessCalendar(zone="Europe/Prague", week={"sun": ("02:30-04:00",)})
    assert early.spans(date(2026, 3, 29)) == ((at("2026-03-29 01:00"), at("2026-03-29 02:00")),)
    assert night.spans(date(2026, 10, 25)) == ((at("2026-10-25 00:15"), at("2026-10-25 01:45")),)


def test_a_lunch_break_is_closed() -> None:
    lunch = BusinessCalendar(zone="UTC", week={"mon": ("09:00-12:00", "13:00-17:00")})
    assert lunch.add(at("2026-03-02 11:30"), HOUR) == at("2026-03-02 13:30")
    assert not lunch.is_open(at("2026-03-02 12:30"))


def test_the_sum_names_every_closed_day() -> None:
    """Hidden holidays looked like errors to the people who read the deadline."""
    lines = PRAGUE.lines(at("2026-04-03 14:00"), at("2026-04-07 08:00"))
    assert [line.closed for line in lines] == [
        "", "no business hours on Saturday", "no business hours on Sunday", "holiday: Easter Monday", "",
    ]  # fmt: skip
    assert lines[-1].total == PRAGUE.between(at("2026-04-03 14:00"), at("2026-04-07 08:00")) == 2 * HOUR


def test_deadlines_of_decisions_count_working_days_or_hours() -> None:
    policy = ServicePolicy(calendar=PRAGUE)
    assert policy.deadline("dispute", at("2026-04-02 10:00")) == at("2026-04-10 15:00")  # 3, 7, 8, 9, 10 April
    assert policy.deadline("doubtful_breach", at("2026-04-04 10:00")) == at("2026-04-07 11:00")
    assert deadline(PRAGUE, "1d", at("2026-04-03 15:30")) == at("2026-04-08 15:00")  # after hours: counts from Tuesday
    assert deadline(ALWAYS_OPEN, "2d", at("2026-04-03 15:30")) == at("2026-04-06 00:00")


@pytest.mark.parametrize(
    "calendar",
    [
        {"zone": "Europe/Nowhere", "week": _WEEK},
        {"zone": "UTC", "week": {}},
        {"zone": "UTC", "week": {"mon": ["17:00-09:00"]}},
        {"zone": "UTC", "week": {"mon": ["09:00-24:30"]}},
        {"zone": "UTC", "week": {"mon": ["09:00-12:00", "11:00-13:00"]}},
        {"zone": "UTC", "week": _WEEK, "holidays": [{"day": "2026-01-01", "name": "a"}] * 2},
    ],
)
def test_a_calendar_that_means_nothing_is_refused(calendar: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BusinessCalendar.model_validate(calendar)


def test_the_shipped_policy_can_be_read() -> None:
    policy = load_policy()
    assert policy.calendar.zone == "Europe/Prague" and policy.target_minutes("first_answer") == 240
    with pytest.raises(ValidationError):
        ServicePolicy.model_validate({"targets": {"next_answer": "2d"}})
