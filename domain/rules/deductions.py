"""The consequence deduct_profit of conduct rules: what an offending position makes in all does not count, if above 0.

What a position made before its offence counts with the rest of it. A rule that counts for itself (news with a share of
the profit) is left out.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from domain.rules.base import ConductRule, HistoryRule, State, Violation
from domain.rules.events import Closed, Event


class Made(State):
    """An open position: what its closed parts made, in minor units, and the rules that it offended."""

    minor: int = 0
    rules: tuple[str, ...] = ()


class Deductions(State):
    """`positions`: the open positions that were closed in part or have offended a rule, by id. `closed`: what is
    deducted of positions that are closed, by rule, in minor units."""

    positions: dict[str, Made] = Field(default_factory=dict)
    closed: dict[str, int] = Field(default_factory=dict)

    def of(self, rule_id: str) -> int:
        """Returns what is deducted because of a rule, in minor units; never negative."""
        still_open = (made.minor for made in self.positions.values() if rule_id in made.rules)
        return self.closed.get(rule_id, 0) + sum(max(0, minor) for minor in still_open)


def counts_itself(rule: HistoryRule[Any]) -> bool:
    """Returns whether a conduct rule keeps count of what it deducts."""
    return isinstance(rule, ConductRule) and type(rule).deducted_minor is not ConductRule.deducted_minor


def deducts_positions(rule: HistoryRule[Any]) -> bool:
    """Returns whether an offence of `rule` may deduct what its positions make."""
    if not isinstance(rule, ConductRule) or counts_itself(rule):
        return False
    return any(consequence.kind == "deduct_profit" for consequence in rule.consequences)


def deductions_after(
    state: Deductions, event: Event, violations: Iterable[Violation], rules: Sequence[HistoryRule[Any]]
) -> Deductions:
    """Returns the state after `event` with its `violations`; `state` itself when it did not change."""
    watched = {rule.id for rule in rules if deducts_positions(rule)}
    if not watched:
        return state
    positions, closed = dict(state.positions), dict(state.closed)
    if isinstance(event, Closed):
        made = positions.get(event.position_id, Made())
        positions[event.position_id] = made.model_copy(update={"minor": made.minor + event.pnl_minor})
    for violation in violations:
        if violation.rule_id not in watched or violation.consequence.kind != "deduct_profit":
            continue
        for position_id in violation.position_ids:
            made = positions.get(position_id, Made())
            if violation.rule_id not in made.rules:
                positions[position_id] = made.model_copy(update={"rules": (*made.rules, violation.rule_id)})
    if isinstance(event, Closed) and event.lots_left <= 0:
        made = positions.pop(event.position_id)
        for rule_id in made.rules:
            closed[rule_id] = closed.get(rule_id, 0) + max(0, made.minor)
    if positions == state.positions and closed == state.closed:
        return state
    return Deductions(positions=positions, closed=closed)
