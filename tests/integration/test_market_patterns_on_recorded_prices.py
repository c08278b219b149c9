"""An ordinary population on recorded ticks of the day of a US jobs report: nobody is conspicuous, whoever cheats is.

The market of that day is real: a spread that widens tenfold, jumps, thin hours, a weekend without quotes.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.book import SECOND, Book, Quotes
from surveillance.files.prices import read_prices
from surveillance.files.problems import Problems
from surveillance.registry import default_patterns
from tests.books import START, Rows

PATTERNS: Final = ("gap_exploit", "latency_arbitrage", "news_straddle", "off_market_fill")
DAY: Final = 86_400.0
JOBS_REPORT: Final = DAY + 12.5 * 3600
ACCOUNTS: Final = 60
LATENCY_MS: Final = (20, 250)


@cache
def recorded(folder: Path) -> dict[str, Quotes]:
    names = {"EURUSD": "EURUSD", "XAUUSD": "XAUUSD"}
    return read_prices(folder, names.get, Problems(), lambda _: None)


class Venue:
    """Fills at the recorded quotes, some milliseconds after the order; stops and targets at their level."""

    def __init__(self, quotes: dict[str, Quotes], seed: int) -> None:
        self.quotes, self.rng, self.rows = quotes, np.random.default_rng(seed), Rows()
        self.rows.quotes.update(quotes)
        self.rows.event(JOBS_REPORT)

    def seconds(self, symbol: str, day: int, count: int) -> list[float]:
        """Returns times at which the symbol is quoted, as they are quoted: more of them when the market moves."""
        at = (self.quotes[symbol].at - START) / SECOND
        rows = np.flatnonzero((at >= day * DAY + 60) & (at < day * DAY + 20 * 3600))
        return [float(each) for each in np.sort(self.rng.choice(at[rows], count) + self.rng.uniform(0, 30, count))]

    def price(self, symbol: str, seconds: float, side: int) -> float:
        quotes = self.quotes[symbol]
        late = self.rng.uniform(*LATENCY_MS) / 1000
        row = int(np.searchsorted(quotes.at, START + round((seconds + late) * SECOND), side="right")) - 1
        return float(quotes.ask[row] if side > 0 else quotes.bid[row])

    def trade(self, account: str, symbol: str, at: float, lasts: float, side: int, **told: Any) -> None:
        opened = told.pop("open_price", None) or self.price(symbol, at, side)
        away = opened * float(self.rng.uniform(0.0003, 0.003))
        quotes = self.quotes[symbol]
        first, last = np.searchsorted(
            quotes.at, [START + round((at + 1) * SECOND), START + round((at + lasts) * SECOND)]
        )
        exit_price = (quotes.bid if side > 0 else quotes.ask)[first:last]
        hit = np.flatnonzero(np.abs(exit_price - opened) >= away)
        close, reason = self.price(symbol, at + lasts, -side), "client"
        if len(hit):
            lasts = float(quotes.at[first + hit[0]] - START) / SECOND - at
            won = side * (exit_price[hit[0]] - opened) > 0
            close, reason = opened + away * (side if won else -side), "target" if won else "stop"
        told = {"reason": reason, "lots": float(self.rng.uniform(0.1, 2)), **told}
        profit = side * (close - opened) * (100_000 if symbol == "EURUSD" else 100) * told["lots"]
        self.rows.trade(
            account, round(at, 3), round(lasts, 3), symbol=symbol, side=side, open_price=opened, close_price=close,
            profit=profit, **told,
        )  # fmt: skip

    def ordinary(self, account: str) -> None:
        self.rows.account(account)
        for symbol, day in (("EURUSD", 0), ("EURUSD", 1), ("XAUUSD", 1), ("EURUSD", 4)):
            for at in self.seconds(symbol, day, int(self.rng.integers(5, 15))):
                self.trade(account, symbol, at, float(self.rng.lognormal(6, 1.5)), int(self.rng.choice((-1, 1))))
        if self.rng.random() < 0.3:  # trades the report by hand, with the move
            for at in (JOBS_REPORT + self.rng.uniform(4, 120, 4)).tolist():
                symbol = str(self.rng.choice(("EURUSD", "XAUUSD")))
                move = self.price(symbol, at, 1) - self.price(symbol, at - 10, 1)
                self.trade(account, symbol, at, float(self.rng.uniform(20, 600)), 1 if move > 0 else -1)

    def stale(self, account: str, symbol: str, count: int, lag_ms: int = 400) -> None:
        """Opens just after moves of more than a spread, at the prices that the venue still has."""
        self.rows.account(account)
        quotes = self.quotes[symbol]
        mid, spread = (quotes.bid + quotes.ask) / 2, float(np.median(quotes.ask - quotes.bid))
        at = quotes.at + 50_000
        before = np.maximum(np.searchsorted(quotes.at, at - lag_ms * 1000, side="right") - 1, 0)
        moved = (np.abs(mid - mid[before]) > spread) & (at - quotes.at[before] < 3 * SECOND)
        minutes = np.unique(at[moved] // (60 * SECOND), return_index=True)[1]  # one in a minute
        for row in np.sort(self.rng.choice(np.flatnonzero(moved)[minutes], count, replace=False)).tolist():
            side = 1 if mid[row] > mid[before[row]] else -1
            price = float(quotes.ask[before[row]] if side > 0 else quotes.bid[before[row]])
            self.trade(account, symbol, float(at[row] - START) / SECOND, 20, side, open_price=price)


def judge(book: Book, names: tuple[str, ...] = PATTERNS) -> list[Finding]:
    patterns = default_patterns()
    return [finding for name in names for finding in patterns[name].judge(book).findings]


@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_of_an_ordinary_population_is_found(shared_data: Path, seed: int) -> None:
    venue = Venue(recorded(shared_data / "prices"), seed)
    for n in range(ACCOUNTS):
        venue.ordinary(f"a{n}")
    assert [(finding.key, finding.sentence) for finding in judge(venue.rows.book())] == []


def test_stale_prices_of_that_day_are_found(shared_data: Path) -> None:
    venue = Venue(recorded(shared_data / "prices"), seed=3)
    for n in range(20):
        venue.ordinary(f"a{n}")
    venue.stale("fast in gold", "XAUUSD", 30)
    venue.stale("fast in euro", "EURUSD", 30)
    found = judge(venue.rows.book(), ("latency_arbitrage",))
    assert {finding.key for finding in found} == {"latency_arbitrage/fast in euro", "latency_arbitrage/fast in gold"}


def test_on_the_minute_bars_of_those_days_it_cannot_be_judged(shared_data: Path) -> None:
    venue = Venue(recorded(shared_data / "prices"), seed=4)
    for n in range(10):
        venue.ordinary(f"a{n}")
    venue.stale("fast", "XAUUSD", 30)
    bars = {name: quotes.coarser for name, quotes in venue.quotes.items() if quotes.coarser is not None}
    judged = default_patterns()["latency_arbitrage"].judge(replace(venue.rows.book(), quotes=bars))
    assert judged.findings == ()
    assert judged.cannot_judge == "inconclusive: the prices are bars, and ticks with milliseconds are needed"
