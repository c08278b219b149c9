"""A shard's accounts as numpy columns, one row each. Money is minor units of the account's own currency.

`equity` is float64 and only proposes; whatever is decided or stored comes from the exact evaluator. A row's
candidates lie at or below `low_alarm` (a floor within the guard band) or above `high_alarm` (an intraday peak).
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Exact equity rounds each position to the minor unit, so that it differs from the unrounded float by at most half a
# unit per position; the constant covers the float's own error many times over.
GUARD_PER_POSITION = 0.5
GUARD = 0.1


class Columns:
    """Grows by doubling; rows are never given back (an ended account simply goes quiet)."""

    def __init__(self, capacity: int = 64) -> None:
        self.size = 0
        self.balance: Ints = np.zeros(capacity, np.int64)
        self.equity: Floats = np.zeros(capacity, np.float64)
        self.low_alarm: Floats = np.full(capacity, -np.inf)
        self.high_alarm: Floats = np.full(capacity, np.inf)
        self.judged: Bools = np.zeros(capacity, np.bool_)
        self.dirty: Bools = np.zeros(capacity, np.bool_)
        self.positions: Ints = np.zeros(capacity, np.int64)
        self.group: Ints = np.zeros(capacity, np.int64)
        self.terms: Ints = np.zeros(capacity, np.int64)
        # the balance at the start of the trading day, where a proof sheet begins to count
        self.opening: Ints = np.zeros(capacity, np.int64)
        self.opening_seq: Ints = np.zeros(capacity, np.int64)
        self.opening_at: Ints = np.zeros(capacity, np.int64)  # microseconds of the epoch; 0: at the very start
        # events up to here are already contained in what was loaded
        self.synced: Ints = np.zeros(capacity, np.int64)

    @property
    def capacity(self) -> int:
        return len(self.balance)

    def add(self) -> int:
        """A fresh row: no money, not judged."""
        if self.size == self.capacity:
            for name, column in vars(self).items():
                if isinstance(column, np.ndarray):
                    setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
            self.low_alarm[self.size :] = -np.inf
            self.high_alarm[self.size :] = np.inf
        self.size += 1
        return self.size - 1

    def guard(self, rows: Ints) -> Floats:
        """How far the float equity of `rows` may lie from the exact one."""
        return np.asarray(self.positions[rows] * GUARD_PER_POSITION + GUARD, np.float64)

    def guard_of(self, row: int) -> float:
        return float(self.positions[row]) * GUARD_PER_POSITION + GUARD
