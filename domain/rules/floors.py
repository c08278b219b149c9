"""The exact arithmetic of every floor and ceiling, in minor units.

A floor is a *basis* (an anchor or a peak) minus an allowance, a ceiling is the basis plus the allowance. Rule types
differ only in the source of the basis, the events that move it, the size of the allowance, the level at which the floor
stops rising, the effect of a payout, and the parts of the worth that count. A `FloorSpec` states these as data. The
functions here execute it for one account; the monitor executes the same data on columns.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypedDict

from domain.money import half_up
from domain.rules.terms import Operator, Size, Terms
from domain.wording import capital, listing

Source = Literal["initial", "balance", "equity", "max(balance,equity)"]
BasisMoves = Literal["never", "rollover", "rollover_peak", "peak"]
Direction = Literal["floor", "ceiling"]
SettlementEffect = Literal["unchanged", "locks", "zero", "reset"]


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


class Allowance(TypedDict):
    """The two fields of a `FloorSpec` that a size fills: fixed minor units, or percent of the basis."""

    allowance_minor: int | None
    allowance_pct: Decimal | None


def allowance(size: Size, initial_minor: int, currency: str) -> Allowance:
    """Returns a size as fields of a `FloorSpec`: fixed minor units, or a percentage of a basis that moves."""
    if size.type in ("pct_of_anchor", "pct_of_peak"):
        return {"allowance_minor": None, "allowance_pct": size.value}
    fixed = size.minor(initial=initial_minor, basis=initial_minor, currency=currency)
    return {"allowance_minor": fixed, "allowance_pct": None}


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of an account since it was opened, in minor units (negative: it paid)."""

    commission_minor: int = 0
    swap_minor: int = 0
    fee_minor: int = 0


NO_COSTS: Final = Costs()


@dataclass(frozen=True, slots=True)
class Mark:
    """The money of an account at one event."""

    balance_minor: int
    equity_minor: int
    seq: int
    at: datetime
    costs: Costs = NO_COSTS


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorSpec:
    """One level of a rule, for accounts with one initial balance.

    `moves`: `rollover` sets the basis to the figure of the source at each reset, `rollover_peak` only if it is
    higher, `peak` at every event if it is higher. `allowance_minor` is fixed; when None, the allowance is
    `allowance_pct` percent of the basis. `ceiling_minor` (floors only): the floor stops rising there.
    `payout_falls`: a held payout lowers the basis by its amount. `settles`: the permanent effect of the first
    settled payout.
    """

    rule_id: str
    rule_type: str
    source: Source
    moves: BasisMoves
    initial_minor: int
    allowance_minor: int | None
    allowance_pct: Decimal | None
    operator: Operator
    direction: Direction = "floor"
    ceiling_minor: int | None = None
    payout_falls: bool = False
    settles: SettlementEffect = "unchanged"
    holds: WorthParts = EVERYTHING
    # Read at every mark of every account, so computed once: whether every part of the worth counts; whether a level
    # that is just reached is broken; whether any event can move the basis; which side of the level is beyond.
    counts_everything: bool = field(init=False, compare=False, repr=False)
    inclusive: bool = field(init=False, compare=False, repr=False)
    moves_at_marks: bool = field(init=False, compare=False, repr=False)
    is_ceiling: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (
            ("counts_everything", self.holds.everything),
            ("inclusive", self.operator == "equity <= floor"),
            ("moves_at_marks", self.moves == "peak"),
            ("is_ceiling", self.direction == "ceiling"),
        ):
            object.__setattr__(self, name, value)

    @property
    def key(self) -> str:
        """The id of the rule, with `.up` for a ceiling: distinguishes the levels of one rule."""
        return self.rule_id if self.direction == "floor" else f"{self.rule_id}.up"

    @property
    def follows_equity(self) -> bool:
        """Whether a price change alone can move the basis."""
        return self.moves == "peak" and self.source in ("equity", "max(balance,equity)") and self.holds.floating

    @property
    def lock_level(self) -> int:
        """The level at which a payout locks the floor: the level of the lock, or the initial balance without one;
        zero when the payout sets the floor to zero."""
        if self.settles == "zero":
            return 0
        return self.initial_minor if self.ceiling_minor is None else self.ceiling_minor

    def allowance(self, basis_minor: int) -> int:
        """Returns the allowance at this basis, in minor units."""
        if self.allowance_minor is not None:
            return self.allowance_minor
        assert self.allowance_pct is not None
        return half_up(Decimal(basis_minor) * self.allowance_pct / 100)

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
        return max(balance_minor, equity_minor) if self.source == "max(balance,equity)" else self.initial_minor


@dataclass(frozen=True, slots=True)
class RuleState:
    """The state of one level on one account, and the origin of its basis.

    `balance_minor` and `equity_minor`: the account when the basis was set, at `seq` / `at` (0 / None: the initial
    balance). `payouts_minor`: the payouts since, which were taken off the basis.
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
    """Returns the level for a basis; fixed once a payout has locked it."""
    if locked:
        return spec.lock_level
    if spec.direction == "ceiling":
        return basis_minor + spec.allowance(basis_minor)
    floor = basis_minor - spec.allowance(basis_minor)
    return floor if spec.ceiling_minor is None else min(floor, spec.ceiling_minor)


def opened(spec: FloorSpec) -> RuleState:
    """Returns the state for a new account."""
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
    """Returns the state after any event: intraday peaks may rise."""
    if not spec.moves_at_marks:
        return state
    mark = spec.counted(mark)
    figure = spec.figure(mark.balance_minor, mark.equity_minor)
    return _taken(spec, state, mark, figure) if figure > state.basis_minor else state


def rolled(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """Returns the state after the daily reset: anchors are set again, every kind of peak may rise."""
    if spec.moves == "never":
        return state
    mark = spec.counted(mark)
    figure = spec.figure(mark.balance_minor, mark.equity_minor)
    return _taken(spec, state, mark, figure) if spec.moves == "rollover" or figure > state.basis_minor else state


def paid_out(spec: FloorSpec, state: RuleState, amount_minor: int) -> RuleState:
    """Returns the state after `amount_minor` left as a payout (negative: it came back)."""
    if not spec.payout_falls:
        return state
    basis = state.basis_minor - amount_minor
    return replace(
        state,
        basis_minor=basis,
        floor_minor=floor_of(spec, basis, locked=state.locked),
        payouts_minor=state.payouts_minor + amount_minor,
    )


def settled(spec: FloorSpec, state: RuleState) -> RuleState:
    """Returns the state after a payout was settled: it may lock the floor, or reset the level."""
    if spec.settles == "unchanged" or state.locked:
        return state
    if spec.settles == "reset":
        return opened(spec)
    return replace(state, locked=True, floor_minor=spec.lock_level)


def breached(spec: FloorSpec, floor_minor: int, equity_minor: int) -> bool:
    """Whether an account worth `equity_minor` (as the rule counts it) is below its floor, or above its ceiling."""
    if equity_minor == floor_minor:
        return spec.inclusive
    return (equity_minor > floor_minor) is spec.is_ceiling


def room_minor(spec: FloorSpec, floor_minor: int, equity_minor: int) -> int:
    """Returns the distance of the account from the level; negative beyond it."""
    return floor_minor - equity_minor if spec.is_ceiling else equity_minor - floor_minor
