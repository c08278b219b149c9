"""The exact judge of one account at one event."""

from dataclasses import dataclass

from domain.rules import history
from domain.rules.events import Moment
from domain.rules.floors import FloorSpec, Mark, RuleState, breached
from domain.rules.history import HistoryState
from domain.rules.state import AccountRules, PhaseTerms, on_mark


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


def target_reached(
    terms: PhaseTerms, now: Moment, open_positions: int, trading_days: int, state: HistoryState | None = None
) -> bool:
    """Closed balance at the target, nothing open, enough trading days (days with a new position opened), and every gate
    that a pass needs is met; a gate may have raised the target. `now`: the account's money; `state`: of an account
    whose terms have such rules."""
    if terms.target_minor is None or open_positions or trading_days < terms.phase.min_trading_days:
        return False
    if state is None:
        return now.balance_minor >= terms.product.initial_minor + terms.target_minor
    rules, context = terms.history_rules, terms.context
    wanted = history.effective_target(state, rules, context, terms.target_minor, now)
    if now.balance_minor < terms.product.initial_minor + wanted:
        return False
    return all(status.met for gate, status in history.gates(state, rules, context, now) if "pass" in gate.blocks)
