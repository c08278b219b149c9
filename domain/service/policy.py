"""The firm's service policy: when it is open, how fast it answers, and by when people decide. Data with a hash: a
change is a new version on the record."""

import hashlib
import json
import re
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from domain.service.calendar import WEEKDAYS, BusinessCalendar, Part

ClockName = Literal["first_answer", "next_answer", "resolution"]
CLOCKS: Final[tuple[ClockName, ...]] = ("first_answer", "next_answer", "resolution")
CLOCK_WORDS: Final[dict[ClockName, str]] = {
    "first_answer": "First answer",
    "next_answer": "Next answer",
    "resolution": "Resolution",
}
Decided = Literal["dispute", "case", "identity_check", "doubtful_breach"]
ALWAYS_OPEN: Final = BusinessCalendar(zone="UTC", week=dict.fromkeys(WEEKDAYS, ("00:00-24:00",)))
_TIME: Final = re.compile(r"([1-9]\d{0,3})(m|h|d)")


def _business_time(text: str) -> str:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:20]!r} is not a time such as 30m, 4h or 5d (working days)")
    return text


def _minutes_only(text: str) -> str:
    if text.endswith("d"):
        raise ValueError(f"{text!r}: a clock that pauses counts hours or minutes, such as 24h")
    return text


BusinessTime = Annotated[str, AfterValidator(_business_time)]
Target = Annotated[str, AfterValidator(_business_time), AfterValidator(_minutes_only)]


def minutes_of(text: str) -> int:
    """Returns the minutes of a time such as "30m" or "4h"."""
    number = int(text[:-1])
    return number * 60 if text.endswith("h") else number


class Targets(Part):
    """Open time until each clock of a ticket is late."""

    first_answer: Target = "4h"
    next_answer: Target = "8h"
    resolution: Target = "40h"


class Deadlines(Part):
    """By when people decide: open time, or working days ("5d": the end of business of the fifth open day after)."""

    dispute: BusinessTime = "5d"
    case: BusinessTime = "3d"
    identity_check: BusinessTime = "2d"
    doubtful_breach: BusinessTime = "4h"


class ServicePolicy(Part):
    """`next_answer_counts_from`: whether each further message of the trader starts the clock of the next answer again,
    or it goes on counting from the oldest that has no answer. `lease_minutes`: how long a claim of a ticket lasts
    without activity. `looking_seconds`: how long somebody counts as looking at a ticket after the page was last open.
    """

    calendar: BusinessCalendar = ALWAYS_OPEN
    targets: Targets = Targets()
    deadlines: Deadlines = Deadlines()
    next_answer_counts_from: Literal["newest_message", "oldest_unanswered"] = "newest_message"
    lease_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 15
    looking_seconds: Annotated[int, Field(ge=5, le=600)] = 30

    def target_minutes(self, clock: ClockName) -> int:
        return minutes_of(getattr(self.targets, clock))

    def deadline(self, kind: Decided, since: datetime) -> datetime:
        """Returns by when a person should decide something that waits `since` (UTC, wall time)."""
        return deadline(self.calendar, getattr(self.deadlines, kind), since)

    @cached_property
    def lease(self) -> timedelta:
        return timedelta(minutes=self.lease_minutes)

    @cached_property
    def content_hash(self) -> str:
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


def deadline(calendar: BusinessCalendar, within: str, since: datetime) -> datetime:
    """Returns the moment at which a time such as "4h" of open time, or "5d" of working days, has passed."""
    if within.endswith("d"):
        return calendar.close_of(since, int(within[:-1]))
    return calendar.add(since, timedelta(minutes=minutes_of(within)))


NO_POLICY: Final = ServicePolicy()
"""In force until a policy is published."""
