"""Products: what is drafted, what is proposed, what is on sale, which accounts move."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, redirect
from console.pages.mine import Made
from console.pages.product_drafts import starts
from console.views.frame import Crumb
from domain.errors import BadInput
from firm.products import version_moves
from front import permissions
from store.read import drafts, versions
from store.read.finding import account_number_in
from store.read.pages import Window

_SHOWN: Final = Window(limit=30)


class ProductPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/products", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/moves", self.move, methods=["POST"], response_model=None)

    async def move(self, request: Request) -> Response:
        """Proposes that accounts go on under another version. Raises BadInput, and what
        `firm.products.version_moves.propose` refuses with."""
        posted = await self._desk.posted(request, "versions.propose")
        product, _, before = posted.form.text("from").partition("@")
        to, given = posted.form.needed("to_version", longest=6), posted.form.text("accounts")
        reason = posted.form.needed("reason", shortest=3, longest=1000)
        if not before.isdecimal() or not to.isdecimal() or len(before) > 6:
            raise BadInput("Choose two versions.", field="to_version", remedy="Write the number of a version.")
        numbers = _numbers(given)

        async def work(session: AsyncSession) -> Made:
            row = await version_moves.propose(
                session,
                product=product,
                from_version=int(before),
                to_version=int(to),
                numbers=numbers,
                actor=posted.actor,
                reason=reason,
            )
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=f"{product} {before} {to} {numbers} {reason}"), work)
        return redirect(href("account_move", made.id), "ok", "Proposed. A second person must approve it.")

    async def listed(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            sold = await versions.versions(visit.session)
            return await visit.render(
                "products.html",
                [Crumb("Products")],
                drafts=(await drafts.drafts(visit.session, _SHOWN)).items,
                starts=await starts(visit.session),
                may_propose=permissions.may(visit.actor, "versions.propose"),
                versions=sold,
                movable=[row for row in sold if row.accounts and not row.newest],
                proposals=(await versions.proposals(visit.session, _SHOWN)).items,
                moves=(await versions.moves(visit.session, _SHOWN)).items,
            )


def _numbers(text: str) -> list[int] | None:
    """Reads "A-10001, A-10002"; None for no accounts. Raises BadInput for what is no number of an account."""
    words = text.replace(",", " ").split()
    found = [account_number_in(word) for word in words]
    if wrong := [word for word, number in zip(words, found, strict=True) if number is None]:
        raise BadInput(f"{wrong[0][:40]} is no account number.", field="accounts", remedy="Write it like A-10001.")
    return [number for number in found if number is not None] or None
