"""The size of trades and the loss of ideas: openings that count as one, averages, limits by the peak or the balance."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rules.events import Event, PaidOut
from tests.unit.conduct_story import (
    BAND,
    CONTEXT,
    DAY,
    at,
    clocked,
    closed,
    moment,
    offenders,
    opened,
    requested,
    rolled,
    rule,
    tell,
)


@pytest.mark.parametrize(
    ("merge", "events", "offending"),
    [
        # 1 + 1 within five minutes are a first trade of 2: 4 is allowed, 4.01 is not
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 10:05", "b"), opened(f"{DAY} 11:00", "c", "4"),
             clocked(f"{DAY} 12:00")], []),
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 10:05", "b"), opened(f"{DAY} 11:00", "c", "4.01"),
             clocked(f"{DAY} 12:00")], [("c",)]),
        # one second later is a trade of its own
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 10:05:01", "b", "2.01"), clocked(f"{DAY} 12:00")], [("b",)]),
        # minutes count from the first of them, not from the last
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 10:04", "b"), opened(f"{DAY} 10:08", "c", "0.99"),
             clocked(f"{DAY} 12:00")], [("c",)]),
        # another side, or another symbol, is another trade
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 10:01", "b", "1", side="sell"),
             opened(f"{DAY} 10:02", "c", "3", "X"), clocked(f"{DAY} 12:00")], [("c",)]),
        # small ones add up to one that is large enough
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 11:00", "b", "0.3"), opened(f"{DAY} 11:01", "c", "0.2"),
             clocked(f"{DAY} 12:00")], []),
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 11:00", "b", "1.5"), opened(f"{DAY} 11:01", "c", "1.5"),
             clocked(f"{DAY} 12:00")], [("b", "c")]),
        # the first trade is the one that is complete first: X at 10:01, and not EURUSD at 10:03
        (5, [opened(f"{DAY} 10:00", "a", "1"), opened(f"{DAY} 10:01", "b", "4", "X"),
             opened(f"{DAY} 10:03", "c", "0.5"), clocked(f"{DAY} 12:00")], [("a", "c")]),
        # nothing is judged while another opening may still join
        (5, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 11:00", "b", "9"), clocked(f"{DAY} 11:05")], []),
        (0, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 11:00", "b"), opened(f"{DAY} 11:00", "c", "1.5"),
             clocked(f"{DAY} 12:00")], [("b", "c")]),
        (None, [opened(f"{DAY} 10:00", "a"), opened(f"{DAY} 10:00", "b", "2.5")], [("b",)]),
    ],
)  # fmt: skip
def test_openings_that_count_as_one(merge: int | None, events: list[Event], offending: list[tuple[str, ...]]) -> None:
    assert offenders("lot_size_band", events, **BAND, merge_within_minutes=merge) == offending


def test_the_last_moment_to_join_is_due() -> None:
    band = rule("lot_size_band", **BAND, merge_within_minutes=5)
    state, _ = tell(band, opened(f"{DAY} 10:00"), opened(f"{DAY} 10:03", "b"))
    assert band.due(state, CONTEXT) == at(f"{DAY} 10:05") + timedelta(microseconds=1)
    state, _ = band.step(state, clocked(f"{DAY} 10:05:00.000001"), CONTEXT)
    assert (band.due(state, CONTEXT), state.first) == (None, 2)


def lots_closed(*lots: str) -> list[Event]:
    return [
        event
        for n, size in enumerate(lots)
        for event in (opened(f"{DAY} 10:{n:02}", str(n), size), closed(f"{DAY} 10:{n:02}", str(n), lots=Decimal(size)))
    ]


@pytest.mark.parametrize(
    ("terms", "events", "offending"),
    [
        # average 2: 1 to 4
        ({}, [*lots_closed("1", "1", "4"), requested(f"{DAY} 12:00")], []),
        # average 1.75: 0.875 to 3.5
        ({}, [*lots_closed("1", "1", "1", "4"), requested(f"{DAY} 12:00")], [("3",)]),
        # not before a request, and each once
        ({}, lots_closed("1", "1", "1", "4"), []),
        ({}, [*lots_closed("1", "1", "1", "4"), requested(f"{DAY} 12:00"), requested(f"{DAY} 13:00")], [("3",)]),
        # an open position is no closed one, a part closed neither; all its lots count
        ({}, [*lots_closed("1", "1", "1"), opened(f"{DAY} 11:00", "x", "9"), closed(f"{DAY} 11:01", "x", left="1"),
              requested(f"{DAY} 12:00")], []),
        ({}, [*lots_closed("1", "1", "1"), opened(f"{DAY} 11:00", "x", "2"),
              opened(f"{DAY} 11:01", "x", "2", adds=True), closed(f"{DAY} 11:02", "x", left="1"),
              closed(f"{DAY} 11:03", "x"), requested(f"{DAY} 12:00")],
         [("x",)]),
        # the hold of a live account is the request; its end is none
        ({}, [*lots_closed("1", "1", "1", "4"),
              PaidOut(**moment(f"{DAY} 12:00"), gross_minor=1, stage="held")], [("3",)]),
        ({}, [*lots_closed("1", "1", "1", "4"),
              PaidOut(**moment(f"{DAY} 12:00"), gross_minor=1, stage="settled", leaves=True)], []),
        # 1, 1, 1 and 2 + 2 within five minutes
        ({"merge_within_minutes": 5},
         [*(event for n in range(3) for event in (opened(f"{DAY} 0{n}:00", f"{n}"), closed(f"{DAY} 0{n}:01", f"{n}"))),
          opened(f"{DAY} 10:00", "x", "2"), opened(f"{DAY} 10:05", "y", "2"), closed(f"{DAY} 11:00", "x"),
          closed(f"{DAY} 11:01", "y"), requested(f"{DAY} 12:00")], [("x", "y")]),
    ],
)  # fmt: skip
def test_the_average_of_closed_positions(
    terms: dict[str, Any], events: list[Event], offending: list[tuple[str, ...]]
) -> None:
    assert offenders("lot_size_band", events, reference="average_of_closed", **BAND, **terms) == offending


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_average_agrees_with_a_naive_list(trades: list[tuple[str, int, int]]) -> None:
    """Trades one after the other, of two symbols, each opened so many minutes after the one before, closed at once."""
    merged: list[list[Any]] = []  # symbol, first minute, lots
    events: list[Event] = []
    minute = 0
    for number, (symbol, pause, lots) in enumerate(trades):
        minute += pause
        when = f"{DAY} 10:{minute:02}"
        events += [opened(when, str(number), str(lots), symbol), closed(when, str(number), symbol=symbol)]
        last = next((one for one in reversed(merged) if one[0] == symbol), None)
        if last is not None and minute - last[1] <= 3:
            last[2] += lots
        else:
            merged.append([symbol, minute, lots])
    sizes = [Decimal(one[2]) for one in merged]
    band = rule("lot_size_band", reference="average_of_closed", max_multiple="1.5", merge_within_minutes=3)
    state, found = tell(band, *events, requested(f"{DAY} 12:00"))
    assert (state.judged, state.judged_lots) == (len(sizes), sum(sizes))
    assert len(found) == sum(2 * size * len(sizes) > 3 * sum(sizes) for size in sizes)


@pytest.mark.parametrize(("compare", "pnl", "offences"), [(">", -1, 0), (">=", -1, 1), (">=", 0, 0)])
def test_an_idea_may_not_even_reach_its_limit(compare: str, pnl: int, offences: int) -> None:
    events: list[Event] = [opened(DAY), closed(DAY, pnl_minor=300_000 * pnl)]
    limit = {"type": "pct_of_initial", "value": 3}
    assert len(offenders("max_loss_per_trade_idea", events, limit=limit, compare=compare)) == offences


@pytest.mark.parametrize(
    ("kind", "loss", "offences"),
    [("pct_of_peak", 110_000, 0), ("pct_of_peak", 110_001, 1), ("pct_of_balance", 99_000, 0),
     ("pct_of_balance", 99_001, 1)],
)  # fmt: skip
def test_an_idea_limited_by_the_peak_or_the_balance(kind: str, loss: int, offences: int) -> None:
    """The highest balance at a reset was 110,000.00; the balance after the close is 99,000.00."""
    events: list[Event] = [
        rolled(DAY, 11_000_000),
        rolled(DAY, 9_900_000),
        opened(DAY),
        replace(closed(DAY, pnl_minor=-loss), balance_minor=9_900_000),
    ]
    limit = {"type": kind, "value": 1}
    assert len(offenders("max_loss_per_trade_idea", events, limit=limit, splits=False)) == offences
