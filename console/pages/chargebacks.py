"""The list of chargebacks."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.lists import Table
from console.views.frame import Crumb
from domain.chargebacks import CHARGEBACK
from domain.errors import BadInput
from store.read import chargebacks
from store.read.pages import Window

_STATES = ("inquiry", "evidence_due", "submitted", "won", "lost", "accepted")


class ChargebackPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/chargebacks", self.listed, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        state, cursor = request.query_params.get("state", ""), request.query_params.get("cursor")
        if state and state not in CHARGEBACK.states:
            raise BadInput("There is no such state.", field="state", remedy="Choose one of the tabs.")
        async with self._desk.visit(request) as visit:
            found = await chargebacks.page(visit.session, Window(cursor=cursor), state=state or None)
            return await visit.render(
                "chargebacks.html",
                [Crumb("Risk", "/risk"), Crumb("Chargebacks")],
                rows=found.items,
                state=state,
                states=_STATES,
                table=Table("/chargebacks", {"state": state}, "", cursor, found.next_cursor),
            )
