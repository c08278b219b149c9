"""The page of a challenge."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from front.permissions import may
from store.read import challenges


class ChallengePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/challenges/{ref}", self.show, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        """The accounts of a challenge, one for each phase, and its steps."""
        async with self._desk.visit(request, PEOPLE) as visit:
            row = await challenges.one(visit.session, visit.scope, request.path_params["ref"])
            home = Crumb("Overview", "/") if visit.viewer.is_trader else Crumb("Challenges", "/challenges")
            workflow = may(visit.actor, "workflows.read")
            return await visit.render("challenge.html", [home, Crumb("Challenge")], challenge=row, workflow=workflow)
