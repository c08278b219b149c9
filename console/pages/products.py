"""Products: what is on sale, what is proposed, which accounts move; and the two people behind each."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console import deciding
from console.deciding import Decided, Work
from console.desk import Desk, Posted, redirect
from console.present import versions as present
from console.views import Crumb
from domain.approvals import Actor
from firm.products import proposals
from firm.products import version_moves as moves
from front import permissions
from store.read import versions
from store.read.pages import Window

_ABOVE: Final = Crumb("Products", "/products")
_SHOWN: Final = Window(limit=30)


class ProductPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/products", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/proposals/{id}", self.proposal, methods=["GET"], response_model=None)
        router.add_api_route("/proposals/{id}/decision", self.decide_proposal, methods=["POST"], response_model=None)
        router.add_api_route("/moves/{id}", self.move, methods=["GET"], response_model=None)
        router.add_api_route("/moves/{id}/decision", self.decide_move, methods=["POST"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            return await visit.render(
                "products.html",
                [Crumb("Products")],
                versions=await versions.versions(visit.session),
                proposals=(await versions.proposals(visit.session, _SHOWN)).items,
                moves=(await versions.moves(visit.session, _SHOWN)).items,
            )

    async def proposal(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            row = await versions.proposal(visit.session, request.path_params["id"])
            crumbs = [_ABOVE, Crumb(f"{row.product} version {row.version}")]
            return await visit.render("decision.html", crumbs, item=present.proposal(row, visit.actor))

    async def move(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            row = await versions.move(visit.session, request.path_params["id"])
            crumbs = [_ABOVE, Crumb(f"Move to {row.product} version {row.to_version}")]
            return await visit.render("decision.html", crumbs, item=present.move(row, visit.actor))

    async def decide_proposal(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        _check_may(posted)
        subject_id = request.path_params["id"]
        sent = deciding.read(posted, "product_version", subject_id, ("approve", "reject", "withdraw", "publish"))

        async def work(session: AsyncSession) -> Decided:
            state = await _step_proposal(session, subject_id, sent, posted.actor, posted.once.message_key)
            return Decided(decision=sent.decision, state=state)

        return await self._decide(posted, sent, ("product_version", subject_id), work)

    async def decide_move(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        _check_may(posted)
        subject_id = request.path_params["id"]
        sent = deciding.read(posted, "account_move", subject_id, ("approve", "reject", "withdraw"))

        async def work(session: AsyncSession) -> Decided:
            actor, key = posted.actor, posted.once.message_key
            if sent.decision == "withdraw":
                row = await moves.withdraw(session, subject_id, actor=actor, reason=sent.reason)
            else:
                verdict: moves.Verdict = "approve" if sent.decision == "approve" else "reject"
                row = await moves.decide(session, subject_id, verdict=verdict, actor=actor, reason=sent.reason, key=key)
            return Decided(decision=sent.decision, state=row.state)

        return await self._decide(posted, sent, ("account_move", subject_id), work)

    async def _decide(self, posted: Posted, sent: Decided, item: tuple[str, str], work: Work) -> Response:
        result = await deciding.write(self._desk, posted, sent, item, work)
        return redirect(deciding.landing(posted, *item), "ok", f"Recorded; it is {result.state.replace('_', ' ')}.")


async def _step_proposal(session: AsyncSession, subject_id: str, sent: Decided, actor: Actor, key: str) -> str:
    if sent.decision == "publish":
        await proposals.publish(session, subject_id, actor=actor)
        return "on_sale"
    if sent.decision == "withdraw":
        return (await proposals.withdraw(session, subject_id, actor=actor, reason=sent.reason)).state
    verdict: proposals.Verdict = "approve" if sent.decision == "approve" else "reject"
    row = await proposals.decide(session, subject_id, verdict=verdict, actor=actor, reason=sent.reason, key=key)
    return row.state


def _check_may(posted: Posted) -> None:
    own = posted.form.text("decision") in ("withdraw", "publish")
    permissions.check(posted.actor, "versions.propose" if own else "versions.decide")
