"""When markets are closed, by the class of the symbol. Wall times are New York's, so daylight saving moves them in UTC.

Forex closes from Friday 17:00 to Sunday 17:00. Metals, energy, rates and indices close with it, reopen an hour later,
and stop for an hour from 17:00 on the other days. Crypto never closes. Public holidays are not known here.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from domain.currencies import DIGITS
from surveillance.book import DAY, MINUTE, SECOND, Flags, Ints, Symbols

_NEW_YORK: Final = ZoneInfo("America/New_York")
_EPOCH: Final = date(1970, 1, 1)
_CLOSES: Final = time(17)
_HALTS: Final = frozenset({"metal", "energy", "rate", "index", "commodity"})  # classes with a halt on every day
_WEEKENDS: Final = _HALTS | {"forex"}
_FRIDAY: Final = 4


@dataclass(frozen=True)
class Closings:
    """Closings of one class by time, in microseconds. `weekend`: whether it is the weekend's, not a day's halt."""

    closes: Ints
    reopens: Ints
    weekend: Flags

    def next_close(self, at: Ints) -> Ints:
        """Returns the closing in which each time lies, or the next one; `len(closes)` when there is none."""
        return np.searchsorted(self.reopens, at, side="right").astype(np.int64)

    def closed_time(self, since: Ints, until: Ints) -> Ints:
        """Returns for how long the market was closed from `since` to `until`, in microseconds."""
        return self._closed_before(until) - self._closed_before(since)

    def _closed_before(self, at: Ints) -> Ints:
        if len(self.closes) == 0:
            return np.zeros(len(at), dtype=np.int64)
        sums = np.concatenate([[0], np.cumsum(self.reopens - self.closes)])
        place = np.searchsorted(self.reopens, at, side="right")
        within = np.maximum(at - np.append(self.closes, at.max(initial=0))[place], 0)
        return np.asarray(sums[place] + np.where(place < len(self.closes), within, 0), dtype=np.int64)


def closings(asset: str, since: int, until: int) -> Closings | None:
    """Returns the closings of a class that touch the time from `since` to `until`, in microseconds; none for crypto.
    None when it is not known when the class closes."""
    if asset == "crypto":
        return _NEVER
    if asset not in _WEEKENDS:
        return None
    return _of_days(asset, since // DAY - 4, until // DAY + 4)


def asset_of(symbols: Symbols, row: int) -> str:
    """Returns the class of a symbol; where it is not told, a pair of metal or currencies tells it. "": not known."""
    told, base, quote = str(symbols.asset[row]).lower(), str(symbols.base[row]), str(symbols.quote[row])
    if told or not (base and quote):
        return told
    if base in {"XAU", "XAG", "XPT", "XPD"}:
        return "metal"
    return "forex" if base in DIGITS and quote in DIGITS else ""


def near_rollover(at: Ints, minutes: int) -> Flags:
    """Returns whether each time is less than `minutes` from 17:00 in New York, when spreads are wide everywhere."""
    if len(at) == 0:
        return np.zeros(0, dtype=bool)
    days = range(int(at.min()) // DAY - 1, int(at.max()) // DAY + 2)
    rollovers = np.array([_instant(_EPOCH + timedelta(day), _CLOSES) for day in days], dtype=np.int64)
    place = np.searchsorted(rollovers, at)
    after = rollovers[np.minimum(place, len(rollovers) - 1)]
    before = rollovers[np.maximum(place - 1, 0)]
    return np.asarray(np.minimum(np.abs(at - before), np.abs(at - after)) < minutes * MINUTE)


@lru_cache(maxsize=64)
def _of_days(asset: str, first: int, last: int) -> Closings:
    """`first`, `last`: days since 1970, both included."""
    opens = time(17) if asset == "forex" else time(18)
    found = []
    for day in (_EPOCH + timedelta(number) for number in range(first, last + 1)):
        if day.weekday() == _FRIDAY:
            found.append((_instant(day, _CLOSES), _instant(day + timedelta(2), opens), True))
        elif asset in _HALTS and day.weekday() < _FRIDAY:
            found.append((_instant(day, _CLOSES), _instant(day, time(18)), False))
    return Closings(
        closes=np.array([row[0] for row in found], dtype=np.int64),
        reopens=np.array([row[1] for row in found], dtype=np.int64),
        weekend=np.array([row[2] for row in found], dtype=bool),
    )


def _instant(day: date, at: time) -> int:
    return round(datetime.combine(day, at, _NEW_YORK).astimezone(UTC).timestamp()) * SECOND


_NEVER: Final = Closings(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
