"""The exact arithmetic of every floor and ceiling, in minor units.

A floor is a *basis* (an anchor or a peak) minus an allowance, a ceiling is the basis plus the allowance. Rule types
differ only in the source of the basis, the events that move it, the size of the allowance, the level at which the floor
stops rising, the effect of a payout, and the parts of the worth that count. A `FloorSpec` states these as data. The
functions here execute it for one account; the monitor executes the same data on columns.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from domain.clocks import ONLY_A_DAY, Begins, Period
from domain.money import half_up
from domain.rules.events import OpenResult
from domain.rules.terms import Figures, FloorStep, MovingSize, Operator, SizeFigures, Terms
from domain.wording import capital, listing

Source = Literal["initial", "balance", "equity", "max(balance,equity)", "zero"]
BasisMoves = Literal["never", "rollover", "rollover_peak", "peak", "peak_since_rollover", "always"]
Direction = Literal["floor", "ceiling"]
SettlementEffect = Literal["unchanged", "locks", "zero", "reset"]
JudgedAt = Literal["every_event", "eod"]
Per = Literal["account", "symbol", "position"]

_MOVE_AT_MARKS: Final = ("peak", "peak_since_rollover", "always")
_ANCHORS: Final = ("rollover", "peak_since_rollover")


class WorthParts(Terms):
    """The parts of the account's worth that a rule counts. Costs that do not count are added back; floating profit and
    loss that does not count is left out."""

    floating: bool = True
    commissions: bool = True
    swaps: bool = True
    fees: bool = True

    @property
    def everything(self) -> bool:
        return self.floating and self.commissions and self.swaps and self.fees

    @property
    def words(self) -> str:
        """The parts that do not count, as a sentence after a space; empty when everything counts."""
        named = {"open profit and loss": self.floating, "commissions": self.commissions, "swaps": self.swaps}
        left_out = [name for name, counted in {**named, "fees": self.fees}.items() if not counted]
        return f" {capital(listing(left_out))} do not count for this rule." if left_out else ""


EVERYTHING: Final = WorthParts()


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of an account since it was opened, in minor units (negative: it paid)."""

    commission_minor: int = 0
    swap_minor: int = 0
    fee_minor: int = 0


NO_COSTS: Final = Costs()


@dataclass(frozen=True, slots=True)
class Mark:
    """The money of an account at one event. `positions`: what each open position makes; None where it is not known, or
    where no rule asks."""

    balance_minor: int
    equity_minor: int
    seq: int
    at: datetime
    costs: Costs = NO_COSTS
    positions: tuple[OpenResult, ...] | None = None


WARN_AT_PCT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorSpec:
    """One level of a rule, for accounts with one initial balance.

    `moves`: `rollover` sets the basis to the figure of the source at each reset that begins a `period`, `rollover_peak`
    only if it is higher, `peak` at every event if it is higher; `peak_since_rollover` does what `rollover` and `peak`
    do; `always` sets it at every event. The allowance is `allowance_minor`, or `allowance_pct` percent of the basis, or
    `allowance_size`. `ceiling_minor` (floors only): the floor stops rising there. `payout_falls`: a held payout lowers
    the basis by its amount. `settles`: the permanent effect of a settled payout; of each one with `reset`, else of the
    first. `steps`: levels of the account that set the floor anew. `judged_at`: `eod` compares at resets only, with the
    level from before the reset. `per`: the worth is that of each symbol or each position by itself.
    `warn_at_pct`: the used share of the allowance at which a warning is due; 0: never.
    """

    rule_id: str
    rule_type: str
    source: Source
    moves: BasisMoves
    initial_minor: int
    allowance_minor: int | None
    allowance_pct: Decimal | None
    operator: Operator
    allowance_size: MovingSize | None = None
    direction: Direction = "floor"
    ceiling_minor: int | None = None
    payout_falls: bool = False
    settles: SettlementEffect = "unchanged"
    holds: WorthParts = EVERYTHING
    period: Period = "day"
    steps: tuple[FloorStep, ...] = ()
    judged_at: JudgedAt = "every_event"
    per: Per = "account"
    warn_at_pct: int = WARN_AT_PCT
    # Read at every mark of every account, so computed once: whether every part of the worth counts; whether a level
    # that is just reached is broken; whether the level needs `Figures`; whether any event can move the basis; which
    # side of the level is beyond; whether every event compares the worth of the whole account.
    counts_everything: bool = field(init=False, compare=False, repr=False)
    inclusive: bool = field(init=False, compare=False, repr=False)
    figured: bool = field(init=False, compare=False, repr=False)
    moves_at_marks: bool = field(init=False, compare=False, repr=False)
    is_ceiling: bool = field(init=False, compare=False, repr=False)
    compares_always: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        figured = self.allowance_size is not None or bool(self.steps)
        for name, value in (
            ("counts_everything", self.holds.everything),
            ("inclusive", self.operator == "equity <= floor"),
            ("figured", figured),
            ("moves_at_marks", figured or self.moves in _MOVE_AT_MARKS),
            ("is_ceiling", self.direction == "ceiling"),
            ("compares_always", self.judged_at == "every_event" and self.per == "account"),
        ):
            object.__setattr__(self, name, value)

    @property
    def key(self) -> str:
        """The id of the rule, with `.up` for a ceiling: distinguishes the levels of one rule."""
        return self.rule_id if self.direction == "floor" else f"{self.rule_id}.up"

    @property
    def follows_equity(self) -> bool:
        """Whether a price change alone can move the basis."""
        follows = self.moves in ("peak", "peak_since_rollover")
        return follows and self.source in ("equity", "max(balance,equity)") and self.holds.floating

    @property
    def begins_anew(self) -> bool:
        """Whether the basis begins anew at a reset, instead of only rising."""
        return self.moves in _ANCHORS

    @property
    def lock_level(self) -> int:
        """The level at which a payout locks the floor: the level of the lock, or the initial balance without one;
        zero when the payout sets the floor to zero."""
        if self.settles == "zero":
            return 0
        return self.initial_minor if self.ceiling_minor is None else self.ceiling_minor

    def allowance(self, basis_minor: int, figures: Figures | None = None) -> int:
        """Returns the allowance at this basis, in minor units, or NO_LIMIT. Without `figures`, for a new account with
        this basis."""
        if self.allowance_minor is not None:
            return self.allowance_minor
        if self.allowance_size is not None:
            return self.sized(self.allowance_size, basis_minor, figures)
        assert self.allowance_pct is not None
        return half_up(Decimal(basis_minor) * self.allowance_pct / 100) if basis_minor > 0 else 0

    def sized(self, allowance: MovingSize, basis_minor: int, figures: Figures | None) -> int:
        """Returns a size in minor units. Where the basis of the rule is an anchor or a peak, it is the one meant."""
        figures = figures or Figures.first(self.initial_minor)
        known = SizeFigures(
            initial=self.initial_minor,
            anchor=basis_minor if self.begins_anew else figures.anchor_minor,
            peak=basis_minor if self.moves in ("peak", "rollover_peak") else figures.peak_minor,
            balance=figures.balance_minor,
            payout_balance=figures.payout_balance_minor,
        )
        return allowance.size.minor_of(known, allowance.currency)

    def step_allowance(self, number: int, base_minor: int, figures: Figures) -> int:
        """Returns the allowance of step `number` (from 1), which is measured from `base_minor`."""
        size = self.steps[number - 1].size
        anchored = replace(figures, anchor_minor=base_minor)
        return self.sized(size, base_minor, anchored)

    def allowance_of(self, state: "RuleState") -> int:
        """Returns the allowance of an account in minor units, or NO_LIMIT."""
        if state.figures is None:
            return self.allowance(state.basis_minor)
        if state.figures.step:
            return state.figures.step_allowance_minor
        return self.allowance(state.basis_minor, state.figures)

    def uncounted(self, costs: Costs) -> int:
        """Returns the costs that do not count, to be added to the money of the account (>= 0 when they were paid)."""
        left_out = 0 if self.holds.commissions else costs.commission_minor
        left_out += 0 if self.holds.swaps else costs.swap_minor
        left_out += 0 if self.holds.fees else costs.fee_minor
        return -left_out

    def counted(self, mark: Mark) -> Mark:
        """Returns the money of the account as this rule counts it."""
        if self.counts_everything:
            return mark
        extra = self.uncounted(mark.costs)
        worth = mark.equity_minor if self.holds.floating else mark.balance_minor
        return Mark(mark.balance_minor + extra, worth + extra, mark.seq, mark.at, mark.costs)

    def figure(self, balance_minor: int, equity_minor: int) -> int:
        """Returns the figure of the source at this balance and equity."""
        if self.source == "balance":
            return balance_minor
        if self.source == "equity":
            return equity_minor
        if self.source == "zero":
            return 0
        return max(balance_minor, equity_minor) if self.source == "max(balance,equity)" else self.initial_minor


@dataclass(frozen=True, slots=True)
class RuleState:
    """The state of one level on one account, and the origin of its basis.

    `balance_minor` and `equity_minor`: the account when the basis was set, at `seq` / `at` (0 / None: the initial
    balance). `payouts_minor`: the payouts since, which were taken off the basis. `figures`: None where the level needs
    none.
    """

    basis_minor: int
    floor_minor: int
    locked: bool
    balance_minor: int
    equity_minor: int
    payouts_minor: int
    seq: int
    at: datetime | None
    figures: Figures | None = None


def floor_of(spec: FloorSpec, basis_minor: int, *, locked: bool, figures: Figures | None = None) -> int:
    """Returns the level for a basis; fixed once a payout has locked it, or once a step was reached."""
    if locked:
        return spec.lock_level
    if figures is not None and figures.step:
        return figures.step_base_minor - figures.step_allowance_minor
    size = spec.allowance(basis_minor, figures)
    if spec.is_ceiling:
        return basis_minor + size
    floor = basis_minor - size
    return floor if spec.ceiling_minor is None else min(floor, spec.ceiling_minor)


def opened(spec: FloorSpec) -> RuleState:
    """Returns the state for a new account."""
    initial, figures = spec.initial_minor, Figures.first(spec.initial_minor) if spec.figured else None
    basis = 0 if spec.source == "zero" else initial
    floor = floor_of(spec, basis, locked=False, figures=figures)
    return RuleState(basis, floor, False, initial, initial, 0, 0, None, figures)


def _taken(spec: FloorSpec, state: RuleState, mark: Mark, basis: int) -> RuleState:
    return RuleState(
        basis_minor=basis,
        floor_minor=floor_of(spec, basis, locked=state.locked, figures=state.figures),
        locked=state.locked,
        balance_minor=mark.balance_minor,
        equity_minor=mark.equity_minor,
        payouts_minor=0,
        seq=mark.seq,
        at=mark.at,
        figures=state.figures,
    )


def _with_figures(spec: FloorSpec, state: RuleState, figures: Figures) -> RuleState:
    if figures == state.figures:
        return state
    floor = floor_of(spec, state.basis_minor, locked=state.locked, figures=figures)
    return replace(state, figures=figures, floor_minor=floor)


def _figured(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """Returns the state with the balance after the event, and with the last of the steps that it reaches. `mark`: as
    the rule counts it."""
    figures = state.figures
    assert figures is not None
    if figures.balance_minor != mark.balance_minor:
        figures = replace(figures, balance_minor=mark.balance_minor)
    for number in range(len(spec.steps), figures.step, -1):
        step = spec.steps[number - 1]
        reached = mark.balance_minor if step.when == "balance" else mark.equity_minor
        if reached >= step.reaches_minor:
            base = spec.initial_minor if step.anchor == "initial" else reached
            size = spec.step_allowance(number, base, figures)
            figures = replace(figures, step=number, step_base_minor=base, step_allowance_minor=size)
            break
    return _with_figures(spec, state, figures)


def _risen(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """Returns the state with the basis that any event may move. `mark`: as the rule counts it."""
    if spec.moves in _MOVE_AT_MARKS:
        figure = spec.figure(mark.balance_minor, mark.equity_minor)
        if figure > state.basis_minor or (spec.moves == "always" and figure != state.basis_minor):
            return _taken(spec, state, mark, figure)
    return state


def marked(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """Returns the state after any event: intraday peaks may rise. Returns `state` itself when nothing changed."""
    if not spec.moves_at_marks:
        return state
    mark = spec.counted(mark)
    after = _risen(spec, state, mark)
    return _figured(spec, after, mark) if spec.figured else after


def rolled(spec: FloorSpec, state: RuleState, mark: Mark, begins: Begins = ONLY_A_DAY) -> RuleState:
    """Returns the state after the daily reset: anchors are set again, every kind of peak may rise. `begins`: the
    periods that begin with this reset."""
    mark, after = spec.counted(mark), state
    if state.figures is not None:
        anchor, known = mark.balance_minor, state.figures
        peak = max(known.peak_minor, anchor) if known.reset else anchor
        figures = replace(known, anchor_minor=anchor, peak_minor=peak, balance_minor=anchor, reset=True)
        after = _with_figures(spec, state, figures)
    if spec.begins_anew and spec.period in begins:
        after = _taken(spec, after, mark, spec.figure(mark.balance_minor, mark.equity_minor))
    elif spec.moves == "rollover_peak":
        figure = spec.figure(mark.balance_minor, mark.equity_minor)
        after = _taken(spec, after, mark, figure) if figure > state.basis_minor else after
    else:
        after = _risen(spec, after, mark)
    return _figured(spec, after, mark) if spec.figured else after


def paid_out(spec: FloorSpec, state: RuleState, amount_minor: int) -> RuleState:
    """Returns the state after `amount_minor` left as a payout (negative: it came back)."""
    basis, payouts, figures = state.basis_minor, state.payouts_minor, state.figures
    if not amount_minor or (not spec.payout_falls and figures is None):
        return state
    if spec.payout_falls:
        basis, payouts = basis - amount_minor, payouts + amount_minor
    if figures is not None:
        left = figures.balance_minor - amount_minor
        before = figures.payout_before_minor
        figures = replace(
            figures,
            balance_minor=left,
            payout_balance_minor=left if amount_minor > 0 else before,
            payout_before_minor=figures.payout_balance_minor if amount_minor > 0 else before,
        )
    return replace(
        state,
        basis_minor=basis,
        floor_minor=floor_of(spec, basis, locked=state.locked, figures=figures),
        payouts_minor=payouts,
        figures=figures,
    )


def settled(spec: FloorSpec, state: RuleState) -> RuleState:
    """Returns the state after a payout was settled: it may lock the floor, or begin the level anew."""
    if spec.settles == "unchanged" or state.locked:
        return state
    if spec.settles == "reset":
        return _begun_anew(spec, state)
    return replace(state, locked=True, floor_minor=spec.lock_level)


def _begun_anew(spec: FloorSpec, state: RuleState) -> RuleState:
    """Returns the state of a new account, which still knows its balance and what the last payout left."""
    fresh, kept = opened(spec), state.figures
    if kept is None or fresh.figures is None:
        return fresh
    figures = replace(
        fresh.figures,
        balance_minor=kept.balance_minor,
        payout_balance_minor=kept.payout_balance_minor,
        payout_before_minor=kept.payout_before_minor,
    )
    return _with_figures(spec, fresh, figures)


def breached(spec: FloorSpec, floor_minor: int, equity_minor: int) -> bool:
    """Whether an account worth `equity_minor` (as the rule counts it) is below its floor, or above its ceiling."""
    if equity_minor == floor_minor:
        return spec.inclusive
    return (equity_minor > floor_minor) is spec.is_ceiling


def room_minor(spec: FloorSpec, floor_minor: int, equity_minor: int) -> int:
    """Returns the distance of the account from the level; negative beyond it."""
    return floor_minor - equity_minor if spec.is_ceiling else equity_minor - floor_minor
