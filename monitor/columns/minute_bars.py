"""One-minute equity bars of the accounts that were marked in the minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.columns.account_columns import Columns, Ints
from monitor.columns.kernels import BAR_HIGH, BAR_LOW, BAR_OPEN, EQUITY, TOUCHED

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
    """Follows equity tick by tick, in the columns that every mark writes anyway; a minute without a mark of an account
    leaves no bar of it."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._minute = datetime.min.replace(tzinfo=UTC)
        self.ends = self._minute

    @property
    def touched(self) -> Ints:
        """Per row 1 when it was marked in the running minute, else 0; a view."""
        return self._columns.hot[:, TOUCHED]

    def touch_row(self, row: int) -> None:
        """A row was marked otherwise than by a tick."""
        line = self._columns.hot[row]
        line[BAR_HIGH], line[BAR_LOW] = max(line[BAR_HIGH], line[EQUITY]), min(line[BAR_LOW], line[EQUITY])
        line[TOUCHED] = 1

    def restart(self, row: int) -> None:
        """A row whose equity was set anew (an account that just came in) begins its bar here."""
        line = self._columns.hot[row]
        line[BAR_OPEN] = line[BAR_HIGH] = line[BAR_LOW] = line[EQUITY]

    def so_far(self) -> Bars | None:
        """The running minute's bars as they stand; None when nothing was marked."""
        columns = self._columns
        rows = np.flatnonzero(columns.hot[: columns.size, TOUCHED])
        if not rows.size:
            return None
        marked = columns.hot[rows]
        return Bars(
            minute=self._minute,
            rows=rows,
            open=marked[:, BAR_OPEN],
            high=marked[:, BAR_HIGH],
            low=marked[:, BAR_LOW],
            close=marked[:, EQUITY],
            balance=columns.balance[rows],
        )

    def advance(self, at: datetime) -> Bars | None:
        """Close the running minute when `at` lies beyond it; its bars, if there are any."""
        done = self.so_far()
        self._minute = at.replace(second=0, microsecond=0)
        self.ends = self._minute + _MINUTE
        hot, size = self._columns.hot, self._columns.size
        self._columns.stale[:size] |= hot[:size, TOUCHED] != 0
        hot[:size, TOUCHED] = 0
        hot[:size, BAR_OPEN : BAR_LOW + 1] = hot[:size, EQUITY : EQUITY + 1]
        return done
