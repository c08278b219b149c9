"""The best-day ratio at its edges: exact limits, losing days, payouts, raised targets."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pytest

from domain.clocks import Clock
from domain.rules import history
from domain.rules.base import Context, GateStatus, Violation
from domain.rules.events import Closed, DayEnded, Event, PaidOut
from domain.rules.gates.best_day_ratio import BestDayRatio
from domain.rules.gates.daily_profit_cap import DailyProfitCap

CONTEXT = Context(initial_minor=5_000_000, currency="USD", clock=Clock(zone="UTC", reset="00:00"), target_minor=250_000)
MONDAY = date(2025, 6, 2)


def day(number: int, closed: int, *, equity_move: int | None = None) -> DayEnded:
    move = closed if equity_move is None else equity_move
    return DayEnded(
        seq=number,
        at=datetime(2025, 6, 2, tzinfo=UTC) + timedelta(days=number),
        balance_minor=5_000_000 + closed,
        equity_minor=5_000_000 + move,
        day=MONDAY + timedelta(days=number),
        closed_minor=closed,
        floating_minor=move - closed,
        opening_balance_minor=5_000_000,
        opening_equity_minor=5_000_000,
    )


def paid(number: int, stage: Literal["held", "released", "settled"] = "settled") -> PaidOut:
    at = datetime(2025, 6, 2, tzinfo=UTC) + timedelta(days=number)
    return PaidOut(seq=number, at=at, balance_minor=5_000_000, gross_minor=1, stage=stage)


def rule(**changes: object) -> BestDayRatio:
    given = {"type": "best_day_ratio", "limit_pct": "40", "compare": "<=", **changes}
    return BestDayRatio.model_validate(given)


def judged(gate: BestDayRatio, *events: Event, context: Context = CONTEXT) -> GateStatus:
    state, violations = gate.start(context), list[Violation]()
    for event in events:
        state, found = gate.step(state, event, context)
        violations += found
    assert not violations, "a gate breaks nothing"
    return gate.status(state, context)


def days(*closed: int) -> list[Event]:
    return [day(number, each) for number, each in enumerate(closed)]


@pytest.mark.parametrize(("compare", "met"), [("<=", True), ("<", False)])
def test_exactly_forty_percent_is_decided_by_the_operator(compare: str, met: bool) -> None:
    found = judged(rule(compare=compare), *days(80_000, 60_000, 60_000))
    assert found.figures["ratio"] == 40
    assert (found.met, found.outcome) == (met, "satisfied" if met else "blocked")
    assert "40.00 %" in found.sentence


@pytest.mark.parametrize("profits", [(), (-100,), (500, -500), (500, -900), (0,)])
@pytest.mark.parametrize("denominator", ["total_profit", "profit_target"])
def test_without_a_profit_there_is_no_ratio_and_it_is_not_met(profits: tuple[int, ...], denominator: str) -> None:
    found = judged(rule(denominator=denominator), *days(*profits))
    assert found.figures["ratio"] is None
    assert not found.met


def test_losing_days_count_in_the_total_and_a_met_ratio_is_not_latched() -> None:
    gate = rule()
    assert judged(gate, *days(40_000, 40_000, 40_000)).met
    found = judged(gate, *days(40_000, 40_000, 40_000, -30_000))
    assert not found.met
    assert found.figures["total_profit"] == 90_000
    assert found.figures["best_day_cap"] == 36_000
    assert found.figures["total_profit_needed"] == 100_000


def test_one_third_repeating_is_compared_exactly() -> None:
    limit = "33.33333333333333"
    assert not judged(rule(limit_pct=limit), *days(1, 1, 1)).met
    assert judged(rule(limit_pct=limit, compare="<="), *days(1, 1, 1, 1)).met


def test_only_a_payout_that_was_paid_empties_its_window() -> None:
    gate = rule(window="since_last_approved_payout")
    before = days(100_000, 100_000, 100_000)
    assert judged(gate, *before, paid(4, "held"), paid(4, "released")).figures["total_profit"] == 300_000
    emptied = judged(gate, *before, paid(4))
    assert emptied.figures["days"] == 0
    assert not emptied.met, "nothing has been made since"
    assert judged(rule(), *before, paid(4)).met, "the whole phase has no such window"
    assert judged(gate, *before, paid(4), day(5, 70_000), day(6, 70_000), day(7, 70_000)).met


def test_against_the_profit_target() -> None:
    gate = rule(denominator="profit_target")
    found = judged(gate, *days(100_000, -60_000))
    assert (found.met, found.figures["ratio"]) == (True, Decimal(40))
    assert not judged(gate, *days(100_001)).met
    own = rule(denominator="profit_target", profit_target={"type": "pct_of_initial", "value": "10"})
    assert judged(own, *days(200_000)).figures["ratio"] == 40


def test_a_day_may_count_by_equity_from_snapshot_to_snapshot() -> None:
    gate = rule(attribution="equity_snapshot_to_snapshot")
    found = judged(gate, day(1, 0, equity_move=100_000), day(2, 200_000, equity_move=100_000))
    assert found.figures["best_day"] == 100_000
    unknown = DayEnded(seq=3, at=datetime(2025, 6, 5, tzinfo=UTC), balance_minor=0, day=None, closed_minor=0)
    blocked = judged(gate, day(1, 0, equity_move=100_000), unknown)
    assert not blocked.met
    assert blocked.figures["needs_prices"]


def test_a_target_raised_to_best_day_over_limit_is_reached_and_raised_again() -> None:
    gate = rule(effect="profit_target_raised_to_best_day_over_limit", blocks=("pass",))
    raised = judged(gate, *days(130_000))
    assert (raised.outcome, raised.figures["new_target"]) == ("target_raised", 325_000)
    assert raised.figures["new_best_day_cap"] == 130_000
    reached = judged(gate, *days(130_000, 130_000, 65_000))
    assert (reached.outcome, reached.met) == ("satisfied", True)
    again = judged(gate, *days(130_000, 130_000, 65_000, -1))
    assert (again.outcome, again.met) == ("target_raised", False)
    assert judged(gate, *days(100_000)).outcome == "satisfied", "at the limit nothing is raised"


def test_excess_added_to_the_target_is_never_below_it() -> None:
    gate = rule(effect="excess_added_to_target", blocks=("pass",))
    assert judged(gate, *days(130_000)).figures["new_target"] == 280_000
    assert judged(gate, *days(50_000)).figures["new_target"] == 250_000


def test_excess_deducted_blocks_nothing_and_does_not_count() -> None:
    gate = rule(effect="excess_deducted", denominator="profit_target")
    found = judged(gate, *days(130_000))
    assert (found.met, found.figures["deducted"]) == (True, 30_000)


def test_the_effective_target_is_the_highest_raise_plus_what_does_not_count() -> None:
    raises = rule(effect="profit_target_raised_to_best_day_over_limit", blocks=("pass",))
    cap = DailyProfitCap.model_validate({"type": "daily_profit_cap", "amount": {"type": "amount", "value": "1000"}})
    rules = (raises, cap)
    state = history.start(rules, CONTEXT)
    assert history.effective_target(state, rules, CONTEXT, 250_000) == 250_000
    state, _ = history.step(state, day(1, 130_000), rules, CONTEXT)
    assert history.deducted_minor(state, rules, CONTEXT) == 30_000
    assert history.effective_target(state, rules, CONTEXT, 250_000) == 325_000 + 30_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"effect": "profit_target_raised_to_best_day_over_limit"}, "write blocks: [pass]"),
        ({"blocks": ("pass",)}, "add payout, or choose continue_trading"),
        ({"profit_target": {"type": "pct_of_peak", "value": "5"}}, "an amount or pct_of_initial"),
        ({"compare": ">"}, "Input should be '<' or '<='"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("[", r"\[").replace("]", r"\]")):
        rule(**changes)


def test_a_phase_without_a_target_is_a_problem_where_one_is_needed() -> None:
    bare = Context(initial_minor=5_000_000, currency="USD", clock=CONTEXT.clock)
    gate = rule(denominator="profit_target")
    assert [field for field, _ in gate.problems(bare)] == ["profit_target"]
    assert not list(gate.problems(CONTEXT))
    assert not list(rule().problems(bare))


def test_the_words_are_generated() -> None:
    words = rule(compare="<", window="since_last_approved_payout").words(CONTEXT)
    assert "less than 40 % of the total profit, losing days included, since the last approved payout was paid" in words
    assert "the profit target (2,500.00 USD)" in rule(denominator="profit_target").words(CONTEXT)


def test_what_the_running_day_has_made_binds_before_it_ends() -> None:
    cap = DailyProfitCap.model_validate({"type": "daily_profit_cap", "amount": {"type": "amount", "value": "1000"}})
    rules = (rule(), cap)
    state = history.start(rules, CONTEXT)
    for event in days(80_000, 80_000, 80_000):
        state, _ = history.step(state, event, rules, CONTEXT)
    large = Closed(
        seq=9,
        at=datetime(2025, 6, 6, tzinfo=UTC),
        balance_minor=5_540_000,
        equity_minor=5_540_000,
        position_id="p",
        symbol="EURUSD",
        side="buy",
        lots=Decimal(1),
        pnl_minor=300_000,
    )
    state, _ = history.step(state, large, rules, CONTEXT)
    assert history.gates(state, rules, CONTEXT)[0][1].met, "as of the last reset"
    now = history.gates(state, rules, CONTEXT, large)
    assert (now[0][1].met, now[0][1].figures["best_day"]) == (False, 300_000)
    assert history.deducted_minor(state, rules, CONTEXT, large) == 200_000
    assert history.deducted_minor(state, rules, CONTEXT) == 0
    assert history.effective_target(state, rules, CONTEXT, 250_000, large) == 450_000
