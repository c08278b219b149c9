"""Entries at old prices just after the market moved; and what only looks like them."""

from decimal import Decimal
from functools import cache
from typing import Any, Final

import numpy as np

from domain.surveillance.evidence import Figures
from surveillance.book import SECOND, Book
from surveillance.pattern import Judged, Limits
from surveillance.patterns.latency_arbitrage import LatencyArbitrage, LatencyArbitrageThresholds, MarkoutCurve
from tests.books import START, Rows
from tests.markets import SPREAD, Tape, ordinary, tape, trade

JUMPS: Final = [600.0 + 400 * n for n in range(60)]
SIDES: Final = [1 if n % 3 else -1 for n in range(60)]


@cache
def market() -> Tape:
    """Calm, with a jump of two spreads every few minutes."""
    return tape(hours=8, step=0.000008).jumping(JUMPS, [2 * SPREAD * side for side in SIDES])


def firm(**clock_or_lag: float) -> Rows:
    rows = Rows()
    for n in range(8):
        ordinary(rows, market(), f"usual {n}", 30, seed=n, **clock_or_lag)
    rows.quotes["EURUSD"] = market().quotes
    rows.account("fast")
    return rows


def arbitrage(
    rows: Rows, after: float = 0.15, lag: float = 0.4, every: int = 1, clock: float = 0.0, **told: Any
) -> None:
    """Enters so long after each jump, at the venue's prices of `lag` before; holds for half a minute."""
    for at, side in zip(JUMPS[::every], SIDES[::every], strict=True):
        opened = at + after
        close = market().fill(opened + 30 - lag, -side)
        price = market().fill(opened - lag, side)
        trade(rows, market(), "fast", opened, 30, side, clock, **{"open_price": price, "close_price": close, **told})


def judge(book: Book, **numbers: float) -> Judged:
    return LatencyArbitrage(Limits(LatencyArbitrageThresholds(**numbers))).judge(book)


def test_entries_at_old_prices_after_moves_are_found() -> None:
    rows = firm()
    arbitrage(rows)
    (finding,) = judge(rows.book()).findings
    assert finding.key == "latency_arbitrage/fast"
    assert finding.blamed == ("fast",)
    assert finding.score > 0.8
    assert len(finding.deals) == 60
    table = next(each for each in finding.evidence if isinstance(each, MarkoutCurve))
    curve = dict(zip(table.horizons_ms, map(float, table.markout), strict=True))
    control = dict(zip(table.horizons_ms, map(float, table.control), strict=True))
    # two spreads of the jump less half a spread, at once and still after five seconds; at random: half a spread lost
    assert all(1.2 < curve[ms] < 1.8 for ms in (250, 500, 1000, 5000))
    assert -0.8 < control[1000] < -0.3
    figures = next(each for each in finding.evidence if isinstance(each, Figures)).figures
    assert float(figures[0].measured) == 60
    assert 1.7 < float(figures[1].measured) < 2.3
    assert float(figures[3].measured) == 100


def test_it_is_found_among_ordinary_trades_of_the_same_account() -> None:
    rows = firm()
    arbitrage(rows, every=2)
    rng = np.random.default_rng(3)
    for opened in rng.uniform(100, 24_000, 45).tolist():
        trade(rows, market(), "fast", opened, 400, int(rng.choice((-1, 1))))
    (finding,) = judge(rows.book()).findings
    assert 28 <= len(finding.deals) <= 32


def test_a_venue_whose_prices_all_lag_has_arbitrageurs_but_no_ordinary_trader_is_one() -> None:
    rows = firm(lag=0.4)
    arbitrage(rows, clock=0.0)
    (finding,) = judge(rows.book()).findings
    assert finding.blamed == ("fast",)


def test_a_clock_that_is_ahead_is_no_lag() -> None:
    rows = firm(clock=0.6)
    assert judge(rows.book()).findings == ()
    arbitrage(rows, clock=0.6)
    (finding,) = judge(rows.book()).findings
    assert finding.blamed == ("fast",)
    (clock,) = [said for said in finding.ruled_out if said.startswith("A wrong clock: the venue's clock is")]
    assert any(f"{ms:+d} ms off" in clock for ms in range(560, 641))


def test_momentum_at_the_markets_own_prices_is_not_found() -> None:
    rows = firm()
    arbitrage(rows, after=0.3, lag=0.0)
    assert judge(rows.book()).findings == ()


def test_news_that_go_on_in_their_direction_are_not_found() -> None:
    """After each jump the price runs on for a minute; entries two seconds after it gain, and so do all around."""
    runs: list[float] = []
    steps: list[float] = []
    for at, side in zip(JUMPS, SIDES, strict=True):
        runs += [at + 0.5 * n for n in range(120)]
        steps += [0.1 * SPREAD * side] * 120
    running = market().jumping(runs, steps)
    rows = Rows()
    for n in range(8):
        ordinary(rows, running, f"usual {n}", 30, seed=n)
    rows.quotes["EURUSD"] = running.quotes
    rows.account("fast")
    for at, side in zip(JUMPS, SIDES, strict=True):
        trade(rows, running, "fast", at + 2, 60, side)
    assert judge(rows.book()).findings == ()


def test_a_scalper_who_nearly_always_wins_is_not_found() -> None:
    """Near targets and far stops win nine of ten, from entries at random."""
    rows = firm()
    rng = np.random.default_rng(5)
    for opened in np.sort(rng.uniform(100, 24_000, 60)).tolist():
        trade(rows, market(), "fast", opened, 30, 1, close_price=market().fill(opened, 1) + SPREAD, reason="target")
    assert judge(rows.book()).findings == ()


def test_entries_by_resting_orders_are_left_out() -> None:
    rows = firm()
    arbitrage(rows)
    for at, side in zip(JUMPS, SIDES, strict=True):
        rows.order("fast", at - 60, at + 0.15, state="filled", type="stop", side=side)
    assert judge(rows.book()).findings == ()


def test_a_few_entries_are_not_judged() -> None:
    rows = firm()
    arbitrage(rows, every=5)
    assert judge(rows.book()).findings == ()


def test_on_bars_and_on_whole_seconds_it_cannot_be_judged() -> None:
    rows = firm()
    arbitrage(rows)
    rows.quotes["EURUSD"] = market().bars()
    judged = judge(rows.book())
    assert judged.findings == ()
    assert judged.cannot_judge == "inconclusive: the prices are bars, and ticks with milliseconds are needed"
    rows.quotes["EURUSD"] = market().quotes
    for row in rows.trades:
        row["opened"] = float(round(row["opened"]))
    judged = judge(rows.book())
    assert judged.findings == ()
    assert judged.cannot_judge is not None and "whole seconds" in judged.cannot_judge
    assert START % SECOND == 0
    rows.quotes.clear()
    assert judge(rows.book()) == Judged(cannot_judge="no prices were given")


def test_a_single_trader_without_a_firm_around_has_no_clock_and_scores_lower() -> None:
    rows = Rows()
    rows.quotes["EURUSD"] = market().quotes
    rows.account("fast")
    arbitrage(rows)
    (finding,) = judge(rows.book()).findings
    assert finding.score == Decimal("0.7")
    assert finding.severity == "review"
