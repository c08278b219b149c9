"""One-minute equity bars of the accounts that were marked in the minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.columns.account_columns import AccountColumns, Ints
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
    """Follows equity tick by tick, in the columns that every mark writes anyway. An account that was not marked in a
    minute has no bar of it."""

    def __init__(self, columns: AccountColumns) -> None:
        self._columns = columns
        self._minute = datetime.min.replace(tzinfo=UTC)
        self.ends = self._minute

    def touch_row(self, row: int) -> None:
        """Updates the bar of a row whose equity was changed by anything but a tick."""
        line = self._columns.hot[row]
        line[BAR_HIGH], line[BAR_LOW] = max(line[BAR_HIGH], line[EQUITY]), min(line[BAR_LOW], line[EQUITY])
        line[TOUCHED] = 1

    def restart(self, row: int) -> None:
        """Begins the bar of a row whose equity was set anew (an account that was just admitted)."""
        line = self._columns.hot[row]
        line[BAR_OPEN] = line[BAR_HIGH] = line[BAR_LOW] = line[EQUITY]

    def so_far(self) -> Bars | None:
        """Returns the bars of the running minute so far; None when nothing was marked."""
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
        """Closes the running minute and begins that of `at`. Returns the closed bars, if there are any."""
        done = self.so_far()
        self._minute = at.replace(second=0, microsecond=0)
        self.ends = self._minute + _MINUTE
        hot, size = self._columns.hot, self._columns.size
        self._columns.stale[:size] |= hot[:size, TOUCHED] != 0
        hot[:size, TOUCHED] = 0
        hot[:size, BAR_OPEN : BAR_LOW + 1] = hot[:size, EQUITY : EQUITY + 1]
        return done
