"""Whether an order would break a rule of an account, before it is placed."""

import re
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import QueryParams

from console.desk import Desk
from console.views.frame import Crumb
from domain.errors import BadInput
from domain.orders.order import Order, OrderKind
from domain.rules.events import Side
from firm.order_checks import check_order_of
from front.permissions import CAN
from store.read import accounts as read_accounts

_NUMBER: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10})?")
_SYMBOL: Final = 40
CHOICES: Final[dict[str, tuple[OrderKind, Side]]] = {
    "buy": ("market", "buy"),
    "sell": ("market", "sell"),
    "pending buy": ("pending", "buy"),
    "pending sell": ("pending", "sell"),
}


class OrderPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/accounts/{ref}/order", self.check, methods=["GET"], response_model=None)

    async def check(self, request: Request) -> HTMLResponse:
        """The verdict on an order. It changes nothing, so that a reload asks again."""
        asked = request.query_params
        async with self._desk.visit(request, CAN["orders.check"]) as visit:
            account = await read_accounts.one(visit.session, visit.scope, request.path_params["ref"])
            found = await check_order_of(
                visit.session,
                visit.scope,
                _order(asked),
                account_id=account.id,
                calendars=self._desk.deps.calendars,
            )
            home = Crumb("Overview", "/") if visit.viewer.is_trader else Crumb("Accounts", "/accounts")
            crumbs = [home, Crumb(account.number, f"/accounts/{account.number}"), Crumb("Order")]
            return await visit.render(
                "order_check.html", crumbs, account=account, check=found, asked=asked, choices=tuple(CHOICES)
            )


def _order(asked: QueryParams) -> Order:
    """Raises BadInput."""
    choice, symbol = asked.get("order", ""), asked.get("symbol", "").strip()
    if choice not in CHOICES:
        raise BadInput("There is no such order.", field="order", remedy=f"Choose one of {', '.join(CHOICES)}.")
    if not 1 <= len(symbol) <= _SYMBOL or not symbol.isprintable():
        raise BadInput("The order needs a symbol.", field="symbol", remedy="Write it as the platform does.")
    lots = _number(asked, "lots")
    if lots is None:
        raise BadInput("The order needs its lots.", field="lots", remedy="Write them like 0.10.")
    kind, side = CHOICES[choice]
    return Order(kind, symbol, side, lots, _number(asked, "price"), _number(asked, "stop"), _number(asked, "target"))


def _number(asked: QueryParams, name: str) -> Decimal | None:
    """Returns the number in a field, None when it is empty. Raises BadInput."""
    text = asked.get(name, "").strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadInput(f"{name} is not a positive number.", field=name, remedy="Write it like 1.0850.")
    return Decimal(text)
