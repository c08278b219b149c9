"""The benchmarks measure the live code: their figures are all there, and nothing they judge is judged wrong."""

from itertools import pairwise
from typing import Any

import pytest

from cli.bench.columns import Columnar, compile_seconds, scaling
from cli.bench.firm import START, Firm, terms_of_firm
from cli.bench.lives import life
from cli.bench.market import Market
from cli.bench.rules import measure as measure_rules
from cli.bench.timing import percentile, spread
from domain.rules.events import Rolled
from domain.rules.registry import rule_types


def a_firm(accounts: int, symbols: int = 40) -> Firm:
    return Firm(Market(symbols, 7, START), accounts, 3, 7)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    columnar = Columnar(a_firm(500), lambda what: None)
    found = columnar.marks(rounds=1)
    return found | columnar.ticks(0.2) | {"memory": columnar.memory()}


def test_every_account_is_judged_as_the_exact_engine_judges_it(figures: dict[str, Any]) -> None:
    assert figures["wrong"] == 0
    assert figures["baselines_agree"]
    assert figures["breaches"] > 0
    assert figures["near_misses"] > 0
    assert figures["accounts_with_more_than_three_positions"] > 0


def test_marks_and_baselines_are_timed_in_the_same_run(figures: dict[str, Any]) -> None:
    timed = ("remark_all_ms", "copy_ms", "one_symbol_tick_ms", "python_loop_ms", "polars_ms", "duckdb_ms")
    assert all(figures[name] > 0 for name in (*timed, "remark_over_copy", "ticks_per_second"))


def test_memory_counts_columns_and_objects(figures: dict[str, Any]) -> None:
    memory = figures["memory"]
    parts = sum(value for name, value in memory.items() if name != "total")
    assert memory["total"] == pytest.approx(parts, rel=0.01)


def test_the_same_seed_makes_the_same_firm() -> None:
    assert list(a_firm(60).loaded()) == list(a_firm(60).loaded())


def test_other_sizes_and_symbols_are_measured_too() -> None:
    assert scaling(500, 60, 3, rounds=1)["accounts"] == 500
    assert compile_seconds() >= 0


def test_each_kind_of_rule_agrees_with_the_naive_way() -> None:
    found = measure_rules(0.05, lambda what: None, ages=(600, 1_200))
    lives, unknown = found.pop("lives"), found.pop("not_measured")
    assert found.keys() == {"daily_loss", "daily_move_cap", "max_loss_static", "max_loss_trailing", "four_levels"}
    assert all(kind["agree"] and kind["evaluations_per_second"] > 0 for kind in found.values())
    assert found["four_levels"]["levels"] == 4
    assert lives.keys() | unknown == rule_types().keys()
    assert "max_loss_static" in lives
    assert "cooldown" in lives, "a type that no product has is measured with the terms given for it"
    assert all(life["us_per_event"].keys() == {"600", "1200"} for life in lives.values())


def test_a_life_goes_on_for_as_many_events_as_are_asked_for() -> None:
    clock = terms_of_firm()[0].product.clock
    events = life(clock, 10_000_000, 2_500)
    assert [event.seq for event in events] == list(range(1, 2_501))
    assert all(before.at <= after.at for before, after in pairwise(events))
    resets = [event for event in events if isinstance(event, Rolled)]
    assert [event.day for event in resets] == sorted({event.day for event in resets if event.day})


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert spread(values) == {"p50": 50.0, "p99": 99.0}
    assert percentile([3.0], 0.99) == 3.0
