"""Whether an account passes its phase: the profit target, the trading days and the gates."""

from domain.products.phase_terms import PhaseTerms
from domain.rules import history
from domain.rules.events import Moment
from domain.rules.history import HistoryState


def target_reached(
    terms: PhaseTerms, now: Moment, open_positions: int, trading_days: int, state: HistoryState | None = None
) -> bool:
    """Whether the closed balance is at the target, no position is open, there are enough trading days (days with a new
    position), and every gate that blocks a pass is met. Gates may raise the target. `now`: the money of the account.
    `state`: the state of conduct rules and gates; None without such rules."""
    target, passing = terms.target_minor, terms.passing_minor
    if target is None or passing is None or now.balance_minor < passing:
        return False
    if open_positions or trading_days < terms.min_trading_days:
        return False
    if state is None:
        return True
    rules, context = terms.history_rules, terms.context
    wanted = history.effective_target(state, rules, context, target, now)
    if now.balance_minor < context.initial_minor + wanted:
        return False
    return all(status.met for gate, status in history.gates(state, rules, context, now) if "pass" in gate.blocks)
