"""Made-up prices of 22 trading days, a step a second: what trades of the benchmark fill at, and the quotes beside."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import DAY, MINUTE, SECOND, Floats, Ints, Quotes

FIRST_DAY: Final = 1_398_643_200 * SECOND  # Monday, 2014-04-28
SECONDS_A_DAY: Final = 86_400
# name, share of all openings, price, spread, volatility a second in parts of the price
SYMBOLS: Final = (
    *(("XAUUSD", 0.35, 2300.0, 0.25, 1.2e-5), ("EURUSD", 0.12, 1.08, 0.00008, 4e-6)),
    *(("NAS100", 0.10, 18000.0, 1.5, 1.1e-5), ("US30", 0.06, 39000.0, 2.5, 8e-6)),
    *(("GBPUSD", 0.05, 1.26, 0.0001, 5e-6), ("USDJPY", 0.04, 155.0, 0.012, 5e-6)),
    *(("BTCUSD", 0.03, 65000.0, 20.0, 2.5e-5), ("DE40", 0.03, 18400.0, 1.8, 9e-6)),
    *((f"{pair}", 0.22 / 22, 1.1, 0.00015, 5e-6) for pair in (
        "AUDUSD", "NZDUSD", "USDCAD", "USDCHF", "EURGBP", "EURJPY", "GBPJPY", "AUDJPY", "CADJPY", "CHFJPY", "NZDJPY",
        "EURAUD", "EURNZD", "EURCAD", "EURCHF", "GBPAUD", "GBPNZD", "GBPCAD", "GBPCHF", "AUDNZD", "AUDCAD", "AUDCHF",
    )),
)  # fmt: skip
_WITH_TICKS: Final = 3  # of the symbols, those with most openings
JUMP: Final = 15.0  # of the volatility a second, at the second of a release


@dataclass(frozen=True)
class Days:
    """The trading days: weekdays only. A second of trading is a place in all of them, one behind the other."""

    starts: Ints

    @property
    def seconds(self) -> int:
        return len(self.starts) * SECONDS_A_DAY

    def at(self, second: Ints) -> Ints:
        """Returns the time of each second of trading, in microseconds."""
        return np.asarray(self.starts[second // SECONDS_A_DAY] + (second % SECONDS_A_DAY) * SECOND)


def trading_days(count: int) -> Days:
    days = FIRST_DAY + np.arange(count * 2, dtype=np.int64) * DAY
    weekdays = days[(days // DAY + 3) % 7 < 5]
    return Days(weekdays[:count])


def paths(days: Days, releases: Ints, generator: np.random.Generator) -> Iterator[tuple[str, Floats, Floats, Quotes]]:
    """Yields (symbol, bid, ask, quotes): both prices at each second of trading. `releases`: seconds of trading."""
    at = days.at(np.arange(days.seconds, dtype=np.int64))
    for number, (name, _, price, spread, volatility) in enumerate(SYMBOLS):
        steps = generator.standard_normal(days.seconds) * volatility
        steps[releases] *= JUMP
        mid = price * np.exp(np.cumsum(steps))
        bid, ask = mid - spread / 2, mid + spread / 2
        yield name, bid, ask, _ticks(at, bid, ask) if number < _WITH_TICKS else _minutes(at, bid, spread)


def _ticks(at: Ints, bid: Floats, ask: Floats) -> Quotes:
    return Quotes(at, bid, ask, bid, bid, ask, ask, resolution="tick")


def _minutes(at: Ints, bid: Floats, spread: float) -> Quotes:
    length = MINUTE // SECOND
    each = bid.reshape(-1, length)
    low, high, close = each.min(axis=1), each.max(axis=1), each[:, -1].copy()
    return Quotes(
        at[::length].copy(), close, close + spread, low, high, low + spread, high + spread, resolution="minute"
    )
