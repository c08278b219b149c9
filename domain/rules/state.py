"""The levels of one account with their states: one pure function for each kind of event.

The order is always the same: money first, then anchor, peak and lock, and then the comparison with the new floor.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from domain.clocks import ONLY_A_DAY, Begins
from domain.rules import floors
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.terms import Figures


@dataclass(frozen=True, slots=True)
class AccountRules:
    """`states[i]` is the state of `specs[i]`; both in the order of the product's rules."""

    specs: tuple[FloorSpec, ...]
    states: tuple[RuleState, ...]


def fresh(specs: tuple[FloorSpec, ...]) -> AccountRules:
    """Returns the state of a new account."""
    return AccountRules(specs, tuple(floors.opened(spec) for spec in specs))


def on_mark(rules: AccountRules, mark: Mark) -> AccountRules:
    """Balance or equity changed: intraday peaks may rise. Returns `rules` itself when nothing changed."""
    states: list[RuleState] | None = None
    for index, spec in enumerate(rules.specs):
        if spec.moves_at_marks:
            state = rules.states[index]
            after = floors.marked(spec, state, mark)
            if after is not state:
                states = states or list(rules.states)
                states[index] = after
    return AccountRules(rules.specs, tuple(states)) if states else rules


def on_rollover(rules: AccountRules, mark: Mark, begins: Begins = ONLY_A_DAY) -> AccountRules:
    """The daily reset, with the balance and equity at that instant. `begins`: the periods that begin with it."""
    states = (floors.rolled(spec, s, mark, begins) for spec, s in zip(rules.specs, rules.states, strict=True))
    return AccountRules(rules.specs, tuple(states))


def on_payout_hold(rules: AccountRules, amount_minor: int) -> AccountRules:
    """`amount_minor` > 0 left the account for a payout."""
    return AccountRules(
        rules.specs,
        tuple(floors.paid_out(spec, s, amount_minor) for spec, s in zip(rules.specs, rules.states, strict=True)),
    )


def on_payout_release(rules: AccountRules, amount_minor: int) -> AccountRules:
    """A held payout came back."""
    return on_payout_hold(rules, -amount_minor)


def on_payout_settled(rules: AccountRules) -> AccountRules:
    return AccountRules(
        rules.specs, tuple(floors.settled(spec, s) for spec, s in zip(rules.specs, rules.states, strict=True))
    )


def with_begun(rules: AccountRules, mark: Mark, begun: Callable[[FloorSpec, RuleState], bool]) -> AccountRules:
    """A breach was overturned: every level stays as before it, but those whose period has begun anew meanwhile
    (`begun`) are anchored again now."""
    return AccountRules(
        rules.specs,
        tuple(
            floors.rolled(spec, s, mark, {spec.period}) if spec.begins_anew and begun(spec, s) else s
            for spec, s in zip(rules.specs, rules.states, strict=True)
        ),
    )


def on_reinstatement(rules: AccountRules, mark: Mark) -> AccountRules:
    """A breach was overturned, and the account would break a level again at once: anchors are set again now, peaks and
    locks stay as before the breach."""
    return AccountRules(
        rules.specs,
        tuple(
            floors.rolled(spec, s, mark, {spec.period}) if spec.begins_anew else s
            for spec, s in zip(rules.specs, rules.states, strict=True)
        ),
    )


def to_json(rules: AccountRules) -> dict[str, Any]:
    """Returns the state of each level by its key, as checkpoints store it."""
    return {
        spec.key: {
            "basis": s.basis_minor,
            "floor": s.floor_minor,
            "locked": s.locked,
            "balance": s.balance_minor,
            "equity": s.equity_minor,
            "payouts": s.payouts_minor,
            "seq": s.seq,
            "at": s.at.isoformat() if s.at else None,
            **({} if s.figures is None else {"figures": asdict(s.figures)}),
        }
        for spec, s in zip(rules.specs, rules.states, strict=True)
    }


def from_json(specs: tuple[FloorSpec, ...], data: dict[str, Any]) -> AccountRules:
    return AccountRules(specs, tuple(_state(spec, data[spec.key]) for spec in specs))


def _state(spec: FloorSpec, d: dict[str, Any]) -> RuleState:
    at = datetime.fromisoformat(d["at"]) if d["at"] else None
    figures = Figures(**d["figures"]) if spec.figured else None
    return RuleState(
        d["basis"], d["floor"], d["locked"], d["balance"], d["equity"], d["payouts"], d["seq"], at, figures
    )
