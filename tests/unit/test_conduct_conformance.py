"""Conduct cases in the format of the worked examples, with the parts of it that those do not touch."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conformance import positions, timing
from cli.conformance.case import Case, read_cases
from cli.conformance.run import run

KINDS = {**timing.KINDS, **positions.KINDS}
TWO_WEEKS_OF_FRIDAYS = {"kind": "flat_by", "weekday": "Friday", "time": "16:00", "severity": "soft_close_positions"}
BY_VIOLATION = ["warning", "soft", "hard"]


def case_of(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any], **account: Any) -> Case:
    raw = {
        "id": "own",
        "account": {"initial_balance": 100000, "currency": "USD", **account},
        "rule": rule,
        "events": events,
        "expected": expected,
    }
    return read_cases(json.dumps([raw]), "own")[0]


def check(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any], **account: Any) -> None:
    result = run(case_of(rule, events, expected, **account))
    assert (result.status, result.differences) == ("passed", ())


def test_the_worked_examples_of_conduct(shared_data: Path) -> None:
    cases = read_cases((shared_data.parent / "conformance" / "cases.json").read_text(), "cases.json")
    mine = [case for case in cases if case.kind in KINDS]
    assert len(mine) >= 4
    assert [run(case).line for case in mine if run(case).status != "passed"] == []


def trade(t: str, kind: str, identity: str, **more: Any) -> dict[str, Any]:
    return {"t": t, "type": f"trade_{kind}", "id": identity, **more}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"t": "2025-11-19T10:00:00+00:00", "type": "clock"}, {"outcome": "pass", "at_event": None, "severity": None}),
        (
            {"t": "2025-11-19T11:00:01+01:00", "type": "clock"},
            {"outcome": "breach", "at_event": 2, "severity": "hard", "amounts": {"deadline": "2025-11-19T10:00:00Z"}},
        ),
        (trade("2025-11-19T10:00:01+00:00", "open", "b"), {"outcome": "breach", "at_event": 2}),
    ],
)
def test_inactivity(last: dict[str, Any], expected: dict[str, Any]) -> None:
    events = [
        trade("2025-09-02T10:00:00+00:00", "open", "a"),
        trade("2025-10-20T10:00:00+00:00", "close", "a", pnl=10),
        last,
    ]
    check({"kind": "inactivity", "calendar_days": 30, "severity": "hard"}, events, expected)


def test_a_close_without_an_id_is_of_the_oldest_position_in_its_symbol() -> None:
    events: list[dict[str, Any]] = [
        {"t": "2025-06-02T10:00:00Z", "type": "trade_open", "symbol": "EURUSD", "lots": 2},
        {"t": "2025-06-02T10:00:00Z", "type": "trade_open", "symbol": "XAUUSD", "lots": 1},
        {"t": "2025-06-02T11:00:00Z", "type": "trade_close", "symbol": "XAUUSD", "pnl": 5},
        {"t": "2025-06-02T12:00:00Z", "type": "trade_close", "pnl": 5},
        {"t": "2025-06-03T12:00:00Z", "type": "clock"},
    ]
    amounts = {"equivalents": [2, 3, 2, 0, 0], "exposure": 3}
    check({"kind": "max_exposure", "limit": 3}, events, {"outcome": "pass", "amounts": amounts})
    deadline = {"deadline": "2025-06-12T12:00:00Z"}
    check({"kind": "inactivity", "calendar_days": 10}, events, {"outcome": "pass", "amounts": deadline})


def test_inactivity_since_the_account_was_funded() -> None:
    events = [{"t": "2025-06-01T00:00:00Z", "type": "funded"}, {"t": "2025-07-01T00:00:01Z", "type": "clock"}]
    check({"kind": "inactivity", "calendar_days": 30}, events, {"outcome": "breach", "at_event": 1})


@pytest.mark.parametrize(
    ("zone", "times", "closed"),
    [
        ({"timezone": "America/New_York"}, ["2025-06-06T19:59:59+00:00", "2025-06-06T20:00:00+00:00"], 2),
        ({"timezone": "America/New_York"}, ["2025-01-03T20:59:59+00:00", "2025-01-03T21:00:00+00:00"], 2),
        ({"timezone": "+03:00"}, ["2025-06-06T12:59:59+00:00", "2025-06-06T13:00:00+00:00"], 2),
        # winter hours of a server while the United States still have summer time, and the other way round
        (
            {"timezone": {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}},
            ["2025-10-31T12:59:59+00:00", "2025-10-31T13:00:00+00:00"],
            2,
        ),
        ({"day": {"timezone": "Europe/Prague", "reset": "00:00"}}, ["2025-06-06T13:59:00Z", "2025-06-06T14:00:00Z"], 2),
        # without a zone, as written
        ({}, ["2025-06-06T15:59:59-05:00", "2025-06-06T16:00:00-05:00"], 2),
    ],
)
def test_flat_by(zone: dict[str, Any], times: list[str], closed: int) -> None:
    events = [{"t": t, "type": "clock", "open_positions": closed} for t in times]
    rule = {**TWO_WEEKS_OF_FRIDAYS, **zone}
    breach = {"outcome": "breach", "at_event": 1, "severity": "soft_close_positions"}
    check(rule, events, {**breach, "amounts": {"positions_closed": closed}})
    check(rule, events[:1], {"outcome": "pass", "at_event": None, "amounts": {"positions_closed": 0}})


def test_flat_by_of_trades() -> None:
    events = [
        trade("2025-06-06T10:00:00-04:00", "open", "a"),
        trade("2025-06-06T10:00:00-04:00", "open", "b"),
        trade("2025-06-06T12:00:00-04:00", "close", "a", pnl=5),
        {"t": "2025-06-06T16:00:00-04:00", "type": "clock"},
    ]
    expected = {"outcome": "breach", "at_event": 3, "amounts": {"positions_closed": 1}}
    check({**TWO_WEEKS_OF_FRIDAYS, "timezone": "America/New_York"}, events, expected)


NEWS = {
    "kind": "news_window",
    "before_minutes": 2,
    "after_minutes": 2,
    "applies_to": ["open", "close"],
    "phases": ["funded"],
}
RELEASES = [
    {"t": "2025-06-06T08:30:00-04:00", "type": "news", "name": "CPI", "targets": ["EURUSD"]},
    {"t": "2025-06-06T10:00:00-04:00", "type": "news", "name": "CPI", "targets": ["EURUSD"]},
]


@pytest.mark.parametrize(
    ("rule", "account", "expected"),
    [
        ({}, {"phase": "funded"}, {"outcome": "breach", "at_event": 2, "amounts": {"violations": 2}}),
        ({}, {"phase": "phase_1"}, {"outcome": "pass", "amounts": {"violations": 0}}),
        ({"phases": ["phase_2", "funded"]}, {"phase": "phase_1"}, {"outcome": "pass"}),
        ({"phases": ["phase_1", "funded"]}, {"phase": "phase_1"}, {"outcome": "breach", "at_event": 2}),
        ({"account_types": ["standard"]}, {"phase": "funded", "account_type": "swing"}, {"outcome": "pass"}),
        ({"applies_to": ["close"]}, {"phase": "funded"}, {"outcome": "breach", "at_event": 3}),
        ({"targeted_instruments_only": True}, {"phase": "funded"}, {"outcome": "breach", "at_event": 3}),
    ],
)
def test_news_window(rule: dict[str, Any], account: dict[str, Any], expected: dict[str, Any]) -> None:
    events = [
        *RELEASES,
        trade("2025-06-06T08:28:00-04:00", "open", "a", symbol="USDJPY"),
        trade("2025-06-06T10:02:00-04:00", "close", "b", symbol="EURUSD", reason="close"),
    ]
    check({**NEWS, **rule}, events, expected, **account)


def test_lot_size_band() -> None:
    rule = {"kind": "lot_size_band", "reference": "first_trade", "min_multiple": 0.25, "max_multiple": 2}
    events = [
        trade("2025-06-02T10:00:00Z", "open", "a", lots=0.4),
        trade("2025-06-02T11:00:00Z", "open", "b", lots=0.1),
        trade("2025-06-02T12:00:00Z", "open", "c", lots=0.8),
        trade("2025-06-02T13:00:00Z", "open", "d", lots=0.81),
    ]
    amounts = {"min_lots": 0.1, "max_lots": 0.8}
    check(rule, events[:3], {"outcome": "pass", "at_event": None, "amounts": amounts})
    check(rule, events, {"outcome": "breach", "at_event": 3, "amounts": {**amounts, "violations": 1}})


@pytest.mark.parametrize(
    ("lots", "severity", "violations", "first"),
    [
        ([2, 1], None, 0, None),
        ([2, 2], "warning", 1, 1),
        ([2, 2, 2], "soft", 2, 1),
        ([4, 2, 2, 1], "hard", 4, 0),
    ],
)
def test_max_exposure_by_violation(lots: list[int], severity: str | None, violations: int, first: int | None) -> None:
    rule = {"kind": "max_exposure", "unit": "lots", "limit": 3, "severity_by_violation": BY_VIOLATION}
    events = [trade(f"2025-06-02T1{n}:00:00Z", "open", str(n), lots=size) for n, size in enumerate(lots)]
    expected = {
        "outcome": "breach" if violations else "pass",
        "at_event": first,
        "severity": severity,
        "amounts": {"violations": violations, "exposure": sum(lots)},
    }
    check(rule, events, expected)


def test_max_exposure_counts_what_is_open_at_one_instant() -> None:
    events = [
        trade("2025-06-02T10:00:00Z", "open", "a", lots=3, symbol="EURUSD"),
        trade("2025-06-02T11:00:00Z", "close", "a", lots=1, symbol="EURUSD", pnl=3),
        trade("2025-06-02T12:00:00Z", "open", "b", lots=1, symbol="GBPUSD"),
        trade("2025-06-02T13:00:00Z", "close", "a", symbol="EURUSD", pnl=3),
        trade("2025-06-02T14:00:00Z", "open", "c", lots=2, symbol="EURUSD"),
    ]
    exposures = [{"after_event": 1, "value": 3}, {"after_event": 4, "value": 3}]
    check(
        {"kind": "max_exposure", "limit": 3, "severity": "hard"},
        events,
        {"outcome": "pass", "severity": None, "amounts": {"exposure": exposures, "violations": 0}},
    )


@pytest.mark.parametrize(
    ("unit", "weights", "lots", "outcome"),
    [
        ("positions", None, [9, 9, 9], "pass"),
        ("positions", None, [1, 1, 1, 1], "breach"),
        ("positions", {"MES": 0.1}, [10, 10, 10], "pass"),
        ("lots", {"MES": 0.1}, [10, 10, 11], "breach"),
    ],
)
def test_units_of_exposure(unit: str, weights: dict[str, float] | None, lots: list[int], outcome: str) -> None:
    rule = {"kind": "max_exposure", "unit": unit, "limit": 3, **({"weights": weights} if weights else {})}
    events = [trade(f"2025-06-02T1{n}:00:00Z", "open", str(n), lots=size, symbol="MES") for n, size in enumerate(lots)]
    check(rule, events, {"outcome": outcome})


@pytest.mark.parametrize(
    ("limit", "pnl", "expected"),
    [
        ({"type": "amount", "value": 3000}, -1200, {"outcome": "pass", "amounts": {"idea_loss": 3000, "limit": 3000}}),
        ({"type": "amount", "value": 3000}, -1200.01, {"outcome": "breach", "at_event": 3, "severity": "hard"}),
        (
            {"type": "pct_of_daily_allowance", "value": 50},
            -1200,
            {"outcome": "breach", "amounts": {"limit": 2500, "daily_allowance": 5000, "idea_loss": 3000}},
        ),
    ],
)
def test_max_loss_per_trade_idea(limit: dict[str, Any], pnl: float, expected: dict[str, Any]) -> None:
    rule = {
        "kind": "max_loss_per_trade_idea",
        "limit": limit,
        "daily_allowance": {"type": "pct_of_initial", "value": 5},
        "merge_within_minutes": 5,
        "severity": "hard",
    }
    side = {"symbol": "XAUUSD", "side": "sell"}
    events = [
        trade("2025-06-02T08:00:00Z", "open", "a", **side),
        trade("2025-06-02T09:00:00Z", "close", "a", gross_pnl=-1790, commission=-7, swap=-3, **side),
        trade("2025-06-02T09:05:00Z", "open", "b", **side),
        trade("2025-06-02T10:00:00Z", "close", "b", pnl=pnl, **side),
    ]
    check(rule, events, expected)


def test_an_idea_is_over_after_the_minutes() -> None:
    rule = {
        "kind": "max_loss_per_trade_idea",
        "limit": {"type": "pct_of_initial", "value": 3},
        "merge_within_minutes": 5,
    }
    side = {"symbol": "XAUUSD", "side": "buy"}
    events = [
        trade("2025-06-02T09:00:00Z", "close", "a", pnl=-1800, **side),
        trade("2025-06-02T09:05:01Z", "open", "b", **side),
        trade("2025-06-02T09:30:00Z", "close", "b", pnl=-1300, **side),
    ]
    losses = [{"after_event": 0, "value": 1800}, {"after_event": 2, "value": 1300}]
    check(rule, events, {"outcome": "pass", "at_event": None, "amounts": {"idea_loss": losses}})


@pytest.mark.parametrize(
    ("rule", "durations", "expected"),
    [
        ({"compare": ">="}, [3, 4, 12, 30], {"outcome": "satisfied", "final_ratio": 50}),
        ({"compare": ">"}, [3, 12, 30], {"outcome": "satisfied", "amounts": {"share_pct": 66.67}}),
        ({"compare": ">"}, [10, 10.0, 9.5], {"outcome": "blocked", "amounts": {"share_pct": 0}}),
        ({"compare": ">"}, [], {"outcome": "blocked", "final_ratio": None, "ratios": [None]}),
    ],
)
def test_min_hold_time(rule: dict[str, Any], durations: list[float], expected: dict[str, Any]) -> None:
    terms = {"kind": "min_hold_time", "seconds": 10, "min_share_pct": 50, "metric": "trade_count", **rule}
    check(terms, [{"t": "x", "type": "trades", "durations_seconds": durations}], expected)


def test_min_hold_time_of_trades_and_of_profit() -> None:
    events = [
        trade("2025-06-02T09:00:00Z", "open", "a"),
        trade("2025-06-02T09:00:05Z", "close", "a", pnl=300),
        trade("2025-06-02T09:01:00Z", "open", "b"),
        trade("2025-06-02T09:02:00Z", "close", "b", pnl=100),
    ]
    rule = {"kind": "min_hold_time", "seconds": 10, "min_share_pct": 50, "compare": ">="}
    check({**rule, "metric": "trade_count"}, events, {"outcome": "satisfied", "amounts": {"share_pct": 50}})
    check({**rule, "metric": "profit"}, events, {"outcome": "blocked", "amounts": {"share_pct": 25}})


@pytest.mark.parametrize(
    ("profits", "rest", "counted", "total"), [(1000, 500, 400, 900), (-1000, 500, -1000, -500), (0.01, 0, 0, 0)]
)
def test_news_profit_haircut(profits: float, rest: float, counted: float, total: float) -> None:
    events = [{"t": "r", "type": "totals", "news_profits": profits, "profit_excluding_news_profits": rest}]
    expected = {"outcome": "computed", "amounts": {"news_counted": counted, "total": total}}
    check({"kind": "news_profit_haircut", "counted_pct": 40}, events, expected)


@pytest.mark.parametrize(("evaluated", "contracts"), [("eod_only", [2, 2, 3, 3, 2]), ("live", [2, 3, 3, 5, 2])])
def test_scaling_contracts(evaluated: str, contracts: list[int]) -> None:
    tiers = [{"below": 1500, "max": 2}, {"below": 2000, "max": 3}, {"max": 5}]
    kinds = ["pnl", "pnl", "rollover_pnl", "pnl", "rollover_pnl"]
    events = [
        {"t": f"2025-06-0{n + 2}T12:00:00Z", "type": kind, "value": value}
        for n, (kind, value) in enumerate(zip(kinds, [1499.99, 1500, 1999, 2000, -50], strict=True))
    ]
    rule = {"kind": "scaling_contracts", "tiers": tiers, "evaluated": evaluated, "micro_weight": 0.1}
    check(rule, events, {"outcome": "computed", "amounts": {"max_contracts": contracts}}, initial_balance=0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_unknown_parameter_is_named(kind: str) -> None:
    result = run(case_of({"kind": kind, "phase_of_moon": "full"}, [], {"outcome": "pass"}))
    assert result.status == "unsupported"
    assert "phase_of_moon" in result.line


@pytest.mark.parametrize(
    ("rule", "event", "named"),
    [
        ({"kind": "scaling_contracts", "tiers": [{"max": 5}], "evaluated": "sometimes"}, None, "evaluated"),
        (
            {"kind": "max_exposure", "limit": 3},
            {"t": "2025-06-02T09:00:00Z", "type": "trade_open", "side": "sideways"},
            "sideways",
        ),
        (
            {"kind": "max_exposure", "limit": 3},
            {"t": "2025-06-02T09:00:00Z", "type": "position_state", "mini": "two"},
            "mini",
        ),
        (
            {"kind": "min_hold_time", "seconds": 10, "min_share_pct": 50},
            {"t": "x", "type": "trades", "durations_seconds": [1], "weather": "fair"},
            "weather",
        ),
    ],
)
def test_what_the_engine_cannot_read_is_named(rule: dict[str, Any], event: dict[str, Any] | None, named: str) -> None:
    case = case_of(rule, [event] if event else [], {"outcome": "pass"})
    result = run(case)
    assert result.status == "unsupported"
    assert named in result.line
