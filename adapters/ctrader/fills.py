"""Deals, orders and cash flows of the venue as facts. Pure: what a fill needs beside its deal is given."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from adapters.ctrader import values
from adapters.ctrader.notes import read_note
from adapters.ctrader.symbols import Symbols
from ports.platform import FillReason, OrderChange, OrderType
from ports.venue import Fill, Money, Order
from wire.ctrader.OpenApiModelMessages_pb2 import (
    FILLED,
    LIMIT,
    ORDER_STATUS_ACCEPTED,
    ORDER_STATUS_CANCELLED,
    ORDER_STATUS_EXPIRED,
    ORDER_STATUS_FILLED,
    PARTIALLY_FILLED,
    STOP,
    STOP_LIMIT,
    STOP_LOSS_TAKE_PROFIT,
    ProtoOAChangeBalanceType,
    ProtoOAClosePositionDetail,
    ProtoOADeal,
    ProtoOADepositWithdraw,
    ProtoOAOrder,
)

_PENDING: Final[dict[int, OrderType]] = {LIMIT: "limit", STOP: "stop", STOP_LIMIT: "stop_limit"}
_CHANGES: Final[dict[int, OrderChange]] = {
    ORDER_STATUS_ACCEPTED: "placed",
    ORDER_STATUS_FILLED: "filled",
    ORDER_STATUS_EXPIRED: "expired",
    ORDER_STATUS_CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class Stops:
    """Of a position after a fill."""

    loss: Decimal | None = None
    profit: Decimal | None = None


def stop_levels(stop_loss: float, take_profit: float) -> Stops:
    """0: there is none. Raises Unreadable."""
    return Stops(
        values.price(stop_loss, "stopLoss") if stop_loss else None,
        values.price(take_profit, "takeProfit") if take_profit else None,
    )


def opening_stops(order: ProtoOAOrder | None, price: Decimal) -> Stops:
    """Returns the stops that an order gives to the position that it opens at this price, as levels or as distances from
    it; none for an order that closes. Raises Unreadable."""
    if order is None or order.closingOrder or order.orderType == STOP_LOSS_TAKE_PROFIT:
        return Stops()
    levels = stop_levels(order.stopLoss, order.takeProfit)
    up = values.side(order.tradeData.tradeSide) == "buy"
    return Stops(
        levels.loss or _away(price, order.relativeStopLoss, up=not up),
        levels.profit or _away(price, order.relativeTakeProfit, up=up),
    )


def _away(price: Decimal, distance: int, *, up: bool) -> Decimal | None:
    """Returns the price that is this far away, in 1/100000; None for no distance, or one down to nothing."""
    if distance <= 0:
        return None
    moved = Decimal(distance).scaleb(-5)
    found = price + moved if up else price - moved
    return found if found > 0 else None


def fills(
    deal: ProtoOADeal,
    login: int,
    currency: str,
    symbols: Symbols,
    order: ProtoOAOrder | None,
    *,
    by_venue: bool = False,
    stops: Stops | None = None,
) -> Iterator[Fill]:
    """Yields the fill of a deal; two for a deal that closes a position and opens one in the other direction; none for a
    deal that was not filled. `order`: the one that it fills, if it is known. `by_venue`: the venue says that no request
    of the trader brought it about. `stops`: None where only the order says them. Raises Unreadable.

    Commission and swap of a position are charged when it is closed: an opening deal leaves the balance as it was.
    """
    if deal.dealStatus not in (FILLED, PARTIALLY_FILLED):
        return
    price = values.price(deal.executionPrice, "executionPrice")
    lot_size = symbols.lot_size(deal.symbolId)
    stops = opening_stops(order, price) if stops is None else stops
    fill = Fill(
        fill_id=str(deal.dealId),
        login=login,
        position_id=str(deal.positionId),
        symbol=symbols.name(deal.symbolId),
        side=values.side(deal.tradeSide),
        lots=values.lots(deal.filledVolume, lot_size, "filledVolume"),
        price=price,
        entry="in",
        at=values.at(deal.executionTimestamp, "executionTimestamp"),
        profit_minor=0,
        reason=_reason(order, price, by_venue=by_venue),
        order_id=str(deal.orderId),
        expert_id=order.tradeData.label if order is not None else "",
        comment=order.tradeData.comment if order is not None else "",
        stop_loss=stops.loss,
        take_profit=stops.profit,
    )
    if not deal.HasField("closePositionDetail"):
        yield fill
        return
    closing = deal.closePositionDetail
    closed = min(closing.closedVolume or deal.filledVolume, deal.filledVolume)
    yield replace(_closed(fill, closing, currency), lots=values.lots(closed, lot_size, "closedVolume"))
    if closed < deal.filledVolume:
        opened = values.lots(deal.filledVolume - closed, lot_size, "filledVolume")
        yield replace(fill, fill_id=f"{deal.dealId}/in", lots=opened)


def _closed(fill: Fill, closing: ProtoOAClosePositionDetail, currency: str) -> Fill:
    def money(value: int, field: str) -> int:
        return values.booked(value, closing.moneyDigits, currency, field)

    return replace(
        fill,
        entry="out",
        profit_minor=money(closing.grossProfit, "grossProfit"),
        commission_minor=money(closing.commission, "commission"),
        swap_minor=money(closing.swap, "swap"),
        # Unverified: the sign of the fee. It is a cost, so it is taken off.
        fee_minor=-abs(money(closing.pnlConversionFee, "pnlConversionFee")),
        balance_minor=money(closing.balance, "balance"),
    )


def _reason(order: ProtoOAOrder | None, price: Decimal, *, by_venue: bool) -> FillReason:
    """What brought a fill about. Of a protective order the level that is nearer to the price was reached."""
    if order is None:
        return "dealer" if by_venue else "client"
    if order.isStopOut:
        return "stop_out"
    if order.orderType == STOP_LOSS_TAKE_PROFIT:
        loss = abs(Decimal(repr(order.stopPrice or order.stopLoss)) - price)
        profit = abs(Decimal(repr(order.limitPrice or order.takeProfit)) - price)
        return "stop_loss" if loss <= profit else "take_profit"
    if order.orderType in _PENDING:
        return "pending_fill"
    return "dealer" if by_venue else "client"


def pending(order: ProtoOAOrder, login: int, symbols: Symbols, *, replaced: bool = False) -> Order | None:
    """Returns what an order says of itself; None for an order that is not a pending one. `replaced`: it was changed.
    Raises Unreadable."""
    kind = _PENDING.get(order.orderType)
    change = _CHANGES.get(order.orderStatus)
    if kind is None or change is None or order.closingOrder:
        return None
    if change == "placed" and (replaced or order.executedVolume):
        change = "changed"
    left = order.tradeData.volume - (order.executedVolume if change in ("placed", "changed") else 0)
    price = order.limitPrice if order.orderType == LIMIT else order.stopPrice
    return Order(
        order_id=str(order.orderId),
        version=f"{order.utcLastUpdateTimestamp}/{order.orderStatus}",
        login=login,
        symbol=symbols.name(order.tradeData.symbolId),
        side=values.side(order.tradeData.tradeSide),
        lots=values.lots(left, symbols.lot_size(order.tradeData.symbolId), "volume"),
        change=change,
        at=values.at(order.utcLastUpdateTimestamp, "utcLastUpdateTimestamp"),
        type=kind,
        price=values.price(price, "price") if price else None,
    )


def money(flow: ProtoOADepositWithdraw, login: int, currency: str) -> Money:
    """Raises Unreadable. The sign comes from the kind of the operation: whether `delta` has one is unverified."""
    name = ProtoOAChangeBalanceType.Name(flow.operationType)
    delta = abs(values.booked(flow.delta, flow.moneyDigits, currency, "delta"))
    noted = read_note(flow.externalNote)
    operation, key = noted or ("deposit" if name == "BALANCE_DEPOSIT" else "adjustment", str(flow.balanceHistoryId))
    return Money(
        operation_id=str(flow.balanceHistoryId),
        login=login,
        operation=operation,
        key=key,
        amount_minor=-delta if "WITHDRAW" in name else delta,
        at=values.at(flow.changeBalanceTimestamp, "changeBalanceTimestamp"),
        balance_minor=values.booked(flow.balance, flow.moneyDigits, currency, "balance"),
    )
