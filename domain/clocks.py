"""Rule clocks: an IANA zone and a wall time, resolved day by day.

A trading day D starts at the reset on date D when the reset is before 12:00, else at the reset on D-1
(a futures day that opens at 17:00 Chicago belongs to the next date). A 23- or 25-hour day is normal.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/Prague") from exc
    return name


class Clock(BaseModel):
    """When a trading day ends: local wall time `reset` (HH:MM) in `zone`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: Annotated[str, AfterValidator(_known_zone)]
    reset: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")

    @property
    def group(self) -> str:
        """Accounts with the same group reset together."""
        return f"{self.zone}@{self.reset}"

    @property
    def wall(self) -> time:
        hour, minute = self.reset.split(":")
        return time(int(hour), int(minute))

    def reset_on(self, local: date) -> datetime:
        """The instant (UTC) of the reset on local date `local`.

        A wall time that a spring change skips resolves to the instant after the gap; one that an
        autumn change repeats resolves to its first occurrence.
        """
        return _reset_on(self.zone, self.wall, local)

    def trading_day(self, at: datetime) -> date:
        """The trading day that holds the instant `at`."""
        local = at.astimezone(ZoneInfo(self.zone)).date()
        # two days back: a zone that crossed the date line has no yesterday (Pacific/Apia, 2011-12-31)
        near = (local + timedelta(days) for days in (-2, -1, 0, 1))
        last = max(day for day in near if self.reset_on(day) <= at)
        return last if self.wall < time(12) else last + timedelta(1)

    def day_start(self, day: date) -> datetime:
        return self.reset_on(day if self.wall < time(12) else day - timedelta(1))

    def day_end(self, day: date) -> datetime:
        return self.day_start(day + timedelta(1))

    def next_reset(self, at: datetime) -> datetime:
        """The first reset strictly after `at`."""
        return self.day_end(self.trading_day(at))


@lru_cache(maxsize=4096)
def _reset_on(zone: str, wall: time, local: date) -> datetime:
    return datetime.combine(local, wall, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def require_utc(at: datetime) -> datetime:
    """`at` in UTC; a naive time is a programming error."""
    if at.tzinfo is None:
        raise ValueError("naive datetime")
    return at.astimezone(UTC)
