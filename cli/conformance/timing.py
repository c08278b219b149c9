"""Cases about time: inactivity, hours to be flat, news. The engine's rule is made from the case and stepped over its
events."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cli.conformance import binding
from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported, Value
from cli.conformance.daily import calendars_for
from cli.conformance.fold import Translates, fold, only
from cli.conformance.translator import Translator, context_of
from domain.clocks import WEEKDAYS, Clock
from domain.rules.base import State, Violation
from domain.rules.conduct.flat_by import FlatBy
from domain.rules.conduct.inactivity import Inactivity
from domain.rules.conduct.news_window import NewsWindow
from domain.rules.events import Event

_EVERY_DAY: Final = ("daily", "every_day", "any", "all")


def inactivity(case: Case) -> EngineResult:
    known = (
        *("calendar_days", "trading_days", "calendar"),
        *("counter_starts", "open_position_suspends", "pending_orders_count"),
    )
    given = case.params(*known, *binding.PARAMS, "day")
    clock = case.clock(given.get("day"))
    rule = Inactivity.model_validate({"type": "inactivity", **only(given, known), **binding.consequences(case)})
    context = replace(context_of(case, clock or _as_written(case)), calendars=calendars_for(case))
    return fold(
        case, rule, context, lambda state, _: {"deadline": rule.deadline(state, context)}, Translator(case, clock)
    )


def _as_written(case: Case) -> Clock | None:
    """Returns a clock that ends the days at midnight, as the instants of the case are written; None without any."""
    for raw in case.events:
        try:
            moment = datetime.fromisoformat(raw.t)
        except ValueError:
            continue
        if moment.tzinfo is not None:
            offset = f"{moment:%z}"
            return Clock(zone=f"{offset[:3]}:{offset[3:5]}", reset="00:00")
    return None


def flat_by(case: Case) -> EngineResult:
    known = ("time", "reopens", "calendar", "before_close_minutes", "break_longer_than_hours")
    given = case.params(*known, *binding.PARAMS, "weekday", "reopens_weekday", "timezone", "day", "clock")
    zone = given.get("timezone") or (given.get("day") or given.get("clock") or {}).get("timezone")
    # without a zone, the times of the events as written
    as_written = "calendar" not in given and zone in (None, "platform")
    if "time" not in given and "calendar" not in given:
        raise Unsupported("flat_by: time is missing", "time")
    rule = FlatBy.model_validate(
        {
            "type": "flat_by",
            **only(given, known),
            "weekday": _weekday("weekday", given.get("weekday")),
            "reopens_weekday": _weekday("reopens_weekday", given.get("reopens_weekday")),
            "zone": None if "time" not in given else "UTC" if as_written else zone,
            **binding.consequences(case),
        }
    )

    def read(_: State, violations: list[Violation]) -> dict[str, Value]:
        return {"positions_closed": sum(violation.figures["positions"] for violation in violations)}

    context = replace(context_of(case), calendars=calendars_for(case))
    return fold(case, rule, context, read, Translator(case, as_written=as_written))


def _weekday(field: str, name: Any) -> str | None:
    if name is None or name in _EVERY_DAY:
        return None
    for day in WEEKDAYS:
        if str(name).lower() in (day, day[:3]):
            return day
    raise Unsupported(f"flat_by: weekday {name}", field)


def news_window(case: Case) -> EngineResult:
    known = (
        *("before_minutes", "after_minutes", "applies_to"),
        *("targeted_instruments_only", "exempt_if_opened_minutes_before"),
    )
    given = case.params(*known, *binding.PARAMS, "day")
    deducts = any(one.get("kind") == "deduct_profit" for one in given.get("consequences") or ())
    rule = NewsWindow.model_validate(
        {
            "type": "news_window",
            "before_minutes": 0,
            "after_minutes": 0,
            "targeted_instruments_only": False,
            **only(given, known),
            **binding.consequences(case),
            # of an offending position all profit is deducted
            **({"counted_pct": 0} if deducts else {}),
        }
    )
    context = context_of(case)

    def read(state: Any, _: list[Violation]) -> dict[str, Value]:
        return {"deducted": case.major(rule.deducted_minor(state, context))}

    translator = Translator(case)
    return fold(case, rule, context, read, translator, _known_ahead(case, translator))


def _known_ahead(case: Case, translator: Translator) -> Translates:
    """Translates the events so that every release is known from the first event on, wherever the case lists it."""
    first = next((number for number, raw in enumerate(case.events) if raw.kind != "news"), len(case.events))
    later = [raw for raw in case.events[first:] if raw.kind == "news"]

    def translate(raw: RawEvent) -> Iterable[Event]:
        ahead = [translator.event(release) for release in later] if raw is case.events[0] else []
        now = replace(raw, kind="clock", data={}) if raw in later else raw
        return (*ahead, translator.event(now))

    return translate


def news_profit_haircut(case: Case) -> EngineResult:
    given = case.params("counted_pct", "cap", "before_minutes", "after_minutes", "day")
    cap = given.get("cap")
    rule = NewsWindow.model_validate(
        {
            "type": "news_window",
            "before_minutes": given.get("before_minutes", 0),
            "after_minutes": given.get("after_minutes", 0),
            "applies_to": ["open", "close"],
            "counted_pct": given.get("counted_pct", 100),
            "cap": case.size(cap),
            "consequences": [{"kind": "deduct_profit"}],
        }
    )
    context = context_of(case)
    for name, problem in rule.problems(context) if rule.cap is not None else ():
        raise Unsupported(f"news_profit_haircut: {problem}", name)
    result, counted, other = EngineResult(outcome="computed"), 0, 0
    for raw in case.events:
        if "news_profits" in raw.data:
            counted = sum(map(rule.counted_minor, _profits(raw, case.currency)))
            counted -= rule.above_cap_minor(counted, context)
        rest = raw.money("profit_excluding_news_profits", case.currency)
        other = other if rest is None else rest
        result.amounts = {"news_counted": case.major(counted), "total": case.major(counted + other)}
        if cap is not None:
            result.amounts["cap"] = case.major(case.money_of(cap))
        result.steps.append(result.amounts)
    return result


def _profits(raw: RawEvent, currency: str) -> list[int]:
    """Returns the profits of the trades near news: one sum, or one of each."""
    given = raw.data["news_profits"]
    each = given if isinstance(given, list) else [given]
    return [RawEvent(raw.index, raw.kind, raw.t, {"value": one}).money("value", currency) or 0 for one in each]


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "inactivity": inactivity,
    "flat_by": flat_by,
    "news_window": news_window,
    "news_profit_haircut": news_profit_haircut,
}
