"""What traders and the venue do with positions and orders. Every function returns the events that it causes."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from domain.errors import BadInput, NotFound
from sandbox.ctrader.state import Account, Broker
from wire.ctrader import OpenApiModelMessages_pb2 as model
from wire.ctrader.OpenApiMessages_pb2 import ProtoOAExecutionEvent, ProtoOATrailingSLChangedEvent

_TYPES = {"market": model.MARKET, "limit": model.LIMIT, "stop": model.STOP}
_REASONS = {"client": model.MARKET, "stop_out": model.MARKET, "dealer": model.MARKET}


def place(
    broker: Broker,
    account: Account,
    *,
    symbol: str,
    side: str,
    volume: int,
    type: str = "market",
    price: Decimal | None = None,
    label: str = "",
    comment: str = "",
    stop_loss: Decimal | None = None,
    take_profit: Decimal | None = None,
    forced: bool = False,
) -> list[ProtoOAExecutionEvent]:
    """Places an order; a market order is filled at once. `forced`: also on an account that may not trade. Raises
    BadInput and NotFound."""
    listed = broker.symbol(symbol)
    if account.rights != "FULL_ACCESS" and not forced:
        raise BadInput("The account may not open positions.", field="account")
    data = model.ProtoOATradeData(
        symbolId=listed.number,
        volume=volume,
        tradeSide=side.upper(),
        openTimestamp=broker.now(),
        label=label,
        comment=comment,
    )
    order = model.ProtoOAOrder(
        orderId=broker.number(),
        tradeData=data,
        orderType=_TYPES[type],
        orderStatus=model.ORDER_STATUS_ACCEPTED,
        utcLastUpdateTimestamp=broker.now(),
        positionId=broker.number(),
        stopLoss=None if stop_loss is None else float(stop_loss),
        takeProfit=None if take_profit is None else float(take_profit),
    )
    if price is not None and type == "limit":
        order.limitPrice = float(price)
    if price is not None and type == "stop":
        order.stopPrice = float(price)
    if type == "market":
        return [_event(account, model.ORDER_ACCEPTED, order=order), *fill(broker, account, order)]
    account.orders[order.orderId] = order
    return [_event(account, model.ORDER_ACCEPTED, order=order)]


def fill(broker: Broker, account: Account, order: model.ProtoOAOrder) -> list[ProtoOAExecutionEvent]:
    """Fills an order that opens a position, at the price of now. Raises BadInput without a price."""
    listed = broker.symbols[order.tradeData.symbolId]
    buys = order.tradeData.tradeSide == model.BUY
    price = listed.ask if buys else listed.bid
    if not price:
        raise BadInput(f"{listed.name} has no price.", field="symbol")
    account.orders.pop(order.orderId, None)
    commission = _commission(account, order.tradeData.volume, listed.lot_size)
    position = model.ProtoOAPosition(
        positionId=order.positionId,
        tradeData=order.tradeData,
        positionStatus=model.POSITION_STATUS_OPEN,
        swap=0,
        price=price / 100_000,
        stopLoss=order.stopLoss or None,
        takeProfit=order.takeProfit or None,
        utcLastUpdateTimestamp=broker.now(),
        commission=commission,
        moneyDigits=account.money_digits,
    )
    position.tradeData.openTimestamp = broker.now()
    account.positions[position.positionId] = position
    _end(broker, account, order, model.ORDER_STATUS_FILLED, executed=order.tradeData.volume)
    deal = _deal(broker, account, order, price / 100_000, commission)
    broker.note_worth(account)
    return [_event(account, model.ORDER_FILLED, order=order, deal=deal, position=position)]


def close(
    broker: Broker, account: Account, position_id: int, volume: int = 0, reason: str = "client"
) -> list[ProtoOAExecutionEvent]:
    """Closes a position, or this volume of it, at the price of now. `reason`: client, stop_loss, take_profit or
    stop_out or dealer. Raises NotFound and BadInput."""
    position = account.positions.get(position_id)
    if position is None:
        raise NotFound(f"There is no position {position_id}.")
    whole = position.tradeData.volume
    volume = volume or whole
    if not 0 < volume <= whole:
        raise BadInput("The volume is not one of the position.", field="volume")
    price = broker.closing_price(position)
    listed = broker.symbols[position.tradeData.symbolId]
    gross = broker.gross(account, position, volume, price)
    share = Decimal(volume) / Decimal(whole)
    own = _commission(account, volume, listed.lot_size)
    opening, swap = _rounded(position.commission * share), _rounded(position.swap * share)
    opposite = model.SELL if position.tradeData.tradeSide == model.BUY else model.BUY
    order = _closing_order(broker, position, volume, opposite, reason, float(price))
    deal = _deal(broker, account, order, float(price), own)
    deal.closePositionDetail.CopyFrom(
        model.ProtoOAClosePositionDetail(
            entryPrice=position.price,
            grossProfit=gross,
            swap=swap,
            commission=opening + own,
            balance=account.change_balance(gross + swap + opening + own),
            closedVolume=volume,
            balanceVersion=account.version,
            moneyDigits=account.money_digits,
        )
    )
    position.tradeData.volume -= volume
    position.commission -= opening
    position.swap -= swap
    position.utcLastUpdateTimestamp = broker.now()
    if not position.tradeData.volume:
        position.positionStatus = model.POSITION_STATUS_CLOSED
        del account.positions[position_id]
    broker.note_worth(account)
    _end(broker, account, order, model.ORDER_STATUS_FILLED, executed=volume)
    event = _event(account, model.ORDER_FILLED, order=order, deal=deal, position=position)
    event.isServerEvent = reason in ("stop_out", "dealer")
    return [event]


def change_stops(
    broker: Broker, account: Account, position_id: int, stop_loss: Decimal | None, take_profit: Decimal | None
) -> list[ProtoOAExecutionEvent]:
    """Sets both levels as given; None: there is none. Raises NotFound."""
    position = account.positions.get(position_id)
    if position is None:
        raise NotFound(f"There is no position {position_id}.")
    position.ClearField("stopLoss")
    position.ClearField("takeProfit")
    if stop_loss is not None:
        position.stopLoss = float(stop_loss)
    if take_profit is not None:
        position.takeProfit = float(take_profit)
    position.utcLastUpdateTimestamp = broker.now()
    order = _closing_order(broker, position, position.tradeData.volume, model.SELL, "stop_loss", 0.0)
    return [_event(account, model.ORDER_REPLACED, order=order, position=position)]


def trail(broker: Broker, account: Account, position_id: int, stop_loss: Decimal) -> ProtoOATrailingSLChangedEvent:
    """Moves the stop loss as the price goes. Raises NotFound."""
    position = account.positions.get(position_id)
    if position is None:
        raise NotFound(f"There is no position {position_id}.")
    position.stopLoss, position.utcLastUpdateTimestamp = float(stop_loss), broker.now()
    return ProtoOATrailingSLChangedEvent(
        ctidTraderAccountId=account.number,
        positionId=position_id,
        orderId=broker.number(),
        stopPrice=position.stopLoss,
        utcLastUpdateTimestamp=position.utcLastUpdateTimestamp,
    )


def end_order(broker: Broker, account: Account, order_id: int, how: str) -> list[ProtoOAExecutionEvent]:
    """`how`: fill, cancel or expire. Raises NotFound."""
    order = account.orders.get(order_id)
    if order is None:
        raise NotFound(f"There is no order {order_id}.")
    if how == "fill":
        return fill(broker, account, order)
    del account.orders[order_id]
    status = model.ORDER_STATUS_CANCELLED if how == "cancel" else model.ORDER_STATUS_EXPIRED
    _end(broker, account, order, status)
    kind = model.ORDER_CANCELLED if how == "cancel" else model.ORDER_EXPIRED
    return [_event(account, kind, order=order)]


def change_order(broker: Broker, account: Account, order_id: int, price: Decimal) -> list[ProtoOAExecutionEvent]:
    """Raises NotFound."""
    order = account.orders.get(order_id)
    if order is None:
        raise NotFound(f"There is no order {order_id}.")
    if order.orderType == model.LIMIT:
        order.limitPrice = float(price)
    else:
        order.stopPrice = float(price)
    order.utcLastUpdateTimestamp = broker.now()
    return [_event(account, model.ORDER_REPLACED, order=order)]


def accepted(account: Account, position_id: int) -> ProtoOAExecutionEvent:
    """Returns the event that says an order to close a position was accepted and is not filled yet."""
    return _event(account, model.ORDER_ACCEPTED, position=account.positions[position_id])


def _closing_order(
    broker: Broker,
    position: model.ProtoOAPosition,
    volume: int,
    side: model.ProtoOATradeSide,
    reason: str,
    price: float,
) -> model.ProtoOAOrder:
    data = model.ProtoOATradeData()
    data.CopyFrom(position.tradeData)
    data.volume, data.tradeSide, data.openTimestamp = volume, side, broker.now()
    order = model.ProtoOAOrder(
        orderId=broker.number(),
        tradeData=data,
        orderType=_REASONS.get(reason, model.STOP_LOSS_TAKE_PROFIT),
        orderStatus=model.ORDER_STATUS_ACCEPTED,
        utcLastUpdateTimestamp=broker.now(),
        closingOrder=True,
        positionId=position.positionId,
        isStopOut=reason == "stop_out",
    )
    if reason == "stop_loss":
        order.stopPrice = price
    if reason == "take_profit":
        order.limitPrice = price
    return order


def _deal(
    broker: Broker, account: Account, order: model.ProtoOAOrder, price: float, commission: int
) -> model.ProtoOADeal:
    deal = model.ProtoOADeal(
        dealId=broker.number(),
        orderId=order.orderId,
        positionId=order.positionId,
        volume=order.tradeData.volume,
        filledVolume=order.tradeData.volume,
        symbolId=order.tradeData.symbolId,
        createTimestamp=broker.now(),
        executionTimestamp=broker.now(),
        utcLastUpdateTimestamp=broker.now(),
        executionPrice=price,
        tradeSide=order.tradeData.tradeSide,
        dealStatus=model.FILLED,
        commission=commission,
        moneyDigits=account.money_digits,
    )
    account.deals.append(deal)
    return deal


def _end(
    broker: Broker, account: Account, order: model.ProtoOAOrder, status: model.ProtoOAOrderStatus, executed: int = 0
) -> None:
    order.orderStatus, order.utcLastUpdateTimestamp = status, broker.now()
    if executed:
        order.executedVolume = executed
    account.past_orders[order.orderId] = order


def _commission(account: Account, volume: int, lot_size: int) -> int:
    return -_rounded(Decimal(account.commission_per_lot) * volume / lot_size)


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _event(account: Account, kind: model.ProtoOAExecutionType, **parts: Any) -> ProtoOAExecutionEvent:
    return ProtoOAExecutionEvent(ctidTraderAccountId=account.number, executionType=kind, **parts)
