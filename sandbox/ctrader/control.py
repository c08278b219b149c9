"""The fake's control interface, HTTP with JSON: traders, prices, faults and what a broker's staff does."""

import hmac
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import BadInput, PropOSError
from sandbox.ctrader import trading
from sandbox.ctrader.desk import Desk
from sandbox.ctrader.faults import EventFaults, Fault
from sandbox.ctrader.state import Account, Listed
from wire.ctrader import OpenApiMessages_pb2 as api
from wire.ctrader.OpenApiModelMessages_pb2 import ProtoOAAccessRights, ProtoOATradingMode


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewSymbol(_Body):
    name: str
    base: str
    quote: str
    digits: int = 5
    lot_size: int = 10_000_000


class NewAccount(_Body):
    """Amounts are whole numbers of `money_digits`. `accounts`: more that the same grant opens."""

    currency: str = "USD"
    money_digits: int = 2
    balance: int = 0
    commission_per_lot: int = 0
    rights: str = "FULL_ACCESS"


class NewGrant(_Body):
    accounts: list[int]


class Price(_Body):
    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None


class NewOrder(_Body):
    symbol: str
    side: Literal["buy", "sell"]
    volume: int
    type: Literal["market", "limit", "stop"] = "market"
    price: Decimal | None = None
    label: str = ""
    comment: str = ""
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    forced: bool = False


class Levels(_Body):
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


class Trailing(_Body):
    stop_loss: Decimal


class Closing(_Body):
    """`worth_after`: a change of worth that was computed before the closing is sent after it."""

    volume: int = 0
    reason: Literal["client", "stop_loss", "take_profit", "stop_out", "dealer"] = "client"
    worth_after: bool = False


class Ending(_Body):
    how: Literal["fill", "cancel", "expire"]


class Cash(_Body):
    amount: int
    note: str = ""
    kind: str = ""


class Rights(_Body):
    rights: str


class Mode(_Body):
    mode: str


class Frame(_Body):
    """`hex`: bytes that every connection is sent as they are."""

    hex: str


class WrongCertificate(_Body):
    times: int = Field(1, ge=1)


class Clock(_Body):
    offset: int = Field(description="milliseconds")


def control_app(desk: Desk, token: str) -> FastAPI:
    """Every call needs the bearer token."""
    app = FastAPI(title="cTrader fake", openapi_url=None)
    app.include_router(_market(desk))
    app.include_router(_orders(desk))
    app.include_router(_positions(desk))
    app.include_router(_staff(desk))
    app.include_router(_faults(desk))

    @app.exception_handler(PropOSError)
    async def refused(_: Request, error: PropOSError) -> JSONResponse:
        return JSONResponse({"detail": error.message}, error.status)

    @app.middleware("http")
    async def bearer(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return JSONResponse({"detail": "The token is wrong."}, 401)
        return await go_on(request)

    return app


def _market(desk: Desk) -> APIRouter:
    router, broker = APIRouter(prefix="/control"), desk.broker

    def tell_changed(symbol: Listed) -> None:
        for account in broker.accounts.values():
            changed = api.ProtoOASymbolChangedEvent(ctidTraderAccountId=account.number, symbolId=[symbol.number])
            desk.tell(account, [changed])

    @router.post("/symbols")
    async def add_symbol(body: NewSymbol) -> dict[str, int]:
        symbol = broker.add_symbol(**body.model_dump())
        tell_changed(symbol)
        return {"symbol": symbol.number}

    @router.post("/symbols/{name}/mode", status_code=204)
    async def set_mode(name: str, body: Mode) -> None:
        if body.mode not in ProtoOATradingMode.keys():  # noqa: SIM118 - no mapping
            raise BadInput("There is no such mode.", field="mode")
        symbol = broker.symbol(name)
        symbol.mode = body.mode
        tell_changed(symbol)

    @router.post("/prices", status_code=204)
    async def set_price(body: Price) -> None:
        symbol = broker.symbol(body.symbol)
        given = body.model_dump(include={"bid", "ask"}, exclude_none=True)
        broker.set_price(symbol, given)
        desk.tell_price(symbol, tuple(given))

    @router.post("/clock", status_code=204)
    async def set_clock(body: Clock) -> None:
        broker.offset = body.offset

    return router


def _told(desk: Desk, account: Account, events: list[api.ProtoOAExecutionEvent]) -> dict[str, Any]:
    desk.tell(account, events)
    last = events[-1]
    return {"order": last.order.orderId, "position": last.order.positionId, "deal": last.deal.dealId}


def _orders(desk: Desk) -> APIRouter:
    router, broker = APIRouter(prefix="/control/accounts/{number}"), desk.broker

    @router.post("/orders")
    async def place(number: int, body: NewOrder) -> dict[str, Any]:
        account = broker.account(number)
        return _told(desk, account, trading.place(broker, account, **body.model_dump()))

    @router.post("/orders/{order}/price")
    async def change_order(number: int, order: int, body: Price) -> dict[str, Any]:
        account = broker.account(number)
        if body.bid is None:
            raise BadInput("A price is needed.", field="bid")
        return _told(desk, account, trading.change_order(broker, account, order, body.bid))

    @router.post("/orders/{order}/end")
    async def end_order(number: int, order: int, body: Ending) -> dict[str, Any]:
        account = broker.account(number)
        return _told(desk, account, trading.end_order(broker, account, order, body.how))

    @router.post("/orders/{order}/unlist", status_code=204)
    async def unlist(number: int, order: int) -> None:
        """No list has the order from now on. It is found by its id."""
        broker.account(number).unlisted.add(order)

    @router.post("/orders/{order}/forget", status_code=204)
    async def forget(number: int, order: int) -> None:
        del broker.account(number).past_orders[order]

    return router


def _positions(desk: Desk) -> APIRouter:
    router, broker = APIRouter(prefix="/control/accounts/{number}/positions/{position}"), desk.broker

    @router.post("/close")
    async def close(number: int, position: int, body: Closing) -> dict[str, Any]:
        account = broker.account(number)
        before = desk.change(account)
        closed = _told(desk, account, trading.close(broker, account, position, body.volume, body.reason))
        if body.worth_after:
            desk.tell(account, [before])
        return closed

    @router.post("/stops")
    async def stops(number: int, position: int, body: Levels) -> dict[str, Any]:
        account = broker.account(number)
        return _told(desk, account, trading.change_stops(broker, account, position, body.stop_loss, body.take_profit))

    @router.post("/trail", status_code=204)
    async def trail(number: int, position: int, body: Trailing) -> None:
        account = broker.account(number)
        desk.tell(account, [trading.trail(broker, account, position, body.stop_loss)])

    return router


def _staff(desk: Desk) -> APIRouter:
    router, broker = APIRouter(prefix="/control"), desk.broker

    @router.post("/accounts")
    async def add_account(body: NewAccount) -> dict[str, int]:
        account = broker.add_account(body.currency, body.money_digits, body.commission_per_lot)
        account.rights = body.rights
        if body.balance:
            broker.move_money(account, body.balance, "")
        return {"account": account.number}

    @router.get("/book")
    async def book() -> list[dict[str, object]]:
        return [broker.book(account) for account in broker.accounts.values()]

    @router.get("/accounts/{number}")
    async def show_account(number: int) -> dict[str, Any]:
        account = broker.account(number)
        return {"balance": account.balance, "positions": list(account.positions), "orders": list(account.orders)}

    @router.post("/accounts/{number}/cash", status_code=204)
    async def move_money(number: int, body: Cash) -> None:
        account = broker.account(number)
        desk.tell_flow(account, broker.move_money(account, body.amount, body.note, body.kind))

    @router.post("/accounts/{number}/rights", status_code=204)
    async def set_rights(number: int, body: Rights) -> None:
        if body.rights not in ProtoOAAccessRights.keys():  # noqa: SIM118 - no mapping
            raise BadInput("There are no such rights.", field="rights")
        account = broker.account(number)
        account.rights = body.rights
        updated = api.ProtoOATraderUpdatedEvent(ctidTraderAccountId=number, trader=broker.trader(account))
        desk.tell(account, [updated])

    @router.post("/grants")
    async def grant(body: NewGrant) -> dict[str, Any]:
        access, refresh = broker.tokens.grant(frozenset(body.accounts))
        return {"accounts": body.accounts, "access_token": access, "refresh_token": refresh}

    @router.post("/accounts/{number}/expire", status_code=204)
    async def expire(number: int) -> None:
        desk.end_sessions(broker.tokens.expire(number), "Access Token is expired")

    return router


def _faults(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/control")

    @router.post("/faults", status_code=204)
    async def set_fault(body: Fault) -> None:
        desk.faults.set(body)

    @router.post("/event-faults", status_code=204)
    async def set_event_faults(body: EventFaults) -> None:
        desk.faults.set_events(body)

    @router.delete("/faults", status_code=204)
    async def clear() -> None:
        desk.faults.clear()
        desk.certificates.show_wrong(0)

    @router.post("/certificate", status_code=204)
    async def show_wrong_certificate(body: WrongCertificate) -> None:
        """The next connections are shown a certificate of an authority that nobody trusts; the present ones end."""
        if not desk.certificates.show_wrong(body.times):
            raise BadInput("The fake has no wrong certificate.", field="times")
        await desk.drop_connections()

    @router.post("/connections/drop", status_code=204)
    async def drop() -> None:
        await desk.drop_connections()

    @router.post("/connections/raw", status_code=204)
    async def raw(body: Frame) -> None:
        for connection in list(desk.connections):
            connection.raw(bytes.fromhex(body.hex))

    @router.get("/counts")
    async def counts() -> dict[str, Any]:
        return {
            "closes": desk.closes,
            "cancels": desk.cancels,
            "renewals": desk.renewals,
            "heartbeats": desk.heartbeats,
            "connections": len(desk.connections),
            "authorised": sum(len(each.accounts) for each in desk.connections),
            "watched": sum(bool(each.spots) for each in desk.connections),
            "faults": desk.faults.uses,
        }

    return router
