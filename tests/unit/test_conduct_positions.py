"""Rules about open positions: sums by symbol and class, what can still lose, orders, hedging, trades a day."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.rules.base import RuleBase
from domain.rules.conduct.exposure_multiple import MultipleState
from domain.rules.conduct.max_exposure import ExposureState
from domain.rules.conduct.required_stop import StopState
from domain.rules.events import Event, TakeProfitChanged
from tests.unit.conduct_story import (
    BAND,
    CONTEXT,
    DAY,
    INITIAL,
    at,
    clocked,
    closed,
    marked,
    moment,
    offenders,
    opened,
    rolled,
    rule,
    stop,
    tell,
)

METALS = {"XAUUSD": "metals", "XAGUSD": "metals"}


def target(when: str, price: str | None, position: str = "a") -> TakeProfitChanged:
    return TakeProfitChanged(
        **moment(when), position_id=position, take_profit=None if price is None else Decimal(price)
    )


# sums of max_exposure


@pytest.mark.parametrize(
    ("terms", "events", "offending"),
    [
        # two symbols have a sum of their own, and one limit for all
        ({"limit": 2, "per": "symbol"}, [opened(DAY, "a", "2"), opened(DAY, "b", "2", "GBPUSD"),
                                         opened(DAY, "c", "0.01")], [("c",)]),
        # stacking: positions in one symbol
        ({"limit": 2, "per": "symbol", "unit": "positions"},
         [opened(DAY, n, "1.5", "XAUUSD") for n in "abc"], [("c",)]),
        # adding to a position opens no further one
        ({"limit": 1, "per": "symbol", "unit": "positions"},
         [opened(DAY, "a"), opened(DAY, "a", adds=True), opened(DAY, "b")], [("b",)]),
        # a limit by name: no limit for the others
        ({"limit": {"EURUSD": 1}, "per": "symbol"}, [opened(DAY, "a", "1.01"), opened(DAY, "b", "90", "GBPUSD")],
         [("a",)]),
        ({"limit": {"metals": 2, "EURUSD": 10}, "per": "class", "classes": METALS},
         [opened(DAY, "a", "10"), opened(DAY, "b", "1.5", "XAUUSD"), opened(DAY, "c", "0.5", "XAGUSD"),
          opened(DAY, "d", "0.01", "XAGUSD")], [("d",)]),
        # the weight of a class counts in the sum of its class
        ({"limit": 1, "per": "class", "classes": METALS, "weights": {"metals": "0.5"}},
         [opened(DAY, "a", "2", "XAUUSD"), opened(DAY, "b", "0.02", "XAGUSD")], [("b",)]),
        # closing in part, and for good, makes room in its own sum only
        ({"limit": 2, "per": "symbol"}, [opened(DAY, "a", "2"), opened(DAY, "b", "2", "GBPUSD"),
                                         closed(DAY, "a", left="1"), opened(DAY, "c", "1"),
                                         opened(DAY, "d", "1", "GBPUSD")], [("d",)]),
        # an order alone, however much is open; adding to a position is an order too
        ({"limit": 5, "per": "order"}, [opened(DAY, "a", "5"), opened(DAY, "b", "5.01"),
                                        opened(DAY, "a", "5", adds=True)], [("b",)]),
        ({"limit": 5, "per": "order", "weights": {"MES": "0.1"}}, [opened(DAY, "a", "50", "MES"),
                                                                  opened(DAY, "b", "51", "MES")], [("b",)]),
        # what cannot be counted is never an offence
        ({"limit": 1, "weights": {"free": 0}, "classes": {"X": "free"}},
         [opened(DAY, "a", "5", "X"), opened(DAY, "b", "5", "X"), closed(DAY, "a", symbol="X"),
          closed(DAY, "b", symbol="X"), opened(DAY, "c", "1")], []),
    ],
)  # fmt: skip
def test_sums_of_exposure(terms: dict[str, Any], events: list[Event], offending: list[tuple[str, ...]]) -> None:
    assert offenders("max_exposure", events, **terms) == offending


def priced(position: str, stop_price: str | None, side: str = "buy", price: str = "1.1") -> Event:
    guard = None if stop_price is None else Decimal(stop_price)
    return opened(DAY, position, side=side, price=Decimal(price), stop_price=guard)


@pytest.mark.parametrize(
    ("only", "events", "offending"),
    [
        ("without_stop", [priced("a", "1.0"), priced("b", "1.0"), priced("c", None), priced("d", None)], [("d",)]),
        # the stop that is set later takes the position out of the sum; removing it puts it back
        ("without_stop", [priced("a", None), stop(DAY, "1.0", "a"), priced("b", None)], []),
        ("without_stop", [priced("a", "1.0"), stop(DAY, None, "a"), priced("b", None)], [("b",)]),
        # only an opening is an offence, and only of a position that counts
        ("without_stop", [priced("a", "1.0"), priced("b", "1.0"), stop(DAY, None, "a"), stop(DAY, None, "b"),
                          priced("c", "1.0")], []),
        # a stop at the entry price is not short of it
        ("with_risk", [priced("a", "1.1"), priced("b", "1.2"), priced("c", "1.0999"), priced("d", "1.05")], [("d",)]),
        ("with_risk", [priced("a", "1.1", "sell"), priced("b", "1.0", "sell"), priced("c", "1.11", "sell"),
                       priced("d", None, "sell")], [("d",)]),
        ("with_risk", [priced("a", "1.0"), stop(DAY, "1.1", "a"), priced("b", "1.0")], []),
        # without a price, the stated risk decides; without that, it can lose
        ("with_risk", [opened(DAY, "a", stop_price=Decimal(1), risk_minor=0), opened(DAY, "b")], []),
        ("with_risk", [opened(DAY, "a", stop_price=Decimal(1)), opened(DAY, "b")], [("b",)]),
        # 1 at 1.1 and 1 at 1.3: the average is 1.2
        ("with_risk", [priced("a", "1.2"), opened(DAY, "a", price=Decimal("1.3"), adds=True), priced("b", None)], []),
        ("with_risk", [priced("a", "1.19"), opened(DAY, "a", price=Decimal("1.3"), adds=True), priced("b", None)],
         [("a",), ("b",)]),
    ],
)  # fmt: skip
def test_only_what_can_lose(only: str, events: list[Event], offending: list[tuple[str, ...]]) -> None:
    assert offenders("max_exposure", events, limit=1, only=only) == offending


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["open", "close", "part", "stop", "bare"])), max_size=40
    )
)
def test_sums_agree_with_a_naive_sum(moves: list[tuple[str, str]]) -> None:
    held: dict[str, list[Any]] = {}  # lots, has a stop
    events: list[Event] = []
    for name, what in moves:
        symbol = "XAUUSD" if name < "d" else "EURUSD"
        if what == "open":
            lots = held.get(name, [Decimal(0)])[0] + 1
            held[name] = [lots, held.get(name, [0, False])[1]]
            events.append(opened(DAY, name, symbol=symbol))
        elif name in held and what in ("stop", "bare"):
            held[name][1] = what == "stop"
            events.append(stop(DAY, "1" if what == "stop" else None, name))
        elif name in held:
            left = held[name][0] / 2 if what == "part" else Decimal(0)
            events.append(closed(DAY, name, str(left), symbol))
            held[name][0] = left
            held = {key: value for key, value in held.items() if value[0]}
    sums: dict[str, Decimal] = {}
    for name, (lots, guarded) in held.items():
        group = "metals" if name < "d" else "EURUSD"
        sums[group] = sums.get(group, Decimal(0)) + (0 if guarded else lots)
    exposure = rule("max_exposure", limit=10**6, per="class", classes=METALS, only="without_stop")
    state, _ = tell(exposure, *events)
    assert {name: total for name, total in sums.items() if total} == state.sums


# multiples

TWICE = 2 * INITIAL


@pytest.mark.parametrize(
    ("terms", "events", "offences"),
    [
        ({"per": "symbol"}, [opened(DAY, "a", value_minor=TWICE), opened(DAY, "b", symbol="X", value_minor=TWICE)], 0),
        ({"per": "symbol"}, [opened(DAY, "a", value_minor=TWICE), opened(DAY, "b", symbol="X", value_minor=TWICE + 1)],
         1),
        # two sums above their limits are two offences; what stays above is none
        ({"per": "symbol"}, [opened(DAY, "a", value_minor=TWICE + 1),
                             opened(DAY, "b", symbol="X", value_minor=TWICE + 1), marked(DAY)], 2),
        ({"per": "class", "classes": METALS, "multiple": {"metals": 1}},
         [opened(DAY, "a", value_minor=9 * INITIAL), opened(DAY, "b", symbol="XAUUSD", value_minor=INITIAL),
          opened(DAY, "c", symbol="XAGUSD", value_minor=1)], 1),
        # each time it rises above
        ({}, [opened(DAY, "a", value_minor=TWICE + 1), closed(DAY, "a"), opened(DAY, "b", value_minor=TWICE + 1)], 2),
        ({"only": "without_stop"}, [opened(DAY, "a", value_minor=TWICE + 1, stop_price=Decimal(1)), stop(DAY, None)],
         1),
        ({"only": "without_stop"}, [opened(DAY, "a", value_minor=TWICE + 1), stop(DAY, "1"), stop(DAY, None)], 2),
        # a third of 0.03 left, then of it a half: the value by the lots left, rounded once
        ({"basis": "initial", "multiple": "0.0000001"},
         [opened(DAY, "a", "3", value_minor=3), closed(DAY, "a", left="2"), closed(DAY, "a", left="1")], 1),
        # one cure for all sums: the second excess at the same time counts at once
        ({"per": "symbol", "cure": {"minutes": 10}},
         [opened(f"{DAY} 10:00", "a", value_minor=TWICE + 1),
          opened(f"{DAY} 10:01", "b", symbol="X", value_minor=TWICE + 1), closed(f"{DAY} 10:05", "a")], 1),
        # nothing open is never too much, whatever the equity
        ({"basis": "balance"}, [marked(DAY, -1)], 0),
    ],
)  # fmt: skip
def test_sums_of_multiples(terms: dict[str, Any], events: list[Event], offences: int) -> None:
    assert len(offenders("exposure_multiple", events, **{"measure": "notional", "multiple": 2, **terms})) == offences


# states of earlier versions

OLD_HOLDING = {"position_id": "a", "symbol": "EURUSD", "side": "buy", "lots": "2", "opened_at": "2025-06-02T09:00:00Z",
               "value_minor": 20_000_001}  # fmt: skip


def test_a_stored_exposure_of_an_earlier_version_goes_on() -> None:
    old = ExposureState.model_validate({"limit": "3", "holdings": [OLD_HOLDING], "largest": "2", "offences": 0})
    exposure = rule("max_exposure", limit=3)
    assert exposure.exposure(old) == 2  # type: ignore[attr-defined]
    state, found = exposure.step(old, opened(DAY, "b", "1.01"), CONTEXT)
    assert [one.position_ids for one in found] == [("b",)]
    assert exposure.step(state, closed(DAY, "a"), CONTEXT)[0].sums == {"account": Decimal("1.01")}


@pytest.mark.parametrize(("told", "offences"), [(True, 0), (False, 1)])
def test_a_stored_excess_of_an_earlier_version_goes_on(told: bool, offences: int) -> None:
    data = {"holdings": [OLD_HOLDING], "over_since": "2025-06-02T10:00:00Z", "told": told, "cured": 0, "offences": 0}
    old = MultipleState.model_validate(data)
    multiple = rule("exposure_multiple", measure="notional", multiple=2, cure={"minutes": 10})
    due = None if told else at(f"{DAY} 10:10") + timedelta(microseconds=1)
    assert multiple.due(old, CONTEXT) == due
    assert len(multiple.step(old, clocked(f"{DAY} 10:10:01"), CONTEXT)[1]) == offences


def test_a_stored_guard_of_an_earlier_version_goes_on() -> None:
    positions = [{"position_id": "a", "bare_since": "2025-06-02T10:00:00Z", "told": False},
                 {"position_id": "b", "bare_since": None, "told": False}]  # fmt: skip
    old, guard = (
        StopState.model_validate({"positions": positions, "offences": 0}),
        rule("required_stop", grace_seconds=30),
    )
    assert guard.due(old, CONTEXT) == at(f"{DAY} 10:00:30.000001")
    state, found = guard.step(old, clocked(f"{DAY} 10:00:31"), CONTEXT)
    assert [one.position_ids for one in found] == [("a",)]
    assert not guard.step(state, clocked(f"{DAY} 11:00"), CONTEXT)[1], "b has a stop"


# hedging

CORRELATED = [["EURUSD", "GBPUSD"], ["GBPUSD", "AUDUSD"]]
MINI = [["ES", "MES"], ["NQ", "MNQ"]]


@pytest.mark.parametrize(
    ("terms", "events", "offending"),
    [
        ({}, [opened(DAY, "a"), opened(DAY, "b", side="sell")], [("b",)]),
        ({}, [opened(DAY, "a"), opened(DAY, "b")], []),
        ({}, [opened(DAY, "a"), opened(DAY, "b", symbol="GBPUSD", side="sell")], []),
        ({}, [opened(DAY, "a"), closed(DAY, "a", left="0.5"), opened(DAY, "b", side="sell")], [("b",)]),
        ({}, [opened(DAY, "a"), closed(DAY, "a"), opened(DAY, "b", side="sell")], []),
        # against one of two
        ({}, [opened(DAY, "a"), opened(DAY, "b"), closed(DAY, "a"), opened(DAY, "c", side="sell")], [("c",)]),
        # adding to a position opens none
        ({}, [opened(DAY, "a"), opened(DAY, "b", side="sell"), opened(DAY, "b", side="sell", adds=True)], [("b",)]),
        ({"groups": CORRELATED}, [opened(DAY, "a"), opened(DAY, "b", symbol="GBPUSD", side="sell")], [("b",)]),
        ({"groups": CORRELATED}, [opened(DAY, "a"), opened(DAY, "b", symbol="GBPUSD")], []),
        # a group is shared, not passed on
        ({"groups": CORRELATED}, [opened(DAY, "a"), opened(DAY, "b", symbol="AUDUSD", side="sell")], []),
        ({"groups": MINI, "bans": "any_two_symbols"}, [opened(DAY, "a", symbol="ES"), opened(DAY, "b", symbol="MES")],
         [("b",)]),
        ({"groups": MINI, "bans": "any_two_symbols"},
         [opened(DAY, "a", symbol="ES"), opened(DAY, "b", symbol="MES", side="sell")], [("b",)]),
        ({"groups": MINI, "bans": "any_two_symbols"}, [opened(DAY, "a", symbol="ES"), opened(DAY, "b", symbol="MNQ")],
         []),
        # both sides of one symbol are no two symbols
        ({"groups": MINI, "bans": "any_two_symbols"},
         [opened(DAY, "a", symbol="ES"), opened(DAY, "b", symbol="ES", side="sell")], []),
    ],
)  # fmt: skip
def test_hedging(terms: dict[str, Any], events: list[Event], offending: list[tuple[str, ...]]) -> None:
    assert offenders("no_hedging", events, **terms) == offending


def test_an_offence_of_hedging_names_the_other_position() -> None:
    _, found = tell(rule("no_hedging", groups=CORRELATED), opened(DAY), opened(DAY, "b", symbol="GBPUSD", side="sell"))
    assert found[0].sentence == "A sell position in GBPUSD was opened while a buy position in EURUSD was open."


# trades a day


@pytest.mark.parametrize(
    ("limit", "events", "offending"),
    [
        (2, [opened(DAY, n) for n in "abcd"], [("c",), ("d",)]),
        (2, [opened(DAY, "a"), closed(DAY, "a"), opened(DAY, "b"), rolled(DAY), opened(DAY, "c")], []),
        (1, [opened(DAY, "a"), opened(DAY, "a", adds=True)], []),
        (0, [opened(DAY, "a")], [("a",)]),
    ],
)
def test_trades_a_day(limit: int, events: list[Event], offending: list[tuple[str, ...]]) -> None:
    assert offenders("max_trades_per_day", events, limit=limit) == offending


# stops and targets


@pytest.mark.parametrize(
    ("terms", "events", "offences"),
    [
        ({"require": "take_profit"}, [opened(f"{DAY} 10:00", take_profit=Decimal(2)), clocked(f"{DAY} 11:00")], 0),
        ({"require": "take_profit"}, [opened(f"{DAY} 10:00", stop_price=Decimal(1)), clocked(f"{DAY} 11:00")], 1),
        ({"require": "take_profit"}, [opened(f"{DAY} 10:00"), target(f"{DAY} 10:00:30", "2"), clocked(f"{DAY} 11:00")],
         0),
        ({"require": "take_profit"}, [opened(f"{DAY} 10:00", take_profit=Decimal(2)), target(f"{DAY} 10:10", None),
                                      clocked(f"{DAY} 10:10:31")], 1),
        # removing a stop that is not required changes nothing
        ({"require": "take_profit"}, [opened(f"{DAY} 10:00", take_profit=Decimal(2)), stop(f"{DAY} 10:10", None),
                                      clocked(f"{DAY} 11:00")], 0),
        ({"require": "both"}, [opened(f"{DAY} 10:00", take_profit=Decimal(2)), clocked(f"{DAY} 11:00")], 1),
        ({"require": "both"}, [opened(f"{DAY} 10:00", take_profit=Decimal(2)), stop(f"{DAY} 10:00:20", "1"),
                               clocked(f"{DAY} 11:00")], 0),
        # setting one of the two does not begin the time anew
        ({"require": "both"}, [opened(f"{DAY} 10:00"), stop(f"{DAY} 10:00:20", "1"), clocked(f"{DAY} 10:00:31")], 1),
        # 2 % of the balance after the event
        ({"max_risk": {"type": "pct_of_balance", "value": 2}},
         [opened(DAY, stop_price=Decimal(1), risk_minor=200_000)], 0),
        ({"max_risk": {"type": "pct_of_balance", "value": 2}},
         [opened(DAY, stop_price=Decimal(1), risk_minor=200_001)], 1),
    ],
)  # fmt: skip
def test_stops_and_targets(terms: dict[str, Any], events: list[Event], offences: int) -> None:
    assert len(offenders("required_stop", events, **{"grace_seconds": 30, **terms})) == offences


def test_an_offence_says_what_was_missing() -> None:
    guard = rule("required_stop", grace_seconds=0, require="both")
    _, found = tell(
        guard, opened(DAY, stop_price=Decimal(1)), opened(DAY, "b", take_profit=Decimal(1)), opened(DAY, "c")
    )
    assert [one.sentence.split(" had no ")[1].split(" for ")[0] for one in found] == [
        "take profit", "stop loss", "stop loss and take profit",
    ]  # fmt: skip


# terms


@pytest.mark.parametrize(
    ("kind", "terms", "field"),
    [
        ("max_exposure", {"limit": {"EURUSD": 2}}, "per"),
        ("max_exposure", {"limit": {}, "per": "symbol"}, "limit"),
        ("max_exposure", {"limit": 2, "per": "order", "unit": "positions"}, "per"),
        ("max_exposure", {"limit": 2, "per": "order", "only": "with_risk"}, "per"),
        ("exposure_multiple", {"measure": "notional", "multiple": {"EURUSD": 2}}, "multiple"),
        ("no_hedging", {"bans": "any_two_symbols"}, "groups"),
        ("no_hedging", {"groups": [["EURUSD"]]}, "groups"),
        ("no_hedging", {"groups": [["EURUSD", "EURUSD"]]}, "groups"),
        ("required_stop", {"grace_seconds": 1, "require": "take_profit", "max_risk": {"type": "amount", "value": 1}},
         "max_risk"),
        ("max_trades_per_day", {"limit": -1}, "limit"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(kind: str, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        rule(kind, **terms)


WORDS: list[tuple[str, dict[str, Any], str]] = [
    ("max_exposure", {"limit": 2, "unit": "positions", "per": "symbol"},
     "the number of your open positions in one symbol must not exceed 2."),
    ("max_exposure", {"limit": {"metals": 2, "EURUSD": 10}, "per": "class", "classes": METALS},
     "in one class must not exceed 10 in EURUSD and 2 in metals. There is no limit for any other. Class metals:"),
    ("max_exposure", {"limit": 2, "only": "without_stop"}, "total lots of your open positions without a stop loss"),
    ("max_exposure", {"limit": 2, "per": "order"}, "Order size. The lots of one order must not exceed 2."),
    ("exposure_multiple", {"measure": "notional", "multiple": "0.03", "per": "symbol", "only": "with_risk"},
     "open positions that can still lose (without a stop loss, or with one short of the entry price) in one symbol"),
    ("exposure_multiple", {"measure": "notional", "multiple": {"X": 2}, "per": "symbol"},
     "exceed 2 times your balance in X. There is no limit for any other."),
    ("no_hedging", {"groups": MINI}, "or in a symbol of the same group. Groups: ES, MES; NQ, MNQ."),
    ("no_hedging", {"groups": MINI[:1], "bans": "any_two_symbols"},
     "while one in another symbol of the same group is open. Group: ES, MES."),
    ("max_trades_per_day", {"limit": 1}, "at most 1 position on one trading day."),
    ("required_stop", {"grace_seconds": 60, "require": "both"}, "stop loss and a take profit within 1 minute"),
    ("required_stop", {"grace_seconds": 60, "require": "take_profit"}, "Take profit. Every position must have a take"),
    ("required_stop", {"grace_seconds": 60, "max_risk": {"type": "pct_of_balance", "value": 2}},
     "must limit the loss to 2 % of your current balance."),
    ("lot_size_band", {**BAND, "merge_within_minutes": 5}, "count as one trade if they are at most 5 minutes after"),
    ("lot_size_band", {**BAND, "reference": "average_of_closed"}, "times the average lots of your closed trades."),
    ("max_loss_per_trade_idea", {"limit": {"type": "pct_of_peak", "value": 1}, "compare": ">="},
     "may lose less than 1 % of the highest balance at a daily reset."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "terms", "said"), WORDS)
def test_words(kind: str, terms: dict[str, Any], said: str) -> None:
    words = rule(kind, **terms).words(CONTEXT)
    assert said in words
    assert words.endswith("Consequence: the account is closed.")


@pytest.mark.parametrize(("kind", "terms", "_"), WORDS)
def test_terms_survive_json(kind: str, terms: dict[str, Any], _: str) -> None:
    made: RuleBase = rule(kind, **terms)
    assert type(made).model_validate_json(made.model_dump_json()) == made
