"""The bank's business days: when a payment file that leaves now is carried out."""

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import holidays

_YEARS: Final = range(2000, 2101)


class BankDays:
    """`holidays_of`: a financial market of the `holidays` package (ECB: the days of TARGET) or a country code (US)."""

    def __init__(self, zone: str, cut_off: time, holidays_of: str) -> None:
        self.zone, self.cut_off = ZoneInfo(zone), cut_off
        self._closed = _closed(holidays_of)

    def open_on(self, day: date) -> bool:
        return day.weekday() < 5 and day not in self._closed

    def next_open(self, day: date) -> date:
        """Returns `day` or the first business day after it."""
        while not self.open_on(day):
            day += timedelta(days=1)
        return day

    def execution_date(self, at: datetime) -> date:
        """Returns the day on which the bank carries out a file that it gets at `at`."""
        local = at.astimezone(self.zone)
        late = local.time() >= self.cut_off
        return self.next_open(local.date() + timedelta(days=1) if late else local.date())

    def closes_within(self, at: datetime, minutes: int) -> bool:
        """Whether today's cut-off is at most `minutes` away."""
        local = at.astimezone(self.zone)
        if not self.open_on(local.date()) or local.time() >= self.cut_off:
            return False
        return (local + timedelta(minutes=minutes)).replace(tzinfo=None) >= datetime.combine(local.date(), self.cut_off)


@cache
def _closed(name: str) -> frozenset[date]:
    """Raises ValueError for a name that the package does not have."""
    if name in holidays.list_supported_financial():
        return frozenset(holidays.financial_holidays(name, years=_YEARS))
    if name in holidays.list_supported_countries():
        return frozenset(holidays.country_holidays(name, years=_YEARS))
    raise ValueError(f"there are no holidays {name}; use a market such as ECB or a country such as US")
