"""Challenges: the list, and the page of one."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.lists import Table
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import BadInput
from domain.lifecycle import CHALLENGE
from store.read import challenges
from store.read.pages import Window


class ChallengePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/challenges", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/challenges/{ref}", self.show, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        """Every challenge, those without an account included."""
        state, cursor = request.query_params.get("state", ""), request.query_params.get("cursor")
        if state and state not in CHALLENGE.states:
            raise BadInput("There is no such state.", field="state", remedy="Choose one of the list.")
        async with self._desk.visit(request) as visit:
            found = await challenges.page(visit.session, visit.scope, Window(cursor=cursor), state=state or None)
            return await visit.render(
                "challenges.html",
                [Crumb("Accounts", "/accounts"), Crumb("Challenges")],
                rows=found.items,
                state=state,
                states=sorted(CHALLENGE.states),
                table=Table("/challenges", {"state": state}, "", cursor, found.next_cursor),
            )

    async def show(self, request: Request) -> HTMLResponse:
        """The accounts of a challenge, one for each phase, and its steps."""
        async with self._desk.visit(request, PEOPLE) as visit:
            row = await challenges.one(visit.session, visit.scope, request.path_params["ref"])
            home = Crumb("Overview", "/") if visit.viewer.is_trader else Crumb("Challenges", "/challenges")
            return await visit.render("challenge.html", [home, Crumb("Challenge")], challenge=row)
