"""The exact judge of one account at one event."""

from dataclasses import dataclass

from domain.rules.floors import FloorSpec, Mark, RuleState, breached
from domain.rules.state import AccountRules, on_mark


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule that is broken: what the account is worth as the rule counts it, and the level it went through."""

    spec: FloorSpec
    state: RuleState
    equity_minor: int

    @property
    def floor_minor(self) -> int:
        return self.state.floor_minor


def judge(rules: AccountRules, mark: Mark) -> tuple[AccountRules, list[Verdict]]:
    """Let the peaks follow `mark`, then compare. Verdicts come in the order of the product's rules; the first is
    the cause of the end of the phase."""
    rules = on_mark(rules, mark)
    return rules, verdicts(rules, mark)


def verdicts(rules: AccountRules, mark: Mark) -> list[Verdict]:
    found = []
    for spec, state in zip(rules.specs, rules.states, strict=True):
        worth = spec.seen(mark).equity_minor
        if breached(spec, state.floor_minor, worth):
            found.append(Verdict(spec, state, worth))
    return found
