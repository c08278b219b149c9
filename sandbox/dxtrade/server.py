"""The fake's server and the interface that controls it: `python -m sandbox.dxtrade.server --port 8101`.

The control interface (`/control/...`) is ours and has no counterpart at the venue: it sets quotes, places the trader's
orders, fills, expires, ends days and switches faults on.
"""

import argparse
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from sandbox.dxtrade import trading
from sandbox.dxtrade.admin import Administration, body_of
from sandbox.dxtrade.faults import FaultLayer, Faults
from sandbox.dxtrade.push import Push
from sandbox.dxtrade.rest import TradingInterface
from sandbox.dxtrade.state import Instrument, Refused, Venue, read_instant

USER: Final = ("default", "manager", "made-up-password")  # domain, name, password
INSTRUMENTS: Final = (
    Instrument("EURUSD", "FOREX", "USD", Decimal(100_000), Decimal(1), Decimal("0.00001"), Decimal(7)),
    Instrument("USDJPY", "FOREX", "JPY", Decimal(100_000), Decimal(1), Decimal("0.001")),
    Instrument("XAUUSD", "CFD", "USD", Decimal(100), Decimal(1), Decimal("0.01"), Decimal(5)),
)


class QuoteSet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime | None = None


class Stops(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


class Fill(BaseModel):
    model_config = ConfigDict(extra="forbid")

    price: Decimal | None = None
    quantity: Decimal | None = None


class FakeDxtrade:
    """The venue, its faults and its sockets. `app`: the ASGI application."""

    def __init__(self, venue: Venue | None = None) -> None:
        domain, user, password = USER
        self.venue = venue or Venue(INSTRUMENTS, {f"{domain}/{user}": password})
        self.faults = Faults()
        self.push = Push(self.venue, lambda: self.faults)
        self.app = self._app()

    def _app(self) -> FastAPI:
        app = FastAPI(title="fake DXtrade", docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(Administration(self.venue).router())
        app.include_router(TradingInterface(self.venue).router())
        app.include_router(Control(self).router())
        app.add_middleware(FaultLayer, holder=self)

        @app.exception_handler(Refused)
        async def refused(request: Request, error: Refused) -> JSONResponse:
            if request.url.path.startswith("/dxsca-web"):
                words: dict[str, Any] = {"errorCode": str(error.code), "description": error.text}
            else:
                words = {"errorCode": error.code, "errorMessage": error.text, "errorId": "fake"}
            return JSONResponse(words, status_code=error.status)

        @app.websocket("/dxsca-web/")
        async def events(socket: WebSocket) -> None:
            await self.push.serve(socket)

        @app.websocket("/dxsca-web/md")
        async def quotes(socket: WebSocket) -> None:
            await self.push.serve(socket)

        return app


class Control:
    """The routes of `/control`."""

    def __init__(self, fake: "FakeDxtrade") -> None:
        self._fake, self._venue = fake, fake.venue

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/control")
        for method, path, answer in (
            ("GET", "/health", self.health),
            ("GET", "/book", self.book),
            ("PUT", "/faults", self.faults),
            ("PUT", "/clock", self.clock),
            ("PUT", "/quotes", self.quotes),
            ("PUT", "/rates/{source}/{target}/{rate}", self.rate),
            ("POST", "/accounts/{account}/orders", self.order),
            ("PUT", "/orders-held/{held}", self.hold),
            ("POST", "/accounts/{account}/orders/{code}/fill", self.fill),
            ("POST", "/accounts/{account}/orders/{code}/end/{status}", self.end),
            ("PUT", "/accounts/{account}/positions/{code}/stops", self.stops),
            ("POST", "/accounts/{account}/events/{kind}", self.event),
            ("POST", "/accounts/{account}/financing/{amount}", self.financing),
            ("POST", "/day-end/{date}", self.day_end),
            ("PUT", "/halts/{symbol}/{halted}", self.halt),
            ("POST", "/sockets/drop", self.drop),
            ("POST", "/sessions/expire", self.expire),
        ):
            router.add_api_route(path, answer, methods=[method])
        return router

    async def health(self) -> dict[str, Any]:
        return {"accounts": len(self._venue.accounts), "faults": dict(self._fake.faults.uses)}

    async def book(self) -> list[dict[str, Any]]:
        return [trading.shown_book(self._venue, each) for each in self._venue.accounts.values()]

    async def faults(self, given: Faults) -> None:
        self._fake.faults = given.counted_since(self._fake.faults)

    async def clock(self, request: Request) -> None:
        given = await body_of(request)
        self._venue.now = None if given.get("now") is None else read_instant(str(given["now"]))

    async def quotes(self, given: list[QuoteSet]) -> None:
        for each in given:
            self._venue.quotes[each.symbol] = (each.bid, each.ask, each.at or self._venue.time())
            self._fake.push.quote(each.symbol)
            for account in self._venue.accounts.values():
                if any(position.symbol == each.symbol for position in account.positions.values()):
                    self._venue.note_worth(account)

    async def rate(self, source: str, target: str, rate: Decimal) -> None:
        self._venue.rates[source, target] = rate

    async def order(self, account: str, request: Request) -> dict[str, Any]:
        """`forced`: the venue takes it although the account may not trade."""
        found, given = self._venue.by_name(account), await body_of(request)
        return trading.shown_order(trading.place(self._venue, found, given, forced=bool(given.get("forced"))))

    async def hold(self, held: bool) -> None:
        self._venue.holds_orders = held

    async def fill(self, account: str, code: str, given: Fill) -> dict[str, Any]:
        found = self._venue.by_name(account)
        filled = trading.order_of(found, code)
        trading.fill(self._venue, found, filled, given.price, given.quantity)
        self._venue.on_change(found, "portfolio", None)
        return trading.shown_order(filled)

    async def end(self, account: str, code: str, status: str) -> None:
        found = self._venue.by_name(account)
        trading.end(self._venue, found, trading.order_of(found, code), status)

    async def stops(self, account: str, code: str, given: Stops) -> None:
        trading.set_stops(self._venue, self._venue.by_name(account), code, given.stop_loss, given.take_profit)

    async def event(self, account: str, kind: str) -> None:
        self._fake.push.event(self._venue.by_name(account), kind)

    async def financing(self, account: str, amount: Decimal) -> None:
        found = self._venue.by_name(account)
        self._venue.book(found, "FINANCING", amount, "")
        self._venue.on_change(found, "portfolio", None)

    async def day_end(self, date: str) -> None:
        self._venue.end_day(date)

    async def halt(self, symbol: str, halted: bool) -> None:
        if halted:
            self._venue.halted.add(symbol)
        else:
            self._venue.halted.discard(symbol)

    async def drop(self) -> None:
        self._fake.push.drop_all()

    async def expire(self) -> None:
        self._venue.expire()
        self._fake.push.expire()


def main() -> None:
    """Serves the fake on loopback until it is ended."""
    parser = argparse.ArgumentParser(description="A fake DXtrade for tests and demos.")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(FakeDxtrade().app, host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
