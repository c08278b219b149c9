"""Venue calendars from the exchange_calendars package, by its names (XNYS, CMES, ...)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Final

import exchange_calendars
import pandas as pd
from exchange_calendars.errors import InvalidCalendarName

from domain.rules.base import VenueCalendar

# what is kept per calendar: enough for replays of old statements and for every open account
_FIRST: Final = "2007-01-01"
_YEARS_AHEAD: Final = 2


class ExchangeCalendar:
    """One venue. Dates outside what the package knows have no session."""

    def __init__(self, name: str) -> None:
        end = pd.Timestamp.now().normalize() + pd.DateOffset(years=_YEARS_AHEAD)
        self._calendar = exchange_calendars.get_calendar(name, start=_FIRST, end=end)

    def close_on(self, day: date) -> datetime | None:
        session = pd.Timestamp(day)
        if not self._calendar.first_session <= session <= self._calendar.last_session:
            return None
        if not self._calendar.is_session(session):
            return None
        return _utc(self._calendar.session_close(session))

    def next_open(self, after: datetime) -> datetime:
        return _utc(self._calendar.next_open(pd.Timestamp(after)))


class ExchangeCalendars(Mapping[str, VenueCalendar]):
    """Every calendar the package has, made when it is first asked for."""

    def __getitem__(self, name: str) -> VenueCalendar:
        return _calendar(name)

    def __iter__(self) -> Iterator[str]:
        return iter(exchange_calendars.get_calendar_names(include_aliases=False))

    def __len__(self) -> int:
        return len(exchange_calendars.get_calendar_names(include_aliases=False))


@cache
def _calendar(name: str) -> ExchangeCalendar:
    try:
        return ExchangeCalendar(name)
    except InvalidCalendarName as exc:
        raise KeyError(name) from exc


def _utc(at: pd.Timestamp) -> datetime:
    return at.to_pydatetime().astimezone(UTC)
