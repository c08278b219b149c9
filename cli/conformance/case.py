"""One worked example: an account, a rule, its events, and the result that the firm expects.

Money in a case is in major units; times are written as in the source. This module only reads: a builder makes the
engine's own rule from `Case.rule` and feeds it the events.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from pydantic import ValidationError

from cli.conformance.refusal import Unsupported
from cli.conformance.shape import is_deep, json_object
from cli.conformance.strict import check_case
from domain.clocks import Clock
from domain.errors import BadInput
from domain.file_errors import CaseUnreadable
from domain.money import from_minor, to_minor
from domain.quoting import cut, quoted
from domain.rules.terms import Size

__all__ = ("Case", "EngineResult", "Figure", "RawEvent", "Unsupported", "Value", "read_cases")

# Events without a time ("r", "month 4") are still in order.
_NO_CLOCK: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SERVER_CLOCK: Final = ("standard", "daylight", "dst_of")
Figure = Decimal | int | str | bool | date | datetime | None
Value = Figure | list[Any]
# the kinds that are gates: what they hold back is a parameter that only counts among several rules
GATES: Final = ("best_day_ratio", "daily_profit_cap", "min_hold_time", "profitable_day_count", "trading_day_count")


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event as written; `index` is its position in the case. `near`: for an event without a clock, the instant of
    the nearest event that has one.

    In a case with several rules, a payout rule is told what the others say after this event: `held_back`, a gate that
    blocks payouts is not met; `left_out_minor`, the profit that they ever left out.
    """

    index: int
    kind: str
    t: str
    data: Mapping[str, Any]
    held_back: bool = False
    left_out_minor: int = 0
    near: datetime | None = None

    def at(self, clock: Clock | None = None) -> datetime:
        """Returns the instant (UTC). A bare date is the start of that day by `clock`, or in UTC without a clock."""
        if self.has_instant:
            return datetime.fromisoformat(self.t).astimezone(UTC)
        day = self._date()
        if day is None:
            return self.near or _NO_CLOCK + timedelta(minutes=self.index)
        return clock.day_start(day) if clock else datetime(day.year, day.month, day.day, tzinfo=UTC)

    @property
    def has_instant(self) -> bool:
        """Whether the event has an instant, and not only a date or a word."""
        return self._date() is not None and len(self.t) > 10

    def day(self, clock: Clock | None = None) -> date | None:
        """Returns the trading day by `clock`, or the date as written; None if there is no date."""
        day = self._date()
        if clock is None or day is None or not self.has_instant:
            return day
        return clock.trading_day(self.at())

    def _date(self) -> date | None:
        try:
            return datetime.fromisoformat(self.t).date()
        except ValueError:
            return None

    def money(self, name: str, currency: str) -> int | None:
        """Returns an amount in minor units; None if the event does not carry it."""
        value = self.data.get(name)
        return None if value is None else to_minor(Decimal(value), currency)


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    kind: str
    currency: str
    initial_minor: int
    phase: str | None
    account_type: str
    rule: Mapping[str, Any]
    events: tuple[RawEvent, ...]
    expected: Mapping[str, Any]
    # the rules of a case with several, by id; `kind` is then "rules"
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # why it could not be read; it is reported with the results of the others
    problem: Unsupported | None = None

    def params(self, *known: str) -> Mapping[str, Any]:
        """Returns the parameters of the rule without its kind; null is as if left out. Raises Unsupported for one that
        is not in `known`."""
        allowance = ("daily_allowance",) if self._uses_daily_allowance() else ()
        blocks = ("blocks",) if self.kind in GATES else ()
        unknown = sorted(set(self.rule) - {"kind", "severity", *known, *allowance, *blocks})
        if unknown:
            raise Unsupported(f"{self.kind}: parameter {unknown[0]}", unknown[0])
        held = self.rule.get("blocks", [])
        if not isinstance(held, list) or set(held) - {"pass", "payout"}:
            raise Unsupported(f"blocks {quoted(held)}: a list of pass, payout", "blocks")
        return {name: value for name, value in self.rule.items() if name != "kind" and value is not None}

    def _uses_daily_allowance(self) -> bool:
        return _names_daily_allowance(self.rule)

    @property
    def severity(self) -> str | None:
        return self.rule.get("severity")

    def size(self, data: Any) -> Size | None:
        """Returns a size of the case, or a bare number of money, as a size of the engine; resolves a percentage of the
        daily allowance. None: no size."""
        if data is None:
            return None
        if not isinstance(data, Mapping):
            data = {"type": "amount", "value": data}
        self.only("size", data, ("type", "value", "at_least", "steps"))
        kind, more = data["type"], _more_of_size(self, data)
        if kind == "pct_of_daily_allowance":
            whole = self.size(self.rule.get("daily_allowance"))
            if whole is None:
                raise Unsupported("pct_of_daily_allowance without daily_allowance", "daily_allowance")
            return _share_of(whole, Decimal(data["value"]), more)
        value = data["value"]
        if value is None and more.get("steps"):  # no limit up to the first step
            value, more["steps"] = 0, [{"from_profit": 0, "value": None}, *more["steps"]]
        try:
            return Size.model_validate({"type": kind, "value": value, **more})
        except ValidationError as exc:
            wrong = [name for name in exc.errors()[0]["loc"] if isinstance(name, str)]
            raise Unsupported(f"size {quoted(kind)} {quoted(data['value'])}", (wrong or ["value"])[-1]) from exc

    def only(self, what: str, data: Any, known: tuple[str, ...]) -> None:
        """Raises Unsupported for a key of `data`, a part of the rule, that is not in `known`."""
        if not isinstance(data, Mapping):
            raise Unsupported(f"{self.kind}: {what} {quoted(data)} is not an object", what)
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise Unsupported(f"{self.kind}: {what} with {unknown[0]}", unknown[0])

    def money_of(self, data: Any, basis_minor: int = 0) -> int:
        """Returns a size of the case in minor units; `basis_minor`: the anchor, peak or trade value."""
        size = self.size(data)
        assert size is not None
        return size.minor(initial=self.initial_minor, basis=basis_minor, currency=self.currency)

    def major(self, minor: int | None) -> Decimal | None:
        return None if minor is None else from_minor(minor, self.currency)

    def clock(self, data: Any) -> Clock | None:
        """Returns a clock of the case; None if the platform's rollover events mark the end of the day."""
        if data is None:
            return None
        self.only("clock", data, ("timezone", "reset", "session_end"))
        zone, reset = data.get("timezone"), data.get("reset")
        if zone is None and reset is None:
            return None
        if zone in (None, "platform") or reset in ("platform", "session_end"):
            if zone is not None and zone != "platform":
                self._clock(zone, "00:00")  # refuse an unknown zone, although rollover events end the days
            return None
        return self._clock(zone, reset)

    def _clock(self, zone: Any, reset: Any) -> Clock:
        try:
            return Clock(zone=zone, reset=reset)
        except ValidationError as exc:
            wrong = "reset" if exc.errors()[0]["loc"][:1] == ("reset",) else wrong_part(zone, "timezone")
            raise Unsupported(f"{wrong} {quoted(reset if wrong == 'reset' else zone)}", wrong) from exc


def wrong_part(zone: Any, field: str) -> str:
    """Returns the field that makes a zone unknown: `field`, or the part of it that is no zone by itself."""
    if not isinstance(zone, Mapping):
        return field
    unknown = sorted(set(zone) - set(_SERVER_CLOCK))
    return next(iter(unknown), None) or next((part for part in _SERVER_CLOCK if not _is_zone(zone.get(part))), field)


def _is_zone(value: Any) -> bool:
    try:
        Clock(zone=value, reset="00:00")
    except ValidationError:
        return False
    return True


def _more_of_size(case: Case, data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the least amount and the steps of a size, as the engine names them."""
    more: dict[str, Any] = {}
    if data.get("at_least"):  # every size is at least 0
        more["at_least"] = data["at_least"]
    given = data.get("steps") or []
    if not isinstance(given, list):
        raise Unsupported(f"steps {quoted(given)} is not a list", "steps")
    for step in given:
        case.only("steps", step, ("from", "value"))
        if "from" not in step or "value" not in step:
            raise Unsupported("steps: each has from and value", "value" if "from" in step else "from")
    if given:
        more["steps"] = [{"from_profit": step["from"], "value": step["value"]} for step in given]
    return more


def _share_of(whole: Size, pct: Decimal, more: Mapping[str, Any]) -> Size:
    """Returns `pct` percent of a size, with a least amount and steps of its own."""
    least = [whole.at_least * pct / 100] if whole.at_least is not None else []
    least += [Decimal(more["at_least"])] if "at_least" in more else []
    steps: list[dict[str, Any]] = [
        {"from_profit": step.from_profit, "value": None if step.value is None else step.value * pct / 100}
        for step in whole.steps
    ] or [
        {**step, "value": None if step["value"] is None else whole.value * Decimal(step["value"]) / 100}
        for step in more.get("steps", [])
    ]
    return Size.model_validate(
        {
            "type": whole.type,
            "value": whole.value * pct / 100,
            "at_least": max(least, default=None),
            "steps": steps,
        }
    )


def _names_daily_allowance(part: Any) -> bool:
    """Whether a size of the rule, at any depth, is a percentage of the daily allowance."""
    if isinstance(part, list):
        return any(_names_daily_allowance(each) for each in part)
    if not isinstance(part, Mapping):
        return False
    return part.get("type") == "pct_of_daily_allowance" or any(_names_daily_allowance(each) for each in part.values())


@dataclass(slots=True)
class EngineResult:
    """The engine's result. Money is in major units. `floors`, `ratios` and `steps` (named amounts) are per event.

    For cases with several rules: a rule that can be broken counts its offences so far in `steps[n]["violations"]`. A
    gate says in `met[n]` whether it is met after event n (a request is judged by the window that it ends), and with an
    effect on the target the raised target in `steps[n]["new_target"]`. A rule that leaves profit out says in
    `left_out[n]` how much it ever left out.
    """

    outcome: str
    at_event: int | None = None
    severity: str | None = None
    floor: Decimal | None = None
    floors: list[Decimal | None] = field(default_factory=list)
    final_ratio: Decimal | None = None
    ratios: list[Decimal | None] = field(default_factory=list)
    amounts: dict[str, Value] = field(default_factory=dict)
    steps: list[dict[str, Value]] = field(default_factory=list)
    met: list[bool] = field(default_factory=list)
    left_out: list[Decimal] = field(default_factory=list)
    # of a case with several rules: the rule that ended the account, all other offences up to the end, the own results
    rule: str | None = None
    offences: list[dict[str, Any]] = field(default_factory=list)
    rules: dict[str, "EngineResult"] = field(default_factory=dict)


def read_cases(text: str, name: str) -> list[Case]:
    """Returns the cases of a file. Raises CaseUnreadable, with the place, if the file is not a list of cases.

    A single case that cannot be read gets a `problem`; the others are still read.
    """
    try:
        data = json.loads(
            text, parse_float=_decimal, parse_int=_whole, parse_constant=Decimal, object_pairs_hook=json_object
        )
    except json.JSONDecodeError as exc:
        raise CaseUnreadable(f"{name}:{exc.lineno} is not JSON: {exc.msg}", field=name) from exc
    except (ValueError, RecursionError) as exc:  # an endless number, or endless nesting
        raise CaseUnreadable(f"{name} cannot be read as JSON: {cut(str(exc), 200)}", field=name) from exc
    if isinstance(data, dict):
        data = data.get("cases")
    if not isinstance(data, list):
        raise CaseUnreadable(f"{name} does not contain a list of cases.", field=name)
    return list(_cases(data, name))


def _decimal(text: str) -> Decimal:
    """Returns a number as written; one beyond what a float can hold is not finite."""
    return Decimal(text) if isfinite(float(text)) else Decimal("Infinity")


def _whole(text: str) -> int | Decimal:
    number = int(text)  # ValueError for thousands of digits: such a file is not read at all
    return number if len(text) < 300 else Decimal("Infinity")


def _cases(data: list[Any], name: str) -> Iterator[Case]:
    for number, raw in enumerate(data, start=1):
        if is_deep(raw):
            yield _unread({}, number, Unsupported(f"{name}, case {number} is nested too deeply"))
            continue
        try:
            yield _case(raw)
        except Unsupported as exc:
            yield _unread(raw, number, exc)
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, BadInput) as exc:
            yield _unread(raw, number, Unsupported(f"{name}, case {number} cannot be read: {quoted(exc, 200)}"))


def _unread(raw: Any, number: int, problem: Unsupported) -> Case:
    """Returns a case with a `problem`, with as much as could be read."""
    data = raw if isinstance(raw, dict) else {}
    rule, expected = data.get("rule"), data.get("expected")
    return Case(
        id=cut(str(data.get("id", number))),
        kind="rules" if "rules" in data else str(rule.get("kind", "")) if isinstance(rule, dict) else "",
        currency="USD",
        initial_minor=0,
        phase=None,
        account_type="standard",
        rule={},
        events=(),
        expected=expected if isinstance(expected, dict) else {},
        problem=problem,
    )


def _case(raw: Any) -> Case:
    if not isinstance(raw, Mapping):
        raise Unsupported(f"{quoted(raw)} is not a case", "cases")
    check_case(raw)
    account = raw.get("account") or {}
    currency = account.get("currency", "USD")
    several = {rule["id"]: rule for rule in raw["rules"]} if "rules" in raw else {}
    return Case(
        id=str(raw["id"]),
        kind="rules" if several else raw["rule"]["kind"],
        currency=currency,
        initial_minor=to_minor(Decimal(account.get("initial_balance", 0)), currency),
        phase=account.get("phase"),
        account_type=account.get("account_type") or "standard",
        rule={} if several else raw["rule"],
        events=_events(raw.get("events", [])),
        expected=raw["expected"],
        rules=several,
    )


def _events(raws: list[Mapping[str, Any]]) -> tuple[RawEvent, ...]:
    events = [
        RawEvent(index, raw["type"], raw["t"], {k: v for k, v in raw.items() if k not in ("t", "type")})
        for index, raw in enumerate(raws)
    ]
    dated = [event.at() for event in events if event.day() is not None]
    near = min(dated, default=None)
    for index, event in enumerate(events):
        if event.day() is None:
            events[index] = replace(event, near=near)
        else:
            near = event.at()
    return tuple(events)
