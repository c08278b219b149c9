"""How the books and the outside agree, and what the firm owes."""

from decimal import Decimal, InvalidOperation
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk
from console.lists import Table
from console.present import liability as words
from console.views.frame import Crumb
from domain.approvals import STAFF
from domain.errors import BadInput
from firm import liability
from store.read import reconciliation
from store.read.pages import Window

_ROWS: Final = 60
_UNRECONCILED: Final = "/reconciliation/unreconciled"


class ReconciliationPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route(_UNRECONCILED, self.unreconciled, methods=["GET"], response_model=None)
        router.add_api_route("/reconciliation", self.show, methods=["GET"], response_model=None)

    async def unreconciled(self, request: Request) -> HTMLResponse:
        cursor = request.query_params.get("cursor")
        async with self._desk.visit(request, STAFF) as visit:
            found = await reconciliation.unreconciled(visit.session, Window(limit=_ROWS, cursor=cursor))
            whole = await reconciliation.overview(visit.session)
            return await visit.render(
                "unreconciled.html",
                [Crumb("Payouts", "/payouts"), Crumb("Reconciliation", "/reconciliation"), Crumb("Unreconciled")],
                rows=found.items,
                total=whole.unreconciled,
                table=Table(_UNRECONCILED, cursor=cursor, next_cursor=found.next_cursor),
            )

    async def show(self, request: Request) -> HTMLResponse:
        ask, passes = _share(request, "ask"), _share(request, "pass")
        async with self._desk.visit(request, STAFF) as visit:
            owed = await liability.liability(visit.session, ask=ask, passes=passes)
            return await visit.render(
                "reconciliation.html",
                [Crumb("Payouts", "/payouts"), Crumb("Reconciliation")],
                whole=await reconciliation.overview(visit.session),
                open=(await reconciliation.page(visit.session, Window(limit=_ROWS))).items,
                liability=owed,
                charts=words.chart(owed),
                words=words,
                ask=ask,
                passes=passes,
            )


def _share(request: Request, name: str) -> Decimal:
    """Raises BadInput."""
    try:
        share = Decimal(request.query_params.get(name, "1"))
    except InvalidOperation:
        share = Decimal(-1)
    if not share.is_finite() or not 0 <= share <= 1:
        raise BadInput("A share is between 0 and 1.", field=name, remedy="Write it like 0.4.")
    return share
