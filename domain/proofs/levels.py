"""The derivation of a level and of the worth that it is compared with, step by step, as proof sheets show them."""

from collections.abc import Iterable, Sequence
from typing import Final

from domain.proofs.sheets import BasisPart, CostsPart, FloorPart, PositionPart, Step
from domain.rules.floors import FloorSpec, RuleState, breached, floor_of
from domain.rules.terms import Figures

_BASIS_NAMES: Final = {
    "never": "initial balance",
    "rollover": "anchor",
    "peak_since_rollover": "peak since the reset",
    "always": "balance",
}
_LEFT_OUT: Final = {"commissions": "commission_minor", "swaps": "swap_minor", "fees": "fee_minor"}


def basis_part(spec: FloorSpec, state: RuleState) -> BasisPart:
    return BasisPart(
        source=spec.source,
        moves=spec.moves,
        value_minor=state.basis_minor,
        set_seq=state.seq,
        set_at=state.at,
        balance_minor=state.balance_minor,
        equity_minor=state.equity_minor,
        payouts_minor=state.payouts_minor,
        figures=state.figures,
    )


def floor_part(spec: FloorSpec, state: RuleState) -> FloorPart:
    """Returns the derivation of a level, step by step."""
    allowance, up = spec.allowance_of(state), spec.is_ceiling
    name = _BASIS_NAMES.get(spec.moves, "peak")
    steps, base = [("initial balance", spec.initial_minor)], state.basis_minor
    if state.figures is not None:
        steps += _figure_steps(spec, state.figures)
    if spec.source == "zero":
        name = "no result"
    if state.figures is not None and state.figures.step:
        name, base = f"measured from, by step {state.figures.step}", state.figures.step_base_minor
        steps.append((name, base))
    elif state.payouts_minor:
        steps.append((f"{name} when set", state.basis_minor + state.payouts_minor))
        steps.append(("payouts since", -state.payouts_minor))
    if spec.moves != "never" or state.payouts_minor:
        steps.append((name, base))
    steps.append(("allowance", allowance))
    steps.append((f"{name} {'plus' if up else 'minus'} allowance", base + (allowance if up else -allowance)))
    if spec.ceiling_minor is not None:
        steps.append(("lock: the floor rises no further", spec.ceiling_minor))
    if state.locked:
        steps.append(("fixed by the first payout", spec.lock_level))
    level = floor_of(spec, state.basis_minor, locked=state.locked, figures=state.figures)
    steps.append((spec.direction, level))
    return FloorPart(
        basis=basis_part(spec, state),
        direction=spec.direction,
        allowance_minor=allowance,
        ceiling_minor=spec.ceiling_minor,
        locked_by_payout=state.locked,
        steps=_steps(steps),
        floor_minor=level,
    )


def _figure_steps(spec: FloorSpec, figures: Figures) -> list[tuple[str, int]]:
    """Returns the figure that the allowance is a percentage of, where it is not the basis."""
    if figures.step or spec.allowance_size is None:
        return []
    named = {
        "pct_of_balance": ("balance of the moment", figures.balance_minor),
        "pct_of_payout_balance": ("balance that the last payout left", figures.payout_balance_minor),
        "pct_of_peak": ("highest balance at a reset", figures.peak_minor),
        "pct_of_peak_profit": ("highest balance at a reset", figures.peak_minor),
        "pct_of_anchor": ("balance at the last reset", figures.anchor_minor),
        "pct_of_anchor_profit": ("balance at the last reset", figures.anchor_minor),
    }
    kind = spec.allowance_size.size.type
    own = "anchor" if spec.begins_anew else "peak" if spec.moves in ("peak", "rollover_peak") else "none of both"
    return [named[kind]] if kind in named and own not in kind else []


def subject_worth(spec: FloorSpec, positions: Iterable[PositionPart], subject: str) -> int:
    """Returns what a symbol or a position makes."""
    return sum(
        position.profit_minor
        for position in positions
        if subject == (position.symbol if spec.per == "symbol" else position.position_id)
    )


def worth_steps(
    spec: FloorSpec,
    balance_minor: int,
    equity_minor: int,
    costs: CostsPart,
    positions: Sequence[PositionPart] = (),
    subject: str | None = None,
) -> tuple[Step, ...]:
    """Returns the steps from the equity to the worth as the rule counts it; of a symbol or position, what each of its
    positions makes."""
    if subject is not None:
        parts = [p for p in positions if subject == (p.symbol if spec.per == "symbol" else p.position_id)]
        made = [(f"position {part.position_id}", part.profit_minor) for part in parts]
        return _steps([*made, ("worth as the rule counts it", subject_worth(spec, positions, subject))])
    steps = [("equity", equity_minor)]
    worth = equity_minor
    if not spec.holds.floating:
        steps.append(("open profit and loss left out", balance_minor - equity_minor))
        worth = balance_minor
    for name, field in _LEFT_OUT.items():
        if not getattr(spec.holds, name):
            paid = getattr(costs, field)
            steps.append((f"{name} not counted", -paid))
            worth -= paid
    return _steps([*steps, ("worth as the rule counts it", worth)])


def _steps(steps: Iterable[tuple[str, int]]) -> tuple[Step, ...]:
    return tuple(Step(name=name, minor=minor) for name, minor in steps)


def breach_sentence(spec: FloorSpec, worth_minor: int, level_minor: int) -> str:
    name = spec.direction
    if not breached(spec, level_minor, worth_minor):
        return f"not breached: {spec.operator} does not hold for worth {worth_minor} and {name} {level_minor}"
    sign = "<" if name == "floor" else ">"
    return f"breached: worth {worth_minor} {sign}{'=' if spec.inclusive else ''} {name} {level_minor}"
