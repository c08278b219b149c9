"""Cases about gates: the engine's gate is made from the case, and its status is read after each event."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, Unsupported
from cli.conformance.daily import context, gate_figures, states_after_events, status
from domain.money import to_minor
from domain.rules.base import Context, Gate, GateStatus
from domain.rules.gates.best_day_ratio import BestDayRatio
from domain.rules.gates.daily_profit_cap import DailyProfitCap
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount

_WINDOWS: Final = {
    "whole_phase": "whole_phase",
    "since_last_payout": "since_last_payout",
    "since_last_approved_payout": "since_last_payout",
}
_RAISES: Final = ("profit_target_raised_to_best_day_over_limit", "excess_added_to_target")
_FROM_RESET_TO_RESET: Final = ("closing_balance_minus_opening_balance", "equity_snapshot_to_snapshot")


def best_day_ratio(case: Case) -> EngineResult:
    known = ("limit_pct", "compare", "denominator", "effect", "profit_target", "window", "basis", "attribution", "day")
    given = case.params(*known)
    effect = given.get("effect") or "payout_blocked"
    raises = effect in _RAISES
    window = window_of(case, given)
    target = amount_of(case, given.get("profit_target"))
    rule = BestDayRatio.model_validate(
        {
            "type": "best_day_ratio",
            "limit_pct": needed(case, "limit_pct"),
            "compare": given.get("compare", "<=") if raises else needed(case, "compare"),
            "denominator": given.get("denominator", "total_profit"),
            "window": "since_last_approved_payout" if window == "since_last_payout" else window,
            "attribution": given.get("basis") or given.get("attribution") or "closed_pnl",
            "effect": effect,
            "blocks": ("pass",) if raises else ("payout",),
        }
    )
    if rule.needs_target and not target:
        raise Unsupported("best_day_ratio: profit_target is missing", "profit_target")
    clock = case.clock(given.get("day"))
    result = _read(case, rule, context(case, clock, target), rule.attribution)
    result.ratios = [_decimal(step.get("ratio")) for step in result.steps]
    result.final_ratio = result.ratios[-1] if result.ratios else None
    if target is not None:
        result.amounts = {"profit_target": case.major(target), **result.amounts}
    return result


def trading_day_count(case: Case) -> EngineResult:
    given = case.params("counts", "min_trade_value", "min_abs_pnl", "required", "day", "window")
    rule = TradingDayCount.model_validate(
        {
            "type": "trading_day_count",
            "counts": given.get("counts", "day_with_new_position_opened"),
            "min_trade_value": case.size(given.get("min_trade_value")),
            "min_abs_pnl": case.size(given.get("min_abs_pnl")),
            "required": given.get("required", 1),
            "window": window_of(case, given),
        }
    )
    clock = case.clock(given.get("day"))
    result = _read(case, rule, context(case, clock), "closed_pnl")
    return _by_totals(case, result, "trading_days", rule.counted)


def profitable_day_count(case: Case) -> EngineResult:
    known = ("threshold", "compare", "basis", "required", "consecutive", "window", "day")
    given = case.params(*known)
    rule = profitable_days(case, given)
    where = context(case, case.clock(given.get("day")))
    result = _read(case, rule, where, rule.basis)
    return _by_totals(case, result, "profitable_days", lambda days: rule.counted(days, where))


def daily_profit_cap(case: Case) -> EngineResult:
    given = case.params("amount", "effect", "basis", "window", "day")
    rule = DailyProfitCap.model_validate(
        {
            "type": "daily_profit_cap",
            "amount": case.size(sized(needed(case, "amount"))),
            "effect": given.get("effect", "deduct_excess"),
            "basis": given.get("basis", "closed_pnl"),
            "window": window_of(case, given),
        }
    )
    result = _read(case, rule, context(case, case.clock(given.get("day"))), rule.basis)
    result.outcome = "computed"
    return result


def profitable_days(case: Case, given: Mapping[str, Any]) -> ProfitableDayCount:
    """Returns the engine's rule. A threshold of zero means none."""
    threshold = sized(given.get("threshold"))
    return ProfitableDayCount.model_validate(
        {
            "type": "profitable_day_count",
            "threshold": case.size(threshold) if threshold and Decimal(threshold["value"]) else None,
            "compare": given.get("compare", ">="),
            "basis": given.get("basis", "closed_pnl"),
            "required": given.get("required", 1),
            "consecutive": given.get("consecutive", False),
            "window": window_of(case, given),
        }
    )


def needed(case: Case, name: str) -> Any:
    """Returns a required parameter. Raises Unsupported if it is missing."""
    if case.rule.get(name) is None:
        raise Unsupported(f"{case.kind}: parameter {name} is missing", name)
    return case.rule[name]


def sized(value: Any) -> Mapping[str, Any] | None:
    """Returns a size of the format; a bare number is an amount."""
    return value if value is None or isinstance(value, Mapping) else {"type": "amount", "value": value}


def resolved(case: Case, value: Any) -> dict[str, Any] | None:
    """Returns a size or a bare number in the size types of the engine; an amount may be zero."""
    size = sized(value)
    if size is not None and size["type"] == "pct_of_daily_allowance":
        found = case.size(size)
        return None if found is None else {"type": found.type, "value": found.value}
    return None if size is None else dict(size)


def amount_of(case: Case, value: Any) -> int | None:
    """Returns a size or a bare number in minor units."""
    size = sized(value)
    if size is None:
        return None
    # an amount may be zero or negative: an account that starts at zero has a negative floor
    return to_minor(Decimal(size["value"]), case.currency) if size["type"] == "amount" else case.money_of(size)


def window_of(case: Case, given: Mapping[str, Any]) -> str:
    window = given.get("window") or "whole_phase"
    if window not in _WINDOWS:
        raise Unsupported(f"{case.kind}: window {window}", "window")
    return _WINDOWS[window]


def _read(case: Case, rule: Gate[Any], where: Context, basis: str) -> EngineResult:
    """Returns outcome and figures of the gate at the end, and its figures after each event."""
    clock = case.clock(case.rule.get("day"))
    result = EngineResult(outcome=rule.status(rule.start(where), where).outcome)
    close_last = basis not in _FROM_RESET_TO_RESET or not any(raw.kind == "rollover" for raw in case.events)
    for _, state in states_after_events(case, (rule,), where, clock, close_last=close_last):
        found = status(rule, state, where)
        result.outcome, result.amounts = found.outcome, gate_figures(case, found.figures)
        result.steps.append(result.amounts)
    return result


def _by_totals(case: Case, result: EngineResult, name: str, counted: Callable[[int], GateStatus]) -> EngineResult:
    """Applies a stated total of days, which replaces the count."""
    totals = [raw.data[name] for raw in case.events if raw.kind == "totals" and name in raw.data]
    if totals:
        found = counted(int(totals[-1]))
        result.outcome, result.amounts = found.outcome, {**result.amounts, **gate_figures(case, found.figures)}
    return result


def _decimal(value: Any) -> Decimal | None:
    return value if isinstance(value, Decimal) else None


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "best_day_ratio": best_day_ratio,
    "trading_day_count": trading_day_count,
    "profitable_day_count": profitable_day_count,
    "daily_profit_cap": daily_profit_cap,
}
