"""The room of an account to every level: now, after a payout, and after the next reset without a price change."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from domain.money import half_up
from domain.rules.evaluate import LevelBreach, level_breaches
from domain.rules.floors import FloorSpec, Mark, RuleState, room_minor
from domain.rules.state import AccountRules, on_payout_hold, on_payout_settled, on_rollover

WARN_AT_PCT: Final = 80


@dataclass(frozen=True, slots=True)
class Room:
    """The room to one level. `room_minor`: the distance to it. `used_pct`: the used part of the allowance (two
    decimals, rounded down; above 100 beyond the level, below 0 in profit)."""

    spec: FloorSpec
    floor_minor: int
    allowance_minor: int
    room_minor: int

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
        used = self.allowance_minor - self.room_minor
        return self.allowance_minor > 0 and used * 100 >= self.allowance_minor * WARN_AT_PCT


def _room(spec: FloorSpec, state: RuleState, mark: Mark) -> Room:
    return Room(
        spec,
        state.floor_minor,
        spec.allowance(state.basis_minor),
        room_minor(spec, state.floor_minor, spec.counted(mark).equity_minor),
    )


def rooms(rules: AccountRules, mark: Mark) -> tuple[Room, ...]:
    """Returns the room to every level, in the order of the product's rules."""
    return tuple(_room(spec, state, mark) for spec, state in zip(rules.specs, rules.states, strict=True))


def rooms_after_payout(rules: AccountRules, mark: Mark, amount_minor: int) -> tuple[Room, ...]:
    """Returns the room to every level after a payout of `amount_minor` was held and settled."""
    after = on_payout_settled(on_payout_hold(rules, amount_minor))
    left = Mark(mark.balance_minor - amount_minor, mark.equity_minor - amount_minor, mark.seq, mark.at, mark.costs)
    return rooms(after, left)


def floors_after_reset(rules: AccountRules, mark: Mark) -> AccountRules:
    """Returns the state after the next reset, if neither balance nor equity changes until then."""
    return on_rollover(rules, mark)


def broken_by_reset(rules: AccountRules, mark: Mark) -> list[LevelBreach]:
    """Returns the levels that the next reset breaks without a price change; empty when one is broken already."""
    return [] if level_breaches(rules, mark) else level_breaches(floors_after_reset(rules, mark), mark)


def warn_level(spec: FloorSpec, state: RuleState) -> int:
    """Returns the worth at which WARN_AT_PCT of the allowance is used: a warning is due there and beyond."""
    left = half_up(Decimal(spec.allowance(state.basis_minor)) * (100 - WARN_AT_PCT) / 100)
    return state.floor_minor + left if spec.direction == "floor" else state.floor_minor - left
