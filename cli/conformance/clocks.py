"""Cases about clocks: where a trading day begins and ends, by each clock that the case names.

A case asks through the names of its amounts: `[clock: ]day D starts | eod D | reset D | length_hours D[ in Z]`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from pydantic import ValidationError

from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported, Value, wrong_part
from domain.clocks import Clock, ClockHistory, zone_of
from domain.quoting import quoted

_QUESTION: Final = re.compile(
    r"^(?:(?P<clock>[^:]+): )?(?P<what>day|eod|reset|length_hours) (?P<day>\d{4}-\d\d-\d\d)"
    r"(?P<starts> starts)?(?: in (?P<zone>.+))?$"
)
# parameters that name neither a clock nor a zone; session_end moves no figure
_OTHERS: Final = ("kind", "severity", "timezone", "reset", "versions", "session_end")


class Days(Protocol):
    """Anything that knows when days begin."""

    def day_start(self, day: date) -> datetime: ...

    def day_end(self, day: date) -> datetime: ...

    def reset_on(self, local: date) -> datetime: ...


class PlatformDays:
    """The clock of a platform: its rollover events say when days begin. Their local time is the time as written."""

    def __init__(self, events: Sequence[RawEvent]) -> None:
        self._resets = [(event.day(), _label(event), event.at()) for event in events if event.kind == "rollover"]

    def day_start(self, day: date) -> datetime:
        return self._found(at for _, label, at in self._resets if label == day)

    def day_end(self, day: date) -> datetime:
        return self.day_start(day + timedelta(1))

    def reset_on(self, local: date) -> datetime:
        return self._found(at for written, _, at in self._resets if written == local)

    @staticmethod
    def _found(instants: Iterator[datetime]) -> datetime:
        at = next(instants, None)
        if at is None:
            raise Unsupported("day_boundary: no rollover event begins that day", "timezone")
        return at


def _label(rollover: RawEvent) -> date | None:
    """Returns the day that a rollover begins: its date as written before 12:00, else the next one."""
    day = rollover.day()
    if day is None or len(rollover.t) <= 10:
        return day
    return day if datetime.fromisoformat(rollover.t).time() < time(12) else day + timedelta(1)


@dataclass(slots=True)
class _Clocks:
    """The clocks of a rule by name ("" is its own clock), and the zones it names."""

    days: dict[str, Days] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)


def _zone_name(value: Any, field: str = "timezone") -> str:
    """Returns a zone of the case under its name in the engine. `field`: the one that names it."""
    try:
        return str(Clock.model_validate({"zone": value, "reset": "00:00"}).zone)
    except ValidationError as exc:
        raise Unsupported(f"{field} {quoted(value)}", wrong_part(value, field)) from exc


def _history(case: Case, versions: list[Mapping[str, Any]]) -> ClockHistory:
    """Returns clocks that replace each other. The first one is valid from the beginning."""
    clocks = [_clock(case, version, "from") for version in versions]
    changes = [_from(version["from"]) for version in versions[1:]]
    return ClockHistory(clocks[0], tuple(zip(changes, clocks[1:], strict=True)))


def _from(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _clock(case: Case, data: Mapping[str, Any], *more: str) -> Clock:
    case.only("clock", data, ("timezone", "reset", "session_end", *more))
    clock = case.clock({name: data[name] for name in ("timezone", "reset") if name in data})
    if clock is None:
        raise Unsupported(f"day_boundary: clock {quoted(dict(data))}", "timezone")
    return clock


def _clocks(case: Case) -> _Clocks:
    rule, found = case.rule, _Clocks()
    named = {"": {name: rule[name] for name in ("timezone", "reset", "versions") if name in rule}}
    named |= {name: value for name, value in rule.items() if name not in _OTHERS}
    for name, value in named.items():
        if not isinstance(value, Mapping):
            found.zones[name] = _zone_name(value, name)
        elif "versions" in value:
            case.only("clock", value, ("versions",))
            history = _history(case, value["versions"])
            found.days[name] = history
            found.zones[name] = (history.changes[-1][1] if history.changes else history.first).zone
        elif value.get("timezone") == "platform":
            case.only("clock", value, ("timezone", "reset", "session_end"))
            found.days[name] = PlatformDays(case.events)
        elif "reset" in value:
            clock = _clock(case, value)
            found.days[name], found.zones[name] = ClockHistory(clock), clock.zone
        elif value:
            case.only("zone", value, ("timezone", "standard", "daylight", "dst_of", "session_end"))
            found.zones[name] = _zone_name(value["timezone"]) if "timezone" in value else _zone_name(value, name)
    return found


def _answer(question: str, clocks: _Clocks) -> Value:
    asked = _QUESTION.match(question)
    if asked is None or (asked["what"] == "day") != bool(asked["starts"]):
        raise Unsupported(f"day_boundary: {question}", question)
    name = asked["clock"] or ("" if "" in clocks.days else next(iter(clocks.days)))
    if name not in clocks.days:
        raise Unsupported(f"day_boundary: clock {name}", name)
    days, day = clocks.days[name], date.fromisoformat(asked["day"])
    if asked["what"] == "length_hours":
        return Decimal((days.day_end(day) - days.day_start(day)) // timedelta(seconds=1)) / 3600
    find = {"day": days.day_start, "eod": days.day_end, "reset": days.reset_on}[asked["what"]]
    at = find(day)
    if asked["zone"] is None:
        return at
    zone = clocks.zones.get(asked["zone"]) or _zone_name(asked["zone"])
    return at.astimezone(zone_of(zone)).strftime("%H:%M")


def day_boundary(case: Case) -> EngineResult:
    clocks = _clocks(case)
    if not clocks.days:
        missing = "reset" if "timezone" in case.rule else "timezone"
        raise Unsupported("day_boundary: no clock with a timezone and a reset", missing)
    return EngineResult("computed", amounts={name: _answer(name, clocks) for name in case.expected.get("amounts", {})})


def trading_day_label(case: Case) -> EngineResult:
    """Returns the trading day of each trade; without trades, of each event."""
    rule = case.params("day", "session_end")
    clock = case.clock(rule.get("day"))
    by_platform = clock is None and rule.get("day") is not None
    labels = _by_rollovers(case.events) if by_platform else [event.day(clock) for event in case.events]
    trades = [event.index for event in case.events if event.kind.startswith("trade_")]
    days: list[date | None] = [labels[index] for index in trades or range(len(labels))]
    return EngineResult("computed", amounts={"trade_dates": days}, steps=[{"trade_date": day} for day in days])


def _by_rollovers(events: Sequence[RawEvent]) -> list[date | None]:
    """Returns the day of each event: the one that the last rollover began, before any the one that the first ended."""
    first = next((_label(event) for event in events if event.kind == "rollover"), None)
    running = None if first is None else first - timedelta(1)
    labels = list[date | None]()
    for event in events:
        running = _label(event) if event.kind == "rollover" else running
        labels.append(running or event.day())
    return labels


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "day_boundary": day_boundary,
    "trading_day_label": trading_day_label,
}
