"""How much may be open: lot size bands, sums at one instant, contract tiers, multiples of the balance."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.rules.base import RuleBase
from domain.rules.conduct.exposure_multiple import ExposureMultiple
from domain.rules.conduct.lot_size_band import LotSizeBand
from domain.rules.conduct.max_exposure import MaxExposure
from domain.rules.events import Event
from tests.unit.conduct_story import CONTEXT, INITIAL, at, clocked, closed, marked, opened, rolled, tell


def band(**terms: Any) -> LotSizeBand:
    return LotSizeBand.model_validate({"type": "lot_size_band", **terms})


def exposure(**terms: Any) -> MaxExposure:
    return MaxExposure.model_validate({"type": "max_exposure", **terms})


def multiple(**terms: Any) -> ExposureMultiple:
    return ExposureMultiple.model_validate({"type": "exposure_multiple", "measure": "notional", "multiple": 2, **terms})


@pytest.mark.parametrize(
    ("terms", "lots", "offences"),
    [
        ({"min_multiple": "0.25", "max_multiple": 2}, ["2", "0.5", "4"], 0),
        ({"min_multiple": "0.25", "max_multiple": 2}, ["2", "0.49", "4.01"], 2),
        ({"max_multiple": 2}, ["2", "0.01", "4.01"], 1),
        ({"min_multiple": "0.5"}, ["2", "0.99", "400"], 1),
        ({"min_multiple": 1, "max_multiple": 1}, ["0.3", "0.3", "0.30", "0.31"], 1),
    ],
)
def test_lot_size_band(terms: dict[str, Any], lots: list[str], offences: int) -> None:
    events = [opened("2025-06-02 10:00", str(number), size) for number, size in enumerate(lots)]
    state, found = tell(band(**terms), *events)
    assert len(found) == offences
    assert state.first == Decimal(lots[0])


def test_a_band_is_known_once_there_is_a_first_trade() -> None:
    rule = band(min_multiple="0.25", max_multiple=2)
    assert rule.band(rule.start(CONTEXT)) == (None, None)
    assert rule.band(tell(rule, opened("2025-06-02 10:00", lots="2"))[0]) == (Decimal("0.5"), Decimal(4))


@pytest.mark.parametrize(
    ("terms", "events", "offences", "largest"),
    [
        # the limit itself may be open
        ({"limit": 3}, [opened("2025-06-02", "a", "2"), opened("2025-06-02", "b", "1")], 0, "3"),
        # every position opened above it is one
        ({"limit": 3}, [opened("2025-06-02", n, "2") for n in "abc"], 2, "6"),
        # never over trades that did not overlap
        ({"limit": 3}, [opened("2025-06-02", "a", "2"), closed("2025-06-02"), opened("2025-06-02", "b", "2")], 0, "2"),
        # a part closed makes room for its part
        ({"limit": 3}, [opened("2025-06-02", "a", "3"), closed("2025-06-02", left="1.5"),
                        opened("2025-06-02", "b", "1.5")], 0, "3"),
        ({"limit": 3}, [opened("2025-06-02", "a", "3"), closed("2025-06-02", left="1.5"),
                        opened("2025-06-02", "b", "1.51")], 1, "3.01"),
        # adding to a position counts like another
        ({"limit": 3}, [opened("2025-06-02", "a", "3"), opened("2025-06-02", "a", "0.1", adds=True)], 1, "3.1"),
        ({"limit": 1, "unit": "positions"}, [opened("2025-06-02", "a", "9"), opened("2025-06-02", "b", "9")], 1, "2"),
        ({"limit": 2, "weights": {"MES": "0.1"}}, [opened("2025-06-02", "a", "10", "MES"),
                                                   opened("2025-06-02", "b", "1", "ES")], 0, "2"),
        ({"limit": 2, "weights": {"micro": "0.1"}, "classes": {"MES": "micro", "MNQ": "micro"}},
         [opened("2025-06-02", "a", "11", "MES"), opened("2025-06-02", "b", "10", "MNQ")], 1, "2.1"),
    ],
)  # fmt: skip
def test_exposure_is_summed_at_one_instant(
    terms: dict[str, Any], events: list[Event], offences: int, largest: str
) -> None:
    state, found = tell(exposure(**terms), *events)
    assert (len(found), state.largest) == (offences, Decimal(largest))


def test_the_nth_offence_escalates_and_the_last_consequence_repeats() -> None:
    rule = exposure(limit=1, consequences=[{"kind": "warn"}, {"kind": "close_position"}, {"kind": "fail"}])
    _, found = tell(rule, *(opened("2025-06-02", str(n)) for n in range(6)))
    kinds = [one.consequence.kind for one in found]
    assert kinds == ["warn", "close_position", "fail", "fail", "fail"]
    assert found[0].position_ids == ("1",)


TIERS = [
    {"below": {"type": "amount", "value": 1500}, "max": 2},
    {"below": {"type": "amount", "value": 2000}, "max": 3},
    {"max": 5},
]


@pytest.mark.parametrize(
    ("evaluated", "limits"), [("eod_only", [2, 2, 3, 3, 5, 5, 2]), ("live", [2, 3, 3, 5, 5, 2, 2])]
)
def test_contract_tiers_follow_the_profit(evaluated: str, limits: list[int]) -> None:
    rule = exposure(tiers=TIERS, evaluated=evaluated)
    events: list[Event] = [
        marked("2025-06-02 10:00", INITIAL + 149_999),
        marked("2025-06-02 11:00", INITIAL + 150_000),
        rolled("2025-06-02 21:00", INITIAL + 150_000),
        marked("2025-06-03 10:00", INITIAL + 200_000),
        rolled("2025-06-03 21:00", INITIAL + 200_000),
        marked("2025-06-04 10:00", INITIAL - 1),
        rolled("2025-06-04 21:00", INITIAL - 1),
    ]
    assert [tell(rule, *events[: n + 1])[0].limit for n in range(len(events))] == limits


def test_the_limit_of_a_tier_binds_what_is_opened_then() -> None:
    rule = exposure(tiers=TIERS)
    held: list[Event] = [rolled("2025-06-02 21:00", INITIAL + 150_000), opened("2025-06-03", lots="3")]
    assert not tell(rule, *held, rolled("2025-06-03 21:00"))[1]
    assert len(tell(rule, *held, rolled("2025-06-03 21:00"), opened("2025-06-04", "b", "0.01"))[1]) == 1


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 300), st.booleans()), max_size=40))
def test_exposure_agrees_with_a_naive_sum(moves: list[tuple[str, int, bool]]) -> None:
    held: dict[str, int] = {}
    events: list[Event] = []
    over = 0
    for name, lots, opens in moves:
        if opens:
            held[name] = held.get(name, 0) + lots
            over += sum(held.values()) > 500
            events.append(opened("2025-06-02", name, str(Decimal(lots) / 100)))
        elif name in held:
            held[name] = max(held[name] - lots, 0)
            events.append(closed("2025-06-02", name, str(Decimal(held[name]) / 100)))
            held = {key: value for key, value in held.items() if value}
    rule = exposure(limit=5)
    state, found = tell(rule, *events)
    assert (len(found), rule.exposure(state)) == (over, Decimal(sum(held.values())) / 100)


TWICE = 2 * INITIAL
CURE = {"minutes": 10, "times": 1}


@pytest.mark.parametrize(
    ("terms", "events", "kinds"),
    [
        ({}, [opened("2025-06-02 10:00", value_minor=TWICE)], []),
        ({}, [opened("2025-06-02 10:00", value_minor=TWICE + 1)], ["fail"]),
        # told once as long as it lasts
        ({}, [opened("2025-06-02 10:00", value_minor=TWICE + 1), marked("2025-06-02 11:00")], ["fail"]),
        # losing makes the same positions too large
        ({}, [opened("2025-06-02 10:00", value_minor=TWICE), marked("2025-06-02 11:00", INITIAL - 1)], ["fail"]),
        ({"basis": "initial"},
         [opened("2025-06-02 10:00", value_minor=TWICE), marked("2025-06-02 11:00", INITIAL - 1)], []),
        ({"measure": "margin", "leverage": 30, "multiple": "0.5"},
         [opened("2025-06-02 10:00", value_minor=15 * INITIAL)], []),
        ({"measure": "margin", "leverage": 30, "multiple": "0.5"},
         [opened("2025-06-02 10:00", value_minor=15 * INITIAL + 14)], []),
        # the margin is an amount of money: it is rounded half up to the cent
        ({"measure": "margin", "leverage": 30, "multiple": "0.5"},
         [opened("2025-06-02 10:00", value_minor=15 * INITIAL + 15)], ["fail"]),
        # half closed halves its value
        ({}, [opened("2025-06-02 10:00", value_minor=TWICE), closed("2025-06-02 10:01", left="0.5"),
              opened("2025-06-02 10:02", "b", value_minor=INITIAL)], []),
        # cured within ten minutes, the tenth included
        ({"cure": CURE}, [opened("2025-06-02 10:00", value_minor=TWICE + 1), closed("2025-06-02 10:10")], []),
        ({"cure": CURE}, [opened("2025-06-02 10:00", value_minor=TWICE + 1), closed("2025-06-02 10:10:01")], ["fail"]),
        ({"cure": CURE}, [opened("2025-06-02 10:00", value_minor=TWICE + 1), clocked("2025-06-02 10:10:01")], ["fail"]),
        # once only: the second time it counts at once, and later ones escalate
        ({"cure": CURE, "consequences": [{"kind": "warn"}, {"kind": "fail"}]},
         [event for n in (10, 11, 12) for event in (opened(f"2025-06-02 {n}:00", value_minor=TWICE + 1),
                                                    closed(f"2025-06-02 {n}:05"))], ["warn", "fail"]),
        # a value that nobody knows breaks nothing
        ({}, [opened("2025-06-02 10:00"), opened("2025-06-02 10:00", "b", value_minor=TWICE)], []),
    ],
)  # fmt: skip
def test_exposure_as_a_multiple_of_the_balance(terms: dict[str, Any], events: list[Event], kinds: list[str]) -> None:
    assert [one.consequence.kind for one in tell(multiple(**terms), *events)[1]] == kinds


def test_the_end_of_a_cure_is_due() -> None:
    rule = multiple(cure=CURE)
    state, _ = tell(rule, opened("2025-06-02 10:00", value_minor=TWICE + 1))
    due = rule.due(state, CONTEXT)
    assert due == at("2025-06-02 10:10") + timedelta(microseconds=1)
    assert rule.due(tell(rule, opened("2025-06-02 10:00", value_minor=TWICE))[0], CONTEXT) is None


@pytest.mark.parametrize(
    ("rule", "terms", "field"),
    [
        (LotSizeBand, {"type": "lot_size_band"}, "min_multiple, max_multiple"),
        (LotSizeBand, {"type": "lot_size_band", "min_multiple": 3, "max_multiple": 2}, "first trade itself"),
        (MaxExposure, {"type": "max_exposure"}, "limit, tiers"),
        (MaxExposure, {"type": "max_exposure", "limit": 3, "tiers": TIERS}, "limit, tiers"),
        (MaxExposure, {"type": "max_exposure", "tiers": TIERS[:2]}, "last tier"),
        (MaxExposure, {"type": "max_exposure", "tiers": [TIERS[1], TIERS[0], TIERS[2]]}, "must rise"),
        (ExposureMultiple, {"type": "exposure_multiple", "measure": "margin", "multiple": 2}, "leverage"),
    ],
)
def test_contradictions_are_refused(rule: type[RuleBase], terms: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        rule.model_validate(terms)


def test_words() -> None:
    assert "between 0.25 and 2 times" in band(min_multiple="0.25", max_multiple=2).words(CONTEXT)
    words = exposure(tiers=TIERS, weights={"micro": "0.1"}).words(CONTEXT)
    assert "2 while your profit is below 1,500.00 USD; 3 while" in words
    assert "micro 0.1" in words
    words = multiple(measure="margin", leverage=30, cure=CURE).words(CONTEXT)
    assert "2 times your balance" in words
    assert "back within the limit after 10 minutes at most; this is allowed once" in words
