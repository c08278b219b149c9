"""One algebra for every level over or under an account's worth, in exact minor units.

A floor stands an allowance below a *basis* (an anchor or a peak), a ceiling an allowance above it. Rule types differ
only in where the basis comes from, when it moves, how large the allowance is, where the floor stops rising, what a
payout does and what the account's worth is taken to hold. A `FloorSpec` says that as data: the functions here execute
it for one account, the monitor executes the same data on columns.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypedDict

from domain.money import half_up
from domain.rules.terms import Operator, Size, Terms

Source = Literal["initial", "balance", "equity", "max(balance,equity)"]
Moves = Literal["never", "rollover", "rollover_peak", "peak"]
Direction = Literal["floor", "ceiling"]
Settles = Literal["unchanged", "locks", "zero", "reset"]


class Holds(Terms):
    """What the account's worth contains, as far as a rule is concerned. What it does not hold is added back (costs) or
    left out (floating profit and loss)."""

    floating: bool = True
    commissions: bool = True
    swaps: bool = True
    fees: bool = True

    @property
    def everything(self) -> bool:
        return self.floating and self.commissions and self.swaps and self.fees

    @property
    def words(self) -> str:
        """What the rule leaves out, as a sentence after a space; nothing when it counts everything."""
        named = {"open profit and loss": self.floating, "commissions": self.commissions, "swaps": self.swaps}
        left_out = [name for name, counted in {**named, "fees": self.fees}.items() if not counted]
        return f" For this rule these do not count: {', '.join(left_out)}." if left_out else ""


EVERYTHING: Final = Holds()


class Allowance(TypedDict):
    """The two fields of a `FloorSpec` that a size fills: fixed minor units, or percent of the basis."""

    allowance_minor: int | None
    allowance_pct: Decimal | None


def allowance(size: Size, initial_minor: int, currency: str) -> Allowance:
    """A size as a floor needs it: money fixed from the start, or a percentage of a basis that moves."""
    if size.type in ("pct_of_anchor", "pct_of_peak"):
        return {"allowance_minor": None, "allowance_pct": size.value}
    fixed = size.minor(initial=initial_minor, basis=initial_minor, currency=currency)
    return {"allowance_minor": fixed, "allowance_pct": None}


@dataclass(frozen=True, slots=True)
class Costs:
    """What an account has paid since it was opened, in minor units (negative: it paid)."""

    commission_minor: int = 0
    swap_minor: int = 0
    fee_minor: int = 0


NO_COSTS: Final = Costs()


@dataclass(frozen=True, slots=True)
class Mark:
    """An account's money at one moment of the stream."""

    balance_minor: int
    equity_minor: int
    seq: int
    at: datetime
    costs: Costs = NO_COSTS


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorSpec:
    """What a rule of a phase means for one account.

    `moves`: `rollover` takes the source's figure at each reset, `rollover_peak` only a higher one, `peak` a higher
    one at every event. `allowance_minor` is fixed money; when None, `allowance_pct` percent of the basis.
    `ceiling_minor` (floors only): the floor rises no further. `payout_falls`: a payout lowers the basis by its amount
    when it is held; `settles`: what the first payout that was paid does to the floor for good.
    """

    rule_id: str
    rule_type: str
    source: Source
    moves: Moves
    initial_minor: int
    allowance_minor: int | None
    allowance_pct: Decimal | None
    operator: Operator
    direction: Direction = "floor"
    ceiling_minor: int | None = None
    payout_falls: bool = False
    settles: Settles = "unchanged"
    holds: Holds = EVERYTHING

    @property
    def key(self) -> str:
        """Tells the levels of one rule apart: the rule's id, with `.up` for a ceiling."""
        return self.rule_id if self.direction == "floor" else f"{self.rule_id}.up"

    @property
    def inclusive(self) -> bool:
        return self.operator == "equity <= floor"

    @property
    def follows_equity(self) -> bool:
        """Whether a mere price change can move the basis."""
        return self.moves == "peak" and self.source in ("equity", "max(balance,equity)") and self.holds.floating

    @property
    def lock_level(self) -> int:
        """Where a payout that locks fixes the floor: the lock's level, or the initial balance without one; zero when
        the payout sets the floor to zero."""
        if self.settles == "zero":
            return 0
        return self.initial_minor if self.ceiling_minor is None else self.ceiling_minor

    def allowance(self, basis_minor: int) -> int:
        if self.allowance_minor is not None:
            return self.allowance_minor
        assert self.allowance_pct is not None
        return half_up(Decimal(basis_minor) * self.allowance_pct / 100)

    def uncounted(self, costs: Costs) -> int:
        """The costs that this rule does not count, to be added to the account's money (>= 0 when they were paid)."""
        left_out = 0 if self.holds.commissions else costs.commission_minor
        left_out += 0 if self.holds.swaps else costs.swap_minor
        left_out += 0 if self.holds.fees else costs.fee_minor
        return -left_out

    def seen(self, mark: Mark) -> Mark:
        """The account's money as this rule counts it."""
        if self.holds.everything:
            return mark
        extra = self.uncounted(mark.costs)
        worth = mark.equity_minor if self.holds.floating else mark.balance_minor
        return replace(mark, balance_minor=mark.balance_minor + extra, equity_minor=worth + extra)

    def figure(self, balance_minor: int, equity_minor: int) -> int:
        """What the basis is taken from, at a moment with this balance and equity."""
        if self.source == "balance":
            return balance_minor
        if self.source == "equity":
            return equity_minor
        return max(balance_minor, equity_minor) if self.source == "max(balance,equity)" else self.initial_minor


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
    """The level that follows from a basis; fixed once a payout has locked it."""
    if locked:
        return spec.lock_level
    if spec.direction == "ceiling":
        return basis_minor + spec.allowance(basis_minor)
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
    mark = spec.seen(mark)
    figure = spec.figure(mark.balance_minor, mark.equity_minor)
    return _taken(spec, state, mark, figure) if figure > state.basis_minor else state


def rolled(spec: FloorSpec, state: RuleState, mark: Mark) -> RuleState:
    """At the daily reset: anchors are taken anew, every kind of peak may rise."""
    if spec.moves == "never":
        return state
    mark = spec.seen(mark)
    figure = spec.figure(mark.balance_minor, mark.equity_minor)
    return _taken(spec, state, mark, figure) if spec.moves == "rollover" or figure > state.basis_minor else state


def paid_out(spec: FloorSpec, state: RuleState, amount_minor: int) -> RuleState:
    """`amount_minor` left as a payout (negative: it came back)."""
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
    """A payout has been paid: it may fix the floor for good, or begin the account anew."""
    if spec.settles == "unchanged" or state.locked:
        return state
    if spec.settles == "reset":
        return opened(spec)
    return replace(state, locked=True, floor_minor=spec.lock_level)


def breached(spec: FloorSpec, floor_minor: int, equity_minor: int) -> bool:
    """Whether an account worth `equity_minor` (as the rule counts it) is below its floor, or above its ceiling."""
    room = room_minor(spec, floor_minor, equity_minor)
    return room <= 0 if spec.inclusive else room < 0


def room_minor(spec: FloorSpec, floor_minor: int, equity_minor: int) -> int:
    """How far the account may still move before it stands at the level."""
    return equity_minor - floor_minor if spec.direction == "floor" else floor_minor - equity_minor
