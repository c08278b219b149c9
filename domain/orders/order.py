"""An order that is not placed yet, and the account that it is for, with the prices and conversions of the moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Literal

from domain.errors import BadInput, RateMissing
from domain.pnl import conversion_rate, position_profit_minor, position_value_minor
from domain.products.phase_terms import PhaseTerms
from domain.rules.events import Side
from domain.rules.floors import Mark
from domain.rules.history import HistoryState
from domain.rules.limits import LimitState
from domain.rules.marking import Instrument, Position
from domain.rules.state import AccountRules
from domain.wording import number

OrderKind = Literal["market", "pending", "close"]

MOST_LOTS: Final = 10**6  # amounts stay exact below these
MOST_PRICE: Final = 10**9
NEW: Final = "new order"  # the id of the position that the order opens


@dataclass(frozen=True, slots=True)
class Order:
    """`price`: of a pending order, or the price that a fill is expected at; None: the quote of the moment.
    `position_id`: the position that a close closes, or that a market order adds to."""

    kind: OrderKind
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    position_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An account at one moment. `history`: None if its terms have no conduct rules and no gates. `limits`: the offences
    of its limits, by rule id. `quotes`: symbol -> (bid, ask)."""

    terms: PhaseTerms
    mark: Mark
    rules: AccountRules
    history: HistoryState | None
    limits: Mapping[str, LimitState] = field(default_factory=dict)
    positions: tuple[Position, ...] = ()
    quotes: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    instruments: Mapping[str, Instrument] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        return self.terms.product.currency

    def position(self, position_id: str) -> Position:
        """Raises BadInput for a position that is not open."""
        found = next((each for each in self.positions if each.position_id == position_id), None)
        if found is None:
            known = ", ".join(each.position_id for each in self.positions)
            raise BadInput(
                f"Position {position_id!r} is not open on this account.",
                field="position_id",
                remedy=f"Open are: {known}." if known else "The account has no open position.",
            )
        return found

    def conversion(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Returns (contract size, rate into the account's currency). Raises RateMissing, also for a symbol that the
        venue has not described."""
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise RateMissing(f"The venue has not described {symbol}.", remedy=f"Check the name {symbol}.")
        return instrument.contract_size, conversion_rate(instrument.quote_currency, self.currency, self.quotes)

    def value_minor(self, symbol: str, lots: Decimal, price: Decimal) -> int:
        """Returns the value of a position in minor units. Raises RateMissing."""
        size, rate = self.conversion(symbol)
        return position_value_minor(lots, size, price, rate, self.currency)

    def profit_minor(self, symbol: str, side: Side, lots: Decimal, opened: Decimal, closed: Decimal) -> int:
        """Returns the result of a position in minor units, without costs. Raises RateMissing."""
        size, rate = self.conversion(symbol)
        return position_profit_minor(side, lots, size, opened, closed, rate, self.currency)


def fill_price(order: Order, standing: Standing) -> Decimal:
    """Returns the price at which the order is filled: its own, or the quote. Raises RateMissing without either."""
    if order.price is not None:
        return order.price
    bid, ask = _quote(order, standing)
    buys = (order.side == "buy") != (order.kind == "close")  # a close has the side of its position
    return ask if buys else bid


def closing_price(order: Order, standing: Standing, filled: Decimal) -> Decimal:
    """Returns the price at which the new position would close right after its fill. At a price of the order's own that
    is a spread away; without a quote it is that price itself."""
    if order.symbol not in standing.quotes:
        return filled
    bid, ask = _quote(order, standing)
    if order.kind == "market":
        return bid if order.side == "buy" else ask
    return filled - (ask - bid) if order.side == "buy" else filled + (ask - bid)


def _quote(order: Order, standing: Standing) -> tuple[Decimal, Decimal]:
    quote = standing.quotes.get(order.symbol)
    if quote is None:
        raise RateMissing(f"{order.symbol} has no quote yet.", remedy="Name a price.")
    return quote


def whole(order: Order, standing: Standing) -> Order:
    """Returns a close with the symbol and the side of its position, and with all its lots if it names none; any other
    order as it is. Raises BadInput for a position that is not open, or is smaller."""
    if order.kind != "close":
        return order
    held = standing.position(order.position_id or "")
    if order.lots > held.lots:
        raise BadInput(
            f"Position {held.position_id} has {number(held.lots)} lots.",
            field="lots",
            remedy="Close at most these lots; leave lots out to close all.",
        )
    return replace(order, symbol=held.symbol, side=held.side, lots=order.lots or held.lots)


def check_order(order: Order) -> None:
    """Raises BadInput for an order that contradicts itself, or is larger than any that is traded."""
    needs_lots = order.kind != "close" or order.lots
    if needs_lots and not 0 < order.lots <= MOST_LOTS:
        raise BadInput(
            f"lots must be more than zero, and {MOST_LOTS} at most.", field="lots", remedy="Write them like 0.10."
        )
    if order.kind == "pending" and order.price is None:
        remedy = "Add the price, or check a market order."
        raise BadInput("A pending order needs a price.", field="price", remedy=remedy)
    for name in ("price", "stop", "take_profit"):
        value: Decimal | None = getattr(order, name)
        if value is not None and not 0 < value <= MOST_PRICE:
            raise BadInput(
                f"{name} must be more than zero, and {MOST_PRICE} at most.", field=name, remedy="Write it like 1.0850."
            )
    if order.kind == "close" and (order.stop or order.take_profit):
        raise BadInput("A close has no stop and no take profit.", field="stop", remedy="Leave both out.")
