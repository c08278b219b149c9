"""Worked examples of parameters at their edges: shares that an offence lowers, words and numbers that are refused by
their own name, figures after each event."""

import json
from typing import Any

import pytest

from cli.conformance.case import read_cases
from cli.conformance.run import run
from tests.unit.worked_cases import CLOSE, OPEN, check, event

Json = dict[str, Any]

UTC = {"timezone": "UTC", "reset": "00:00"}
LIMIT = {"allowance": 5000, "breach_when": "equity < floor"}
DAILY = {"anchor": "balance", "day": UTC, **LIMIT}
NEWS = {"before_minutes": 5, "after_minutes": 5, "applies_to": ["open"]}
RELEASE = event("2025-06-02T12:30:00Z", "news", name="NFP", targets=["EURUSD"])


def opened(t: str, identity: str, **more: Any) -> Json:
    return event(f"2025-06-{t}Z", OPEN, id=identity, symbol="EURUSD", side="buy", lots=1, **more)


def closed(t: str, identity: str, pnl: float) -> Json:
    return event(f"2025-06-{t}Z", CLOSE, id=identity, symbol="EURUSD", pnl=pnl)


def after(*points: tuple[int, Any]) -> list[Json]:
    return [{"after_event": index, "value": value} for index, value in points]


HALVED = {"split_pct": 80, "consequences": [{"kind": "warn"}, {"kind": "lower_split", "split_pct": 40}]}


@pytest.mark.parametrize(
    ("kind", "rule", "events", "shares"),
    [
        (
            "daily_loss",
            {**DAILY, "split_pct": 80, "consequences": [{"kind": "lower_split", "split_pct": 40}]},
            [event(f"2025-06-02T{h}:00:00Z", "snapshot", balance=b, equity=b) for h, b in ((10, 100000), (11, 94999))],
            after((0, 80), (1, 40)),
        ),
        (
            "max_exposure",
            {"unit": "positions", "limit": 1, **HALVED},
            [opened("02T09:00:00", "a"), opened("02T09:01:00", "b"), opened("02T09:02:00", "c")],
            after((0, 80), (1, 80), (2, 40)),
        ),
        (
            "news_window",
            {**NEWS, **HALVED},
            [RELEASE, opened("02T12:30:00", "a"), opened("02T12:31:00", "b")],
            after((0, 80), (1, 80), (2, 40)),
        ),
    ],
)
def test_an_offence_lowers_the_share_that_the_rule_begins_with(
    kind: str, rule: Json, events: list[Json], shares: list[Json]
) -> None:
    check(kind, rule, events, {"outcome": "breach", "amounts": {"split_pct": shares}})


def test_where_a_rule_does_not_bind_the_share_stays() -> None:
    rule = {**NEWS, "split_pct": 80, "consequences": [{"kind": "lower_split", "split_pct": 40}], "phases": ["funded"]}
    events = [RELEASE, opened("02T12:30:00", "a")]
    check("news_window", rule, events, {"outcome": "pass", "amounts": {"split_pct": 80}}, phase="evaluation")


def test_an_offence_about_news_resets_the_balance() -> None:
    rule = {**NEWS, "consequences": [{"kind": "reset_balance"}]}
    events = [RELEASE, opened("02T11:00:00", "a"), closed("02T11:30:00", "a", 5000), opened("02T12:30:00", "b")]
    amounts = {"balance": after((2, 105000), (3, 100000)), "equity": 100000}
    check("news_window", rule, events, {"outcome": "breach", "at_event": 3, "amounts": amounts})


def test_short_trades_are_counted_also_without_a_limit_of_them() -> None:
    held = [event("x", "trades", durations_seconds=[60, 61, 59])]
    amounts = {"share_pct": 33.33, "short_trades": 2}
    check("min_hold_time", {"seconds": 60, "min_share_pct": 50}, held, {"outcome": "blocked", "amounts": amounts})


def test_the_wait_after_funding_is_not_for_a_later_payout_that_the_case_numbers() -> None:
    asks = event("2025-06-04T08:00:00Z", "payout_request")
    funded, rule = event("2025-06-02", "funded"), {"min_days_since_funded": 14}
    first = {"outcome": "eligible_from", "amounts": {"date": "2025-06-16"}}
    check("payout_eligibility", rule, [funded, {**asks, "payout_number": 1}], first)
    check("payout_eligibility", rule, [funded, {**asks, "payout_number": 2}], {"outcome": "eligible"})


def test_without_a_request_a_payout_leaves_the_balance_after_each_event() -> None:
    money = [
        event(f"2025-06-0{day}T09:00:00Z", "snapshot", balance=b, equity=b) for day, b in ((2, 101000), (3, 102000))
    ]
    rule, asks = {"base": "balance_minus_initial"}, event("2025-06-04T09:00:00Z", "payout_request")
    check("payout_amount", rule, money, {"amounts": {"balance": after((0, 100000), (1, 100000))}})
    before = after((0, 101000), (1, 102000), (2, 100000))
    check("payout_amount", rule, [*money, asks], {"amounts": {"balance": before}})


HELD = {"kind": "min_hold_time", "seconds": 60, "min_share_pct": 50}
BOUNDARY = {"kind": "day_boundary", "timezone": "UTC", "reset": "00:00"}
SERVER = {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}
TRAILING = {"kind": "max_loss_trailing", "peak_basis": "intraday_equity_peak", **LIMIT}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "no_hedging", "consequences": [{"kind": "lower_split"}]}, "split_pct"),
        ({"kind": "no_hedging", "consequences": [{"kind": "warn", "split_pct": 5}]}, "split_pct"),
        ({"kind": "no_hedging", "consequences": [{"kind": "warn", "minutes": 5}]}, "minutes"),
        ({"kind": "no_hedging", "consequences": [{"kind": "explode"}]}, "kind"),
        ({"kind": "no_hedging", "consequences": [{}]}, "kind"),
        ({"kind": "no_hedging", "consequences": ["warn"]}, "consequences"),
        ({"kind": "no_hedging", "phases": "funded"}, "phases"),
        ({"kind": "no_hedging", "account_types": [5]}, "account_types"),
        ({"kind": "no_hedging", "severity": 5}, "severity"),
        ({"kind": "no_hedging", "severity_by_violation": "warn"}, "severity_by_violation"),
        ({"kind": "no_hedging", "severity_by_violation": []}, "severity_by_violation"),
        ({"kind": "floating_loss", "limit": 1, "cure": {}}, "minutes"),
        ({"kind": "flat_by", "time": "10:00", "timezone": "UTC", "calendar": "XNYS"}, "calendar"),
        ({"kind": "flat_by", "time": "10:00", "timezone": "UTC", "before_close_minutes": 5}, "before_close_minutes"),
        ({**HELD, "window": {}}, "days"),
        ({"kind": "day_boundary", "timezone": "UTC"}, "reset"),
        ({**TRAILING, "lock": {"at": "initial", "offset": "5"}}, "offset"),
        ({**TRAILING, "payout_reduces_peak": "yes"}, "payout_reduces_peak"),
        ({"kind": "inactivity", "calendar_days": 1, "open_position_suspends": "no"}, "open_position_suspends"),
        ({"kind": "inactivity", "calendar_days": "1"}, "calendar_days"),
        ({"kind": "inactivity", "calendar_days": True}, "calendar_days"),
        ({"kind": "inactivity", "trading_days": 1, "calendar": "MOON"}, "calendar"),
        ({"kind": "flat_by", "calendar": "MOON"}, "calendar"),
        ({"kind": "exposure_multiple", "measure": "margin", "multiple": 1, "basis": "balance"}, "leverage"),
        ({"kind": "best_day_ratio", "limit_pct": 40, "compare": "<=", "blocks": ["luck"]}, "blocks"),
        ({**HELD, "counts_later": 1}, "counts_later"),
        ({"kind": "payout_eligibility", "min_profit": 1, "compare": {"min_profit": "<"}}, "min_profit"),
        ({"kind": "payout_eligibility", "min_profit": 1, "compare": "<"}, "compare"),
        ({"kind": "payout_amount", "split_by_payout": [{"from_payout": 1, "pct": 5, "moon": 1}]}, "moon"),
        ({"kind": "payout_amount", "base": "profit_above_safety_net"}, "safety_net"),
        ({"kind": "payout_amount", "base": "profit_target"}, "profit_target"),
        ({**BOUNDARY, "local": "Moon/Base"}, "local"),
        ({**BOUNDARY, "local": 5}, "local"),
        ({**BOUNDARY, "local": {"timezone": "Moon/Base"}}, "timezone"),
        ({**BOUNDARY, "timezone": {**SERVER, "dst_of": "Moon/Base"}}, "dst_of"),
        ({"kind": "daily_loss", **DAILY, "day": {"timezone": {**SERVER, "moon": 1}, "reset": "00:00"}}, "moon"),
        ({"kind": "daily_loss", **DAILY, "day": {"timezone": {"standard": "+02:00"}, "reset": "00:00"}}, "daylight"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_own_field(rule: Json, field: str) -> None:
    snapshot = event("2025-06-02T09:00:00Z", "snapshot", balance=100000, equity=100000)
    expected = {"outcome": "refused", "field": field}
    case = {"id": "ours", "rule": rule, "events": [snapshot], "expected": expected}
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line


def test_a_rollover_without_a_date_begins_the_next_day() -> None:
    money = [event(t, "snapshot", balance=b, equity=b) for t, b in (("b", 96999), ("d", 90999))]
    rolls = [event(t, "rollover", balance=b, equity=b) for t, b in (("a", 102000), ("c", 96000))]
    events = [rolls[0], money[0], rolls[1], money[1]]
    rule = {**DAILY, "day": {"timezone": "platform", "reset": "00:00"}, "consequences": [{"kind": "warn"}]}
    expected = {"outcome": "breach", "at_event": 1, "floor": 97000, "amounts": {"violations": 2}}
    check("daily_loss", rule, events, expected)


def test_figures_after_each_event_go_on_through_the_phases() -> None:
    tiers = {"tiers": [{"below": 1500, "max": 2}, {"max": 5}], "evaluated": "live"}
    events = [
        event("2025-06-02T09:00:00Z", "snapshot", balance=102000, equity=102000),
        event("2025-06-03T09:00:00Z", "phase_start", phase="second", initial_balance=50000),
    ]
    check("scaling_contracts", tiers, events, {"amounts": {"max_contracts": [5, 2]}}, phase="first")


def test_the_balance_goes_on_after_a_payout_that_was_requested() -> None:
    events = [
        event("2025-06-02", "day_result", net_pnl=1500),
        event("2025-06-03T09:00:00Z", "payout_request"),
        event("2025-06-04", "day_result", net_pnl=300),
    ]
    amounts = {"gross": 1500, "balance": 100300}
    check("payout_amount", {"base": "balance_minus_initial"}, events, {"amounts": amounts})


def test_a_clock_among_several_rules_answers_what_is_asked_of_it() -> None:
    clock = {"id": "clock", "kind": "day_boundary", "timezone": "UTC", "reset": "17:00"}
    answers = {"day 2025-06-03 starts": "2025-06-02T17:00:00+00:00"}
    expected = {"outcome": "pass", "rules": {"clock": {"outcome": "computed", "amounts": answers}}}
    case = {"id": "ours", "rules": [clock, {"id": "h", "kind": "no_hedging"}], "events": [], "expected": expected}
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line


BALANCE = {"base": "balance_minus_initial"}


@pytest.mark.parametrize(
    ("kind", "rule", "amounts"),
    [
        ("payout_amount", {**BALANCE, "max_request_pct_of_balance": 50}, {"max_request_pct_of_balance": 51750}),
        ("payout_amount", {**BALANCE, "max_request_pct_of_initial": 3}, {"max_request_pct_of_initial": 3000}),
        ("payout_amount", {**BALANCE, "max_request_pct_of_profit": 50}, {"max_request_pct_of_profit": 1750}),
        ("news_profit_haircut", {"cap": {"type": "pct_of_initial", "value": 1}}, {"cap": 1000}),
        ("fee_refund", {"amount": "all_fees_paid", "paid_with": "first_payout"}, {"amount": 0}),
        ("exposure_multiple", {"measure": "notional", "multiple": 2, "basis": "equity"}, {"multiple": 206000}),
    ],
)
def test_the_name_of_a_parameter_means_it_in_money(kind: str, rule: Json, amounts: Json) -> None:
    events = [event("2025-06-02T09:00:00Z", "snapshot", balance=103500, equity=103000)]
    check(kind, rule, events, {"amounts": amounts})


@pytest.mark.parametrize(("number", "pct"), [(1, 50), (2, 60), (3, 90), (4, 95)])
def test_a_list_of_shares_may_be_replaced_from_a_payout_on(number: int, pct: int) -> None:
    first = [{"from_payout": 1, "pct": 50}, {"from_payout": 2, "pct": 60}, {"from_payout": 4, "pct": 70}]
    later = {"from_payout": 3, "split_by_payout": [{"from_payout": 1, "pct": 90}, {"from_payout": 4, "pct": 95}]}
    asks = event("x", "payout_request", payout_number=number, profit=100)
    rule = {"base": "profit", "split_by_payout": first, "by_payout": [later]}
    check("payout_amount", rule, [asks], {"amounts": {"trader": pct}})


def test_the_floor_of_a_breach_may_be_told_at_the_breach_or_after_the_last_event() -> None:
    peak = {**LIMIT, "peak_basis": "intraday_equity_peak"}
    events = [
        event(f"2025-06-02T{10 + n}:00:00Z", "snapshot", balance=b, equity=b)
        for n, b in enumerate((100000, 94999, 104000))
    ]
    for floor, status in ((95000, "passed"), (99000, "passed"), (98000, "failed")):
        case = {
            "id": "ours",
            "account": {"initial_balance": 100000, "currency": "USD"},
            "rule": {"kind": "max_loss_trailing", **peak},
            "events": events,
            "expected": {"outcome": "breach", "at_event": 1, "floor": floor},
        }
        assert run(read_cases(json.dumps([case]), "ours")[0]).status == status


def test_a_gate_holds_nothing_back_where_it_does_not_bind() -> None:
    best = {"id": "best", "kind": "best_day_ratio", "limit_pct": 40, "compare": "<=", "blocks": ["pass", "payout"]}
    target = {"id": "target", "kind": "profit_target", "target": 1000}
    pay = {"id": "pay", "kind": "payout_amount", "base": "balance_minus_initial"}
    events = [event("2025-06-02", "day_result", net_pnl=1000)]
    free = {"rules": {"best": {"outcome": "satisfied"}, "pay": {"outcome": "eligible", "amounts": {"gross": 1000}}}}
    held = {"rules": {"best": {"outcome": "blocked"}, "pay": {"outcome": "ineligible", "amounts": {"gross": 0}}}}
    for phase, expected in (
        ("evaluation", {"outcome": "target_reached", "at_event": 0, **free}),
        ("funded", {"outcome": "pass", **held}),
    ):
        case = {
            "id": "ours",
            "account": {"initial_balance": 100000, "currency": "USD", "phase": phase},
            "rules": [{**best, "phases": ["funded"]}, target, pay],
            "events": events,
            "expected": expected,
        }
        result = run(read_cases(json.dumps([case]), "ours")[0])
        assert result.status == "passed", result.line


def test_a_refund_waits_for_the_gates_as_its_payout_does() -> None:
    best = {"id": "best", "kind": "best_day_ratio", "limit_pct": 40, "compare": "<="}
    refund = {"id": "refund", "kind": "fee_refund", "amount": "last_fee_paid", "paid_with": "first_payout"}
    events = [event("x", "payment", kind="purchase", amount=500), event("2025-06-02", "day_result", net_pnl=5)]
    expected = {"rules": {"refund": {"outcome": "ineligible", "amounts": {"refund": 0}}}}
    case = {"id": "ours", "rules": [best, refund], "events": events, "expected": {"outcome": "pass", **expected}}
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line


def test_a_request_is_judged_by_the_window_that_it_ends() -> None:
    asks = event("2025-06-03T12:00:00Z", "payout_request")
    events = [opened("02T08:00:00", "a"), opened("03T08:00:00", "b"), asks, opened("04T08:00:00", "c")]
    rule = {"min_trading_days": 2, "window": "since_last_payout_request"}
    check("payout_eligibility", rule, events[:3], {"outcome": "eligible"})
    amounts = {"trading_days": after((1, 2), (2, 2), (3, 1))}
    check("payout_eligibility", rule, events, {"outcome": "ineligible", "amounts": amounts})


@pytest.mark.parametrize(
    ("applies_to", "events", "at_event"),
    [
        ("open", [opened("02T12:26:00", "a"), RELEASE], 0),
        ("hold", [opened("02T12:00:00", "a"), event("2025-06-02T12:25:00Z", "clock"), RELEASE], 1),
        ("hold", [opened("02T12:00:00", "a"), RELEASE], 1),
        ("hold", [RELEASE, opened("02T12:00:00", "a"), event("2025-06-02T12:24:59Z", "clock")], None),
    ],
)
def test_a_release_is_known_wherever_the_case_lists_it(
    applies_to: str, events: list[Json], at_event: int | None
) -> None:
    outcome = "pass" if at_event is None else "breach"
    check("news_window", {**NEWS, "applies_to": [applies_to]}, events, {"outcome": outcome, "at_event": at_event})


@pytest.mark.parametrize(
    ("phase", "balances", "outcome"),
    [("first", (107999, 108000), "target_reached"), ("second", (104999, 105000), "target_reached")],
)
def test_each_phase_may_have_a_target_of_its_own(phase: str, balances: tuple[int, int], outcome: str) -> None:
    targets = [
        {"id": name, "kind": "profit_target", "target": amount, "phases": [name]}
        for name, amount in (("first", 8000), ("second", 5000))
    ]
    case = {
        "id": "ours",
        "account": {"initial_balance": 100000, "currency": "USD", "phase": phase},
        "rules": targets,
        "events": [event(f"2025-06-02T1{n}:00:00Z", "snapshot", balance=b, equity=b) for n, b in enumerate(balances)],
        "expected": {"outcome": outcome, "rule": phase, "at_event": 1},
    }
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line


def test_the_offset_of_a_lock_may_be_a_size() -> None:
    lock = {"at": "initial", "offset": {"type": "pct_of_initial", "value": 1}}
    money = [event("2025-06-02T09:00:00Z", "snapshot", balance=110000, equity=110000)]
    rule = {**LIMIT, "peak_basis": "intraday_equity_peak", "lock": lock}
    check("max_loss_trailing", rule, money, {"outcome": "pass", "floor": 101000})


def test_a_floating_loss_is_not_of_the_balance() -> None:
    snapshot = event("2025-06-02T09:00:00Z", "snapshot", balance=100000, equity=100000)
    rule = {"kind": "floating_loss", "limit": 5, "measure": "balance"}
    case = {"id": "c", "rule": rule, "events": [snapshot], "expected": {"outcome": "refused", "field": "measure"}}
    assert run(read_cases(json.dumps([case]), "ours")[0]).status == "passed"


def test_a_share_of_the_daily_allowance_has_a_least_amount() -> None:
    limit = {"type": "pct_of_daily_allowance", "value": 50, "at_least": 3000}
    rule = {"limit": limit, "daily_allowance": {"type": "pct_of_initial", "value": 4}}
    events = [closed("02T09:00:00", "a", -3000), closed("02T10:00:00", "b", -3000.01)]
    check("max_loss_per_trade_idea", rule, events, {"outcome": "breach", "at_event": 1, "amounts": {"limit": 3000}})


def test_payout_cycles_are_dates_and_no_wait() -> None:
    ended, rule = event("2025-06-30", "cycle_end"), {"first_cycle_days": 30, "next_cycle_days": 14}
    dates = {"next_cycle_start": "2025-07-01", "next_cycle_end": "2025-07-14"}
    check("payout_eligibility", rule, [ended], {"outcome": "eligible", "amounts": dates})
