"""Clocks of venues, fitted from fills before any lag is believed."""

from functools import cache

import numpy as np
import pytest

from surveillance.book import SECOND
from surveillance.market.clock import Clocks, venue_clocks
from surveillance.market.fills import fills_of, references
from tests.books import Rows
from tests.markets import SPREAD, Tape, ordinary, tape


@cache
def market() -> Tape:
    return tape(hours=8)


def firm(*clocks: float) -> Rows:
    rows = Rows()
    for n, clock in enumerate(clocks):
        ordinary(rows, market(), f"a{n}", 30, seed=n, clock=clock)
    rows.quotes["EURUSD"] = market().quotes
    return rows


def fitted(rows: Rows) -> Clocks:
    book = rows.book()
    return venue_clocks(book, fills_of(book), references(book))


@pytest.mark.parametrize("clock", [0.0, 0.35, -2.0, 61.0, 7200.0])
def test_the_offset_of_the_firms_venue(clock: float) -> None:
    found = fitted(firm(*[clock] * 6))
    assert found.fitted.all()
    assert np.abs(found.offset - clock * SECOND).max() <= 0.1 * SECOND
    assert found.uncertainty.max() <= 0.4 * SECOND
    assert found.unlike == ""


def test_two_venues_have_a_clock_each() -> None:
    found = fitted(firm(0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5, 5))
    assert np.abs(found.offset[:7]).max() <= 0.1 * SECOND
    assert np.abs(found.offset[7:] - 5 * SECOND).max() <= 0.1 * SECOND


def test_a_single_traders_delay_is_no_clock() -> None:
    found = fitted(firm(0, 0, 0, 0, 0, 0, 0, 5))
    assert np.abs(found.offset).max() <= 0.1 * SECOND
    alone = fitted(firm(5))
    assert not alone.fitted.any()
    assert alone.offset.tolist() == [0]


def test_the_delay_of_a_few_is_told_and_no_clock() -> None:
    found = fitted(firm(0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5))
    assert np.abs(found.offset).max() <= 0.1 * SECOND
    assert np.abs(found.own[7:] - 5 * SECOND).max() <= 0.1 * SECOND
    assert not found.own[:7].any()
    assert "The fills of this account fit best at +5" in found.words(8)
    assert found.words(0).endswith("corrected for this.")


def test_an_offset_that_the_book_tells_is_taken() -> None:
    book = firm(0, 0, 0).book()
    told = type(book)(**{**vars(book), "clock_offset": np.array([1, 2, 3]) * SECOND})
    found = venue_clocks(told, fills_of(told), references(told))
    assert found.offset.tolist() == [SECOND, 2 * SECOND, 3 * SECOND]
    assert found.fitted.all()


def test_a_reference_of_another_market_is_told() -> None:
    rows = firm(0, 0, 0, 0)
    rows.quotes["EURUSD"] = tape(hours=8, seed=77, price=1.3, step=0.0003).quotes
    assert "spreads from the reference" in fitted(rows).unlike


def test_prices_that_are_always_apart_are_a_basis() -> None:
    rows = firm(*[0.0] * 6)
    for row in rows.trades:
        row["open_price"] += 0.003
        row["close_price"] += 0.003
    found = fitted(rows)
    assert found.basis[0] == pytest.approx(0.003, abs=0.2 * SPREAD)
    assert found.unlike == ""
    assert fitted(firm(*[0.0] * 6)).basis == {}
