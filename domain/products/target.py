"""Whether an account may move up: the profit target of its phase, its trading days and its gates."""

from domain.products.phase_terms import PhaseTerms
from domain.rules import history
from domain.rules.events import Moment
from domain.rules.history import HistoryState


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
