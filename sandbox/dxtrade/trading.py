"""Orders of the fake venue: accepted, filled, cancelled; what they do to positions and money; how they are shown."""

from decimal import Decimal
from typing import Any, Final

from sandbox.dxtrade.state import WORKING, Account, Order, Position, Refused, Venue, instant, read_instant

_ALLOWED: Final = {"OPEN": {"FULL_TRADING"}, "CLOSE": {"FULL_TRADING", "CLOSE_ONLY"}}


def place(venue: Venue, account: Account, asked: dict[str, Any], *, forced: bool = False) -> Order:
    """Takes an order as the wire gives it. A market order is filled at once unless orders are held. An account that may
    not trade takes no closing order either: nobody has published whether the real one does, and this is the stricter
    way. Raises Refused."""
    code, effect = str(asked.get("orderCode") or ""), str(asked.get("positionEffect") or "OPEN")
    symbol, side = str(asked.get("instrument")), str(asked.get("side"))
    type_, quantity = str(asked.get("type")), Decimal(str(asked.get("quantity") or 0))
    if any(order.client_id == code for order in account.orders.values()):
        raise Refused(409, 30007, "Order with the given orderCode already exists")
    if symbol not in venue.instruments or side not in ("BUY", "SELL") or effect not in _ALLOWED or quantity <= 0:
        raise Refused(400, 30001, "Invalid order")
    if account.status not in _ALLOWED[effect] and not forced:
        raise Refused(409, 30031, f"Account is {account.status}")
    position_code = str(asked.get("positionCode") or "")
    if symbol in venue.halted:
        raise Refused(409, 30034, "Trading of the instrument is halted")
    if effect == "CLOSE":
        _check_closes(account, position_code, side, quantity)
    price = asked.get("limitPrice", asked.get("stopPrice"))
    number, now = venue.number(), venue.time()
    order = Order(
        account=account.name,
        order_id=number,
        code=str(number),
        client_id=code,
        type=type_,
        symbol=symbol,
        side=side,
        quantity=quantity,
        effect=effect,
        position_code=position_code or str(number),
        price=None if price is None else Decimal(str(price)),
        issued_at=now,
        changed_at=now,
        version=account.moved(),
    )
    account.orders[order.code] = order
    if type_ == "MARKET" and not venue.holds_orders:
        fill(venue, account, order)
    venue.on_change(account, "portfolio", None)
    return order


def _check_closes(account: Account, position_code: str, side: str, quantity: Decimal) -> None:
    position = account.positions.get(position_code)
    if position is None:
        raise Refused(404, 30044, "Position not found")
    if side == position.side or quantity > position.quantity:
        raise Refused(400, 30002, "The order does not close the position")


def fill(
    venue: Venue, account: Account, order: Order, price: Decimal | None = None, part: Decimal | None = None
) -> None:
    """Fills an order, or a part of it, at the given price, else at the quote. Raises Refused."""
    if order.status not in WORKING:
        raise Refused(409, 30032, f"Order is {order.status}")
    if price is None:
        if order.symbol not in venue.quotes:
            raise Refused(409, 30033, "No market for the instrument")
        bid, ask, _ = venue.quotes[order.symbol]
        price = ask if order.side == "BUY" else bid
    filled = sum((Decimal(str(each["lastQuantity"])) for each in order.executions), Decimal(0))
    quantity = order.quantity - filled if part is None else part
    trade = f"E{venue.number()}"
    order.changed_at, order.version = venue.time(), account.moved()
    order.status = "COMPLETED" if filled + quantity >= order.quantity else "WORKING"
    order.executions.append(
        {
            "account": account.name,
            "executionCode": trade,
            "orderCode": order.code,
            "version": order.version,
            "clientOrderId": order.client_id,
            "instrument": order.symbol,
            "status": order.status,
            "finalStatus": order.status == "COMPLETED",
            "filledQuantity": float(filled + quantity),
            "lastQuantity": float(quantity),
            "remainingQuantity": float(order.quantity - filled - quantity),
            "lastPrice": float(price),
            "averagePrice": float(price),
            "transactionTime": instant(order.changed_at),
        }
    )
    profit = _move(venue, account, order, price, quantity)
    about = {"orderCode": order.code, "tradeCode": trade, "positionCode": order.position_code}
    if profit is not None:
        order.cash.append(venue.book(account, "SETTLEMENT", profit, "", **about))
    instrument = venue.instruments[order.symbol]
    if instrument.commission_per_lot:
        commission = -(instrument.commission_per_lot * quantity / instrument.lot_size).quantize(Decimal("0.01"))
        order.cash.append(venue.book(account, "COMMISSION", commission, "", **about))
    venue.note_worth(account)


def _move(venue: Venue, account: Account, order: Order, price: Decimal, quantity: Decimal) -> Decimal | None:
    """Changes the position, and returns the profit if the order closes."""
    now = venue.time()
    position = account.positions.get(order.position_code)
    if order.effect == "OPEN":
        if position is None:
            account.positions[order.position_code] = Position(
                order.position_code, order.symbol, order.side, quantity, price, now, now, order.version
            )
        else:
            total = position.quantity + quantity
            position.open_price = (position.open_price * position.quantity + price * quantity) / total
            position.quantity, position.updated_at, position.version = total, now, order.version
        return None
    if position is None:
        raise Refused(404, 30044, "Position not found")
    profit = venue.profit(account, position, price, quantity)
    position.quantity -= quantity
    position.updated_at, position.version = now, order.version
    if position.quantity <= 0:
        del account.positions[order.position_code]
    return profit


def end(venue: Venue, account: Account, order: Order, status: str) -> None:
    """Ends a working order without a fill. Raises Refused."""
    if order.status not in WORKING:
        raise Refused(409, 30032, f"Order is {order.status}")
    order.status, order.changed_at, order.version = status, venue.time(), account.moved()
    venue.on_change(account, "portfolio", None)


def order_of(account: Account, code: str) -> Order:
    """Finds an order by the venue's code or the client's. Raises Refused."""
    for order in account.orders.values():
        if code in (order.code, order.client_id):
            return order
    raise Refused(404, 30045, "Order not found")


def set_stops(venue: Venue, account: Account, code: str, stop: Decimal | None, target: Decimal | None) -> None:
    position = account.positions.get(code)
    if position is None:
        raise Refused(404, 30044, "Position not found")
    position.stop_loss, position.take_profit = stop, target
    position.updated_at, position.version = venue.time(), account.moved()
    venue.on_change(account, "portfolio", None)


def shown_order(order: Order) -> dict[str, Any]:
    leg = {
        "instrument": order.symbol,
        "positionEffect": order.effect,
        "positionCode": order.position_code,
        "side": order.side,
        "legRatio": 1.0,
        "quantity": float(order.quantity),
    }
    if order.price is not None:
        leg["price"] = float(order.price)
    return {
        "account": order.account,
        "version": order.version,
        "orderId": order.order_id,
        "orderCode": order.code,
        "clientOrderId": order.client_id,
        "legCount": 1,
        "type": order.type,
        "instrument": order.symbol,
        "status": order.status,
        "finalStatus": order.status not in WORKING,
        "legs": [leg],
        "side": order.side,
        "tif": "GTC",
        "issueTime": instant(order.issued_at),
        "transactionTime": instant(order.changed_at),
        "executions": order.executions,
        "cashTransactions": order.cash,
    }


def shown_position(account: Account, position: Position) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "account": account.name,
        "version": position.version,
        "positionCode": position.code,
        "symbol": position.symbol,
        "quantity": float(position.quantity),
        "side": position.side,
        "openTime": instant(position.opened_at),
        "lastUpdateTime": instant(position.updated_at),
        "openPrice": float(position.open_price),
    }
    if position.stop_loss is not None:
        shown["stopLossPrice"] = float(position.stop_loss)
    if position.take_profit is not None:
        shown["takeProfitPrice"] = float(position.take_profit)
    return shown


def shown_portfolio(account: Account) -> dict[str, Any]:
    return {
        "account": account.name,
        "version": account.version,
        "balances": [
            {
                "account": account.name,
                "version": account.version,
                "value": float(account.balance),
                "currency": account.currency,
            }
        ],
        "positions": [shown_position(account, each) for each in account.positions.values()],
        "orders": [shown_order(each) for each in account.orders.values() if each.status in WORKING],
    }


def shown_book(venue: Venue, account: Account) -> dict[str, Any]:
    """What the venue itself knows of an account, for a judge: fills with their lots, equity now and at its lowest."""
    return {
        "login": int(account.code),
        "fills": {
            each["executionCode"]: str(Decimal(str(each["lastQuantity"])) / venue.instruments[order.symbol].lot_size)
            for order in account.orders.values()
            for each in order.executions
        },
        "balance": str(account.balance),
        "equity": str(venue.equity(account)),
        "lowest": None if account.lowest is None else str(account.lowest),
        "enabled": account.status == "FULL_TRADING",
        "open": sorted(account.positions),
    }


def shown_metrics(venue: Venue, account: Account) -> dict[str, Any]:
    equity = venue.equity(account)
    return {
        "account": account.name,
        "version": account.version,
        "equity": float(equity),
        "balance": float(account.balance),
        "openPL": float(equity - account.balance),
        "openPositionsCount": len(account.positions),
        "openOrdersCount": sum(order.status in WORKING for order in account.orders.values()),
    }


def history(account: Account, query: dict[str, str]) -> list[Order]:
    """The orders that the filters leave, oldest change first."""
    found = sorted(account.orders.values(), key=lambda order: (order.changed_at, order.version))
    if query.get("transaction-from"):
        found = [each for each in found if each.changed_at >= read_instant(query["transaction-from"])]
    if query.get("at-least-version"):
        found = [each for each in found if each.version >= int(query["at-least-version"])]
    if query.get("with-client-id"):
        wanted = query["with-client-id"].split(",")
        found = [each for each in found if each.client_id in wanted]
    return found
