"""What the orders and transfers of DXtrade say: fills, pending orders and balance operations."""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.closing import closes_for_us
from adapters.dxtrade.figures import instrument_of, lots, minor, side
from adapters.venue.deals import as_deal
from adapters.venue.tags import initials, marked
from ports.platform import BalanceKind, Deal, FillReason, OrderChange, OrderType
from ports.venue import Fill, Money, Order, Unreadable

_TYPES: Final[dict[str, OrderType]] = {"MARKET": "market", "LIMIT": "limit", "STOP": "stop"}
_ENDS: Final[dict[str, OrderChange]] = {
    "COMPLETED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "expired",
    "REJECTED": "cancelled",
}
_OPERATIONS: Final[tuple[BalanceKind, ...]] = ("deposit", "payout_hold", "payout_release", "adjustment")
_BY_INITIALS: Final = {initials(operation): operation for operation in _OPERATIONS}
Instruments = dict[str, shapes.Instrument]


class _Sums(NamedTuple):
    """Money of one fill in minor units. `profit` None: the venue tells none. `version`: the last of its changes."""

    profit: int | None
    commission: int
    swap: int
    fee: int
    version: int


class OrderFill(NamedTuple):
    """A fill of an order, without stops. `version`: the account's after it. `settled` False: it closes, its profit is
    not there and nobody can reckon it, so that it is given as 0."""

    fill: Fill
    version: int
    settled: bool


def fills_of(login: int, currency: str, order: shapes.Order, instruments: Instruments) -> Iterator[OrderFill]:
    """Yields the fills of an order. Raises Unreadable."""
    filled = [each for each in order.executions if each.last_quantity > 0]
    for place, execution in enumerate(filled):
        if execution.last_price is None:
            raise Unreadable("lastPrice: an execution with a quantity has none")
        instrument = instrument_of(order.instrument, instruments)
        sums = _sums(order, execution, filled, place == len(filled) - 1, currency)
        profit, settled = sums.profit, True
        if profit is None and (order.opens or instrument.currency != currency):
            profit = 0  # no settlement is known, and the gateway could reckon none either
            settled = order.opens or _settled_as_a_whole(order, filled)
        yield OrderFill(
            Fill(
                fill_id=execution.execution_code,
                login=login,
                position_id=order.position,
                symbol=order.instrument,
                side=side(order.side),
                lots=lots(execution.last_quantity, instrument),
                price=execution.last_price,
                entry="in" if order.opens else "out",
                at=execution.transaction_time,
                profit_minor=profit,
                commission_minor=sums.commission,
                swap_minor=sums.swap,
                fee_minor=sums.fee,
                reason=_reason(order),
                order_id=order.order_code,
            ),
            sums.version,
            settled,
        )


def _settled_as_a_whole(order: shapes.Order, filled: Sequence[shapes.Execution]) -> bool:
    """Whether a settlement names none of the order's executions: it counts to the last, and the others have none."""
    codes = {each.execution_code for each in filled}
    return any(each.type == "SETTLEMENT" and each.trade_code not in codes for each in order.cash_transactions)


def _sums(
    order: shapes.Order, execution: shapes.Execution, filled: Sequence[shapes.Execution], last: bool, currency: str
) -> _Sums:
    """Adds up the cash transactions of an execution. One that names no execution of the order counts to the last."""
    codes = {each.execution_code for each in filled}
    profit: int | None = None
    sums = {"COMMISSION": 0, "FINANCING": 0, "COST": 0}
    version = execution.version
    for cash in order.cash_transactions:
        if cash.trade_code != execution.execution_code and not (last and cash.trade_code not in codes):
            continue
        if cash.currency != currency:
            raise Unreadable(f"cashTransactions: {cash.currency[:20]!r} is not the account's currency")
        amount = minor(cash.value, currency, "cashTransactions")
        version = max(version, cash.version)
        if cash.type == "SETTLEMENT":
            profit = amount + (profit or 0)
        else:
            kind = "COST" if cash.type not in sums else cash.type
            sums[kind] += amount
    return _Sums(profit, sums["COMMISSION"], sums["FINANCING"], sums["COST"], version)


def _reason(order: shapes.Order) -> FillReason:
    """That a stop or limit that closes is a stop loss or take profit is how the venue builds them."""
    if closes_for_us(order):
        return "dealer"
    if order.type == "MARKET":
        return "client"
    if order.opens:
        return "pending_fill"
    return "stop_loss" if order.type == "STOP" else "take_profit"


def pending_order(login: int, order: shapes.Order, instruments: Instruments) -> Order | None:
    """Returns what an order says of a pending order; None for a market order and for the stops of a position. Raises
    Unreadable."""
    if order.type == "MARKET" or not order.opens:
        return None
    at = order.transaction_time
    change = _ENDS.get(order.status) or ("placed" if at == order.issue_time else "changed")
    return Order(
        order_id=order.order_code,
        version=str(order.version),
        login=login,
        symbol=order.instrument,
        side=side(order.side),
        lots=lots(order.legs[0].quantity, instrument_of(order.instrument, instruments)),
        change=change,
        at=at,
        type=_TYPES[order.type],
        price=order.legs[0].price,
    )


def version_of(row: shapes.Order | shapes.CashTransfer) -> int:
    """Returns the version of the account that the last change of an order or transfer made."""
    versions = [row.version, *(each.version for each in row.cash_transactions)]
    if isinstance(row, shapes.Order):
        versions += [each.version for each in row.executions]
    return max(versions)


def money_of(login: int, currency: str, transfer: shapes.CashTransfer) -> Money | None:
    """Returns a transfer as a balance operation; None for the money of a trade, which its fill has. Raises
    Unreadable."""
    free = [each for each in transfer.cash_transactions if not _of_trade(each)]
    if not free:
        return None
    if any(each.currency != currency for each in free):
        raise Unreadable("cashTransactions: a currency is not the account's")
    amount = sum(minor(each.value, currency, "cashTransactions") for each in free)
    letters, key = marked(transfer.comment or "") or ("", "")
    operation = _BY_INITIALS.get(letters)
    if operation is None:
        operation, key = ("deposit" if free[0].type == "DEPOSIT" else "adjustment"), transfer.transfer_code
    return Money(transfer.transfer_code, login, operation, key, amount, transfer.transaction_time)


def _of_trade(cash: shapes.CashTransaction) -> bool:
    return cash.type in wire.OF_TRADES and bool(cash.trade_code or cash.order_code)


def deals_of(
    login: int,
    currency: str,
    portfolio: shapes.Portfolio,
    orders: Iterable[shapes.Order],
    transfers: Iterable[shapes.CashTransfer],
    instruments: Instruments,
) -> list[Deal]:
    """Returns the deals of an account, oldest first, numbered from 1. The balance after each is reckoned back from the
    balance of now, so that a history that begins late does no harm. Raises Unreadable."""
    balances = _Balances(currency, portfolio, transfers)
    found: list[tuple[datetime, int, Fill]] = []
    for order in orders:
        found += [(each.fill.at, each.version, each.fill) for each in fills_of(login, currency, order, instruments)]
    found.sort(key=lambda each: each[:2])
    return [
        as_deal(fill, balance_minor=balances.after(version), seq=number)
        for number, (_, version, fill) in enumerate(found, 1)
    ]


class _Balances:
    """The balance after each version of an account."""

    def __init__(self, currency: str, portfolio: shapes.Portfolio, transfers: Iterable[shapes.CashTransfer]) -> None:
        amounts = sorted((each.version, each.value) for transfer in transfers for each in transfer.cash_transactions)
        self._currency, self._versions = currency, [version for version, _ in amounts]
        self._sums = [Decimal(0)]
        for _, amount in amounts:
            self._sums.append(self._sums[-1] + amount)
        now = next((each.value for each in portfolio.balances if each.currency == currency), Decimal(0))
        self._start = now - self._sum(portfolio.version)

    def _sum(self, version: int) -> Decimal:
        return self._sums[bisect.bisect_right(self._versions, version)]

    def after(self, version: int) -> int:
        return minor(self._start + self._sum(version), self._currency, "balance")
