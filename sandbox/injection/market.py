"""The market that simulated traders trade: symbols, their quotes, and what a trade does in them.

Times are int64 microseconds since 1970 in UTC; prices and lots are float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from sandbox.instants import DAY, HOUR, MINUTE, SECOND

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

CLOSED_AFTER: Final = 10 * MINUTE  # without a quote for so long, the market is taken to be closed


@dataclass(frozen=True)
class Instrument:
    """`day_move`: the standard deviation of a day's return. `spread` and prices in units of the quote currency.
    `synonym_of`: the symbol whose prices it has; its contract may be another. `traded`: how popular it is."""

    name: str
    asset: str
    base: str
    quote: str
    contract: float
    digits: int
    price: float
    day_move: float
    spread: float
    commission: float = 0.0
    synonym_of: str = ""
    traded: float = 0.1


INSTRUMENTS: Final = {
    each.name: each
    for each in (
        Instrument("EURUSD", "forex", "EUR", "USD", 100_000, 5, 1.085, 0.0048, 0.00008, 3.5, traded=0.24),
        Instrument("GBPUSD", "forex", "GBP", "USD", 100_000, 5, 1.27, 0.0055, 0.00012, 3.5, traded=0.12),
        Instrument("USDJPY", "forex", "USD", "JPY", 100_000, 3, 150.0, 0.0056, 0.011, 3.5, traded=0.09),
        Instrument("XAUUSD", "metal", "XAU", "USD", 100, 2, 2050.0, 0.0095, 0.25, 4.0, traded=0.28),
        Instrument("US500", "index", "", "USD", 1, 1, 5100.0, 0.0095, 0.5, traded=0.08),
        Instrument("NAS100", "index", "", "USD", 1, 1, 18_000.0, 0.0135, 1.6, traded=0.12),
        Instrument("BTCUSD", "crypto", "BTC", "USD", 1, 2, 62_000.0, 0.028, 18.0, traded=0.07),
        Instrument("EURUSD.ecn", "forex", "EUR", "USD", 100_000, 5, 1.085, 0.0048, 0.00008, 3.5, "EURUSD"),
        Instrument("US500.micro", "index", "", "USD", 0.1, 1, 5100.0, 0.0095, 0.5, 0.0, "US500"),
        Instrument("XAUUSD.mini", "metal", "XAU", "USD", 10, 2, 2050.0, 0.0095, 0.25, 0.4, "XAUUSD"),
    )
}
MAIN: Final = tuple(name for name, each in INSTRUMENTS.items() if not each.synonym_of)


@dataclass(frozen=True)
class Release:
    """An economic release. `impact`: low, medium or high."""

    at: int
    currency: str
    impact: str
    title: str


@dataclass(frozen=True)
class Track:
    """The quotes of one symbol, by time."""

    at: Ints
    bid: Floats
    ask: Floats

    def place(self, when: Ints | int) -> Ints:
        """Returns the place of the last quote at or before each time, 0 for the times before the first."""
        return np.maximum(np.searchsorted(self.at, when, side="right") - 1, 0)


@dataclass(frozen=True)
class Fills:
    """What became of trades, one element each. `profit`: in USD for one lot, net of costs. `why`: 0 closed by the
    trader, 1 by the stop, 2 by the target."""

    open_price: Floats
    closed: Ints
    close_price: Floats
    profit: Floats
    why: Ints


@dataclass(frozen=True)
class Market:
    """`ticks`: the symbols whose quotes are told tick by tick; the others are told as minute bars."""

    tracks: Mapping[str, Track]
    instruments: Mapping[str, Instrument]
    releases: tuple[Release, ...]
    start: int
    end: int
    ticks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tracks)

    def track(self, symbol: str) -> Track:
        return self.tracks[self.instruments[symbol].synonym_of or symbol]

    def is_open(self, symbol: str, at: Ints, until: Ints | int = 5 * MINUTE) -> Flags:
        """Returns whether there are quotes at each time, and still after `until` microseconds."""
        track = self.track(symbol)
        now = track.place(at)
        later = np.minimum(track.place(at + until) + 1, len(track.at) - 1)
        fresh = (at - track.at[now] < CLOSED_AFTER) & (track.at[later] - track.at[now] < CLOSED_AFTER + until)
        return np.asarray(fresh & (at >= track.at[0]) & (at + until < track.at[-1]))

    def mid(self, symbol: str, at: Ints | int) -> Floats:
        track = self.track(symbol)
        place = track.place(at)
        return np.asarray((track.bid[place] + track.ask[place]) / 2)

    def volatility(self, symbol: str) -> float:
        """Returns the standard deviation of the price over one second on an ordinary day, in units of the price."""
        each = self.instruments[symbol]
        return float(each.day_move * self.track(symbol).bid[0] / np.sqrt(DAY / SECOND))

    def closings(self, symbol: str) -> Ints:
        """Returns the times of the last quotes before weekends and halts of at least 30 minutes."""
        at = self.track(symbol).at
        return at[:-1][np.diff(at) > HOUR // 2]

    def releases_of(self, symbol: str, impact: str = "high") -> Ints:
        each = self.instruments[symbol]
        moved = {each.base, each.quote} - {""}
        return np.array([r.at for r in self.releases if r.currency in moved and r.impact == impact], dtype=np.int64)

    def usd(self, symbol: str, price: Floats) -> Floats:
        """Returns USD for one lot and one unit of the price."""
        each = self.instruments[symbol]
        return np.asarray(each.contract / (price if each.quote == "JPY" else np.ones_like(price)))

    def fills(
        self,
        symbol: str,
        side: npt.ArrayLike,
        at: Ints,
        until: Ints,
        stop: npt.ArrayLike = np.inf,
        target: npt.ArrayLike = np.inf,
        *,
        open_price: Floats | None = None,
    ) -> Fills:
        """Opens at `at` and closes at the stop, the target or `until`, whichever comes first. `stop`, `target`:
        distances from the opening price. `open_price`: instead of the market's ask or bid."""
        track = self.track(symbol)
        sides = np.broadcast_to(np.asarray(side, dtype=np.int64), at.shape)
        here = track.place(at)
        opened = np.where(sides > 0, track.ask[here], track.bid[here]) if open_price is None else open_price
        stops = np.broadcast_to(np.asarray(stop, dtype=np.float64), at.shape)
        targets = np.broadcast_to(np.asarray(target, dtype=np.float64), at.shape)
        last = np.minimum(track.place(until), len(track.at) - 1)
        place, why = _exits(track.bid, track.ask, here, last, sides, opened, stops, targets)
        closed = np.where(why == 0, np.maximum(until, at + 1), np.maximum(track.at[place], at + 1))
        price = np.where(sides > 0, track.bid[place], track.ask[place])
        price = np.where(why == 2, opened + sides * targets, price)
        each = self.instruments[symbol]
        opened, price = _rounded(opened, each.digits), _rounded(price, each.digits)
        profit = sides * (price - opened) * self.usd(symbol, price) - 2 * each.commission
        return Fills(opened, closed, price, profit, why)


def _rounded(prices: Floats, digits: int) -> Floats:
    return np.asarray(np.round(prices, digits), dtype=np.float64)


@njit(cache=True)
def _exits(
    bid: Any, ask: Any, first: Any, last: Any, side: Any, opened: Any, stop: Any, target: Any
) -> tuple[Any, Any]:  # pragma: no cover
    """Returns (place of the closing quote, 0 at the end of its time, 1 at the stop, 2 at the target) of each trade."""
    count = len(first)
    place = np.empty(count, dtype=np.int64)
    why = np.zeros(count, dtype=np.int64)
    for n in range(count):
        place[n] = max(last[n], first[n])
        for k in range(first[n] + 1, last[n] + 1):
            gain = bid[k] - opened[n] if side[n] > 0 else opened[n] - ask[k]
            if gain <= -stop[n]:
                place[n], why[n] = k, 1
                break
            if gain >= target[n]:
                place[n], why[n] = k, 2
                break
    return place, why


def merged(times: Sequence[Ints]) -> Ints:
    return np.unique(np.concatenate(list(times)))
