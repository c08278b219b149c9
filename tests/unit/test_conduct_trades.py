"""Rules on single trades: the loss of an idea, the stop loss, the holding time."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.rules.base import RuleBase
from domain.rules.conduct.max_loss_per_trade_idea import MaxLossPerTradeIdea
from domain.rules.conduct.required_stop import RequiredStop
from domain.rules.events import Event
from domain.rules.gates.min_hold_time import MinHoldTime
from tests.unit.conduct_story import CONTEXT, at, clocked, closed, opened, rolled, stop, tell


def idea(**terms: Any) -> MaxLossPerTradeIdea:
    terms = {"limit": {"type": "pct_of_initial", "value": 3}, "merge_within_minutes": 5, **terms}
    return MaxLossPerTradeIdea.model_validate({"type": "max_loss_per_trade_idea", **terms})


def guard(**terms: Any) -> RequiredStop:
    return RequiredStop.model_validate({"type": "required_stop", "grace_seconds": 30, **terms})


def hold(**terms: Any) -> MinHoldTime:
    terms = {"seconds": 10, "min_share_pct": 50, "compare": ">", **terms}
    return MinHoldTime.model_validate({"type": "min_hold_time", **terms})


def twice(
    reopened: str, first: int = -180_000, second: int = -130_000, *, symbol: str = "EURUSD", side: str = "buy"
) -> list[Event]:
    """A loss closed at 09:00, a position opened at `reopened` and closed at 10:00."""
    return [
        opened("2025-06-02 08:00"),
        closed("2025-06-02 09:00", pnl_minor=first),
        opened(reopened, "b", symbol=symbol, side=side),
        closed("2025-06-02 10:00", "b", symbol=symbol, side=side, pnl_minor=second),
    ]


@pytest.mark.parametrize(
    ("events", "losses"),
    [
        (twice("2025-06-02 09:04"), [310_000]),
        (twice("2025-06-02 09:05"), [310_000]),
        (twice("2025-06-02 09:05:01"), []),
        (twice("2025-06-02 09:04", second=-120_000), []),
        (twice("2025-06-02 09:04", second=-120_001), [300_001]),
        (twice("2025-06-02 09:04", first=180_000, second=-310_000), [310_000]),
        (twice("2025-06-02 09:04", symbol="GBPUSD"), []),
        (twice("2025-06-02 09:04", side="sell"), []),
        # a profit in between makes the idea's loss smaller
        ([*twice("2025-06-02 09:04", second=20_000), opened("2025-06-02 10:01", "c"),
          closed("2025-06-02 11:00", "c", pnl_minor=-150_000)], []),
        # parts of one position are one idea, told once
        ([opened("2025-06-02 08:00"), closed("2025-06-02 09:00", left="0.5", pnl_minor=-200_000),
          closed("2025-06-02 12:00", left="0.2", pnl_minor=-200_000), closed("2025-06-02 13:00", pnl_minor=-1)],
         [400_000]),
        # split: two positions open at once
        ([opened("2025-06-02 08:00"), opened("2025-06-02 08:30", "b"), closed("2025-06-02 09:00", pnl_minor=-200_000),
          closed("2025-06-02 12:00", "b", pnl_minor=-200_000)], [400_000]),
        # a chain: each link within five minutes of the last
        ([event for n in range(4) for event in (opened(f"2025-06-02 09:{5 * n:02}", str(n)),
          closed(f"2025-06-02 09:{5 * n + 1:02}", str(n), pnl_minor=-80_000))], [320_000]),
    ],
)  # fmt: skip
def test_loss_per_trade_idea(events: list[Event], losses: list[int]) -> None:
    assert [one.figures["idea_loss_minor"] for one in tell(idea(), *events)[1]] == losses


def test_without_splits_only_a_reopening_goes_on() -> None:
    both: list[Event] = [
        opened("2025-06-02 08:00"),
        opened("2025-06-02 08:30", "b"),
        closed("2025-06-02 09:00", pnl_minor=-200_000),
        closed("2025-06-02 12:00", "b", pnl_minor=-200_000),
    ]
    assert not tell(idea(splits=False), *both)[1]


@pytest.mark.parametrize(
    ("terms", "limit"),
    [
        ({"limit": {"type": "amount", "value": "2500.50"}}, 250_050),
        ({"limit": {"type": "pct_of_anchor", "value": 1}}, 99_000),
        (
            {
                "limit": {"type": "pct_of_daily_allowance", "value": 50},
                "daily_allowance": {"type": "pct_of_initial", "value": 5},
            },
            250_000,
        ),
        (
            {
                "limit": {"type": "pct_of_daily_allowance", "value": 50},
                "daily_allowance": {"type": "pct_of_anchor", "value": 4},
            },
            198_000,
        ),
    ],
)
def test_the_limit_in_money(terms: dict[str, Any], limit: int) -> None:
    rule = idea(**terms)
    state, _ = tell(rule, rolled("2025-06-02 21:00", 9_900_000))
    assert rule.limit_minor(state, CONTEXT) == limit


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-100_000, 100_000)), min_size=1, max_size=15))
def test_ideas_agree_with_a_naive_chain(trades: list[tuple[int, int]]) -> None:
    """Trades one after the other, each held a minute, with a pause of so many minutes before it."""
    events: list[Event] = []
    clock, running, lost_at, expected, told = 0, 0, -99, 0, False
    for number, (pause, made) in enumerate(trades):
        clock += pause
        if clock - lost_at > 5:
            running, told = 0, False
        events.append(opened(f"2025-06-02 {clock // 60:02}:{clock % 60:02}", str(number)))
        clock += 1
        events.append(closed(f"2025-06-02 {clock // 60:02}:{clock % 60:02}", str(number), pnl_minor=made))
        running += made
        lost_at = clock if made < 0 else lost_at
        if running < -150_000 and not told:
            expected, told = expected + 1, True
    assert len(tell(idea(limit={"type": "amount", "value": 1500}), *events)[1]) == expected


@pytest.mark.parametrize(
    ("terms", "events", "offences"),
    [
        ({}, [opened("2025-06-02 10:00:00", stop_price=Decimal(1)), clocked("2025-06-02 11:00")], 0),
        ({}, [opened("2025-06-02 10:00:00"), stop("2025-06-02 10:00:30", "1.1"), clocked("2025-06-02 11:00")], 0),
        ({}, [opened("2025-06-02 10:00:00"), stop("2025-06-02 10:00:31", "1.1"), clocked("2025-06-02 11:00")], 1),
        ({}, [opened("2025-06-02 10:00:00"), clocked("2025-06-02 10:00:30")], 0),
        ({}, [opened("2025-06-02 10:00:00"), clocked("2025-06-02 10:00:31"), clocked("2025-06-02 11:00")], 1),
        # closed in time needs none
        ({}, [opened("2025-06-02 10:00:00"), closed("2025-06-02 10:00:30"), clocked("2025-06-02 11:00")], 0),
        ({}, [opened("2025-06-02 10:00:00"), closed("2025-06-02 10:00:31")], 1),
        # removed again, and moved
        ({}, [opened("2025-06-02 10:00:00", stop_price=Decimal(1)), stop("2025-06-02 11:00:00", None),
              stop("2025-06-02 11:00:20", "1.2"), stop("2025-06-02 12:00:00", "1.3"), clocked("2025-06-02 13:00")], 0),
        ({}, [opened("2025-06-02 10:00:00", stop_price=Decimal(1)), stop("2025-06-02 11:00:00", None),
              clocked("2025-06-02 11:00:31")], 1),
        # removing what is not there wins no time
        ({}, [opened("2025-06-02 10:00:00"), stop("2025-06-02 10:00:29", None), clocked("2025-06-02 10:00:31")], 1),
        # adding to a position leaves it the stop it has
        ({}, [opened("2025-06-02 10:00:00", stop_price=Decimal(1)), opened("2025-06-02 11:00", adds=True),
              clocked("2025-06-02 12:00")], 0),
        ({}, [opened("2025-06-02 10:00:00"), opened("2025-06-02 10:00:01", "b"), clocked("2025-06-02 11:00")], 2),
        ({"grace_seconds": 0}, [opened("2025-06-02 10:00:00")], 1),
        (
            {"grace_seconds": 0},
            [opened("2025-06-02 10:00:00", stop_price=Decimal(1)), stop("2025-06-02 11:00", None)], 1,
        ),
        # a stop of something that is not open
        ({}, [stop("2025-06-02 10:00:00", None, "zz"), clocked("2025-06-02 11:00")], 0),
        # no further away than 1 % of 100,000.00
        ({"max_risk": {"type": "pct_of_initial", "value": 1}},
         [opened("2025-06-02 10:00", stop_price=Decimal(1), risk_minor=100_000)], 0),
        ({"max_risk": {"type": "pct_of_initial", "value": 1}},
         [opened("2025-06-02 10:00", stop_price=Decimal(1), risk_minor=100_001)], 1),
        ({"max_risk": {"type": "amount", "value": 1000}},
         [opened("2025-06-02 10:00", stop_price=Decimal(1)), stop("2025-06-02 11:00", "0.9", risk=100_001)], 1),
    ],
)  # fmt: skip
def test_required_stop(terms: dict[str, Any], events: list[Event], offences: int) -> None:
    assert len(tell(guard(**terms), *events)[1]) == offences


def test_the_end_of_the_grace_is_due() -> None:
    rule = guard()
    state, _ = tell(rule, opened("2025-06-02 10:00:05"), opened("2025-06-02 10:00:10", "b"))
    assert rule.due(state, CONTEXT) == at("2025-06-02 10:00:35.000001")
    state, _ = rule.step(state, stop("2025-06-02 10:00:20", "1.1"), CONTEXT)
    assert rule.due(state, CONTEXT) == at("2025-06-02 10:00:40.000001")
    state, found = rule.step(state, clocked("2025-06-02 10:00:40.000001"), CONTEXT)
    assert (rule.due(state, CONTEXT), [one.position_ids for one in found]) == (None, [("b",)])


def held(number: int, seconds: int, made: int = 0) -> list[Event]:
    return [
        opened(f"2025-06-02 {number:02}:00:00", str(number)),
        closed(f"2025-06-02 {number:02}:00:{seconds:02}", str(number), pnl_minor=made),
    ]


@pytest.mark.parametrize(
    ("terms", "trades", "outcome", "share"),
    [
        ({}, [(3, 0), (4, 0), (12, 0), (30, 0)], "blocked", "50"),
        ({"compare": ">="}, [(3, 0), (4, 0), (12, 0), (30, 0)], "satisfied", "50"),
        ({}, [(3, 0), (12, 0), (30, 0)], "satisfied", "66.67"),
        # ten seconds are not longer than ten seconds
        ({}, [(10, 0)], "blocked", "0"),
        ({}, [(11, 0)], "satisfied", "100"),
        ({}, [], "blocked", None),
        ({"metric": "profit"}, [(3, 400), (20, 600)], "satisfied", "60"),
        ({"metric": "profit"}, [(3, 600), (20, 400), (30, -100)], "blocked", "33.33"),
        ({"metric": "profit"}, [(3, 100), (20, -100)], "blocked", None),
    ],
)
def test_min_hold_time(terms: dict[str, Any], trades: list[tuple[int, int]], outcome: str, share: str | None) -> None:
    rule = hold(**terms)
    state = rule.start(CONTEXT)
    for number, (seconds, made) in enumerate(trades):
        for event in held(number, seconds, made):
            state, _ = rule.step(state, event, CONTEXT)
    status = rule.status(state, CONTEXT)
    got = status.figures["share_pct"]
    assert (status.outcome, None if got is None else round(got, 2)) == (
        outcome,
        None if share is None else Decimal(share),
    )
    assert status.met is (outcome == "satisfied")


def test_a_position_is_one_trade_however_often_a_part_is_closed() -> None:
    rule = hold()
    state = rule.start(CONTEXT)
    for event in (
        opened("2025-06-02 10:00:00"),
        closed("2025-06-02 10:00:05", left="0.5", pnl_minor=10),
        closed("2025-06-02 10:00:20", pnl_minor=30),
    ):
        state, _ = rule.step(state, event, CONTEXT)
    assert rule.share_pct(state) == 100
    assert state.trades == 1
    assert hold(metric="profit").share_pct(state) == 75


def test_a_holding_time_that_nobody_knows_proves_nothing() -> None:
    rule = hold()
    state, _ = rule.step(rule.start(CONTEXT), closed("2025-06-02 10:00"), CONTEXT)
    assert rule.share_pct(state) == 0


NAMES: dict[type[RuleBase], str] = {
    MaxLossPerTradeIdea: "max_loss_per_trade_idea",
    RequiredStop: "required_stop",
    MinHoldTime: "min_hold_time",
}


@pytest.mark.parametrize(
    ("rule", "terms", "field"),
    [
        (MaxLossPerTradeIdea, {"limit": {"type": "pct_of_daily_allowance", "value": 50}}, "daily_allowance"),
        (
            MaxLossPerTradeIdea,
            {"limit": {"type": "amount", "value": 5}, "daily_allowance": {"type": "amount", "value": 5}},
            "daily_allowance",
        ),
        (MaxLossPerTradeIdea, {"limit": {"type": "pct_of_trade_value", "value": 5}}, "limit"),
        (RequiredStop, {"grace_seconds": 30, "max_risk": {"type": "pct_of_trade_value", "value": 1}}, "max_risk"),
        (MinHoldTime, {"seconds": 10, "min_share_pct": 101, "compare": ">"}, "min_share_pct"),
        (MinHoldTime, {"seconds": 10}, "the rule asks for nothing"),
    ],
)
def test_contradictions_are_refused(rule: type[RuleBase], terms: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        rule.model_validate({"type": NAMES[rule], **terms})


def test_words() -> None:
    assert "no more than 3 % of the initial balance (3,000.00 USD)" in idea().words(CONTEXT)
    share = idea(
        limit={"type": "pct_of_daily_allowance", "value": 50}, daily_allowance={"type": "amount", "value": 5000}
    )
    assert "50 % of the daily allowance, which is 5,000.00 USD" in share.words(CONTEXT)
    assert "within 30 seconds of opening" in guard().words(CONTEXT)
    assert "from the moment it is opened" in guard(grace_seconds=0).words(CONTEXT)
    assert "More than 50 % of your closed trades" in hold().words(CONTEXT)


def test_an_idea_that_may_lose_everything_is_a_contradiction() -> None:
    assert [field for field, _ in idea(limit={"type": "amount", "value": 100_000}).problems(CONTEXT)] == ["limit"]
    assert not list(idea().problems(CONTEXT))
