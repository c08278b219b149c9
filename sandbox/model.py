"""A seeded, endless price model. A few numbers are enough to resume it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Final

from sandbox.feed import Quote
from sandbox.instants import SECOND
from sandbox.symbols import INSTRUMENTS

_TICKS_PER_SECOND: Final = 2
_TICKS_IN_STORM: Final = 16
_STORM_EVERY: Final = 20  # minutes, on average; a storm lasts one
_WEATHER_SECONDS: Final = 600


class PriceModel:
    """A geometric walk per symbol, in whole points: two ticks a second, and sometimes a one-minute storm of ticks.

    Every second has its own random generator (seed, symbol, second). The prices at the start of a second and the number
    of its quotes already taken therefore determine the rest. `bids` replace the usual first prices.
    """

    def __init__(
        self, seed: int, symbols: Sequence[str], start_us: int, bids: Mapping[str, Decimal] | None = None
    ) -> None:
        self._seed, self._symbols = seed, tuple(symbols)
        self._second = start_us // SECOND
        self._points = {symbol: INSTRUMENTS[symbol].model_price for symbol in self._symbols}
        for symbol, bid in (bids or {}).items():
            self._points[symbol] = round(bid.scaleb(INSTRUMENTS[symbol].spec.digits))
        self._taken = 0
        self._generate()
        self._skip_before(start_us)

    @property
    def ends_at(self) -> int | None:
        return None

    def next_at(self) -> int | None:
        while self._taken >= len(self._quotes):
            self._step()
        return self._quotes[self._taken].at_us

    def take(self, until_us: int, limit: int) -> list[Quote]:
        quotes: list[Quote] = []
        while len(quotes) < limit:
            if self._taken < len(self._quotes):
                quote = self._quotes[self._taken]
                if quote.at_us > until_us:
                    break
                quotes.append(quote)
                self._taken += 1
            elif (self._second + 1) * SECOND <= until_us:
                self._step()
            else:
                break
        return quotes

    def skip_to(self, us: int) -> None:
        """Continue at `us` with the last prices: a sandbox that was stopped skips the time it missed."""
        if us // SECOND > self._second:
            self._points, self._second, self._taken = self._after, us // SECOND, 0
            self._generate()
        self._skip_before(us)

    def state(self) -> dict[str, object]:
        return {"second": self._second, "taken": self._taken, "points": dict(self._points)}

    def restore(self, state: dict[str, object]) -> None:
        points = state["points"]
        assert isinstance(points, dict)
        self._second, self._taken = int(str(state["second"])), int(str(state["taken"]))
        self._points = {symbol: int(points[symbol]) for symbol in self._symbols}
        self._generate()

    def _skip_before(self, us: int) -> None:
        """Skip this second's quotes before `us`."""
        while self._taken < len(self._quotes) and self._quotes[self._taken].at_us < us:
            self._taken += 1

    def _step(self) -> None:
        self._points, self._taken = self._after, 0
        self._second += 1
        self._generate()

    def _generate(self) -> None:
        """Compute the quotes of the current second and the prices after them."""
        quotes: list[Quote] = []
        self._after = dict(self._points)
        for symbol in self._symbols:
            rng = Random(f"{self._seed}/{symbol}/{self._second}")
            weather = Random(f"{self._seed}/{symbol}/{self._second // _WEATHER_SECONDS}").choice((1, 1, 1, 2, 4))
            storm = not Random(f"{self._seed}/{symbol}/storm/{self._second // 60}").randrange(_STORM_EVERY)
            count = _TICKS_IN_STORM if storm else _TICKS_PER_SECOND
            item, points = INSTRUMENTS[symbol], self._points[symbol]
            scale = Decimal(1).scaleb(-item.spec.digits)
            for offset in sorted(rng.randrange(SECOND) for _ in range(count)):
                points += round(points * item.volatility * weather * rng.gauss(0, 1) / 1_000_000)
                points = max(points, item.model_spread)
                ask = points + item.model_spread
                at = self._second * SECOND + offset
                quotes.append(Quote(at, symbol, points * scale, ask * scale))
            self._after[symbol] = points
        quotes.sort(key=lambda quote: quote.at_us)
        self._quotes = quotes
