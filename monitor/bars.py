"""One-minute equity bars of the accounts that were marked in the minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.columns import Bools, Columns, Floats, Ints

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of one minute, one element per account (`rows` of the columns)."""

    minute: datetime
    rows: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    balance: Ints


class MinuteBars:
    """Follows equity tick by tick; a minute without a mark of an account leaves no bar of it."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._open: Floats = np.zeros(0)
        self._high: Floats = np.zeros(0)
        self._low: Floats = np.zeros(0)
        self.touched: Bools = np.zeros(0, np.bool_)
        self._minute = datetime.min.replace(tzinfo=UTC)
        self.ends = self._minute
        self.fit()

    def touch(self, rows: Ints, equity: Floats) -> None:
        """`rows` were marked and now stand at `equity`."""
        self._high[rows] = np.maximum(self._high[rows], equity)
        self._low[rows] = np.minimum(self._low[rows], equity)
        self.touched[rows] = True

    def touch_row(self, row: int) -> None:
        equity = self._columns.equity[row]
        self._high[row], self._low[row] = max(self._high[row], equity), min(self._low[row], equity)
        self.touched[row] = True

    def fit(self) -> None:
        """Make room for new rows, which begin where they stand."""
        have, wanted = len(self._open), self._columns.capacity
        if have < wanted:
            fresh = self._columns.equity[have:]
            self._open = np.concatenate([self._open, fresh])
            self._high = np.concatenate([self._high, fresh])
            self._low = np.concatenate([self._low, fresh])
            self.touched = np.concatenate([self.touched, np.zeros(wanted - have, np.bool_)])

    def restart(self, row: int) -> None:
        """A row whose equity was set anew (an account that just came in) begins its bar here."""
        self._open[row] = self._high[row] = self._low[row] = self._columns.equity[row]

    def so_far(self) -> Bars | None:
        """The running minute's bars as they stand; None when nothing was marked."""
        rows = np.flatnonzero(self.touched)
        if not rows.size:
            return None
        columns = self._columns
        return Bars(
            minute=self._minute,
            rows=rows,
            open=_minor(self._open[rows]),
            high=_minor(self._high[rows]),
            low=_minor(self._low[rows]),
            close=_minor(columns.equity[rows]),
            balance=columns.balance[rows],
        )

    def advance(self, at: datetime) -> Bars | None:
        """Close the running minute when `at` lies beyond it; its bars, if there are any."""
        done = self.so_far()
        self._minute = at.replace(second=0, microsecond=0)
        self.ends = self._minute + _MINUTE
        self._columns.dirty[: len(self.touched)] |= self.touched
        self.touched[:] = False
        equity = self._columns.equity
        self._open[:], self._high[:], self._low[:] = equity, equity, equity
        return done


def _minor(equity: Floats) -> Ints:
    return np.asarray(np.rint(equity), np.int64)
