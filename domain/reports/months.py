"""The months of a report: whole calendar months of the firm's zone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from domain.errors import BadInput

USUAL: Final = 12
MOST: Final = 36
PATTERN: Final = r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$"


@dataclass(frozen=True, slots=True)
class Months:
    """From the beginning of `first` to the end of `last`, which are first days of months in `zone` (IANA)."""

    first: date
    last: date
    zone: str

    @property
    def since(self) -> datetime:
        """The moment at which the first month begins, UTC."""
        return self._start(self.first)

    @property
    def until(self) -> datetime:
        """The moment at which the last month is over, UTC."""
        return self._start(_later(self.last, 1))

    @property
    def names(self) -> tuple[str, ...]:
        """Every month as "2026-03", the oldest first."""
        return tuple(f"{month:%Y-%m}" for month in _between(self.first, self.last))

    def bounds(self, name: str) -> tuple[datetime, datetime]:
        """When the month of this name begins, and when it is over, UTC."""
        month = _month("month", name)
        return self._start(month), self._start(_later(month, 1))

    def _start(self, day: date) -> datetime:
        return datetime(day.year, day.month, 1, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)


def months(first: str, last: str, now: datetime, zone: str) -> Months:
    """Returns the months that are asked for as "2026-03"; empty: up to this month of market time, and `USUAL` of them.
    Raises BadInput for what is no month, for months in the wrong order, and for more than `MOST`."""
    ends = _month("to_month", last) if last else now.astimezone(ZoneInfo(zone)).date().replace(day=1)
    begins = _month("from_month", first) if first else _later(ends, 1 - USUAL)
    count = _number(ends) - _number(begins) + 1
    if count < 1:
        raise BadInput("The first month is after the last one.", field="from_month", remedy="Swap the two months.")
    if count > MOST:
        raise BadInput(
            f"These are {count} months, and a report has at most {MOST}.",
            field="from_month",
            remedy="Choose a later first month, and read the rest in a second report.",
        )
    return Months(begins, ends, zone)


def _month(field: str, text: str) -> date:
    if not re.fullmatch(PATTERN, text):
        raise BadInput(f"{text[:20]!r} is not a month.", field=field, remedy="Write year and month, such as 2026-03.")
    return date(int(text[:4]), int(text[5:]), 1)


def _number(month: date) -> int:
    return month.year * 12 + month.month - 1


def _later(month: date, by: int) -> date:
    year, index = divmod(_number(month) + by, 12)
    return date(year, index + 1, 1)


def _between(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first = _later(first, 1)
