"""One worked example: an account, a rule, its events, and the result that the firm expects.

Money in a case is in major units; times are written as in the source. This module only reads: a builder makes the
engine's own rule from `Case.rule` and feeds it the events.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from domain.clocks import Clock
from domain.errors import BadInput, CaseUnreadable
from domain.money import from_minor, to_minor
from domain.quoting import cut, quoted
from domain.rules.terms import Size

# Events without a time ("r", "month 4") are still in order.
_NO_CLOCK: Final = datetime(2000, 1, 1, tzinfo=UTC)
Figure = Decimal | int | str | bool | date | datetime | None
Value = Figure | list[Any]


EVENTS: Final = frozenset(
    (
        *("snapshot", "rollover", "trade_open", "trade_close", "pending_order_placed", "day_result", "payout"),
        *("payout_request", "payout_approved", "cycle_end", "funded", "phase_passed", "withdrawn_total", "payment"),
        *("clock", "news", "totals", "position_state", "pnl", "rollover_pnl", "accounts", "scale_up", "trades"),
    )
)


class Unsupported(Exception):
    """The engine cannot express a kind, a parameter or a value; the text names it. `field`: the innermost field, as
    the case writes it; it is what `got` shows."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event as written; `index` is its position in the case.

    In a case with several rules, a payout rule is told what the others say after this event: `held_back`, a gate that
    blocks payouts is not met; `left_out_minor`, the profit that they ever left out.
    """

    index: int
    kind: str
    t: str
    data: Mapping[str, Any]
    held_back: bool = False
    left_out_minor: int = 0

    def at(self, clock: Clock | None = None) -> datetime:
        """Returns the instant (UTC). A bare date is the start of that day by `clock`, or in UTC without a clock."""
        if "T" in self.t or self.t[10:11] == " ":
            try:
                moment = datetime.fromisoformat(self.t)
            except ValueError:
                return _NO_CLOCK + timedelta(minutes=self.index)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        day = self._date()
        if day is None:
            return _NO_CLOCK + timedelta(minutes=self.index)
        return clock.day_start(day) if clock else datetime(day.year, day.month, day.day, tzinfo=UTC)

    def day(self, clock: Clock | None = None) -> date | None:
        """Returns the trading day by `clock`, or the date as written; None if there is no date."""
        day = self._date()
        if clock is None or day is None or "T" not in self.t:
            return day
        return clock.trading_day(self.at())

    def _date(self) -> date | None:
        try:
            return date.fromisoformat(self.t[:10])
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
    # why it could not be read; it is reported with the results of the others
    problem: str | None = None

    def params(self, *known: str) -> Mapping[str, Any]:
        """Returns the parameters of the rule without its kind. Raises Unsupported for one that is not in `known`."""
        allowance = ("daily_allowance",) if self._uses_daily_allowance() else ()
        unknown = sorted(set(self.rule) - {"kind", "severity", *known, *allowance})
        if unknown:
            raise Unsupported(f"{self.kind}: parameter {unknown[0]}", unknown[0])
        return {name: value for name, value in self.rule.items() if name != "kind"}

    def _uses_daily_allowance(self) -> bool:
        sizes = (value for value in self.rule.values() if isinstance(value, Mapping))
        return any(size.get("type") == "pct_of_daily_allowance" for size in sizes)

    @property
    def severity(self) -> str | None:
        return self.rule.get("severity")

    def size(self, data: Mapping[str, Any] | None) -> Size | None:
        """Returns a size of the case as a size of the engine; resolves a percentage of the daily allowance."""
        if data is None:
            return None
        self.only("size", data, ("type", "value"))
        kind, value = data["type"], Decimal(data["value"])
        if kind == "pct_of_daily_allowance":
            whole = self.size(self.rule.get("daily_allowance"))
            if whole is None:
                raise Unsupported("pct_of_daily_allowance without daily_allowance")
            return Size(type=whole.type, value=whole.value * value / 100)
        try:
            return Size(type=kind, value=value)
        except ValueError as exc:
            raise Unsupported(f"size {kind} {value}") from exc

    def only(self, what: str, data: Any, known: tuple[str, ...]) -> None:
        """Raises Unsupported for a key of `data`, a part of the rule, that is not in `known`."""
        if not isinstance(data, Mapping):
            raise Unsupported(f"{self.kind}: {what} {quoted(data)}")
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise Unsupported(f"{self.kind}: {what} with {unknown[0]}", unknown[0])

    def money_of(self, data: Mapping[str, Any], basis_minor: int = 0) -> int:
        """Returns a size of the case in minor units; `basis_minor`: the anchor, peak or trade value."""
        size = self.size(data)
        assert size is not None
        return size.minor(initial=self.initial_minor, basis=basis_minor, currency=self.currency)

    def major(self, minor: int | None) -> Decimal | None:
        return None if minor is None else from_minor(minor, self.currency)

    def clock(self, data: Mapping[str, Any] | None) -> Clock | None:
        """Returns a clock of the case; None if the platform's rollover events mark the end of the day."""
        self.only("clock", data or {}, ("timezone", "reset", "from", "session_end"))
        if data is None or data.get("timezone") in (None, "platform") or not _is_time(data.get("reset")):
            return None
        try:
            return Clock(zone=data["timezone"], reset=data["reset"])
        except ValueError as exc:
            raise Unsupported(f"clock {data}") from exc


def _is_time(reset: object) -> bool:
    return isinstance(reset, str) and len(reset) == 5 and reset[2] == ":"


@dataclass(slots=True)
class EngineResult:
    """The engine's result. Money is in major units. `floors`, `ratios` and `steps` (named amounts) are per event.

    For cases with several rules: a rule that can be broken counts its offences so far in `steps[n]["violations"]`. A
    gate says in `met[n]` whether it is met after event n, and with an effect on the target the raised target in
    `steps[n]["new_target"]`. A rule that leaves profit out says in `left_out[n]` how much it ever left out.
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


def read_cases(text: str, name: str) -> list[Case]:
    """Returns the cases of a file. Raises CaseUnreadable, with the place, if the file is not a list of cases.

    A single case that cannot be read gets a `problem`; the others are still read.
    """
    try:
        data = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as exc:
        raise CaseUnreadable(f"{name}:{exc.lineno} is not JSON: {exc.msg}", field=name) from exc
    except (ValueError, RecursionError) as exc:  # an endless number, or endless nesting
        raise CaseUnreadable(f"{name} cannot be read as JSON: {cut(str(exc), 200)}", field=name) from exc
    if isinstance(data, dict):
        data = data.get("cases")
    if not isinstance(data, list):
        raise CaseUnreadable(f"{name} does not contain a list of cases.", field=name)
    return list(_cases(data, name))


def _cases(data: list[Any], name: str) -> Iterator[Case]:
    for number, raw in enumerate(data, start=1):
        try:
            yield _case(raw)
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, BadInput) as exc:
            yield _unread(raw, number, f"{name}, case {number} cannot be read: {quoted(exc, 200)}")


def _unread(raw: Any, number: int, problem: str) -> Case:
    """Returns a case with a `problem`, with as much as could be read."""
    data = raw if isinstance(raw, dict) else {}
    rule, expected = data.get("rule"), data.get("expected")
    return Case(
        id=cut(str(data.get("id", number))),
        kind=str(rule.get("kind", "")) if isinstance(rule, dict) else "",
        currency="USD",
        initial_minor=0,
        phase=None,
        account_type="standard",
        rule={},
        events=(),
        expected=expected if isinstance(expected, dict) else {},
        problem=problem,
    )


def _case(raw: Mapping[str, Any]) -> Case:
    account = raw.get("account") or {}
    currency = account.get("currency", "USD")
    if not isinstance(raw["rule"]["kind"], str):
        raise TypeError(f"kind {quoted(raw['rule']['kind'])} is not a word")
    events = [
        RawEvent(
            index, event["type"], str(event.get("t", "")), {k: v for k, v in event.items() if k not in ("t", "type")}
        )
        for index, event in enumerate(raw.get("events") or ())
    ]
    return Case(
        id=str(raw["id"]),
        kind=raw["rule"]["kind"],
        currency=currency,
        initial_minor=to_minor(Decimal(account.get("initial_balance", 0)), currency),
        phase=account.get("phase"),
        account_type=account.get("account_type", "standard"),
        rule=raw["rule"],
        events=tuple(events),
        expected=raw["expected"],
    )
