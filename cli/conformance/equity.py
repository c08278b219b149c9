"""Cases about floors and ceilings: the engine's rule is made from the case and judged at every event."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, Unsupported, Value
from cli.conformance.translator import Translator
from domain.rules.base import EquityRule
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.daily_move_cap import DailyMoveCap
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import Lock, MaxLossTrailing
from domain.rules.evaluate import judge
from domain.rules.events import PaidOut
from domain.rules.floors import EVERYTHING, FloorSpec, Mark, RuleState, WorthParts, room_minor
from domain.rules.state import AccountRules, fresh, on_payout_hold, on_payout_settled, on_rollover

_COMMON: Final = ("allowance", "day", "daily_allowance", "measure", "breach_when", "session_end")


def daily_loss(case: Case) -> EngineResult:
    rule = case.params(*_COMMON, "anchor")
    anchor = "initial_balance" if rule["anchor"] in ("initial", "initial_balance") else rule["anchor"]
    return _floors(case, DailyLoss.model_validate({"type": "daily_loss", "anchor": anchor, **_limits(case)}))


def max_loss_static(case: Case) -> EngineResult:
    case.params(*_COMMON, "lock_on_first_payout")
    return _floors(
        case,
        MaxLossStatic.model_validate(
            {"type": "max_loss_static", **_limits(case), "payout_effect": _after_payout(case)}
        ),
    )


def daily_move_cap(case: Case) -> EngineResult:
    rule = case.params(*_COMMON, "anchor", "directions")
    directions = rule.get("directions", ["down", "up"])
    return _floors(
        case,
        DailyMoveCap.model_validate(
            {
                "type": "daily_move_cap",
                "anchor": rule["anchor"],
                "directions": [directions] if isinstance(directions, str) else directions,
                **_limits(case),
            }
        ),
    )


def max_loss_trailing(case: Case) -> EngineResult:
    rule = case.params(*_COMMON, "peak_basis", "lock", "lock_on_first_payout", "payout_reduces_peak")
    return _floors(
        case,
        MaxLossTrailing.model_validate(
            {
                "type": "max_loss_trailing",
                "peak_basis": rule["peak_basis"],
                "lock": _lock(case, rule.get("lock")),
                "peak_falls_by_payout": rule.get("payout_reduces_peak", False),
                "payout_effect": _after_payout(case),
                **_limits(case),
            }
        ),
    )


def _limits(case: Case) -> dict[str, Any]:
    """Returns what every equity rule has: allowance, operator, and what is measured."""
    measure = case.rule.get("measure", "equity")
    holds = {"equity": EVERYTHING, "balance": WorthParts(floating=False)}.get(measure)
    if holds is None:
        raise Unsupported(f"{case.kind}: measure {measure}", "measure")
    case.clock(case.rule.get("day"))  # refuse an unknown zone even if rollover events end the days
    return {"allowance": case.size(case.rule["allowance"]), "breach_when": case.rule["breach_when"], "holds": holds}


def _after_payout(case: Case) -> str:
    return "locks_at_initial" if case.rule.get("lock_on_first_payout") else "unchanged"


def _lock(case: Case, data: dict[str, Any] | None) -> Lock | None:
    if data is None:
        return None
    case.only("lock", data, ("at", "offset"))
    if data.get("at", "initial") != "initial":
        raise Unsupported(f"max_loss_trailing: lock {data}", "at")
    return Lock(offset=Decimal(data.get("offset", 0)))


def _floors(case: Case, rule: EquityRule) -> EngineResult:
    """Applies each event: money, then anchor, peak and lock, then the comparison. A breach does not stop it."""
    specs = rule.compile(case.initial_minor, case.currency)
    rules, translator = fresh(specs), Translator(case)
    result = EngineResult(outcome="pass")
    for event in case.events:
        moved = translator.event(event)
        if isinstance(moved, PaidOut):
            rules = on_payout_settled(on_payout_hold(rules, moved.gross_minor))
        mark = Mark(translator.balance, translator.equity, event.index + 1, event.at())
        if event.kind == "rollover":
            rules = on_rollover(rules, mark)
        rules, broken = judge(rules, mark)
        if broken and result.at_event is None:
            result.outcome, result.at_event, result.severity = "breach", event.index, case.severity
            result.floor = _floor(case, rules)
        amounts = _amounts(case, rules, mark)
        result.steps.append(amounts)
        result.floors.append(_floor(case, rules))
        result.amounts = amounts
    if result.at_event is None:
        result.floor = _floor(case, rules)
    return result


def _floor(case: Case, rules: AccountRules) -> Decimal | None:
    """Returns the floor, or the ceiling of a cap that only limits upwards."""
    return case.major(rules.states[_first(rules)].floor_minor)


def _first(rules: AccountRules) -> int:
    """Returns the index of the floor among the levels; 0 if there is no floor."""
    return next((place for place, spec in enumerate(rules.specs) if spec.direction == "floor"), 0)


def _amounts(case: Case, rules: AccountRules, mark: Mark) -> dict[str, Value]:
    """Returns the account's money and its levels."""
    first = _first(rules)
    spec, state = rules.specs[first], rules.states[first]
    named: dict[str, int | None] = {
        "balance": mark.balance_minor,
        "equity": mark.equity_minor,
        "allowance": spec.allowance(state.basis_minor),
        "anchor" if spec.moves == "rollover" else "peak": state.basis_minor,
        "room": _room(spec, state, mark),
    }
    for level, at in zip(rules.specs, rules.states, strict=True):
        named[level.direction] = at.floor_minor
    whole = case.size(case.rule.get("daily_allowance"))
    if whole is not None:
        named["daily_allowance"] = whole.minor(
            initial=case.initial_minor, basis=state.basis_minor, currency=case.currency
        )
    return {name: case.major(value) for name, value in named.items()}


def _room(spec: FloorSpec, state: RuleState, mark: Mark) -> int:
    return room_minor(spec, state.floor_minor, spec.counted(mark).equity_minor)


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "daily_loss": daily_loss,
    "max_loss_static": max_loss_static,
    "max_loss_trailing": max_loss_trailing,
    "daily_move_cap": daily_move_cap,
}
