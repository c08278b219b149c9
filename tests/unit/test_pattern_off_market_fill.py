"""Fills outside the market: who gets them is found, and what only looks like them is not."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from domain.surveillance.evidence import Figures
from surveillance.book import Book
from surveillance.pattern import Judged, Limits
from surveillance.patterns.off_market_fill import OffMarketFill, OffMarketFillThresholds
from tests.books import Rows
from tests.markets import SPREAD, Tape, ordinary, tape, ticks, trade


@cache
def market() -> Tape:
    return tape(hours=8)


def firm(quoted: Tape | None = None, clock: float = 0.0, accounts: int = 6) -> Rows:
    rows = Rows()
    for n in range(accounts):
        ordinary(rows, quoted or market(), f"usual {n}", 25, seed=n, clock=clock)
    rows.quotes["EURUSD"] = (quoted or market()).quotes
    rows.account("suspect")
    return rows


def judge(book: Book, **numbers: float) -> Judged:
    return OffMarketFill(Limits(OffMarketFillThresholds(**numbers))).judge(book)


def favours(rows: Rows, count: int, spreads: float, clock: float = 0.0, **told: Any) -> None:
    """The suspect's openings are so many spreads better (worse when negative) than the market's."""
    for n in range(count):
        side = 1 if n % 2 else -1
        price = market().fill(1000 + 900 * n, side) - side * spreads * SPREAD
        trade(rows, market(), "suspect", 1000 + 900 * n, 300, side, clock, open_price=price, **told)


def test_fills_better_than_the_market_are_found_with_their_trades() -> None:
    rows = firm()
    favours(rows, 5, spreads=6)
    for n in range(20):
        trade(rows, market(), "suspect", 6000 + 600 * n, 200, 1)
    (finding,) = judge(rows.book()).findings
    assert finding.key == "off_market_fill/suspect"
    assert finding.blamed == ("suspect",)
    assert finding.sentence.startswith("5 of 50 fills had better prices than any that the market quoted")
    assert len(finding.deals) == 5
    assert finding.score > 0.5
    figures = next(each for each in finding.evidence if isinstance(each, Figures)).figures
    assert [int(each.measured) for each in figures[:1]] == [5]
    # six spreads better than the ask is about five below the bid, less what the price moved within two seconds
    assert 2.5 < float(figures[1].measured) < 5
    assert figures[3].measured == 0


def test_others_who_get_such_fills_do_not_make_them_usual_in_a_small_firm() -> None:
    rows = firm(accounts=2)
    favours(rows, 4, spreads=6)
    for n in range(16):
        trade(rows, market(), "suspect", 6000 + 600 * n, 200, 1)
    for name, count in (("other", 1), ("third", 2)):
        ordinary(rows, market(), name, 6, seed=90 + count)
        for n in range(count):
            price = market().fill(1400 + 900 * n, 1) - 6 * SPREAD
            trade(rows, market(), name, 1400 + 900 * n, 300, 1, open_price=price)
    assert "suspect" in [account for finding in judge(rows.book()).findings for account in finding.blamed]


def test_one_fill_far_outside_the_market_is_enough() -> None:
    rows = firm()
    favours(rows, 1, spreads=70)  # 0.6 % of the price
    (finding,) = judge(rows.book()).findings
    assert len(finding.deals) == 1
    assert judge(rows.book(), gross_pct=0.7).findings == ()


def test_slippage_against_the_trader_and_noise_on_both_sides_are_not_found() -> None:
    rows = firm()
    favours(rows, 8, spreads=-6)
    assert judge(rows.book()).findings == ()
    rows = firm()
    for n in range(16):  # eight better, eight worse
        side, better = (1 if n % 2 else -1), (6 if n % 4 < 2 else -6)
        price = market().fill(1000 + 900 * n, side) - side * better * SPREAD
        trade(rows, market(), "suspect", 1000 + 900 * n, 300, side, open_price=price)
    assert judge(rows.book()).findings == ()


def test_the_clock_of_the_venue_is_fitted_before_a_fill_is_judged() -> None:
    rows = firm(clock=7.3)
    favours(rows, 5, spreads=6, clock=7.3)
    for n in range(20):
        trade(rows, market(), "suspect", 6000 + 600 * n, 200, 1, 7.3)
    (finding,) = judge(rows.book()).findings
    assert len(finding.deals) == 5
    assert any("+7300 ms" in said for said in finding.ruled_out)


def test_a_second_venue_with_a_clock_of_its_own_is_not_found() -> None:
    rows = firm()
    for n in range(5):
        ordinary(rows, market(), f"elsewhere {n}", 25, seed=50 + n, clock=-40.0)
    favours(rows, 0, spreads=0)
    assert judge(rows.book()).findings == ()


def test_stops_filled_at_their_level_in_a_jump_are_not_found() -> None:
    rows = firm()
    for n in range(8):
        opened, side = 1000 + 900 * n, 1 if n % 2 else -1
        level = market().fill(opened + 300, -side) + side * 6 * SPREAD
        trade(rows, market(), "suspect", opened, 300, side, close_price=level, reason="stop")
    assert judge(rows.book()).findings == ()


def test_a_closing_fill_better_than_the_market_is_found_when_the_trader_chose_it() -> None:
    rows = firm()
    for n in range(8):
        opened, side = 1000 + 900 * n, 1 if n % 2 else -1
        price = market().fill(opened + 300, -side) + side * 6 * SPREAD
        trade(rows, market(), "suspect", opened, 300, side, close_price=price, reason="client")
    (finding,) = judge(rows.book()).findings
    assert len(finding.deals) == 8


def test_the_first_prints_after_a_gap_and_the_rollover_are_left_out() -> None:
    gapped = tape(hours=8, seed=3).without(1800, 3600).jumping([3600], [0.01])
    rows = firm(gapped)
    for n in range(6):  # the venue still has the price of before the gap
        price = gapped.fill(1799, 1)
        trade(rows, gapped, "suspect", 3610 + 10 * n, 300, 1, open_price=price)
    assert judge(rows.book()).findings == ()
    assert len(judge(rows.book(), after_gap_seconds=0).findings) == 1
    rows = Rows()
    late = tape(hours=22, seed=5)
    for n in range(6):
        ordinary(rows, late, f"usual {n}", 25, seed=n)
    rows.quotes["EURUSD"] = late.quotes
    rows.account("suspect")
    rollover = 21 * 3600.0  # 17:00 New York in summer
    for n in range(6):
        opened = rollover + 30 * n
        trade(rows, late, "suspect", opened, 3000, 1, open_price=late.fill(opened, 1) - 6 * SPREAD)
    assert judge(rows.book()).findings == ()
    assert len(judge(rows.book(), rollover_minutes=0).findings) == 1


def test_of_a_bar_its_whole_range_is_the_market() -> None:
    rows = firm()
    rows.quotes["EURUSD"] = market().bars()
    favours(rows, 6, spreads=6)
    assert judge(rows.book()).findings == ()  # within the range of the minute
    rows = firm()
    rows.quotes["EURUSD"] = market().bars()
    favours(rows, 6, spreads=40)
    (finding,) = judge(rows.book()).findings
    assert len(finding.deals) == 6


def test_a_constant_difference_between_venue_and_reference_is_not_found() -> None:
    rows = firm()
    same = market().quotes
    rows.quotes["EURUSD"] = ticks(same.at, same.bid + 0.005, same.ask + 0.005)
    favours(rows, 5, spreads=6)
    (finding,) = judge(rows.book()).findings
    assert finding.blamed == ("suspect",)


def test_prices_of_another_market_are_not_judged() -> None:
    rows = firm()
    rows.quotes["EURUSD"] = tape(hours=8, seed=99, price=1.4, step=0.0002).quotes
    judged = judge(rows.book())
    assert judged.findings == ()
    assert judged.cannot_judge is not None and "the prices are not of this venue" in judged.cannot_judge


def test_without_prices_the_venues_own_quote_serves_and_without_it_nothing_is_said() -> None:
    rows = firm()
    del rows.quotes["EURUSD"]
    assert judge(rows.book()) == Judged(cannot_judge="no prices were given")
    bid, ask = 1.1, 1.1 + SPREAD
    for n in range(5):
        rows.trade("suspect", 1000 + 900 * n, 60, open_price=bid - 6 * SPREAD, bid=bid, ask=ask)
    for n in range(25):
        rows.trade("usual 1", 2000 + 900 * n, 60, open_price=ask, bid=bid, ask=ask)
    (finding,) = judge(rows.book()).findings
    assert finding.blamed == ("suspect",)
    # five fills of three asked, five spreads beyond of half a spread asked, 0.05 % of the price of 0.5 % asked
    expected = 0.5 + 0.5 * (0.4 * 2 / 9 + 0.3 * 1 + 0.3 * 0.1)
    assert float(finding.score) == pytest.approx(expected, abs=0.01)


def test_days_without_ticks_are_judged_by_their_bars() -> None:
    rows = firm()
    late = market().without(0, 4 * 3600)
    early = market().without(4 * 3600, 9 * 3600).bars()
    rows.quotes["EURUSD"] = replace(late.quotes, coarser=early)
    favours(rows, 6, spreads=40)  # in the first two hours
    (finding,) = judge(rows.book()).findings
    assert len(finding.deals) == 6


def test_where_fills_are_often_outside_to_the_traders_harm_a_fill_must_be_further_outside() -> None:
    rows = firm()
    rng = np.random.default_rng(8)
    for row in rows.trades:  # a venue whose prices stray by a spread, both ways
        row["open_price"] += float(rng.normal(0, SPREAD))
        row["close_price"] += float(rng.normal(0, SPREAD))
    favours(rows, 5, spreads=3)
    assert judge(rows.book()).findings == ()
    favours(rows, 6, spreads=40)
    (finding,) = judge(rows.book()).findings
    assert len(finding.deals) == 6
