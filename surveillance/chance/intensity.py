"""When the firm opens: the share of an hour's openings that falls into a window, without the suspects.

The null of a pair keeps slow rates and breaks seconds: each opening of the one account could have come at any time
within half an hour of its own, as often as the rest of the firm opens that symbol and side then. News minutes and
candle openings are busy for everybody, so to meet there is no surprise. Where few others trade the symbol, all symbols
at that time fill in, and where nobody trades, the firm's habit of the hour (its candle openings) does.
"""

from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import HOUR, MINUTE, SECOND, Floats, Indexes, Ints
from surveillance.candidates import Openings

REACH: Final = 30 * MINUTE  # how far an opening could have moved, each way
_WEIGHT: Final = 4.0  # how many openings the wider habit counts as, beside those of the symbol and side
_SLOTS: Final = HOUR // SECOND


@dataclass(frozen=True)
class _Times:
    """Sorted times of openings, and those of each account among them."""

    all: Ints
    start: int
    end: int

    def between(self, low: Ints, high: Ints) -> Floats:
        part = self.all[self.start : self.end]
        inside = np.searchsorted(part, high, side="right") - np.searchsorted(part, low, side="left")
        return np.asarray(inside, dtype=np.float64)


def _own(times: Ints, low: Ints, high: Ints) -> Floats:
    return _Times(times, 0, len(times)).between(low, high)


class _Rows:
    """Openings by symbol and side, and by account."""

    def __init__(self, found: Openings, accounts: int) -> None:
        self.found = found
        self.key: Ints = found.symbol.astype(np.int64) * 4 + found.side
        self._order = np.argsort(found.account, kind="stable")
        self._begins = np.searchsorted(found.account[self._order], np.arange(accounts + 1))

    def of(self, account: int) -> Ints:
        if account + 1 >= len(self._begins):  # it is newer than these rows
            return np.empty(0, dtype=np.int64)
        return np.asarray(self._order[self._begins[account] : self._begins[account + 1]], dtype=np.int64)


class Intensity:
    """The openings of the firm, to be asked for shares. Build it once for a book; memory is two copies of the times.
    `seen_from`: for the openings of some accounts, which are a part of the firm or newer than it."""

    def __init__(self, found: Openings, accounts: int) -> None:
        self._firm = self.seen = _Rows(found, accounts)
        self._since = int(found.opened.min()) // HOUR if len(found) else 0
        self._sorted = np.sort(found.opened)
        slots = np.bincount((found.opened % HOUR) // SECOND, minlength=_SLOTS).astype(np.float64) + 1.0
        self._habit: Floats = np.concatenate(([0.0], np.cumsum(slots / slots.sum())))

    def seen_from(self, found: Openings, accounts: int) -> "Intensity":
        """Returns the same firm, whose rows of `rows_of` and `chances` are those of these openings."""
        view = copy(self)
        view.seen = _Rows(found, accounts)
        return view

    def rows_of(self, account: int) -> Ints:
        """Returns the rows of an account's openings, sorted by symbol, side and time."""
        return self.seen.of(account)

    def chances(self, mine: Ints, theirs: Ints, centre: int, half: int, *, opposite: bool, suspects: Indexes) -> Floats:
        """Returns for each opening of `mine` the chance that it follows one of `theirs` by `centre` microseconds, give
        or take `half`. `mine`, `theirs`: rows of the openings. `suspects`: accounts that are left out of the firm."""
        result = np.zeros(len(mine), dtype=np.float64)
        found, key, others = self.seen.found, self.seen.key, self._firm
        out = np.concatenate([others.of(each) for each in suspects.tolist()]) if len(suspects) else mine[:0]
        out_all = np.sort(others.found.opened[out])
        for group in np.unique(key[mine]).tolist():
            turned = group - 2 if group % 4 == 1 else group + 2
            wanted = turned if opposite else group
            here = np.flatnonzero(key[mine] == group)
            times = found.opened[mine[here]]
            models = found.opened[theirs[key[theirs] == wanted]] + centre
            first = np.searchsorted(models, times - REACH)
            each = np.searchsorted(models, times + REACH, side="right") - first
            if not each.sum():
                continue
            which = np.repeat(np.arange(len(times)), each)
            model = models[np.repeat(first - np.cumsum(each) + each, each) + np.arange(each.sum())]
            inside = np.searchsorted(others.key, [group, group + 1])
            firm = _Times(others.found.opened, int(inside[0]), int(inside[1]))
            own = np.sort(others.found.opened[out[others.key[out] == group]])
            share = self._share(times[which], model, half, firm, own, out_all)
            result[here] = np.minimum(np.bincount(which, weights=share, minlength=len(times)), 1.0)
        return result

    def _share(self, at: Ints, model: Ints, half: int, firm: _Times, out: Ints, out_all: Ints) -> Floats:
        low, high = model - half, model + half
        early, late = at - REACH, at + REACH
        everyone = _Times(self._sorted, 0, len(self._sorted))
        habit = self._habit_between(low, high)
        window = np.maximum(everyone.between(low, high) - _own(out_all, low, high), 0.0)
        hour = np.maximum(everyone.between(early, late) - _own(out_all, early, late), window)
        wide = (window + _WEIGHT * habit) / (hour + _WEIGHT)
        window = np.maximum(firm.between(low, high) - _own(out, low, high), 0.0)
        hour = np.maximum(firm.between(early, late) - _own(out, early, late), window)
        return np.asarray((window + _WEIGHT * wide) / (hour + _WEIGHT), dtype=np.float64)

    def _habit_between(self, low: Ints, high: Ints) -> Floats:
        return self._habit_until(high) - self._habit_until(low)

    def _habit_until(self, at: Ints) -> Floats:
        hours, rest = np.divmod(at, HOUR)
        inside = np.interp(rest / SECOND, np.arange(_SLOTS + 1), self._habit)
        return np.asarray(hours - self._since + inside, dtype=np.float64)
