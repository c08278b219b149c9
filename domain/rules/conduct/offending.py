"""The profit of offending positions: what does not count because of the consequence deduct_profit.

Any conduct rule may have that consequence. Of an offending position all that it makes from its opening to its close is
deducted if it is a profit; a loss counts. A rule that deducts by terms of its own keeps count itself.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field

from domain.rules.base import ConductRule, HistoryRule, State, Violation
from domain.rules.events import Closed, Event, Opened


class OffendingProfit(State):
    """`made`: the result so far of each open position that was closed in part. `held`: by rule, the offending positions
    that are open. `closed_minor`: by rule, the profit of those that are closed."""

    made: dict[str, int] = Field(default_factory=dict)
    held: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    closed_minor: dict[str, int] = Field(default_factory=dict)

    def deducted_minor(self, rule_id: str) -> int:
        """Returns the profit so far that does not count because of this rule."""
        open_now = sum(max(self.made.get(position, 0), 0) for position in self.held.get(rule_id, ()))
        return self.closed_minor.get(rule_id, 0) + open_now


def counts_itself(rule: ConductRule[Any]) -> bool:
    """Whether the rule keeps count of what it deducts by terms of its own."""
    return type(rule).deducted_minor is not ConductRule.deducted_minor


def deducts(rule: HistoryRule[Any]) -> bool:
    """Whether the profit of positions that offend against this rule is counted here."""
    if not isinstance(rule, ConductRule) or counts_itself(rule):
        return False
    return any(consequence.kind == "deduct_profit" for consequence in rule.consequences)


def after(
    state: OffendingProfit, event: Event, violations: Iterable[Violation], rules: Iterable[HistoryRule[Any]]
) -> OffendingProfit:
    """Returns the state after `event` and its offences; `state` itself when it did not change."""
    if not isinstance(event, Opened | Closed) and not violations:
        return state
    counted = {rule.id for rule in rules if deducts(rule)}
    if not counted:
        return state
    for violation in violations:
        if violation.rule_id in counted and violation.consequence.kind == "deduct_profit":
            state = _offended(state, violation)
    return _closed(state, event) if isinstance(event, Closed) else state


def _offended(state: OffendingProfit, violation: Violation) -> OffendingProfit:
    """Returns the state with the positions of an offence: those still open wait for their close, the others count at
    once."""
    rule_id = violation.rule_id
    still_open = (one for one in violation.position_ids if one not in violation.closed_ids)
    held = {**state.held, rule_id: tuple(dict.fromkeys((*state.held.get(rule_id, ()), *still_open)))}
    closed = state.closed_minor
    if violation.closed_profit_minor:
        closed = {**closed, **dict(_added(state, {rule_id}, violation.closed_profit_minor))}
    return state.model_copy(update={"held": held, "closed_minor": closed})


def _closed(state: OffendingProfit, event: Closed) -> OffendingProfit:
    position = event.position_id
    made = state.made.get(position, 0) + event.pnl_minor
    if event.lots_left > 0:
        return state.model_copy(update={"made": {**state.made, position: made}})
    offended = {rule_id for rule_id, held in state.held.items() if position in held}
    if not offended and position not in state.made:
        return state
    closed = dict(_added(state, offended, max(made, 0)))
    return OffendingProfit(
        made={other: minor for other, minor in state.made.items() if other != position},
        held={rule_id: tuple(one for one in held if one != position) for rule_id, held in state.held.items()},
        closed_minor={**state.closed_minor, **closed},
    )


def _added(state: OffendingProfit, offended: set[str], profit_minor: int) -> Iterator[tuple[str, int]]:
    for rule_id in offended:
        yield rule_id, state.closed_minor.get(rule_id, 0) + profit_minor
