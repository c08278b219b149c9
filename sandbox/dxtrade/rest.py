"""The trading interface of the fake: `/dxsca-web`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from sandbox.dxtrade import trading
from sandbox.dxtrade.admin import body_of
from sandbox.dxtrade.state import WORKING, Account, Refused, Venue, instant, read_instant


class TradingInterface:
    """The routes of `/dxsca-web`."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/dxsca-web")
        for method, path, answer in (
            ("POST", "/login", self.login),
            ("POST", "/ping", self.ping),
            ("GET", "/instruments/query", self.instruments),
            ("GET", "/accounts/portfolio", self.portfolios),
            ("GET", "/accounts/metrics", self.all_metrics),
            ("GET", "/accounts/orders/history", self.all_history),
            ("GET", "/accounts/transfers", self.all_transfers),
            ("GET", "/accounts/eodmetrics/{date}", self.day_ends),
            ("GET", "/accounts/{account}/instruments/query", self.tradable),
            ("GET", "/accounts/{account}/portfolio", self.portfolio),
            ("GET", "/accounts/{account}/metrics", self.metrics),
            ("GET", "/accounts/{account}/orders/history", self.history),
            ("GET", "/accounts/{account}/transfers", self.transfers),
            ("POST", "/accounts/{account}/orders", self.place),
            ("DELETE", "/accounts/{account}/orders/{code}", self.cancel),
        ):
            router.add_api_route(path, answer, methods=[method])
        return router

    def _check(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "DXAPI" or token not in self._venue.sessions:
            raise Refused(401, 1, "Authorization required")

    def _chosen(self, request: Request) -> list[Account]:
        """The accounts of the query, all without it. An unknown one is left out."""
        self._check(request)
        names = request.query_params.get("accounts")
        if names is None:
            return list(self._venue.accounts.values())
        return [self._venue.accounts[name] for name in names.split(",") if name in self._venue.accounts]

    def _one(self, request: Request, name: str) -> Account:
        self._check(request)
        return self._venue.by_name(name)

    async def login(self, request: Request) -> dict[str, str]:
        given = await body_of(request)
        token = self._venue.login(str(given.get("domain")), str(given.get("username")), str(given.get("password")))
        return {"sessionToken": token, "timeout": "00:30:00"}

    async def ping(self, request: Request) -> dict[str, str]:
        self._check(request)
        return {"sessionToken": request.headers["authorization"].partition(" ")[2], "timeout": "00:30:00"}

    async def instruments(self, request: Request) -> dict[str, Any]:
        self._check(request)
        return {"instruments": [each.shown() for each in self._venue.instruments.values()]}

    async def portfolios(self, request: Request) -> dict[str, Any]:
        return {"portfolios": [trading.shown_portfolio(each) for each in self._chosen(request)]}

    async def all_metrics(self, request: Request) -> dict[str, Any]:
        return {"metrics": [trading.shown_metrics(self._venue, each) for each in self._chosen(request)]}

    async def all_history(self, request: Request) -> dict[str, Any]:
        return _history(self._chosen(request), dict(request.query_params))

    async def all_transfers(self, request: Request) -> dict[str, Any]:
        return _transfers(self._chosen(request), dict(request.query_params))

    async def day_ends(self, date: str, request: Request) -> dict[str, Any]:
        names = [each.name for each in self._chosen(request)]
        known = self._venue.day_ends.get(date)
        if known is None:
            raise Refused(404, 30404, "No end-of-day metrics for this date")
        asked = (request.query_params.get("accounts") or ",".join(names)).split(",")
        return {
            "eodMetrics": [known[name] for name in names if name in known],
            "notFound": [name for name in asked if name and name not in known],
        }

    async def tradable(self, account: str, request: Request) -> dict[str, Any]:
        found = self._one(request, account)
        halted = self._venue.halted
        return {
            "instrumentDetails": [
                {"account": found.name, "symbol": symbol, "tradingStatus": "NO" if symbol in halted else "FULL"}
                for symbol in self._venue.instruments
            ]
        }

    async def portfolio(self, account: str, request: Request) -> dict[str, Any]:
        return {"portfolios": [trading.shown_portfolio(self._one(request, account))]}

    async def metrics(self, account: str, request: Request) -> dict[str, Any]:
        return {"metrics": [trading.shown_metrics(self._venue, self._one(request, account))]}

    async def history(self, account: str, request: Request) -> dict[str, Any]:
        return _history([self._one(request, account)], dict(request.query_params))

    async def transfers(self, account: str, request: Request) -> dict[str, Any]:
        return _transfers([self._one(request, account)], dict(request.query_params))

    async def place(self, account: str, request: Request) -> dict[str, Any]:
        found = self._one(request, account)
        order = trading.place(self._venue, found, await body_of(request))
        return {"orderId": order.order_id, "updateOrderId": order.order_id}

    async def cancel(self, account: str, code: str, request: Request) -> Response:
        found = self._one(request, account)
        order = trading.order_of(found, code)
        if order.status in WORKING:
            trading.end(self._venue, found, order, "CANCELED")
        return Response(f'{{"orderId":{order.order_id}}}', media_type="application/json")


def _history(accounts: list[Account], query: dict[str, str]) -> dict[str, Any]:
    orders = [order for account in accounts for order in trading.history(account, query)]
    orders.sort(key=lambda order: (order.changed_at, order.order_id))
    return {"orders": [trading.shown_order(each) for each in _page(orders, query)]}


def _transfers(accounts: list[Account], query: dict[str, str]) -> dict[str, Any]:
    found = [transfer for account in accounts for transfer in account.transfers]
    if query.get("time-from"):
        since = instant(read_instant(query["time-from"]))
        found = [each for each in found if each["transactionTime"] >= since]
    found.sort(key=lambda each: str(each["transactionTime"]))
    start = int(query.get("start-from") or 0)
    return {"cashTransfers": found[start : start + int(query.get("limit") or 1000)]}


def _page(orders: list[Any], query: dict[str, str]) -> list[Any]:
    size = int(query.get("page-size") or query.get("limit") or 1000)
    start = (int(query.get("page") or 1) - 1) * size
    return orders[start : start + size]
