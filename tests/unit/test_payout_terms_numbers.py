"""Worked examples of our own about the terms of single payouts: by number, by day, by total, in blocks, by age."""

from typing import Any

import pytest

from tests.unit.worked_cases import check, days, event

Json = dict[str, Any]


def snap(balance: float, t: str = "2025-06-10T17:00:00Z") -> Json:
    return event(t, "snapshot", balance=balance, equity=balance)


def pay(gross: float, t: str = "2025-06-02T10:00:00Z", **more: Any) -> Json:
    return event(t, "payout", gross_amount=gross, **more)


def ask(t: str = "2025-07-01T10:00:00Z", **more: Any) -> Json:
    return event(t, "payout_request", **more)


def outcome(word: str, **amounts: Any) -> Json:
    return {"outcome": word, "amounts": amounts} if amounts else {"outcome": word}


PRAGUE = {"weekdays": ["tuesday", "friday"], "from": "10:00", "timezone": "Europe/Prague"}
TARGETS = [{"from_payout": 2, "min_profit": 2000}, {"from_payout": 4, "min_profit": 1000, "requires_flat": True}]

ELIGIBILITY: list[tuple[Json, list[Json], Json]] = [
    # by payout number
    ({"min_profit": 3000, "by_payout": TARGETS}, [snap(102_999.99)], outcome("ineligible", min_balance=103_000)),
    ({"min_profit": 3000, "by_payout": TARGETS}, [pay(1), snap(102_000)], outcome("eligible", min_balance=102_000)),
    (
        {"min_profit": 3000, "by_payout": TARGETS},
        [pay(1), pay(1), pay(1), event("2025-06-03T10:00:00Z", "trade_open", id="a"), snap(101_000)],
        outcome("ineligible", min_balance=101_000),
    ),
    (
        {"min_trading_days": 1, "by_payout": [{"from_payout": 2, "min_trading_days": 3}]},
        [*days(1, 1), pay(1, "2025-06-20T10:00:00Z")],
        outcome("ineligible", trading_days=2),
    ),
    (
        {"min_profit": 5, "by_payout": [{"from_payout": 7, "min_profit": 0}]},
        [ask(payout_number=7)],
        outcome("eligible"),
    ),
    # the account of another payout counts for nothing here
    ({"by_payout": [{"from_payout": 2, "min_profit": 1}]}, [pay(9, account="b"), snap(100_000)], outcome("eligible")),
    # profit since
    (
        {"min_profit": {"type": "pct_of_payout_balance", "value": 2}, "profit_since": "last_payout"},
        [snap(104_000, "2025-06-01T10:00:00Z"), pay(1500), snap(104_549.99)],
        outcome("ineligible", min_balance=104_550),
    ),
    (
        {"min_profit": {"type": "pct_of_payout_balance", "value": 2}, "profit_since": "last_payout"},
        [snap(102_000)],
        outcome("eligible", min_balance=102_000, min_profit=2000),
    ),
    (
        {"min_profit": 500, "min_balance_above_initial": 800},
        [snap(100_799)],
        outcome("ineligible", min_balance=100_800),
    ),
    # operators, one for each
    (
        {"min_profit": 500, "min_balance_above_initial": 500, "compare": {"min_profit": ">"}},
        [snap(100_500)],
        outcome("ineligible"),
    ),
    (
        {"min_profit": 500, "min_request": 100, "compare": {"min_request": ">"}},
        [snap(100_500), ask(amount=100)],
        outcome("ineligible"),
    ),
    (
        {"min_profit": 500, "min_request": 100, "compare": {"min_request": ">"}},
        [snap(100_500), ask(amount=100.01)],
        outcome("eligible"),
    ),
    (
        {"winning_days_required": 1, "winning_day_min_pnl": 50, "min_profit": 50, "compare": {"min_profit": ">="}},
        days(50),
        outcome("eligible", winning_days=1, winning_day_min_pnl=50),
    ),
    (
        {"winning_days_required": 1, "winning_day_min_pnl": 50, "compare": {"winning_day_min_pnl": ">"}},
        days(50),
        outcome("ineligible", winning_days=0),
    ),
    # days
    (
        {"min_days_since_funded": 3, "days_are": "business"},
        [event("2025-06-06", "funded"), ask("2025-06-10")],
        outcome("eligible_from", date="2025-06-11"),
    ),
    (
        {"min_days_since_funded": 1, "days_are": "business"},
        [event("2025-06-07", "funded"), ask("2025-06-09")],
        outcome("eligible", date="2025-06-09"),
    ),
    # counted in dates: late on one day to early on another is one day
    (
        {"min_days_since_last_payout": 1},
        [pay(1, "2025-06-06T23:59:00Z"), ask("2025-06-07T00:01:00Z")],
        outcome("eligible", date="2025-06-07"),
    ),
    # the wait since the funding is one of the first payout only
    (
        {"min_days_since_funded": 30, "min_days_since_last_payout": 5},
        [event("2025-06-01", "funded"), pay(1, "2025-06-02T10:00:00Z"), ask("2025-06-06")],
        outcome("eligible_from", date="2025-06-07"),
    ),
    (
        {"min_days_since_first_trade": 5, "first_trade_since": "last_payout"},
        [event("2025-06-01T10:00:00Z", "trade_open", id="a"), pay(1), ask("2025-06-20")],
        outcome("ineligible"),
    ),
    (
        {"min_days_since_first_trade": 5, "first_trade_since": "last_payout"},
        [
            event("2025-06-01T10:00:00Z", "trade_open", id="a"),
            pay(1),
            event("2025-06-04T10:00:00Z", "trade_open", id="b"),
            ask("2025-06-08"),
        ],
        outcome("eligible_from", date="2025-06-09"),
    ),
    ({"min_days_since_first_trade": 5}, [ask("2025-06-20")], outcome("ineligible")),
    # request days: 2025-06-10 is a Tuesday
    ({"request_days": PRAGUE}, [ask("2025-06-10T07:59:00Z")], outcome("eligible_from", date="2025-06-10")),
    ({"request_days": PRAGUE}, [ask("2025-06-10T08:00:00Z")], outcome("eligible")),
    ({"request_days": PRAGUE}, [ask("2025-06-10T21:59:00Z")], outcome("eligible")),
    ({"request_days": PRAGUE}, [ask("2025-06-10T22:00:00Z")], outcome("eligible_from", date="2025-06-13")),
    ({"request_days": PRAGUE}, [ask("2025-06-13")], outcome("eligible")),
    (
        {"request_days": PRAGUE, "min_days_since_last_payout": 4},
        [pay(1, "2025-06-06T10:00:00Z"), ask("2025-06-09T10:00:00Z")],
        outcome("eligible_from", date="2025-06-10"),
    ),
    ({"request_days": {**PRAGUE, "weekdays": ["friday"]}, "min_profit": 1}, [ask("2025-06-10")], outcome("ineligible")),
    # totals
    ({"unlock_when_total_withdrawn": 100}, [pay(99.99)], outcome("ineligible")),
    (
        {"unlock_when_total_withdrawn": 100, "totals_over": "trader"},
        [pay(99.99), pay(0.01, "2025-06-03T10:00:00Z", account="b")],
        outcome("eligible"),
    ),
    ({"max_payouts": 1}, [pay(1)], outcome("ineligible")),
    # what is open, or pending
    ({"requires_flat": True}, [event("2025-06-03T10:00:00Z", "clock", open_positions=1)], outcome("ineligible")),
    (
        {"requires_no_pending_orders": True},
        [
            event("2025-06-03T10:00:00Z", "pending_order_placed", id="p"),
            event("2025-06-03T11:00:00Z", "trade_open", id="p", reason="pending_fill"),
        ],
        outcome("eligible"),
    ),
    ({"min_request": 250, "in_blocks_of": 250}, [snap(100_499)], outcome("eligible", available=250)),
]


@pytest.mark.parametrize(("rule", "events", "expected"), ELIGIBILITY)
def test_eligibility(rule: Json, events: list[Json], expected: Json) -> None:
    check("payout_eligibility", rule, events, expected)


PROFIT = {"base": "balance_minus_initial"}
TIERS = [{"up_to": 1000, "pct": 100}, {"up_to": None, "pct": 90}]
AGES = [{"below": 10, "pct": 50}, {"below": 20, "pct": 60}, {"pct": 80}]
OPENS = [event(f"2025-06-{day:02}T10:00:00Z", "trade_open", id=f"t{day}") for day in range(1, 11)]

AMOUNTS: list[tuple[Json, list[Json], Json]] = [
    # the base
    (
        {"base": "profit_within_safety_net", "safety_net": 2000, "split_pct": 50},
        [snap(101_200)],
        outcome("eligible", profit=1200, trader=600, safety_net=2000),
    ),
    (
        {"base": "profit_within_safety_net", "safety_net": {"type": "pct_of_initial", "value": 2}},
        [snap(105_000)],
        outcome("eligible", profit=2000, balance=103_000),
    ),
    ({"base": "profit_within_safety_net", "safety_net": 2000}, [snap(99_000)], outcome("eligible", gross=0)),
    # caps
    (
        {**PROFIT, "caps": [{"type": "amount", "value": 500, "to_payout": 1}, {"type": "amount", "value": 800}]},
        [snap(102_000)],
        outcome("eligible", gross=500),
    ),
    (
        {**PROFIT, "caps": [{"type": "amount", "value": 500, "from_payout": 2, "to_payout": 2}]},
        [pay(1), snap(102_000)],
        outcome("eligible", gross=500),
    ),
    (
        {**PROFIT, "caps": [{"type": "pct_of_profit", "value": 60, "below_profit": 2100}]},
        [snap(102_100)],
        outcome("eligible", gross=2100),
    ),
    (
        {
            **PROFIT,
            "caps": [{"type": "pct_of_profit", "value": 60, "below_profit": {"type": "pct_of_initial", "value": 2.1}}],
            "excess": "deducted_from_account",
        },
        [snap(102_099.99)],
        outcome("eligible", gross=1259.99, forfeited=840, balance=100_000),
    ),
    (
        {**PROFIT, "caps": [{"type": "amount", "value": 1000, "per_days": 30}]},
        [pay(700, "2025-06-01T10:00:00Z"), snap(102_000), ask("2025-07-01T09:59:59Z")],
        outcome("eligible", gross=300),
    ),
    (
        {**PROFIT, "caps": [{"type": "amount", "value": 1000, "per_days": 30}]},
        [pay(700, "2025-06-01T10:00:00Z"), snap(102_000), ask("2025-07-01T10:00:00Z")],
        outcome("eligible", gross=1000),
    ),
    (
        {**PROFIT, "caps": [{"type": "amount", "value": 1000, "per_days": 30}]},
        [pay(700, "2025-06-01T10:00:00Z", account="b"), snap(102_000), ask("2025-06-11T10:00:00Z")],
        outcome("eligible", gross=1000),
    ),
    ({**PROFIT, "cap_total": 1000}, [pay(700), snap(102_000)], outcome("eligible", gross=300)),
    ({**PROFIT, "cap_total": 1000}, [pay(1200), snap(102_000)], outcome("eligible", gross=0)),
    (
        {**PROFIT, "cap_total": 1000, "totals_over": "trader"},
        [pay(700), pay(200, "2025-06-03T10:00:00Z", account="b"), snap(102_000)],
        outcome("eligible", gross=100, balance=101_900),
    ),
    (
        {**PROFIT, "cap_trader_share": 1000, "split_pct": 90},
        [snap(105_000)],
        outcome("eligible", gross=1111.11, trader=1000, firm=111.11),
    ),
    (
        {**PROFIT, "cap_trader_share": 1450, "split_tiers": TIERS},
        [snap(105_000)],
        outcome("eligible", gross=1500, trader=1450),
    ),
    (
        {**PROFIT, "max_request_pct_of_profit": 50, "cap": {"type": "pct_of_balance", "value": 1}},
        [snap(103_000)],
        outcome("eligible", gross=1030),
    ),
    (
        {**PROFIT, "cap": {"type": "pct_of_initial", "value": 1, "at_least": 1500}},
        [snap(103_000)],
        outcome("eligible", gross=1500),
    ),
    # blocks: the rest stays, the excess does not
    ({**PROFIT, "in_blocks_of": 250}, [snap(101_249.99)], outcome("eligible", gross=1000, balance=100_249.99)),
    ({**PROFIT, "in_blocks_of": 250}, [snap(101_250)], outcome("eligible", gross=1250, balance=100_000)),
    (
        {**PROFIT, "in_blocks_of": 250, "cap": 900, "excess": "deducted_from_account"},
        [snap(101_250)],
        outcome("eligible", gross=750, forfeited=350, balance=100_150),
    ),
    ({**PROFIT, "in_blocks_of": 250}, [snap(102_000), ask(amount=700)], outcome("eligible", gross=500)),
    # the split
    (
        {**PROFIT, "split_by_payout": [{"from_payout": 1, "pct": 70}, {"from_payout": 3, "pct": 90}]},
        [pay(1), pay(1), snap(101_000)],
        outcome("eligible", trader=900),
    ),
    (
        {**PROFIT, "split_pct": 60, "by_payout": [{"from_payout": 2, "split_pct": 75, "cap": 100}]},
        [snap(101_000), ask(), ask("2025-07-02T10:00:00Z")],
        outcome("eligible", trader=[{"after_event": 1, "value": 600}, {"after_event": 2, "value": 0}]),
    ),
    (
        {**PROFIT, "split_pct": 60, "by_payout": [{"from_payout": 2, "split_pct": 75, "cap": 100}]},
        [pay(1), snap(101_000)],
        outcome("eligible", gross=100, trader=75),
    ),
    ({**PROFIT, "split_by_trading_days": AGES}, [*OPENS[:9], snap(101_000)], outcome("eligible", trader=500)),
    ({**PROFIT, "split_by_trading_days": AGES}, [*OPENS, snap(101_000)], outcome("eligible", trader=600)),
    (
        {**PROFIT, "split_by_trading_days": AGES},
        [event("t", "totals", trading_days=20), snap(101_000)],
        outcome("eligible", trader=800),
    ),
    (
        {**PROFIT, "split_by_trading_days": AGES[:1], "split_pct": 90},
        [event("t", "totals", trading_days=10), snap(101_000)],
        outcome("eligible", trader=900),
    ),
    (
        {**PROFIT, "split_tiers": TIERS, "by_payout": [{"from_payout": 2, "split_pct": 70}]},
        [pay(400), snap(101_000)],
        outcome("eligible", trader=700),
    ),
    (
        {**PROFIT, "split_tiers": TIERS, "by_payout": [{"from_payout": 2, "split_by_trading_days": AGES}]},
        [pay(400), event("t", "totals", trading_days=10), snap(101_000)],
        outcome("eligible", trader=600),
    ),
    (
        {**PROFIT, "split_by_trading_days": AGES, "by_payout": [{"from_payout": 2, "split_tiers": TIERS}]},
        [pay(400), snap(101_000)],
        outcome("eligible", trader=960),
    ),
    ({**PROFIT, "split_tiers": TIERS}, [pay(400), snap(101_000)], outcome("eligible", trader=960, firm=40)),
    (
        {**PROFIT, "split_tiers": TIERS, "totals_over": "trader"},
        [pay(400), pay(500, "2025-06-03T10:00:00Z", account="b"), snap(101_000)],
        outcome("eligible", trader=910),
    ),
    # the end
    ({**PROFIT, "max_payouts": 2}, [pay(1), snap(101_000)], outcome("eligible", gross=1000)),
    ({**PROFIT, "max_payouts": 2}, [snap(101_000), ask(payout_number=3)], outcome("ineligible", gross=0)),
    # the same payout, requested and then listed, is one
    (
        {**PROFIT, "split_by_payout": [{"from_payout": 3, "pct": 50}]},
        [snap(101_000), ask(), pay(1000, "2025-07-02T10:00:00Z"), snap(101_000, "2025-07-03T10:00:00Z")],
        outcome("eligible", gross=1000, trader=1000),
    ),
]


@pytest.mark.parametrize(("rule", "events", "expected"), AMOUNTS)
def test_amounts(rule: Json, events: list[Json], expected: Json) -> None:
    check("payout_amount", rule, events, expected)


@pytest.mark.parametrize(
    ("currency", "balance", "amounts"),
    [
        ("JPY", 1_000_333, {"gross": 333, "trader": 267, "firm": 66}),
        ("JPY", 1_000_003, {"gross": 3, "trader": 2, "firm": 1}),
        ("KWD", 1_000_000.333, {"gross": 0.333, "trader": 0.266, "firm": 0.067}),
    ],
)
def test_the_minor_unit(currency: str, balance: float, amounts: Json) -> None:
    pct = 80.1 if balance == 1_000_333 else 80
    check(
        "payout_amount",
        {**PROFIT, "split_pct": pct},
        [snap(balance)],
        outcome("eligible", **amounts),
        currency=currency,
        initial_balance=1_000_000,
    )


FEES = [
    event("a", "payment", kind="purchase", amount=100.05),
    event("b", "payment", kind="reset", amount=50),
]


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        ({}, [*FEES, ask()], outcome("eligible", refund=50)),
        ({"pct": 150}, [*FEES, ask()], outcome("eligible", refund=75)),
        ({"amount": "all_fees_paid", "pct": 150}, [*FEES, ask()], outcome("eligible", refund=225.08)),
        ({"paid_with": {"payout": 2}}, [*FEES, ask()], outcome("ineligible", refund=0)),
        ({"paid_with": {"payout": 2}}, [*FEES, pay(1), ask()], outcome("eligible", refund=50)),
        ({"paid_with": "first_payout"}, [*FEES, ask(payout_number=2)], outcome("ineligible", refund=0)),
    ],
)
def test_the_refund_of_the_fee(rule: Json, events: list[Json], expected: Json) -> None:
    check("fee_refund", rule, events, expected)


BROUGHT = [{"size": 50_000, "balance": 30_000}, {"size": 100_000, "balance": 10_000.5}]


@pytest.mark.parametrize(
    ("formula", "start"),
    [
        ("sum_of_balances", 40_000.5),
        ("sum_of_sizes", 150_000),
        ("largest_balance", 30_000),
        ("smallest_size", 50_000),
        ("min(sum_of_balances,largest_size)", 40_000.5),
        ("max(sum_of_balances, min(largest_size, sum_of_sizes))", 100_000),
    ],
)
def test_the_start_of_a_live_account(formula: str, start: float) -> None:
    rule = {"formula": formula}
    check(
        "live_account_start", rule, [event("x", "accounts", accounts=BROUGHT)], outcome("computed", start_balance=start)
    )


@pytest.mark.parametrize(
    ("kind", "rule", "field"),
    [
        ("payout_amount", {"min_days_since_funded": 1}, "min_days_since_funded"),
        ("payout_amount", {"by_payout": [{"from_payout": 2, "moon": 1}]}, "moon"),
        ("payout_amount", {"caps": [{"type": "amount", "value": 1, "moon": 1}]}, "moon"),
        ("payout_eligibility", {"days_are": "lunar"}, "days_are"),
        ("payout_eligibility", {"compare": {"moon": ">"}}, "moon"),
        ("payout_eligibility", {"request_days": {**PRAGUE, "weekdays": ["moonday"]}}, "weekdays"),
        ("payout_amount", {"totals_over": "moon"}, "totals_over"),
        ("fee_refund", {"paid_with": {"moon": 1}}, "moon"),
        ("payout_amount", {"excess": "burned", "cap": 1}, "excess"),
    ],
)
def test_what_the_format_does_not_name_is_refused(kind: str, rule: Json, field: str) -> None:
    check(kind, rule, [snap(101_000)], {"outcome": "refused", "field": field})
