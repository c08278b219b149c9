"""Pending orders, from the list of open ones and the list of those that ended."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from adapters.mt5 import names, shapes
from adapters.mt5.server_time import ServerClock
from ports.platform import OrderChange, OrderType
from ports.venue import Order

_TYPES: Final[dict[int, OrderType]] = {
    names.OP_BUY_LIMIT: "limit",
    names.OP_SELL_LIMIT: "limit",
    names.OP_BUY_STOP: "stop",
    names.OP_SELL_STOP: "stop",
    names.OP_BUY_STOP_LIMIT: "stop_limit",
    names.OP_SELL_STOP_LIMIT: "stop_limit",
}
_BUYS: Final = (names.OP_BUY_LIMIT, names.OP_BUY_STOP, names.OP_BUY_STOP_LIMIT)
_ENDS: Final[dict[int, OrderChange]] = {
    names.ORDER_STATE_FILLED: "filled",
    names.ORDER_STATE_CANCELED: "cancelled",
    names.ORDER_STATE_REJECTED: "cancelled",
    names.ORDER_STATE_EXPIRED: "expired",
}
_REMEMBERED: Final = 100_000  # pending orders, the oldest are forgotten first


class Orders:
    """What the lists of one connection have said so far. Market orders are none of it."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._open: dict[int, tuple[Decimal, Decimal]] = {}  # price and lots by ticket
        self._pending: dict[int, None] = {}  # tickets of every pending order that was seen

    def was_pending(self, ticket: int) -> bool:
        return ticket in self._pending

    def opened(self, found: Iterable[shapes.Order], now: datetime) -> Iterator[Order]:
        """Yields what is new in the list of open orders. One that is no longer there is told by the other list."""
        seen: dict[int, tuple[Decimal, Decimal]] = {}
        for order in found:
            if order.Type not in _TYPES:
                continue
            self._remember(order.Order)
            lots = shapes.lots_of(order.VolumeCurrent, order.VolumeCurrentExt)
            terms = order.PriceOrder, lots or shapes.lots_of(order.VolumeInitial, order.VolumeInitialExt)
            seen[order.Order] = terms
            before = self._open.get(order.Order)
            if before is None:
                at = self._clock.utc(order.TimeSetupMsc, now)
                yield _order(order, "placed", f"placed/{order.TimeSetupMsc}", terms[1], at)
            elif before != terms:
                yield _order(order, "changed", f"{now.timestamp():.3f}", terms[1], now)
        self._open = seen

    def ended(self, found: Iterable[shapes.Order], now: datetime) -> Iterator[Order]:
        """Yields how pending orders ended, each time it is listed."""
        for order in found:
            if order.Type in _TYPES:
                self._remember(order.Order)
                lots = shapes.lots_of(order.VolumeInitial, order.VolumeInitialExt)
                change = _ENDS.get(order.State, "gone")
                yield _order(order, change, "ended", lots, self._clock.utc(order.TimeDoneMsc, now))

    def _remember(self, ticket: int) -> None:
        self._pending[ticket] = None
        if len(self._pending) > _REMEMBERED:
            del self._pending[next(iter(self._pending))]


def _order(order: shapes.Order, change: OrderChange, version: str, lots: Decimal, at: datetime) -> Order:
    return Order(
        order_id=str(order.Order),
        version=version,
        login=order.Login,
        symbol=order.Symbol,
        side="buy" if order.Type in _BUYS else "sell",
        lots=lots,
        change=change,
        at=at,
        type=_TYPES[order.Type],
        price=order.PriceOrder or None,
    )
