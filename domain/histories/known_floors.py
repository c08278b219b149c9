"""The levels of an account when its equity is not always known.

Without prices, an account with open positions has a balance and no equity. Some levels are still certain: a level that
ignores floating profit is exact; a peak that equity may have raised is at least as high as the known figures; an anchor
taken from unknown equity is unknown until the next reset.
"""

from dataclasses import dataclass, replace
from typing import Literal

from domain.clocks import Begins
from domain.rules import floors
from domain.rules.evaluate import next_step_minor
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.state import AccountRules, fresh

Knowledge = Literal["exact", "at_least", "unknown"]


@dataclass(frozen=True, slots=True)
class KnownRules:
    """`knowledge[i]`: how well the level of `rules.states[i]` is known."""

    rules: AccountRules
    knowledge: tuple[Knowledge, ...]


def begin(specs: tuple[FloorSpec, ...]) -> KnownRules:
    return KnownRules(fresh(specs), tuple[Knowledge, ...]("exact" for _ in specs))


def judged_on_balance(spec: FloorSpec) -> bool:
    """Whether neither the level nor the compared worth depends on floating profit and loss."""
    return not spec.holds.floating


def moved(known: KnownRules, mark: Mark, *, equity_known: bool, begins: Begins | None) -> KnownRules:
    """Returns the state after an event. Without known equity, `mark` has the balance in its place. `begins`: the
    periods that begin with a reset; None at other events."""
    pairs = [
        _moved(spec, state, knowledge, mark, equity_known, begins)
        for spec, state, knowledge in zip(known.rules.specs, known.rules.states, known.knowledge, strict=True)
    ]
    states = tuple(state for state, _ in pairs)
    return KnownRules(AccountRules(known.rules.specs, states), tuple(knowledge for _, knowledge in pairs))


def _moved(
    spec: FloorSpec, state: RuleState, knowledge: Knowledge, mark: Mark, equity_known: bool, begins: Begins | None
) -> tuple[RuleState, Knowledge]:
    if not spec.moves_at_marks and (begins is None or spec.moves == "never"):
        return state, knowledge
    after = floors.marked(spec, state, mark) if begins is None else floors.rolled(spec, state, mark, begins)
    taken_anew = begins is not None and spec.begins_anew and spec.period in begins
    if equity_known or judged_on_balance(spec) or not _needs_equity(spec, state):
        return after, "exact" if taken_anew or _at_lock(spec, after) else knowledge
    if spec.steps:
        return after, knowledge if state.locked else "unknown"
    if taken_anew:
        return (state, "unknown") if spec.source == "equity" else (after, "at_least")
    if spec.moves == "rollover":
        return after, knowledge
    if spec.source == "equity":  # the balance in place of the equity moves no peak
        return state, "unknown" if spec.figured else _at_best(knowledge)
    return after, "exact" if _at_lock(spec, after) else _at_best(knowledge)


def _needs_equity(spec: FloorSpec, state: RuleState) -> bool:
    """Whether the equity can move the level."""
    return spec.source in ("equity", "max(balance,equity)") or next_step_minor(spec, state) is not None


def _at_best(knowledge: Knowledge) -> Knowledge:
    return "unknown" if knowledge == "unknown" else "at_least"


def _at_lock(spec: FloorSpec, state: RuleState) -> bool:
    """Whether a payout locked the floor, or it has reached its lock: then it does not depend on the peak any more."""
    return state.locked or (
        spec.direction == "floor" and spec.ceiling_minor is not None and state.floor_minor == spec.ceiling_minor
    )


def paid(known: KnownRules, amount_minor: int, *, settles: bool) -> KnownRules:
    """Returns the state after `amount_minor` left the account as a payout. `settles`: the payout was settled."""
    states = []
    for spec, state in zip(known.rules.specs, known.rules.states, strict=True):
        after = floors.paid_out(spec, state, amount_minor)
        states.append(floors.settled(spec, after) if settles else after)
    return replace(known, rules=AccountRules(known.rules.specs, tuple(states)))
