"""The state of every rule on every account, as exact int64 columns: row = account, first index = level of its phase.

The columns execute the same `FloorSpec` data as `domain.rules.floors`: a daily reset is a vector operation per terms
and level, peaks that follow equity move in a compiled loop, and a property test compares both with the exact functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.clocks import Begins
from domain.rules import floors
from domain.rules.evaluate import next_step_minor
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.room import warn_left
from domain.rules.state import AccountRules
from domain.rules.terms import Figures
from monitor.columns import kernels
from monitor.columns.account_columns import AccountColumns, Bools, Ints, grown, instant, microseconds

_UNSET: Final = np.iinfo(np.int64).min
_STORED: Final = 7  # all but what follows from them


def percentage(basis: Ints, percent: Fraction) -> Ints:
    """Returns `percent` of each basis, rounded half up, computed in integers; 0 of a negative basis."""
    share, basis = percent / 100, np.maximum(basis, 0)
    top, bottom = 2 * share.numerator, 2 * share.denominator
    if basis.size > 0 and int(basis.max()) > 2**62 // max(top, bottom):
        return np.fromiter((_half_up(int(b) * share) for b in basis), np.int64, len(basis))
    return np.asarray((basis * top + share.denominator) // bottom, dtype=np.int64)


def _half_up(value: Fraction) -> int:
    """Returns a fraction that is not negative as the nearest whole number."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def movable(spec: FloorSpec) -> bool:
    """Returns whether the compiled loop can move this level: its percentage fits 64 bits, it needs no further figures,
    it counts everything in the equity of the account, and it is not a moving ceiling."""
    share = _share(spec)
    fits = share.numerator * share.denominator < 2**61 and share <= 100
    plain = not spec.figured and spec.holds.everything and spec.per == "account"
    return fits and plain and (spec.direction == "floor" or not spec.follows_equity)


def _share(spec: FloorSpec) -> Fraction:
    return Fraction(spec.allowance_pct or 0) / 100


def _warn_pct(spec: FloorSpec) -> int:
    return 100 - spec.warn_at_pct if spec.warn_at_pct else kernels.NO_WARNING


def _level(spec: FloorSpec) -> list[int]:
    """A spec as the compiled loops read it."""
    fields = [0] * kernels.LEVEL_FIELDS
    fields[kernels.FOLLOWS] = spec.follows_equity
    fields[kernels.TAKES_MAX] = spec.source == "max(balance,equity)"
    fields[kernels.FIXED] = spec.allowance_minor or 0
    if spec.allowance_minor is None and movable(spec):
        fields[kernels.TOP], fields[kernels.BOTTOM] = _share(spec).as_integer_ratio()
    fields[kernels.LOCK_AT] = kernels.HIGHEST if spec.ceiling_minor is None else spec.ceiling_minor
    fields[kernels.LOCK_LEVEL] = spec.lock_level
    fields[kernels.INCLUSIVE] = spec.inclusive
    fields[kernels.CEILING] = spec.direction == "ceiling"
    fields[kernels.FLOATING] = spec.holds.floating and spec.per == "account"
    fields[kernels.AT_RESETS] = spec.judged_at == "eod"
    fields[kernels.STEPS] = any(step.when == "equity" for step in spec.steps)
    fields[kernels.WARN_PCT] = _warn_pct(spec)
    return fields


@dataclass(frozen=True, slots=True)
class LevelMoney:
    """The money of some accounts as one level counts it, at one event."""

    balance: Ints
    equity: Ints
    seq: int
    at: datetime

    def mark(self, place: int) -> Mark:
        """The money of one of them. The level is not asked to count it again."""
        return Mark(int(self.balance[place]), int(self.equity[place]), self.seq, self.at)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of many accounts at one moment, level x row. `counts`, `table`: by number of terms, as the compiled
    loops read them."""

    specs: tuple[tuple[FloorSpec, ...], ...]
    counts: Ints
    table: Ints
    basis: Ints
    floor: Ints
    locked: Bools
    figures: dict[tuple[int, int], Figures]

    def of(self, row: int, terms: int) -> AccountRules:
        """The levels of one account as the exact evaluator takes them. What only the record needs is left out."""
        states = tuple(
            RuleState(
                int(self.basis[index, row]),
                int(self.floor[index, row]),
                bool(self.locked[index, row]),
                *(0, 0, 0, 0, None),
                self.figures[index, row] if spec.figured else None,
            )
            for index, spec in enumerate(self.specs[terms])
        )
        return AccountRules(self.specs[terms], states)


class RuleColumns:
    """The rules of the accounts of `columns`. A row's `terms` say which levels it has: see `bind`."""

    def __init__(self, columns: AccountColumns, rules: int = 2) -> None:
        self._columns = columns
        self._data: npt.NDArray[np.int64] = np.zeros((kernels.STATE_FIELDS, rules, columns.capacity), np.int64)
        self._data[kernels.FLOOR] = _UNSET
        self._locked: Bools = np.zeros((rules, columns.capacity), np.bool_)
        self.warned: Bools = np.zeros((rules, columns.capacity), np.bool_)  # since the level's last reset
        self.specs: list[tuple[FloorSpec, ...]] = []
        # how many levels the terms have; negative: only the exact evaluator can move them
        self._levels: Ints = np.zeros(0, np.int64)
        self._table: Ints = np.zeros((0, rules, kernels.LEVEL_FIELDS), np.int64)
        # by row, the profit of a position below which the account is a candidate: it, or its symbol, may lose too much
        self.loss_alarm: Ints = np.zeros(0, np.int64)
        self.watches_losses = False  # whether any terms limit the loss of a symbol or of a position
        self._figures: dict[tuple[int, int], Figures] = {}  # (level, row) -> what few levels need beside their basis

    def bind(self, number: int, specs: Sequence[FloorSpec], *, exact: bool = False) -> None:
        """Terms `number` (counted from 0, in order) have these levels. `exact`: whatever is beyond an alarm goes to the
        exact evaluator, because other rules have alarms too."""
        if number < len(self.specs):
            return
        most = max(self._table.shape[1], len(specs))
        table = np.zeros((number + 1, most, kernels.LEVEL_FIELDS), np.int64)
        table[:number, : self._table.shape[1]] = self._table
        for index, spec in enumerate(specs):
            table[number, index] = _level(spec)
        self._table = table
        count = len(specs) if all(map(movable, specs)) and not exact else -len(specs)
        self._levels = np.append(self._levels, count)
        self.watches_losses |= any(spec.per != "account" for spec in specs)
        self.specs.append(tuple(specs))

    def symbol_specs(self, row: int) -> tuple[FloorSpec, ...]:
        return self.specs[int(self._columns.terms[row])]

    def follow(self, found: Ints, seq: int, at: datetime) -> Ints:
        """Moves the peaks that follow equity of the rows `found` beyond an alarm at event `seq`. Returns those that are
        still beyond one, or that only the exact evaluator can move."""
        columns, out = self._columns, np.zeros(len(found), np.int64)
        accounts = (columns.hot, columns.judged, columns.unknown, columns.synced, columns.terms)
        rules = (self._levels, self._table, self._data, self._locked, self.warned, columns.peaked)
        n = kernels.follow(found, len(found), *accounts, *rules, seq, microseconds(at), out)
        return out[:n]

    def set_alarms(self, rows: Ints, extra: Ints | None = None, muted: Ints | None = None) -> None:
        """Sets the equity at or below which, and above which, `rows` are candidates for the judge.

        extra: levels x rows, what each level adds to the equity of a row. muted: by row, a mask of the levels that are
        not compared, or kernels.EVERY_MARK.
        """
        columns = self._columns
        if extra is None:
            extra = np.zeros((self._table.shape[1], len(rows)), np.int64)
        if muted is None:
            muted = np.zeros(len(rows), np.int64)
        rules = (self._levels, self._table, self._data, self.warned)
        accounts = (columns.hot, columns.judged, columns.unknown, columns.terms)
        kernels.set_alarms(rows, *accounts, *rules, extra, muted)
        if self.watches_losses:
            fresh = columns.capacity - len(self.loss_alarm)
            self.loss_alarm = np.append(self.loss_alarm, np.full(fresh, kernels.LOWEST)) if fresh else self.loss_alarm
            for row, mask in zip(rows.tolist(), muted.tolist(), strict=True):
                self.loss_alarm[row] = self._loss_alarm(row, mask) if columns.judged[row] else kernels.LOWEST

    def _loss_alarm(self, row: int, muted: int) -> int:
        """Where a symbol loses too much, one of the account's positions loses its share of that or more. `muted` as in
        `set_alarms`."""
        found, held = kernels.LOWEST, max(int(self._columns.positions[row]), 1)
        for index, spec in enumerate(self.symbol_specs(row)):
            silent = spec.judged_at == "eod" and self.warned[index, row]
            silent |= muted != kernels.EVERY_MARK and bool(muted >> index & 1)
            if spec.per != "account" and not silent:
                left = 0 if self.warned[index, row] else int(self._data[kernels.WARN_LEFT, index, row]) + 1
                first = int(self._data[kernels.FLOOR, index, row]) + max(spec.inclusive, left)
                found = max(found, first if spec.per == "position" else -(-first // held))
        return found

    def peaks(self, rows: Ints, logins: Ints) -> bytes:
        """The state of the peaks of `rows` that follow equity, as bytes. A checkpoint keeps this of accounts with
        nothing else to store: in a rising market there are many."""
        terms = self._columns.terms[rows]
        parts = []
        for level in range(self._table.shape[1]):
            mine = rows[(self._levels[terms] > level) & (self._table[terms, level, kernels.FOLLOWS] != 0)]
            head = np.stack([logins[mine], np.full(mine.shape, level, np.int64)])
            parts.append(np.concatenate([head, self._data[:_STORED, level, mine]]).T)
        return np.concatenate(parts).astype("<i8", copy=False).tobytes()

    def take_peaks(self, peaks: bytes, row_of: Callable[[int], int | None]) -> list[int]:
        """Reads back what `peaks` wrote and returns the rows. `row_of`: the row of a login, None for an account of
        another shard."""
        found = np.frombuffer(peaks, "<i8").reshape(-1, 2 + _STORED)
        rows = []
        for login, level, *fields in found.tolist():
            row = row_of(login)
            if row is not None:
                self._data[:_STORED, level, row] = fields
                left = warn_left(self.symbol_specs(row)[level], self._state(level, row))
                self._data[kernels.WARN_LEFT, level, row] = left
                rows.append(row)
        return rows

    def frozen(self, size: int) -> "Levels":
        """Returns the levels of the first `size` rows as they are now."""
        return Levels(
            specs=tuple(self.specs),
            counts=self._levels.copy(),
            table=self._table.copy(),
            basis=self._data[kernels.BASIS, :, :size].copy(),
            floor=self._data[kernels.FLOOR, :, :size].copy(),
            locked=self._locked[:, :size].copy(),
            figures=dict(self._figures),
        )

    def nbytes(self) -> int:
        """Memory of the columns in bytes."""
        return self._data.nbytes + self._locked.nbytes + self.warned.nbytes

    def floors(self, rows: Ints) -> list[list[int]]:
        """The levels of each row, by index; the lowest integer where a row has no such level."""
        floors: list[list[int]] = self._data[kernels.FLOOR][:, rows].T.tolist()
        return floors

    def reserve(self, capacity: int) -> None:
        """Makes room for `capacity` rows in all."""
        self._fit(self._data.shape[1], capacity - 1)

    def _fit(self, rules: int, row: int) -> None:
        _, have, capacity = self._data.shape
        wanted = max(capacity, grown(capacity) if row == capacity else row + 1)
        if rules > have or wanted > capacity:
            data = np.zeros((kernels.STATE_FIELDS, max(rules, have), wanted), np.int64)
            data[kernels.FLOOR] = _UNSET
            data[:, :have, :capacity] = self._data
            locked, warned = (np.zeros((max(rules, have), wanted), np.bool_) for _ in range(2))
            locked[:have, :capacity], warned[:have, :capacity] = self._locked, self.warned
            self._data, self._locked, self.warned = data, locked, warned

    def put(self, row: int, rules: AccountRules) -> None:
        """Sets the state of a row's levels."""
        self._fit(len(rules.specs), row)
        for index, (spec, s) in enumerate(zip(rules.specs, rules.states, strict=True)):
            self._put(row, index, spec, s)

    def _put(self, row: int, index: int, spec: FloorSpec, s: RuleState) -> None:
        step = next_step_minor(spec, s)
        self._data[:, index, row] = (
            *(s.basis_minor, s.floor_minor, s.balance_minor, s.equity_minor, s.payouts_minor),
            *(s.seq, microseconds(s.at), warn_left(spec, s), kernels.FAR if step is None else step),
        )
        self._locked[index, row] = s.locked
        if s.figures is not None:
            self._figures[index, row] = s.figures

    def get(self, row: int) -> AccountRules:
        """The state of a row's levels, as the exact evaluator takes it."""
        specs = self.symbol_specs(row)
        return AccountRules(specs, tuple(self._state(index, row) for index in range(len(specs))))

    def _state(self, index: int, row: int) -> RuleState:
        basis, floor, balance, equity, payouts, seq, at = self._data[:_STORED, index, row].tolist()
        locked, figures = bool(self._locked[index, row]), None
        if self.symbol_specs(row)[index].figured:
            figures = self._figures[index, row]
        return RuleState(basis, floor, locked, balance, equity, payouts, seq, instant(at), figures)

    def roll(self, spec: FloorSpec, index: int, rows: Ints, money: "LevelMoney", begins: Begins) -> None:
        """The daily reset of level `index` for `rows`, with their exact money at that instant. `begins`: the periods
        that begin with it."""
        anew = spec.begins_anew and spec.period in begins
        if anew or spec.source == "zero" or spec.moves == "always":
            self.warned[index, rows] = False
        if spec.figured:
            for place, row in enumerate(rows.tolist()):
                self._put(row, index, spec, floors.rolled(spec, self._state(index, row), money.mark(place), begins))
            return
        if spec.moves == "never" or (spec.moves == "rollover" and not anew) or not rows.size:
            return
        balance, equity, seq, at = money.balance, money.equity, money.seq, money.at
        figure = self._figure(spec, balance, equity)
        if not anew and spec.moves != "always":
            higher = figure > self._data[kernels.BASIS, index, rows]
            rows, balance, equity, figure = rows[higher], balance[higher], equity[higher], figure[higher]
        elif not anew:
            changed = figure != self._data[kernels.BASIS, index, rows]
            rows, balance, equity, figure = rows[changed], balance[changed], equity[changed], figure[changed]
        data, allowance = self._data, self._allowance(spec, figure)
        data[kernels.BASIS, index, rows] = figure
        data[kernels.FLOOR, index, rows] = self._level_at(spec, index, rows, figure, allowance)
        data[kernels.STATE_BALANCE, index, rows] = balance
        data[kernels.STATE_EQUITY, index, rows] = equity
        data[kernels.PAYOUTS, index, rows] = 0
        data[kernels.SEQ, index, rows] = seq
        data[kernels.AT, index, rows] = microseconds(at)
        left = _warn_pct(spec)
        data[kernels.WARN_LEFT, index, rows] = (
            left if left == kernels.NO_WARNING else percentage(allowance, Fraction(left))
        )

    def broken_after_reset(self, spec: FloorSpec, index: int, rows: Ints, money: "LevelMoney", begins: Begins) -> Bools:
        """Which of `rows` the next reset would put beyond level `index` if their money stays as it is. `begins`: the
        periods that begin with it."""
        if spec.judged_at == "eod":
            return self.broken_at_close(spec, index, rows, money.equity)
        anew = spec.begins_anew and spec.period in begins
        if spec.per != "account" or (not spec.figured and not anew and spec.moves in ("never", "rollover", "always")):
            return np.zeros(rows.shape, np.bool_)
        if spec.figured:
            states = (
                floors.rolled(spec, self._state(index, row), money.mark(place), begins).floor_minor
                for place, row in enumerate(rows.tolist())
            )
            return _beyond(spec, np.fromiter(states, np.int64, len(rows)), money.equity)
        basis = self._figure(spec, money.balance, money.equity)
        if not anew:
            basis = np.maximum(basis, self._data[kernels.BASIS, index, rows])
        return _beyond(spec, self._level_at(spec, index, rows, basis, self._allowance(spec, basis)), money.equity)

    def breached(self, spec: FloorSpec, index: int, rows: Ints, worth: Ints) -> Bools:
        """Which of `rows` are beyond level `index`, where every event compares it. `worth`: their money as the rule
        counts it."""
        if not spec.compares_always:
            return np.zeros(rows.shape, np.bool_)
        return _beyond(spec, self._data[kernels.FLOOR, index, rows], worth)

    def broken_at_close(self, spec: FloorSpec, index: int, rows: Ints, worth: Ints) -> Bools:
        """Which of `rows` are beyond level `index` at a reset, before it moves the level, where only resets compare
        it."""
        if spec.judged_at != "eod" or spec.per != "account":
            return np.zeros(rows.shape, np.bool_)
        return _beyond(spec, self._data[kernels.FLOOR, index, rows], worth)

    @staticmethod
    def _figure(spec: FloorSpec, balance: Ints, equity: Ints) -> Ints:
        figure = {"balance": balance, "equity": equity}.get(spec.source)
        return np.maximum(balance, equity) if figure is None else figure

    def _level_at(self, spec: FloorSpec, index: int, rows: Ints, basis: Ints, allowance: Ints) -> Ints:
        floor = basis + allowance if spec.direction == "ceiling" else basis - allowance
        if spec.ceiling_minor is not None:
            floor = np.minimum(floor, spec.ceiling_minor)
        return np.asarray(np.where(self._locked[index, rows], spec.lock_level, floor), np.int64)

    @staticmethod
    def _allowance(spec: FloorSpec, basis: Ints) -> Ints:
        if spec.allowance_pct is None:
            return np.full(basis.shape, spec.allowance_minor, np.int64)
        return percentage(basis, Fraction(spec.allowance_pct))


def _beyond(spec: FloorSpec, level: Ints, worth: Ints) -> Bools:
    room = worth - level if spec.direction == "floor" else level - worth
    return np.asarray(room <= 0 if spec.inclusive else room < 0, np.bool_)
