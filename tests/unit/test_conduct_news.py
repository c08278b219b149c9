"""News windows: what is an action in the window, whom it concerns, and what a haircut leaves."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.rules import history
from domain.rules.conduct.news_window import NewsState, NewsWindow
from domain.rules.events import Event
from tests.unit.conduct_story import CONTEXT, at, clocked, closed, opened, release, tell

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


# positions held through a release, releases that last, positions that are exempt


def speech(begins: str, ends: str, *symbols: str) -> Event:
    return replace(release(begins, *symbols, name="FOMC"), ends_at=at(ends))


HOLDING: dict[str, Any] = {"applies_to": ["hold"], "before_minutes": 5}


@pytest.mark.parametrize(
    ("events", "found"),
    [
        # open past the first instant, found at the first event at or past it
        ([opened("2025-06-06 10:00"), clocked("2025-06-06 12:24:59")], []),
        ([opened("2025-06-06 10:00"), clocked("2025-06-06 12:25")], ["a"]),
        ([opened("2025-06-06 10:00"), clocked("2025-06-06 15:00")], ["a"]),
        ([opened("2025-06-06 10:00"), closed("2025-06-06 12:25:01")], ["a"]),
        # once
        ([opened("2025-06-06 10:00"), clocked("2025-06-06 12:25"), clocked("2025-06-06 12:31")], ["a"]),
        # closed in time, also exactly at the first instant; a part left is not
        ([opened("2025-06-06 10:00"), closed("2025-06-06 12:25"), clocked("2025-06-06 12:26")], []),
        ([opened("2025-06-06 10:00"), closed("2025-06-06 12:25", left="0.1")], ["a"]),
        # opened in the window: it is not from before
        ([opened("2025-06-06 12:25"), clocked("2025-06-06 12:31")], []),
        # each position; only the affected instruments
        (
            [opened("2025-06-06 10:00"), opened("2025-06-06 11:00", "b"),
             opened("2025-06-06 11:00", "c", symbol="XAUEUR"), clocked("2025-06-06 12:25")],
            ["a", "b"],
        ),
    ],
)  # fmt: skip
def test_a_position_held_into_the_window(events: list[Event], found: list[str]) -> None:
    _, violations = tell(window(**HOLDING), NFP, *events)
    assert [position for one in violations for position in one.position_ids] == found


def test_a_position_is_found_at_each_release_and_once_at_two_of_one_instant() -> None:
    twin, later = release("2025-06-06 12:30", "USD", name="Jobless"), release("2025-06-06 14:00", "USD", name="ISM")
    _, found = tell(window(**HOLDING), NFP, twin, later, opened("2025-06-06 10:00"), clocked("2025-06-06 18:00"))
    assert [one.figures["released_at"] for one in found] == [at("2025-06-06 12:30"), at("2025-06-06 14:00")]


def test_time_alone_finds_a_position_that_is_held() -> None:
    rule = window(**HOLDING)
    state, _ = tell(rule, NFP, opened("2025-06-06 10:00"))
    assert rule.due(state, CONTEXT) == at("2025-06-06 12:25:00.000001")
    state, found = tell(rule, NFP, opened("2025-06-06 10:00"), clocked("2025-06-06 12:25:00.000001"))
    assert (len(found), rule.due(state, CONTEXT)) == (1, None)
    state, _ = tell(rule, NFP, opened("2025-06-06 10:00"), closed("2025-06-06 11:00"))
    assert rule.due(state, CONTEXT) is None


def test_nobody_is_blamed_for_a_release_that_was_announced_too_late() -> None:
    late = release("2025-06-06 12:30", "USD", known="2025-06-06 12:29")
    assert not tell(window(**HOLDING), opened("2025-06-06 10:00"), late, clocked("2025-06-06 12:31"))[1]


@pytest.mark.parametrize(
    ("when", "offences"),
    [
        ("2025-06-18 18:27:59", 0),
        ("2025-06-18 18:28", 1),
        ("2025-06-18 19:00", 1),
        ("2025-06-18 19:25", 1),
        ("2025-06-18 19:25:01", 0),
    ],
)
def test_a_speech_counts_until_its_end(when: str, offences: int) -> None:
    talk = speech("2025-06-18 18:30", "2025-06-18 19:20", "USD")
    assert len(tell(window(), talk, opened(when))[1]) == offences


@pytest.mark.parametrize(
    ("opened_at", "terms", "offences"),
    [
        ("2025-06-06 12:15", {}, 0),
        ("2025-06-06 12:15:01", {}, 1),
        ("2025-06-06 12:15", {"applies_to": ["hold"]}, 0),
        ("2025-06-06 12:15:01", {"applies_to": ["hold"]}, 1),
        ("2025-06-06 12:15", {"applies_to": ["hold", "stop_loss"]}, 0),
        ("2025-06-06 12:15:01", {"applies_to": ["hold", "stop_loss"]}, 2),
    ],
)
def test_positions_opened_long_before_are_free(opened_at: str, terms: dict[str, Any], offences: int) -> None:
    rule = window(**{"applies_to": ["stop_loss"], "exempt_if_opened_minutes_before": 15, **terms})
    story: list[Event] = [NFP, opened(opened_at), closed("2025-06-06 12:31", action="stop_loss")]
    assert len(tell(rule, *story)[1]) == offences


@pytest.mark.parametrize(
    ("profits", "terms", "deducted"),
    [
        ([100_000], {"cap": {"type": "amount", "value": "500"}}, 50_000),
        ([40_000], {"cap": {"type": "amount", "value": "500"}}, 0),
        ([40_000, 40_000], {"cap": {"type": "amount", "value": "500"}}, 30_000),
        ([200_000], {"cap": {"type": "pct_of_initial", "value": "1"}}, 100_000),
        # half counts, at most 500.00 of it
        ([200_000], {"counted_pct": "50", "cap": {"type": "amount", "value": "500"}}, 150_000),
        ([80_000], {"counted_pct": "50", "cap": {"type": "amount", "value": "500"}}, 40_000),
        # losses in full
        ([-100_000], {"cap": {"type": "amount", "value": "500"}}, 0),
        ([80_000, -20_000], {"cap": {"type": "amount", "value": "500"}}, 10_000),
    ],
)
def test_a_cap_on_the_profit_of_news(profits: list[int], terms: dict[str, Any], deducted: int) -> None:
    rule = window(consequences=[{"kind": "deduct_profit"}], **terms)
    story: list[Event] = [NFP]
    for number, profit in enumerate(profits):
        story += [opened("2025-06-06 12:29", str(number)), closed("2025-06-06 12:32", str(number), pnl_minor=profit)]
    state, _ = tell(rule, *story)
    assert rule.deducted_minor(state, CONTEXT) == deducted


def test_an_offence_with_another_consequence_deducts_nothing() -> None:
    rule = window(counted_pct="0", consequences=[{"kind": "warn"}, {"kind": "deduct_profit"}])
    state, found = tell(
        rule,
        NFP,
        opened("2025-06-06 12:29"),
        opened("2025-06-06 12:33", "b"),
        closed("2025-06-06 13:00", pnl_minor=500),
        closed("2025-06-06 13:00", "b", pnl_minor=700),
    )
    assert [one.consequence.kind for one in found] == ["warn", "deduct_profit"]
    assert rule.deducted_minor(state, CONTEXT) == 700


def test_a_held_position_loses_its_profit() -> None:
    rule = window(**HOLDING, counted_pct="0", consequences=[{"kind": "deduct_profit"}])
    story: list[Event] = [
        NFP,
        opened("2025-06-06 10:00"),
        clocked("2025-06-06 12:26"),
        closed("2025-06-06 18:00", pnl_minor=900),
    ]
    state, _ = tell(rule, *story)
    assert rule.deducted_minor(state, CONTEXT) == 900


def test_releases_are_forgotten_as_time_passes() -> None:
    all_known = [release(f"2025-06-{day:02} 12:30", name=str(day)) for day in range(2, 30)]
    state, _ = tell(window(), *all_known, clocked("2025-06-20 18:00"))
    assert [kept.news_id for kept in state.releases] == [str(day) for day in range(21, 30)]


def test_the_state_of_an_earlier_version_still_loads() -> None:
    old = {
        "releases": [{"news_id": "NFP", "at": "2025-06-06T12:30:00Z", "symbols": ["USD"]}],
        "orders": [{"position_id": "a", "made_minor": 5, "tainted": True}],
        "deducted_minor": 7,
        "offences": 1,
    }
    state = NewsState.model_validate(old)
    assert len(window().step(state, opened("2025-06-06 12:31"), CONTEXT)[1]) == 1


def test_words_of_holding_exemption_and_cap() -> None:
    words = window(
        applies_to=["open", "hold"],
        exempt_if_opened_minutes_before=60,
        cap={"type": "amount", "value": "500"},
        consequences=[{"kind": "deduct_profit"}],
    ).words(CONTEXT)
    assert "A position from before must be closed when that time begins." in words
    assert "Positions opened at least 1 hour before the release are free." in words
    assert "Of all affected orders together at most 500.00 USD counts. Losses count in full." in words


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"counted_pct": "100", "consequences": [{"kind": "deduct_profit"}]}, "counted_pct"),
        ({"cap": {"type": "pct_of_peak", "value": "1"}, "consequences": [{"kind": "deduct_profit"}]}, "cap"),
        ({"exempt_if_opened_minutes_before": 1}, "exempt_if_opened_minutes_before"),
        ({"exempt_if_opened_minutes_before": 2}, None),
        ({"cap": {"type": "amount", "value": "1"}, "consequences": [{"kind": "deduct_profit"}]}, None),
    ],
)
def test_terms_without_sense_are_named(terms: dict[str, Any], field: str | None) -> None:
    assert [name for name, _ in window(**terms).problems(CONTEXT)] == ([field] if field else [])
