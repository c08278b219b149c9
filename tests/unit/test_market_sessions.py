"""When markets are closed: weekends, halts, daylight saving."""

from datetime import UTC, datetime

import numpy as np
import pytest

from surveillance.book import HOUR, MINUTE, SECOND
from surveillance.market.sessions import asset_of, closings, near_rollover
from tests.books import Rows


def us(*told: int) -> int:
    year, month, day, hour, minute = (*told, 0, 0)[:5]
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("asset", "opened", "closes", "reopens"),
    [
        ("forex", (2014, 5, 2, 20, 50), (2014, 5, 2, 21), (2014, 5, 4, 21)),
        ("metal", (2014, 5, 2, 20, 50), (2014, 5, 2, 21), (2014, 5, 4, 22)),
        ("forex", (2014, 1, 8, 12, 0), (2014, 1, 10, 22), (2014, 1, 12, 22)),  # winter
        ("forex", (2014, 3, 7, 12, 0), (2014, 3, 7, 22), (2014, 3, 9, 21)),  # the clocks change on that Sunday
        ("index", (2014, 5, 6, 20, 0), (2014, 5, 6, 21), (2014, 5, 6, 22)),
        ("index", (2014, 5, 6, 21, 30), (2014, 5, 6, 21), (2014, 5, 6, 22)),  # while it is closed
    ],
)
def test_the_next_close(asset: str, opened: tuple[int, ...], closes: tuple[int, ...], reopens: tuple[int, ...]) -> None:
    found = closings(asset, us(*opened), us(*opened))
    assert found is not None
    (place,) = found.next_close(np.array([us(*opened)]))
    assert (found.closes[place], found.reopens[place]) == (us(*closes), us(*reopens))


def test_crypto_never_closes_and_of_an_unknown_class_nothing_is_said() -> None:
    crypto = closings("crypto", us(2014, 5, 1), us(2014, 6, 1))
    assert crypto is not None and len(crypto.closes) == 0
    assert crypto.closed_time(np.array([0]), np.array([HOUR])).tolist() == [0]
    assert closings("", us(2014, 5, 1), us(2014, 6, 1)) is None


def test_time_while_the_market_is_closed_does_not_count() -> None:
    found = closings("index", us(2014, 5, 1), us(2014, 5, 10))
    assert found is not None
    since = np.array([us(2014, 5, 6, 20), us(2014, 5, 6, 21, 15), us(2014, 5, 2, 20), us(2014, 5, 6, 10)])
    until = np.array([us(2014, 5, 6, 23), us(2014, 5, 6, 21, 45), us(2014, 5, 5, 0), us(2014, 5, 6, 11)])
    # a halt of an hour; half an hour within it; a weekend of 49 hours; none
    assert found.closed_time(since, until).tolist() == [HOUR, HOUR // 2, 49 * HOUR, 0]


def test_the_rollover_is_at_17_00_new_york() -> None:
    at = np.array([us(2014, 5, 6, 20, 55), us(2014, 5, 6, 21, 9), us(2014, 5, 6, 22), us(2014, 1, 7, 22, 5)])
    assert near_rollover(at, 10).tolist() == [True, True, False, True]
    assert near_rollover(at[:0], 10).tolist() == []
    assert MINUTE == 60 * SECOND


def test_the_class_of_a_pair_is_known_from_its_currencies() -> None:
    symbols = Rows().book().symbols
    untold = type(symbols)(**{**vars(symbols), "asset": np.array([""] * len(symbols), dtype=object)})
    names = dict(zip(symbols.name.tolist(), range(len(symbols)), strict=True))
    assert asset_of(untold, names["EURUSD"]) == "forex"
    assert asset_of(untold, names["XAUUSD"]) == "metal"
    assert asset_of(untold, names["US500"]) == ""
    assert asset_of(symbols, names["US500"]) == "index"
