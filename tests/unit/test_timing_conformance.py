"""Cases about time in the format of the worked examples: inactivity, hours to be flat, news, clocks."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conformance import clocks, timing
from cli.conformance.case import Case, Unsupported, read_cases
from cli.conformance.run import run

Raw = dict[str, Any]


def case_of(rule: Raw, events: list[Raw], expected: Raw, **account: Any) -> Case:
    account = {"initial_balance": 100000, "currency": "USD", **account}
    raw = {"id": "own", "account": account, "rule": rule, "events": events, "expected": expected}
    return read_cases(json.dumps([raw]), "own")[0]


def check(rule: Raw, events: list[Raw], expected: Raw, **account: Any) -> None:
    result = run(case_of(rule, events, expected, **account))
    assert (result.status, result.differences) == ("passed", ())


def event(t: str, kind: str, **more: Any) -> Raw:
    return {"t": t, "type": kind, **more}


def opened(t: str, identity: str = "a", **more: Any) -> Raw:
    return event(t, "trade_open", id=identity, **more)


def closed(t: str, identity: str = "a", **more: Any) -> Raw:
    return event(t, "trade_close", id=identity, **more)


@pytest.mark.parametrize("name", ["cases.json", "cases_2.json", "cases_3.json"])
def test_the_worked_examples(shared_data: Path, name: str) -> None:
    path = shared_data.parent / "conformance" / name
    cases = [case for case in read_cases(path.read_text(), name) if "refused" not in case.expected.values()]
    mine = [case for case in cases if case.kind in {**timing.KINDS, **clocks.KINDS}]
    assert [run(case).line for case in mine if run(case).status != "passed"] == []


CLOSED = [opened("2025-06-02T10:00:00-04:00"), closed("2025-06-06T10:00:00-04:00", pnl=1)]


@pytest.mark.parametrize(
    ("rule", "last", "expected"),
    [
        # Friday the 6th; the days are those of the offset that the case is written in
        ({"trading_days": 1}, "2025-06-10T00:00:00-04:00", {"outcome": "pass"}),
        ({"trading_days": 1}, "2025-06-10T00:00:01-04:00", {"outcome": "breach", "at_event": 2}),
        ({"trading_days": 1}, "2025-06-09T12:00:00-04:00", {"amounts": {"deadline": "2025-06-10T04:00:00Z"}}),
        # by a clock: the day of the close ends at 17:00, the next trading day on Monday at 17:00
        (
            {"trading_days": 1, "day": {"timezone": "America/New_York", "reset": "17:00"}},
            "2025-06-09T17:00:01-04:00",
            {"outcome": "breach", "amounts": {"deadline": "2025-06-09T21:00:00Z"}},
        ),
        # the 19th of June is a holiday of XNYS: the 9th trading day is Friday the 20th
        (
            {"trading_days": 10, "calendar": "XNYS", "day": {"timezone": "America/New_York", "reset": "00:00"}},
            "2025-06-20T12:00:00-04:00",
            {"outcome": "pass", "amounts": {"deadline": "2025-06-24T04:00:00Z"}},
        ),
        ({"calendar_days": 3, "counter_starts": "last_trade"}, "2025-06-09T10:00:00-04:00", {"outcome": "pass"}),
        # a close is no order: the deadline is the 5th, and passes while the position is open
        (
            {"calendar_days": 3, "counter_starts": "last_order_placed"},
            "2025-06-06T10:00:01-04:00",
            {"outcome": "breach", "at_event": 2, "amounts": {"deadline": "2025-06-05T14:00:00Z"}},
        ),
        (
            {"calendar_days": 3, "open_position_suspends": False, "severity": "hard"},
            "2025-06-06T12:00:00-04:00",
            {"outcome": "breach", "at_event": 1, "severity": "hard"},
        ),
    ],
)
def test_inactivity(rule: Raw, last: str, expected: Raw) -> None:
    check({"kind": "inactivity", **rule}, [*CLOSED, event(last, "clock")], expected)


def test_inactivity_counts_pending_orders_if_it_says_so() -> None:
    events = [event("2025-06-02T00:00:00Z", "snapshot", balance=100000, equity=100000)]
    events += [event("2025-06-08T00:00:00Z", "pending_order_placed"), event("2025-06-15T00:00:00Z", "clock")]
    rule = {"kind": "inactivity", "calendar_days": 10}
    check(rule, events, {"outcome": "breach", "at_event": 2})
    for more in ({"pending_orders_count": True}, {"counter_starts": "last_order_placed"}):
        check({**rule, **more}, events, {"outcome": "pass", "amounts": {"deadline": "2025-06-18T00:00:00Z"}})


WEEKEND = {
    "kind": "flat_by",
    "weekday": "Friday",
    "time": "16:00",
    "timezone": "America/New_York",
    "reopens": "18:00",
    "reopens_weekday": "Sunday",
}


@pytest.mark.parametrize(
    ("rule", "t", "breach"),
    [
        (WEEKEND, "2025-06-08T17:59:59-04:00", True),
        (WEEKEND, "2025-06-08T18:00:00-04:00", False),
        # until the day ends
        ({**WEEKEND, "reopens": None, "reopens_weekday": None}, "2025-06-06T23:59:59-04:00", True),
        ({**WEEKEND, "reopens": None, "reopens_weekday": None}, "2025-06-07T00:00:00-04:00", False),
        # every day until the session begins
        ({"kind": "flat_by", "time": "15:10", "timezone": "America/Chicago", "reopens": "17:00"},
         "2025-06-04T16:59:59-05:00", True),
        ({"kind": "flat_by", "time": "15:10", "timezone": "America/Chicago", "reopens": "17:00"},
         "2025-06-04T17:00:00-05:00", False),
        # by a calendar: XNYS closes at 13:00 on 3 July, and opens on the 7th
        ({"kind": "flat_by", "calendar": "XNYS", "before_close_minutes": 10}, "2025-07-03T12:49:59-04:00", False),
        ({"kind": "flat_by", "calendar": "XNYS", "before_close_minutes": 10}, "2025-07-03T12:50:00-04:00", True),
        ({"kind": "flat_by", "calendar": "XNYS"}, "2025-07-07T09:29:59-04:00", True),
        ({"kind": "flat_by", "calendar": "XNYS"}, "2025-07-07T09:30:00-04:00", False),
        # a night of 17.5 hours is no longer break
        ({"kind": "flat_by", "calendar": "XNYS", "break_longer_than_hours": 17.5}, "2025-07-01T18:00:00-04:00", False),
        ({"kind": "flat_by", "calendar": "XNYS", "break_longer_than_hours": 17.4}, "2025-07-01T18:00:00-04:00", True),
    ],
)  # fmt: skip
def test_flat_by(rule: Raw, t: str, breach: bool) -> None:
    rule = {name: value for name, value in rule.items() if value is not None}
    outcome = {"outcome": "breach", "at_event": 0} if breach else {"outcome": "pass", "at_event": None}
    check(rule, [event(t, "clock", open_positions=2)], {**outcome, "amounts": {"positions_closed": 2 if breach else 0}})
    check(rule, [opened(t)], {**outcome, "amounts": {"positions_closed": 1 if breach else 0}})


def test_flat_by_names_the_severity_of_the_last_violation() -> None:
    rule = {**WEEKEND, "severity_by_violation": ["warning", "soft", "hard"]}
    weeks = [event(f"2025-06-{day:02}T16:30:00-04:00", "clock", open_positions=1) for day in (6, 13)]
    check(rule, weeks, {"outcome": "breach", "at_event": 0, "severity": "soft"})
    check({**rule, "phases": ["funded"]}, weeks, {"outcome": "pass", "severity": None}, phase="evaluation")
    check({**rule, "phases": ["funded"]}, weeks, {"outcome": "breach"}, phase="funded")
    check({**rule, "account_types": ["swing"]}, weeks, {"outcome": "pass"}, account_type="standard")
    check({**rule, "account_types": ["swing"]}, weeks, {"outcome": "breach"}, account_type="swing")


CPI = event("2025-06-11T12:30:00Z", "news", name="CPI", targets=["EURUSD"])
NEWS = {"kind": "news_window", "before_minutes": 5, "after_minutes": 5}


@pytest.mark.parametrize(
    ("rule", "events", "expected"),
    [
        ({"applies_to": ["hold"]},
         [opened("2025-06-11T10:00:00Z", symbol="EURUSD"), event("2025-06-11T12:40:00Z", "clock")],
         {"outcome": "breach", "at_event": 2, "amounts": {"violations": 1}}),
        ({"applies_to": ["hold"]}, [opened("2025-06-11T10:00:00Z", symbol="EURUSD"), closed("2025-06-11T12:25:00Z")],
         {"outcome": "pass"}),
        # held, and closed in the window
        ({"applies_to": ["hold", "close"]}, [opened("2025-06-11T10:00:00Z"), closed("2025-06-11T12:26:00Z")],
         {"outcome": "breach", "at_event": 2, "amounts": {"violations": 2}}),
        ({"applies_to": ["hold"], "targeted_instruments_only": True},
         [opened("2025-06-11T10:00:00Z", symbol="XAUUSD"), event("2025-06-11T12:40:00Z", "clock")],
         {"outcome": "pass"}),
        ({"applies_to": ["close"], "exempt_if_opened_minutes_before": 60},
         [opened("2025-06-11T11:30:00Z"), closed("2025-06-11T12:30:00Z")], {"outcome": "pass"}),
        ({"applies_to": ["close"], "exempt_if_opened_minutes_before": 60},
         [opened("2025-06-11T11:30:01Z"), closed("2025-06-11T12:30:00Z")], {"outcome": "breach", "at_event": 2}),
        ({"applies_to": ["open"], "consequences": [{"kind": "deduct_profit"}]},
         [opened("2025-06-11T12:29:00Z"), closed("2025-06-11T14:00:00Z", pnl=250)],
         {"outcome": "breach", "amounts": {"deducted": 250}}),
        ({"applies_to": ["open"], "consequences": [{"kind": "deduct_profit"}]},
         [opened("2025-06-11T12:29:00Z"), closed("2025-06-11T14:00:00Z", pnl=-250)], {"amounts": {"deducted": 0}}),
        ({"applies_to": ["pending_fill"]}, [opened("2025-06-11T12:29:00Z", reason="pending_fill")],
         {"outcome": "breach"}),
        ({"applies_to": ["pending_fill"]}, [opened("2025-06-11T12:29:00Z")], {"outcome": "pass"}),
    ],
)  # fmt: skip
def test_news_window(rule: Raw, events: list[Raw], expected: Raw) -> None:
    check({**NEWS, **rule}, [CPI, *events], expected)


@pytest.mark.parametrize(("t", "breach"), [("19:25:00Z", True), ("19:25:01Z", False), ("18:24:59Z", False)])
def test_news_that_lasts(t: str, breach: bool) -> None:
    talk = event("2025-06-18T18:30:00Z", "news", name="FOMC", targets=["EURUSD"], ends="2025-06-18T19:20:00+00:00")
    expected = {"outcome": "breach" if breach else "pass"}
    check({**NEWS, "applies_to": ["open"]}, [talk, opened(f"2025-06-18T{t}")], expected)


@pytest.mark.parametrize(
    ("rule", "profits", "counted"),
    [
        ({}, 1000, 1000),
        ({"counted_pct": 40}, 1000, 400),
        ({"cap": 300}, 1000, 300),
        ({"counted_pct": 40, "cap": 300}, 500, 200),
        ({"counted_pct": 40, "cap": {"type": "pct_of_initial", "value": 0.3}}, 1000, 300),
        ({"counted_pct": 40, "cap": 300}, -1000, -1000),
        ({"counted_pct": 33}, 0.05, 0.02),
    ],
)
def test_news_profit_haircut(rule: Raw, profits: float, counted: float) -> None:
    totals = event("r", "totals", news_profits=profits, profit_excluding_news_profits=50)
    expected = {"outcome": "computed", "amounts": {"news_counted": counted, "total": counted + 50}}
    check({"kind": "news_profit_haircut", **rule}, [totals], expected)


SERVER = {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}
CHICAGO = {"timezone": "America/Chicago", "reset": "17:00"}


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        # at 12:00 and later the day is named after the next date
        ({"timezone": "UTC", "reset": "11:59"}, {"day 2025-06-03 starts": "2025-06-03T11:59:00Z"}),
        ({"timezone": "UTC", "reset": "12:00"}, {"day 2025-06-03 starts": "2025-06-02T12:00:00Z"}),
        ({"timezone": "-03:00", "reset": "00:00"}, {"eod 2025-06-03": "2025-06-04T03:00:00Z"}),
        (
            {**CHICAGO, "session_end": "15:10"},
            {"reset 2025-06-03": "2025-06-03T22:00:00Z", "length_hours 2025-06-03": 24},
        ),
        (CHICAGO, {"length_hours 2025-03-10": 24, "length_hours 2025-03-09": 23}),
        # a server's clock switches as New York does, not as Europe does
        (
            {"timezone": SERVER, "reset": "00:00"},
            {"day 2025-03-12 starts": "2025-03-11T21:00:00Z", "day 2025-03-07 starts": "2025-03-06T22:00:00Z"},
        ),
        # zones beside the own clock, by name or by themselves
        (
            {
                "timezone": "UTC",
                "reset": "21:00",
                "office": {"timezone": "Europe/Prague"},
                "server": SERVER,
                "desk": "-05:00",
            },
            {
                "day 2025-06-03 starts in office": "23:00",
                "day 2025-06-03 starts in server": "00:00",
                "reset 2025-06-03 in desk": "16:00",
                "eod 2025-06-03 in Asia/Tokyo": "06:00",
            },
        ),
        # several clocks: name first, and each is a zone
        (
            {"trading_day": CHICAGO, "loss": {"timezone": "UTC", "reset": "00:30", "session_end": "20:00"}},
            {
                "trading_day: day 2025-06-03 starts": "2025-06-02T22:00:00Z",
                "loss: eod 2025-06-03": "2025-06-04T00:30:00Z",
                "loss: day 2025-06-03 starts in trading_day": "19:30",
            },
        ),
        # the old clock up to and at the change, then the new one
        (
            {"versions": [CHICAGO, {"from": "2025-06-03T22:00:00Z", "timezone": "UTC", "reset": "00:00"}]},
            {
                "day 2025-06-04 starts": "2025-06-03T22:00:00Z",
                "eod 2025-06-04": "2025-06-05T00:00:00Z",
                "length_hours 2025-06-04": 26,
                "reset 2025-06-03": "2025-06-03T22:00:00Z",
                "reset 2025-06-05": "2025-06-05T00:00:00Z",
            },
        ),
    ],
)
def test_day_boundary(rule: Raw, answers: Raw) -> None:
    check({"kind": "day_boundary", **rule}, [], {"outcome": "computed", "amounts": answers})


def test_a_platforms_rollovers_say_when_days_begin() -> None:
    rollovers = [event(f"2025-06-{day:02}T17:05:00-04:00", "rollover") for day in (1, 2, 3)]
    answers = {
        "day 2025-06-02 starts": "2025-06-01T21:05:00Z",
        "eod 2025-06-02": "2025-06-02T21:05:00Z",
        "reset 2025-06-03": "2025-06-03T21:05:00Z",
        "length_hours 2025-06-03": 24,
    }
    check({"kind": "day_boundary", "timezone": "platform"}, rollovers, {"outcome": "computed", "amounts": answers})
    trades = [opened("2025-06-01T16:00:00-04:00"), rollovers[0], closed("2025-06-01T18:00:00-04:00", pnl=1)]
    label = {"kind": "trading_day_label", "day": {"timezone": "platform"}}
    check(label, trades, {"outcome": "computed", "amounts": {"trade_dates": ["2025-06-01", "2025-06-02"]}})


def test_without_a_clock_a_date_is_as_written() -> None:
    trades = [opened("2025-06-01T23:30:00-04:00"), closed("2025-06-02T00:30:00-04:00", pnl=1)]
    expected = {"outcome": "computed", "amounts": {"trade_dates": ["2025-06-01", "2025-06-02"]}}
    check({"kind": "trading_day_label"}, trades, expected)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"kind": "flat_by", "weekday": "Caturday", "time": "16:00"}, "Caturday"),
        ({"kind": "flat_by", "weekday": "Friday"}, "time is missing"),
        ({"kind": "news_profit_haircut", "cap": {"type": "pct_of_peak", "value": 1}}, "basis"),
    ],
)
def test_what_the_engine_cannot_read_is_named(rule: Raw, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        timing.KINDS[rule["kind"]](case_of(rule, [], {"outcome": "pass"}))


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ({"timezone": "Mars/Olympus", "reset": "00:00"}, "day 2025-06-03 starts"),
        ({**CHICAGO, "office": "nowhere"}, "day 2025-06-03 starts"),
        (CHICAGO, "day 2025-06-03 starts in Nowhere"),
        (CHICAGO, "day 2025-06-03"),
        (CHICAGO, "other: day 2025-06-03 starts"),
        ({"timezone": "platform"}, "day 2025-06-03 starts"),
    ],
)
def test_clocks_that_cannot_be_read_are_unsupported(rule: Raw, asked: str) -> None:
    result = run(case_of({"kind": "day_boundary", **rule}, [], {"outcome": "computed", "amounts": {asked: "x"}}))
    assert result.status == "unsupported"
