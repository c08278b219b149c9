"""One algebra for every floor under an account's equity, in exact minor units.

A floor stands an allowance below a *basis* (an anchor or a peak). Rule types differ only in where the basis comes
from, when it moves, how large the allowance is, where the floor stops rising and what a payout does. A `FloorSpec`
says that as data: the functions here execute it for one account, the monitor executes the same data on columns.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from domain.money import half_up
from domain.products import Operator

Source = Literal["initial", "balance", "equity", "max(balance,equity)"]
Moves = Literal["never", "rollover", "rollover_peak", "peak"]
PayoutEffect = Literal["unchanged", "basis_falls", "locks"]


@dataclass(frozen=True, slots=True)
class FloorSpec:
    """What a rule of a phase means for one account.

    `moves`: `rollover` takes the source's figure at each reset, `rollover_peak` only a higher one, `peak` a higher
    one at every event. `allowance_minor` is fixed money; when None, `allowance_pct` percent of the basis.
    """

    rule_id: str
    rule_type: str
    source: Source
    moves: Moves
    initial_minor: int
    allowance_minor: int | None
    allowance_pct: Decimal | None
    ceiling_minor: int | None
    payout: PayoutEffect
    operator: Operator

    @property
    def inclusive(self) -> bool:
        return self.operator == "equity <= floor"

    @property
    def follows_equity(self) -> bool:
        """Whether a mere price change can move the basis."""
        return self.moves == "peak" and self.source in ("equity", "max(balance,equity)")

    @property
    def lock_level(self) -> int:
        """Where a payout that locks fixes the floor: the lock's level, or the initial balance without one."""
        return self.initial_minor if self.ceiling_minor is None else self.ceiling_minor

    def allowance(self, basis_minor: int) -> int:
        if self.allowance_minor is not None:
            return self.allowance_minor
        assert self.allowance_pct is not None
        return half_up(Decimal(basis_minor) * self.allowance_pct / 100)

    def figure(self, balance_minor: int, equity_minor: int) -> int:
        """What the basis is taken from, at a moment with this balance and equity."""
        if self.source == "balance":
            return balance_minor
        if self.source == "equity":
            return equity_minor
        return max(balance_minor, equity_minor) if self.source == "max(balance,equity)" else self.initial_minor


@dataclass(frozen=True, slots=True)
class Mark:
    """An account's money at one moment of the stream."""

    balance_minor: int
    equity_minor: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class RuleState:
    """Where a rule stands on one account, and where its basis came from.

    `balance_minor` and `equity_minor` are the account's when the basis was taken, at `seq` / `at` (0 / None: the
    initial balance); `payouts_minor` is what payouts have since taken off it.
    """

    basis_minor: int
    floor_minor: int
    locked: bool
    balance_minor: int
    equity_minor: int
    payouts_minor: int
    seq: int
    at: datetime | None


def floor_of(spec: FloorSpec, basis_minor: int, *, locked: bool) -> int:
    """The floor that follows from a basis; fixed once a payout has locked it."""
    if locked:
        return spec.lock_level
    floor = basis_minor - spec.allowance(basis_minor)
    return floor if spec.ceiling_minor is None else min(floor, spec.ceiling_minor)


def opened(spec: FloorSpec) -> RuleState:
    initial = spec.initial_minor
    return RuleState(initial, floor_of(spec, initial, locked=False), False, initial, initial, 0, 0, None)


def _taken(spec: FloorSpec, state: RuleState, mark: Mark, basis: int) -> RuleState:
    return RuleState(
        basis_minor=basis,
        floor_minor=floor_of(spec, basis, locked=state.locked),
        locked=state.locked,
        balance_minor=mark.balance_minor,
        equity_minor=mark.equity_minor,
        payouts_minor=0,
        seq=mark.seq,
        at=mark.at,
    )


def marked(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """After any event: intraday peaks rise."""
    if spec.moves != "peak":
        return state
    figure = spec.figure(mark.balance_minor, mark.equity_minor)
    return _taken(spec, state, mark, figure) if figure > state.basis_minor else state


def rolled(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """At the daily reset: anchors are taken anew, every kind of peak may rise."""
    if spec.moves == "never":
        return state
    figure = spec.figure(mark.balance_minor, mark.equity_minor)
    return _taken(spec, state, mark, figure) if spec.moves == "rollover" or figure > state.basis_minor else state


def paid_out(spec: FloorSpec, state: RuleState, amount_minor: int) -> RuleState:
    """`amount_minor` left as a payout (negative: it came back)."""
    if spec.payout != "basis_falls":
        return state
    basis = state.basis_minor - amount_minor
    return replace(
        state,
        basis_minor=basis,
        floor_minor=floor_of(spec, basis, locked=state.locked),
        payouts_minor=state.payouts_minor + amount_minor,
    )


def settled(spec: FloorSpec, state: RuleState) -> RuleState:
    """A payout has been paid: it may fix the floor for good."""
    if spec.payout != "locks" or state.locked:
        return state
    return replace(state, locked=True, floor_minor=spec.lock_level)


def breached(spec: FloorSpec, floor_minor: int, equity_minor: int) -> bool:
    return equity_minor <= floor_minor if spec.inclusive else equity_minor < floor_minor
