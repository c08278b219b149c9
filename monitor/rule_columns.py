"""Where every rule stands on every account, as exact int64 columns: row = account, first index = rule of its phase.

The columns execute the same `FloorSpec` data as `domain.rules.floors`: a daily reset is a vector operation per phase
and rule, and a property test holds the two together.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from domain.rules.floors import FloorSpec, RuleState
from domain.rules.state import AccountRules
from monitor.columns import Bools, Floats, Ints

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIELDS = ("basis", "floor", "balance", "equity", "payouts", "seq", "at")
_UNSET = np.iinfo(np.int64).min


def microseconds(at: datetime | None) -> int:
    return 0 if at is None else (at - _EPOCH) // _MICROSECOND


def instant(microseconds_: int) -> datetime | None:
    return None if microseconds_ == 0 else _EPOCH + timedelta(microseconds=microseconds_)


def percentage(basis: Ints, percent: Fraction) -> Ints:
    """`percent` of each basis, rounded half up (ties away from zero), in whole numbers only."""
    share = percent / 100
    top, bottom = 2 * share.numerator, 2 * share.denominator
    if basis.size > 0 and int(np.abs(basis).max()) > 2**62 // max(top, bottom):
        return np.fromiter((_half_up(int(b) * share) for b in basis), np.int64, len(basis))
    return np.asarray(np.sign(basis) * ((np.abs(basis) * top + share.denominator) // bottom), dtype=np.int64)


def _half_up(value: Fraction) -> int:
    size = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return size if value >= 0 else -size


class RuleColumns:
    def __init__(self, capacity: int = 64, rules: int = 2) -> None:
        self._data: npt.NDArray[np.int64] = np.zeros((len(_FIELDS), rules, capacity), np.int64)
        self._data[1] = _UNSET
        self._locked: Bools = np.zeros((rules, capacity), np.bool_)

    @property
    def floor(self) -> Ints:
        """rules x capacity; the lowest integer where a row has no such rule."""
        floors: Ints = self._data[1]
        return floors

    def _fit(self, rules: int, row: int) -> None:
        _, have, capacity = self._data.shape
        wanted = capacity
        while row >= wanted:
            wanted *= 2
        if rules > have or wanted > capacity:
            data = np.zeros((len(_FIELDS), max(rules, have), wanted), np.int64)
            data[1] = _UNSET
            data[:, :have, :capacity] = self._data
            locked = np.zeros((max(rules, have), wanted), np.bool_)
            locked[:have, :capacity] = self._locked
            self._data, self._locked = data, locked

    def put(self, row: int, rules: AccountRules) -> None:
        self._fit(len(rules.specs), row)
        for index, s in enumerate(rules.states):
            self._data[:, index, row] = (
                s.basis_minor,
                s.floor_minor,
                s.balance_minor,
                s.equity_minor,
                s.payouts_minor,
                s.seq,
                microseconds(s.at),
            )
            self._locked[index, row] = s.locked

    def get(self, row: int, specs: tuple[FloorSpec, ...]) -> AccountRules:
        return AccountRules(specs, tuple(self._state(index, row) for index in range(len(specs))))

    def _state(self, index: int, row: int) -> RuleState:
        basis, floor, balance, equity, payouts, seq, at = self._data[:, index, row].tolist()
        return RuleState(basis, floor, bool(self._locked[index, row]), balance, equity, payouts, seq, instant(at))

    def roll(
        self, spec: FloorSpec, index: int, rows: Ints, balance: Ints, equity: Ints, seq: int, at: datetime
    ) -> None:
        """The daily reset of rule `index` for `rows`, whose exact money at that instant is given."""
        if spec.moves == "never" or not rows.size:
            return
        figure = {"balance": balance, "equity": equity}.get(spec.source)
        figure = np.maximum(balance, equity) if figure is None else figure
        if spec.moves != "rollover":
            higher = figure > self._data[0, index, rows]
            rows, balance, equity, figure = rows[higher], balance[higher], equity[higher], figure[higher]
        floor = figure - self._allowance(spec, figure)
        if spec.ceiling_minor is not None:
            floor = np.minimum(floor, spec.ceiling_minor)
        floor = np.where(self._locked[index, rows], spec.lock_level, floor)
        for field, values in enumerate((figure, floor, balance, equity, 0, seq, microseconds(at))):
            self._data[field, index, rows] = values

    @staticmethod
    def _allowance(spec: FloorSpec, basis: Ints) -> Ints:
        if spec.allowance_pct is None:
            return np.full(basis.shape, spec.allowance_minor, np.int64)
        return percentage(basis, Fraction(spec.allowance_pct))

    def highest_floor(self, rows: Ints) -> Ints:
        return np.asarray(self._data[1][:, rows].max(axis=0), np.int64)

    def lowest_equity_peak(self, specs: Sequence[FloorSpec], rows: Ints) -> Floats:
        """Per row the lowest peak that a rise of equity would move; infinity when there is none."""
        peaks = [index for index, spec in enumerate(specs) if spec.follows_equity]
        if not peaks:
            return np.full(rows.shape, np.inf)
        return np.asarray(self._data[0][peaks][:, rows].min(axis=0), np.float64)

    def breached(self, specs: Sequence[FloorSpec], rows: Ints, equity: Ints) -> Bools:
        """Which of `rows` (all under `specs`) stand at or below a floor with this exact equity."""
        hit = np.zeros(rows.shape, np.bool_)
        for index, spec in enumerate(specs):
            floor = self._data[1, index, rows]
            hit |= equity <= floor if spec.inclusive else equity < floor
        return hit
