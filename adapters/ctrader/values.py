"""Numbers of the wire as ours: money, lots, prices and times. Each raises Unreadable for what cannot be one."""

import decimal
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from domain.money import is_exact, is_known, to_minor
from ports.platform import Side
from ports.venue import Unreadable
from wire.ctrader.OpenApiModelMessages_pb2 import BUY, SELL

_SPOT_DIGITS: Final = 5  # a spot is in 1/100000 of a unit of price
_NO_MONEY_DIGITS: Final = 2  # unverified: what a message without moneyDigits means
_MOST_MONEY_DIGITS: Final = 15
_SIDES: Final[dict[int, Side]] = {BUY: "buy", SELL: "sell"}
_EXACT: Final = decimal.Context(prec=28, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero])


def amount(value: int, digits: int, field: str) -> Decimal:
    """Returns an amount in major units. `digits`: the message's moneyDigits; 0 where it has none."""
    if digits > _MOST_MONEY_DIGITS:
        raise Unreadable(f"moneyDigits of {field} is {digits}")
    return Decimal(value).scaleb(-(digits or _NO_MONEY_DIGITS))


def booked(value: int, digits: int, currency: str, field: str) -> int:
    """Returns money that was booked, in minor units. It must be a whole number of them."""
    exact = amount(value, digits, field)
    if not is_exact(exact, currency):
        raise Unreadable(f"{field} is {exact}, which is no amount of {currency}")
    return to_minor(exact, currency)


def floating(value: int, digits: int, currency: str, field: str) -> int:
    """Returns money that moves with the market, in minor units, rounded half up."""
    return to_minor(amount(value, digits, field), currency)


def known(currency: str) -> str:
    if not is_known(currency):
        raise Unreadable(f"the currency {currency[:20]!r} is unknown")
    return currency


def lots(volume: int, lot_size: int, field: str) -> Decimal:
    """Returns lots. `volume`, `lot_size`: in hundredths of a unit."""
    if volume <= 0 or lot_size <= 0:
        raise Unreadable(f"{field} is {volume} of a lot of {lot_size}")
    try:
        return _EXACT.divide(Decimal(volume), Decimal(lot_size)).normalize(_EXACT)
    except decimal.DecimalException:
        raise Unreadable(f"{field} is {volume} of a lot of {lot_size}") from None


def units(volume: int) -> Decimal:
    """Returns units. `volume`: in hundredths of a unit."""
    return Decimal(volume).scaleb(-2)


def price(value: float, field: str) -> Decimal:
    """Returns a price that came as a double, in its shortest decimal form."""
    found = Decimal(repr(value))
    if not found.is_finite() or found <= 0:
        raise Unreadable(f"{field} is {value}")
    return found


def spot(value: int, field: str) -> Decimal:
    """Returns a price that came as a whole number."""
    if value <= 0:
        raise Unreadable(f"{field} is {value}")
    return Decimal(value).scaleb(-_SPOT_DIGITS)


def at(milliseconds: int, field: str) -> datetime:
    try:
        seconds, rest = divmod(milliseconds, 1000)
        if seconds <= 0:
            raise ValueError
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    except (ValueError, OverflowError, OSError):
        raise Unreadable(f"{field} is {milliseconds}") from None


def side(value: int) -> Side:
    if value not in _SIDES:
        raise Unreadable(f"tradeSide is {value}")
    return _SIDES[value]
