"""Gates in the format of worked examples: every parameter the format names, with numbers of our own."""

import json
from typing import Any

import pytest

from cli.conformance.case import read_cases
from cli.conformance.run import run
from tests.unit.worked_cases import CLOSE, DAY, NEW_YORK, OPEN, PAYOUT, ROLL, blocked, check, days, event

RATIO = {"limit_pct": 40, "compare": "<=", "denominator": "total_profit", "effect": "payout_blocked"}
RAISED = {**RATIO, "effect": "profit_target_raised_to_best_day_over_limit", "profit_target": 2500}
ADDED = {**RATIO, "effect": "excess_added_to_target", "profit_target": 2500}
TARGET = {**RATIO, "denominator": "profit_target", "profit_target": 2500}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (RATIO, days(-100), {"outcome": "blocked", "final_ratio": None, "ratios": [None]}),
        (RATIO, [], {"outcome": "blocked"}),
        (RATIO, days(100, 100, 100, -60), {"outcome": "blocked", "ratios": [100, 50, 33.33, 41.67]}),
        (TARGET, days(1000), {"outcome": "satisfied", "final_ratio": 40, "amounts": {"profit_target": 2500}}),
        ({**TARGET, "compare": "<"}, days(1000), {"outcome": "blocked"}),
        (TARGET, days(1500, -1600), {"outcome": "blocked", "final_ratio": None}),
        (RAISED, days(1300, 1300, 649.99), blocked("target_raised", new_target=3250, new_best_day_cap=1300)),
        (RAISED, days(1300, 1300, 650), blocked("satisfied", total_profit=3250)),
        (RAISED, days(1300, 1300, 650, -1), blocked("target_raised")),
        (RAISED, days(1000), blocked("satisfied", new_target=2500)),
        ({**RAISED, "compare": "<"}, days(1300, 1300, 650), blocked("satisfied")),
        (ADDED, days(1300), blocked("target_raised", new_target=2800, new_best_day_cap=1120)),
        (ADDED, days(900), blocked("satisfied", new_target=2500)),
        (
            {**RATIO, "window": "since_last_approved_payout"},
            [*days(2000), PAYOUT],
            {"outcome": "blocked", "ratios": [100, None], "amounts": {"total_profit": 0, "best_day": 0}},
        ),
        ({**RATIO, "window": "whole_phase"}, [*days(400, 400, 400), PAYOUT], blocked("satisfied")),
        (
            {**RATIO, "limit_pct": 50, "day": NEW_YORK},
            [
                event("2025-06-02T16:59:00-04:00", CLOSE, id="a", pnl=100),
                event("2025-06-02T17:00:00-04:00", CLOSE, id="b", pnl=100),
            ],
            {"outcome": "satisfied", "final_ratio": 50},
        ),
    ],
)
def test_best_day_ratio(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    check("best_day_ratio", rule, events, expected)


QUALIFYING = {
    "counts": "day_with_qualifying_close",
    "min_trade_value": {"type": "amount", "value": 5000},
    "min_abs_pnl": {"type": "pct_of_trade_value", "value": 1},
    "required": 1,
}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (
            {"counts": "day_with_new_position_opened", "required": 2, "day": NEW_YORK},
            [
                event("2025-06-02T16:59:00-04:00", OPEN, id="a"),
                event("2025-06-02T17:00:00-04:00", OPEN, id="b"),
                event("2025-06-03T10:00:00-04:00", CLOSE, id="a", pnl=5),
            ],
            blocked("met", trading_days=2),
        ),
        (
            {"counts": "day_with_new_position_opened", "required": 2},
            [
                event("2025-06-02T01:30:00-04:00", OPEN, id="a"),
                event("2025-06-02T23:30:00-04:00", OPEN, id="b"),
                event("2025-06-03T10:00:00-04:00", CLOSE, id="a", pnl=5),
            ],
            blocked("not_met", trading_days=1),
        ),
        (QUALIFYING, [event("2025-06-02T10:00:00Z", CLOSE, trade_value=5000, pnl=-50)], blocked("met", min_abs_pnl=50)),
        (QUALIFYING, [event("2025-06-02T10:00:00Z", CLOSE, trade_value=4999, pnl=-50)], blocked("not_met")),
        (
            {**QUALIFYING, "min_abs_pnl": {"type": "amount", "value": 10}},
            [event("2025-06-02T10:00:00Z", CLOSE, trade_value=5000, gross_pnl=12, commission=3, swap=0)],
            blocked("not_met", trading_days=0),
        ),
    ],
)
def test_trading_day_count(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    check("trading_day_count", rule, events, expected)


PROFITABLE = {"threshold": {"type": "pct_of_initial", "value": 0.5}, "compare": ">=", "required": 1}
ROLLS = [
    event("2025-06-01T21:00:00Z", ROLL, balance=99_000, equity=99_000),
    event("2025-06-02T21:00:00Z", ROLL, balance=99_500, equity=99_000),
    event("2025-06-03T21:00:00Z", ROLL, balance=100_000, equity=98_000),
]


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (
            {**PROFITABLE, "basis": "closing_balance_minus_opening_balance", "required": 2},
            ROLLS,
            blocked("met", profitable_days=2, day_pnl=500, threshold=500),
        ),
        ({**PROFITABLE, "basis": "closed_pnl_plus_negative_floating"}, ROLLS, blocked("not_met", profitable_days=0)),
        (
            {**PROFITABLE, "basis": "closed_pnl", "day": NEW_YORK},
            [
                event("2025-06-02T16:00:00-04:00", CLOSE, id="a", pnl=300),
                event("2025-06-02T18:00:00-04:00", CLOSE, id="b", pnl=300),
                event("2025-06-03T09:00:00-04:00", CLOSE, id="c", pnl=200),
            ],
            blocked("met", profitable_days=1, day_pnl=500),
        ),
        ({**PROFITABLE, "basis": "closed_pnl", "compare": ">"}, days(500), blocked("not_met")),
        ({**PROFITABLE, "basis": "closed_pnl", "threshold": {"type": "amount", "value": 0}}, days(0), blocked("met")),
        (
            {**PROFITABLE, "basis": "closed_pnl_plus_negative_floating"},
            [event("2025-06-02", DAY, closed_pnl=700, floating_pnl=-201)],
            blocked("not_met", day_pnl=499),
        ),
    ],
)
def test_profitable_day_count(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    check("profitable_day_count", rule, events, expected)


def test_daily_attribution_by_equity_and_by_closed_results() -> None:
    by_equity = {"basis": "equity_snapshot_to_snapshot", "day": NEW_YORK}
    check("daily_profit_attribution", by_equity, ROLLS, blocked("computed", days=[0, -1000]))
    events = [
        event("2025-06-02T15:00:00Z", CLOSE, id="a", pnl=10),
        event("2025-06-02T23:00:00Z", CLOSE, id="b", pnl=20),
    ]
    check(
        "daily_profit_attribution", {"basis": "closed_pnl", "day": NEW_YORK}, events, blocked("computed", days=[10, 20])
    )


def test_a_cap_on_daily_profit() -> None:
    cap = {"amount": {"type": "pct_of_initial", "value": 1}, "effect": "deduct_excess"}
    check("daily_profit_cap", cap, days(1500, -2000), blocked("computed", deducted=500, counted_total=-1000))


@pytest.mark.parametrize(
    ("kind", "rule", "names"),
    [
        ("best_day_ratio", {**RATIO, "phase_of_moon": 1}, "phase_of_moon"),
        ("best_day_ratio", {**RATIO, "effect": "unheard_of"}, "effect"),
        ("best_day_ratio", {**RATIO, "window": "monthly"}, "window"),
        ("best_day_ratio", {"limit_pct": 40}, "compare is missing"),
        ("best_day_ratio", {**RATIO, "denominator": "profit_target"}, "profit_target is missing"),
        ("daily_profit_cap", {}, "amount is missing"),
        ("profitable_day_count", {**PROFITABLE, "basis": "guess"}, "basis"),
        ("payout_eligibility", {"min_friends": 3}, "min_friends"),
        ("payout_amount", {"base": "gut_feeling", "split_pct": 80}, "base"),
        ("payout_drawdown_effect", {"floor_policy": "vanishes"}, "floor_policy"),
        ("fee_refund", {"amount": "twice"}, "fee_refund.amount"),
        ("live_account_start", {"formula": "sum_of_luck"}, "formula"),
    ],
)
def test_what_cannot_be_expressed_is_named(kind: str, rule: dict[str, Any], names: str) -> None:
    case = {"id": "ours", "rule": {"kind": kind, **rule}, "events": days(1), "expected": {"outcome": "x"}}
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "unsupported"
    assert names in result.line


UTC = {"timezone": "UTC", "reset": "00:00"}
FIRST = event("2025-06-02T00:00:00Z", ROLL, balance=200_000, equity=200_000)
TWO_DAYS = [
    *(event("2025-06-02T10:00:00Z", OPEN, id="a"), event("2025-06-02T11:00:00Z", CLOSE, id="a", pnl=1000)),
    *(event("2025-06-03T10:00:00Z", OPEN, id="b"), event("2025-06-03T11:00:00Z", CLOSE, id="b", pnl=1001)),
]


@pytest.mark.parametrize(
    ("kind", "rule", "events", "expected"),
    [
        # the clock ends a day where the case has no rollover event
        ("daily_profit_cap", {"amount": 1500}, [FIRST, *TWO_DAYS], blocked("computed", deducted=0)),
        ("payout_eligibility", {"winning_days_required": 2}, [FIRST, *TWO_DAYS], blocked("eligible", winning_days=2)),
        (
            "daily_profit_attribution",
            {"basis": "closed_pnl"},
            [FIRST, *TWO_DAYS],
            blocked("computed", days=[1000, 1001]),
        ),
        # a balance is measured from rollover to rollover
        (
            "profitable_day_count",
            {"threshold": 1, "required": 1, "basis": "closing_balance_minus_opening_balance"},
            [FIRST, *TWO_DAYS],
            blocked("not_met", profitable_days=0),
        ),
        # nothing but a rollover event moves the anchor
        (
            "profitable_day_count",
            {"threshold": {"type": "pct_of_anchor", "value": 0.5}, "required": 2},
            [FIRST, *TWO_DAYS],
            blocked("met", threshold=1000),
        ),
        (
            "profitable_day_count",
            {"threshold": {"type": "pct_of_anchor", "value": 1}, "required": 2},
            TWO_DAYS,
            blocked("met", threshold=1000),
        ),
        (
            "profitable_day_count",
            {"threshold": {"type": "pct_of_anchor", "value": 0.5}, "required": 2},
            [FIRST, *TWO_DAYS[:2], event("2025-06-03T00:00:00Z", ROLL, balance=201_000, equity=201_000), *TWO_DAYS[2:]],
            blocked("not_met", threshold=1005),
        ),
    ],
)
def test_days_by_the_clock_and_by_rollovers(
    kind: str, rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    check(kind, {**rule, "day": UTC}, events, expected)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("daily_profit_cap", {"amount": 5000, "counts_later": True}),
        ("trading_day_count", {"required": 2, "compare": ">", "counts_later": True}),
        ("trading_day_count", {"required": 2, "min_held_seconds": 0, "min_pct_of_average_lots": 0}),
        ("profitable_day_count", {"required": 2, "threshold": 1, "min_pct_of_best_day": 0, "consecutive": None}),
        ("best_day_ratio", {"limit_pct": 90, "compare": "<=", "effect": None, "counts_later": True, "window": None}),
        ("min_hold_time", {"seconds": 0, "min_share_pct": 50, "counts_later": True, "held": None}),
    ],
)
def test_a_parameter_without_effect_is_taken(kind: str, rule: dict[str, Any]) -> None:
    outcome = {"daily_profit_cap": "computed", "best_day_ratio": "satisfied", "min_hold_time": "satisfied"}
    check(kind, {**rule, "day": UTC}, TWO_DAYS, blocked(outcome.get(kind, "met")))
