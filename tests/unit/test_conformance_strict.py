"""Nothing of a worked example is ignored: what the format does not name, or cannot be, is refused by its field."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.conformance.case import read_cases
from cli.conformance.run import CaseResult, run

Json = dict[str, Any]

STATIC: Json = {
    "kind": "max_loss_static",
    "allowance": {"type": "amount", "value": 5000},
    "breach_when": "equity < floor",
}
SNAP: Json = {"t": "2025-06-02T10:00:00+00:00", "type": "snapshot", "balance": 100000, "equity": 100000}


def at(hour: int, kind: str, /, **data: Any) -> Json:
    return {"t": f"2025-06-02T{hour:02}:00:00+00:00", "type": kind, **data}


def bare(t: str, kind: str = "clock", /, **data: Any) -> Json:
    return {"t": t, "type": kind, **data}


def judged(text: str) -> CaseResult:
    return run(read_cases(text, "cases.json")[0])


def case_of(rule: Any = STATIC, events: Any = (SNAP,), account: Any = None, **more: Any) -> Json:
    money = {"initial_balance": 100000, "currency": "USD"}
    return {
        "id": "c",
        "account": money if account is None else account,
        "rule": rule,
        "events": list(events) if isinstance(events, tuple) else events,
        "expected": {"outcome": "pass"},
        **more,
    }


OPENED = at(9, "trade_open", id="a", symbol="EURUSD", side="buy", lots=2)

REFUSED: list[tuple[Json, str]] = [
    (case_of(moon=1), "moon"),
    (case_of(account={"initial_balance": 100000, "leverage": 30}), "leverage"),
    (case_of(account={"initial_balance": -1}), "initial_balance"),
    (case_of(account={"initial_balance": True}), "initial_balance"),
    (case_of(account={"currency": "XYZ"}), "currency"),
    (case_of({**STATIC, "grace": 5}), "grace"),
    (case_of({**STATIC, "kind": "horoscope"}), "kind"),
    (case_of({**STATIC, "kind": None}), "kind"),
    (case_of({**STATIC, "measure": "mood"}), "measure"),
    (case_of({**STATIC, "breach_when": "equity = floor"}), "breach_when"),
    (case_of({**STATIC, "allowance": {"type": "amount", "value": -5}}), "value"),
    (case_of({**STATIC, "allowance": {"type": "luck", "value": 5}}), "type"),
    (case_of({**STATIC, "allowance": {"type": "amount", "value": 5, "tide": 1}}), "tide"),
    (case_of({**STATIC, "allowance": -5}), "allowance"),
    (case_of({**STATIC, "allowance": {"type": "pct_of_initial", "value": 100.5}}), "value"),
    (case_of({**STATIC, "day": {"timezone": "Moon/Base", "reset": "00:00"}}), "timezone"),
    (case_of({**STATIC, "day": {"timezone": "UTC", "reset": "25:00"}}), "reset"),
    (case_of({"kind": "best_day_ratio", "limit_pct": 101, "compare": "<="}), "limit_pct"),
    (case_of({"kind": "payout_amount", "base": "profit", "split_pct": 100.01}), "split_pct"),
    (case_of({"kind": "payout_amount", "base": "profit", "split_pct": -1}), "split_pct"),
    (case_of({"kind": "payout_amount", "split_tiers": [{"up_to": 5, "pct": 101}]}), "pct"),
    (case_of(events=({**SNAP, "until": 1},)), "until"),
    (case_of(events=({**SNAP, "type": "asteroid"},)), "type"),
    (case_of(events=({**SNAP, "balance": "much"},)), "balance"),
    (case_of(events=({**SNAP, "balance": True},)), "balance"),
    (case_of(events=({**SNAP, "positions": [{"id": "a", "symbol": "X", "pnl": 1, "lots": 1}]},)), "lots"),
    (case_of(events=({**SNAP, "positions": [{"id": "a", "symbol": "X"}]},)), "pnl"),
    (case_of(events=({"type": "snapshot"},)), "t"),
    (case_of(events=({**SNAP, "t": "2025-06-02T10:00:00"},)), "t"),
    (case_of(events=({**SNAP, "t": "2025-06-32"},)), "t"),
    (case_of(events=(7,)), "events"),
    (case_of(events={"a": 1}), "events"),
    (case_of(events=({**OPENED, "lots": 0},)), "lots"),
    (case_of(events=({**OPENED, "lots": -1},)), "lots"),
    (case_of(events=({**OPENED, "price": -1},)), "price"),
    (case_of(events=({**OPENED, "side": "sideways"},)), "side"),
    (case_of(events=({**OPENED, "reason": "whim"},)), "reason"),
    (case_of(events=({**OPENED, "pnl": 1},)), "pnl"),
    (case_of(events=(at(9, "trade_close", id="a", stop=1),)), "stop"),
    (case_of(events=(at(9, "payout", gross_amount=-1),)), "gross_amount"),
    (case_of(events=(at(9, "payment", kind="reset", amount=-1),)), "amount"),
    (case_of(events=(at(9, "payout_request", payout_number=0),)), "payout_number"),
    (case_of(events=(at(9, "phase_start", initial_balance=-1),)), "initial_balance"),
    (case_of(events=(at(9, "totals", trading_days=1.5),)), "trading_days"),
    (case_of(events=(at(9, "news", ends="soon", why=1),)), "why"),
    (case_of(events=(at(9, "news", ends="soon"),)), "ends"),
    (case_of(events=(at(9, "news", ends="2025-06-02"),)), "ends"),
    (case_of({**STATIC, "allowance": {"type": "amount", "value": True}}), "value"),
    (case_of({**STATIC, "allowance": {"type": "amount", "value": "5"}}), "value"),
    (case_of({"kind": "payout_amount", "base": "profit", "split_pct": "80"}), "split_pct"),
    (case_of(events=(at(9, "accounts", accounts=[{"size": 1, "owner": 2}]),)), "owner"),
    (case_of(events=(at(9, "trades"),)), "trades"),
    (case_of(events=(at(10, "clock"), at(9, "clock"))), "t"),
    (case_of(events=(bare("2025-06-03"), bare("2025-06-02"))), "t"),
    (case_of(events=(at(9, "clock"), bare("2025-06-01"))), "t"),
    (case_of(events=(bare("2025-06-03"), at(9, "clock"))), "t"),
    (case_of(events=(at(9, "clock"), bare("a word"), at(8, "clock"))), "t"),
    (case_of(events=(OPENED, at(10, "trade_close", id="a", lots=2.01))), "lots"),
    (case_of(events=(OPENED, at(10, "trade_close", symbol="EURUSD", lots=2.01))), "lots"),
    (
        case_of(events=(OPENED, at(10, "trade_close", id="a", lots=1.5), at(11, "trade_close", id="a", lots=0.51))),
        "lots",
    ),
    (case_of(events=(OPENED, at(10, "trade_close", id="a"), at(11, "trade_close", id="a", lots=0.01))), "lots"),
    ({**case_of(), "rules": []}, "rules"),
    ({name: value for name, value in case_of(rules=[{**STATIC}]).items() if name != "rule"}, "id"),
    ({name: value for name, value in case_of(rules=[{"id": "a", **STATIC}] * 2).items() if name != "rule"}, "id"),
]


@pytest.mark.parametrize(("case", "field"), REFUSED)
def test_it_is_refused_by_the_name_of_its_field(case: Json, field: str) -> None:
    result = judged(json.dumps([case]))
    assert (result.status, result.got["field"]) == ("unsupported", field), result.line
    expected = {"outcome": "refused", "field": field}
    assert judged(json.dumps([{**case, "expected": expected}])).status == "passed"
    other = judged(json.dumps([{**case, "expected": {"outcome": "refused", "field": "another"}}]))
    assert other.status == "unsupported"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400])
@pytest.mark.parametrize("field", ["initial_balance", "value", "equity"])
def test_a_number_that_is_not_finite_is_refused(number: str, field: str) -> None:
    text = json.dumps([case_of()])
    before = {"initial_balance": "100000", "value": "5000", "equity": "100000"}[field]
    result = judged(text.replace(f'"{field}": {before}', f'"{field}": {number}'))
    assert (result.status, result.got["field"]) == ("unsupported", field)


@pytest.mark.parametrize("field", ["initial_balance", "value", "equity", "kind"])
def test_a_field_that_is_given_twice_is_refused(field: str) -> None:
    result = judged(json.dumps([case_of()]).replace(f'"{field}": ', f'"{field}": 1, "{field}": '))
    assert (result.status, result.got["field"]) == ("unsupported", field)


@pytest.mark.parametrize("depth", [30, 100, 400, 480, 700])
def test_a_case_of_endless_depth_is_refused(depth: int) -> None:
    text = json.dumps([case_of({**STATIC, "grace": "deep"}), case_of()])
    deep, plain = read_cases(text.replace('"deep"', "[" * depth + "]" * depth, 1), "cases.json")
    assert (run(deep).status, run(plain).status) == ("unsupported", "passed")


ALLOWED: list[Json] = [
    case_of(events=()),
    case_of(events=(at(9, "clock"), at(9, "clock"), bare("2025-06-02"), bare("a word"), at(9, "clock"))),
    case_of(events=(at(20, "news", name="CPI", targets=["USD"], ends="2025-06-02T21:00:00+00:00"), at(9, "clock"))),
    case_of(events=(OPENED, at(10, "trade_close", id="a", lots=2))),
    case_of(events=(OPENED, OPENED, at(10, "trade_close", id="a", lots=4))),
    # the case does not say when it was opened, or how much of it
    case_of(events=(at(10, "trade_close", id="b", symbol="EURUSD", lots=5, pnl=1),)),
    case_of(events=(at(9, "trade_open", id="a"), at(10, "trade_close", id="a", lots=5, pnl=1))),
    case_of(events=({**OPENED, "stop": None, "risk": -5, "price": 0, "balance": 100000, "profit": 1},)),
    case_of({**STATIC, "allowance": 5000, "severity": "whatever", "day": {"timezone": "platform", "reset": "00:00"}}),
    case_of(events=(bare("20250602T100000Z"), bare("2025-06-02T12:30+02:00"), bare("2025-06-02 11:00:00+00:00"))),
    case_of(account={"initial_balance": 100000, "phase": "phase 9", "account_type": "swing"}),
]


@pytest.mark.parametrize("case", ALLOWED)
def test_it_is_allowed(case: Json) -> None:
    result = judged(json.dumps([case]))
    assert result.status == "passed", result.line


def test_a_case_that_expects_a_refusal_fails_when_it_is_judged() -> None:
    result = judged(json.dumps([{**case_of(), "expected": {"outcome": "refused", "field": "lots"}}]))
    assert result.status == "failed"


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["2025-06-02", "2025-06-02T10:00:00+00:00", "UTC", "amount", "account", "payout", "phase_start"]),
)
WORDS = st.sampled_from(["t", "type", "id", "kind", "value", "lots", "day", "steps", "at_least", "window", "positions"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def places(part: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [where, *(place for key, value in items for place in places(value, (*where, key)))]


def put(part: Any, where: tuple[Any, ...], value: Any) -> Any:
    if not where:
        return value
    copied = dict(part) if isinstance(part, dict) else list(part)
    copied[where[0]] = put(part[where[0]], where[1:], value)
    return copied


DAY = {"timezone": "America/New_York", "reset": "17:00"}
LIFE: list[Json] = [
    at(8, "news", name="CPI", targets=["EURUSD"], ends="2025-06-02T09:00:00+00:00"),
    OPENED,
    at(10, "stop_changed", id="a", stop=1.1, risk=20),
    at(11, "snapshot", balance=100000, equity=99000, positions=[{"id": "a", "symbol": "EURUSD", "pnl": -1000}]),
    at(12, "trade_close", id="a", symbol="EURUSD", lots=1, pnl=-500),
    at(21, "rollover", balance=99500, equity=99500),
    at(22, "payout", gross_amount=100),
    at(22, "phase_start", phase="funded", initial_balance=50000),
    at(23, "payout_request", amount=5, payout_number=2),
    at(23, "position_state", mini=2, micro=3),
]
RULES: list[Json] = [
    STATIC,
    {**STATIC, "kind": "daily_loss", "anchor": "balance", "day": DAY},
    {
        **STATIC,
        "kind": "max_loss_trailing",
        "peak_basis": "intraday_balance_peak",
        "lock": {"at": "initial", "offset": 0},
    },
    {"kind": "best_day_ratio", "limit_pct": 40, "compare": "<=", "day": DAY, "blocks": ["pass"]},
    {"kind": "trading_day_count", "counts": "day_with_new_position_opened", "required": 1, "day": DAY},
    {"kind": "max_exposure", "limit": 2, "weights": {"micro": 0.1}},
    {"kind": "news_window", "before_minutes": 5, "after_minutes": 5, "applies_to": ["open"]},
    {"kind": "inactivity", "calendar_days": 30},
    {"kind": "payout_amount", "base": "profit", "split_pct": 80, "cap": {"type": "amount", "value": 5}},
    {"kind": "payout_eligibility", "min_profit": 5, "min_trading_days": 2},
    {"kind": "min_hold_time", "seconds": 60, "min_share_pct": 50},
    {"kind": "max_loss_per_trade_idea", "limit": {"type": "amount", "value": 5}},
]
EXPECTED: Json = {
    "outcome": "pass",
    "at_event": None,
    "floors": [{"after_event": 0, "floor": 95000}],
    "amounts": {"balance": [{"after_event": 1, "value": 100000}], "room": 5},
    "ratios": [1],
    "offences": [{"rule": "0", "at_event": 1}],
    "rules": {"0": {"outcome": "pass"}},
}
TARGET: Json = {"id": "target", "kind": "profit_target", "target": 5000, "min_trading_days": 1}


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_json_makes_a_traceback(data: st.DataObject) -> None:
    rules = data.draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=3))
    case = case_of(rules[0], LIFE, expected=EXPECTED)
    if len(rules) > 1:
        case |= {"rules": [*({"id": str(place), **rule} for place, rule in enumerate(rules)), TARGET]}
        del case["rule"]
    for _ in range(data.draw(st.integers(0, 3))):
        case = put(case, data.draw(st.sampled_from(places(case)[1:])), data.draw(VALUES))
    result = judged(json.dumps([case]))
    assert result.status in ("passed", "failed", "unsupported")
    assert json.dumps(result.got, default=str)
