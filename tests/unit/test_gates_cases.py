"""Gates and payouts in the format of worked examples: every parameter the format names, with numbers of our own."""

import json
from typing import Any

import pytest

from domain.conformance.case import read_cases
from domain.conformance.run import run

OPEN, CLOSE, DAY, ROLL = "trade_open", "trade_close", "day_result", "rollover"
NEW_YORK = {"timezone": "America/New_York", "reset": "17:00"}


def event(t: str, type_: str, **data: Any) -> dict[str, Any]:
    return {"t": t, "type": type_, **data}


def days(*profits: float) -> list[dict[str, Any]]:
    return [event(f"2025-06-{number:02}", DAY, net_pnl=profit) for number, profit in enumerate(profits, start=2)]


def check(
    kind: str, rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any], **account: Any
) -> None:
    case = {
        "id": "ours",
        "account": {"initial_balance": 100_000, "currency": "USD", **account},
        "rule": {"kind": kind, **rule},
        "events": events,
        "expected": expected,
    }
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line


def blocked(outcome: str, **amounts: Any) -> dict[str, Any]:
    return {"outcome": outcome, "amounts": amounts} if amounts else {"outcome": outcome}


RATIO = {"limit_pct": 40, "compare": "<=", "denominator": "total_profit", "effect": "payout_blocked"}
RAISED = {**RATIO, "effect": "profit_target_raised_to_best_day_over_limit", "profit_target": 3000}
ADDED = {**RATIO, "effect": "excess_added_to_target", "profit_target": 3000}
TARGET = {**RATIO, "denominator": "profit_target", "profit_target": 3000}
PAYOUT = event("2025-06-20T10:00:00+00:00", "payout", gross_amount=1000)


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (RATIO, days(-100), {"outcome": "blocked", "final_ratio": None, "ratios": [None]}),
        (RATIO, [], {"outcome": "blocked"}),
        (RATIO, days(100, 100, 100, -60), {"outcome": "blocked", "ratios": [100, 50, 33.33, 41.67]}),
        (TARGET, days(1200), {"outcome": "satisfied", "final_ratio": 40, "amounts": {"profit_target": 3000}}),
        ({**TARGET, "compare": "<"}, days(1200), {"outcome": "blocked"}),
        (TARGET, days(1500, -1600), {"outcome": "blocked", "final_ratio": None}),
        (RAISED, days(1500, 1500, 749.99), blocked("target_raised", new_target=3750, new_best_day_cap=1500)),
        (RAISED, days(1500, 1500, 750), blocked("satisfied", total_profit=3750)),
        (RAISED, days(1500, 1500, 750, -1), blocked("target_raised")),
        (RAISED, days(1000), blocked("satisfied", new_target=3000)),
        ({**RAISED, "compare": "<"}, days(1500, 1500, 750), blocked("satisfied")),
        (ADDED, days(1500), blocked("target_raised", new_target=3300, new_best_day_cap=1320)),
        (ADDED, days(900), blocked("satisfied", new_target=3000)),
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
                event("2025-06-02T23:30:00-04:00", OPEN, id="a"),
                event("2025-06-02T01:30:00-04:00", OPEN, id="b"),
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


def snapshot(balance: float, t: str = "2025-06-10T17:00:00Z") -> dict[str, Any]:
    return event(t, "snapshot", balance=balance, equity=balance)


def opened(t: str = "2025-04-01T10:00:00+02:00") -> dict[str, Any]:
    return event(t, OPEN, id="a")


def closed(t: str, pnl: float = 500) -> dict[str, Any]:
    return event(t, CLOSE, id="a", pnl=pnl)


ABOVE = {"min_balance_above_initial": {"type": "amount", "value": 2600}}
SINCE = {"min_days_since_first_trade": 14}
WINNING = {"winning_days_required": 2, "winning_day_min_pnl": 150, "window": "since_last_payout"}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (ABOVE, [snapshot(102_600)], blocked("eligible", min_balance=102_600, balance=102_600)),
        (ABOVE, [snapshot(102_599.99)], blocked("ineligible")),
        ({**ABOVE, "compare": ">"}, [snapshot(102_600)], blocked("ineligible")),
        (SINCE, [opened(), closed("2025-04-15T00:01:00+02:00")], blocked("eligible", date="2025-04-15")),
        (SINCE, [opened(), closed("2025-04-14T23:59:00+02:00")], blocked("eligible_from", date="2025-04-15")),
        (
            {**SINCE, "requires_flat": True},
            [opened(), snapshot(100_000, "2025-04-16T10:00:00+02:00")],
            blocked("ineligible"),
        ),
        (SINCE, [snapshot(100_000)], blocked("ineligible")),
        (
            {"requires_no_pending_orders": True},
            [snapshot(101_000), event("2025-06-11T10:00:00Z", "pending_order_placed")],
            blocked("ineligible"),
        ),
        (
            {"min_days_since_last_payout": 14},
            [snapshot(102_000, "2025-06-01T10:00:00Z"), event("2025-06-02T10:00:00Z", "payout", gross_amount=1000)],
            blocked("eligible_from", date="2025-06-16", balance=101_000),
        ),
        (
            {"min_days_since_last_payout": 14},
            [event("2025-06-02T10:00:00Z", "payout", gross_amount=1000), snapshot(101_000, "2025-06-16T01:00:00Z")],
            blocked("eligible", date="2025-06-16"),
        ),
        ({"min_profit": 0}, [snapshot(100_000)], blocked("eligible", min_profit=0)),
        ({"min_profit": 0}, [snapshot(99_999.99)], blocked("ineligible")),
        (
            {"min_profit": {"type": "pct_of_initial", "value": 1}},
            [snapshot(101_000)],
            blocked("eligible", min_profit=1000),
        ),
        (
            {"min_trading_days": 2},
            [event("2025-06-10", "totals", trading_days=1)],
            blocked("ineligible", trading_days=1),
        ),
        (
            {"min_trading_days": 2},
            [opened("2025-06-02T10:00:00Z"), event("2025-06-03T10:00:00Z", OPEN, id="b")],
            blocked("eligible", trading_days=2),
        ),
        ({"min_trading_days": 2}, days(10, -10), blocked("eligible", trading_days=2)),
        ({"min_trading_days": 1}, [closed("2025-06-02T10:00:00Z")], blocked("eligible", trading_days=1)),
        (
            SINCE,
            [opened(), event("2025-06-02T10:00:00Z", "payout", gross_amount=100)],
            blocked("eligible", date="2025-04-15"),
        ),
        (WINNING, days(150, 149.99, 150), blocked("eligible", winning_days=2)),
        ({**WINNING, "consecutive": True}, days(150, 149.99, 150), blocked("ineligible", winning_days=1)),
        ({**WINNING, "compare": ">"}, days(150, 151), blocked("ineligible", winning_days=1)),
        (WINNING, [*days(150, 150), PAYOUT], blocked("ineligible", winning_days=0)),
        (WINNING, [event("2025-06-10", "totals", winning_days=2)], blocked("eligible", winning_days=2)),
        ({"min_request": 500}, [snapshot(100_499.99)], blocked("ineligible")),
        (
            {"min_request": 500},
            [snapshot(101_000), event("r", "payout_request", amount=500)],
            blocked("eligible", min_request=500),
        ),
        (
            {"max_request_pct_of_balance": 50},
            [snapshot(1000), event("r", "payout_request", amount=500.01)],
            blocked("ineligible", max_request=500),
        ),
        ({"min_trader_share": 100}, [event("r", "payout_request", trader_share=100)], blocked("eligible")),
        ({"min_trader_share": 100}, [event("r", "payout_request", trader_share=99.99)], blocked("ineligible")),
        (
            {"min_trader_share": 100, "compare": ">"},
            [event("r", "payout_request", trader_share=100)],
            blocked("ineligible", trader_share=100),
        ),
    ],
)
def test_payout_eligibility(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    initial = 0 if "max_request_pct_of_balance" in rule else 100_000
    check("payout_eligibility", rule, events, expected, initial_balance=initial)


REQUEST = event("2025-06-30T10:00:00Z", "payout_request")
CAPPED = {"base": "profit", "split_pct": 80, "cap": {"type": "pct_of_initial", "value": 6}}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (
            CAPPED,
            [event("r", "payout_request", profit=9000)],
            blocked("eligible", gross=6000, forfeited=0, balance=103_000),
        ),
        (
            {**CAPPED, "excess": "deducted_from_account"},
            [event("r", "payout_request", profit=9000)],
            blocked("eligible", gross=6000, forfeited=3000, balance=100_000, firm=1200),
        ),
        (
            {**CAPPED, "cap_first_payouts": 2},
            [event("r", "payout_request", profit=9000, payout_number=3)],
            blocked("eligible", gross=9000, trader=7200),
        ),
        (
            {**CAPPED, "cap_first_payouts": 1},
            [*days(9000), REQUEST, REQUEST],
            blocked(
                "eligible",
                trader=[{"after_event": 1, "value": 4800}, {"after_event": 2, "value": 2400}],
                balance=100_000,
            ),
        ),
        (
            {"base": "profit_above_safety_net", "safety_net": {"type": "amount", "value": 2600}, "split_pct": 90},
            [snapshot(105_000), REQUEST],
            blocked("eligible", profit=2400, trader=2160, firm=240, balance=102_600),
        ),
        (
            {
                "base": "min(profit,profit_target)",
                "profit_target": {"type": "pct_of_initial", "value": 8},
                "split_pct": 80,
            },
            [*days(5000, 4000), REQUEST],
            blocked("eligible", profit=8000, gross=8000, trader=6400, balance=101_000),
        ),
        (
            {"base": "profit_target", "profit_target": 3000, "split_pct": 50},
            [snapshot(110_000), REQUEST],
            blocked("eligible", profit=3000, trader=1500),
        ),
        (
            {"base": "balance_minus_initial", "split_pct": 33.33},
            [snapshot(100_000.5), REQUEST],
            blocked("eligible", trader=0.17, firm=0.33),
        ),
        (
            {"base": "profit", "split_pct": 80, "unlock_when_total_withdrawn": 10_000},
            [*days(500), event("x", "withdrawn_total", value=9999.99), REQUEST],
            blocked("ineligible"),
        ),
        (
            {"base": "profit", "split_pct": 80, "unlock_when_total_withdrawn": {"type": "amount", "value": 10_000}},
            [*days(500), event("x", "withdrawn_total", amount=10_000), REQUEST],
            blocked("eligible", trader=400),
        ),
        (
            {"base": "profit", "split_pct": 80, "first_cycle_days": 21, "next_cycle_days": 14},
            [*days(500), event("2025-06-21", "cycle_end"), REQUEST],
            blocked("eligible", next_cycle_start="2025-06-22", next_cycle_end="2025-07-05"),
        ),
        (
            {"base": "profit", "split_pct": 80, "first_cycle_days": 21, "next_cycle_days": 14},
            [event("2025-06-01", "funded"), *days(500)],
            blocked("eligible", next_cycle_start="2025-06-22", next_cycle_end="2025-07-05"),
        ),
        (
            {"base": "balance_minus_initial", "split_pct": 80},
            [snapshot(99_000), REQUEST],
            blocked("eligible", gross=0, trader=0),
        ),
    ],
)
def test_payout_amount(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    check("payout_amount", rule, events, expected)


def test_fee_refund() -> None:
    bought = event("2025-01-01", "payment", kind="purchase", amount=540)
    again = event("2025-02-01", "payment", kind="reset", amount=299.5)
    rule = {"amount": "last_fee_paid", "paid_with": "first_payout"}
    check("fee_refund", rule, [bought, again, PAYOUT], blocked("eligible", refund=299.5))


def test_the_effect_of_a_payout_on_a_floor() -> None:
    events = [snapshot(104_000, "2025-06-06T15:10:00Z"), event("2025-06-07T09:00:00Z", "payout", gross_amount=4000)]
    stays = {"floor_policy": "unchanged", "floor_before": 100_000}
    check("payout_drawdown_effect", stays, events, {"outcome": "computed", "floor": 100_000, "amounts": {"room": 0}})
    below = {"floor_policy": "unchanged", "floor_before": -2000}
    expected = {"outcome": "computed", "floor": -2000, "amounts": {"room": 2000, "balance": 0}}
    check("payout_drawdown_effect", below, [{**events[0], "balance": 4000, "equity": 4000}, events[1]], expected)
    zero = {"floor_policy": "set_to_zero_on_first_payout", "floor_before": 98_000}
    expected = {
        "outcome": "computed",
        "floor": 0,
        "floors": [{"after_event": 0, "floor": 98_000}],
        "amounts": {"room": [{"after_event": 0, "value": 6000}], "balance": 100_000},
    }
    check("payout_drawdown_effect", zero, events, expected)


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


def test_scaling_compounds_where_it_is_said() -> None:
    plan = {"increase_pct": 25, "of": "current_size", "cap": 180_000, "daily_loss_pct": 5}
    steps = [event(f"month {4 * n}", "scale_up") for n in (1, 2, 3)]
    sizes = [125_000, 156_250, 180_000]
    check("scaling", plan, steps, blocked("computed", sizes=sizes, daily_loss=[6250, 7812.5, 9000]))


def test_a_live_account_below_its_largest_size() -> None:
    accounts = [{"size": 50_000, "balance": 10_000}, {"size": 100_000, "balance": 20_000}]
    expected = blocked("computed", start_balance=30_000)
    check(
        "live_account_start",
        {"formula": "min(sum_of_balances,largest_size)"},
        [event("x", "accounts", accounts=accounts)],
        expected,
    )


@pytest.mark.parametrize(
    ("kind", "rule", "names"),
    [
        ("best_day_ratio", {**RATIO, "phase_of_moon": 1}, "phase_of_moon"),
        ("best_day_ratio", {**RATIO, "effect": "unheard_of"}, "effect"),
        ("best_day_ratio", {**RATIO, "window": "monthly"}, "window"),
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
