"""Grids: baskets at near-equal steps, their evasions, and what only looks like them."""

from math import nan

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.grid import Grid, GridThresholds, _chance_of_steps
from tests.books import Rows

DAY = 86_400.0
PIP = 0.0001


def found(rows: Rows, **limits: float) -> tuple[Finding, ...]:
    return Grid(Limits(GridThresholds.model_validate(limits))).judge(rows.book()).findings


def basket(
    rows: Rows,
    day: int,
    pips: list[float],
    *,
    side: int = 1,
    lots: list[float] | None = None,
    stop: float | None = None,
    close_apart: float = 1.0,
    account: str = "a",
) -> None:
    """A level each twenty minutes, `pips` against the first; all closed six hours after the first opened."""
    for n, against in enumerate(pips):
        opened = day * DAY + n * 1200
        price = 1.3 - side * against * PIP
        size = lots[n] if lots else 1.0
        rows.trade(
            account, opened, day * DAY + 21_600 + n * close_apart - opened, side=side, lots=size, open_price=price,
            close_price=1.3, profit=side * (1.3 - price) * 100_000 * size,
            stop=nan if stop is None else stop,
        )  # fmt: skip


def one() -> Rows:
    rows = Rows()
    rows.account("a")
    return rows


def test_two_baskets_of_equal_steps_are_found_with_their_ladders() -> None:
    rows = one()
    basket(rows, 0, [0, 20, 40, 60])
    basket(rows, 1, [0, 20, 41, 60, 80], side=-1)
    (finding,) = found(rows)
    assert finding.key == "grid/a"
    assert finding.sentence == (
        "2 baskets of up to 5 positions in EURUSD, opened at nearly equal steps against the price (steps vary by 2 %) "
        "and closed together."
    )
    assert len(finding.deals) == 9
    assert finding.evidence[1].rows[1][6] == "0.002"  # type: ignore[union-attr]


def test_the_chance_of_three_steps_is_the_share_of_the_triangle() -> None:
    """Steps that vary by 0.25 lie in a circle of 1.209 x 0.25^2 of the triangle of all: 7.6 %. Drawn: the same."""
    assert _chance_of_steps(3, 0.25) == pytest.approx(0.0756, abs=0.0005)
    entries = np.sort(np.random.default_rng(1).random((100_000, 2)), axis=1)
    steps = np.diff(entries, axis=1, prepend=0, append=1)
    assert np.mean(steps.std(axis=1) / steps.mean(axis=1) <= 0.25) == pytest.approx(0.0756, abs=0.005)


def test_scaled_lots_and_jittered_steps_are_found() -> None:
    rows = one()
    rng = np.random.default_rng(7)
    for day in range(3):
        steps = 15 * (1 + rng.uniform(-0.15, 0.15, 5))
        basket(rows, day, [0.0, *np.cumsum(steps).tolist()], lots=[1, 1.3, 1.7, 2.2, 2.9, 3.7])
    assert found(rows)


def test_legs_split_within_seconds_are_one_level() -> None:
    rows = one()
    for n in range(5):
        for leg in range(2):
            rows.trade("a", n * 1200 + 3 * leg, 20_000 - n * 1200, lots=0.5, open_price=1.3 - n * 15 * PIP)
    (finding,) = found(rows)
    assert "1 basket of up to 5 positions" in finding.sentence


def test_a_missing_level_and_closes_spread_over_minutes_are_found() -> None:
    rows = one()
    basket(rows, 0, [0, 20, 40, 80, 100, 120], close_apart=45)
    assert found(rows)


def test_a_basket_closed_in_parts_is_found() -> None:
    rows = one()
    for n in range(6):
        for part in range(2):
            rows.trade(
                "a", n * 1200, 20_000 - n * 1200 + 900 * part, position=f"p{n}", lots=0.5, open_price=1.3 - n * 15 * PIP
            )
    assert found(rows)


def test_a_planned_scale_in_with_one_stop_is_spared() -> None:
    """0.4 lots a level, 80, 60, 40 and 20 pips from one stop: 800 of a daily limit of 5,000."""
    rows = one()
    for day in range(4):
        basket(rows, day, [0, 20, 40, 60], lots=[0.4] * 4, stop=1.3 - 80 * PIP)
    assert not found(rows)


def test_one_stop_beyond_what_a_plan_may_risk_excuses_nothing() -> None:
    """4 lots a level to the same stop: 8,000 of a daily limit of 5,000."""
    rows = one()
    for day in range(4):
        basket(rows, day, [0, 20, 40, 60], lots=[4.0] * 4, stop=1.3 - 80 * PIP)
    assert found(rows)


def test_additions_to_a_winner_are_spared() -> None:
    rows = one()
    for day in range(4):
        basket(rows, day, [0, -20, -40, -60, -80])
    assert not found(rows)


def test_one_position_closed_in_parts_is_spared() -> None:
    rows = one()
    for day in range(4):
        for part in range(5):
            rows.trade("a", day * DAY, 3600 + 10 * part, position=f"p{day}", lots=0.2, close_price=1.3 + 0.001 * part)
    assert not found(rows)


def test_buying_at_regular_times_is_spared() -> None:
    """Cost averaging: a position each hour wherever the price is, all closed together."""
    rng = np.random.default_rng(3)
    rows = one()
    for day in range(40):
        basket(rows, day, np.cumsum(rng.normal(2, 10, 6)).tolist())
    assert not found(rows)


def test_averaging_down_at_uneven_steps_is_found_as_rarely_as_the_chance_says() -> None:
    """300 accounts of six baskets each; with a chance of 2 % six are expected."""
    rng = np.random.default_rng(3)
    rows = Rows()
    for n in range(300):
        rows.account(f"b{n}")
        for day in range(6):
            basket(rows, day, [0.0, *np.cumsum(rng.exponential(20, 4)).tolist()], account=f"b{n}")
    assert len(found(rows)) <= 12


def test_levels_that_close_one_by_one_are_spared() -> None:
    rows = one()
    for day in range(4):
        basket(rows, day, [0, 20, 40, 60], close_apart=1800)
    assert not found(rows)
