"""A product in plain words: for a trader before buying, for staff before approving."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk, Visit
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import NotFound
from domain.products.product import Product
from domain.products.words import describe
from front import permissions
from store import products
from store.read import versions

_EVERYBODY: Final = PEOPLE


class RuleBookPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/products/{product}/{version}", self.sold, methods=["GET"], response_model=None)
        router.add_api_route("/proposals/{id}/words", self.proposed, methods=["GET"], response_model=None)

    async def sold(self, request: Request) -> HTMLResponse:
        product, version = request.path_params["product"], request.path_params["version"]
        if not version.isdecimal() or len(version) > 6:
            raise NotFound(f"There is no product {product} version {version}.")
        async with self._desk.visit(request, _EVERYBODY) as visit:
            shown = await products.load(visit.session, product, int(version))
            return await _shown(visit, shown, next_version=await _next_version(visit, shown))

    async def proposed(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            row = await versions.proposal(visit.session, request.path_params["id"])
            return await _shown(visit, row.terms, Crumb(f"{row.product} version {row.version}", f"/proposals/{row.id}"))


async def _next_version(visit: Visit, shown: Product) -> int:
    """Returns the version that this person may draft from the one that is shown; 0: none. One with add-ons has none."""
    if not permissions.may(visit.actor, "versions.propose"):
        return 0
    newest = (await products.versions(visit.session, shown.product))[-1]
    sold_as = await products.sold_as(visit.session, shown)
    return newest + 1 if shown.version == newest and sold_as == shown.product else 0


async def _shown(visit: Visit, product: Product, above: Crumb | None = None, *, next_version: int = 0) -> HTMLResponse:
    """`next_version`: a draft of it is offered; 0: none."""
    home = Crumb("Overview", "/") if visit.viewer.is_trader else Crumb("Products", "/products")
    crumbs = [home, *([above] if above else []), Crumb(f"{product.name}, version {product.version}")]
    return await visit.render(
        "rulebook.html", crumbs, rulebook=describe(product), product=product.product, next_version=next_version
    )
