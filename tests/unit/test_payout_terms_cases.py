"""Payouts in the format of worked examples: every parameter the format names, with numbers of our own."""

from typing import Any

import pytest

from tests.unit.worked_cases import CLOSE, OPEN, PAYOUT, blocked, check, days, event


def snapshot(balance: float, t: str = "2025-06-10T17:00:00Z") -> dict[str, Any]:
    return event(t, "snapshot", balance=balance, equity=balance)


def opened(t: str = "2025-05-05T10:00:00+02:00") -> dict[str, Any]:
    return event(t, OPEN, id="a")


def closed(t: str, pnl: float = 500) -> dict[str, Any]:
    return event(t, CLOSE, id="a", pnl=pnl)


ABOVE = {"min_balance_above_initial": {"type": "amount", "value": 1900}}
SINCE = {"min_days_since_first_trade": 10}
WINNING = {"winning_days_required": 2, "winning_day_min_pnl": 200, "window": "since_last_payout"}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (ABOVE, [snapshot(101_900)], blocked("eligible", min_balance=101_900, balance=101_900)),
        (ABOVE, [snapshot(101_899.99)], blocked("ineligible")),
        ({**ABOVE, "compare": ">"}, [snapshot(101_900)], blocked("ineligible")),
        (SINCE, [opened(), closed("2025-05-15T00:01:00+02:00")], blocked("eligible", date="2025-05-15")),
        (SINCE, [opened(), closed("2025-05-14T23:59:00+02:00")], blocked("eligible_from", date="2025-05-15")),
        (
            {**SINCE, "requires_flat": True},
            [opened(), snapshot(100_000, "2025-05-16T10:00:00+02:00")],
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
            blocked("eligible", date="2025-05-15"),
        ),
        (WINNING, days(200, 199.99, 200), blocked("eligible", winning_days=2)),
        ({**WINNING, "consecutive": True}, days(200, 199.99, 200), blocked("ineligible", winning_days=1)),
        ({**WINNING, "compare": ">"}, days(200, 201), blocked("ineligible", winning_days=1)),
        (WINNING, [*days(200, 200), PAYOUT], blocked("ineligible", winning_days=0)),
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
CAPPED = {"base": "profit", "split_pct": 80, "cap": {"type": "pct_of_initial", "value": 5}}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        (
            CAPPED,
            [event("r", "payout_request", profit=8000)],
            blocked("eligible", gross=5000, forfeited=0, balance=103_000),
        ),
        (
            {**CAPPED, "excess": "deducted_from_account"},
            [event("r", "payout_request", profit=8000)],
            blocked("eligible", gross=5000, forfeited=3000, balance=100_000, firm=1000),
        ),
        (
            {**CAPPED, "cap_first_payouts": 2},
            [event("r", "payout_request", profit=8000, payout_number=3)],
            blocked("eligible", gross=8000, trader=6400),
        ),
        (
            {**CAPPED, "cap_first_payouts": 1},
            [*days(8000), REQUEST, REQUEST],
            blocked(
                "eligible",
                trader=[{"after_event": 1, "value": 4000}, {"after_event": 2, "value": 2400}],
                balance=100_000,
            ),
        ),
        (
            {"base": "profit_above_safety_net", "safety_net": {"type": "amount", "value": 1900}, "split_pct": 90},
            [snapshot(105_000), REQUEST],
            blocked("eligible", profit=3100, trader=2790, firm=310, balance=101_900),
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
            [*days(500), event("x", "withdrawn_total", amount=9999.99), REQUEST],
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
    asks = event("2025-03-01", "payout_request")
    check("fee_refund", rule, [bought, again, asks], blocked("eligible", refund=299.5))
    check("fee_refund", rule, [bought, PAYOUT, {**asks, "t": "2025-07-01"}], blocked("ineligible", refund=0))


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


def test_scaling_compounds_where_it_is_said() -> None:
    plan = {"increase_pct": 25, "of": "current_size", "cap": 180_000, "daily_loss_pct": 5}
    steps = [event(f"month {4 * n}", "scale_up") for n in (1, 2, 3)]
    sizes = [125_000, 156_250, 180_000]
    check("scaling", plan, steps, blocked("computed", sizes=sizes, daily_loss=[6250, 7812.5, 9000]))


def test_scaling_waits_for_months_profit_payouts_and_profitable_months() -> None:
    plan = {
        "increase_pct": [20, 50],
        "of": "current_size",
        "every_months": 2,
        "min_profit_pct": 5,
        "min_payouts": 1,
        "min_profitable_months": 2,
        "profit_stays": True,
        "max_loss_pct": 10,
    }
    steps = [
        event("2025-01-31T12:00:00+00:00", "funded"),
        event("2025-02-10", "day_result", net_pnl=3000),
        event("2025-03-03", "day_result", net_pnl=1999),
        event("2025-03-04T10:00:00+00:00", "payout", gross_amount=1000),
        event("2025-03-31T09:00:00+00:00", "scale_up"),  # 4,999 of 5,000
        event("2025-03-31T10:00:00+00:00", "trade_close", id="1", symbol="ES", side="buy", lots=1, pnl=1),
        event("2025-03-31T11:00:00+00:00", "scale_up"),  # the balance is 104,000
        event("2025-04-01", "day_result", net_pnl=6000),
        event("2025-05-30", "scale_up"),  # no payout since the step, one month, and too early
    ]
    expected = {"sizes": [100_000, 120_000, 120_000], "balances": [104_000 - 1, 124_000, 130_000]}
    by_event = [{"after_event": 4, "value": 100_000}, {"after_event": 6, "value": 120_000}]
    check("scaling", plan, steps, blocked("computed", **expected, size=by_event, max_loss=[10_000, 12_000, 12_000]))


def test_scaling_to_the_balance_and_a_part_of_it_takes_the_profit() -> None:
    plan = {"increase_pct": 10, "of": "balance", "cap": 150_000}
    steps = [
        event("month 1", "snapshot", balance=120_000, equity=120_000),
        event("month 1", "scale_up"),
        event("month 2", "snapshot", balance=140_000, equity=140_000),
        event("month 2", "scale_up"),
        event("month 3", "scale_up"),
    ]
    check(
        "scaling",
        plan,
        steps,
        blocked("computed", sizes=[132_000, 150_000, 150_000], balances=[132_000, 150_000, 150_000]),
    )


def test_a_live_account_below_its_largest_size() -> None:
    accounts = [{"size": 50_000, "balance": 10_000}, {"size": 100_000, "balance": 20_000}]
    expected = blocked("computed", start_balance=30_000)
    check(
        "live_account_start",
        {"formula": "min(sum_of_balances,largest_size)"},
        [event("x", "accounts", accounts=accounts)],
        expected,
    )
