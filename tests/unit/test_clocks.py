"""Trading days: in the zone of the rule, 23 and 25 hours long when clocks change, without a gap or an overlap."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.clocks import Clock, ClockHistory, require_utc, zone_of
from tests.unit.oracle import reset_of, wall_clock

PRAGUE = Clock(zone="Europe/Prague", reset="00:00")
CHICAGO = Clock(zone="America/Chicago", reset="17:00")
# some whose changes fall on midnight, one that changes by half an hour, one that skipped a date
ZONES = (
    "UTC", "Europe/Prague", "America/Chicago", "America/New_York", "America/Havana", "America/Sao_Paulo",
    "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia",
    "+05:30", "-03:00", "+02:00 to +03:00 as America/New_York", "+00:00 to +01:00 as Europe/London",
    "-01:00 to +01:30 as Australia/Sydney", "+03:00 to +02:00 as Europe/Prague",
)  # fmt: skip
CLOCKS = st.builds(
    lambda zone, hour, minute: Clock(zone=zone, reset=f"{hour:02d}:{minute:02d}"),
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.sampled_from([0, 1, 30, 59]),
)
INSTANTS = st.datetimes(datetime(2005, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "start", "hours"),
    [
        (date(2014, 3, 29), utc(2014, 3, 28, 23), 24),
        (date(2014, 3, 30), utc(2014, 3, 29, 23), 23),
        (date(2014, 3, 31), utc(2014, 3, 30, 22), 24),
        (date(2014, 10, 26), utc(2014, 10, 25, 22), 25),
        (date(2014, 10, 27), utc(2014, 10, 26, 23), 24),
    ],
)
def test_a_prague_day_lasts_from_midnight_to_midnight(day: date, start: datetime, hours: int) -> None:
    assert PRAGUE.day_start(day) == start
    assert PRAGUE.day_end(day) - PRAGUE.day_start(day) == timedelta(hours=hours)
    assert PRAGUE.trading_day(start) == day
    assert PRAGUE.trading_day(start - timedelta(microseconds=1)) == day - timedelta(1)
    assert PRAGUE.next_reset(start) == PRAGUE.day_end(day)


def test_a_chicago_day_opens_at_five_and_has_the_next_date() -> None:
    opens = utc(2014, 5, 1, 22)  # 17:00 in Chicago
    assert CHICAGO.trading_day(opens - timedelta(seconds=1)) == date(2014, 5, 1)
    assert CHICAGO.trading_day(opens) == date(2014, 5, 2)
    assert (CHICAGO.day_start(date(2014, 5, 2)), CHICAGO.day_end(date(2014, 5, 2))) == (opens, utc(2014, 5, 2, 22))
    assert CHICAGO.day_start(date(2014, 12, 2)) == utc(2014, 12, 1, 23)


def test_a_time_that_spring_skips_comes_after_the_gap() -> None:
    clock = Clock(zone="Europe/Prague", reset="02:30")
    assert clock.reset_on(date(2014, 3, 30)) == utc(2014, 3, 30, 1, 30)
    assert clock.reset_on(date(2014, 3, 30)).astimezone(ZoneInfo("Europe/Prague")).hour == 3
    assert clock.trading_day(utc(2014, 3, 30, 1, 29)) == date(2014, 3, 29)


def test_a_time_that_autumn_repeats_counts_when_it_comes_first() -> None:
    clock = Clock(zone="Europe/Prague", reset="02:30")
    assert clock.reset_on(date(2014, 10, 26)) == utc(2014, 10, 26, 0, 30)
    assert clock.trading_day(utc(2014, 10, 26, 1, 15)) == date(2014, 10, 26), "02:15 for the second time"


@settings(deadline=None)
@given(CLOCKS, INSTANTS)
@example(Clock(zone="America/Sao_Paulo", reset="00:00"), utc(2018, 11, 4, 2, 59))  # midnight does not exist
@example(Clock(zone="America/St_Johns", reset="00:00"), utc(2010, 11, 7, 3, 0))  # the date goes back by one
@example(Clock(zone="Pacific/Apia", reset="17:00"), utc(2011, 12, 30, 10))  # the first instant after a skipped date
@example(Clock(zone="Pacific/Apia", reset="00:30"), utc(2011, 12, 30, 10, 29))
def test_an_instant_lies_within_its_trading_day(clock: Clock, at: datetime) -> None:
    day = clock.trading_day(at)
    assert clock.day_start(day) <= at < clock.day_end(day)
    assert clock.next_reset(at) == clock.day_end(day)


@settings(deadline=None)
@given(CLOCKS, st.dates(date(2005, 1, 2), date(2036, 12, 30)))
def test_days_follow_each_other(clock: Clock, day: date) -> None:
    assert clock.day_end(day) == clock.day_start(day + timedelta(1))
    assert timedelta(0) <= clock.day_end(day) - clock.day_start(day) <= timedelta(hours=25)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "CEST", "\x00"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="unknown time zone"):
        Clock(zone=zone, reset="00:00")


@pytest.mark.parametrize("reset", ["24:00", "7:00", "17:60", "17", "17:00:00", ""])
def test_a_wrong_reset_time_is_refused(reset: str) -> None:
    with pytest.raises(ValidationError):
        Clock(zone="UTC", reset=reset)


def test_groups_are_zone_and_time() -> None:
    assert (PRAGUE.group, CHICAGO.group) == ("Europe/Prague@00:00", "America/Chicago@17:00")


def test_a_naive_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="naive"):
        require_utc(datetime(2014, 5, 2))
    assert require_utc(datetime(2014, 5, 2, 2, tzinfo=ZoneInfo("Europe/Prague"))) == utc(2014, 5, 2)


SERVERS = st.builds(
    lambda standard, daylight, of: f"{standard} to {daylight} as {of}",
    st.sampled_from(["+02:00", "-05:00", "+00:00", "+05:30"]),
    st.sampled_from(["+03:00", "-04:00", "+01:00", "+06:00"]),
    st.sampled_from(["America/New_York", "Europe/Prague", "Australia/Lord_Howe", "America/Santiago"]),
)
# within a few days of a change of clocks somewhere, or anywhere in three years
DATES = st.one_of(
    st.builds(
        lambda change, near: change + timedelta(near),
        st.sampled_from([date(2014, 3, 9), date(2014, 3, 30), date(2014, 11, 2), date(2014, 10, 26), date(2014, 4, 6)]),
        st.integers(-2, 2),
    ),
    st.dates(date(2013, 1, 1), date(2015, 12, 31)),
)


@settings(deadline=None, max_examples=300)
@given(SERVERS, st.integers(0, 23), st.sampled_from([0, 30, 59]), DATES)
def test_a_servers_resets_are_those_of_a_clock_watched_minute_by_minute(
    zone: str, hour: int, minute: int, day: date
) -> None:
    clock = Clock(zone=zone, reset=f"{hour:02d}:{minute:02d}")
    assert clock.reset_on(day) == reset_of(zone, clock.reset, day)


@settings(deadline=None, max_examples=300)
@given(SERVERS, DATES, st.integers(0, 24 * 60 - 1))
def test_a_servers_wall_time_is_read_there_and_back(zone: str, day: date, minute: int) -> None:
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute)
    local = instant.astimezone(zone_of(zone))
    assert local.replace(tzinfo=None) == wall_clock(zone, instant)
    assert local.astimezone(UTC) == instant, "also in an hour that comes twice"


@settings(deadline=None, max_examples=200)
@given(CLOCKS, CLOCKS, DATES, st.integers(0, 24 * 60 - 1))
def test_a_change_of_clocks_keeps_every_reset_of_the_one_in_force(
    old: Clock, new: Clock, day: date, minute: int
) -> None:
    """Against a list of all resets: the old clock's up to and at the change, the new one's after it."""
    change = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute)
    history = ClockHistory(old, ((change, new),))
    labels = [day + timedelta(near) for near in range(-6, 7)]
    before = [(old.day_start(label), label) for label in labels if old.day_start(label) <= change]
    after = [(new.day_start(label), label) for label in labels if new.day_start(label) > change]
    for label in labels[2:-4]:
        start, end = history.day_start(label), history.day_end(label)
        assert start == min(at for at, named in before + after if named >= label)
        assert start <= end
    for label in labels:
        own = [
            at
            for at, in_force in ((old.reset_on(label), True), (new.reset_on(label), False))
            if (at <= change) == in_force
        ]
        if own:
            assert history.reset_on(label) in own
