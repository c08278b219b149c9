"""The format read sentence by sentence: cases of our own whose results were worked out by hand from its text."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.conformance.case import read_cases
from cli.conformance.run import run
from cli.main import app
from tests.unit.worked_cases import DAY, OPEN, check, days, event

Json = dict[str, Any]
Row = tuple[str, Json, list[Json], Json]

SERVER = {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}
BELOW, HARD = {"breach_when": "equity < floor"}, {"severity": "hard"}


def amount(value: float) -> Json:
    return {"type": "amount", "value": value}


def of_initial(value: float) -> Json:
    return {"type": "pct_of_initial", "value": value}


def of_daily(value: float) -> Json:
    return {"type": "pct_of_daily_allowance", "value": value}


def snap(balance: float, equity: float | None = None, kind: str = "snapshot", day: int = 2) -> Json:
    return event(
        f"2025-06-{day:02}T10:00:00+00:00", kind, balance=balance, equity=balance if equity is None else equity
    )


def roll(balance: float, equity: float | None = None) -> Json:
    return snap(balance, equity, "rollover")


def pay(gross: float, t: str = "2025-06-03T10:00:00+00:00") -> Json:
    return event(t, "payout", gross_amount=gross)


def request(**data: Any) -> Json:
    return event("2025-06-20T10:00:00+00:00", "payout_request", **data)


def clock(t: str, held: int) -> Json:
    return event(t, "clock", open_positions=held)


def opened(day: int, lots: float, name: str) -> Json:
    return event(f"2025-06-{day:02}T10:00:00+00:00", OPEN, id=name, lots=lots, symbol="NQ", side="buy")


def points(name: str, *values: float | None) -> list[Json]:
    return [{"after_event": place, name: value} for place, value in enumerate(values)]


DAILY: Json = {"anchor": "balance", "allowance": of_initial(5), **BELOW, **HARD}
TRAIL: Json = {"peak_basis": "intraday_balance_peak", "allowance": of_initial(6), "lock": None, **BELOW, **HARD}
CAP: Json = {"anchor": "balance", "allowance": of_initial(4), "directions": ["up", "down"], **BELOW, **HARD}
FRIDAY: Json = {"weekday": "friday", "time": "16:00", "timezone": "America/New_York", **HARD}
BEST: Json = {"limit_pct": 40, "compare": "<=", "denominator": "total_profit", "effect": "payout_blocked"}
TARGET = {**BEST, "profit_target": 3000}
SPLIT = {"split_pct": 80, "base": "profit"}

FLOORS: list[Row] = [
    (
        "daily_loss",
        DAILY,
        [roll(104000), pay(6000)],
        {"outcome": "breach", "at_event": 1, "floor": 99000, "amounts": {"balance": 98000, "room": -1000}},
    ),
    ("daily_loss", DAILY, [snap(100000), roll(94000)], {"outcome": "pass", "floors": points("floor", 95000, 89000)}),
    (
        "daily_loss",
        {**DAILY, "allowance": of_daily(60), "daily_allowance": {"type": "pct_of_anchor", "value": 5}},
        [roll(110000)],
        {"floor": 106700, "amounts": {"allowance": 3300, "daily_allowance": 5500}},
    ),
    (
        "max_loss_trailing",
        {**TRAIL, "lock_on_first_payout": True},
        [snap(110000), pay(5000), snap(120000, day=4)],
        {"outcome": "pass", "floors": points("floor", 104000, 100000, 100000)},
    ),
    (
        "max_loss_trailing",
        {**TRAIL, "lock": {"at": "initial", "offset": 0}, "payout_reduces_peak": True},
        [snap(110000), pay(10000)],
        {"outcome": "pass", "floors": points("floor", 100000, 94000)},
    ),
    # a cap both ways: the floor is its lower level, whichever is named first and whichever was crossed
    (
        "daily_move_cap",
        CAP,
        [snap(100000, 104000), snap(100000, 104001), roll(103000)],
        {"outcome": "breach", "at_event": 1, "floor": 96000, "floors": points("floor", 96000, 96000, 99000)}
        | {"amounts": {"ceiling": 107000, "room": 4000}},
    ),
    ("daily_move_cap", {**CAP, "directions": ["up"]}, [snap(100000, 104000)], {"amounts": {"ceiling": 104000}}),
    (
        "payout_drawdown_effect",
        {"floor_policy": "unchanged", "floor_before": 100100},
        [snap(103000), pay(2000)],
        {"outcome": "computed", "floor": 100100, "amounts": {"room": points("value", 2900, 900)}},
    ),
]
CONDUCT: list[Row] = [
    (
        "flat_by",
        FRIDAY,
        [clock("2025-06-06T19:59:59+00:00", 1), clock("2025-06-06T20:00:00+00:00", 2)],
        {"outcome": "breach", "at_event": 1, "amounts": {"positions_closed": 2}},
    ),
    ("flat_by", {**FRIDAY, "weekday": "daily"}, [clock("2025-06-05T16:00:00-04:00", 1)], {"outcome": "breach"}),
    ("flat_by", FRIDAY, [clock("2025-06-05T16:00:00-04:00", 1)], {"outcome": "pass", "at_event": None}),
    (
        "lot_size_band",
        {"reference": "first_trade", "min_multiple": 0.5, "max_multiple": 2},
        [opened(2, 2, "a"), opened(3, 4, "b"), opened(4, 0.99, "c")],
        {"outcome": "breach", "at_event": 2, "amounts": {"min_lots": 1, "max_lots": 4}},
    ),
    (
        "max_exposure",
        {"unit": "lots", "limit": 1, "severity_by_violation": ["warning", "hard"]},
        [opened(2, 1, "a"), opened(3, 1, "b"), opened(4, 1, "c"), opened(5, 1, "d")],
        {"outcome": "breach", "at_event": 1, "severity": "hard", "amounts": {"violations": 3, "exposure": 4}},
    ),
    (
        "min_hold_time",
        {"seconds": 10, "min_share_pct": 50, "compare": ">=", "metric": "profit"},
        [event("x", "trades", trades=[{"duration_seconds": s, "pnl": p} for s, p in ((10, 400), (11, 600))])],
        {"outcome": "satisfied", "amounts": {"share_pct": 60}},
    ),
    (
        "min_hold_time",
        {"seconds": 10, "min_share_pct": 50, "compare": ">", "metric": "profit"},
        [event("x", "trades", trades=[{"duration_seconds": s, "pnl": 500} for s in (5, 11)])],
        {"outcome": "blocked", "amounts": {"share_pct": 50}},
    ),
]
GATES: list[Row] = [
    ("best_day_ratio", BEST, days(500, -500), {"outcome": "blocked", "final_ratio": None, "ratios": [100, None]}),
    (
        "best_day_ratio",
        {**BEST, "window": "since_last_approved_payout"},
        [*days(5000), pay(100, "2025-06-02T20:00:00+00:00"), *days(0, 400, 600)[1:]],
        {"outcome": "blocked", "ratios": [100, None, 100, 60], "amounts": {"total_profit": 1000}},
    ),
    ("best_day_ratio", {**TARGET, "denominator": "profit_target"}, days(1200, -500), {"ratios": [40, 40]}),
    (
        "best_day_ratio",
        {**TARGET, "effect": "excess_added_to_target"},
        days(1500, 1799.99),
        {"outcome": "target_raised", "amounts": {"new_target": 3599.99, "new_best_day_cap": 1440}},
    ),
    (
        "best_day_ratio",
        {**TARGET, "effect": "excess_added_to_target"},
        days(1500, 900, 900),
        {"outcome": "satisfied", "amounts": {"new_target": 3300}},
    ),
    (
        "profitable_day_count",
        {"threshold": of_daily(10), "daily_allowance": of_initial(5), "compare": ">=", "required": 1},
        days(499.99, 500),
        {"outcome": "met", "amounts": {"profitable_days": 1, "threshold": 500}},
    ),
]
ELIGIBILITY: list[tuple[Json, list[Json], Json]] = [
    ({"min_profit": of_initial(1)}, [request(profit=1000)], {"outcome": "eligible", "amounts": {"min_profit": 1000}}),
    ({"min_profit": 1000, "compare": ">"}, [request(profit=1000)], {"outcome": "ineligible"}),
    ({"min_trader_share": 100}, [request(trader_share=99.99)], {"outcome": "ineligible"}),
    ({"min_trader_share": 100, "split_pct": 80}, [snap(100125)], {"outcome": "eligible"}),
    ({"min_trader_share": 100, "split_pct": 80}, [snap(100124.98)], {"amounts": {"trader_share": 99.98}}),
    ({"min_trader_share": 100, "split_pct": 80}, [snap(100124.98)], {"outcome": "ineligible"}),
    ({"min_request": 100}, [request(amount=100)], {"outcome": "eligible"}),
    ({"max_request_pct_of_initial": 2}, [snap(104000)], {"amounts": {"max_request": 2000}}),
    (
        {"min_days_since_last_payout": 14},
        [pay(500), snap(103000, day=10)],
        {"outcome": "eligible_from", "amounts": {"date": "2025-06-17"}},
    ),
    (
        {"min_days_since_first_trade": 14, "min_days_since_funded": 30},
        [event("2025-06-01", "funded"), event("2025-06-02", DAY, net_pnl=5)],
        {"outcome": "eligible_from", "amounts": {"date": "2025-07-01"}},
    ),
    (
        {"first_cycle_days": 14, "next_cycle_days": 7},
        [event("2025-06-14", "cycle_end")],
        {"amounts": {"next_cycle_start": "2025-06-15", "next_cycle_end": "2025-06-21"}},
    ),
]
AMOUNTS: list[Row] = [
    (
        "payout_amount",
        {**SPLIT, "cap": amount(2000), "cap_first_payouts": 2, "excess": "deducted_from_account"},
        [request(profit=5000, payout_number=3)],
        {"outcome": "eligible", "amounts": {"gross": 5000, "forfeited": 0, "trader": 4000, "firm": 1000}},
    ),
    # nothing lies beyond a cap that is not there; without the word the rest stays in the account
    ("payout_amount", {**SPLIT, "excess": "deducted_from_account"}, [request(profit=10)], {"amounts": {"gross": 10}}),
    (
        "payout_amount",
        {**SPLIT, "cap": of_daily(50), "daily_allowance": of_initial(4)},
        [request(profit=5000)],
        {"amounts": {"gross": 2000, "forfeited": 0, "balance": 103000}},
    ),
    (
        "payout_amount",
        {
            **SPLIT,
            "base": "min(profit,profit_target)",
            "profit_target": of_initial(8),
            "unlock_when_total_withdrawn": 50,
        },
        [event("x", "phase_passed", profit=9000), event("y", "withdrawn_total", amount=50)],
        {"outcome": "eligible", "amounts": {"profit": 8000, "trader": 6400}},
    ),
    (
        "payout_amount",
        {**SPLIT, "first_cycle_days": 21, "next_cycle_days": 14},
        [event("2025-06-01", "funded"), *days(1000)],
        {"amounts": {"next_cycle_start": "2025-06-22", "next_cycle_end": "2025-07-05"}},
    ),
    (
        "fee_refund",
        {"amount": "last_fee_paid", "paid_with": "first_payout"},
        [event("x", "payment", kind="challenge", amount=540), event("y", "payment", kind="reset", amount=99)],
        {"outcome": "eligible", "amounts": {"refund": 99}},
    ),
    (
        "news_profit_haircut",
        {"counted_pct": 40},
        [event("x", "totals", news_profits=1001.01, profit_excluding_news_profits=-300)],
        {"outcome": "computed", "amounts": {"news_counted": 400.40, "total": 100.40}},
    ),
]
VERSIONS = [
    {"timezone": "America/New_York", "reset": "17:00"},
    {"from": "2025-06-10T00:00:00+00:00", "timezone": "UTC", "reset": "00:00"},
]
CLOCKS: list[tuple[Json, Json]] = [
    # the new clock's reset at `from` is not used
    ({"versions": VERSIONS}, {"day 2025-06-10 starts": "2025-06-09T21:00:00+00:00", "length_hours 2025-06-10": 27}),
    ({"timezone": "UTC", "reset": "12:00"}, {"day 2025-06-03 starts": "2025-06-02T12:00:00+00:00"}),
    ({"timezone": "UTC", "reset": "22:00", "server": SERVER}, {"reset 2025-06-03 in server": "01:00"}),
    (
        {"day": {"timezone": "Europe/London", "reset": "00:00"}, "loss": {"timezone": SERVER, "reset": "00:00"}},
        {"loss: eod 2025-06-03 in day": "22:00", "day: day 2025-06-03 starts in loss": "02:00"},
    ),
]


@pytest.mark.parametrize(("kind", "rule", "events", "expected"), [*FLOORS, *CONDUCT, *GATES, *AMOUNTS])
def test_a_sentence_of_the_format(kind: str, rule: Json, events: list[Json], expected: Json) -> None:
    check(kind, rule, events, expected)


@pytest.mark.parametrize(("rule", "events", "expected"), ELIGIBILITY)
def test_payout_parameters_go_by_name(rule: Json, events: list[Json], expected: Json) -> None:
    check("payout_eligibility", rule, events, expected)


@pytest.mark.parametrize(("rule", "answers"), CLOCKS)
def test_clocks(rule: Json, answers: Json) -> None:
    check("day_boundary", rule, [], {"outcome": "computed", "amounts": answers})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rule": {"kind": "payout_eligibility", "moon_phase": "full"}}, "moon_phase"),
        ({"rule": {"kind": "max_loss_static", **BELOW, "allowance": {**amount(5), "tide": 1}}}, "tide"),
        ({"rule": {"kind": "daily_loss", **DAILY, "day": {"timezone": "UTC", "reset": "00:00", "sun": 1}}}, "sun"),
        ({"rule": {"kind": "day_boundary", "loss": {"timezone": "UTC", "reset": "00:00", "sun": 1}}}, "sun"),
        ({"rule": {"kind": "min_hold_time", "seconds": 10, "daily_allowance": amount(5)}}, "daily_allowance"),
        ({"events": [event("x", "asteroid")]}, "asteroid"),
        ({"events": [{"t": "x"}]}, "type"),
        ({"rule": {"kind": ["a"]}}, "not a text"),
        ({"expected": {"floors": [{"floor": 1}]}}, "after_event"),
        ({"account": {"initial_balance": "much"}}, "not a number"),
    ],
)
def test_what_is_not_in_the_format_is_named_and_stops_no_other_case(change: Json, named: str) -> None:
    good = {
        "id": "good",
        "account": {"initial_balance": 100000},
        "rule": {"kind": "max_loss_static", "allowance": amount(5000), **BELOW},
        "events": [snap(96000)],
        "expected": {"outcome": "pass", "floor": 95000},
    }
    results = [run(case) for case in read_cases(json.dumps([{**good, "id": "bad", **change}, good]), "cases.json")]
    assert [result.status for result in results] == ["unsupported", "passed"]
    assert named in results[0].line


def test_the_command_says_it_in_json_too(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([{"id": "a", "rule": {"kind": "horoscope"}, "events": [], "expected": {"floor": 1}}, 7]))
    answer = CliRunner().invoke(app, ["conformance", "--json", str(file)])
    assert answer.exit_code == 1
    first, second = json.loads(answer.stdout)
    assert first == {
        "id": "a",
        "kind": "horoscope",
        "status": "unsupported",
        "got": {"outcome": "refused", "field": "kind", "unsupported": "kind horoscope"},
        "expected": {"floor": 1},
    }
    assert (second["id"], second["status"]) == ("2", "unsupported")
    plain = CliRunner().invoke(app, ["conformance", str(file)])
    assert (plain.exit_code, plain.stdout.splitlines()[-1]) == (1, "0 passed, 2 failed")
