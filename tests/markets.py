"""Made-up quotes for tests of patterns that need the market, and traders who are filled at them.

Times are seconds after `tests.books.START`, midnight UTC of a Thursday."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from surveillance.book import MINUTE, SECOND, Quotes
from tests.books import START, Rows

SPREAD: Final = 0.0001


@dataclass(frozen=True)
class Tape:
    """Quotes of one symbol, tick by tick."""

    symbol: str
    quotes: Quotes

    def at(self, seconds: float) -> tuple[float, float]:
        """Returns (bid, ask)."""
        place = int(np.searchsorted(self.quotes.at, START + round(seconds * SECOND), side="right")) - 1
        return float(self.quotes.bid[place]), float(self.quotes.ask[place])

    def fill(self, seconds: float, side: int) -> float:
        bid, ask = self.at(seconds)
        return ask if side > 0 else bid

    def jumping(self, at: Sequence[float], by: Sequence[float]) -> "Tape":
        """Returns the tape with a jump of all later prices at each of these times."""
        times = START + np.round(np.asarray(at) * SECOND).astype(np.int64)
        jumps = np.concatenate([[0.0], np.cumsum(by)])[np.searchsorted(times, self.quotes.at, side="right")]
        return Tape(self.symbol, ticks(self.quotes.at, self.quotes.bid + jumps, self.quotes.ask + jumps))

    def without(self, since: float, until: float) -> "Tape":
        at = self.quotes.at - START
        return Tape(self.symbol, self.quotes.rows((at < since * SECOND) | (at >= until * SECOND)))

    def bars(self) -> Quotes:
        """Returns the same prices as minute bars."""
        minute = self.quotes.at // MINUTE * MINUTE
        starts = np.flatnonzero(np.diff(minute, prepend=minute[0] - 1))
        lasts = np.append(starts[1:], len(minute)) - 1
        bid, ask = self.quotes.bid, self.quotes.ask
        return Quotes(
            at=minute[starts],
            bid=bid[lasts],
            ask=ask[lasts],
            bid_low=np.minimum.reduceat(bid, starts),
            bid_high=np.maximum.reduceat(bid, starts),
            ask_low=np.minimum.reduceat(ask, starts),
            ask_high=np.maximum.reduceat(ask, starts),
            resolution="minute",
        )


def ticks(at: np.ndarray[Any, Any], bid: np.ndarray[Any, Any], ask: np.ndarray[Any, Any]) -> Quotes:
    return Quotes(at, bid, ask, bid, bid, ask, ask, "tick")


def tape(hours: float, seed: int = 1, symbol: str = "EURUSD", price: float = 1.1, step: float = 0.00003) -> Tape:
    """Returns a random walk with a tick every 0.2 s or so; a second moves the price by about two thirds of a spread."""
    rng = np.random.default_rng(seed)
    count = int(hours * 3600 * 5)
    at = START + np.cumsum(rng.integers(50_000, 350_000, count)).astype(np.int64)
    mid = price + np.cumsum(rng.normal(0, step, count))
    return Tape(symbol, ticks(at, mid - SPREAD / 2, mid + SPREAD / 2))


def ordinary(
    rows: Rows,
    market: Tape,
    account: str,
    trades: int,
    seed: int,
    *,
    since: float = 60,
    until: float | None = None,
    clock: float = 0.0,
    lag: float = 0.0,
) -> None:
    """Adds an account that opens at random and closes minutes later, at the market. `clock`: seconds by which its
    venue's clock is ahead. `lag`: how old the venue's prices are."""
    rng = np.random.default_rng(seed)
    rows.account(account)
    end = until or (float(market.quotes.at[-1]) - START) / SECOND - 1300
    for opened in np.sort(rng.uniform(since, end, trades)).tolist():
        trade(rows, market, account, opened, float(rng.uniform(120, 1200)), int(rng.choice((-1, 1))), clock, lag)


def trade(
    rows: Rows,
    market: Tape,
    account: str,
    opened: float,
    lasted: float,
    side: int,
    clock: float = 0.0,
    lag: float = 0.0,
    **told: Any,
) -> None:
    """Adds a trade at the market's prices. `told` wins over them."""
    prices = {
        "open_price": market.fill(opened - lag, side),
        "close_price": market.fill(opened - lag + lasted, -side),
    }
    gain = side * ({**prices, **told}["close_price"] - {**prices, **told}["open_price"]) * 100_000
    at = round(opened + clock, 3)
    rows.trade(account, at, round(lasted, 3), symbol=market.symbol, side=side, **{"profit": gain, **prices, **told})
