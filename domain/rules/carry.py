"""The rules of an account that goes on under other terms: what is kept, and what begins.

A level that both versions have, of the same rule type and moved by the same events, keeps what it has reached: basis,
peak, lock and the payouts taken off it. Only its allowance, its lock level and its operator are the new version's. Any
other level of the new version begins at the moment of the change, from the account's money of that moment: a daily
anchor is taken then, a peak is the higher of the initial balance and that moment's figure, a static floor follows from
the initial balance.
"""

from dataclasses import replace

from domain.rules import floors
from domain.rules.floors import FloorSpec, Mark, RuleState
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
