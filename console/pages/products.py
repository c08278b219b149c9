"""Products: what is drafted, what is proposed, what is on sale, which accounts move."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.pages.product_drafts import starts
from console.views.frame import Crumb
from front import permissions
from store.read import drafts, versions
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
                drafts=(await drafts.drafts(visit.session, _SHOWN)).items,
                starts=await starts(visit.session),
                may_propose=permissions.may(visit.actor, "versions.propose"),
                versions=await versions.versions(visit.session),
                proposals=(await versions.proposals(visit.session, _SHOWN)).items,
                moves=(await versions.moves(visit.session, _SHOWN)).items,
            )
