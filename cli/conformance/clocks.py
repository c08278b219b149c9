"""Cases about clocks: where a trading day begins and ends, by each clock that the case names.

A case asks through the names of its amounts: `[clock: ]day D starts | eod D | reset D | length_hours D[ in Z]`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, Unsupported, Value
from domain.clocks import Clock, ClockHistory, zone_of

_QUESTION: Final = re.compile(
    r"^(?:(?P<clock>[^:]+): )?(?P<what>day|eod|reset|length_hours) (?P<day>\d{4}-\d\d-\d\d)"
    r"(?: starts)?(?: in (?P<zone>.+))?$"
)


@dataclass(slots=True)
class _Clocks:
    """The clocks of a rule by name ("" is its own clock), and the zones it names."""

    histories: dict[str, ClockHistory] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)


def _zone_name(value: Any) -> str:
    """Returns a zone of the case under its name in the engine."""
    return str(Clock.model_validate({"zone": value, "reset": "00:00"}).zone)


def _clock(data: Mapping[str, Any]) -> Clock:
    return Clock.model_validate({"zone": data["timezone"], "reset": data["reset"]})


def _history(versions: list[Mapping[str, Any]]) -> ClockHistory:
    changes = tuple((datetime.fromisoformat(version["from"]), _clock(version)) for version in versions[1:])
    return ClockHistory(_clock(versions[0]), changes)


def _clocks(case: Case) -> _Clocks:
    rule, found = case.rule, _Clocks()
    if "versions" in rule:
        found.histories[""] = _history(rule["versions"])
    elif "timezone" in rule and "reset" in rule:
        found.histories[""] = ClockHistory(_clock(rule))
    for name, value in rule.items():
        if name in ("kind", "severity", "timezone", "reset", "versions"):
            continue
        if isinstance(value, Mapping):
            case.only(name, value, ("timezone", "reset", "versions", "standard", "daylight", "dst_of"))
        if isinstance(value, Mapping) and "versions" in value:
            found.histories[name] = _history(value["versions"])
        elif isinstance(value, Mapping) and "reset" in value:
            found.histories[name] = ClockHistory(_clock(value))
        else:
            found.zones[name] = _zone_name(value["timezone"] if _names_zone(value) else value)
    for name, history in found.histories.items():
        last = history.changes[-1][1] if history.changes else history.first
        found.zones[name] = last.zone
    return found


def _names_zone(value: object) -> bool:
    return isinstance(value, Mapping) and "timezone" in value


def _answer(question: str, clocks: _Clocks) -> Value:
    asked = _QUESTION.match(question)
    if asked is None:
        raise Unsupported(f"day_boundary: {question}", question)
    name = asked["clock"] or ("" if "" in clocks.histories else next(iter(clocks.histories)))
    if name not in clocks.histories:
        raise Unsupported(f"day_boundary: clock {name}", name)
    history, day = clocks.histories[name], date.fromisoformat(asked["day"])
    if asked["what"] == "length_hours":
        seconds = int((history.day_end(day) - history.day_start(day)).total_seconds())
        return Decimal(seconds) / 3600
    find = {"day": history.day_start, "eod": history.day_end, "reset": history.reset_on}[asked["what"]]
    at = find(day)
    if asked["zone"] is None:
        return at
    zone = clocks.zones.get(asked["zone"]) or _zone_name(asked["zone"])
    return at.astimezone(zone_of(zone)).strftime("%H:%M")


def day_boundary(case: Case) -> EngineResult:
    clocks = _clocks(case)
    if not clocks.histories:
        raise Unsupported("day_boundary: no clock with a timezone and a reset", "timezone")
    return EngineResult("computed", amounts={name: _answer(name, clocks) for name in case.expected.get("amounts", {})})


def trading_day_label(case: Case) -> EngineResult:
    """Returns the trading day of each event."""
    rule = case.params("day", "session_end")
    clock = case.clock(rule["day"])
    if clock is None:
        raise Unsupported("trading_day_label: a clock that only the platform has", "day")
    trades = [event for event in case.events if event.kind.startswith("trade_")]
    days: list[date | None] = [event.day(clock) for event in trades or case.events]
    return EngineResult("computed", amounts={"trade_dates": days}, steps=[{"trade_date": day} for day in days])


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "day_boundary": day_boundary,
    "trading_day_label": trading_day_label,
}
