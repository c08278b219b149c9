"""Rule clocks: a zone and a wall time, resolved day by day.

A trading day D starts at the reset on date D when the reset is before 12:00, else at the reset on D-1
(a futures day that opens at 17:00 Chicago belongs to the next date). A 23- or 25-hour day is normal.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_OFFSET: Final = re.compile(r"^([+-])(0\d|1[0-4]):([0-5]\d)$")
_SERVER: Final = re.compile(r"^(\S+) to (\S+) as (\S+)$")
_HELP: Final = (
    "use an IANA name such as Europe/Prague, an offset such as +02:00, "
    "or {standard: +02:00, daylight: +03:00, dst_of: America/New_York} for a server's clock"
)


class ServerZone(tzinfo):
    """A trading server's clock: one offset in winter, another while `dst_of` has daylight time."""

    def __init__(self, standard: timedelta, daylight: timedelta, dst_of: ZoneInfo, name: str) -> None:
        self._standard, self._daylight, self._dst_of, self._name = standard, daylight, dst_of, name

    def _offset_at(self, instant: datetime) -> timedelta:
        """`instant` is in UTC."""
        return self._daylight if instant.astimezone(self._dst_of).dst() else self._standard

    def fromutc(self, dt: datetime) -> datetime:
        instant = dt.replace(tzinfo=UTC)
        local = (instant + self._offset_at(instant)).replace(tzinfo=self)
        # the second pass of a repeated hour
        again = self.utcoffset(local) != self._offset_at(instant)
        return local.replace(fold=1) if again else local

    def utcoffset(self, dt: datetime | None) -> timedelta:
        if dt is None:
            return self._standard
        wall = dt.replace(tzinfo=UTC, fold=0)
        fits = [offset for offset in (self._daylight, self._standard) if self._offset_at(wall - offset) == offset]
        if len(fits) == 1:
            return fits[0]
        # a repeated hour counts as its first pass, a skipped one as if the clock had not been changed yet
        larger, smaller = max(self._daylight, self._standard), min(self._daylight, self._standard)
        before, after = (larger, smaller) if fits else (smaller, larger)
        return after if dt.fold else before

    def dst(self, dt: datetime | None) -> timedelta:
        return self.utcoffset(dt) - self._standard

    def tzname(self, dt: datetime | None) -> str:
        return self._name


def _offset(text: str) -> timedelta:
    found = _OFFSET.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not an offset such as +02:00")
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -size if found[1] == "-" else size


@lru_cache(maxsize=512)
def zone_of(name: str) -> tzinfo:
    """Returns the zone of a name: IANA, a fixed offset, or a server's clock. Raises ValueError for an unknown zone."""
    server = _SERVER.match(name)
    try:
        if server:
            return ServerZone(_offset(server[1]), _offset(server[2]), ZoneInfo(server[3]), name)
        return timezone(_offset(name), name) if name[:1] in ("+", "-") else ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"unknown time zone {name!r}; {_HELP}") from exc


def _as_name(value: Any) -> Any:
    """Returns the name of a zone. A server's clock may be written as a mapping."""
    if isinstance(value, dict):
        if set(value) != {"standard", "daylight", "dst_of"}:
            raise ValueError(f"a server's clock has standard, daylight and dst_of; {_HELP}")
        return f"{value['standard']} to {value['daylight']} as {value['dst_of']}"
    return value


def zone_words(name: str) -> str:
    """Returns a zone for people: "America/Chicago", "server time (+02:00, and +03:00 while … has daylight time)"."""
    server = _SERVER.match(name)
    if server is None:
        return name
    return f"server time ({server[1]}, and {server[2]} while {server[3]} has daylight time)"


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


Zone = Annotated[str, AfterValidator(_known_zone), BeforeValidator(_as_name)]
WallTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)


class Clock(BaseModel):
    """When a trading day ends: local wall time `reset` (HH:MM) in `zone`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: Zone
    reset: WallTime

    @property
    def group(self) -> str:
        """Accounts with the same group reset together."""
        return f"{self.zone}@{self.reset}"

    @property
    def words(self) -> str:
        """The reset for people: "17:00 America/Chicago", "00:00 server time (+02:00, and +03:00 while … has daylight
        time)"."""
        return f"{self.reset} {zone_words(self.zone)}"

    @property
    def wall(self) -> time:
        hour, minute = self.reset.split(":")
        return time(int(hour), int(minute))

    def reset_on(self, local: date) -> datetime:
        """Returns the instant (UTC) of the reset on local date `local`.

        A wall time that a spring change skips resolves to the instant after the gap; one that an
        autumn change repeats resolves to its first occurrence.
        """
        return _reset_on(self.zone, self.wall, local)

    def trading_day(self, at: datetime) -> date:
        """Returns the trading day of the instant `at`."""
        local = at.astimezone(zone_of(self.zone)).date()
        # two days back, because a zone that crossed the date line skipped a day (Pacific/Apia, 2011-12-30)
        near = (local + timedelta(days) for days in (-2, -1, 0, 1))
        last = max(day for day in near if self.reset_on(day) <= at)
        return last if self.wall < time(12) else last + timedelta(1)

    def day_start(self, day: date) -> datetime:
        return self.reset_on(day if self.wall < time(12) else day - timedelta(1))

    def day_end(self, day: date) -> datetime:
        return self.day_start(day + timedelta(1))

    def next_reset(self, at: datetime) -> datetime:
        """Returns the first reset strictly after `at`."""
        return self.day_end(self.trading_day(at))


@lru_cache(maxsize=4096)
def _reset_on(zone: str, wall: time, local: date) -> datetime:
    return datetime.combine(local, wall, tzinfo=zone_of(zone)).astimezone(UTC)


def require_utc(at: datetime) -> datetime:
    """Returns `at` in UTC. Raises ValueError for a naive time, which is a programming error."""
    if at.tzinfo is None:
        raise ValueError("naive datetime")
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ClockHistory:
    """Clocks of one account after changes of version: the resets of the old clock up to the change, then of the new
    clock.

    `changes` are (instant in UTC, clock from then on), oldest first.
    """

    first: Clock
    changes: tuple[tuple[datetime, Clock], ...] = ()

    def _spans(self) -> Iterator[tuple[Clock, datetime, datetime]]:
        """Yields (clock, after, up to and including) for each span of time."""
        ends = [at for at, _ in self.changes]
        clocks = [self.first, *(clock for _, clock in self.changes)]
        yield from zip(clocks, [_EARLIEST, *ends], [*ends, _LATEST], strict=True)

    def day_start(self, day: date) -> datetime:
        """Returns the first reset that starts `day`; if a change of clocks skips that day, the first reset of a
        later day."""
        near = (day + timedelta(days) for days in range(-2, 6))
        starts = [
            (clock.day_start(label), label)
            for label in near
            for clock, after, until in self._spans()
            if after < clock.day_start(label) <= until
        ]
        return min(at for at, label in starts if label >= day)

    def day_end(self, day: date) -> datetime:
        return self.day_start(day + timedelta(1))

    def reset_on(self, local: date) -> datetime:
        """Returns the reset on local date `local`, by the clock that was valid then."""
        for clock, after, until in self._spans():
            if after < clock.reset_on(local) <= until:
                return clock.reset_on(local)
        return self.changes[-1][1].reset_on(local)


def month_later(day: date, months: int) -> date:
    """Returns the same day so many months later; the last day of a month that is shorter."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


Period = Literal["day", "week", "month"]
Begins = AbstractSet[Period]
ONLY_A_DAY: Final[Begins] = frozenset({"day"})
PERIOD_WORDS: Final[dict[Period, str]] = {"day": "daily", "week": "weekly", "month": "monthly"}


def begins(period: Period, day: date, before: date | None) -> bool:
    """Returns whether the reset that begins `day` begins a period: whether it lies in another week (from Monday) or
    month than `before`, the day that the reset before began. None: the day before `day`."""
    if period == "day":
        return True
    return period_start(period, day) != period_start(period, before or day - timedelta(days=1))


def begun_with(before: date | None, day: date) -> Begins:
    """Returns the periods that begin with the reset that begins `day`. `before`: the day that the reset before began;
    None: the day before `day`."""
    return {period for period in PERIOD_WORDS if begins(period, day, before)}


def period_start(period: Period, day: date) -> date:
    """Returns the first day of the period in which a trading day lies."""
    if period == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if period == "month" else day
