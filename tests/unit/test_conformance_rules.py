"""Worked examples with several rules, and with phases: cases of our own, worked out by hand from the format."""

import json
from typing import Any

import pytest

from cli.conformance.case import Case, EngineResult, read_cases
from cli.conformance.run import run
from cli.conformance.several import judge_rules
from tests.unit.worked_cases import CLOSE, DAY, OPEN, days, event

Json = dict[str, Any]

MAX: Json = {
    "id": "max",
    "kind": "max_loss_static",
    "allowance": {"type": "amount", "value": 10000},
    "breach_when": "equity < floor",
    "severity": "hard",
}
TARGET: Json = {"id": "target", "kind": "profit_target", "target": {"type": "pct_of_initial", "value": 8}}
BEST: Json = {"id": "best", "kind": "best_day_ratio", "limit_pct": 50, "compare": "<=", "denominator": "total_profit"}
CAP: Json = {"id": "cap", "kind": "daily_profit_cap", "amount": 3000}
RAISES: Json = {"id": "best", "kind": "best_day_ratio", "limit_pct": 50, "effect": "excess_added_to_target"}
CEILING: Json = {
    "id": "ceiling",
    "kind": "daily_move_cap",
    "anchor": "balance",
    "allowance": {"type": "amount", "value": 7000},
    "directions": ["up"],
    "breach_when": "equity <= floor",
}
PAY: Json = {"id": "pay", "kind": "payout_amount", "base": "balance_minus_initial"}
ELIGIBLE: Json = {"id": "may", "kind": "payout_eligibility", "min_profit": 100}


def raw_case(rules: list[Json], events: list[Json], expected: Json) -> Json:
    account = {"initial_balance": 100_000, "currency": "USD"}
    return {"id": "ours", "account": account, "rules": rules, "events": events, "expected": expected}


def check(rules: list[Json], events: list[Json], expected: Json) -> None:
    result = run(read_cases(json.dumps([raw_case(rules, events, expected)]), "ours")[0])
    assert (result.status, result.kind) == ("passed", "rules"), result.line


def opened(hour: int, name: str, day: int = 2) -> Json:
    return event(f"2025-06-{day:02}T{hour:02}:00:00+00:00", OPEN, id=name, symbol="EURUSD", side="buy")


def closed(hour: int, name: str, pnl: float, day: int = 2) -> Json:
    return event(f"2025-06-{day:02}T{hour:02}:00:00+00:00", CLOSE, id=name, symbol="EURUSD", pnl=pnl)


def request(day: int = 20) -> Json:
    return event(f"2025-06-{day:02}T10:00:00+00:00", "payout_request")


REACHED = {"outcome": "target_reached", "rule": "target"}
PASS = {"outcome": "pass", "rule": None, "at_event": None}
ENDS: list[tuple[list[Json], list[Json], Json]] = [
    ([MAX, TARGET], [opened(8, "a"), closed(9, "a", 7999.99)], {**PASS, "amounts": {"balance": 107999.99}}),
    ([MAX, TARGET], [opened(8, "a"), closed(9, "a", 8000)], {**REACHED, "at_event": 1}),
    ([MAX, TARGET], [opened(8, "a"), closed(9, "a", -10000.01)], {"outcome": "breach", "rule": "max", "at_event": 1}),
    # nothing may be open
    (
        [MAX, TARGET],
        [opened(8, "a"), opened(8, "b"), closed(9, "a", 9000), closed(10, "b", -500)],
        {**REACHED, "at_event": 3, "amounts": {"balance": 108500, "equity": 108500}},
    ),
    ([TARGET], [opened(8, "a"), closed(9, "a", 9000), event("x", "clock", open_positions=1)], {"at_event": 1}),
    ([TARGET], [event("x", "snapshot", balance=109000, equity=109000, positions=[{"id": "a", "pnl": 0}])], PASS),
    # days with a new position, or as totals say
    (
        [{**TARGET, "min_trading_days": 2}],
        [opened(8, "a"), closed(9, "a", 9000), opened(8, "b", 3), closed(9, "b", 0, 3)],
        {**REACHED, "at_event": 3},
    ),
    (
        [{**TARGET, "min_trading_days": 2}],
        [opened(8, "a"), closed(9, "a", 9000), event("2025-06-02T10:00:00+00:00", "totals", trading_days=2)],
        {**REACHED, "at_event": 2},
    ),
    ([{**TARGET, "min_trading_days": 2}], [opened(8, "a"), closed(9, "a", 9000), closed(10, "b", 1)], PASS),
    # at one event a breach wins
    ([TARGET, CEILING], [opened(8, "a"), closed(9, "a", 8000)], {"outcome": "breach", "rule": "ceiling"}),
    # then the rule that is listed first; the other one is an offence too
    (
        [{**MAX, "id": "second"}, MAX],
        [opened(8, "a"), closed(9, "a", -20000)],
        {"outcome": "breach", "rule": "second", "offences": [{"rule": "max", "at_event": 1}]},
    ),
    # a gate that holds back a pass
    ([TARGET, {**BEST, "blocks": ["pass"]}], days(8000, 7999), PASS),
    ([TARGET, {**BEST, "blocks": ["pass"]}], days(8000, 7999, 1), {**REACHED, "at_event": 2}),
    ([TARGET, BEST], days(8000, 7999, 1), {**REACHED, "at_event": 0}),
    # the target as gates raise it: 8,000 + 6,000 - 4,000
    ([TARGET, RAISES], days(6000, 3999.99), PASS),
    ([TARGET, RAISES], days(6000, 4000), {**REACHED, "at_event": 1}),
    # profit that does not count: 2,000 of the first day
    ([TARGET, CAP], days(5000, 3000, 1999.99), {**PASS, "rules": {"cap": {"amounts": {"deducted": 2000}}}}),
    ([TARGET, CAP], days(5000, 3000, 2000), {**REACHED, "at_event": 2}),
    # payouts wait for gates, and what is left out is never paid
    ([BEST, ELIGIBLE], [*days(5000, 1000), request()], {"rules": {"may": {"outcome": "ineligible"}}}),
    ([BEST, ELIGIBLE], [*days(1000, 1000), request()], {"rules": {"may": {"outcome": "eligible"}}}),
    ([{**BEST, "blocks": ["pass"]}, ELIGIBLE], [*days(5000), request()], {"rules": {"may": {"outcome": "eligible"}}}),
    (
        [BEST, PAY],
        [*days(5000, 1000), request()],
        {"rules": {"pay": {"outcome": "ineligible", "amounts": {"gross": 0, "balance": 106000}}}},
    ),
    (
        [CAP, PAY],
        [*days(5000, 1000), request()],
        {"rules": {"pay": {"outcome": "eligible", "amounts": {"profit": 4000, "gross": 4000}}}},
    ),
]


@pytest.mark.parametrize(("rules", "events", "expected"), ENDS)
def test_how_the_account_ends(rules: list[Json], events: list[Json], expected: Json) -> None:
    check(rules, events, expected)


def test_profit_left_out_in_an_earlier_window_is_off_the_base_too() -> None:
    cap = {**CAP, "window": "since_last_payout"}
    events = [*days(4250), event("2025-06-03T09:00:00+00:00", "payout", gross_amount=3000), *days(0, 0, 3500)[2:]]
    amounts = {"profit": 3000, "gross": 3000}
    check([cap, PAY], [*events, request()], {"rules": {"pay": {"outcome": "eligible", "amounts": amounts}}})


def test_a_refund_waits_for_the_gates_like_every_payout() -> None:
    gate: Json = {
        "id": "days",
        "kind": "trading_day_count",
        "required": 2,
        "day": {"timezone": "UTC", "reset": "00:00"},
    }
    bought = event("2025-06-01T10:00:00Z", "payment", kind="purchase", amount=99)
    refund = {"refund": {"outcome": "ineligible", "amounts": {"refund": 0}}}
    rules: list[Json] = [gate, {"id": "refund", "kind": "fee_refund"}]
    check(rules, [bought, opened(9, "a"), request()], {"outcome": "pass", "rules": refund})


@pytest.mark.parametrize(("amount", "outcome"), [(999, "ineligible"), (1000, "eligible")])
@pytest.mark.parametrize("window", ["whole_phase", "since_last_payout_request"])
def test_short_gains_are_compared_with_the_request_that_ends_the_window(amount: int, outcome: str, window: str) -> None:
    gate: Json = {"id": "hold", "kind": "min_hold_time", "seconds": 60, "max_short_pct_of_request": 10}
    pay: Json = {"id": "pay", "kind": "payout_amount", "base": "balance_minus_initial"}
    short = [
        event("2025-06-02T10:00:00Z", OPEN, id="a", symbol="EURUSD"),
        event("2025-06-02T10:00:30Z", CLOSE, id="a", symbol="EURUSD", pnl=100),
    ]
    asks = event("2025-06-03T12:00:00Z", "payout_request", amount=amount)
    events = [*short, opened(11, "b"), closed(12, "b", 900), asks]
    check([{**gate, "window": window}, pay], events, {"outcome": "pass", "rules": {"pay": {"outcome": outcome}}})


def test_a_phase_begins_every_rule_anew_with_its_own_balance() -> None:
    phase = event("2025-06-03T00:00:00+00:00", "phase_start", phase="funded", initial_balance=50_000)
    rule = {name: value for name, value in MAX.items() if name != "id"}
    events = [closed(9, "a", 1000), phase, closed(9, "b", -10_000, 3), closed(10, "c", -0.01, 3)]
    expected = {
        "outcome": "breach",
        "at_event": 3,
        "floor": 40_000,
        "floors": [{"after_event": 0, "floor": 90_000}, {"after_event": 1, "floor": 40_000}],
        "amounts": {"balance": [{"after_event": 1, "value": 50_000}, {"after_event": 2, "value": 40_000}]},
    }
    steps = [
        {**one, "balance": b, "equity": b} for one, b in zip(events, (101000, 50000, 40000, 39999.99), strict=True)
    ]
    case = {**raw_case([], steps, expected), "rule": rule}
    del case["rules"]
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line
    check([MAX, TARGET], events, {"outcome": "breach", "rule": "max", "at_event": 3})
    check([TARGET], [*events[:2], closed(9, "b", 4000, 3)], {"outcome": "target_reached", "at_event": 2})


def test_news_of_an_earlier_phase_is_still_known() -> None:
    rule = {"id": "news", "kind": "news_window", "before_minutes": 5, "after_minutes": 5, "applies_to": ["open"]}
    events = [
        event("2025-06-03T10:00:00+00:00", "news", name="CPI", targets=["USD"]),
        opened(9, "a", 2),
        event("2025-06-03T00:00:00+00:00", "phase_start", phase="funded"),
        opened(10, "b", 3),
    ]
    expected = {"outcome": "breach", "at_event": 3, "rule": "news"}
    check([rule, TARGET], events, expected)


def offends(*counts: int) -> Any:
    """Returns a rule that counts this many offences so far, after each event."""

    def build(case: Case) -> EngineResult:
        given = case.params("consequences")
        assert given is not None
        broken = next((place for place, count in enumerate(counts) if count), None)
        return EngineResult(
            outcome="pass" if broken is None else "breach",
            at_event=broken,
            steps=[{"violations": count} for count in counts],
        )

    return build


def ended(rules: Json, kinds: Json, events: list[Json]) -> EngineResult:
    listed = [{"id": name, "kind": name, "consequences": [{"kind": k} for k in kept]} for name, kept in rules.items()]
    case = read_cases(json.dumps([raw_case(listed, events, {})]), "ours")[0]
    assert case.problem is None
    return judge_rules(case, kinds)


def test_offences_that_do_not_fail_are_listed_up_to_the_end() -> None:
    kinds = {"warns": offends(1, 1, 3, 4), "ladder": offends(0, 1, 2, 2)}
    result = ended({"warns": ["warn"], "ladder": ["review", "fail"]}, kinds, days(1, 2, 3, 4))
    assert (result.outcome, result.rule, result.at_event) == ("breach", "ladder", 2)
    listed = [(one["rule"], one["at_event"]) for one in result.offences]
    assert listed == [("warns", 0), ("ladder", 1), ("warns", 2), ("warns", 2)]


def test_an_offence_may_set_the_balance_back() -> None:
    result = ended({"back": ["reset_balance"]}, {"back": offends(0, 1, 1)}, days(500, -900, 70))
    assert result.outcome == "pass"
    assert [step["balance"] for step in result.steps] == [100_500, 100_000, 100_070]
    assert result.amounts == {"balance": 100_070, "equity": 100_070}


@pytest.mark.parametrize(("requests", "outcome"), [(1, "eligible"), (2, "ineligible")])
def test_a_request_is_judged_by_the_window_that_it_ends(requests: int, outcome: str) -> None:
    gate: Json = {"id": "days", "kind": "trading_day_count", "required": 1, "window": "since_last_payout_request"}
    events = [*days(500), *(request(day) for day in (20, 21)[:requests])]
    check([gate, ELIGIBLE], events, {"outcome": "pass", "rules": {"may": {"outcome": outcome}}})


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([MAX, {**TARGET, "goal": 1}], "goal"),
        ([{**TARGET, "target": -1}], "target"),
        ([{"id": "t", "kind": "profit_target"}], "target"),
        ([{**BEST, "blocks": ["sleep"]}, ELIGIBLE], "blocks"),
        ([{**MAX, "blocks": ["pass"]}], "blocks"),
        ([MAX, {"id": "x", "kind": "horoscope"}], "kind"),
    ],
)
def test_a_list_of_rules_is_read_strictly(rules: list[Json], field: str) -> None:
    expected = {"outcome": "refused", "field": field}
    result = run(read_cases(json.dumps([raw_case(rules, days(1, 2), expected)]), "ours")[0])
    assert result.status == "passed", result.line


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "pass"},
        {"rule": "target"},
        {"at_event": 0},
        {"offences": []},
        {"rules": {"max": {"floor": 1}}},
        {"rules": {"nobody": {"floor": 1}}},
        {"amounts": {"balance": 1}},
        {"severity": "soft"},
    ],
)
def test_each_field_that_is_wrong_is_found(change: Json) -> None:
    events = [opened(8, "a"), closed(9, "a", -20000)]
    right = {"outcome": "breach", "rule": "max", "at_event": 1, "offences": [{"rule": "other", "at_event": 1}]}
    right |= {"severity": "hard", "amounts": {"balance": 80_000}, "rules": {"max": {"floor": 90_000}}}
    rules = [MAX, {**MAX, "id": "other"}, TARGET]
    check(rules, events, right)
    result = run(read_cases(json.dumps([raw_case(rules, events, {**right, **change})]), "ours")[0])
    assert (result.status, len(result.differences)) == ("failed", 1)


def test_a_result_is_compared_in_the_digits_of_its_currency() -> None:
    rule = {name: value for name, value in MAX.items() if name != "id"} | {"allowance": 10}
    for currency, floor, wrong in (("KWD", 99_990, 99_990.001), ("JPY", 99_990.5, 99_991), ("USD", 99_990, 99_990.01)):
        account = {"initial_balance": 100_000, "currency": currency}
        case = {"id": "a", "account": account, "rule": rule, "events": days(0)}
        texts = [json.dumps([{**case, "expected": {"floor": value}}]) for value in (floor, wrong)]
        assert [run(read_cases(text, "ours")[0]).status for text in texts] == ["passed", "failed"]
    assert DAY == "day_result"
