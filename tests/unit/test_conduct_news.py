"""News windows: what is an action in the window, whom it concerns, and what a haircut leaves."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.rules import history
from domain.rules.conduct.news_window import NewsWindow
from domain.rules.events import Event
from tests.unit.conduct_story import CONTEXT, closed, opened, release, tell

EVERYTHING = ["open", "close", "pending_fill", "stop_loss", "take_profit"]
NFP = release("2025-06-06 12:30", "USD", "US30")


def window(**terms: Any) -> NewsWindow:
    terms = {"before_minutes": 2, "after_minutes": 5, "applies_to": EVERYTHING, **terms}
    return NewsWindow.model_validate({"type": "news_window", **terms})


def haircut(pct: str = "40") -> NewsWindow:
    return window(counted_pct=pct, consequences=[{"kind": "deduct_profit"}])


@pytest.mark.parametrize(
    ("when", "offences"),
    [
        ("2025-06-06 12:27:59", 0),
        ("2025-06-06 12:28:00", 1),
        ("2025-06-06 12:30:00", 1),
        ("2025-06-06 12:35:00", 1),
        ("2025-06-06 12:35:01", 0),
    ],
)
def test_both_ends_of_the_window_belong_to_it(when: str, offences: int) -> None:
    assert len(tell(window(), NFP, opened(when))[1]) == offences


@pytest.mark.parametrize(
    ("terms", "event", "offences"),
    [
        ({}, closed("2025-06-06 12:31", action="stop_loss"), 1),
        ({"applies_to": ["open", "close"]}, closed("2025-06-06 12:31", action="stop_loss"), 0),
        ({"applies_to": ["pending_fill"]}, opened("2025-06-06 12:31", action="pending_fill"), 1),
        ({"applies_to": ["pending_fill"]}, opened("2025-06-06 12:31"), 0),
        # whom it concerns: either leg of a pair, the instrument itself, what is mapped
        ({}, opened("2025-06-06 12:31", symbol="USDJPY.r"), 1),
        ({}, opened("2025-06-06 12:31", symbol="EURGBP"), 0),
        ({}, opened("2025-06-06 12:31", symbol="US30"), 1),
        ({}, opened("2025-06-06 12:31", symbol="NAS100"), 0),
        ({"targets": [{"name": "USD", "symbols": ["NAS100"]}]}, opened("2025-06-06 12:31", symbol="NAS100"), 1),
        ({"targeted_instruments_only": False}, opened("2025-06-06 12:31", symbol="EURGBP"), 1),
        # who is bound
        ({"phases": ["funded"]}, opened("2025-06-06 12:31"), 0),
        ({"phases": ["evaluation"]}, opened("2025-06-06 12:31"), 1),
        ({"account_types": ["swing"]}, opened("2025-06-06 12:31"), 0),
        ({"account_types": ["standard"]}, opened("2025-06-06 12:31"), 1),
        ({"impacts": ["medium"]}, opened("2025-06-06 12:31"), 0),
    ],
)
def test_who_and_what_is_concerned(terms: dict[str, Any], event: Event, offences: int) -> None:
    assert len(tell(window(**terms), NFP, event)[1]) == offences


def test_a_release_without_targets_concerns_everything() -> None:
    assert len(tell(window(), release("2025-06-06 12:30"), opened("2025-06-06 12:31", symbol="XPTUSD"))[1]) == 1


def test_holding_through_the_release_is_allowed() -> None:
    story: list[Event] = [NFP, opened("2025-06-06 12:00"), closed("2025-06-06 13:00")]
    assert not tell(window(), *story)[1]


def test_two_releases_at_once_are_one_offence_and_a_moved_one_counts_where_it_moved() -> None:
    twin = release("2025-06-06 12:31", "EUR", name="CPI")
    assert len(tell(window(), NFP, twin, opened("2025-06-06 12:32"))[1]) == 1
    moved = release("2025-06-06 14:00", "USD", known="2025-06-06")
    assert not tell(window(), NFP, moved, opened("2025-06-06 12:30"))[1]
    assert len(tell(window(), NFP, moved, opened("2025-06-06 13:59"))[1]) == 1


def test_releases_that_are_over_are_forgotten() -> None:
    later: list[Event] = [
        release(f"2025-06-{day:02} 12:30", known=f"2025-06-{day - 1:02}", name=str(day)) for day in range(2, 30)
    ]
    state, _ = tell(window(), *later)
    assert [kept.news_id for kept in state.releases] == ["28", "29"]


def test_the_second_offence_escalates() -> None:
    rule = window(consequences=[{"kind": "warn"}, {"kind": "fail"}])
    _, found = tell(rule, NFP, opened("2025-06-06 12:31"), closed("2025-06-06 12:32"), opened("2025-06-06 12:33", "b"))
    assert [one.consequence.kind for one in found] == ["warn", "fail", "fail"]


@pytest.mark.parametrize(
    ("made", "deducted"),
    [
        # opened in the window: 40 % of 1,000.00 counts
        ([("12:31", "13:30", 100_000, "0")], 60_000),
        # a loss counts in full
        ([("12:31", "13:30", -100_000, "0")], 0),
        # untouched by the window
        ([("12:00", "13:30", 100_000, "0")], 0),
        # half closed in the window: the whole order is tainted, what was made before included
        ([("12:00", "12:10", 20_000, "0.6"), (None, "12:31", 30_000, "0.3"), (None, "15:00", 50_000, "0")], 60_000),
        # its parts make one result
        ([("12:00", "12:31", 30_000, "0.5"), (None, "15:00", -50_000, "0")], 0),
        # still open: what is closed of it so far
        ([("12:00", "12:31", 30_000, "0.5")], 18_000),
        # rounded half up: 40 % of 0.01 is nothing, of 0.02 is 0.01
        ([("12:31", "13:30", 1, "0")], 1),
        ([("12:31", "13:30", 2, "0")], 1),
    ],
)
def test_haircut(made: list[tuple[str | None, str, int, str]], deducted: int) -> None:
    events: list[Event] = [NFP]
    for opened_at, closed_at, pnl, left in made:
        events += [opened(f"2025-06-06 {opened_at}")] if opened_at else []
        events.append(closed(f"2025-06-06 {closed_at}", left=left, pnl_minor=pnl))
    rule = haircut()
    state, _ = tell(rule, *events)
    assert rule.deducted_minor(state, CONTEXT) == deducted


def test_a_haircut_counts_among_the_deductions_of_the_whole_history() -> None:
    rule = haircut()
    state = history.start((rule,), CONTEXT)
    for event in (NFP, opened("2025-06-06 12:31"), closed("2025-06-06 13:30", pnl_minor=100_000)):
        state, _ = history.step(state, event, (rule,), CONTEXT)
    assert history.deductions(state, (rule,), CONTEXT) == {rule.id: 60_000}
    assert history.deducted_minor(state, (rule,), CONTEXT) == 60_000


@given(pnl=st.integers(-(10**9), 10**9), pct=st.integers(0, 99))
def test_a_haircut_never_takes_more_than_the_profit(pnl: int, pct: int) -> None:
    rule = haircut(str(pct))
    state, found = tell(rule, NFP, opened("2025-06-06 12:31"), closed("2025-06-06 18:00", pnl_minor=pnl))
    off = rule.deducted_minor(state, CONTEXT)
    assert len(found) == 1
    assert 0 <= off <= max(pnl, 0)
    assert off == max(pnl, 0) - rule.counted_minor(max(pnl, 0))


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"consequences": [{"kind": "deduct_profit"}]}, "counted_pct"),
        ({"counted_pct": 40}, "counted_pct"),
        ({"targets": [{"name": "USD", "symbols": ["US30"]}], "targeted_instruments_only": False}, "targets"),
        ({"applies_to": []}, "applies_to"),
        ({"before_minutes": -1}, "before_minutes"),
    ],
)
def test_contradictions_are_refused(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        window(**terms)


def test_words() -> None:
    words = haircut().words(CONTEXT)
    assert "From 2 minutes before to 5 minutes after" in words
    assert "40 % counts" in words
    funded = window(phases=["funded"])
    assert funded.words(CONTEXT) == "News. You may trade around news releases."
    assert "not allowed" in funded.words(replace(CONTEXT, phase="funded"))
