"""Market data for hosted traders: minute prices and bursts of ticks."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from sandbox.feed import Quote
from sandbox.instants import MINUTE, SECOND

_MINUTES: Final = 60
_BURST_TICKS_PER_SECOND: Final = 12.0
_BURST_RATIO: Final = 5.0
_CALM_WEIGHT: Final = 0.002  # of one second, in the running mean of the tick rate (about eight minutes)


class Tape:
    """Bids at each full minute of the last hour, and per symbol whether there is a burst of ticks now."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.minutes: dict[str, list[Decimal]] = {symbol: [] for symbol in symbols}
        self.bursts: dict[str, bool] = dict.fromkeys(symbols, False)
        self._rates: dict[str, float] = dict.fromkeys(symbols, 1.0)
        self._minute = 0

    def record(
        self, quotes: Iterable[Quote], last: dict[str, tuple[Decimal, Decimal]], start_us: int, end_us: int
    ) -> bool:
        """Add one batch of ticks from `start_us` to `end_us`. Returns True when a new minute was recorded."""
        seconds = max((end_us - start_us) / SECOND, 0.25)
        counts = dict.fromkeys(self._rates, 0)
        for quote in quotes:
            counts[quote.symbol] += 1
        for symbol, count in counts.items():
            rate, mean = count / seconds, self._rates[symbol]
            self.bursts[symbol] = rate > max(_BURST_TICKS_PER_SECOND, _BURST_RATIO * mean)
            self._rates[symbol] = mean + (rate - mean) * min(1.0, _CALM_WEIGHT * seconds)
        if end_us // MINUTE == self._minute:
            return False
        self._minute = end_us // MINUTE
        for symbol, (bid, _) in last.items():
            prices = self.minutes[symbol]
            prices.append(bid)
            del prices[:-_MINUTES]
        return True

    def move(self, symbol: str, minutes: int, bid: Decimal) -> Decimal:
        """Returns the change of the bid over the last `minutes`, or 0 while less is known."""
        prices = self.minutes[symbol]
        return bid - prices[-minutes] if len(prices) >= minutes else Decimal(0)

    def state(self) -> dict[str, Any]:
        minutes = {symbol: [str(price) for price in prices] for symbol, prices in self.minutes.items()}
        return {"minute": self._minute, "minutes": minutes}

    def pulse(self) -> dict[str, Any]:
        """Returns the part of the state that changes with every batch."""
        return {"rates": self._rates, "bursts": self.bursts}

    def restore(self, state: dict[str, Any], pulse: dict[str, Any]) -> None:
        self._minute = state["minute"]
        self.minutes = {symbol: [Decimal(text) for text in prices] for symbol, prices in state["minutes"].items()}
        self._rates, self.bursts = pulse["rates"], pulse["bursts"]
