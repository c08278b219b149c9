"""What the configured trading platforms can do."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.views.frame import Crumb
from front import permissions
from store import stops


class PlatformPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/platforms", self.show, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN["platforms.read"]) as visit:
            return await visit.render(
                "platforms.html",
                [Crumb("Firm", "/"), Crumb("Platforms")],
                platforms=self._desk.deps.platforms,
                stops=await stops.all_in_force(visit.session),
            )
