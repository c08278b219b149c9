"""What a trader reads about days, the best day, a payout's way and a certificate, against numbers worked by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.best_day import best_day_room, diluting, headroom
from domain.certificates import digest_of, is_token, new_token, shown_name
from domain.clocks import Clock
from domain.day_marks import MINIMUM, marked
from domain.payouts.payout import PAYOUT
from domain.payouts.tracking import tracked
from domain.rules import history
from domain.rules.base import Context
from domain.rules.events import Closed, Event, Moment, Opened, PaidOut, Rolled
from domain.rules.gates.best_day_ratio import BestDayRatio, BestDayState
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount

INITIAL = 5_000_000
CONTEXT = Context(initial_minor=INITIAL, currency="USD", clock=Clock(zone="UTC", reset="00:00"), target_minor=250_000)
MONDAY = datetime(2025, 6, 2, tzinfo=UTC)


def day(number: int, result: int, *, opens: bool = True) -> list[Event]:
    """A day with one trade: its result is `result`; without `opens`, the position is of the day before."""
    noon, end = MONDAY + timedelta(days=number, hours=12), MONDAY + timedelta(days=number + 1)
    same: dict[str, Any] = {"position_id": f"P{number}", "symbol": "EURUSD", "side": "buy", "lots": Decimal(1)}
    opened = Opened(seq=1, at=noon, balance_minor=INITIAL, **same)
    closed = Closed(
        seq=2,
        at=noon + timedelta(hours=1),
        balance_minor=INITIAL + result,
        pnl_minor=result,
        lots_left=Decimal(0),
        opened_at=noon,
        **same,
    )
    rolled = Rolled(
        seq=3, at=end, balance_minor=INITIAL + result, equity_minor=INITIAL + result, day=(end - timedelta(1)).date()
    )
    return [*([opened] if opens else []), closed, rolled]


def best_day(**changes: Any) -> BestDayRatio:
    return BestDayRatio.model_validate({"type": "best_day_ratio", "limit_pct": "40", "compare": "<=", **changes})


@pytest.mark.parametrize("compare", ["<=", "<"])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("whole", "today"), [(200_000, 30_000), (200_001, 80_000), (200_000, 90_000), (7, 0)])
def test_headroom_is_the_most_that_keeps_today_within_the_rule(
    whole: int, today: int, fixed: bool, compare: str
) -> None:
    limit = Decimal(40)

    def within(more: int) -> bool:
        allowed = limit * (whole if fixed else whole + more)
        reached = 100 * (today + more)
        return reached < allowed if compare == "<" else reached <= allowed

    most = headroom(limit, whole, today, fixed, compare)
    assert most is not None
    assert within(most) or (most == 0 and not within(0))
    assert not within(most + 1)


def test_headroom_by_hand_and_where_there_is_no_limit() -> None:
    # 40 % of 2,000 is 800; today made 300: x <= (800 - 300) / 0.6 = 833.33
    assert headroom(Decimal(40), 200_000, 30_000, False, "<=") == 83_333
    assert headroom(Decimal(100), 200_000, 30_000, False, "<=") is None


def test_diluting_profit_brings_the_best_day_within_the_rule() -> None:
    assert diluting(Decimal(40), 100_000, 200_000, "<=") == 50_000  # 1,000 is 40 % of 2,500
    assert diluting(Decimal(40), 100_000, 200_000, "<") == 50_001
    assert diluting(Decimal(40), 80_000, 200_000, "<=") == 0
    assert diluting(Decimal(30), 100_000, 0, "<=") == 333_334  # rounded up


def test_the_best_day_of_a_window_with_the_running_day() -> None:
    rule = best_day()
    state = history.start((rule,), CONTEXT)
    for event in [*day(0, 100_000), *day(1, 60_000), *day(2, 40_000)]:
        state, _ = history.step(state, event, (rule,), CONTEXT)
    now = Moment(seq=9, at=MONDAY + timedelta(days=3, hours=3), balance_minor=INITIAL, equity_minor=INITIAL)
    own = history.state_of(rule, state, CONTEXT)
    assert isinstance(own, BestDayState)
    found = best_day_room(rule, own, state.book, now, CONTEXT)
    assert (found.best_minor, found.whole_minor, found.today_minor) == (100_000, 200_000, 0)
    assert found.share_pct == Decimal("50.00") and found.dilutes_minor == 50_000
    assert found.headroom_minor == 133_333  # 800 / 0.6


def test_days_say_whether_they_count_and_why_not() -> None:
    trading = TradingDayCount.model_validate({"type": "trading_day_count", "required": 3})
    winning = ProfitableDayCount.model_validate(
        {
            "type": "profitable_day_count",
            "required": 3,
            "compare": ">=",
            "threshold": {"type": "amount", "value": "500"},
        }
    )
    events = [*day(0, 60_000), *day(1, 10_000, opens=False), *day(2, 50_000)]
    _, marks = marked((trading, winning), CONTEXT, 2, events)
    told = {(mark.day, mark.rule_id): (mark.counts, mark.words) for mark in marks}
    first, second, third = (date(2025, 6, number) for number in (2, 3, 4))
    assert [told[each, "trading_days"][0] for each in (first, second, third)] == [True, False, True]
    assert told[second, "trading_days"][1] == "No new position was opened on this day."
    assert [told[each, "profitable_days"][0] for each in (first, second, third)] == [True, False, True]
    assert told[second, "profitable_days"][1] == "The day made 100.00 USD; at least 500.00 USD counts."
    assert [told[each, MINIMUM][0] for each in (first, second, third)] == [True, False, True]


def test_days_of_an_earlier_window_count_no_longer() -> None:
    rule = TradingDayCount.model_validate({"type": "trading_day_count", "required": 3, "window": "since_last_payout"})
    paid = PaidOut(seq=9, at=MONDAY + timedelta(days=1, hours=6), balance_minor=INITIAL, gross_minor=1, stage="settled")
    state, marks = marked((rule,), CONTEXT, 0, [*day(0, 60_000), paid, *day(1, 1)])
    assert [(mark.counts, mark.words) for mark in marks] == [
        (False, "It counted before. The days are counted since the last payout was paid."),
        (True, "It meets the rule."),
    ]
    assert history.gates(state, (rule,), CONTEXT)[0][1].sentence == "1 of 3 trading days completed."


REQUESTED = datetime(2025, 6, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("state", sorted(PAYOUT.states))
def test_every_state_of_a_payout_is_at_one_step(state: str) -> None:
    due = REQUESTED + timedelta(days=2)
    steps = tracked(state, requested_at=REQUESTED, entered={}, decide_by=due, closed_at=None)
    assert [step.name for step in steps[:6]] == ["requested", "set_aside", "checked", "approved", "sent", "arrived"]
    here = [step for step in steps if step.state == "now"]
    assert len(here) == (0 if state in PAYOUT.terminal else 1)
    assert all(step.holder for step in here)
    assert all(step.until == (due if state in ("in_review", "awaiting_approval") else None) for step in here)
    if state in PAYOUT.terminal and state != "paid":
        assert (steps[-1].name, steps[-1].state) == ("ended", "done")


def test_approved_is_not_sent_and_sent_is_not_arrived() -> None:
    entered = {"reserved": REQUESTED, "awaiting_approval": REQUESTED, "approved": REQUESTED + timedelta(hours=1)}

    def states(state: str, **more: datetime) -> dict[str, str]:
        steps = tracked(state, requested_at=REQUESTED, entered={**entered, **more}, decide_by=None, closed_at=None)
        return {step.name: step.state for step in steps}

    assert states("approved")["approved"] == "done" and states("approved")["sent"] == "now"
    sent = states("sent", sent=REQUESTED + timedelta(hours=2))
    assert (sent["sent"], sent["arrived"]) == ("done", "now")
    assert states("rejected")["sent"] == "skipped"


def test_a_certificate_shows_only_what_was_chosen() -> None:
    assert shown_name("Mara-Lena Lindqvist", "full") == "Mara-Lena Lindqvist"
    assert shown_name("Mara-Lena  lindqvist", "initials") == "M. L. L."
    assert shown_name("Mara Lindqvist", "none") == ""


def test_a_link_cannot_be_guessed_from_what_is_stored() -> None:
    made = new_token()
    assert is_token(made.token) and made.digest == digest_of(made.token) and made.token not in made.digest
    assert new_token().token != made.token
    assert not any(is_token(text) for text in ("", made.token[:-1], made.token + "a", "../" + made.token[3:]))
