"""Days, weeks and months of an account: which of them begin at a daily reset."""

from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Final, Literal

Period = Literal["day", "week", "month"]
Begins = AbstractSet[Period]
ONLY_A_DAY: Final[Begins] = frozenset({"day"})
PERIOD_WORDS: Final[dict[Period, str]] = {"day": "daily", "week": "weekly", "month": "monthly"}


def begins(before: date, day: date) -> Begins:
    """Returns the periods that begin with the trading day `day`. `before`: the trading day begun at the reset before,
    at the first reset the day before. A week begins on Monday."""
    found: set[Period] = {"day"}
    if before.isocalendar()[:2] != day.isocalendar()[:2]:
        found.add("week")
    if (before.year, before.month) != (day.year, day.month):
        found.add("month")
    return found


def period_of(period: Period, day: date) -> date:
    """Returns the first day of the period in which a trading day lies."""
    if period == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if period == "month" else day
