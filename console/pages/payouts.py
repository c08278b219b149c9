"""The list of payouts."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.lists import Table
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import BadInput
from domain.payouts.payout import PAYOUT
from store.read import payouts
from store.read.pages import Window

_STATES = ("in_review", "awaiting_approval", "sent", "paid", "returned", "owed", "rejected", "cancelled")


class PayoutPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/payouts", self.listed, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        state, cursor = request.query_params.get("state", ""), request.query_params.get("cursor")
        if state and state not in PAYOUT.states:
            raise BadInput("There is no such state.", field="state", remedy="Choose one of the tabs.")
        async with self._desk.visit(request, PEOPLE) as visit:
            found = await payouts.page(visit.session, visit.scope, Window(cursor=cursor), state=state or None)
            return await visit.render(
                "payouts.html",
                [Crumb("Payouts")],
                rows=found.items,
                state=state,
                states=_STATES,
                table=Table("/payouts", {"state": state}, "", cursor, found.next_cursor),
            )
