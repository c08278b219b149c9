"""Reads the rules of cases about floors, ceilings and floating losses as rules of the engine."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, Unsupported
from domain.quoting import quoted
from domain.rules.base import EquityRule
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.daily_move_cap import DailyMoveCap
from domain.rules.equity.floating_loss import FloatingLoss
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import MaxLossTrailing
from domain.rules.floors import EVERYTHING, WorthParts

_COMMON: Final = (
    "day",
    "daily_allowance",
    "measure",
    "judged_at",
    "session_end",
    "consequences",
    "split_pct",
    "cure",
    "severity_by_violation",
    "phases",
    "account_types",
)
_FLOOR: Final = (*_COMMON, "allowance", "breach_when")
_ANCHORS: Final = {"initial": "initial_balance", "day_equity_peak": "intraday_equity_peak"}
_LOSS_OPERATORS: Final = {">": "equity < floor", ">=": "equity <= floor"}


def read_rule(case: Case) -> EquityRule:
    """Returns the engine's rule. Raises Unsupported for a parameter or value that the format does not name."""
    return _READERS[case.kind](case)


def _daily_loss(case: Case) -> EquityRule:
    rule = case.params(*_FLOOR, "anchor", "payout_reduces_anchor", "period")
    falls = _flag(case, rule, "payout_reduces_anchor")
    return DailyLoss.model_validate(
        {
            "type": case.kind,
            "anchor": _ANCHORS.get(rule["anchor"], rule["anchor"]),
            "period": rule.get("period", "day"),
            "payout_effects": ["anchor_falls_by_payout"] if falls else [],
            **_limits(case, rule),
        }
    )


def _daily_move_cap(case: Case) -> EquityRule:
    rule = case.params(*_FLOOR, "anchor", "directions", "period")
    directions = rule.get("directions", ["down", "up"])
    return DailyMoveCap.model_validate(
        {
            "type": case.kind,
            "anchor": _ANCHORS.get(rule["anchor"], rule["anchor"]),
            "period": rule.get("period", "day"),
            "directions": [directions] if isinstance(directions, str) else directions,
            **_limits(case, rule),
        }
    )


def _max_loss_static(case: Case) -> EquityRule:
    rule = case.params(*_FLOOR, "lock_on_first_payout", "payout_effect", "steps")
    given = rule.get("steps") or []
    if not isinstance(given, list):
        raise Unsupported(f"steps {quoted(given)} is not a list", "steps")
    return MaxLossStatic.model_validate(
        {
            "type": case.kind,
            "payout_effect": _after_payout(case, rule),
            "steps": [_step(case, step) for step in given],
            **_limits(case, rule),
        }
    )


def _step(case: Case, data: Any) -> dict[str, Any]:
    case.only("steps", data, ("when", "reaches", "anchor", "allowance"))
    return {
        "when": data["when"],
        "reaches": _needed_size(case, data, "reaches"),
        "anchor": data.get("anchor", "initial"),
        "allowance": _needed_size(case, data, "allowance"),
    }


def _max_loss_trailing(case: Case) -> EquityRule:
    rule = case.params(*_FLOOR, "peak_basis", "lock", "lock_on_first_payout", "payout_effect", "payout_reduces_peak")
    return MaxLossTrailing.model_validate(
        {
            "type": case.kind,
            "peak_basis": rule["peak_basis"],
            "lock": _lock(case, rule.get("lock")),
            "peak_falls_by_payout": _flag(case, rule, "payout_reduces_peak"),
            "payout_effect": _after_payout(case, rule),
            **_limits(case, rule),
        }
    )


def _floating_loss(case: Case) -> EquityRule:
    rule = case.params(*_COMMON, "limit", "compare", "per")
    compare = rule.get("compare", ">")
    if compare not in _LOSS_OPERATORS:
        raise Unsupported(f"compare {quoted(compare)}: > or >=", "compare")
    if not _measure(case, rule).everything:
        raise Unsupported("floating_loss: the balance has no open loss", "measure")
    return FloatingLoss.model_validate(
        {
            "type": case.kind,
            "limit": _needed_size(case, rule, "limit"),
            "breach_when": _LOSS_OPERATORS[compare],
            "per": rule.get("per", "account"),
            "judged_at": rule.get("judged_at", "every_event"),
            **_offences(rule),
        }
    )


def _limits(case: Case, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what every floor has: allowance, operator, what is measured and when, and what an offence does."""
    case.clock(rule.get("day"))  # refuse an unknown zone even if rollover events end the days
    return {
        "allowance": _needed_size(case, rule, "allowance"),
        "breach_when": rule["breach_when"],
        "holds": _measure(case, rule),
        "judged_at": rule.get("judged_at", "every_event"),
        **_offences(rule),
    }


def _needed_size(case: Case, rule: Mapping[str, Any], name: str) -> Any:
    if rule[name] is None:
        raise Unsupported(f"{case.kind}: {name} is missing", name)
    size = case.size(rule[name])
    if size is not None and size.type == "pct_of_trade_value":
        raise Unsupported(f"{case.kind}: {name} in percent of the value of a trade", "type")
    return size


def _measure(case: Case, rule: Mapping[str, Any]) -> WorthParts:
    measure = rule.get("measure", "equity")
    holds = {"equity": EVERYTHING, "balance": WorthParts(floating=False)}.get(measure)
    if holds is None:
        raise Unsupported(f"{case.kind}: measure {quoted(measure)}", "measure")
    return holds


def _offences(rule: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: rule[name] for name in ("consequences", "cure") if rule.get(name) is not None}
    if given.get("consequences") == []:
        raise Unsupported("consequences: name at least one, or leave them out", "consequences")
    return given


def _flag(case: Case, rule: Mapping[str, Any], name: str) -> bool:
    value = rule.get(name, False)
    if not isinstance(value, bool):
        raise Unsupported(f"{case.kind}: {name} {quoted(value)} is neither true nor false", name)
    return value


def _after_payout(case: Case, rule: Mapping[str, Any]) -> str:
    effect = rule.get("payout_effect", "unchanged")
    if effect not in ("unchanged", "full_reset", "floor_set_to_zero"):
        raise Unsupported(f"{case.kind}: payout_effect {quoted(effect)}", "payout_effect")
    if effect == "floor_set_to_zero" and case.initial_minor:
        raise Unsupported(
            "payout_effect: only an account that starts at zero can have its floor there", "payout_effect"
        )
    if _flag(case, rule, "lock_on_first_payout"):
        if effect != "unchanged":
            raise Unsupported(f"payout_effect {effect}, although the first payout locks the floor", "payout_effect")
        return "locks_at_initial"
    return str(effect)


def _lock(case: Case, data: Any) -> dict[str, Any] | None:
    if data is None:
        return None
    case.only("lock", data, ("at", "offset"))
    if data.get("at", "initial") != "initial":
        raise Unsupported(f"max_loss_trailing: lock at {quoted(data['at'])}", "at")
    offset = data.get("offset", 0)
    if isinstance(offset, Mapping):
        return {"offset": case.major(case.money_of(offset))}
    if isinstance(offset, bool) or not isinstance(offset, int | Decimal):
        raise Unsupported(f"max_loss_trailing: offset {quoted(offset)} is not a number", "offset")
    return {"offset": Decimal(offset)}


_READERS: Final[dict[str, Callable[[Case], EquityRule]]] = {
    "daily_loss": _daily_loss,
    "daily_move_cap": _daily_move_cap,
    "max_loss_static": _max_loss_static,
    "max_loss_trailing": _max_loss_trailing,
    "floating_loss": _floating_loss,
}
FLOORS: Final = tuple(_READERS)
