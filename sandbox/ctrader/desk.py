"""Answers requests: authorises applications and accounts, lists the books, carries out orders, tells everybody."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from google.protobuf.message import Message

from domain.errors import BadInput, NotFound
from sandbox.ctrader import trading
from sandbox.ctrader.certificates import Certificates
from sandbox.ctrader.connection import Connection, request_of
from sandbox.ctrader.faults import REFUSALS, Fault, Faults
from sandbox.ctrader.state import Account, Broker, Listed
from wire.ctrader import OpenApiMessages_pb2 as api
from wire.ctrader.OpenApiCommonMessages_pb2 import ProtoHeartbeatEvent, ProtoMessage
from wire.ctrader.OpenApiModelMessages_pb2 import (
    DEPOSIT_WITHDRAW,
    SCOPE_TRADE,
    ProtoOACtidTraderAccount,
    ProtoOADepositWithdraw,
    ProtoOAPositionUnrealizedPnL,
)

_WEEK: Final = 604_800_000
_EXPIRES: Final = 2_628_000  # seconds; as the real venue says today (unverified)
_FILLED_LATER: Final = 0.5  # seconds
VERSION: Final = "91"


class Refused(Exception):
    def __init__(self, code: str) -> None:
        self.code = code


class Desk:
    """`rows`: how many rows of a list one answer has. Counted: positions that clients closed, orders that they
    cancelled, tokens that they renewed, heartbeats."""

    def __init__(self, broker: Broker, client_id: str, client_secret: str, rows: int) -> None:
        self.broker, self.faults, self.rows = broker, Faults(), rows
        self.certificates = Certificates(self.faults)
        self.connections: set[Connection] = set()
        self.closes = self.cancels = self.renewals = self.heartbeats = 0
        self._blocked: dict[type[Message], float] = {}  # kind of request -> until when it is refused
        self._application = (client_id, client_secret)
        self._answers: dict[type[Message], Callable[[Connection, Any], Message]] = {
            api.ProtoOAVersionReq: lambda _, __: api.ProtoOAVersionRes(version=VERSION),
            api.ProtoOAGetAccountListByAccessTokenReq: self._account_list,
            api.ProtoOARefreshTokenReq: self._refresh,
            api.ProtoOAAccountAuthReq: self._account_auth,
            api.ProtoOAAssetListReq: self._assets,
            api.ProtoOASymbolsListReq: self._symbols,
            api.ProtoOASymbolByIdReq: self._symbol_by_id,
            api.ProtoOATraderReq: self._trader,
            api.ProtoOAReconcileReq: self._reconcile,
            api.ProtoOAGetPositionUnrealizedPnLReq: self._worth,
            api.ProtoOADealListReq: self._deals,
            api.ProtoOAOrderListReq: self._orders,
            api.ProtoOAOrderDetailsReq: self._order_details,
            api.ProtoOACashFlowHistoryListReq: self._cash,
            api.ProtoOASubscribeSpotsReq: self._subscribe_spots,
            api.ProtoOAv1PnLChangeSubscribeReq: self._subscribe_worth,
            api.ProtoOAClosePositionReq: self._close,
            api.ProtoOACancelOrderReq: self._cancel,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection until it ends, or this process does."""
        with suppress(asyncio.CancelledError):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self.faults)
        self.connections.add(connection)
        beating = asyncio.create_task(connection.beat())
        try:
            while (envelope := await connection.next()) is not None:
                if not self._take(connection, envelope):
                    break
        finally:
            self.connections.discard(connection)
            beating.cancel()
            await connection.close()

    def _take(self, connection: Connection, envelope: ProtoMessage) -> bool:
        """Answers one request. Returns whether the connection goes on."""
        request, name = request_of(envelope), envelope.clientMsgId
        if isinstance(request, ProtoHeartbeatEvent):
            self.heartbeats += 1
            return True
        if request is None:
            connection.protocol_error(name, "INVALID_REQUEST")
            return True
        fault = self.faults.of_request(type(request).DESCRIPTOR.name)
        if fault is not None and fault.fault == "cut_before":
            return False
        if fault is not None and fault.fault == "silent_before":
            return True
        if fault is not None and fault.fault in REFUSALS:
            self._blocked[type(request)] = asyncio.get_running_loop().time() + fault.retry_after
            connection.refuse(name, fault)
            return True
        if asyncio.get_running_loop().time() < self._blocked.get(type(request), 0.0):
            connection.error(name, "BLOCKED_PAYLOAD_TYPE")
            return True
        if fault is not None and fault.fault == "accepted_only" and isinstance(request, api.ProtoOAClosePositionReq):
            self._close_later(connection, request, name)
            return True
        self._answer(connection, request, name, fault)
        return True

    def _answer(self, connection: Connection, request: Message, name: str, fault: Fault | None) -> None:
        try:
            if isinstance(request, api.ProtoOAApplicationAuthReq):
                answer: Message = self._application_auth(connection, request)
            elif not connection.application:
                raise Refused("CH_CLIENT_NOT_AUTHENTICATED")
            elif type(request) not in self._answers:
                raise Refused("UNSUPPORTED_MESSAGE")
            else:
                answer = self._answers[type(request)](connection, request)
        except Refused as refused:
            connection.error(name, refused.code)
        except NotFound:
            connection.error(name, "CH_CTID_TRADER_ACCOUNT_NOT_FOUND")
        except BadInput as bad:
            connection.error(name, "NO_QUOTES", bad.message)
        else:
            connection.answer(name, answer, fault)
            if isinstance(request, api.ProtoOASubscribeSpotsReq):
                self._first_spots(connection, request)

    async def drop_connections(self) -> None:
        for connection in list(self.connections):
            await connection.close()

    # authorisation

    def _application_auth(
        self, connection: Connection, request: api.ProtoOAApplicationAuthReq
    ) -> api.ProtoOAApplicationAuthRes:
        if (request.clientId, request.clientSecret) != self._application:
            raise Refused("CH_CLIENT_AUTH_FAILURE")
        connection.application = True
        return api.ProtoOAApplicationAuthRes()

    def _account_auth(self, connection: Connection, request: api.ProtoOAAccountAuthReq) -> Message:
        number = request.ctidTraderAccountId
        if request.accessToken in self.broker.tokens.expired:
            raise Refused("OA_AUTH_TOKEN_EXPIRED")
        if number not in self.broker.tokens.accounts.get(request.accessToken, ()):
            raise Refused("CH_ACCESS_TOKEN_INVALID")
        if number in connection.accounts:
            raise Refused("ALREADY_LOGGED_IN")
        connection.accounts[number] = request.accessToken
        return api.ProtoOAAccountAuthRes(ctidTraderAccountId=number)

    def _account_list(self, _: Connection, request: api.ProtoOAGetAccountListByAccessTokenReq) -> Message:
        numbers = self.broker.tokens.accounts.get(request.accessToken)
        if numbers is None:
            raise Refused("CH_ACCESS_TOKEN_INVALID")
        listed = [ProtoOACtidTraderAccount(ctidTraderAccountId=each, isLive=False) for each in sorted(numbers)]
        return api.ProtoOAGetAccountListByAccessTokenRes(
            accessToken=request.accessToken, permissionScope=SCOPE_TRADE, ctidTraderAccount=listed
        )

    def _refresh(self, _: Connection, request: api.ProtoOARefreshTokenReq) -> Message:
        found = self.broker.tokens.renew(request.refreshToken)
        if found is None:
            raise Refused("CH_ACCESS_TOKEN_INVALID")
        self.renewals += 1
        access, refresh, accounts = found
        self.end_sessions(accounts, "Access Token is refreshed")
        return api.ProtoOARefreshTokenRes(
            accessToken=access, tokenType="bearer", expiresIn=_EXPIRES, refreshToken=refresh
        )

    def end_sessions(self, accounts: Iterable[int], reason: str) -> None:
        """Ends the sessions of these accounts on every connection."""
        for connection in list(self.connections):
            ended = sorted(connection.accounts.keys() & set(accounts))
            for number in ended:
                del connection.accounts[number]
                connection.worth.discard(number)
                if connection.spots_of == number:
                    connection.spots.clear()
            if ended:
                connection.event(api.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=ended, reason=reason))

    def _account(self, connection: Connection, number: int) -> Account:
        """Raises Refused for an account that is not authorised on this connection."""
        if number not in connection.accounts:
            raise Refused("ACCOUNT_NOT_AUTHORIZED")
        return self.broker.account(number)

    # books

    def _assets(self, connection: Connection, request: api.ProtoOAAssetListReq) -> Message:
        number = self._account(connection, request.ctidTraderAccountId).number
        return api.ProtoOAAssetListRes(ctidTraderAccountId=number, asset=self.broker.asset_list())

    def _symbols(self, connection: Connection, request: api.ProtoOASymbolsListReq) -> Message:
        number = self._account(connection, request.ctidTraderAccountId).number
        symbols = [self.broker.light(each) for each in self.broker.symbols.values()]
        return api.ProtoOASymbolsListRes(ctidTraderAccountId=number, symbol=symbols)

    def _symbol_by_id(self, connection: Connection, request: api.ProtoOASymbolByIdReq) -> Message:
        number = self._account(connection, request.ctidTraderAccountId).number
        found = [self.broker.symbols[each] for each in request.symbolId if each in self.broker.symbols]
        symbols = [self.broker.whole(each) for each in found]
        return api.ProtoOASymbolByIdRes(ctidTraderAccountId=number, symbol=symbols)

    def _trader(self, connection: Connection, request: api.ProtoOATraderReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        return api.ProtoOATraderRes(ctidTraderAccountId=account.number, trader=self.broker.trader(account))

    def _reconcile(self, connection: Connection, request: api.ProtoOAReconcileReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        return api.ProtoOAReconcileRes(
            ctidTraderAccountId=account.number,
            position=list(account.positions.values()),
            order=list(account.orders.values()),
        )

    def _worth(self, connection: Connection, request: api.ProtoOAGetPositionUnrealizedPnLReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        rows = []
        for position in account.positions.values():
            gross, net = self.broker.net(account, position)
            row = ProtoOAPositionUnrealizedPnL(
                positionId=position.positionId, grossUnrealizedPnL=gross, netUnrealizedPnL=net
            )
            rows.append(row)
        return api.ProtoOAGetPositionUnrealizedPnLRes(
            ctidTraderAccountId=account.number, positionUnrealizedPnL=rows, moneyDigits=account.money_digits
        )

    def _deals(self, connection: Connection, request: api.ProtoOADealListReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        first, last = _window(request.fromTimestamp, request.toTimestamp)
        found = [each for each in account.deals if first <= each.executionTimestamp <= last]
        most = min(request.maxRows or self.rows, self.rows)
        return api.ProtoOADealListRes(
            ctidTraderAccountId=account.number, deal=_newest(found, most), hasMore=len(found) > most
        )

    def _orders(self, connection: Connection, request: api.ProtoOAOrderListReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        first, last = _window(request.fromTimestamp, request.toTimestamp)
        known = [*account.past_orders.values(), *account.orders.values()]
        listed = [each for each in known if each.orderId not in account.unlisted]
        found = [each for each in listed if first <= each.utcLastUpdateTimestamp <= last]
        return api.ProtoOAOrderListRes(
            ctidTraderAccountId=account.number, order=_newest(found, self.rows), hasMore=len(found) > self.rows
        )

    def _order_details(self, connection: Connection, request: api.ProtoOAOrderDetailsReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        order = account.past_orders.get(request.orderId) or account.orders.get(request.orderId)
        if order is None:
            raise Refused("ORDER_NOT_FOUND")
        deals = [each for each in account.deals if each.orderId == order.orderId]
        return api.ProtoOAOrderDetailsRes(ctidTraderAccountId=account.number, order=order, deal=deals)

    def _cash(self, connection: Connection, request: api.ProtoOACashFlowHistoryListReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        first, last = _window(request.fromTimestamp, request.toTimestamp)
        if last - first > _WEEK:
            raise Refused("INCORRECT_BOUNDARIES")
        found = [each for each in account.flows if first <= each.changeBalanceTimestamp <= last]
        return api.ProtoOACashFlowHistoryListRes(ctidTraderAccountId=account.number, depositWithdraw=found)

    # subscriptions

    def _subscribe_spots(self, connection: Connection, request: api.ProtoOASubscribeSpotsReq) -> Message:
        number = self._account(connection, request.ctidTraderAccountId).number
        if not set(request.symbolId) <= self.broker.symbols.keys():
            raise Refused("SYMBOL_NOT_FOUND")
        if connection.spots & set(request.symbolId):
            raise Refused("ALREADY_SUBSCRIBED")
        connection.spots |= set(request.symbolId)
        connection.spots_of = number
        return api.ProtoOASubscribeSpotsRes(ctidTraderAccountId=number)

    def _first_spots(self, connection: Connection, request: api.ProtoOASubscribeSpotsReq) -> None:
        for each in request.symbolId:
            symbol = self.broker.symbols[each]
            if symbol.bid and symbol.ask and each in connection.spots:
                connection.event(self._spot(connection, symbol, ("bid", "ask")))

    def _subscribe_worth(self, connection: Connection, request: api.ProtoOAv1PnLChangeSubscribeReq) -> Message:
        number = self._account(connection, request.ctidTraderAccountId).number
        connection.worth.add(number)
        return api.ProtoOAv1PnLChangeSubscribeRes(ctidTraderAccountId=number)

    # orders of clients

    def _close(self, connection: Connection, request: api.ProtoOAClosePositionReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        if request.positionId not in account.positions:
            raise Refused("POSITION_NOT_FOUND")
        if not 0 < request.volume <= account.positions[request.positionId].tradeData.volume:
            raise Refused("TRADING_BAD_VOLUME")
        events = trading.close(self.broker, account, request.positionId, request.volume)
        self.closes += 1
        self.tell(account, events, but=connection)
        return events[-1]

    def _close_later(self, connection: Connection, request: api.ProtoOAClosePositionReq, name: str) -> None:
        """The order is accepted now and filled later."""
        account = self._account(connection, request.ctidTraderAccountId)
        if request.positionId not in account.positions:
            connection.error(name, "POSITION_NOT_FOUND")
            return
        connection.answer(name, trading.accepted(account, request.positionId))

        def close() -> None:
            if request.positionId in account.positions:
                self.tell(account, [self._close(connection, request)])

        asyncio.get_running_loop().call_later(_FILLED_LATER, close)

    def _cancel(self, connection: Connection, request: api.ProtoOACancelOrderReq) -> Message:
        account = self._account(connection, request.ctidTraderAccountId)
        if request.orderId not in account.orders:
            raise Refused("ORDER_NOT_FOUND")
        events = trading.end_order(self.broker, account, request.orderId, "cancel")
        self.cancels += 1
        self.tell(account, events, but=connection)
        return events[-1]

    # events

    def tell(self, account: Account, events: Sequence[Message], *, but: Connection | None = None) -> None:
        """Sends events of an account to every connection that is authorised for it."""
        for connection in list(self.connections):
            if account.number in connection.accounts and connection is not but:
                for event in events:
                    connection.event(event)

    def tell_flow(self, account: Account, flow: ProtoOADepositWithdraw) -> None:
        event = api.ProtoOAExecutionEvent(
            ctidTraderAccountId=account.number, executionType=DEPOSIT_WITHDRAW, depositWithdraw=flow
        )
        self.tell(account, [event])

    def tell_price(self, symbol: Listed, sides: tuple[str, ...]) -> None:
        """Sends a new price, and the worth of the accounts with positions in the symbol."""
        for connection in list(self.connections):
            if symbol.number in connection.spots:
                connection.event(self._spot(connection, symbol, sides))
            for number in sorted(connection.worth):
                account = self.broker.accounts[number]
                if any(each.tradeData.symbolId == symbol.number for each in account.positions.values()):
                    connection.event(self.change(account))

    def _spot(self, connection: Connection, symbol: Listed, sides: tuple[str, ...]) -> api.ProtoOASpotEvent:
        spot = api.ProtoOASpotEvent(
            ctidTraderAccountId=connection.spots_of, symbolId=symbol.number, timestamp=self.broker.now()
        )
        for side in sides:
            setattr(spot, side, getattr(symbol, side))
        return spot

    def change(self, account: Account) -> api.ProtoOAv1PnLChangeEvent:
        worth = [self.broker.net(account, position) for position in account.positions.values()]
        return api.ProtoOAv1PnLChangeEvent(
            ctidTraderAccountId=account.number,
            grossUnrealizedPnL=sum(gross for gross, _ in worth),
            netUnrealizedPnL=sum(net for _, net in worth),
            moneyDigits=account.money_digits,
        )


def _window(first: int, last: int) -> tuple[int, int]:
    """Raises Refused."""
    last = last or 2_147_483_646_000
    if not 0 <= first <= last <= 2_147_483_646_000:
        raise Refused("INCORRECT_BOUNDARIES")
    return first, last


def _newest(rows: list[Any], most: int) -> list[Any]:
    return rows[-most:]
