"""Conversions between DXtrade's figures and the port's. Every one is exact or refused, except the equity: a floating
profit may have more digits than the currency, and is rounded half up."""

from decimal import Decimal, localcontext
from typing import Final

from adapters.dxtrade import shapes
from domain.money import from_minor, is_exact, is_known, to_minor
from ports.platform import AccountSnapshot, PositionState, Side, SymbolSpec
from ports.venue import Unreadable

_SIDES: Final[dict[str, Side]] = {"BUY": "buy", "SELL": "sell"}
_EXACT_FLOAT_DIGITS: Final = 15


def minor(amount: Decimal, currency: str, field: str) -> int:
    """Returns an amount in minor units. Raises Unreadable for one that does not fit."""
    if not is_known(currency):
        raise Unreadable(f"{field}: the currency {currency[:20]!r} is not known")
    if not is_exact(amount, currency):
        raise Unreadable(f"{field}: {amount} is not an amount in {currency}")
    return to_minor(amount, currency)


def rounded_minor(amount: Decimal, currency: str, field: str) -> int:
    """Returns a worth in minor units, rounded half up. Raises Unreadable."""
    if not is_known(currency) or amount.adjusted() >= 15:
        raise Unreadable(f"{field}: {amount} is not an amount in {currency[:20]!r}")
    return to_minor(amount, currency)


def wire_amount(amount_minor: int, currency: str) -> float | None:
    """Returns the number to send; None when a JSON number cannot hold it exactly."""
    exact = from_minor(amount_minor, currency)
    if len(exact.as_tuple().digits) > _EXACT_FLOAT_DIGITS:
        return None
    return float(exact)


def side(word: str) -> Side:
    return _SIDES[word]


def lots(quantity: Decimal, instrument: shapes.Instrument) -> Decimal:
    """Returns a quantity of units in lots. Raises Unreadable when it is no finite decimal."""
    with localcontext() as context:
        context.prec = 40
        found = (quantity / instrument.lot_size).normalize()
        if found * instrument.lot_size != quantity:
            raise Unreadable(f"quantity: {quantity} of {instrument.symbol} is no number of lots")
    return found if found.as_tuple().exponent < 0 else found.quantize(Decimal(1))  # type: ignore[operator]


def spec(instrument: shapes.Instrument) -> SymbolSpec:
    """Returns an instrument as a symbol. The venue does not tell its commission here."""
    exponent = instrument.price_increment.normalize().as_tuple().exponent
    return SymbolSpec(
        symbol=instrument.symbol,
        contract_size=instrument.lot_size * instrument.multiplier,
        quote_currency=instrument.currency,
        digits=max(0, -int(exponent)),
    )


def login_of(name: str, clearing: str) -> int | None:
    """Returns the login of an account "clearing:code"; None for one that cannot be ours: of another clearing, or with a
    code that is not a plain number."""
    found, _, code = name.partition(":")
    if found != clearing or not code.isascii() or not code.isdecimal() or len(code) > 18 or code.startswith("0"):
        return None
    return int(code)


def account_snapshot(
    login: int,
    account: shapes.Account,
    metrics: shapes.Metrics,
    portfolio: shapes.Portfolio,
    instruments: dict[str, shapes.Instrument],
) -> AccountSnapshot:
    """Returns an account whole. Raises Unreadable."""
    return AccountSnapshot(
        login=login,
        currency=account.currency,
        balance_minor=minor(metrics.balance, account.currency, "balance"),
        equity_minor=rounded_minor(metrics.equity, account.currency, "equity"),
        trading_enabled=account.status == "FULL_TRADING",
        positions=tuple(_position(each, instruments) for each in portfolio.positions),
        seq=0,
    )


def _position(position: shapes.Position, instruments: dict[str, shapes.Instrument]) -> PositionState:
    return PositionState(
        position_id=position.position_code,
        symbol=position.symbol,
        side=side(position.side),
        lots=lots(abs(position.quantity), instrument_of(position.symbol, instruments)),
        open_price=position.open_price,
        opened_at=position.open_time,
    )


def instrument_of(symbol: str, instruments: dict[str, shapes.Instrument]) -> shapes.Instrument:
    """Raises Unreadable."""
    if symbol not in instruments:
        raise Unreadable(f"instrument: {symbol[:40]!r} is not in the venue's list")
    return instruments[symbol]
