"""Cases about gates: the engine's gate is made from the case, and its status is read after each event."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from cli.conformance import binding
from cli.conformance.case import Case, EngineResult, Unsupported, Value
from cli.conformance.daily import context, gate_figures, states_after_events, status
from domain.money import from_minor, to_minor
from domain.rules import history
from domain.rules.base import Context, GateStatus
from domain.rules.gates.best_day_ratio import BestDayRatio
from domain.rules.gates.daily_profit_cap import DailyProfitCap
from domain.rules.gates.min_hold_time import HoldState, MinHoldTime
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount
from domain.rules.gates.windows import WindowGate

_WINDOWS: Final = ("whole_phase", "since_last_payout_request", "since_last_approved_payout", "since_last_payout")
_LATER: Final = ("window", "counts_later", "day")
_RAISES: Final = ("profit_target_raised_to_best_day_over_limit", "excess_added_to_target")
FROM_RESET_TO_RESET: Final = ("closing_balance_minus_opening_balance", "equity_snapshot_to_snapshot")


def best_day_ratio(case: Case) -> EngineResult:
    known = ("limit_pct", "compare", "denominator", "effect", "profit_target", "basis", "attribution")
    given = case.params(*known, *_LATER, "unit", "binds_above_profit")
    effect = given.get("effect") or "payout_blocked"
    raises = effect in _RAISES
    target = amount_of(case, given.get("profit_target"))
    compares = effect in ("payout_blocked", "continue_trading")
    rule = BestDayRatio.model_validate(
        {
            "type": "best_day_ratio",
            "limit_pct": needed(case, "limit_pct"),
            "compare": needed(case, "compare") if compares else given.get("compare", "<="),
            "denominator": given.get("denominator", "total_profit"),
            "attribution": given.get("basis") or given.get("attribution") or "closed_pnl",
            "effect": effect,
            "unit": given.get("unit", "day"),
            "binds_above_profit": case.size(sized(given.get("binds_above_profit"))),
            "blocks": ("pass",) if raises else ("payout",),
            **_window(case, given, leaves_out=effect == "excess_deducted"),
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


def min_hold_time(case: Case) -> EngineResult:
    known = (
        *("seconds", "min_share_pct", "compare", "metric", "held", "effect"),
        *("max_short_trades", "max_short_pct_of_request", "min_average_seconds"),
    )
    given = case.params(*known, *_LATER)
    terms = {name: given[name] for name in known if given.get(name) is not None}
    rule = MinHoldTime.model_validate(
        {"type": "min_hold_time", **terms, **_window(case, given, leaves_out="effect" in terms)}
    )

    def short(state: HoldState) -> dict[str, Value]:
        return {"short_trades": state.trades - state.long_trades}

    result = _read(case, rule, context(case, case.clock(given.get("day"))), "closed_pnl", short)
    result.ratios = [_decimal(step.get("share_pct")) for step in result.steps]
    result.final_ratio = result.ratios[-1] if result.ratios else None
    if rule.leaves_out:
        result.outcome = "computed"
    return result


def trading_day_count(case: Case) -> EngineResult:
    known = (
        *("counts", "min_trade_value", "min_abs_pnl", "required", "compare"),
        *("min_pct_of_average_lots", "min_held_seconds", "half_days_count", "calendar"),
    )
    given = case.params(*known, *_LATER)
    half_days, counts = given.get("half_days_count", True), given.get("counts", "day_with_new_position_opened")
    rule = TradingDayCount.model_validate(
        {
            "type": "trading_day_count",
            "counts": counts,
            "min_trade_value": case.size(sized(given.get("min_trade_value"))),
            "min_abs_pnl": case.size(sized(given.get("min_abs_pnl"))),
            # a comparison of results; openings have none
            "compare": given.get("compare", ">=") if counts == "day_with_qualifying_close" else ">=",
            "min_pct_of_average_lots": given.get("min_pct_of_average_lots") or None,
            "min_held_seconds": given.get("min_held_seconds") or None,
            "half_days_count": half_days,
            "calendar": None if half_days else needed(case, "calendar"),
            "required": given.get("required", 1),
            **_window(case, given),
        }
    )
    clock = case.clock(given.get("day"))
    result = _read(case, rule, context(case, clock), "closed_pnl")
    return _by_totals(case, result, ("trading_days",), rule.counted)


def profitable_day_count(case: Case) -> EngineResult:
    known = ("threshold", "compare", "basis", "required", "consecutive", "min_pct_of_best_day")
    given = case.params(*known, *_LATER)
    rule = profitable_days(case, given)
    where = context(case, case.clock(given.get("day")))
    result = _read(case, rule, where, rule.basis)
    names = ("profitable_days", "winning_days")
    return _by_totals(case, result, names, lambda days: rule.counted(days, where))


def daily_profit_cap(case: Case) -> EngineResult:
    given = case.params("amount", "effect", "basis", *_LATER)
    rule = DailyProfitCap.model_validate(
        {
            "type": "daily_profit_cap",
            "amount": case.size(sized(needed(case, "amount"))),
            "effect": given.get("effect", "deduct_excess"),
            "basis": given.get("basis", "closed_pnl"),
            **_window(case, given, leaves_out=True),
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
            "min_pct_of_best_day": given.get("min_pct_of_best_day") or None,
            **_window(case, given),
        }
    )


def _window(case: Case, given: Mapping[str, Any], *, leaves_out: bool = False) -> dict[str, Any]:
    """Returns the window of a gate, and whether what it leaves out counts again in later windows, if there are any."""
    window = window_of(case, given)
    later = leaves_out and window != "whole_phase"
    return {"window": window, "counts_later": later and given.get("counts_later", False)}


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


def window_of(case: Case, given: Mapping[str, Any]) -> Any:
    """Returns the window as the engine's gates write it."""
    window = given.get("window")
    window = "whole_phase" if window is None else window
    if isinstance(window, Mapping):
        case.only("window", window, ("days",))
        return {"days": window["days"]}
    if window not in _WINDOWS:
        raise Unsupported(f"{case.kind}: window {window}", "window")
    return window


def _read(
    case: Case, rule: WindowGate[Any], where: Context, basis: str, more: Callable[[Any], dict[str, Value]] | None = None
) -> EngineResult:
    """Returns outcome and figures of the gate at the end, and after each event. `more`: further figures of its
    state."""
    clock = case.clock(case.rule.get("day"))
    result = EngineResult(outcome=rule.status(rule.start(where), where).outcome)
    by_rollovers, window = basis in FROM_RESET_TO_RESET, history.start((rule,), where)
    for raw, state in states_after_events(case, (rule,), where, clock, by_rollovers=by_rollovers):
        found = status(rule, state, where)
        result.outcome, result.amounts = found.outcome, gate_figures(case, found.figures)
        result.amounts |= more(history.state_of(rule, state, where)) if more else {}
        result.steps.append(result.amounts)
        if raw.kind == "payout_request" and rule.window == "since_last_payout_request":
            window = history.asked(window, (rule,), where, raw.money("amount", case.currency))
            found = status(rule, window, where)
        result.met.append(found.met)
        window = state
        if rule.leaves_out:
            result.left_out.append(from_minor(history.deducted_minor(state, (rule,), where), case.currency))
    return result


def _by_totals(
    case: Case, result: EngineResult, names: tuple[str, ...], counted: Callable[[int], GateStatus]
) -> EngineResult:
    """Applies stated totals of days, each from its event on: they replace the count."""
    total: int | None = None
    for number, raw in enumerate(case.events):
        stated = [raw.data[name] for name in names if raw.kind == "totals" and name in raw.data]
        total = int(stated[0]) if stated else total
        if total is not None:
            found = counted(total)
            result.steps[number] = {**result.steps[number], **gate_figures(case, found.figures)}
            result.outcome, result.amounts, result.met[number] = found.outcome, result.steps[number], found.met
    return result


def _decimal(value: Any) -> Decimal | None:
    return value if isinstance(value, Decimal) else None


def _where_it_binds(build: Callable[[Case], EngineResult], free: str) -> Callable[[Case], EngineResult]:
    """Returns the builder of a gate that holds nothing back where it does not bind: its outcome there is `free`."""

    def judged(case: Case) -> EngineResult:
        own = {name: value for name, value in case.rule.items() if name not in ("phases", "account_types")}
        result = build(replace(case, rule=own))
        if binding.binds(case):
            return result
        events = len(case.events)
        return EngineResult(free, met=[True] * events, steps=[{}] * events, floors=[None] * events)

    return judged


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "best_day_ratio": _where_it_binds(best_day_ratio, "satisfied"),
    "min_hold_time": _where_it_binds(min_hold_time, "satisfied"),
    "trading_day_count": _where_it_binds(trading_day_count, "met"),
    "profitable_day_count": _where_it_binds(profitable_day_count, "met"),
    "daily_profit_cap": _where_it_binds(daily_profit_cap, "computed"),
}
