"""The pages of what is decided (payouts, disputes, cases, identities, doubtful breaches), and their forms."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console import deciding
from console.deciding import Decided
from console.desk import Desk, Posted, Visit, redirect
from console.lists import Table
from console.present.subjects import subject
from console.views import Crumb, href
from contracts.messages import DecisionResult
from domain.approvals import ROLES
from domain.decision_requests import DecidedKind
from domain.errors import BadInput
from domain.payouts.payout import PAYOUT
from firm import people, reviews
from front import permissions, subjects
from store.read import payouts
from store.read.pages import Window

_EVERYBODY = frozenset(ROLES)


class Way(NamedTuple):
    """Which buttons a kind of decision has, and who may press them."""

    permission: str
    updates: tuple[str, ...]


WAYS: Final[Mapping[DecidedKind, Way]] = {
    "payout": Way("payouts.decide", ("approve", "return_to_trader", "reject", "cancel")),
    "dispute": Way("disputes.decide", ("uphold", "reinstate")),
    "case": Way("cases.decide", ("clear", "confirm")),
}


class WorkPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/payouts", self.payouts, methods=["GET"], response_model=None)
        router.add_api_route("/payouts/{id}", self.page("payout", _EVERYBODY), methods=["GET"], response_model=None)
        router.add_api_route("/disputes/{id}", self.page("dispute", _EVERYBODY), methods=["GET"], response_model=None)
        router.add_api_route("/cases/{id}", self.page("case"), methods=["GET"], response_model=None)
        router.add_api_route("/reviews/{id}", self.page("review"), methods=["GET"], response_model=None)
        router.add_api_route("/reviews/{id}/decision", self.decide_review, methods=["POST"], response_model=None)
        router.add_api_route("/identity/{id}", self.page("identity"), methods=["GET"], response_model=None)
        for kind in WAYS:
            router.add_api_route(
                f"{href(kind, '{id}')}/decision", self.decide(kind), methods=["POST"], response_model=None
            )
        router.add_api_route("/identity/{id}/decision", self.decide_identity, methods=["POST"], response_model=None)

    async def payouts(self, request: Request) -> HTMLResponse:
        state, cursor = request.query_params.get("state", ""), request.query_params.get("cursor")
        if state and state not in PAYOUT.states:
            raise BadInput("There is no such state.", field="state", remedy="Choose one of the tabs.")
        async with self._desk.visit(request, _EVERYBODY) as visit:
            found = await payouts.page(visit.session, visit.scope, Window(cursor=cursor), state=state or None)
            return await visit.render(
                "payouts.html",
                [Crumb("Payouts")],
                rows=found.items,
                state=state,
                states=("in_review", "awaiting_approval", "sent", "paid", "rejected", "returned", "cancelled"),
                table=Table("/payouts", {"state": state}, "", cursor, found.next_cursor),
            )

    def page(self, kind: str, roles: frozenset[str] | None = None) -> Callable[[Request], Awaitable[HTMLResponse]]:
        """The page of one kind of decision."""

        async def show(request: Request) -> HTMLResponse:
            async with self._desk.visit(request, *((roles,) if roles else ())) as visit:
                item = await subject(visit.session, visit.actor, kind, request.path_params["id"], await visit.now())
                return await visit.render("decision.html", [_above(visit, kind), Crumb(item.title)], item=item)

        return show

    def decide(self, kind: DecidedKind) -> Callable[[Request], Awaitable[Response]]:
        """The form of one kind: an update of its workflow."""
        way = WAYS[kind]

        async def post(request: Request) -> Response:
            posted = await self._desk.posted(request)
            permissions.check(posted.actor, "payouts.cancel" if _cancels(posted) else way.permission)
            subject_id = request.path_params["id"]
            sent = deciding.read(posted, kind, subject_id, way.updates)

            async def check(session: AsyncSession) -> None:
                await deciding.check_unchanged(session, posted, kind, subject_id)

            async def decide() -> DecisionResult:
                once = posted.once
                return await subjects.decide(
                    kind, subject_id, sent.decision, sent.reason, body=sent, once=once, check=check
                )

            result = await deciding.told(self._desk, posted, kind, subject_id, decide)
            return redirect(deciding.landing(posted, kind, subject_id), "ok", _recorded(kind, sent.decision, result))

        return post

    async def decide_review(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "reviews.decide")
        review_id = request.path_params["id"]
        sent = deciding.read(posted, "review", review_id, ("confirm", "dismiss"))

        async def work(session: AsyncSession) -> Decided:
            row = await reviews.decide(
                session,
                review_id=review_id,
                decision="confirm" if sent.decision == "confirm" else "dismiss",
                actor=posted.actor,
                reason=sent.reason,
                key=posted.once.message_key,
            )
            return Decided(decision=sent.decision, state=row.outcome or "")

        result = await deciding.write(self._desk, posted, sent, ("review", review_id), work)
        return redirect(deciding.landing(posted, "review", review_id), "ok", f"Recorded; the breach is {result.state}.")

    async def decide_identity(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "traders.decide_identity")
        trader_id = request.path_params["id"]
        sent = deciding.read(posted, "identity", trader_id, ("verify", "refuse"))

        async def lock(session: AsyncSession) -> None:
            await people.lock_trader(session, trader_id)

        async def work(session: AsyncSession) -> Decided:
            trader = await people.decide_identity(
                session,
                trader_id=trader_id,
                verified=sent.decision == "verify",
                actor=posted.actor,
                reason=sent.reason,
                key=posted.once.message_key,
            )
            return Decided(decision=sent.decision, state=trader.identity)

        result = await deciding.write(self._desk, posted, sent, ("identity", trader_id), work, lock=lock)
        words = f"Recorded; the trader's identity is {result.state}."
        return redirect(deciding.landing(posted, "identity", trader_id), "ok", words)


def _cancels(posted: Posted) -> bool:
    return posted.form.text("decision") == "cancel"


def _recorded(kind: str, decision: str, result: DecisionResult) -> str:
    said = f"{decision.replace('_', ' ').capitalize()} recorded; the {kind} is {result.state.replace('_', ' ')}."
    if decision != "approve" or result.approvals >= result.approvals_needed:
        return said
    return f"{said} {result.approvals} of {result.approvals_needed} approvals are there."


def _above(visit: Visit, kind: str) -> Crumb:
    if visit.viewer.is_trader:
        return Crumb("Payouts", "/payouts") if kind == "payout" else Crumb("Overview", "/")
    places = {"payout": Crumb("Payouts", "/payouts"), "identity": Crumb("Queue", "/queue?kind=identity")}
    return places.get(kind, Crumb("Risk", "/risk"))
