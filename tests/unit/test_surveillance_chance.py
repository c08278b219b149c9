"""Chance: tails, lines for many tests, and how often the firm opens."""

from itertools import product
from math import isclose

import numpy as np

from surveillance.book import SECOND
from surveillance.candidates import openings
from surveillance.chance.intensity import Intensity
from surveillance.chance.tails import beyond_chance, poisson_binomial_tail
from surveillance.positions import positions
from tests.books import Rows
from tests.crowds import DAY, HOUR


def test_the_tail_is_that_of_all_outcomes() -> None:
    chances = np.array([0.1, 0.5, 0.02, 0.9, 0.3])
    for least in range(7):
        by_hand = 0.0
        for outcome in product([0, 1], repeat=5):
            if sum(outcome) >= least:
                by_hand += float(np.prod(np.where(outcome, chances, 1 - chances)))
        assert isclose(poisson_binomial_tail(chances, least), by_hand, abs_tol=1e-15)


def test_a_tiny_tail_keeps_its_digits() -> None:
    assert isclose(poisson_binomial_tail(np.full(50, 1e-6), 50), 1e-300, rel_tol=1e-9)


def test_the_lines_for_many_tests() -> None:
    """Of ten tests at 5 %, the k-th smallest must be below 0.005 k; under dependence 2.93 times less."""
    p_values = np.array([0.024, 0.001, 0.014, 0.004, 0.3])
    assert beyond_chance(p_values, 10, 0.05, dependent=False).tolist() == [False, True, True, True, False]
    assert beyond_chance(p_values, 10, 0.05).tolist() == [False, True, False, False, False]
    assert beyond_chance(p_values, 10_000, 0.05, dependent=False).tolist() == [False] * 5


def test_a_later_test_below_its_line_takes_the_earlier_ones_with_it() -> None:
    assert beyond_chance(np.array([0.009, 0.012]), 2, 0.012, dependent=False).tolist() == [True, True]


def _firm(at: list[float], suspects: int = 0) -> Intensity:
    """The first account opens at noon, the second seven seconds later; strangers open at the other times."""
    rows = Rows()
    for name in ("model", "other", *(f"s{n}" for n in range(len(at))), *(f"x{n}" for n in range(suspects))):
        rows.account(name)
    rows.trade("model", 12 * HOUR, 60)
    rows.trade("other", 12 * HOUR + 7, 60)
    for n, each in enumerate(at):
        rows.trade(f"s{n}", each, 60)
    for n in range(suspects):
        rows.trade(f"x{n}", 12 * HOUR + 6, 60)
    book = rows.book()
    return Intensity(openings(positions(book.trades)), len(book.accounts))


def _chance(firm: Intensity, suspects: tuple[int, ...] = (0, 1)) -> float:
    chances = firm.chances(
        firm.rows_of(1), firm.rows_of(0), 5 * SECOND, 5 * SECOND, opposite=False, suspects=np.array(suspects)
    )
    assert chances.shape == (1,)
    return float(chances[0])


def test_in_a_busy_minute_to_meet_is_no_surprise() -> None:
    quiet = _chance(_firm([11.6 * HOUR + 30 * n for n in range(40)]))
    busy = _chance(_firm([12 * HOUR + n / 8 for n in range(40)]))
    assert quiet < 0.02
    assert busy > 0.8


def test_another_day_and_another_hour_do_not_count() -> None:
    assert isclose(_chance(_firm([DAY + 12 * HOUR + n for n in range(30)])), _chance(_firm([])), rel_tol=0.5)


def test_the_suspects_do_not_make_their_own_minute_busy() -> None:
    ordinary = [11.6 * HOUR + 30 * n for n in range(40)]
    assert _chance(_firm(ordinary, suspects=20)) > 0.2
    assert _chance(_firm(ordinary, suspects=20), suspects=(0, 1, *range(42, 62))) < 0.02
