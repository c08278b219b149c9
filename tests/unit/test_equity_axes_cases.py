"""Worked examples of floors, worked by hand: sizes, periods, steps, payouts, judging at resets, floating losses."""

from typing import Any

import pytest

from tests.unit.worked_cases import ROLL, check, event

BELOW, AT = "equity < floor", "equity <= floor"
UTC_DAY = {"timezone": "UTC", "reset": "00:00"}


def snap(day: int, hour: int, balance: float, equity: float | None = None, **more: Any) -> dict[str, Any]:
    at = f"2025-06-{day:02}T{hour:02}:00:00+00:00"
    return event(at, "snapshot", balance=balance, equity=balance if equity is None else equity, **more)


def roll(day: int, balance: float, equity: float | None = None, **more: Any) -> dict[str, Any]:
    at = f"2025-06-{day:02}T00:00:00+00:00"
    return event(at, ROLL, balance=balance, equity=balance if equity is None else equity, **more)


def payout(day: int, amount: float) -> dict[str, Any]:
    return event(f"2025-06-{day:02}T12:00:00+00:00", "payout", gross_amount=amount)


def daily(anchor: str, allowance: Any, **more: Any) -> dict[str, Any]:
    return {"anchor": anchor, "allowance": allowance, "day": UTC_DAY, "breach_when": BELOW, **more}


def static(allowance: Any, **more: Any) -> dict[str, Any]:
    return {"allowance": allowance, "breach_when": BELOW, **more}


def trailing(basis: str, allowance: Any, **more: Any) -> dict[str, Any]:
    return {"peak_basis": basis, "allowance": allowance, "breach_when": BELOW, **more}


def floors(*values: float | None) -> list[dict[str, Any]]:
    return [{"after_event": number, "floor": value} for number, value in enumerate(values)]


def pct(kind: str, value: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, **more}


# sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # anchor 104,000 after the first reset, 102,000 after the second; highest balance at a reset 104,000
        (pct("pct_of_anchor_profit", 50), (100_000, 102_000, 102_000, 101_000)),
        (pct("pct_of_anchor_profit", 50, at_least=1_500), (98_500, 102_000, 102_000, 100_500)),
        (pct("pct_of_peak_profit", 50), (100_000, 102_000, 102_000, 100_000)),
        (pct("pct_of_peak", 2), (98_000, 101_920, 101_920, 99_920)),
        (pct("pct_of_balance", 2), (98_000, 101_920, 101_940, 99_960)),
        (pct("pct_of_payout_balance", 2), (98_000, 102_000, 102_000, 100_000)),
        (pct("pct_of_anchor_profit", 50, steps=[{"from": 3_000, "value": 10}]), (100_000, 103_600, 103_600, 101_000)),
        (pct("amount", 1_000, steps=[{"from": 3_000, "value": 500}]), (99_000, 103_500, 103_500, 101_000)),
        (pct("amount", 1_000, steps=[{"from": 3_000, "value": None}]), (99_000, None, None, 101_000)),
        (pct("pct_of_initial", 1, at_least=2_000), (98_000, 102_000, 102_000, 100_000)),
        (1_234.5, (98_765.5, 102_765.5, 102_765.5, 100_765.5)),
    ],
)
def test_each_size_of_a_daily_loss(size: Any, expected: tuple[float | None, ...]) -> None:
    events = [snap(2, 9, 100_000), roll(3, 104_000), snap(3, 9, 103_000, 104_000), roll(4, 102_000)]
    wanted = {"outcome": "pass", "at_event": None, "floor": expected[-1], "floors": floors(*expected)}
    check("daily_loss", daily("balance", size), events, wanted)


def test_no_limit_up_to_the_first_step() -> None:
    size = {"type": "pct_of_anchor_profit", "value": None, "steps": [{"from": 2_000, "value": 50}]}
    events = [roll(2, 101_999), snap(2, 9, 50_000), roll(3, 102_000), snap(3, 9, 100_999.99)]
    expected = {
        "outcome": "breach",
        "at_event": 3,
        "floor": 101_000,
        "floors": floors(None, None, 101_000, 101_000),
        "amounts": {"allowance": 1_000, "room": [{"after_event": 0, "value": None}]},
    }
    check("daily_loss", daily("balance", size), events, expected)


def test_the_balance_that_a_payout_left_is_what_a_size_may_follow() -> None:
    events = [snap(2, 9, 110_000), payout(3, 6_000), snap(3, 13, 109_000), payout(4, 1_000), snap(4, 13, 105_000)]
    expected = {"outcome": "pass", "floors": floors(90_000, 89_600, 89_600, 89_200, 89_200)}
    check("max_loss_static", static(pct("pct_of_payout_balance", 10)), events, expected)


def test_a_share_of_the_daily_allowance_keeps_its_least_amount() -> None:
    rule = daily("balance", pct("pct_of_daily_allowance", 40)) | {
        "daily_allowance": pct("pct_of_anchor_profit", 50, at_least=1_000)
    }
    events = [snap(2, 9, 100_000), roll(3, 104_000)]
    check("daily_loss", rule, events, {"outcome": "pass", "floors": floors(99_600, 103_200)})


def test_a_percentage_of_a_negative_figure_is_zero() -> None:
    events = [roll(3, -500), snap(3, 9, -500), snap(3, 10, -500.01)]
    expected = {"outcome": "breach", "at_event": 2, "floor": -500, "amounts": {"allowance": 0}}
    rule = daily("balance", pct("pct_of_anchor", 5))
    check("daily_loss", rule, events, expected, initial_balance=0)


# anchors and periods


@pytest.mark.parametrize("anchor", ["intraday_equity_peak", "day_equity_peak"])
def test_the_peak_of_the_day_begins_anew_at_each_reset(anchor: str) -> None:
    events = [
        snap(2, 9, 100_000, 99_000),
        snap(2, 10, 100_000, 104_000),
        roll(3, 101_000, 100_500),
        snap(3, 9, 1, 98_500),
    ]
    expected = {"outcome": "pass", "at_event": None, "floors": floors(98_000, 102_000 - 80, 98_490, 98_490)}
    check("daily_loss", daily(anchor, pct("pct_of_anchor", 2)), events, expected)


def test_a_payout_lowers_the_peak_of_the_day() -> None:
    events = [roll(2, 105_000), payout(2, 4_000), snap(2, 13, 101_000, 102_000)]
    rule = daily("intraday_equity_peak", 1_000, payout_reduces_anchor=True)
    check("daily_loss", rule, events, {"outcome": "pass", "floors": floors(104_000, 100_000, 101_000)})


def test_a_week_begins_on_monday_also_when_rollovers_are_missing() -> None:
    # 6 June 2025 is a Friday, 11 June a Wednesday
    events = [roll(6, 102_000), roll(7, 103_000), roll(11, 104_000), roll(12, 99_000)]
    expected = {"outcome": "pass", "floors": floors(95_000, 95_000, 99_000, 99_000)}
    check("daily_loss", daily("balance", 5_000, period="week"), events, expected | {"at_event": None})


def test_a_month_begins_with_the_day_that_the_reset_begins() -> None:
    day = {"timezone": "America/New_York", "reset": "17:00"}
    events = [
        event("2025-05-30T17:00:00-04:00", ROLL, balance=101_000, equity=101_000),  # begins 31 May
        event("2025-05-31T17:00:00-04:00", ROLL, balance=102_000, equity=102_000),  # begins 1 June
        event("2025-06-01T17:00:00-04:00", ROLL, balance=103_000, equity=103_000),
    ]
    rule = daily("balance", 5_000, period="month") | {"day": day}
    check("daily_loss", rule, events, {"outcome": "pass", "floors": floors(95_000, 97_000, 97_000)})


def test_a_weekly_offence_counts_anew_when_a_week_begins() -> None:
    events = [
        roll(3, 100_000),
        snap(3, 9, 94_000),
        roll(4, 94_000),
        snap(4, 9, 94_000),
        roll(9, 94_000),
        snap(9, 9, 88_000),
    ]
    counts = [0, 1, 1, 1, 1, 2]
    amounts = {"violations": [{"after_event": n, "value": count} for n, count in enumerate(counts)]}
    rule = daily("balance", 5_000, period="week", consequences=[{"kind": "warn"}])
    check("daily_loss", rule, events, {"outcome": "breach", "at_event": 1, "amounts": amounts})


def test_a_cap_of_a_week_has_a_floor_and_a_ceiling() -> None:
    events = [roll(9, 100_000), roll(10, 101_000), snap(10, 9, 102_000), snap(10, 10, 102_000.01)]
    rule = daily("balance", 2_000, period="week")
    amounts = {"ceiling": 102_000, "floor": 98_000}
    check("daily_move_cap", rule, events, {"outcome": "breach", "at_event": 3, "amounts": amounts})


# static floors


def test_of_several_steps_reached_the_last_listed_counts_for_good() -> None:
    steps = [
        {"when": "balance", "reaches": 10_000, "anchor": "initial", "allowance": 0},
        {"when": "equity", "reaches": pct("pct_of_initial", 5), "anchor": "reached", "allowance": 4_000},
    ]
    events = [
        snap(2, 9, 104_000, 104_999.99),
        snap(2, 10, 104_000, 106_000),
        snap(2, 11, 111_000, 111_000),
        snap(2, 12, 101_000, 102_000),
        snap(2, 13, 101_000, 101_999.99),
    ]
    expected = {"outcome": "breach", "at_event": 4, "floors": floors(90_000, *[102_000] * 4)}
    check("max_loss_static", static(10_000, steps=steps), events, expected)


def test_a_payout_may_begin_steps_anew_or_lock_the_floor() -> None:
    steps = [{"when": "balance", "reaches": 5_000, "anchor": "initial", "allowance": 1_000}]
    events = [snap(2, 9, 106_000), payout(2, 5_000), snap(3, 9, 105_000)]
    rule = static(10_000, steps=steps)
    check("max_loss_static", rule | {"payout_effect": "full_reset"}, events, {"floors": floors(99_000, 90_000, 99_000)})
    check(
        "max_loss_static", rule | {"lock_on_first_payout": True}, events, {"floors": floors(99_000, 100_000, 100_000)}
    )
    check("max_loss_static", rule, events, {"floors": floors(99_000, 99_000, 99_000)})


def test_a_floor_is_set_to_zero_on_accounts_that_start_there() -> None:
    events = [snap(2, 9, 3_000), payout(2, 1_000), snap(2, 13, -1)]
    rule = trailing("eod_balance_peak", 2_000, payout_effect="floor_set_to_zero")
    expected = {"outcome": "breach", "at_event": 2, "floor": 0, "floors": floors(-2_000, 0, 0)}
    check("max_loss_trailing", rule, events, expected, initial_balance=0)
    check("max_loss_trailing", rule, events, {"outcome": "refused", "field": "payout_effect"})


# judged at resets


def test_a_floor_that_is_judged_at_resets_is_compared_as_it_was_before() -> None:
    rule = trailing("eod_balance_peak", 3_000, judged_at="eod", measure="balance")
    events = [snap(2, 9, 90_000), roll(3, 104_000), snap(3, 9, 50_000), roll(4, 100_999.99), roll(5, 102_000)]
    expected = {"outcome": "breach", "at_event": 3, "floor": 101_000, "floors": floors(97_000, *[101_000] * 4)}
    check("max_loss_trailing", rule, events, expected)


def test_a_daily_loss_that_is_judged_at_resets_looks_at_the_whole_day() -> None:
    rule = daily("balance", 2_000, judged_at="eod", breach_when=AT)
    events = [roll(2, 100_000), snap(2, 9, 90_000), roll(3, 98_000.01), roll(4, 96_000.02), roll(5, 94_000)]
    expected = {"outcome": "breach", "at_event": 4, "floor": 94_000.02, "amounts": {"violations": 1}}
    check("daily_loss", rule, events, expected)


# floating losses


def at(day: int, hour: int, **results: float) -> dict[str, Any]:
    """Positions named by symbol and number: ES1, ES2, NQ1."""
    positions = [{"id": name, "symbol": name[:2], "pnl": pnl} for name, pnl in results.items()]
    return snap(day, hour, 100_000, 100_000 + sum(results.values()), positions=positions)


def test_an_open_loss_of_the_account_is_compared_with_the_balance_of_the_moment() -> None:
    rule = {"limit": pct("pct_of_balance", 1), "compare": ">="}
    events = [snap(2, 9, 110_000, 108_900.01), snap(2, 10, 90_000, 89_100)]
    amounts = {"limit": 900, "floating_loss": 900}
    check("floating_loss", rule, events, {"outcome": "breach", "at_event": 1, "amounts": amounts})


@pytest.mark.parametrize(
    ("per", "counts", "largest"),
    [("account", [0, 0, 1, 1], 900), ("symbol", [1, 1, 2, 3], 1_000), ("position", [0, 1, 1, 2], 900)],
)
def test_each_symbol_and_each_position_is_an_offence_of_its_own(per: str, counts: list[int], largest: float) -> None:
    events = [
        at(2, 9, ES1=-400, ES2=-300, NQ1=500),
        at(2, 10, ES1=-700, NQ1=500),
        at(2, 11, ES1=-700, NQ1=-650 if per == "symbol" else -100),
        roll(3, 100_000, 99_100, positions=[{"id": "ES1", "symbol": "ES", "pnl": -900}]),
    ]
    counts = {"account": [0, 0, 1, 2], "symbol": [1, 1, 2, 3], "position": [0, 1, 1, 2]}[per]
    rule = {"limit": 600, "per": per, "consequences": [{"kind": "warn"}]}
    wanted = [{"after_event": number, "value": count} for number, count in enumerate(counts)]
    amounts = {"violations": wanted, "floating_loss": 900}
    check("floating_loss", rule, events, {"outcome": "breach", "at_event": counts.index(1), "amounts": amounts})


def test_nothing_is_judged_per_position_where_an_event_does_not_list_them() -> None:
    events = [snap(2, 9, 100_000, 90_000), at(2, 10, ES1=-600), at(2, 11, ES1=-600.01)]
    check("floating_loss", {"limit": 600, "per": "position"}, events, {"outcome": "breach", "at_event": 2})


def test_the_profit_of_the_offending_position_is_deducted() -> None:
    close = event("2025-06-02T12:00:00+00:00", "trade_close", id="ES1", symbol="ES", pnl=450)
    other = event("2025-06-02T13:00:00+00:00", "trade_close", id="NQ1", symbol="NQ", pnl=100)
    rule = {"limit": 600, "per": "position", "consequences": [{"kind": "deduct_profit"}]}
    events = [at(2, 9, ES1=-700, NQ1=50), close, other]
    check("floating_loss", rule, events, {"outcome": "breach", "at_event": 0, "amounts": {"deducted": 450}})


# offences


def test_the_expected_severity_is_that_of_the_last_offence() -> None:
    events = [snap(2, 9, 94_000), roll(3, 94_000), roll(4, 94_000), roll(5, 99_000)]
    rule = static(5_000, severity_by_violation=["soft", "firm"], consequences=[{"kind": "warn"}])
    expected = {"outcome": "breach", "at_event": 0, "severity": "firm", "amounts": {"violations": 3}}
    check("max_loss_static", rule, events, expected)


def test_a_cure_that_comes_too_late_is_found_at_the_next_event() -> None:
    rule = static(5_000, cure={"minutes": 30, "times": 1}, consequences=[{"kind": "warn"}])
    events = [snap(2, 9, 94_000), snap(2, 10, 96_000)]
    check("max_loss_static", rule, events, {"outcome": "breach", "at_event": 1, "amounts": {"violations": 1}})


def test_a_rule_binds_only_its_phases_and_account_types() -> None:
    events = [snap(2, 9, 80_000)]
    rule = static(5_000, phases=["funded"], account_types=["swing"])
    check("max_loss_static", rule, events, {"outcome": "pass"}, phase="phase_1", account_type="swing")
    check("max_loss_static", rule, events, {"outcome": "pass"}, phase="funded", account_type="standard")
    check("max_loss_static", rule, events, {"outcome": "breach"}, phase="funded", account_type="swing")


@pytest.mark.parametrize(
    ("kind", "rule", "field"),
    [
        ("daily_loss", daily("balance", pct("pct_of_trade_value", 5)), "type"),
        ("daily_loss", daily("balance", 5_000, period="year"), "period"),
        ("daily_loss", daily("balance", 5_000, judged_at="noon"), "judged_at"),
        ("daily_loss", daily("balance", pct("amount", 5_000, steps=[{"from": 1}])), "value"),
        ("max_loss_static", static(5_000, payout_effect="doubled"), "payout_effect"),
        ("max_loss_static", static(5_000, steps=[{"when": "profit", "reaches": 1, "allowance": 1}]), "when"),
        ("floating_loss", {"limit": 600, "compare": "<"}, "compare"),
        ("floating_loss", {"limit": 600, "per": "side"}, "per"),
        ("max_loss_static", static(5_000, measure="margin"), "measure"),
    ],
)
def test_what_the_format_does_not_name_is_refused_by_name(kind: str, rule: dict[str, Any], field: str) -> None:
    check(kind, rule, [snap(2, 9, 100_000)], {"outcome": "refused", "field": field})
