"""Look-ups in the quotes of an independent source: as of a time, and lowest and highest within windows.

Where the last quote is too old to say anything, such as over a weekend or a hole in the data, the answer is NaN.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import MINUTE, SECOND, Flags, Floats, Ints, Quotes

_BAR: Final = {"second": SECOND, "minute": MINUTE}
_OLDEST_TICK: Final = MINUTE  # a tick older than this is no quote of now


@dataclass(frozen=True)
class Window:
    """The lowest bid, the highest ask and the widest spread within each window; NaN where there are no quotes."""

    bid_low: Floats
    ask_high: Floats
    spread: Floats

    @property
    def is_known(self) -> Flags:
        return np.logical_not(np.isnan(self.bid_low))


@dataclass(frozen=True)
class Reference:
    """The quotes of one symbol, ready for look-ups. `spread`: the usual one, the median of all quotes. `coarser`: the
    bars of days that have no ticks; only `window` and what follows a hole are looked up there, too."""

    quotes: Quotes
    spread: float
    coarser: "Reference | None" = None

    @property
    def is_ticks(self) -> bool:
        return self.quotes.resolution == "tick"

    def place(self, at: Ints) -> Ints:
        """Returns the row of the last quote at or before each time, -1 where there is none that is fresh."""
        place = np.searchsorted(self.quotes.at, at, side="right") - 1
        fresh = at - self.quotes.at[np.maximum(place, 0)] < _BAR.get(self.quotes.resolution, _OLDEST_TICK)
        return np.where((place >= 0) & fresh, place, -1).astype(np.int64)

    def as_of(self, at: Ints) -> tuple[Floats, Floats]:
        """Returns (bid, ask) at each time. Of a bar they are its last quotes."""
        place = self.place(at)
        known = place >= 0
        bid, ask = self.quotes.bid[place], self.quotes.ask[place]
        return np.where(known, bid, np.nan), np.where(known, ask, np.nan)

    def mid(self, at: Ints) -> Floats:
        bid, ask = self.as_of(at)
        return np.asarray((bid + ask) / 2)

    def after_hole(self, at: Ints, hole: int, within: int) -> Flags:
        """Returns whether each time is `within` so long after the first quote that followed `hole` without one; all in
        microseconds."""
        firsts = self.quotes.at[np.diff(self.quotes.at, prepend=self.quotes.at[0] - hole) >= hole]
        place = np.searchsorted(firsts, at, side="right") - 1
        found = np.asarray((place >= 0) & (at - firsts[np.maximum(place, 0)] < within))
        if self.coarser is not None:
            found |= self.coarser.after_hole(at, hole, within) & (self.place(at) < 0)
        return found

    def window(self, since: Ints, until: Ints) -> Window:
        """Returns the extremes from `since` to `until`, with the quote in force before and the first one after: a
        price that jumps between two quotes has been everywhere between them."""
        first = np.maximum(np.searchsorted(self.quotes.at, since, side="right") - 1, 0)
        last = np.searchsorted(self.quotes.at, until, side="right")
        if self.is_ticks:
            last = np.minimum(last + 1, len(self.quotes.at))
        known = (self.place(since) >= 0) & (self.place(until) >= 0)
        first = np.minimum(first, len(self.quotes.at) - 1)
        last = np.maximum(last, first + 1)
        spread = np.maximum(self.quotes.ask - self.quotes.bid, 0.0)
        other = _nowhere(len(since)) if self.coarser is None else self.coarser.window(since, until)
        return Window(
            bid_low=np.where(known, _extreme(np.minimum, self.quotes.bid_low, first, last), other.bid_low),
            ask_high=np.where(known, _extreme(np.maximum, self.quotes.ask_high, first, last), other.ask_high),
            spread=np.where(known, _extreme(np.maximum, spread, first, last), other.spread),
        )


def reference(quotes: Quotes) -> Reference | None:
    """Returns the quotes ready for look-ups, without rows that have no bid or no ask; None when none is left."""
    whole = np.isfinite(quotes.bid) & np.isfinite(quotes.ask) & (quotes.ask >= quotes.bid)
    kept = quotes if whole.all() else quotes.rows(whole)
    if len(kept) == 0:
        return None
    order = np.argsort(kept.at, kind="stable")
    kept = kept if (order == np.arange(len(order))).all() else kept.rows(order)
    coarser = None if quotes.coarser is None else reference(quotes.coarser)
    return Reference(kept, max(float(np.median(kept.ask - kept.bid)), 1e-12), coarser)


def _nowhere(count: int) -> Window:
    return Window(*(np.full(count, np.nan) for _ in range(3)))


def _extreme(of: np.ufunc, values: Floats, first: Ints, last: Ints) -> Floats:
    """Returns the extreme of values[first:last] for each pair. Every range has at least one row."""
    if len(first) == 0:
        return np.empty(0)
    order = np.argsort(first, kind="stable")
    padded = np.append(values, values[-1])  # the end of the last range may be the end of the values
    pairs = np.empty(2 * len(first), dtype=np.int64)
    pairs[::2], pairs[1::2] = first[order], last[order]
    found = np.empty(len(first))
    found[order] = of.reduceat(padded, pairs)[::2]
    return found
