"""Worked examples of payouts that differ by number, of parameters at zero or none, and of what follows a request."""

from typing import Any

import pytest

from tests.unit.worked_cases import CLOSE, OPEN, blocked, check, days, event

PAID = event("2025-06-01T10:00:00Z", "payout", gross_amount=10)
TIERS_FROM_ZERO = {"split_tiers": [{"up_to": 500, "pct": 0}, {"up_to": None, "pct": 80}]}


def snapshot(balance: float, t: str = "2025-06-10T12:00:00Z") -> dict[str, Any]:
    return event(t, "snapshot", balance=balance, equity=balance)


def request(t: str = "2025-06-11T12:00:00Z", **more: Any) -> dict[str, Any]:
    return event(t, "payout_request", **more)


def second(**replaced: Any) -> dict[str, Any]:
    return {"by_payout": [{"from_payout": 2, **replaced}]}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"cap_total": 500, **second(cap_total=None)}, {"gross": 1000}),
        ({"cap_trader_share": 500, **second(cap_trader_share=None)}, {"gross": 1000}),
        ({"in_blocks_of": 600, **second(in_blocks_of=None)}, {"gross": 1000}),
        ({"cap": 500, "excess": "deducted_from_account", **second(excess=None)}, {"gross": 500, "forfeited": 0}),
        ({"split_pct": 80, **second(split_by_payout=[{"from_payout": 2, "pct": 65}])}, {"trader": 650}),
        ({"split_pct": 80, **second(split_pct=0)}, {"trader": 0, "firm": 1000}),
    ],
)
def test_the_second_payout_replaces_a_parameter(rule: dict[str, Any], expected: dict[str, Any]) -> None:
    given = {"base": "balance_minus_initial", **rule}
    check("payout_amount", given, [PAID, snapshot(101_000)], blocked("eligible", **expected))


def test_what_the_second_payout_takes_away_comes_back_with_the_third() -> None:
    steps = [{"from_payout": 2, "cap_total": None}, {"from_payout": 3, "cap_total": 900}]
    rule = {"base": "balance_minus_initial", "cap_total": 500, "by_payout": steps}
    check("payout_amount", rule, [PAID, PAID, snapshot(102_000)], blocked("eligible", gross=880))


def test_the_second_payout_replaces_what_closes_the_account_and_whose_totals_count() -> None:
    rule = {"base": "balance_minus_initial", **second(max_payouts=1)}
    check("payout_amount", rule, [PAID, snapshot(101_000)], blocked("ineligible", gross=0))
    unlocks = {"base": "balance_minus_initial", "unlock_when_total_withdrawn": 500}
    free = {**unlocks, **second(unlock_when_total_withdrawn=None)}
    check("payout_amount", free, [PAID, snapshot(101_000)], blocked("eligible", gross=1000))
    totals = {"base": "balance_minus_initial", "cap_total": 500, **second(totals_over="trader")}
    other = event("2025-06-01T11:00:00Z", "payout", gross_amount=100, account="b")
    check("payout_amount", totals, [PAID, other, snapshot(101_000)], blocked("eligible", gross=390))


@pytest.mark.parametrize(
    ("rule", "balance"),
    [
        ({"min_profit": 500, **second(min_profit=None)}, 100_300),
        ({"min_request": 500, **second(min_request=0)}, 100_300),
        ({"min_trader_share": 500, **second(min_trader_share=None)}, 100_300),
        ({"min_balance_above_initial": 500, **second(min_balance_above_initial=None)}, 100_300),
        ({"min_days_since_first_trade": 9, **second(min_days_since_first_trade=None)}, 100_300),
        ({"request_days": {"weekdays": ["monday"], "timezone": "UTC"}, **second(request_days=None)}, 100_300),
    ],
)
def test_the_second_payout_takes_a_condition_away(rule: dict[str, Any], balance: float) -> None:
    check("payout_eligibility", rule, [PAID, snapshot(balance)], blocked("eligible"))


@pytest.mark.parametrize(
    ("rule", "balance", "expected"),
    [
        # a cap that changes with the profit, also without an end
        ({"caps": [{"type": "amount", "value": 1000, "steps": [{"from": 5000, "value": 3000}]}]}, 104_999.99, 1000),
        ({"caps": [{"type": "amount", "value": 1000, "steps": [{"from": 5000, "value": 3000}]}]}, 105_000, 3000),
        ({"caps": [{"type": "amount", "value": 1000, "steps": [{"from": 5000, "value": None}]}]}, 106_000, 6000),
        ({"cap": {"type": "pct_of_profit", "value": 50, "steps": [{"from": 5000, "value": 80}]}}, 105_000, 4000),
        ({"cap": {"type": "amount", "value": None, "steps": [{"from": 1000, "value": 500}]}}, 100_900, 900),
    ],
)
def test_a_cap_has_steps(rule: dict[str, Any], balance: float, expected: float) -> None:
    given = {"base": "balance_minus_initial", **rule}
    check("payout_amount", given, [snapshot(balance)], blocked("eligible", gross=expected))


def test_a_share_may_be_zero() -> None:
    base = {"base": "balance_minus_initial"}
    check("payout_amount", {**base, "split_pct": 0}, [snapshot(101_000)], blocked("eligible", trader=0, firm=1000))
    check("payout_amount", {**base, **TIERS_FROM_ZERO}, [snapshot(101_000)], blocked("eligible", trader=400))
    capped = {**base, **TIERS_FROM_ZERO, "cap_trader_share": 80}
    check("payout_amount", capped, [snapshot(101_000)], blocked("eligible", gross=600, trader=80))
    never = {**base, "split_pct": 0, "cap_trader_share": 80}
    check("payout_amount", never, [snapshot(101_000)], blocked("eligible", gross=1000))


def test_the_balance_moves_on_after_a_request() -> None:
    rule = {"base": "balance_minus_initial"}
    more = event("2025-06-12T10:00:00Z", CLOSE, id="a", symbol="EURUSD", pnl=50)
    asks = [snapshot(102_000), request(amount=500)]
    check("payout_amount", rule, [*asks, more], blocked("eligible", gross=500, balance=101_550))
    paid = event("2025-06-12T10:00:00Z", "payout", gross_amount=500)
    check("payout_amount", rule, [*asks, paid], blocked("eligible", gross=500, balance=101_500))
    later = [*asks, paid, snapshot(103_000, "2025-06-13T10:00:00Z")]
    check("payout_amount", rule, later, blocked("eligible", gross=3000, payout_number=2))


def test_each_request_has_its_own_amount() -> None:
    asks = [snapshot(105_000), request(amount=400), request("2025-06-12T12:00:00Z")]
    check("payout_eligibility", {"min_request": 500}, asks[:2], blocked("ineligible"))
    check("payout_eligibility", {"min_request": 500}, asks, blocked("eligible"))


def test_a_stated_number_stays_until_the_payout() -> None:
    rule = {"by_payout": [{"from_payout": 4, "min_profit": 500}]}
    asks = [request("2025-06-09T12:00:00Z", payout_number=3), snapshot(100_100)]
    check("payout_eligibility", rule, asks, blocked("eligible", payout_number=3))
    paid = event("2025-06-11T10:00:00Z", "payout", gross_amount=5)
    check("payout_eligibility", rule, [*asks, paid], blocked("ineligible", payout_number=4))


def test_a_request_on_its_local_day_that_is_written_in_another_zone() -> None:
    rule = {"request_days": {"weekdays": ["friday"], "timezone": "America/New_York"}}
    check("payout_eligibility", rule, [request("2025-06-07T03:59:00+00:00")], blocked("eligible"))
    late = blocked("eligible_from", date="2025-06-13")
    check("payout_eligibility", rule, [request("2025-06-07T04:00:00+00:00")], late)
    tokyo = {"weekdays": ["monday"], "timezone": "Asia/Tokyo"}
    moves = {"request_days": {"weekdays": ["friday"], "timezone": "UTC"}, **second(request_days=tokyo)}
    early = blocked("eligible_from", date="2025-06-09")
    check("payout_eligibility", moves, [PAID, request("2025-06-08T14:59:00+00:00")], early)


def test_the_rest_of_an_older_position_is_no_trade_since_the_payout() -> None:
    rule = {"min_days_since_first_trade": 3, "first_trade_since": "last_payout"}
    older = [event("2025-05-30T10:00:00Z", OPEN, id="a"), PAID, event("2025-06-02T10:00:00Z", CLOSE, id="a", pnl=5)]
    check("payout_eligibility", rule, [*older, snapshot(100_000)], blocked("ineligible"))
    again = [*older, event("2025-06-08T10:00:00Z", OPEN, id="b"), snapshot(100_000)]
    check("payout_eligibility", rule, again, blocked("eligible_from", date="2025-06-11"))


def test_a_payout_of_another_account_moves_no_floor() -> None:
    rule = {"floor_policy": "set_to_zero_on_first_payout", "floor_before": -2000}
    events = [snapshot(4000), event("2025-06-11T10:00:00Z", "payout", gross_amount=1000, account="b")]
    expected = {"outcome": "computed", "floor": -2000, "amounts": {"room": 6000, "balance": 4000}}
    check("payout_drawdown_effect", rule, events, expected, initial_balance=0)


@pytest.mark.parametrize(
    ("kind", "rule", "field"),
    [
        ("payout_eligibility", {"requires_flat": "yes"}, "requires_flat"),
        ("payout_eligibility", {"min_days_since_funded": 1.5}, "min_days_since_funded"),
        ("min_hold_time", {"seconds": 60}, "min_share_pct"),
        ("payout_amount", {"caps": [{"type": "pct_of_profit", "value": 120}]}, "value"),
        ("payout_amount", {"split_by_payout": [{"from_payout": 1, "pct": 80, "cap": 5}]}, "cap"),
        ("payout_amount", {"cap": 5, "excess": "kept"}, "excess"),
    ],
)
def test_a_refusal_names_the_field(kind: str, rule: dict[str, Any], field: str) -> None:
    check(kind, rule, days(5), {"outcome": "refused", "field": field})


def test_no_refund_of_nothing() -> None:
    bought = event("2025-01-01", "payment", kind="purchase", amount=540)
    check("fee_refund", {"pct": 0}, [bought, request()], blocked("eligible", refund=0))


def test_null_is_as_if_left_out() -> None:
    events = [snapshot(100_100)]
    nothing = {"base": None, "split_pct": None, "caps": None, "excess": None, "totals_over": None, "by_payout": None}
    check("payout_amount", nothing, events, blocked("eligible", gross=100, trader=100))
    waits = {"min_profit": 5, "days_are": None, "first_trade_since": None, "request_days": None, "compare": None}
    check("payout_eligibility", waits, events, blocked("eligible"))


def test_totals_tiers_and_numbers_of_zero() -> None:
    base, events = {"base": "balance_minus_initial"}, [snapshot(100_100)]
    check("payout_amount", {**base, "cap_total": 0}, events, blocked("eligible", gross=0))
    check("payout_amount", {**base, "cap_trader_share": 0}, events, blocked("eligible", gross=0))
    check("payout_amount", {**base, "cap": 5, "cap_first_payouts": 0}, events, blocked("eligible", gross=100))
    tiers = {"split_tiers": [{"up_to": 0, "pct": 50}, {"up_to": None, "pct": 80}]}
    check("payout_amount", {**base, **tiers}, events, blocked("eligible", trader=80))


def test_cycles_have_dates_and_are_no_waiting_times() -> None:
    events = [PAID, snapshot(100_100, "2025-06-02T10:00:00Z")]
    check("payout_eligibility", {"next_cycle_days": 14}, events, blocked("eligible"))


def test_request_days_without_a_zone_are_those_of_the_clock_or_as_written() -> None:
    rule: dict[str, Any] = {"request_days": {"weekdays": ["friday"]}}
    early = blocked("eligible_from", date="2025-06-06")
    check("payout_eligibility", rule, [request("2025-06-05T22:00:00-05:00")], early)
    new_york = {**rule, "day": {"timezone": "America/New_York", "reset": "17:00"}}
    check("payout_eligibility", new_york, [request("2025-06-06T03:00:00+00:00")], early)


def test_the_name_of_a_limit_means_it_in_money() -> None:
    rule = {"max_request_pct_of_balance": 1, "max_request_pct_of_initial": 2, "max_request_pct_of_profit": 50}
    named = {
        "max_request_pct_of_balance": 1050,
        "max_request_pct_of_initial": 2000,
        "max_request_pct_of_profit": 2500,
        "max_request": 1050,
    }
    check("payout_amount", rule, [snapshot(105_000)], blocked("eligible", gross=1050, **named))
    check("payout_eligibility", rule, [snapshot(105_000)], blocked("eligible", **named))
