"""The symbols of the simulated platform."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.errors import BadInput
from ports.platform import SymbolSpec


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol's contract, and its parameters in the price model.

    Price and spread are in points of the last digit, `volatility` in millionths of the price per tick.
    """

    spec: SymbolSpec
    model_price: int
    model_spread: int
    volatility: int


def _instrument(
    symbol: str, contract: str, quote: str, digits: int, commission: int, price: int, spread: int, volatility: int
) -> Instrument:
    spec = SymbolSpec(
        symbol=symbol,
        contract_size=Decimal(contract),
        quote_currency=quote,
        digits=digits,
        commission_minor_per_lot=commission,
    )
    return Instrument(spec, price, spread, volatility)


INSTRUMENTS: Final = {
    i.spec.symbol: i
    for i in (
        _instrument("EURUSD", "100000", "USD", 5, 500, 108_500, 8, 8),
        _instrument("GBPUSD", "100000", "USD", 5, 500, 127_000, 12, 9),
        _instrument("USDJPY", "100000", "JPY", 3, 500, 155_000, 10, 10),
        _instrument("XAUUSD", "100", "USD", 3, 500, 2_650_000, 250, 12),
        _instrument("NAS100", "1", "USD", 2, 0, 2_010_000, 120, 14),
    )
}


def symbol_specs(symbols: Iterable[str]) -> dict[str, SymbolSpec]:
    """Returns the contracts of `symbols`, in their order. Raises BadInput for an unknown one."""
    specs: dict[str, SymbolSpec] = {}
    for symbol in symbols:
        if symbol not in INSTRUMENTS:
            raise BadInput(
                f"The sandbox does not know the symbol {symbol!r}.",
                field="symbols",
                remedy=f"Choose among {', '.join(INSTRUMENTS)}.",
            )
        specs[symbol] = INSTRUMENTS[symbol].spec
    return specs
