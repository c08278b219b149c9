"""Products: what is on sale, what is proposed, which accounts move."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.views.frame import Crumb
from store.read import versions
from store.read.pages import Window

_SHOWN: Final = Window(limit=30)


class ProductPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/products", self.listed, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            return await visit.render(
                "products.html",
                [Crumb("Products")],
                versions=await versions.versions(visit.session),
                proposals=(await versions.proposals(visit.session, _SHOWN)).items,
                moves=(await versions.moves(visit.session, _SHOWN)).items,
            )
