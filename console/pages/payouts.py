"""The list of payouts."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.lists import table_of
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from front.lists import asked_from
from store.read import listing, payouts
from store.read.pages import Window

_STATES = ("in_review", "awaiting_approval", "sent", "paid", "returned", "owed", "rejected", "cancelled")


class PayoutPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/payouts", self.listed, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        asked, cursor = asked_from(request.query_params, payouts.PAYOUTS), request.query_params.get("cursor")
        async with self._desk.visit(request, PEOPLE) as visit:
            found = await payouts.page(visit.session, visit.scope, Window(cursor=cursor), asked)
            exports = visit.scope.staff
            totals = await listing.totals(visit.session, payouts.PAYOUTS, visit.scope, asked) if exports else None
            return await visit.render(
                "payouts.html",
                [Crumb("Payouts")],
                rows=found.items,
                state=asked.filters["state"],
                states=_STATES,
                table=table_of("/payouts", "payouts", payouts.PAYOUTS, asked, cursor, found, totals, exports=exports),
            )
