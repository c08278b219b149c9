"""A trader's own account: its page, its days, its trades, its terms, and its statement as a file."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.desk import Desk, Visit
from console.lists import Table
from console.pages import credentials
from console.pages.orders import CHOICES
from console.present import account as present
from console.present import my_account
from console.present.curve import RANGES
from console.views.frame import Crumb
from domain.errors import BadInput
from domain.products.diff import sentences
from domain.products.words import describe
from firm import growth, standing, trading
from front.exports import csv_name
from front.permissions import may
from front.statements import statement
from store import products
from store.read import accounts as read_accounts
from store.read import trades, versions
from store.read.accounts import AccountView
from store.read.pages import Window
from store.read.timeline import Kind

_TRADER: Final = frozenset({"trader"})
_MONTH_HELP: Final = "Write it like 2026-03."


async def page(desk: Desk, visit: Visit, ref: str, request: Request, name: str, tag: Kind | None) -> HTMLResponse:
    """The start of an account's pages. `name`: the range of the curve; `tag`: one kind of timeline entries."""
    found = await present.page(visit.session, visit.scope, visit.actor, ref, tag, request.query_params.get("older"))
    account, calendars = found.account, desk.deps.calendars
    values: dict[str, Any] = {
        "page": found,
        "a": account,
        "range": name,
        "ranges": RANGES,
        "tag": tag,
        "own": await my_account.own_room(visit.session, visit.scope, account),
        "standing": await standing.standing(visit.session, account, calendars),
        "payout": await my_account.own_payout(visit.session, account, calendars),
        "growth": await growth.shown(visit.session, account.id, calendars),
        "order_choices": tuple(CHOICES) if account.status == "active" and may(visit.actor, "orders.check") else (),
        **await credentials.of_account(visit, desk, account),
    }
    return await visit.render("my_account.html", _crumbs(account), **values)


def _crumbs(account: AccountView, *more: str) -> list[Crumb]:
    below = [Crumb(each) for each in more]
    return [Crumb("Overview", "/"), Crumb(account.number, f"/accounts/{account.number}"), *below]


class MyAccountPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for path, shown in (
            ("/accounts/{ref}/room", self.room),
            ("/accounts/{ref}/days", self.days),
            ("/accounts/{ref}/trades", self.trades),
            ("/accounts/{ref}/terms", self.terms),
            ("/accounts/{ref}/statement.csv", self.statement),
        ):
            router.add_api_route(path, shown, methods=["GET"], response_model=None)

    async def _account(self, visit: Visit, request: Request) -> AccountView:
        """Raises NotFound."""
        return await read_accounts.one(visit.session, visit.scope, request.path_params["ref"])

    async def room(self, request: Request) -> HTMLResponse:
        """The live part of the page of an account."""
        async with self._desk.visit(request, _TRADER) as visit:
            account = await self._account(visit, request)
            own = await my_account.own_room(visit.session, visit.scope, account)
            return await visit.fragment("my_account.html", "room", own=own, a=account, with_live=True)

    async def days(self, request: Request) -> HTMLResponse:
        month = request.query_params.get("month") or None
        async with self._desk.visit(request, _TRADER) as visit:
            account = await self._account(visit, request)
            found = await standing.days(visit.session, account, self._desk.deps.calendars, month)
            if month is not None and month not in found.months:
                raise BadInput("Nothing was traded in this month.", field="month", remedy=_MONTH_HELP)
            values = {"a": account, "days": found, "place": "days"}
            return await visit.render("my_days.html", _crumbs(account, "Days"), **values)

    async def trades(self, request: Request) -> HTMLResponse:
        cursor = request.query_params.get("cursor")
        async with self._desk.visit(request, _TRADER) as visit:
            account = await self._account(visit, request)
            found = await trades.page(visit.session, account.id, account.currency, Window(cursor=cursor))
            table = Table(f"/accounts/{account.number}/trades", cursor=cursor, next_cursor=found.next_cursor)
            values = {"a": account, "rows": found.items, "table": table, "place": "trades"}
            values["statistics"] = await trading.statistics(visit.session, account)
            return await visit.render("my_trades.html", _crumbs(account, "Trades"), **values)

    async def terms(self, request: Request) -> HTMLResponse:
        """The rules of this account in plain words, and what changed since it was bought."""
        async with self._desk.visit(request, _TRADER) as visit:
            account = await self._account(visit, request)
            current = await products.load(visit.session, account.product, account.version)
            changes = []
            for moved in await versions.moves_of(visit.session, account.id):
                pair = [
                    await products.load(visit.session, account.product, number)
                    for number in (moved.from_version, moved.to_version)
                ]
                changes.append((moved, sentences(*pair)))
            values = {"a": account, "rulebook": describe(current), "changes": changes, "place": "terms"}
            return await visit.render("my_terms.html", _crumbs(account, "Terms"), **values)

    async def statement(self, request: Request) -> Response:
        """Raises BadInput for an unknown zone or month."""
        zone, month = (request.query_params.get(name) or None for name in ("zone", "month"))
        async with self._desk.visit(request, _TRADER) as visit:
            account = await self._account(visit, request)
            data = await statement(visit.session, visit.actor, visit.scope, account, zone, month)
        headers = {**csv_name(f"statement-{account.number}"), **templating.HEADERS}
        return Response(data, media_type="text/csv; charset=utf-8", headers=headers)
