"""Days, weeks and months of an account: which of them begin at a daily reset."""

from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Final, Literal

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
