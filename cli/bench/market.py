"""The symbols of a benchmark with their contracts, and a seeded walk of their quotes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

from domain.rules.marking import Instrument
from ports.platform import SymbolSpec, Tick

# symbol, contract, quote currency, digits, price in points, points per step; conversion pairs first
_KNOWN: Final = (
    *(("EURUSD", 100_000, "USD", 5, 108_500, 3), ("GBPUSD", 100_000, "USD", 5, 127_000, 4)),
    *(("AUDUSD", 100_000, "USD", 5, 66_000, 2), ("NZDUSD", 100_000, "USD", 5, 60_000, 2)),
    *(("USDJPY", 100_000, "JPY", 3, 155_000, 5), ("USDCHF", 100_000, "CHF", 5, 88_000, 3)),
    *(("USDCAD", 100_000, "CAD", 5, 137_000, 4), ("XAUUSD", 100, "USD", 3, 2_650_000, 80)),
    *(("XAGUSD", 5_000, "USD", 4, 310_000, 9), ("NAS100", 1, "USD", 2, 2_010_000, 60)),
    *(("US500", 1, "USD", 2, 580_000, 17), ("US30", 1, "USD", 2, 4_200_000, 120)),
    *(("GER40", 1, "EUR", 2, 1_900_000, 55), ("UK100", 1, "GBP", 2, 820_000, 25)),
    *(("JP225", 1, "JPY", 1, 390_000, 110), ("USOIL", 1_000, "USD", 3, 70_000, 20)),
    *(("UKOIL", 1_000, "USD", 3, 74_000, 20), ("BTCUSD", 1, "USD", 2, 6_500_000, 700)),
    *(("ETHUSD", 1, "USD", 2, 260_000, 30), ("EURGBP", 100_000, "GBP", 5, 85_400, 2)),
    *(("EURJPY", 100_000, "JPY", 3, 168_000, 5), ("GBPJPY", 100_000, "JPY", 3, 196_000, 6)),
    *(("AUDJPY", 100_000, "JPY", 3, 102_000, 4), ("CADJPY", 100_000, "JPY", 3, 113_000, 4)),
    *(("CHFJPY", 100_000, "JPY", 3, 176_000, 5), ("NZDJPY", 100_000, "JPY", 3, 93_000, 3)),
    *(("EURCHF", 100_000, "CHF", 5, 95_000, 2), ("GBPCHF", 100_000, "CHF", 5, 111_000, 3)),
    *(("AUDCHF", 100_000, "CHF", 5, 58_000, 2), ("CADCHF", 100_000, "CHF", 5, 64_000, 2)),
    *(("NZDCHF", 100_000, "CHF", 5, 53_000, 2), ("EURAUD", 100_000, "AUD", 5, 164_000, 5)),
    *(("GBPAUD", 100_000, "AUD", 5, 192_000, 6), ("EURCAD", 100_000, "CAD", 5, 149_000, 4)),
    *(("GBPCAD", 100_000, "CAD", 5, 174_000, 5), ("AUDCAD", 100_000, "CAD", 5, 90_000, 3)),
    *(("NZDCAD", 100_000, "CAD", 5, 82_000, 3), ("EURNZD", 100_000, "NZD", 5, 180_000, 6)),
    *(("GBPNZD", 100_000, "NZD", 5, 211_000, 7), ("AUDNZD", 100_000, "NZD", 5, 109_000, 3)),
)


@dataclass(slots=True)
class Line:
    """A symbol and its current price in points."""

    spec: SymbolSpec
    middle: int
    step: int
    points: int

    def quote(self) -> tuple[Decimal, Decimal]:
        grain = Decimal(1).scaleb(-self.spec.digits)
        return (self.points - self.step) * grain, (self.points + self.step) * grain


class Market:
    """Quotes that stay within 4 % of their first price, so that none is doubtful."""

    def __init__(self, symbols: int, seed: int, start: datetime) -> None:
        self.random = Random(seed)
        self.lines = [_line(*known) for known in _KNOWN[:symbols]]
        self.lines += [_line(f"STK{n:03}", 1, "USD", 2, 10_000 + 137 * n, 2) for n in range(symbols - len(self.lines))]
        self.by_symbol = {line.spec.symbol: line for line in self.lines}
        self.at, self.seq = start, 0

    def instruments(self) -> dict[str, Instrument]:
        specs = (line.spec for line in self.lines)
        return {s.symbol: Instrument(s.symbol, s.contract_size, s.quote_currency) for s in specs}

    def specs(self) -> list[SymbolSpec]:
        return [line.spec for line in self.lines]

    def tick(self, line: Line, points: int | None = None, seconds: float = 0.0) -> Tick:
        """Returns the next quote of a symbol: a random step, or the given number of points."""
        if points is None:
            back = (line.middle - line.points) * 25 // line.middle  # -1, 0 or 1 beyond 4 %
            points = round(line.step * self.random.gauss(0, 1)) + 3 * line.step * back
        line.points += points
        self.seq += 1
        self.at += timedelta(seconds=seconds)
        bid, ask = line.quote()
        return Tick.model_construct(kind="tick", seq=self.seq, at=self.at, symbol=line.spec.symbol, bid=bid, ask=ask)

    def any_tick(self, seconds: float = 0.0) -> Tick:
        return self.tick(self.random.choice(self.lines), seconds=seconds)


def _line(symbol: str, contract: int, quote: str, digits: int, points: int, step: int) -> Line:
    spec = SymbolSpec(symbol=symbol, contract_size=Decimal(contract), quote_currency=quote, digits=digits)
    return Line(spec, points, step, points)
