"""The rules of an account that goes on under other terms: what is kept, and what begins.

A level that both versions have, of the same rule type and moved by the same events, keeps what it has reached: basis,
peak, lock and the payouts taken off it. Only its allowance, its lock level and its operator are the new version's. Any
other level of the new version begins at the moment of the change, from the account's money of that moment: a daily
anchor is taken then, a peak is the higher of the initial balance and that moment's figure, a static floor follows from
the initial balance.
"""

from dataclasses import replace

from domain.rules import floors
from domain.rules.base import Context
from domain.rules.days import DayBook
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.history import HistoryState, Rules
from domain.rules.state import AccountRules


def carried(rules: AccountRules, specs: tuple[FloorSpec, ...], mark: Mark) -> AccountRules:
    """Where `specs` stand on an account whose old rules stand at `rules`, when it changes over at `mark`."""
    before = {spec.key: (spec, state) for spec, state in zip(rules.specs, rules.states, strict=True)}
    return AccountRules(specs, tuple(_state(spec, before.get(spec.key), mark) for spec in specs))


def _state(spec: FloorSpec, before: tuple[FloorSpec, RuleState] | None, mark: Mark) -> RuleState:
    if before is not None and _same(before[0], spec):
        kept = before[1]
        return replace(kept, floor_minor=floors.floor_of(spec, kept.basis_minor, locked=kept.locked))
    begun = floors.opened(spec)
    return floors.marked(spec, begun, mark) if spec.moves == "peak" else floors.rolled(spec, begun, mark)


def _same(old: FloorSpec, new: FloorSpec) -> bool:
    return (old.rule_type, old.moves, old.initial_minor) == (new.rule_type, new.moves, new.initial_minor)


def carried_history(
    kept: HistoryState | None, before: Rules, rules: Rules, context: Context, mark: Mark
) -> HistoryState:
    """Where conduct rules and gates stand after the change. A rule that both versions have (same id and type) goes on
    with what it has seen; any other begins now. `kept` None: the old version had no such rules."""
    types = {rule.id: rule.type for rule in before}
    states = {} if kept is None else kept.rules
    begun = DayBook(opening_balance_minor=mark.balance_minor, opening_equity_minor=mark.equity_minor)
    return HistoryState(
        book=begun if kept is None else kept.book,
        rules={
            rule.id: states[rule.id] if rule.id in states and types.get(rule.id) == rule.type else rule.start(context)
            for rule in rules
        },
    )
