"""Rules about positions on the live path: a shard fed event by event. Every proof of an offence holds."""

from typing import Any

import pytest

from tests.unit.conduct_venue import Venue

WARN = {"consequences": [{"kind": "warn"}]}


def test_a_stop_set_in_time_is_seen() -> None:
    venue = Venue({"type": "required_stop", "grace_seconds": 60, **WARN})
    venue.open("a")
    venue.wait(seconds=30)
    venue.protect("a", stop_loss="1.09")
    venue.wait(minutes=5)
    assert venue.found == []
    venue.restart()
    venue.protect("a")
    venue.wait(seconds=61)
    assert venue.found == [("warn", "required_stop", 1)]


def test_a_stop_that_risks_too_much_is_found_when_it_is_moved() -> None:
    risk = {"max_risk": {"type": "pct_of_balance", "value": "1"}}
    venue = Venue({"type": "required_stop", "grace_seconds": 60, **risk, **WARN})
    venue.open("a", stop_loss="1.09")  # 1 lot, 100 pips: 1,000.00 of 100,000.00
    venue.protect("a", stop_loss="1.0901")
    assert venue.found == []
    venue.protect("a", stop_loss="1.08999")
    assert venue.found == [("warn", "required_stop", 1)]


def test_a_take_profit_is_required_live() -> None:
    venue = Venue({"type": "required_stop", "grace_seconds": 0, "require": "take_profit", **WARN})
    venue.open("a", take_profit="1.11")
    assert venue.found == []
    venue.open("b", stop_loss="1.09")
    assert venue.found == [("warn", "required_stop", 1)]
    venue.protect("a", stop_loss="1.09")
    assert venue.found == [("warn", "required_stop", 1), ("warn", "required_stop", 2)]


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        ({"type": "no_hedging"}, {"side": "buy"}, {"side": "sell"}),
        ({"type": "max_trades_per_day", "limit": 1}, {}, {}),
        ({"type": "max_exposure", "limit": "1", "unit": "positions", "per": "symbol"}, {}, {}),
        ({"type": "max_exposure", "limit": "2", "per": "order"}, {"lots": "2"}, {"lots": "2.01"}),
        ({"type": "max_exposure", "limit": "1", "only": "without_stop"}, {}, {"lots": "0.01"}),
        (
            {"type": "exposure_multiple", "measure": "notional", "multiple": "1.5", "per": "symbol"},
            {},
            {"lots": "0.5"},
        ),
    ],
)
def test_an_offence_is_found_once_and_its_proof_holds(
    rule: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    venue = Venue(rule | WARN)
    venue.open("a", **first)
    assert venue.found == []
    venue.restart()
    venue.open("b", **second)
    assert venue.found == [("warn", rule["type"], 1)]
    venue.restart()
    venue.wait(minutes=5)
    assert len(venue.found) == 1


def test_a_position_that_gets_its_stop_later_leaves_the_sum() -> None:
    venue = Venue({"type": "max_exposure", "limit": "1", "only": "without_stop", **WARN})
    venue.open("a")
    venue.protect("a", stop_loss="1.09")
    venue.open("b")
    assert venue.found == []
    venue.protect("a")
    venue.open("c", "0.01")
    assert venue.found == [("warn", "max_exposure", 1)]


def test_openings_that_count_as_one_are_judged_when_the_minutes_are_over() -> None:
    venue = Venue({"type": "lot_size_band", "max_multiple": "2", "merge_within_minutes": 5, **WARN})
    venue.open("a", "0.5")
    venue.wait(minutes=10)
    for position in "bc":
        venue.open(position, "0.6")
        venue.wait(minutes=2)
    assert venue.found == []
    venue.restart()
    venue.wait(minutes=2)
    assert venue.found == [("warn", "lot_size_band", 1)]
