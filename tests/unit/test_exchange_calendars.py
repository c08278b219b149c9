"""Venue calendars: early closes, holidays, reopenings."""

from datetime import UTC, date, datetime

import pytest

from adapters.calendars.exchange import ExchangeCalendars

CALENDARS = ExchangeCalendars()


def test_an_early_close_a_holiday_and_an_ordinary_day() -> None:
    new_york = CALENDARS["XNYS"]
    assert new_york.close_on(date(2025, 11, 26)) == datetime(2025, 11, 26, 21, tzinfo=UTC)
    assert new_york.close_on(date(2025, 11, 27)) is None
    assert new_york.close_on(date(2025, 11, 28)) == datetime(2025, 11, 28, 18, tzinfo=UTC)
    assert new_york.next_open(datetime(2025, 11, 26, 21, tzinfo=UTC)) == datetime(2025, 11, 28, 14, 30, tzinfo=UTC)


def test_daylight_time_moves_the_close_in_utc() -> None:
    chicago = CALENDARS["CMES"]
    winter, summer = chicago.close_on(date(2025, 3, 7)), chicago.close_on(date(2025, 3, 10))
    assert winter is not None and summer is not None
    assert (winter.hour - summer.hour) == 1


def test_an_unknown_venue_is_not_there() -> None:
    assert CALENDARS.get("XMOON") is None
    with pytest.raises(KeyError):
        CALENDARS["XMOON"]
    assert "CMES" in set(CALENDARS)


def test_beyond_what_is_known_there_is_no_session() -> None:
    assert CALENDARS["XNYS"].close_on(date(1990, 1, 2)) is None
    with pytest.raises(LookupError):
        CALENDARS["XNYS"].next_open(datetime(2100, 1, 1, tzinfo=UTC))
