"""Business hours: open intervals of each weekday in a zone, and holidays, turned to UTC day by day.

A day of the zone may have 23 or 25 hours. An interval begins at the first pass of its start and ends at the last pass
of its end; a local time that a change of clocks skips counts as the moment of the change.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
_INTERVAL: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_MINUTES_OF_DAY: Final = 24 * 60
_ZERO: Final = timedelta(0)
_DAY: Final = timedelta(days=1)
Span = tuple[datetime, datetime]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"unknown time zone {name[:40]!r}; use an IANA name such as Europe/Prague") from exc
    return name


def _interval(text: str) -> str:
    found = _INTERVAL.fullmatch(text)
    start, end = _minutes(text) if found else (0, 0)
    if not found or not start < end <= _MINUTES_OF_DAY:
        raise ValueError(f"{text[:20]!r} is not an interval such as 09:00-17:00, at the latest until 24:00")
    return text


def _minutes(interval: str) -> tuple[int, int]:
    """Returns start and end in minutes of the local day."""
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in interval.split("-"))
    return start, end


def _day_text(value: Any) -> Any:
    """YAML reads an unquoted date as a date."""
    return value.isoformat() if isinstance(value, date) else value


Interval = Annotated[str, AfterValidator(_interval)]


class Holiday(Part):
    """A day of the zone on which nothing is open."""

    day: Annotated[date, BeforeValidator(_day_text)]
    name: Annotated[str, Field(min_length=1, max_length=80)]


@dataclass(frozen=True, slots=True)
class DayLine:
    """One local day of a sum: what of it was open between two moments, and the sum up to its end. `closed`: why nothing
    of it is open ("holiday: Easter Monday", "no business hours on Sunday"); empty when something is."""

    day: date
    spans: tuple[Span, ...]
    open: timedelta
    total: timedelta
    closed: str


class BusinessCalendar(Part):
    """`week`: the open intervals of each weekday, in local time of `zone`; a weekday that is missing is closed."""

    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    week: dict[Weekday, tuple[Interval, ...]] = Field(default_factory=dict)
    holidays: tuple[Holiday, ...] = ()

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        if not any(self.week.values()):
            raise ValueError("week: nothing is ever open; give at least one interval")
        for weekday, intervals in self.week.items():
            ends = [_minutes(each) for each in intervals]
            if any(later[0] < earlier[1] for earlier, later in pairwise(ends)):
                raise ValueError(f"week.{weekday}: the intervals overlap or are not in order")
        days = [each.day for each in self.holidays]
        twice = sorted({day for day in days if days.count(day) > 1})
        if twice:
            raise ValueError(f"holidays: {twice[0]} is named twice")
        return self

    def holiday(self, day: date) -> str:
        """Returns the name of the holiday; empty for any other day."""
        return next((each.name for each in self.holidays if each.day == day), "")

    def spans(self, day: date) -> tuple[Span, ...]:
        """Returns the open spans of a local day, in UTC, in order; empty on a holiday."""
        if self.holiday(day):
            return ()
        return _spans(self.zone, self.week.get(WEEKDAYS[day.weekday()], ()), day)

    def local_day(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()

    def is_open(self, at: datetime) -> bool:
        return any(start <= at < end for start, end in self.spans(self.local_day(at)))

    def add(self, start: datetime, amount: timedelta) -> datetime:
        """Returns the moment at which `amount` of open time has passed since `start`. With nothing to pass, that is
        `start`, or the next opening when it is closed then."""
        left = amount
        for opens, closes in self._from(start):
            begins = max(start, opens)
            if left <= closes - begins and (left > _ZERO or begins < closes):
                return begins + left
            left -= closes - begins
        raise AssertionError("a calendar has an open interval in every week without holidays")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Returns how much open time lies between two moments; 0 when `end` is not after `start`."""
        total = _ZERO
        for opens, closes in self._from(start):
            if opens >= end:
                break
            total += max(_ZERO, min(closes, end) - max(opens, start))
        return total

    def close_of(self, start: datetime, working_days: int) -> datetime:
        """Returns the end of business of the `working_days`-th open day after the day of `start`. A `start` after the
        end of business, or on a closed day, counts from the next open day."""
        day = self.local_day(start)
        while not self.spans(day) or self.spans(day)[-1][1] <= start:
            day += _DAY
        for _ in range(working_days):
            day += _DAY
            while not self.spans(day):
                day += _DAY
        return self.spans(day)[-1][1]

    def lines(self, start: datetime, end: datetime) -> list[DayLine]:
        """Returns the sum of open time between two moments, day by day, closed days with the reason."""
        found, total, day = list[DayLine](), _ZERO, self.local_day(start)
        while day <= self.local_day(end):
            cut = [(max(opens, start), min(closes, end)) for opens, closes in self.spans(day)]
            spans = tuple((opens, closes) for opens, closes in cut if opens < closes)
            opened = sum((closes - opens for opens, closes in spans), _ZERO)
            total += opened
            found.append(DayLine(day, spans, opened, total, self._closed(day)))
            day += _DAY
        return found

    def _closed(self, day: date) -> str:
        if name := self.holiday(day):
            return f"holiday: {name}"
        return "" if self.spans(day) else f"no business hours on {day:%A}"

    def _from(self, start: datetime) -> Iterator[Span]:
        """Yields the open spans that end after `start`, in order, for ever."""
        day = self.local_day(start) - _DAY  # an interval until 24:00 may end in the first hour of the next day
        while True:
            yield from ((opens, closes) for opens, closes in self.spans(day) if closes > start)
            day += _DAY


@lru_cache(maxsize=8192)
def _spans(zone: str, intervals: tuple[str, ...], day: date) -> tuple[Span, ...]:
    found = list[Span]()
    for interval in intervals:
        start, end = _minutes(interval)
        span = _utc(zone, day, start, last=False), _utc(zone, day, end, last=True)
        if span[0] < span[1]:  # a change of clocks may skip a whole interval
            found.append(span)
    return tuple(found)


def _utc(zone: str, day: date, minutes: int, *, last: bool) -> datetime:
    """Returns a local time in UTC: the first or last pass of a repeated one, the change itself for a skipped one."""
    day, minutes = (day + _DAY, 0) if minutes == _MINUTES_OF_DAY else (day, minutes)
    local = datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=ZoneInfo(zone))
    passes = [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    if passes[0] <= passes[1]:
        return passes[1 if last else 0]
    return _change(ZoneInfo(zone), passes[1], passes[0])


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Returns the moment between two others at which the zone changes its clocks, to the second."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
