"""A shard's accounts as numpy columns, one row each. Money is exact: int64 minor units of the account's own currency.

What every mark reads and writes of an account (`hot`) lies on one cache line; the names below are views of it. An
account is a candidate for the judge when its equity lies at or below `low_alarm`, or above `high_alarm`.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from monitor.columns import kernels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Narrow = npt.NDArray[np.int32]
Short = npt.NDArray[np.int16]

SLOTS = 4  # open positions of an account that have a place in its row; the rare account with more has a list beside it
EMPTY = -1
_LINE = 64
_GROWING = (
    *(
        "judged",
        "dirty",
        "positions",
        "unknown",
        "group",
        "loss_group",
        "terms",
        "opening",
        "opening_seq",
        "opening_at",
        "synced",
    ),
    "slots",
    "stale",
    "peaked",
)


def aligned(rows: int) -> Ints:
    """Zeroed `rows` x 8 integers, each row on one cache line."""
    raw = np.zeros(rows * _LINE + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + rows * _LINE].view(np.int64).reshape(rows, 8)


class Columns:
    """Rows are never given back (an ended account simply goes quiet)."""

    equity: Ints
    balance: Ints
    low_alarm: Ints
    high_alarm: Ints

    def __init__(self, capacity: int = 64) -> None:
        self.size = 0
        self.hot = aligned(0)
        self.judged: Bools = np.zeros(0, np.bool_)
        self.dirty: Bools = np.zeros(0, np.bool_)
        self.stale: Bools = np.zeros(0, np.bool_)  # marked since it was stored, and nothing more than that
        self.peaked: Bools = np.zeros(0, np.bool_)  # a peak that follows equity moved since it was stored
        self.positions: Short = np.zeros(0, np.int16)
        self.unknown: Short = np.zeros(0, np.int16)  # how many of them have no known value yet
        # whose resets end its trading day, and whose take its anchors and end-of-day peaks
        self.group: Short = np.zeros(0, np.int16)
        self.loss_group: Short = np.zeros(0, np.int16)
        self.terms: Short = np.zeros(0, np.int16)
        # the balance at the start of the trading day, where a proof sheet begins to count
        self.opening: Ints = np.zeros(0, np.int64)
        self.opening_seq: Ints = np.zeros(0, np.int64)
        self.opening_at: Ints = np.zeros(0, np.int64)  # microseconds of the epoch; 0: at the very start
        # events up to here are already contained in what was loaded
        self.synced: Ints = np.zeros(0, np.int64)
        self.slots: Ints = np.zeros((0, SLOTS), np.int64)
        self._overflow: dict[int, list[int]] = {}
        self.reserve(capacity)

    @property
    def capacity(self) -> int:
        return len(self.hot)

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` rows in all."""
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
        """A fresh row: no money, not judged."""
        if self.size == self.capacity:
            self.reserve(grown(self.capacity))
        self.size += 1
        return self.size - 1

    def held(self, row: int) -> Iterator[int]:
        """The references of a row's open positions, in the order in which they came."""
        for reference in self.slots[row].tolist():
            if reference != EMPTY:
                yield reference
        if self._overflow:
            yield from self._overflow.get(row, ())

    def hold(self, row: int, reference: int) -> None:
        """Note one more open position of a row."""
        free = np.flatnonzero(self.slots[row] == EMPTY)
        if free.size:
            self.slots[row, free[0]] = reference
        else:
            self._overflow.setdefault(row, []).append(reference)
        self.positions[row] += 1

    def move(self, row: int, reference: int, now: int) -> None:
        """A position of a row has another reference."""
        place = np.flatnonzero(self.slots[row] == reference)
        if place.size:
            self.slots[row, place[0]] = now
        else:
            more = self._overflow[row]
            more[more.index(reference)] = now

    def release(self, row: int, reference: int) -> None:
        """A position of a row is closed; one of the overflow takes a slot that became free."""
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

    def nbytes(self) -> int:
        """Memory of all columns."""
        return int(self.hot.nbytes + sum(getattr(self, name).nbytes for name in _GROWING))


def grown(capacity: int) -> int:
    """The next capacity: an eighth more, so that little lies idle in a shard of many accounts."""
    return max(64, capacity + capacity // 8)
