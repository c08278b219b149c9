"""Venue calendars from the exchange_calendars package, by its names (XNYS, CMES, ...).

The package is imported at the first use of a calendar: the import takes a second, and most commands need none.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

from domain.rules.base import VenueCalendar

# the range of each calendar: it covers replays of old statements and every open account
_FIRST: Final = "2007-01-01"
_YEARS_AHEAD: Final = 2


class ExchangeCalendar:
    """One venue, with its sessions read at creation. Dates outside the package's range have no session."""

    def __init__(self, calendar: Any) -> None:
        """`calendar`: an exchange_calendars.ExchangeCalendar."""
        self._closes: dict[date, datetime] = {session.date(): _utc(close) for session, close in calendar.closes.items()}
        self._early: frozenset[date] = frozenset(session.date() for session in calendar.early_closes)
        self._opens = sorted(_utc(opening) for opening in calendar.opens)

    def close_on(self, day: date) -> datetime | None:
        return self._closes.get(day)

    def next_open(self, after: datetime) -> datetime:
        """Returns the next opening, UTC. Raises LookupError after the last known session."""
        return self._opens[bisect_right(self._opens, after)]

    def closes_early(self, day: date) -> bool:
        return day in self._early


class ExchangeCalendars(Mapping[str, VenueCalendar]):
    """Every calendar of the package, each created at its first use. Raises KeyError for an unknown name."""

    def __getitem__(self, name: str) -> VenueCalendar:
        return _calendar(name)

    def __iter__(self) -> Iterator[str]:
        import exchange_calendars

        return iter(exchange_calendars.get_calendar_names(include_aliases=False))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@cache
def _calendar(name: str) -> ExchangeCalendar:
    import exchange_calendars
    import pandas as pd
    from exchange_calendars.errors import InvalidCalendarName

    end = pd.Timestamp.now().normalize() + pd.DateOffset(years=_YEARS_AHEAD)
    try:
        return ExchangeCalendar(exchange_calendars.get_calendar(name, start=_FIRST, end=end))
    except InvalidCalendarName as exc:
        raise KeyError(name) from exc


def _utc(moment: Any) -> datetime:
    """`moment`: a pandas.Timestamp."""
    at: datetime = moment.to_pydatetime()
    return at.astimezone(UTC)
