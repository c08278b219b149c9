"""Windows of gates, and every parameter of a gate: small examples, worked by hand from the page of the format."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.clocks import Clock
from domain.rules import history
from domain.rules.base import Context
from domain.rules.events import Closed, Event, PaidOut
from domain.rules.gates.best_day_ratio import BestDayRatio
from domain.rules.gates.daily_profit_cap import DailyProfitCap
from domain.rules.gates.min_hold_time import MinHoldTime
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount
from domain.rules.history import HistoryState
from tests.unit.worked_cases import check, event

DAY = {"timezone": "UTC", "reset": "00:00"}
BEST = {"kind": "best_day_ratio", "limit_pct": 40, "compare": "<=", "denominator": "total_profit", "day": DAY}
CAP = {"kind": "daily_profit_cap", "amount": 3000, "effect": "deduct_excess", "day": DAY}
DAYS = {"kind": "profitable_day_count", "threshold": 100, "compare": ">=", "required": 2, "day": DAY}
TRADING = {"kind": "trading_day_count", "required": 2, "day": DAY}
HOLD = {"kind": "min_hold_time", "seconds": 60}
Json = dict[str, Any]


def at(day: int, hour: int = 9, minute: int = 0, second: int = 0) -> str:
    return f"2025-06-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}+00:00"


def made(day: int, pnl: float, hour: int = 9, name: str | None = None, **more: Any) -> Json:
    return event(at(day, hour), "trade_close", id=name or f"{day}.{hour}.{pnl}", symbol="EURUSD", pnl=pnl, **more)


def opens(day: int, name: str, hour: int = 8, second: int = 0, **more: Any) -> Json:
    return event(at(day, hour, 0, second), "trade_open", id=name, symbol="EURUSD", side="buy", **more)


def paid(day: int, amount: float, hour: int = 12) -> Json:
    return event(at(day, hour), "payout", gross_amount=amount)


def asked(day: int, hour: int = 11, **more: Any) -> Json:
    return event(at(day, hour), "payout_request", **more)


def approved(day: int, hour: int = 12) -> Json:
    return event(at(day, hour), "payout_approved")


def rolls(day: int, balance: float, equity: float | None = None) -> Json:
    return event(at(day, 0), "rollover", balance=balance, equity=balance if equity is None else equity)


def result(day: int, pnl: float) -> Json:
    return event(f"2025-06-{day:02d}", "day_result", net_pnl=pnl)


def after(*values: float | None) -> list[Json]:
    return [{"after_event": number, "value": value} for number, value in enumerate(values)]


WINDOWS: list[tuple[Json, list[Json], Json]] = [
    # what came before the payout on its day is not in the window, what came after is
    (
        {**BEST, "window": "since_last_payout"},
        [made(2, 4000), paid(2, 2000), made(2, 400, 14), made(3, 600)],
        {"outcome": "blocked", "final_ratio": 60, "amounts": {"best_day": 600, "total_profit": 1000}},
    ),
    # an approval begins a window, and from the first one on payments begin none
    (
        {**BEST, "window": "since_last_approved_payout"},
        [made(2, 4000), approved(2), made(3, 100), paid(3, 50), made(4, 100)],
        {"amounts": {"total_profit": after(4000, 0, 100, 100, 200)}},
    ),
    # without any approval, the payout is it
    (
        {**BEST, "window": "since_last_approved_payout"},
        [made(2, 4000), paid(2, 2000), made(3, 100)],
        {"amounts": {"total_profit": 100, "best_day": 100}},
    ),
    # the request, not the payout
    (
        {**BEST, "window": "since_last_payout_request"},
        [made(2, 4000), asked(2), made(2, 100, 13), paid(3, 50), made(3, 50, 14)],
        {"amounts": {"total_profit": 150, "best_day": 100}},
    ),
    # a payout of another account begins nothing here
    (
        {**BEST, "window": "since_last_payout"},
        [made(2, 100), event(at(2, 12), "payout", gross_amount=5, account="other")],
        {"amounts": {"total_profit": 100}},
    ),
    # the day of the event and the two before it
    (
        {**BEST, "window": {"days": 3}},
        [result(2, 500), result(3, 300), result(4, 300), result(5, 300)],
        {"outcome": "satisfied", "ratios": [100, 62.5, 45.45, 33.33], "amounts": {"total_profit": 900}},
    ),
    # time passes without a trade: days leave the window
    (
        {**BEST, "window": {"days": 2}},
        [made(2, 500), event(at(3), "snapshot"), event(at(4), "snapshot")],
        {"outcome": "blocked", "amounts": {"total_profit": after(500, 500, 0)}},
    ),
    # a day before the first reset is known from the payout on
    (
        {**DAYS, "basis": "closing_balance_minus_opening_balance", "window": "since_last_payout", "required": 1},
        [event(at(2), "snapshot", balance=103_000, equity=103_000), paid(2, 2000), rolls(3, 101_100)],
        {"outcome": "met", "amounts": {"day_pnl": 100, "profitable_days": 1}},
    ),
    (
        {**TRADING, "window": {"days": 2}, "required": 2},
        [opens(2, "a"), opens(3, "b"), opens(5, "c")],
        {"outcome": "not_met", "amounts": {"trading_days": after(1, 2, 1)}},
    ),
    # the same day counts again when a position is opened after the payout
    (
        {**TRADING, "window": "since_last_payout", "required": 1},
        [opens(2, "a"), paid(2, 5), opens(2, "b", 14)],
        {"amounts": {"trading_days": after(1, 0, 1)}},
    ),
    (
        {**HOLD, "min_share_pct": 100, "window": "since_last_payout"},
        [opens(2, "a"), made(2, 5, 8, "a"), paid(2, 1), opens(2, "b", 13), made(2, 5, 14, "b")],
        {"outcome": "satisfied", "amounts": {"share_pct": after(None, 0, None, None, 100)}},
    ),
    # what was left out is of the window: a new one begins with nothing
    (
        {**CAP, "window": "since_last_payout"},
        [made(2, 4250), paid(2, 3000), made(3, 3100)],
        {"amounts": {"deducted": after(1250, 0, 100), "counted_total": 3000}},
    ),
    # in a window of days, the days that left it take their excess with them
    (
        {**CAP, "window": {"days": 2}},
        [result(2, 4250), result(3, 100), result(4, 100)],
        {"amounts": {"deducted": after(1250, 1250, 0)}},
    ),
    (
        {**CAP, "amount": {"type": "pct_of_anchor", "value": 3}},
        [rolls(2, 100_000), made(2, 4000), rolls(3, 104_000), made(3, 4000)],
        {"amounts": {"deducted": 1880, "amount": 3120}},
    ),
]

BESTS: list[tuple[Json, list[Json], Json]] = [
    # a position by all of its closes
    (
        {**BEST, "unit": "trade"},
        [
            opens(2, "a", lots=2),
            made(2, 300, 9, "a", lots=1),
            made(2, 200, 10, "a", lots=1),
            opens(2, "b", 11),
            made(2, 500, 12, "b"),
        ],
        {"outcome": "blocked", "ratios": [None, 100, 100, 100, 50], "amounts": {"best_day": 500}},
    ),
    # only its closes in the window
    (
        {**BEST, "unit": "trade", "window": "since_last_payout"},
        [opens(2, "a", lots=2), made(2, 900, 9, "a", lots=1), paid(2, 5), made(2, 100, 13, "a", lots=1)],
        {"amounts": {"best_day": 100, "total_profit": 100}},
    ),
    # in a window of days its closes leave day by day
    (
        {**BEST, "unit": "trade", "window": {"days": 2}},
        [opens(2, "a", lots=2), made(2, 900, 9, "a", lots=1), made(3, 100, 9, "a", lots=1), event(at(4), "snapshot")],
        {"amounts": {"best_day": after(0, 900, 1000, 100)}},
    ),
    (
        {**BEST, "denominator": "profits_only"},
        [result(2, 400), result(3, -300), result(4, 600)],
        {"outcome": "blocked", "final_ratio": 60},
    ),
    (
        {**BEST, "denominator": "profits_only"},
        [result(2, 400), result(3, -400)],
        {"outcome": "blocked", "final_ratio": None},
    ),
    ({**BEST, "denominator": "profits_only"}, [result(2, 400), result(3, 600)], {"amounts": {"best_day_cap": 400}}),
    # up to that profit, inclusive, it does not bind
    (
        {**BEST, "binds_above_profit": 1000},
        [result(2, 1000), result(3, 0.01)],
        {"outcome": "blocked", "ratios": [100, 100]},
    ),
    ({**BEST, "binds_above_profit": 1000}, [result(2, 1000)], {"outcome": "satisfied", "final_ratio": 100}),
    (
        {**BEST, "binds_above_profit": 1000, "effect": "excess_deducted"},
        [result(2, 1000), result(3, 1)],
        {"outcome": "satisfied", "amounts": {"deducted": after(0, 599.6)}},
    ),
    (
        {**BEST, "effect": "excess_deducted"},
        [result(2, 500), result(3, 500)],
        {"outcome": "satisfied", "amounts": {"deducted": 100}},
    ),
    (
        {**BEST, "effect": "excess_deducted", "denominator": "profit_target", "profit_target": 1000},
        [result(2, 500)],
        {"amounts": {"deducted": 100, "best_day_cap": 400}},
    ),
    (
        {**BEST, "effect": "excess_added_to_target", "profit_target": 1000},
        [result(2, 500), result(3, 600)],
        {"outcome": "target_raised", "amounts": {"new_target": 1200, "new_best_day_cap": 480}},
    ),
]

COUNTS: list[tuple[Json, list[Json], Json]] = [
    # half a percent of what the day began with
    (
        {**DAYS, "threshold": {"type": "pct_of_anchor", "value": 0.5}, "basis": "closed_pnl"},
        [rolls(2, 110_000), made(2, 549.99), rolls(3, 110_549.99), made(3, 552.75), rolls(4, 111_102.74)],
        {"amounts": {"profitable_days": 1, "threshold": 552.75}},
    ),
    # at least half of the best day before
    (
        {**DAYS, "min_pct_of_best_day": 50},
        [result(2, 400), result(3, 199.99), result(4, 200), result(5, 1000)],
        {"amounts": {"profitable_days": after(1, 1, 2, 3)}},
    ),
    # a weekend without a trade does not end a row, a losing day does
    (
        {**DAYS, "consecutive": True},
        [
            rolls(6, 100_000),
            opens(6, "a"),
            made(6, 150, 9, "a"),
            rolls(7, 100_150),
            rolls(8, 100_150),
            rolls(9, 100_150),
            opens(9, "b"),
            made(9, 150, 9, "b"),
            rolls(10, 100_300),
        ],
        {"outcome": "met", "amounts": {"profitable_days": 2}},
    ),
    (
        {**DAYS, "consecutive": True},
        [result(2, 150), result(3, 99.99), result(4, 150)],
        {"outcome": "not_met", "amounts": {"profitable_days": after(1, 0, 1)}},
    ),
    # a close of exactly the least result counts, and with > it does not
    (
        {**TRADING, "required": 1, "counts": "day_with_qualifying_close", "min_abs_pnl": 25},
        [made(2, -25)],
        {"outcome": "met"},
    ),
    (
        {**TRADING, "required": 1, "counts": "day_with_qualifying_close", "min_abs_pnl": 25, "compare": ">"},
        [made(2, -25)],
        {"outcome": "not_met"},
    ),
    # of at least half of the average opening before it: 1, 3 -> 2 -> 1 counts, then 5/3 -> 0.8 does not
    (
        {**TRADING, "min_pct_of_average_lots": 50},
        [opens(2, "a", lots=1), opens(3, "b", lots=3), opens(4, "c", lots=1), opens(5, "d", lots=0.8)],
        {"amounts": {"trading_days": after(1, 2, 3, 3)}},
    ),
    # held for a minute while still open
    (
        {**TRADING, "min_held_seconds": 60},
        [opens(2, "a"), event(at(2, 8, 0, 59), "snapshot"), event(at(2, 8, 1), "snapshot")],
        {"amounts": {"trading_days": after(0, 0, 1)}},
    ),
    # the day of the opening counts, though the minute ends on the next
    (
        {**TRADING, "min_held_seconds": 86_400},
        [opens(2, "a"), opens(3, "b"), made(3, 5, 10, "a"), made(3, 5, 11, "b")],
        {"amounts": {"trading_days": 1}},
    ),
    # 3 July 2025 closes early in New York, 4 July has no session
    (
        {**TRADING, "half_days_count": False, "calendar": "XNYS"},
        [
            event("2025-07-02T15:00:00+00:00", "trade_open", id="a", symbol="X", side="buy"),
            event("2025-07-03T15:00:00+00:00", "trade_open", id="b", symbol="X", side="buy"),
            event("2025-07-07T15:00:00+00:00", "trade_open", id="c", symbol="X", side="buy"),
        ],
        {"amounts": {"trading_days": after(1, 1, 2)}},
    ),
    (
        {**TRADING},
        [opens(2, "a"), event(at(2, 9), "totals", trading_days=2)],
        {"outcome": "met", "amounts": {"trading_days": after(1, 2)}},
    ),
    ({**DAYS}, [event(at(2, 9), "totals", winning_days=2)], {"outcome": "met"}),
]


def trades(*pairs: tuple[float, float]) -> Json:
    return event("x", "trades", trades=[{"duration_seconds": seconds, "pnl": pnl} for seconds, pnl in pairs])


HELD: list[tuple[Json, list[Json], Json]] = [
    ({**HOLD, "min_share_pct": 50}, [trades((60, 1), (61, 1))], {"outcome": "satisfied", "amounts": {"share_pct": 50}}),
    ({**HOLD, "min_share_pct": 50, "compare": ">"}, [trades((60, 1), (61, 1))], {"outcome": "blocked"}),
    ({**HOLD, "min_share_pct": 100, "held": ">="}, [trades((60, 1), (61, 1))], {"outcome": "satisfied"}),
    (
        {**HOLD, "max_short_trades": 1},
        [trades((60, 1), (61, 1))],
        {"outcome": "satisfied", "amounts": {"short_trades": 1}},
    ),
    (
        {**HOLD, "max_short_trades": 1},
        [trades((60, 1), (2, 1))],
        {"outcome": "blocked", "amounts": {"short_trades": 2}},
    ),
    # winners only: 100 of a request of 1,000
    (
        {**HOLD, "max_short_pct_of_request": 10},
        [trades((5, 100), (5, -80), (90, 900)), event("y", "payout_request", amount=1000)],
        {"outcome": "satisfied", "amounts": {"share_pct": 10}},
    ),
    (
        {**HOLD, "max_short_pct_of_request": 10},
        [trades((5, 100), (90, 900)), event("y", "payout_request", amount=999.99)],
        {"outcome": "blocked"},
    ),
    ({**HOLD, "min_average_seconds": 120}, [trades((60, 1), (180, 1))], {"outcome": "satisfied"}),
    # all that is given must hold
    ({**HOLD, "min_average_seconds": 120, "max_short_trades": 0}, [trades((60, 1), (180, 1))], {"outcome": "blocked"}),
    (
        {**HOLD, "effect": "short_profit_deducted"},
        [trades((60, 10), (61, 20))],
        {"outcome": "computed", "amounts": {"deducted": 10, "counted_total": 20}},
    ),
    # a short part of a position: its gain is judged with its other short parts
    (
        {**HOLD, "effect": "short_profit_deducted"},
        [
            opens(2, "a", lots=2),
            event(at(2, 8, 0, 30), "trade_close", id="a", symbol="EURUSD", lots=1, pnl=70),
            event(at(2, 8, 0, 40), "trade_close", id="a", symbol="EURUSD", lots=1, pnl=-20),
        ],
        {"amounts": {"deducted": after(0, 70, 50)}},
    ),
]


@pytest.mark.parametrize(("rule", "events", "expected"), [*WINDOWS, *BESTS, *COUNTS, *HELD])
def test_a_gate_comes_out_as_worked_by_hand(rule: Json, events: list[Json], expected: Json) -> None:
    kind = rule["kind"]
    check(kind, {name: value for name, value in rule.items() if name != "kind"}, events, expected)


# what is left out stays out

CONTEXT = Context(initial_minor=10_000_000, currency="USD", clock=Clock(zone="UTC", reset="00:00"))


def closed(day: int, pnl: int, seq: int = 1) -> Closed:
    when = datetime(2025, 6, day, 9, tzinfo=UTC)
    base: dict[str, Any] = {"seq": seq, "at": when, "balance_minor": 10_000_000 + pnl, "position_id": str(day)}
    return Closed(**base, symbol="ES", side="buy", lots=Decimal(1), pnl_minor=pnl)


def settled(day: int, gross: int) -> PaidOut:
    when = datetime(2025, 6, day, 12, tzinfo=UTC)
    return PaidOut(seq=2, at=when, balance_minor=10_000_000, gross_minor=gross, stage="settled", leaves=True)


def folded(rules: tuple[Any, ...], *events: Event) -> HistoryState:
    state = history.start(rules, CONTEXT)
    for each in events:
        state, _ = history.step(state, each, rules, CONTEXT)
    return HistoryState.model_validate_json(state.model_dump_json())


def test_every_window_adds_to_what_is_left_out_for_good() -> None:
    """Also when the payout is on the day that made the excess, before its reset."""
    amount = {"type": "amount", "value": "3000"}
    cap = DailyProfitCap.model_validate(
        {"type": "daily_profit_cap", "amount": amount, "window": "since_last_payout", "blocks": ["payout"]}
    )
    state = folded((cap,), closed(2, 425_000), settled(2, 300_000), closed(3, 350_000), settled(3, 300_000))
    assert history.deductions(state, (cap,), CONTEXT) == {"daily_profit_cap": 125_000 + 50_000}
    now = closed(4, 300_100)
    state, _ = history.step(state, now, (cap,), CONTEXT)
    assert history.deductions(state, (cap,), CONTEXT, now) == {"daily_profit_cap": 175_000 + 100}


def test_a_window_of_days_keeps_the_excess_of_a_best_day_that_left_it() -> None:
    """4,000 of 4,000 leave out 2,400; when that day is gone, 100 of 100 leave out 60."""
    best = BestDayRatio.model_validate(
        {
            "type": "best_day_ratio",
            "limit_pct": 40,
            "compare": "<=",
            "effect": "excess_deducted",
            "window": {"days": 2},
        }
    )
    state = folded((best,), closed(2, 400_000), settled(2, 1))
    now = closed(5, 10_000)
    assert history.deductions(state, (best,), CONTEXT, closed(2, 400_000)) == {"best_day": 240_000}
    state, _ = history.step(state, now, (best,), CONTEXT)
    assert history.deductions(state, (best,), CONTEXT, now) == {"best_day": 240_000 + 6_000}


def test_terms_that_can_never_be_met_or_never_bind_are_problems() -> None:
    days = {"required": 5, "window": {"days": 4}}
    rules: list[Any] = [
        TradingDayCount.model_validate({"type": "trading_day_count", **days}),
        ProfitableDayCount.model_validate({"type": "profitable_day_count", "compare": ">=", **days}),
        MinHoldTime.model_validate({"type": "min_hold_time", "seconds": 60, "max_short_pct_of_request": 10}),
    ]
    found = [field for rule in rules for field, _ in rule.problems(CONTEXT)]
    assert found == ["required", "required", "max_short_pct_of_request"]


def test_the_words_state_every_term() -> None:
    cap = {"type": "daily_profit_cap", "amount": {"type": "pct_of_anchor", "value": 3}, "window": {"days": 5}}
    words = DailyProfitCap.model_validate(cap).words(CONTEXT)
    assert "At most 3 % of the balance at the last daily reset of the profit of one day counts" in words
    assert "over the last 5 days, the running day included" in words
    assert "out for good" in words
    hold = {"type": "min_hold_time", "seconds": 60, "held": ">=", "max_short_trades": 1, "min_average_seconds": 90}
    words = MinHoldTime.model_validate(hold).words(CONTEXT)
    assert "Of the trades that are not held for at least 1 minute: at most 1 trade may be shorter." in words
    assert "On average a trade must be held for at least 90 seconds." in words
    best = {"type": "best_day_ratio", "limit_pct": 20, "compare": "<=", "unit": "trade", "denominator": "profits_only"}
    best |= {"binds_above_profit": {"type": "amount", "value": 100}, "window": "since_last_payout_request"}
    words = BestDayRatio.model_validate(best).words(CONTEXT)
    assert "Your best trade must be at most 20 % of the profits, losing trades left out," in words
    assert "since the last payout was requested" in words
    assert "Up to a profit of 100.00 USD this rule does not bind." in words
    days = {"type": "trading_day_count", "required": 3, "min_held_seconds": 60, "min_pct_of_average_lots": 20}
    days |= {"half_days_count": False, "calendar": "XNYS"}
    words = TradingDayCount.model_validate(days).words(CONTEXT)
    assert "at least 20 % of the average size of the positions opened before it" in words
    assert "it is held for at least 1 minute" in words
    assert "A day on which XNYS closes early does not count." in words


def test_states_of_sold_gates_still_load() -> None:
    """As checkpoints stored them before windows had states of their own."""
    rules: tuple[Any, ...] = (
        BestDayRatio.model_validate({"type": "best_day_ratio", "limit_pct": 40, "compare": "<="}),
        TradingDayCount.model_validate({"type": "trading_day_count", "required": 3}),
    )
    stored = {
        "book": {"opening_balance_minor": 1, "opening_equity_minor": 1, "closed_minor": 0, "positions_opened": 0},
        "rules": {
            "best_day": {"best_minor": 50, "total_minor": 100, "days": 2, "unknown": 0},
            "trading_days": {"days": 2, "last": "2025-06-02", "value_minor": None},
        },
    }
    state = HistoryState.model_validate(stored)
    statuses = [status for _, status in history.gates(state, rules, CONTEXT)]
    assert [status.outcome for status in statuses] == ["blocked", "not_met"]
    assert statuses[0].figures["ratio"] == 50
