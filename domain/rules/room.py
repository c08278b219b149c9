"""The room of an account to every level: now, after a payout, and after the next reset without a price change."""

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from domain.clocks import Begins
from domain.money import half_up
from domain.rules.evaluate import LevelBreach, judge_rollover, level_breaches, worth_of
from domain.rules.floors import FloorSpec, Mark, RuleState, room_minor
from domain.rules.state import AccountRules, on_payout_hold, on_payout_settled
from domain.rules.terms import NO_LIMIT


def is_daily(spec: FloorSpec) -> bool:
    """Whether the level is set anew at each daily reset: lists show the room to such levels apart from all others."""
    return spec.begins_anew and spec.period == "day"


@dataclass(frozen=True, slots=True)
class Room:
    """The room to one level. `room_minor`: the distance to it. `used_pct`: the used part of the allowance (two
    decimals, rounded down; above 100 beyond the level, below 0 in profit)."""

    spec: FloorSpec
    floor_minor: int
    allowance_minor: int
    room_minor: int

    @property
    def limited(self) -> bool:
        """Whether there is a limit now."""
        return self.floor_minor > -NO_LIMIT // 2 and self.floor_minor < NO_LIMIT // 2

    @property
    def used_pct(self) -> Decimal:
        if self.allowance_minor <= 0:
            return Decimal(100)
        used = Decimal(self.allowance_minor - self.room_minor) * 100 / self.allowance_minor
        return used.quantize(Decimal("0.01"), rounding=ROUND_DOWN)

    @property
    def is_none(self) -> bool:
        """Whether the smallest loss, such as a spread, breaks the rule."""
        return self.room_minor <= (1 if self.spec.inclusive else 0)

    @property
    def warns(self) -> bool:
        """Whether a warning is due: so much of the allowance is used that the trader must know."""
        used, share = self.allowance_minor - self.room_minor, self.spec.warn_at_pct
        return share > 0 and self.allowance_minor > 0 and used * 100 >= self.allowance_minor * share


def _room(spec: FloorSpec, state: RuleState, mark: Mark) -> Room:
    return Room(
        spec,
        state.floor_minor,
        spec.allowance_of(state),
        room_minor(spec, state.floor_minor, worth_of(spec, mark)),
    )


def rooms(rules: AccountRules, mark: Mark) -> tuple[Room, ...]:
    """Returns the room to every level, in the order of the product's rules."""
    return tuple(_room(spec, state, mark) for spec, state in zip(rules.specs, rules.states, strict=True))


def rooms_after_payout(rules: AccountRules, mark: Mark, amount_minor: int) -> tuple[Room, ...]:
    """Returns the room to every level after a payout of `amount_minor` was held and settled."""
    after = on_payout_settled(on_payout_hold(rules, amount_minor))
    balance, equity = mark.balance_minor - amount_minor, mark.equity_minor - amount_minor
    left = replace(mark, balance_minor=balance, equity_minor=equity)
    return rooms(after, left)


def rooms_after_reset(rules: AccountRules, mark: Mark, begins: Begins) -> tuple[Room, ...]:
    """Returns the room to every level after the next reset if no price changes. `begins`: the periods that begin with
    that reset."""
    return rooms(judge_rollover(rules, mark, begins)[0], mark)


def broken_by_reset(rules: AccountRules, mark: Mark, begins: Begins) -> list[LevelBreach]:
    """Returns the levels that the next reset breaks without a price change; empty when one is broken already.
    `begins`: the periods that begin with that reset."""
    return [] if level_breaches(rules, mark) else judge_rollover(rules, mark, begins)[1]


def warn_left(spec: FloorSpec, state: RuleState) -> int:
    """Returns the room at which a warning is due, and below it; -1 when none is due before the level is broken."""
    if not spec.warn_at_pct:
        return -1
    return half_up(Decimal(spec.allowance_of(state)) * (100 - spec.warn_at_pct) / 100)
