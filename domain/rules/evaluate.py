"""The exact judgement of the levels of one account at one event."""

from dataclasses import dataclass

from domain.rules.base import Consequence
from domain.rules.floors import FloorSpec, Mark, RuleState, breached
from domain.rules.state import AccountRules, on_mark


@dataclass(frozen=True, slots=True)
class LevelBreach:
    """A broken level, and the worth of the account as its rule counts it."""

    spec: FloorSpec
    state: RuleState
    equity_minor: int

    @property
    def floor_minor(self) -> int:
        return self.state.floor_minor


def deducted_minor(spec: FloorSpec, consequence: Consequence, worth_minor: int, level_minor: int) -> int:
    """Returns the profit that does not count because of a broken level: what is above a ceiling."""
    if consequence.kind != "deduct_profit" or spec.direction == "floor":
        return 0
    return max(0, worth_minor - level_minor)


def judge(rules: AccountRules, mark: Mark) -> tuple[AccountRules, list[LevelBreach]]:
    """Raises the peaks to `mark`, then compares. Returns the new state and the broken levels in the order of the
    product's rules; the first one is the reason that the phase ends."""
    rules = on_mark(rules, mark)
    return rules, level_breaches(rules, mark)


def level_breaches(rules: AccountRules, mark: Mark) -> list[LevelBreach]:
    """Returns the levels that the account breaks at `mark`, with the state as it is."""
    found = []
    for spec, state in zip(rules.specs, rules.states, strict=True):
        worth = mark.equity_minor if spec.counts_everything else spec.counted(mark).equity_minor
        if breached(spec, state.floor_minor, worth):
            found.append(LevelBreach(spec, state, worth))
    return found
