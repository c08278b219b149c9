"""What a worked example may say: the fields of an account and of each type of event, and the values that can be.

Nothing is ignored: a field, type or word that the format does not name is refused, and so is a value that cannot be.
Each refusal is an `Unsupported` with the innermost field as the case writes it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from cli.conformance.offence_terms import check_offence_terms
from cli.conformance.refusal import Unsupported
from cli.conformance.shape import check_once
from domain.money import is_known
from domain.quoting import quoted

Check = Callable[[str, Any], None]

_CASE: Final = ("id", "firm", "source", "account", "rule", "rules", "events", "expected", "basis", "note")
_DATED: Final = re.compile(r"^[+-]?\d{4}-?\d")
# percentages that are no share of a whole: they may be above 100
_NO_SHARES: Final = ("increase_pct", "min_profit_pct", "max_request_pct_of_initial")
_SHARES: Final = re.compile(r"^(pct|.*_pct|max_request_pct_of_.*|max_short_pct_of_request)$")
_FLAGS: Final = (
    *("payout_reduces_anchor", "payout_reduces_peak", "lock_on_first_payout", "open_position_suspends"),
    *("pending_orders_count", "targeted_instruments_only", "half_days_count", "consecutive", "counts_later"),
    *("requires_flat", "requires_no_pending_orders", "profit_stays"),
)
_WHOLE: Final = (
    *("required", "min_trading_days", "winning_days_required", "max_payouts", "cap_first_payouts", "max_short_trades"),
    *("min_days_since_first_trade", "min_days_since_last_payout", "min_days_since_funded", "per_days"),
    *("first_cycle_days", "next_cycle_days", "from_payout", "to_payout", "calendar_days", "every_months"),
    *("min_payouts", "min_profitable_months", "times"),
)
# figures that may be below 0: where a floor locks or was before
_ANY_SIGN: Final = ("offset", "floor_before", "from")
# parameters that are always plain numbers
_NUMBERS: Final = (
    *("value", "minutes", "times", "calendar_days", "trading_days", "days", "multiple", "leverage"),
    *("before_minutes", "after_minutes", "exempt_if_opened_minutes_before", "merge_within_minutes", "grace_seconds"),
    *("before_close_minutes", "break_longer_than_hours", "min_multiple", "max_multiple", "seconds", "required"),
    *("max_short_trades", "min_average_seconds", "min_held_seconds", "min_pct_of_average_lots", "min_pct_of_best_day"),
    *("min_trading_days", "winning_days_required", "min_days_since_funded", "min_days_since_last_payout"),
    *("min_days_since_first_trade", "max_payouts", "cap_first_payouts", "from_payout", "to_payout", "per_days"),
    *("first_cycle_days", "next_cycle_days", "every_months", "min_payouts", "min_profitable_months", "micro_weight"),
)


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unsupported(f"{name} {quoted(value)} is not a number", name)
    if isinstance(value, Decimal) and not value.is_finite():
        raise Unsupported(f"{name} is not a finite number", name)


def _not_negative(name: str, value: Any) -> None:
    _number(name, value)
    if value < 0:
        raise Unsupported(f"{name} {value} is below 0", name)


def _lots(name: str, value: Any) -> None:
    _not_negative(name, value)
    if value == 0:
        raise Unsupported(f"{name} of 0", name)


def _count(name: str, value: Any) -> None:
    _not_negative(name, value)
    if value != int(value):
        raise Unsupported(f"{name} {value} is not a whole number", name)


def _ordinal(name: str, value: Any) -> None:
    _count(name, value)
    _lots(name, value)


def _positions(name: str, value: Any) -> None:
    if not isinstance(value, list):
        _count(name, value)


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise Unsupported(f"{name} {quoted(value)} is not a text", name)


def _text_or_none(name: str, value: Any) -> None:
    if value is not None:
        _text(name, value)


def _identity(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unsupported(f"{name} {quoted(value)} is not a name", name)


def _instant(name: str, value: Any) -> None:
    _text(name, value)
    if not isinstance(_moment(name, value), datetime):
        raise Unsupported(f"{name} {quoted(value)} is no instant", name)


def _price_or_none(name: str, value: Any) -> None:
    if value is not None:
        _not_negative(name, value)


def _one_of(*words: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in words:
            raise Unsupported(f"{name} {quoted(value)}: one of {', '.join(words)}", name)

    return check


def _each(check: Check) -> Check:
    def checks(name: str, value: Any) -> None:
        if not isinstance(value, list):
            raise Unsupported(f"{name} {quoted(value)} is not a list", name)
        for item in value:
            check(name, item)

    return checks


def _one_or_more(check: Check) -> Check:
    return lambda name, value: (_each(check) if isinstance(value, list) else check)(name, value)


def _part(fields: Mapping[str, Check], *needed: str) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise Unsupported(f"{name} {quoted(value)} is not an object", name)
        _fields(name, value, fields)
        for missing in needed:
            if missing not in value:
                raise Unsupported(f"{name}: {missing} is missing", missing)

    return check


_TRADE: Final[dict[str, Check]] = {
    "id": _identity,
    "symbol": _identity,
    "side": _one_of("buy", "sell"),
    "lots": _lots,
    "trade_value": _not_negative,
}
_OPEN_RESULTS: Final[dict[str, Check]] = {
    "positions": _each(_part({"id": _identity, "symbol": _identity, "pnl": _number}, "id", "pnl"))
}
_REASON: Final = _one_of("open", "close", "pending_fill", "stop_loss", "take_profit")
_NOTHING: Final[dict[str, Check]] = {}
# on any event
_ANY: Final[dict[str, Check]] = {"balance": _number, "equity": _number, "profit": _number}
EVENTS: Final[Mapping[str, Mapping[str, Check]]] = {
    "snapshot": _OPEN_RESULTS,
    "rollover": _OPEN_RESULTS,
    "trade_open": {
        **_TRADE,
        "reason": _REASON,
        "price": _not_negative,
        "stop": _price_or_none,
        "risk": _number,
    },
    "trade_close": {
        **_TRADE,
        "pnl": _number,
        "gross_pnl": _number,
        "commission": _number,
        "swap": _number,
        "reason": _REASON,
    },
    "pending_order_placed": {name: _TRADE[name] for name in ("id", "symbol", "side", "lots")},
    "stop_changed": {"id": _identity, "stop": _price_or_none, "risk": _number},
    "day_result": {"net_pnl": _number, "closed_pnl": _number, "floating_pnl": _number},
    "payout": {"gross_amount": _not_negative, "account": _identity},
    "phase_start": {"phase": _text, "initial_balance": _not_negative},
    "payout_request": {"amount": _not_negative, "payout_number": _ordinal, "trader_share": _not_negative},
    "payout_approved": _NOTHING,
    "cycle_end": _NOTHING,
    "phase_passed": _NOTHING,
    "funded": _NOTHING,
    "withdrawn_total": {"amount": _not_negative},
    "payment": {"kind": _text, "amount": _not_negative},
    "clock": {"open_positions": _positions},
    "news": {"name": _text, "targets": _one_or_more(_text), "ends": _instant},
    "totals": {
        "trading_days": _count,
        "winning_days": _count,
        "profitable_days": _count,
        "news_profits": _one_or_more(_number),
        "profit_excluding_news_profits": _number,
    },
    "pnl": {"value": _number},
    "rollover_pnl": {"value": _number},
    "accounts": {"accounts": _each(_part({"size": _not_negative, "balance": _number}))},
    "scale_up": _NOTHING,
    "trades": {
        "durations_seconds": _each(_not_negative),
        "trades": _each(_part({"duration_seconds": _not_negative, "pnl": _number}, "duration_seconds")),
    },
    "purchase": {"add_ons": _each(_text)},
    "reset": _NOTHING,
    "buyback": _NOTHING,
    "extension": _NOTHING,
    "cancelled": _NOTHING,
}
_ACCOUNT: Final[dict[str, Check]] = {
    "initial_balance": _not_negative,
    "currency": _text,
    "phase": _text_or_none,
    "account_type": _text_or_none,
}


def check_case(raw: Mapping[str, Any]) -> None:
    """Raises Unsupported for the first thing of a case that the format does not know, or that cannot be."""
    check_once(raw)
    _known("case", raw, _CASE)
    _identity("id", raw.get("id"))
    if not isinstance(raw.get("expected"), Mapping):
        raise Unsupported(f"expected {quoted(raw.get('expected'))} is not an object", "expected")
    if ("rule" in raw) == ("rules" in raw):
        raise Unsupported("a case has either rule or rules", "rules" if "rules" in raw else "rule")
    _account(raw.get("account"))
    _rules(raw)
    events = raw.get("events", [])
    if not isinstance(events, list):
        raise Unsupported("events is not a list", "events")
    for event in events:
        _event(event)
    check_order(events)
    _check_lots(events)


def _account(account: Any) -> None:
    if account is None:
        return
    _part(_ACCOUNT)("account", account)
    if not is_known(account.get("currency", "USD")):
        raise Unsupported(f"currency {quoted(account['currency'])} is not known", "currency")


def _rules(raw: Mapping[str, Any]) -> None:
    rules = raw["rules"] if "rules" in raw else [raw["rule"]]
    if not isinstance(rules, list) or not rules:
        raise Unsupported("rules is not a list of rules", "rules")
    seen = set[str]()
    for rule in rules:
        if not isinstance(rule, Mapping):
            raise Unsupported(f"rule {quoted(rule)} is not an object", "rule")
        _text("kind", rule.get("kind"))
        if "rules" in raw:
            _text("id", rule.get("id"))
            if rule["id"] in seen:
                raise Unsupported(f"two rules have the id {quoted(rule['id'])}", "id")
            seen.add(rule["id"])
        _values(rule["kind"], "rule", rule)
        check_offence_terms(rule)


def _values(kind: str, name: str, value: Any) -> None:
    """Checks the values of a rule, at any depth; `name`: the field that holds them."""
    if isinstance(value, Mapping):
        whole = name == "allowance" and str(value.get("type")).startswith("pct_of_")
        for key, each in value.items():
            _values(kind, str(key), each)
            if whole and key == "value" and isinstance(each, int | Decimal) and each > 100:
                raise Unsupported(f"allowance of {each} %", "value")
    elif isinstance(value, list):
        for each in value:
            _values(kind, name, each)
    elif value is not None:
        _plain(kind, name, value)


def _plain(kind: str, name: str, value: Any) -> None:
    """Checks one value that has no parts."""
    if name in _FLAGS or isinstance(value, bool):
        if name not in _FLAGS or not isinstance(value, bool):
            raise Unsupported(f"{name} {quoted(value)}: only a flag is true or false", name)
    elif name in _WHOLE:
        _count(name, value)
    elif name in _NUMBERS or _SHARES.match(name) or type(value) in (int, Decimal):
        (_number if name in _ANY_SIGN else _not_negative)(name, value)
        if value > 100 and _is_share(kind, name):
            raise Unsupported(f"{name} {value} is above 100", name)


def _is_share(kind: str, name: str) -> bool:
    if name == "pct" and kind == "fee_refund":
        return False
    return name not in _NO_SHARES and _SHARES.match(name) is not None


def _event(event: Any) -> None:
    if not isinstance(event, Mapping):
        raise Unsupported(f"event {quoted(event)} is not an object", "events")
    kind = event.get("type")
    if not isinstance(kind, str) or (kind not in EVENTS and kind != "position_state"):
        raise Unsupported(f"event type {quoted(kind)}", "type")
    _text("t", event.get("t"))
    _moment("t", event["t"])
    carried = {name: value for name, value in event.items() if name not in ("t", "type")}
    if kind == "position_state":  # lots by class, under names of the firm
        for name, value in carried.items():
            (_ANY.get(name) or _not_negative)(name, value)
        return
    _fields(kind, carried, {**EVENTS[kind], **_ANY})
    if kind == "trades" and len({"durations_seconds", "trades"} & set(carried)) != 1:
        raise Unsupported("trades: either durations_seconds or trades", "trades")


def _fields(what: str, data: Mapping[str, Any], fields: Mapping[str, Check]) -> None:
    _known(what, data, tuple(fields))
    for name, value in data.items():
        fields[name](name, value)


def _known(what: str, data: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise Unsupported(f"{what}: field {quoted(unknown[0])}", unknown[0])


def _moment(name: str, text: str) -> datetime | date | None:
    """Returns the instant or the date that `text` says; None for a word, which has no clock."""
    if not _DATED.match(text):
        return None
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Unsupported(f"{name} {quoted(text)} is no instant: {exc}", name) from exc
    if moment.tzinfo is None:
        raise Unsupported(f"{name} {quoted(text)} has no offset", name)
    if not 1900 <= moment.year <= 9000:
        raise Unsupported(f"{name} {quoted(text)} is out of range", name)
    return moment


def check_order(events: Sequence[Mapping[str, Any]]) -> None:
    """Raises Unsupported for an instant before the one above it. News that are listed first are known ahead."""
    last_moment: datetime | None = None
    last_date: date | None = None
    ahead = True
    for event in events:
        ahead = ahead and event["type"] == "news"
        moment = _moment("t", event["t"])
        if ahead or moment is None:
            continue
        day = moment.date() if isinstance(moment, datetime) else moment
        if isinstance(moment, datetime):
            early = last_moment is not None and moment < last_moment
            early = early or (last_date is not None and day < last_date)
            last_moment = moment
            last_date = None
        else:
            early = any(above is not None and day < above for above in (last_date, last_moment and last_moment.date()))
            last_date = day
        if early:
            raise Unsupported(f"t {event['t']} is before the instant above it", "t")


def _check_lots(events: Sequence[Mapping[str, Any]]) -> None:
    """Raises Unsupported when more lots are closed than are open. Where a case does not list the opening, or not its
    lots, it does not say how many may be closed."""
    held: dict[str, Decimal | None] = {}
    symbols: dict[str, Any] = {}
    for number, event in enumerate(events):
        if event["type"] == "phase_start":
            held, symbols = {}, {}
        elif event["type"] == "trade_open":
            identity = str(event.get("id", f"#{number}"))
            symbols.setdefault(identity, event.get("symbol"))
            before, added = held.get(identity, Decimal(0)), event.get("lots")
            held[identity] = None if before is None or added is None else before + Decimal(added)
        elif event["type"] == "trade_close":
            identity, taken = _closed(event, held, symbols), event.get("lots")
            before = held.get(identity)
            if taken is not None and before is not None and taken > before:
                raise Unsupported(f"lots {taken} are closed, {before} are open", "lots")
            if identity in held and (before is not None or taken is None):
                held[identity] = Decimal(0) if taken is None or before is None else before - Decimal(taken)


def _closed(event: Mapping[str, Any], held: Mapping[str, Decimal | None], symbols: Mapping[str, Any]) -> str:
    if "id" in event:
        return str(event["id"])
    symbol = event.get("symbol")
    same: Iterator[str] = (one for one, lots in held.items() if lots != 0 and symbol in (None, symbols.get(one)))
    return next(same, "")
