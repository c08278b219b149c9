"""What the messages of one connection say, as facts for the gateway.

A channel is `live` for the stream, `reference` for lists of symbols, `snapshot` for the three answers about an account,
`deals/LOGIN/UNTIL` and the like for a page of the past, `refused/LOGIN` for an account that the venue does not let us
read any more, `halted` for the symbols whose halt was told before, `caught-up` for the end of what was missed.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from google.protobuf.message import Message as Wire

from adapters.ctrader import accounts, fills, values
from adapters.ctrader.fills import Stops
from adapters.ctrader.messages import unpacked
from adapters.ctrader.symbols import Symbols
from ports import venue as told
from ports.venue import Fact, Message, Unreadable
from wire.ctrader import OpenApiMessages_pb2 as api
from wire.ctrader.OpenApiCommonMessages_pb2 import ProtoHeartbeatEvent
from wire.ctrader.OpenApiModelMessages_pb2 import (
    DEPOSIT_WITHDRAW,
    FULL_ACCESS,
    ORDER_FILLED,
    ORDER_PARTIAL_FILL,
    ORDER_REPLACED,
    ProtoOADeal,
    ProtoOAOrder,
    ProtoOAPosition,
    ProtoOATrader,
)

LIVE: Final = "live"
REFERENCE: Final = "reference"
SNAPSHOT: Final = "snapshot"
CAUGHT_UP: Final = "caught-up"
HALTED: Final = "halted"
_REFUSED: Final = "refused"
_Row = TypeVar("_Row")
_ORDERS_KEPT: Final = 50_000
_FILLED: Final = (ORDER_FILLED, ORDER_PARTIAL_FILL)
# Kinds that say nothing here: answers to requests of the feed itself, and what the feed acts on.
_SILENT: Final = (
    ProtoHeartbeatEvent,
    api.ProtoOAVersionRes,
    api.ProtoOASubscribeSpotsRes,
    api.ProtoOAv1PnLChangeSubscribeRes,
    api.ProtoOASymbolChangedEvent,
    api.ProtoOAMarginChangedEvent,
    api.ProtoOAMarginCallTriggerEvent,
    api.ProtoOAMarginCallUpdateEvent,
    api.ProtoOAAccountsTokenInvalidatedEvent,
    api.ProtoOAAccountDisconnectEvent,
    api.ProtoOAClientDisconnectEvent,
    api.ProtoOAOrderErrorEvent,
)


def page_channel(name: str, login: int, until_ms: int) -> str:
    """Returns the channel of a page of a list with everything up to `until_ms`."""
    return f"{name}/{login}/{until_ms}"


def refused_channel(login: int) -> str:
    return f"{_REFUSED}/{login}"


def _page(message: Message, rows: Iterable[_Row], read: Callable[[_Row], Iterable[Fact]]) -> Iterator[Fact]:
    """Reads the rows of a page. Its cursor moves only when every row was read; the first problem is raised at the end,
    after the rows that can be read."""
    problems: list[Unreadable] = []
    for row in rows:
        try:
            yield from read(row)
        except Unreadable as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    name, login, until = message.channel.split("/")
    yield told.Cursor(f"{name}/{login}", until)


@dataclass
class _Account:
    """`stops`: of every open position, once they are `known`. `reconciled`: the list of positions that waits for its
    worth. `settled`: a change of worth that comes was computed after the last closing."""

    trader: ProtoOATrader
    currency: str
    balance_minor: int
    floating_minor: int = 0
    stops: dict[int, Stops] = field(default_factory=dict)
    known: bool = False
    settled: bool = True
    reconciled: api.ProtoOAReconcileRes | None = None


class CTraderDecoder:
    def __init__(self) -> None:
        self._symbols = Symbols()
        self._accounts: dict[int, _Account] = {}
        self._orders: OrderedDict[int, ProtoOAOrder] = OrderedDict()
        self._spots: dict[int, tuple[Decimal | None, Decimal | None]] = {}
        self._readers: dict[type[Wire], Callable[[Any, Message], Iterable[Fact]]] = {
            api.ProtoOAAssetListRes: self._reference,
            api.ProtoOASymbolsListRes: self._reference,
            api.ProtoOASymbolByIdRes: self._reference,
            api.ProtoOATraderRes: self._trader,
            api.ProtoOATraderUpdatedEvent: self._trader,
            api.ProtoOAReconcileRes: self._reconciled,
            api.ProtoOAGetPositionUnrealizedPnLRes: self._worth,
            api.ProtoOAOrderListRes: self._order_page,
            api.ProtoOAOrderDetailsRes: self._order_alone,
            api.ProtoOADealListRes: self._deal_page,
            api.ProtoOACashFlowHistoryListRes: self._cash_page,
            api.ProtoOAExecutionEvent: self._execution,
            api.ProtoOATrailingSLChangedEvent: self._trailing,
            api.ProtoOASpotEvent: self._spot,
            api.ProtoOAv1PnLChangeEvent: self._moved,
        }

    def facts(self, message: Message) -> Iterator[Fact]:
        if message.channel == CAUGHT_UP:
            yield told.CaughtUp()
            return
        if message.channel == HALTED:
            self._symbols.halted = {name for name in message.body.decode(errors="replace").split(",") if name}
            return
        if message.channel.startswith(f"{_REFUSED}/"):
            yield from self._refused(int(message.channel.removeprefix(f"{_REFUSED}/")))
            return
        wire = unpacked(message.body).message
        if isinstance(wire, _SILENT):
            return
        reader = self._readers.get(type(wire))
        if reader is None:
            raise Unreadable(f"{wire.DESCRIPTOR.name} is not expected")
        yield from reader(wire, message)

    # what the others are read with

    def _reference(self, wire: Wire, _: Message) -> Iterator[Fact]:
        changed = list(self._symbols.learn(wire))
        yield from changed
        if changed:
            yield told.Cursor(HALTED, ",".join(sorted(self._symbols.halted)))

    def _trader(self, wire: api.ProtoOATraderRes | api.ProtoOATraderUpdatedEvent, message: Message) -> Iterator[Fact]:
        trader = wire.trader
        currency, balance = accounts.currency_of(trader, self._symbols), accounts.balance_of(trader, self._symbols)
        before = self._accounts.get(wire.ctidTraderAccountId)
        if before is None:
            self._accounts[wire.ctidTraderAccountId] = _Account(trader, currency, balance)
            return
        rights = before.trader.accessRights
        before.trader, before.currency, before.balance_minor = trader, currency, balance
        if message.channel == REFERENCE:  # what was missed comes now: positions and worth are older than this balance
            before.known = before.settled = False
        if (rights == FULL_ACCESS) != (trader.accessRights == FULL_ACCESS):
            change: Any = "enabled" if trader.accessRights == FULL_ACCESS else "disabled"
            yield told.Access(wire.ctidTraderAccountId, change, None)

    def _account(self, login: int) -> _Account:
        found = self._accounts.get(login)
        if found is None:
            raise Unreadable(f"account {login} is unknown")
        return found

    # an account whole

    def _reconciled(self, wire: api.ProtoOAReconcileRes, _: Message) -> Iterator[Fact]:
        account, login = self._account(wire.ctidTraderAccountId), wire.ctidTraderAccountId
        account.reconciled, account.known = wire, True
        open_positions = [position for position in wire.position if accounts.is_open(position)]
        gone = account.stops.keys() - {position.positionId for position in open_positions}
        for position_id in gone:
            del account.stops[position_id]
        for order in wire.order:
            yield from self._order(order, login)
        for position in open_positions:  # also those that were told: what came before the book knew them was dropped
            account.stops[position.positionId] = fills.stop_levels(position.stopLoss, position.takeProfit)
        for position in open_positions:
            yield _stops_of(position, login)

    def _worth(self, wire: api.ProtoOAGetPositionUnrealizedPnLRes, message: Message) -> Iterator[Fact]:
        account, login = self._account(wire.ctidTraderAccountId), wire.ctidTraderAccountId
        if message.channel == LIVE:
            yield from self._worth_since(account, login, wire)
            return
        if account.reconciled is None:
            return  # something happened on the account since its positions were listed
        reconciled, account.reconciled = account.reconciled, None
        found = accounts.snapshot_of(account.trader, reconciled, wire, self._symbols)
        account.floating_minor = found.equity_minor - found.balance_minor
        yield told.Snapshot(found, None)
        if not account.settled:
            account.settled = True
            yield told.State(login, found.balance_minor, found.equity_minor, None)

    def _worth_since(
        self, account: _Account, login: int, wire: api.ProtoOAGetPositionUnrealizedPnLRes
    ) -> Iterator[Fact]:
        """What the positions are worth, asked after the last execution. An answer with a position that is closed, or
        without one that is open, is older than that all the same."""
        if not account.known or {each.positionId for each in wire.positionUnrealizedPnL} != account.stops.keys():
            return
        net = sum(each.netUnrealizedPnL for each in wire.positionUnrealizedPnL)
        account.floating_minor = values.floating(net, wire.moneyDigits, account.currency, "netUnrealizedPnL")
        account.settled = True
        yield told.State(login, account.balance_minor, account.balance_minor + account.floating_minor, None)

    def _refused(self, login: int) -> Iterator[Fact]:
        """The last known worth of an account, as one that is not certain any more."""
        account = self._accounts.get(login)
        if account is not None:
            equity = account.balance_minor + account.floating_minor
            yield told.State(login, account.balance_minor, equity, None, estimated=True)

    # the past

    def _order_page(self, wire: api.ProtoOAOrderListRes, message: Message) -> Iterator[Fact]:
        orders = sorted(wire.order, key=lambda each: each.utcLastUpdateTimestamp)
        yield from _page(message, orders, lambda order: self._order(order, wire.ctidTraderAccountId))

    def _order_alone(self, wire: api.ProtoOAOrderDetailsRes, _: Message) -> Iterator[Fact]:
        yield from self._order(wire.order, wire.ctidTraderAccountId)

    def _deal_page(self, wire: api.ProtoOADealListRes, message: Message) -> Iterator[Fact]:
        login, currency = wire.ctidTraderAccountId, self._account(wire.ctidTraderAccountId).currency
        deals = sorted(wire.deal, key=lambda each: (each.executionTimestamp, each.dealId))

        def read(deal: ProtoOADeal) -> Iterable[Fact]:
            return fills.fills(deal, login, currency, self._symbols, self._orders.get(deal.orderId))

        yield from _page(message, deals, read)

    def _cash_page(self, wire: api.ProtoOACashFlowHistoryListRes, message: Message) -> Iterator[Fact]:
        login, currency = wire.ctidTraderAccountId, self._account(wire.ctidTraderAccountId).currency
        flows = sorted(wire.depositWithdraw, key=lambda each: each.changeBalanceTimestamp)
        yield from _page(message, flows, lambda flow: (fills.money(flow, login, currency),))

    # the stream

    def _execution(self, wire: api.ProtoOAExecutionEvent, _: Message) -> Iterator[Fact]:
        account, login = self._account(wire.ctidTraderAccountId), wire.ctidTraderAccountId
        account.reconciled = None
        if wire.HasField("order"):
            yield from self._order(wire.order, login, replaced=wire.executionType == ORDER_REPLACED)
            yield told.Cursor(f"orders/{login}", str(wire.order.utcLastUpdateTimestamp))
        if wire.executionType == DEPOSIT_WITHDRAW and wire.HasField("depositWithdraw"):
            moved = fills.money(wire.depositWithdraw, login, account.currency)
            yield moved
            yield told.Cursor(f"cash/{login}", str(wire.depositWithdraw.changeBalanceTimestamp))
            yield from self._balance(account, login, moved.balance_minor)
        if wire.executionType in _FILLED and wire.HasField("deal"):
            yield from self._filled(wire, account, login)
        elif wire.HasField("position"):
            position = wire.position
            if _keep(account, position, fills.stop_levels(position.stopLoss, position.takeProfit)):
                yield _stops_of(position, login)

    def _filled(self, wire: api.ProtoOAExecutionEvent, account: _Account, login: int) -> Iterator[Fact]:
        position, deal = wire.position, wire.deal
        if deal.HasField("closePositionDetail"):
            account.settled = False
        stops, changed = None, False
        if wire.HasField("position"):
            stops = fills.stop_levels(position.stopLoss, position.takeProfit)
            changed = _keep(account, position, stops)
        order = wire.order if wire.HasField("order") else self._orders.get(deal.orderId)
        balance = None
        by_venue = wire.isServerEvent
        for fill in fills.fills(deal, login, account.currency, self._symbols, order, by_venue=by_venue, stops=stops):
            yield fill
            balance = fill.balance_minor if fill.balance_minor is not None else balance
        if changed:  # a fill that adds to a position does not say that its stops are others now
            yield _stops_of(position, login)
        yield told.Cursor(f"deals/{login}", str(deal.executionTimestamp))
        yield from self._balance(account, login, balance)

    def _balance(self, account: _Account, login: int, balance: int | None) -> Iterator[Fact]:
        """An account without positions is worth its balance; for one with positions the venue states the worth soon."""
        if balance is not None:
            account.balance_minor = balance
        if account.known and not account.stops:
            account.floating_minor = 0
            yield told.State(login, account.balance_minor, account.balance_minor, None)

    def _trailing(self, wire: api.ProtoOATrailingSLChangedEvent, _: Message) -> Iterator[Fact]:
        account, login = self._account(wire.ctidTraderAccountId), wire.ctidTraderAccountId
        before = account.stops.get(wire.positionId)
        if before is None:
            return  # it is closed, or not listed yet: the list says its stops
        now = Stops(values.price(wire.stopPrice, "stopPrice"), before.profit)
        account.stops[wire.positionId] = now
        at = values.at(wire.utcLastUpdateTimestamp, "utcLastUpdateTimestamp")
        yield told.Stops(login, str(wire.positionId), now.loss, now.profit, at)

    def _order(self, order: ProtoOAOrder, login: int, *, replaced: bool = False) -> Iterator[Fact]:
        self._orders[order.orderId] = order
        self._orders.move_to_end(order.orderId)
        while len(self._orders) > _ORDERS_KEPT:
            self._orders.popitem(last=False)
        found = fills.pending(order, login, self._symbols, replaced=replaced)
        if found is not None:
            yield found

    def _spot(self, wire: api.ProtoOASpotEvent, _: Message) -> Iterator[Fact]:
        """A spot names only the side that changed."""
        bid, ask = self._spots.get(wire.symbolId, (None, None))
        if wire.HasField("bid"):
            bid = values.spot(wire.bid, "bid")
        if wire.HasField("ask"):
            ask = values.spot(wire.ask, "ask")
        name = self._symbols.name(wire.symbolId)
        self._spots[wire.symbolId] = (bid, ask)
        if bid is not None and ask is not None:
            at = values.at(wire.timestamp, "timestamp") if wire.HasField("timestamp") else None
            yield told.Quote(name, bid, ask, at)

    def _moved(self, wire: api.ProtoOAv1PnLChangeEvent, _: Message) -> Iterator[Fact]:
        """Says the equity, unless the change of worth may count a position whose profit is in the balance already: then
        the answer about the worth since says it."""
        account = self._account(wire.ctidTraderAccountId)
        net = values.floating(wire.netUnrealizedPnL, wire.moneyDigits, account.currency, "netUnrealizedPnL")
        if account.settled and account.stops:
            account.floating_minor = net
            yield told.State(wire.ctidTraderAccountId, account.balance_minor, account.balance_minor + net, None)


def _keep(account: _Account, position: ProtoOAPosition, stops: Stops) -> bool:
    """Keeps the stops of a position while it is open. Returns whether they have changed."""
    before = account.stops.pop(position.positionId, None)
    if not accounts.is_open(position):
        return False
    account.stops[position.positionId] = stops
    return before != stops


def _stops_of(position: ProtoOAPosition, login: int) -> told.Stops:
    """Raises Unreadable."""
    stops = fills.stop_levels(position.stopLoss, position.takeProfit)
    changed = position.utcLastUpdateTimestamp or position.tradeData.openTimestamp
    at = values.at(changed, "utcLastUpdateTimestamp")
    return told.Stops(login, str(position.positionId), stops.loss, stops.profit, at)
