"""The profit of a position and the conversion between currencies, in exact arithmetic.

The sandbox venue and the monitor use the same functions, so their results never differ by rounding.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from domain.errors import RateMissing
from domain.money import from_minor, to_minor

# Floating results of accounts in several currencies are summed per symbol, and so need one currency.
REPORTING_CURRENCY: Final = "USD"

_ONE: Final = Decimal(1)


def conversion_rate(
    quote_currency: str, account_currency: str, quotes: Mapping[str, tuple[Decimal, Decimal]]
) -> Decimal:
    """Returns the units of `account_currency` for one unit of `quote_currency`, from live `quotes` (symbol -> bid,
    ask).

    A direct symbol (GBPUSD for GBP into USD) converts at its bid; an inverse symbol (USDJPY for JPY into USD)
    divides by its ask. Raises RateMissing when neither is quoted.
    """
    if quote_currency == account_currency:
        return _ONE
    direct = quotes.get(quote_currency + account_currency)
    if direct is not None:
        return direct[0]
    inverse = quotes.get(account_currency + quote_currency)
    if inverse is not None:
        return _ONE / inverse[1]
    raise RateMissing(
        f"No live rate converts {quote_currency} into {account_currency}.",
        remedy=f"Feed {quote_currency}{account_currency} or {account_currency}{quote_currency}.",
    )


def position_profit_minor(
    side: Literal["buy", "sell"],
    lots: Decimal,
    contract_size: Decimal,
    open_price: Decimal,
    close_price: Decimal,
    rate: Decimal,
    currency: str,
) -> int:
    """Returns the profit of one position in minor units of `currency`, rounded half up (ties away from zero).

    `close_price` is the bid for a long and the ask for a short; `rate` converts the quote currency.
    """
    move = close_price - open_price if side == "buy" else open_price - close_price
    return to_minor(move * lots * contract_size * rate, currency)


def position_value_minor(lots: Decimal, contract_size: Decimal, price: Decimal, rate: Decimal, currency: str) -> int:
    """Returns the market value of a position in minor units of `currency`. `rate` converts the quote currency."""
    return to_minor(lots * contract_size * price * rate, currency)


def reported_minor(minor: int, currency: str, quotes: Mapping[str, tuple[Decimal, Decimal]]) -> int:
    """Returns minor units of `currency` in minor units of the reporting currency, at the live rate. Raises
    RateMissing."""
    rate = conversion_rate(currency, REPORTING_CURRENCY, quotes)
    return to_minor(from_minor(minor, currency) * rate, REPORTING_CURRENCY)
