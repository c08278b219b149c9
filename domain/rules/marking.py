"""The worth of an account at live quotes: longs at the bid, shorts at the ask, each position rounded separately."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from domain.errors import QuoteMissing
from domain.pnl import conversion_rate, position_profit_minor

Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class Instrument:
    symbol: str
    contract_size: Decimal
    quote_currency: str


@dataclass(frozen=True, slots=True)
class Position:
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_at: datetime


@dataclass(slots=True)
class QuoteBoard:
    """The last accepted quote of every symbol: (bid, ask), with its sequence number and time."""

    prices: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    stamps: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def put(self, symbol: str, bid: Decimal, ask: Decimal, seq: int, at: datetime) -> None:
        self.prices[symbol] = (bid, ask)
        self.stamps[symbol] = (seq, at)

    def closing_price(self, symbol: str, side: Side) -> Decimal:
        """Returns the price at which a position of `side` would close now. Raises QuoteMissing."""
        quote = self.prices.get(symbol)
        if quote is None:
            raise QuoteMissing(f"{symbol} has no quote yet.", remedy=f"Feed {symbol}.")
        return quote[0] if side == "buy" else quote[1]


def profit_minor(position: Position, board: QuoteBoard, instruments: Mapping[str, Instrument], currency: str) -> int:
    """Returns the floating profit in minor units. Raises RateMissing without a quote or a conversion."""
    instrument = instruments[position.symbol]
    return position_profit_minor(
        position.side,
        position.lots,
        instrument.contract_size,
        position.open_price,
        board.closing_price(position.symbol, position.side),
        conversion_rate(instrument.quote_currency, currency, board.prices),
        currency,
    )


def equity_minor(
    balance_minor: int,
    positions: Iterable[Position],
    board: QuoteBoard,
    instruments: Mapping[str, Instrument],
    currency: str,
) -> int:
    """Returns the balance plus the floating profit of every open position. Raises RateMissing."""
    return balance_minor + sum(profit_minor(p, board, instruments, currency) for p in positions)


def conversion_symbol(quote_currency: str, currency: str, prices: Mapping[str, object]) -> str | None:
    """Returns the symbol of the quote that converts, preferably the direct one; None when no conversion is needed."""
    if quote_currency == currency:
        return None
    direct, inverse = quote_currency + currency, currency + quote_currency
    return direct if direct in prices or inverse not in prices else inverse
