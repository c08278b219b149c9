"""Worked examples through the engine: every one of the shared cases, what is not supported, what is not readable."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conformance.case import read_cases
from cli.conformance.run import CaseResult, run
from domain.file_errors import CaseUnreadable

STATIC = {
    "kind": "max_loss_static",
    "allowance": {"type": "pct_of_initial", "value": 10},
    "breach_when": "equity < floor",
    "severity": "hard",
}


def case(rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any], **account: Any) -> CaseResult:
    raw = {
        "id": "c",
        "account": {"initial_balance": 100000, "currency": "USD", **account},
        "rule": rule,
        "events": events,
        "expected": expected,
    }
    (read,) = read_cases(json.dumps([raw]), "cases.json")
    return run(read)


def snapshot(
    balance: float, equity: float, t: str = "2025-06-02T09:00:00+00:00", kind: str = "snapshot"
) -> dict[str, Any]:
    return {"t": t, "type": kind, "balance": balance, "equity": equity}


def test_every_shared_case_passes(shared_data: Path) -> None:
    cases = read_cases((shared_data.parent / "conformance" / "cases.json").read_text(), "cases.json")
    results = [run(one) for one in cases]
    assert [result.line for result in results if result.status != "passed"] == []
    assert len(results) == 58


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "pass"},
        {"at_event": 0},
        {"severity": "soft"},
        {"floor": 90000.01},
        {"floors": [{"after_event": 0, "floor": 89999.99}]},
        {"amounts": {"room": 0}},
        {"amounts": {"nonsense": 1}},
        {"nonsense": 1},
        {"final_ratio": 5},
    ],
)
def test_each_field_that_is_wrong_is_found(change: dict[str, Any]) -> None:
    events = [snapshot(95000, 95000), snapshot(89999, 89999.5)]
    right = {"outcome": "breach", "at_event": 1, "severity": "hard", "floor": 90000, "amounts": {"room": -0.5}}
    assert case(STATIC, events, right).status == "passed"
    result = case(STATIC, events, {**right, **change})
    assert result.status == "failed"
    assert len(result.differences) == 1


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"kind": "horoscope"}, "horoscope"),
        ({**STATIC, "moon": "full"}, "moon"),
        ({**STATIC, "measure": "mood"}, "mood"),
        ({**STATIC, "allowance": {"type": "pct_of_luck", "value": 1}}, "pct_of_luck"),
        ({key: value for key, value in STATIC.items() if key != "breach_when"}, "breach_when"),
    ],
)
def test_what_cannot_be_said_is_unsupported_and_named(rule: dict[str, Any], named: str) -> None:
    result = case(rule, [snapshot(1, 1)], {"outcome": "pass"})
    assert result.status == "unsupported"
    assert named in result.line


def test_a_cap_both_ways_has_a_ceiling() -> None:
    rule = {**STATIC, "kind": "daily_move_cap", "anchor": "equity", "directions": ["down", "up"]}
    rule["allowance"] = {"type": "pct_of_anchor", "value": 4}
    events = [snapshot(100000, 102000, kind="rollover"), snapshot(100000, 106080), snapshot(100000, 106080.01)]
    amounts = {"allowance": 4080, "ceiling": 106080}
    result = case(rule, events, {"outcome": "breach", "at_event": 2, "floor": 97920, "amounts": amounts})
    assert result.status == "passed", result.line


def test_a_payout_may_lower_the_peak_and_lock_the_floor() -> None:
    rule = {
        **STATIC,
        "kind": "max_loss_trailing",
        "peak_basis": "intraday_balance_peak",
        "lock": {"at": "initial", "offset": 0},
        "lock_on_first_payout": True,
        "payout_reduces_peak": True,
    }
    payout = {"t": "2025-06-03", "type": "payout", "gross_amount": 3000}
    expected = {"outcome": "pass", "at_event": None, "floor": 100000, "amounts": {"balance": 102000, "peak": 102000}}
    assert case(rule, [snapshot(105000, 105000), payout], expected).status == "passed"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("day 2025-03-09 starts", "2025-03-08T22:00:00+00:00"),
        ("eod 2025-03-10", "2025-03-10T21:00:00+00:00"),
        ("length_hours 2025-03-09", 23),
        ("eod 2025-03-10 in Europe/London", "21:00"),
        ("eod 2025-03-10 in home", "06:00"),
        ("reset 2025-03-10", "2025-03-09T21:00:00+00:00"),
    ],
)
def test_a_server_clock_follows_the_zone_whose_daylight_time_it_keeps(question: str, answer: object) -> None:
    zone = {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}
    rule = {"kind": "day_boundary", "timezone": zone, "reset": "00:00", "home": {"timezone": "Asia/Tokyo"}}
    result = case(rule, [], {"outcome": "computed", "amounts": {question: answer}})
    assert result.status == "passed", result.line


@pytest.mark.parametrize("text", ["", "{", "3", '{"cases": 3}'])
def test_a_file_that_is_no_list_of_cases_is_refused(text: str) -> None:
    with pytest.raises(CaseUnreadable, match=r"cases\.json"):
        read_cases(text, "cases.json")
