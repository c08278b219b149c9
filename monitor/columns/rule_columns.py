"""Where every rule stands on every account, as exact int64 columns: row = account, first index = rule of its phase.

The columns execute the same `FloorSpec` data as `domain.rules.floors`: a daily reset is a vector operation per phase
and rule, peaks that follow equity move in a compiled loop, and a property test holds them to the exact functions.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from domain.rules.floors import FloorSpec, RuleState
from domain.rules.room import WARN_AT_PCT
from domain.rules.state import AccountRules
from monitor.columns import kernels
from monitor.columns.account_columns import Bools, Columns, Ints, grown

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


def plain(specs: Sequence[FloorSpec]) -> bool:
    """Whether the compiled loop can move these levels: they count all that equity holds, and no ceiling moves."""
    return all(spec.holds.everything and (spec.direction == "floor" or not spec.follows_equity) for spec in specs)


def _level(spec: FloorSpec) -> list[int] | None:
    """A spec as the compiled loop reads it; None when its percentage does not fit whole numbers."""
    share = Fraction(spec.allowance_pct or 0) / 100
    if share.numerator * share.denominator >= 2**61 or share > 100:
        return None
    fields = [0] * kernels.LEVEL_FIELDS
    fields[kernels.FOLLOWS] = spec.follows_equity
    fields[kernels.TAKES_MAX] = spec.source == "max(balance,equity)"
    fields[kernels.FIXED] = spec.allowance_minor or 0
    if spec.allowance_minor is None:
        fields[kernels.TOP], fields[kernels.BOTTOM] = share.numerator, share.denominator
    fields[kernels.LOCK_AT] = kernels.HIGHEST if spec.ceiling_minor is None else spec.ceiling_minor
    fields[kernels.LOCK_LEVEL] = spec.lock_level
    fields[kernels.INCLUSIVE] = spec.inclusive
    fields[kernels.CEILING] = spec.direction == "ceiling"
    return fields


class RuleColumns:
    def __init__(self, capacity: int = 64, rules: int = 2) -> None:
        self._data: npt.NDArray[np.int64] = np.zeros((len(_FIELDS), rules, capacity), np.int64)
        self._data[1] = _UNSET
        self._locked: Bools = np.zeros((rules, capacity), np.bool_)
        self.told: Bools = np.zeros((rules, capacity), np.bool_)  # warned of since the level's last reset
        self._levels: Ints = np.zeros(0, np.int64)
        self._table: Ints = np.zeros((0, rules, kernels.LEVEL_FIELDS), np.int64)

    def bind(self, number: int, specs: Sequence[FloorSpec]) -> None:
        """Terms `number` (counted from 0, in order) mean these levels."""
        if number < len(self._levels):
            return
        fields = [_level(spec) for spec in specs]
        by_hand = not plain(specs) or None in fields
        most = max(self._table.shape[1], len(specs))
        table = np.zeros((number + 1, most, kernels.LEVEL_FIELDS), np.int64)
        table[:number, : self._table.shape[1]] = self._table
        for index, level in enumerate(fields):
            table[number, index] = level or [0] * kernels.LEVEL_FIELDS
        self._table = table
        self._levels = np.append(self._levels, -1 if by_hand else len(specs))

    def follow(self, columns: Columns, found: Ints, seq: int, at: datetime) -> Ints:
        """Move the peaks that follow equity of the rows that stand beyond an alarm at event `seq`. Gives those that then
        stand beyond a level, or that only the exact evaluator can move."""
        out = np.zeros(len(found), np.int64)
        accounts = (columns.hot, columns.judged, columns.unknown, columns.synced, columns.terms)
        rules = (self._levels, self._table, self._data, self._locked, self.told, columns.peaked)
        n = kernels.follow(found, len(found), *accounts, *rules, seq, microseconds(at), out)
        return out[:n]

    def peaks(self, columns: Columns, rows: Ints, logins: Ints) -> bytes:
        """Where the peaks of `rows` stand that follow equity, as bytes: a checkpoint keeps this of the accounts with
        nothing else to store, since in a rising market there are many."""
        terms = columns.terms[rows]
        parts = []
        for level in range(self._table.shape[1]):
            mine = rows[(self._levels[terms] > level) & (self._table[terms, level, kernels.FOLLOWS] != 0)]
            head = np.stack([logins[mine], np.full(mine.shape, level, np.int64)])
            parts.append(np.concatenate([head, self._data[:, level, mine]]).T)
        return np.concatenate(parts).astype("<i8", copy=False).tobytes()

    def take_peaks(self, peaks: bytes, row_of: Callable[[int], int | None]) -> list[int]:
        """Read back what `peaks` wrote; gives the rows. `row_of`: the row of a login, None for an account elsewhere."""
        width = 2 + len(_FIELDS)
        found = np.frombuffer(peaks, "<i8").reshape(-1, width)
        rows = []
        for login, level, *fields in found.tolist():
            row = row_of(login)
            if row is not None:
                self._data[:, level, row] = fields
                rows.append(row)
        return rows

    def nbytes(self) -> int:
        """Memory of the columns."""
        return self._data.nbytes + self._locked.nbytes + self.told.nbytes

    @property
    def floor(self) -> Ints:
        """rules x capacity; the lowest integer where a row has no such rule."""
        floors: Ints = self._data[1]
        return floors

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` rows in all."""
        self._fit(self._data.shape[1], capacity - 1)

    def _fit(self, rules: int, row: int) -> None:
        _, have, capacity = self._data.shape
        wanted = max(capacity, grown(capacity) if row == capacity else row + 1)
        if rules > have or wanted > capacity:
            data = np.zeros((len(_FIELDS), max(rules, have), wanted), np.int64)
            data[1] = _UNSET
            data[:, :have, :capacity] = self._data
            locked, told = (np.zeros((max(rules, have), wanted), np.bool_) for _ in range(2))
            locked[:have, :capacity], told[:have, :capacity] = self._locked, self.told
            self._data, self._locked, self.told = data, locked, told

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
        figure = self._figure(spec, balance, equity)
        if spec.moves != "rollover":
            higher = figure > self._data[0, index, rows]
            rows, balance, equity, figure = rows[higher], balance[higher], equity[higher], figure[higher]
        else:
            self.told[index, rows] = False
        floor = self._level_at(spec, index, rows, figure)
        taken: tuple[Ints | int, ...] = (figure, floor, balance, equity, 0, seq, microseconds(at))
        for field, values in enumerate(taken):
            self._data[field, index, rows] = values

    def broken_after_reset(self, spec: FloorSpec, index: int, rows: Ints, balance: Ints, equity: Ints) -> Bools:
        """Which of `rows` the next reset would put beyond level `index` if their money stays as it is."""
        if spec.moves == "never":
            return np.zeros(rows.shape, np.bool_)
        basis = self._figure(spec, balance, equity)
        if spec.moves != "rollover":
            basis = np.maximum(basis, self._data[0, index, rows])
        level = self._level_at(spec, index, rows, basis)
        room = equity - level if spec.direction == "floor" else level - equity
        return np.asarray(room <= 0 if spec.inclusive else room < 0, np.bool_)

    @staticmethod
    def _figure(spec: FloorSpec, balance: Ints, equity: Ints) -> Ints:
        figure = {"balance": balance, "equity": equity}.get(spec.source)
        return np.maximum(balance, equity) if figure is None else figure

    def _level_at(self, spec: FloorSpec, index: int, rows: Ints, basis: Ints) -> Ints:
        allowance = self._allowance(spec, basis)
        floor = basis + allowance if spec.direction == "ceiling" else basis - allowance
        if spec.ceiling_minor is not None:
            floor = np.minimum(floor, spec.ceiling_minor)
        return np.asarray(np.where(self._locked[index, rows], spec.lock_level, floor), np.int64)

    @staticmethod
    def _allowance(spec: FloorSpec, basis: Ints) -> Ints:
        if spec.allowance_pct is None:
            return np.full(basis.shape, spec.allowance_minor, np.int64)
        return percentage(basis, Fraction(spec.allowance_pct))

    def alarms(self, specs: Sequence[FloorSpec], rows: Ints, uncounted: Mapping[int, Ints]) -> tuple[Ints, Ints]:
        """Per row of `rows` (all under `specs`) the equity at or below which, and that above which, the judge must look:
        a floor or a ceiling is broken there, or a peak moves. uncounted: by index of a level, what the level adds to
        each row's equity. Where a warning is still to be told, that comes first."""
        low = np.full(rows.shape, kernels.LOWEST, np.int64)
        high = np.full(rows.shape, kernels.HIGHEST, np.int64)
        for index, spec in enumerate(specs):
            extra = uncounted.get(index, 0)
            if spec.holds.floating:
                level = self._data[1, index, rows] - extra
                left = percentage(self._allowance(spec, self._data[0, index, rows]), Fraction(100 - WARN_AT_PCT))
                told = self.told[index, rows]
                if spec.direction == "ceiling":
                    high = np.minimum(high, level - np.where(told, spec.inclusive, left + 1))
                else:
                    low = np.maximum(low, level + np.where(told, spec.inclusive - 1, left))
            if spec.follows_equity:
                high = np.minimum(high, self._data[0, index, rows] - extra)
        return low, high

    def breached(self, index: int, spec: FloorSpec, rows: Ints, worth: Ints) -> Bools:
        """Which of `rows` stand beyond level `index` when they are worth so much, as the rule counts it."""
        level = self._data[1, index, rows]
        room = worth - level if spec.direction == "floor" else level - worth
        return np.asarray(room <= 0 if spec.inclusive else room < 0, np.bool_)
