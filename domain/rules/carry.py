"""The rules of an account that continues under another product version: which states are kept, and which start anew.

A level of both versions, with the same rule type and moved by the same events, keeps its state: basis, peak, lock
and the payouts taken off it. Its allowance, lock level and operator are those of the new version. Any other level of
the new version starts at the moment of the change, from the money of the account at that moment: a daily anchor is
taken then, a peak is the higher of the initial balance and the figure of that moment, a static floor follows from
the initial balance.
"""

from dataclasses import replace

from domain.rules import floors
from domain.rules.base import Context
from domain.rules.conduct.offending import OffendingProfit
from domain.rules.days import DayBook
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.history import HistoryState, Rules
from domain.rules.state import AccountRules
from domain.rules.terms import Figures


def carried(rules: AccountRules, specs: tuple[FloorSpec, ...], mark: Mark) -> AccountRules:
    """Returns the state of `specs` for an account with the old state `rules` that changes version at `mark`."""
    before = {spec.key: (spec, state) for spec, state in zip(rules.specs, rules.states, strict=True)}
    return AccountRules(specs, tuple(_state(spec, before.get(spec.key), mark) for spec in specs))


def _state(spec: FloorSpec, before: tuple[FloorSpec, RuleState] | None, mark: Mark) -> RuleState:
    if before is not None and _same(before[0], spec):
        return _kept(before[0], before[1], spec, mark)
    begun = floors.opened(spec)
    if spec.moves == "peak":
        return floors.marked(spec, begun, mark)
    return floors.rolled(spec, begun, mark, {spec.period})


def _kept(old: FloorSpec, state: RuleState, spec: FloorSpec, mark: Mark) -> RuleState:
    """Returns the kept state under the new terms. Figures that the old terms did not follow begin now; so do steps
    that differ."""
    figures = state.figures if spec.figured else None
    if spec.figured and figures is None:
        balance = spec.counted(mark).balance_minor
        first = Figures.first(spec.initial_minor)
        figures = replace(first, anchor_minor=balance, peak_minor=balance, balance_minor=balance, reset=True)
    elif figures is not None and old.steps != spec.steps:
        figures = replace(figures, step=0, step_base_minor=0, step_allowance_minor=0)
    floor = floors.floor_of(spec, state.basis_minor, locked=state.locked, figures=figures)
    kept = replace(state, figures=figures, floor_minor=floor)
    return floors.marked(spec, kept, mark) if spec.figured else kept


def _same(old: FloorSpec, new: FloorSpec) -> bool:
    return (old.rule_type, old.moves, old.period, old.initial_minor, old.source == "zero") == (
        (new.rule_type, new.moves, new.period, new.initial_minor, new.source == "zero")
    )


def carried_history(
    kept: HistoryState | None, before: Rules, rules: Rules, context: Context, mark: Mark
) -> HistoryState:
    """Returns the state of conduct rules and gates after the change. A rule of both versions (same id and type)
    keeps its state; any other starts now. `kept` None: the old version had no such rules."""
    types = {rule.id: rule.type for rule in before}
    states = {} if kept is None else kept.rules
    begun = DayBook(opening_balance_minor=mark.balance_minor, opening_equity_minor=mark.equity_minor)
    return HistoryState(
        book=begun if kept is None else kept.book,
        offending=OffendingProfit() if kept is None else kept.offending,
        rules={
            rule.id: states[rule.id] if rule.id in states and types.get(rule.id) == rule.type else rule.start(context)
            for rule in rules
        },
    )
