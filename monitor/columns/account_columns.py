"""A shard's accounts as numpy columns, one row each. Money is exact: int64 minor units of the account's own currency.

What every mark reads and writes of an account (`hot`) is on one cache line; `equity`, `balance` and the alarms are
views of it. An account is a candidate for the judge when its equity is at or below `low_alarm`, or above `high_alarm`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.columns import kernels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Narrow = npt.NDArray[np.int32]
Short = npt.NDArray[np.int16]

SLOTS: Final = 4  # open positions that have a place in an account's row; a rare account with more has a list beside it
EMPTY: Final = -1
_LINE: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_GROWING: Final = (
    *("judged", "dirty", "stale", "peaked", "positions", "unknown", "group", "loss_group", "terms"),
    *("opening", "opening_seq", "opening_at", "synced", "slots"),
)


def microseconds(at: datetime | None) -> int:
    """An instant as columns keep it: microseconds since 1970, 0 for none."""
    return 0 if at is None else (at - _EPOCH) // _MICROSECOND


def instant(microseconds_: int) -> datetime | None:
    """Reads back what `microseconds` wrote."""
    return None if microseconds_ == 0 else _EPOCH + timedelta(microseconds=microseconds_)


def aligned(rows: int) -> Ints:
    """Returns zeros, `rows` x 8 integers, each row on one cache line."""
    raw = np.zeros(rows * _LINE + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + rows * _LINE].view(np.int64).reshape(rows, 8)


class AccountColumns:
    """Rows are never reused: an ended account keeps its row and is not judged any more."""

    equity: Ints
    balance: Ints
    low_alarm: Ints
    high_alarm: Ints

    def __init__(self, capacity: int = 64) -> None:
        self.size = 0
        self.hot = aligned(0)
        self.judged: Bools = np.zeros(0, np.bool_)
        self.dirty: Bools = np.zeros(0, np.bool_)  # changed since it was stored
        self.stale: Bools = np.zeros(0, np.bool_)  # marked in an earlier minute since it was stored
        self.peaked: Bools = np.zeros(0, np.bool_)  # a peak that follows equity moved since it was stored
        self.positions: Short = np.zeros(0, np.int16)
        self.unknown: Short = np.zeros(0, np.int16)  # how many of the positions have no known value yet
        # the clock group whose resets end the trading day, and the one whose resets move anchors and end-of-day peaks
        self.group: Short = np.zeros(0, np.int16)
        self.loss_group: Short = np.zeros(0, np.int16)
        self.terms: Short = np.zeros(0, np.int16)  # a number in the roster's table of terms
        # the balance at the start of the trading day, from which a proof sheet counts
        self.opening: Ints = np.zeros(0, np.int64)
        self.opening_seq: Ints = np.zeros(0, np.int64)
        self.opening_at: Ints = np.zeros(0, np.int64)  # microseconds; 0: at the very start
        self.synced: Ints = np.zeros(0, np.int64)  # events up to here are contained in what was loaded
        self.slots: Ints = np.zeros((0, SLOTS), np.int64)
        self._last_turn = -1  # the last row that was stored only because it was marked
        self._overflow: dict[int, list[int]] = {}
        self.reserve(capacity)

    @property
    def capacity(self) -> int:
        return len(self.hot)

    def reserve(self, capacity: int) -> None:
        """Makes room for `capacity` rows in all."""
        fresh = capacity - self.capacity
        if fresh <= 0:
            return
        for name in _GROWING:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros((fresh, *column.shape[1:]), column.dtype)]))
        hot = aligned(capacity)
        hot[: self.size] = self.hot[: self.size]
        hot[self.size :, kernels.LOW], hot[self.size :, kernels.HIGH] = kernels.LOWEST, kernels.HIGHEST
        self.slots[self.size :] = EMPTY
        self.hot = hot
        self.equity, self.balance = hot[:, kernels.EQUITY], hot[:, kernels.BALANCE]
        self.low_alarm, self.high_alarm = hot[:, kernels.LOW], hot[:, kernels.HIGH]

    def add(self) -> int:
        """Adds a row without money, not judged, and returns its number."""
        if self.size == self.capacity:
            self.reserve(grown(self.capacity))
        self.size += 1
        return self.size - 1

    def held(self, row: int) -> Iterator[int]:
        """The references of a row's open positions, in the order in which they were opened."""
        for reference in self.slots[row].tolist():
            if reference != EMPTY:
                yield reference
        if self._overflow:
            yield from self._overflow.get(row, ())

    def hold(self, row: int, reference: int) -> None:
        """Adds a reference to an open position of a row."""
        free = np.flatnonzero(self.slots[row] == EMPTY)
        if free.size:
            self.slots[row, free[0]] = reference
        else:
            self._overflow.setdefault(row, []).append(reference)
        self.positions[row] += 1

    def move(self, row: int, reference: int, now: int) -> None:
        """Replaces the reference of a position."""
        place = np.flatnonzero(self.slots[row] == reference)
        if place.size:
            self.slots[row, place[0]] = now
        else:
            more = self._overflow[row]
            more[more.index(reference)] = now

    def release(self, row: int, reference: int) -> None:
        """Removes the reference of a closed position; one of the overflow takes its slot."""
        place = np.flatnonzero(self.slots[row] == reference)
        more = self._overflow.get(row)
        if not place.size:
            assert more is not None
            more.remove(reference)
        else:
            self.slots[row, place[0]] = more.pop(0) if more else EMPTY
        if more == []:
            del self._overflow[row]
        self.positions[row] -= 1

    def marked(self) -> Bools:
        """Which rows were marked since they were stored, or had a peak moved."""
        size = self.size
        marked: Bools = self.stale[:size] | self.peaked[:size] | (self.hot[:size, kernels.TOUCHED] != 0)
        return marked

    def peaked_rows(self) -> Ints:
        """The rows whose peaks moved since they were stored."""
        return np.flatnonzero(self.peaked[: self.size])

    def take_changed(self, turns: int | None) -> Ints:
        """Returns the rows to store now; they count as stored from here on. `turns`: how many of the rows that were
        only marked, which take turns; None for all."""
        dirty, marked = self.dirty[: self.size], self.marked()
        if turns is None:
            rows = np.flatnonzero(dirty | marked)
        else:
            waiting = np.flatnonzero(marked & ~dirty)
            start = int(np.searchsorted(waiting, self._last_turn, side="right"))
            taken = np.concatenate([waiting[start:], waiting[:start]])[:turns]
            self._last_turn = int(taken[-1]) if taken.size else -1
            rows = np.concatenate([np.flatnonzero(dirty), taken])
        self.dirty[rows] = self.stale[rows] = self.peaked[rows] = False
        return rows

    def nbytes(self) -> int:
        """Memory of all columns in bytes."""
        return int(self.hot.nbytes + sum(getattr(self, name).nbytes for name in _GROWING))


def grown(capacity: int) -> int:
    """Returns the next capacity: an eighth more, so that a large shard has little unused memory."""
    return max(64, capacity + capacity // 8)
