"""Traders, as the staff sees them."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.addresses import href
from console.desk import Desk
from console.formats import plain_money
from console.present.subjects import view_of
from console.queries import accounts
from console.views.frame import Crumb
from console.views.parts import Link
from domain.money import Money
from front import permissions
from front.subjects.identity import IDENTITY
from store.read import payouts, people, tickets
from store.read.pages import Window

_TICKETS = Window(limit=20)


class PeoplePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/traders/{id}", self.show, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        trader_id = request.path_params["id"]
        async with self._desk.visit(request) as visit:
            trader = await people.one(visit.session, visit.scope, trader_id)
            sold = await accounts.shelf(visit.session)
            paid = await payouts.page(visit.session, visit.scope, Window(limit=20), trader_id=trader_id)
            identity = await view_of(visit.session, visit.actor, IDENTITY, trader_id)
            return await visit.render(
                "trader.html",
                [Crumb("Traders", "/traders"), Crumb(trader.name)],
                trader=trader,
                item=identity,
                accounts=await accounts.of_trader(visit.session, visit.scope, trader_id, sold),
                may_write=permissions.may(visit.actor, "tickets.open_for"),
                tickets=[
                    Link(row.subject, href("ticket", row.id), row.state)
                    for row in (await tickets.page(visit.session, visit.scope, _TICKETS, trader_id=trader_id)).items
                ],
                payouts=[
                    Link(plain_money(Money(minor=p.sent_minor, currency=p.currency)), href("payout", p.id), p.state)
                    for p in paid.items
                ],
            )
