"""Trading days, profitable days and the day book, from the events of an account."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import Clock
from domain.rules import days, history
from domain.rules.base import Context, Gate, GateStatus
from domain.rules.days import DayBook, day_profit
from domain.rules.events import Closed, DayEnded, Event, Opened, PaidOut, Rolled
from domain.rules.gates.daily_profit_cap import DailyProfitCap
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount
from domain.rules.history import HistoryState

CLOCK = Clock(zone="America/Chicago", reset="17:00")
CONTEXT = Context(initial_minor=10_000_000, currency="USD", clock=CLOCK)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """June 2025 in UTC; Chicago's reset is at 22:00."""
    return datetime(2025, 6, day, hour, minute, tzinfo=UTC)


def opened(when: datetime, *, adds: bool = False, balance: int = 10_000_000) -> Opened:
    base: dict[str, Any] = {"seq": 1, "at": when, "balance_minor": balance, "position_id": "p", "symbol": "ES"}
    return Opened(**base, side="buy", lots=Decimal(1), adds=adds)


def closed(when: datetime, pnl: int, value: int | None = None) -> Closed:
    base: dict[str, Any] = {"seq": 1, "at": when, "balance_minor": 10_000_000 + pnl, "position_id": "p"}
    return Closed(**base, symbol="ES", side="buy", lots=Decimal(1), pnl_minor=pnl, value_minor=value)


def rolled(when: datetime, day: date, balance: int, equity: int | None = None) -> Rolled:
    return Rolled(seq=1, at=when, balance_minor=balance, equity_minor=equity, day=day)


def paid(when: datetime, gross: int, stage: str = "settled", *, leaves: bool = False) -> PaidOut:
    money: dict[str, Any] = {"gross_minor": gross, "stage": stage, "leaves": leaves}
    return PaidOut(seq=1, at=when, balance_minor=10_000_000, **money)


def result(day: int, profit: int, floating: int = 0) -> DayEnded:
    return DayEnded(
        seq=day,
        at=at(day, 22),
        balance_minor=10_000_000,
        day=date(2025, 6, day),
        closed_minor=profit,
        floating_minor=floating,
    )


def judged(gate: Gate[Any], *events: Event) -> GateStatus:
    state = history.start((gate,), CONTEXT)
    for event in events:
        state, _ = history.step(state, event, (gate,), CONTEXT)
    return history.gates(state, (gate,), CONTEXT)[0][1]


def trading(**changes: object) -> TradingDayCount:
    return TradingDayCount.model_validate({"type": "trading_day_count", "required": 2, **changes})


def profitable(**changes: object) -> ProfitableDayCount:
    size = {"type": "pct_of_initial", "value": "0.5"}
    terms = {"type": "profitable_day_count", "compare": ">=", "threshold": size, "required": 2, **changes}
    return ProfitableDayCount.model_validate(terms)


def test_the_book_ends_a_day_at_its_reset_only() -> None:
    book = days.begin(10_000_000)
    events: list[Event] = [
        opened(at(2, 14)),
        opened(at(2, 15), adds=True),
        closed(at(2, 16), 30_000),
        Rolled(seq=2, at=at(2, 20), balance_minor=10_030_000, day=None, purpose="loss_snapshot"),
        rolled(at(2, 22), date(2025, 6, 2), 10_030_000, 10_045_000),
    ]
    ended: list[DayEnded] = []
    for event in events:
        book, found = days.step(book, event)
        ended += found
    assert len(ended) == 1
    day = ended[0]
    assert (day.closed_minor, day.floating_minor, day.positions_opened) == (30_000, 15_000, 1)
    assert (day.opening_balance_minor, day.day) == (10_000_000, date(2025, 6, 2))
    assert [day_profit(day, basis) for basis in days.BASIS_WORDS] == [30_000, 30_000, 30_000, 45_000]
    assert book == DayBook(opening_balance_minor=10_030_000, opening_equity_minor=10_045_000)


def test_a_payout_is_no_loss_of_the_day_and_a_released_one_no_gain() -> None:
    for events, balance in (
        ((paid(at(2, 15), 50_000, "held"), paid(at(2, 16), 50_000)), 9_950_000),
        ((paid(at(2, 15), 50_000, "held"), paid(at(2, 16), 50_000, "released")), 10_000_000),
        ((paid(at(2, 15), 50_000, leaves=True),), 9_950_000),
    ):
        book = days.begin(10_000_000)
        for event in events:
            book, _ = days.step(book, event)
        book, (day,) = days.step(book, rolled(at(2, 22), date(2025, 6, 2), balance, balance))
        assert day_profit(day, "closing_balance_minus_opening_balance") == 0
        assert day_profit(day, "equity_snapshot_to_snapshot") == 0


MOVES = st.lists(
    st.tuples(st.sampled_from(["close", "pay", "hold", "release", "reset"]), st.integers(-(10**6), 10**6)), max_size=40
)


@given(moves=MOVES)
def test_closed_results_and_balances_tell_the_same_days_whatever_is_paid_out(moves: list[tuple[str, int]]) -> None:
    book, balance, ended, total = days.begin(10_000_000), 10_000_000, list[DayEnded](), 0
    for kind, amount in [*moves, ("reset", 0)]:
        event: Event
        if kind == "close":
            balance, total = balance + amount, total + amount
            event = closed(at(2, 14), amount)
        elif kind == "reset":
            event = rolled(at(2, 22), date(2025, 6, 2), balance, balance)
        else:
            gross = abs(amount)
            balance += gross if kind == "release" else -gross
            stage = {"pay": "settled", "hold": "held", "release": "released"}[kind]
            event = paid(at(2, 15), gross, stage, leaves=kind == "pay")
        book, found = days.step(book, event)
        ended += found
    assert sum(day.closed_minor for day in ended) == total
    for day in ended:
        profits = {day_profit(day, basis) for basis in days.BASIS_WORDS}
        assert profits == {day.closed_minor}


def test_a_history_that_begins_midway_says_nothing_of_the_day_before() -> None:
    book, ended = days.step(days.begin(None), rolled(at(2, 22), date(2025, 6, 2), 9_900_000, 9_900_000))
    assert ended == ()
    book, (day,) = days.step(book, rolled(at(3, 22), date(2025, 6, 3), 9_950_000))
    assert day_profit(day, "closing_balance_minus_opening_balance") == 50_000
    assert day_profit(day, "equity_snapshot_to_snapshot") is None, "for want of prices"
    assert day_profit(day, "closed_pnl_plus_negative_floating") is None


def test_an_event_that_moves_nothing_gives_the_same_state() -> None:
    rules = (trading(), profitable())
    state = history.start(rules, CONTEXT)
    same, violations = history.step(state, paid(at(2, 10), 1), rules, CONTEXT)
    assert same is state
    assert violations == ()


def test_a_trading_day_is_the_clocks_and_counts_once() -> None:
    gate = trading()
    once = [opened(at(2, 14)), opened(at(2, 21, 59))]
    assert judged(gate, *once).figures["trading_days"] == 1
    found = judged(gate, *once, opened(at(2, 22)))
    assert (found.met, found.outcome) == (True, "met"), "22:00 UTC begins the next day in Chicago"
    assert judged(gate, opened(at(2, 14)), opened(at(3, 14), adds=True)).outcome == "not_met"


@pytest.mark.parametrize(
    ("pnl", "value", "counts"),
    [
        (9_000, 900_000, True),
        (-9_000, 900_000, True),
        (8_999, 900_000, False),
        (5_000, 500_000, True),
        (5_000, 499_999, False),
        (99_999, None, False),
    ],
)
def test_a_close_qualifies_by_its_value_and_its_result(pnl: int, value: int | None, counts: bool) -> None:
    gate = trading(
        counts="day_with_qualifying_close",
        min_trade_value={"type": "pct_of_initial", "value": "5"},
        min_abs_pnl={"type": "pct_of_trade_value", "value": "1"},
    )
    found = judged(gate, closed(at(2, 14), pnl, value))
    assert found.figures["trading_days"] == int(counts)
    assert found.figures["min_trade_value"] == 500_000


def test_a_payout_begins_the_count_anew_where_the_window_says_so() -> None:
    gate = trading(window="since_last_payout")
    events: list[Event] = [opened(at(2, 14)), opened(at(3, 14)), paid(at(3, 15), 1)]
    assert judged(trading(), *events).met
    assert judged(gate, *events).figures["trading_days"] == 0
    assert judged(gate, *events, opened(at(3, 16))).figures["trading_days"] == 1
    winning = profitable(window="since_last_payout")
    assert judged(winning, result(2, 50_000), result(3, 50_000)).met
    assert judged(winning, result(2, 50_000), result(3, 50_000), paid(at(4, 1), 1)).figures["profitable_days"] == 0


@pytest.mark.parametrize(("compare", "profit", "counts"), [(">=", 50_000, 1), (">", 50_000, 0), (">=", 49_999, 0)])
def test_a_day_at_the_threshold(compare: str, profit: int, counts: int) -> None:
    found = judged(profitable(compare=compare), result(2, profit))
    assert found.figures["profitable_days"] == counts
    assert found.figures["threshold"] == 50_000


def test_open_losses_count_and_open_profit_does_not() -> None:
    gate = profitable(basis="closed_pnl_plus_negative_floating", required=1)
    assert not judged(gate, result(2, 50_000, -1)).met
    assert not judged(gate, result(2, 0, 90_000)).met
    found = judged(gate, result(2, 50_000, 90_000))
    assert (found.met, found.figures["day_pnl"]) == (True, 50_000)


def test_days_in_a_row_begin_anew_with_a_day_that_does_not_count() -> None:
    events = [result(2, 60_000), result(3, 49_999), result(4, 60_000)]
    assert judged(profitable(), *events).met
    found = judged(profitable(consecutive=True), *events)
    assert (found.met, found.figures["profitable_days"]) == (False, 1)
    assert judged(profitable(consecutive=True), *events, result(5, 50_000)).met


def test_a_day_that_cannot_be_told_is_said() -> None:
    gate = profitable(basis="equity_snapshot_to_snapshot", required=1)
    found = judged(gate, closed(at(2, 14), 90_000), rolled(at(2, 22), date(2025, 6, 2), 10_090_000))
    assert not found.met
    assert found.figures["needs_prices"]
    assert "unknown because prices are missing" in found.sentence


def test_the_daily_profit_cap_takes_only_what_lies_beyond_and_losses_in_full() -> None:
    cap = DailyProfitCap.model_validate({"type": "daily_profit_cap", "amount": {"type": "amount", "value": "1000"}})
    found = judged(cap, result(2, 100_000), result(3, 100_001), result(4, -500_000))
    assert found.met
    assert (found.figures["deducted"], found.figures["counted_total"]) == (1, -300_000)


def test_a_state_that_was_kept_as_json_goes_on_as_if_it_had_not() -> None:
    rules = (trading(required=3), profitable(), profitable(id="in_a_row", consecutive=True))
    events: list[Event] = [
        opened(at(2, 14)),
        closed(at(2, 16), 60_000),
        rolled(at(2, 22), date(2025, 6, 2), 10_060_000, 10_060_000),
        opened(at(3, 14)),
        closed(at(3, 16), 60_000),
        rolled(at(3, 22), date(2025, 6, 3), 10_120_000, 10_120_000),
    ]
    straight = kept = history.start(rules, CONTEXT)
    for event in events:
        straight, _ = history.step(straight, event, rules, CONTEXT)
        kept, _ = history.step(HistoryState.model_validate_json(kept.model_dump_json()), event, rules, CONTEXT)
    assert kept.model_dump_json() == straight.model_dump_json()
    assert history.gates(kept, rules, CONTEXT) == history.gates(straight, rules, CONTEXT)
    assert [status.outcome for _, status in history.gates(kept, rules, CONTEXT)] == ["not_met", "met", "met"]
    assert history.due(kept, rules, CONTEXT) is None


def test_a_rule_that_is_newer_than_the_state_starts_at_its_beginning() -> None:
    state = history.start((trading(),), CONTEXT)
    later = (trading(), profitable(required=1))
    state, _ = history.step(state, result(2, 60_000), later, CONTEXT)
    assert history.gates(state, later, CONTEXT)[1][1].met


@pytest.mark.parametrize(
    ("build", "changes", "words"),
    [
        (trading, {"min_abs_pnl": {"type": "amount", "value": "5"}}, "use day_with_qualifying_close"),
        (
            trading,
            {"counts": "day_with_qualifying_close", "min_trade_value": {"type": "pct_of_trade_value", "value": "5"}},
            "min_trade_value: it cannot be a percentage of itself",
        ),
        (trading, {"min_held_seconds": 60, "counts": "day_with_qualifying_close"}, "use day_with_new_position_opened"),
        (trading, {"half_days_count": False}, "write both"),
        (profitable, {"counts_later": True}, "counts_later: this rule leaves nothing out"),
        (profitable, {"threshold": {"type": "pct_of_trade_value", "value": "5"}}, "a day has no trade value"),
    ],
)
def test_contradictions_are_refused(build: Any, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(**changes)


def test_the_words_are_generated() -> None:
    assert "at least 2 profitable days in a row" in profitable(consecutive=True).words(CONTEXT)
    assert "at least 0.5 % of the initial balance (500.00 USD)" in profitable().words(CONTEXT)
    assert trading().words(CONTEXT).endswith("A trading day is one on which a new position is opened.")
    value = {"type": "pct_of_initial", "value": "5"}
    qualifying = trading(counts="day_with_qualifying_close", min_trade_value=value, min_abs_pnl=value)
    assert "a trade of at least 5 % of the initial balance" in qualifying.words(CONTEXT)
