"""The work queue and the pages of what is decided: payouts, disputes, cases, identities."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Posted, Visit, redirect, wants_fragment
from console.lists import Table
from console.present import decisions
from console.present.subjects import subject as subject_view
from console.queries import frame
from console.views import Crumb, href
from domain.approvals import ROLES
from domain.errors import BadInput
from domain.payouts.payout import PAYOUT
from firm import people, reviews
from front import permissions, subjects
from store.read import payouts, queue
from store.read.pages import Window
from store.read.queue import QueueItem

_EVERYBODY = frozenset(ROLES)
KINDS: Final = frame.DECIDED
_TABS: Final = (("", "all"), *((kind, kind.replace("_", " ")) for kind in KINDS))
_ROWS: Final = 60


class Way(NamedTuple):
    """Which buttons a kind of decision has, and who may press them."""

    permission: str
    updates: tuple[str, ...]


WAYS: Final[Mapping[str, Way]] = {
    "payout": Way("payouts.decide", ("approve", "return_to_trader", "reject", "cancel")),
    "dispute": Way("disputes.decide", ("uphold", "reinstate")),
    "case": Way("cases.decide", ("clear", "confirm")),
}


class Decided(BaseModel):
    """What was sent, for the idempotency key; and what came of it."""

    decision: str
    reason: str = ""
    state: str = ""


class WorkPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/queue", self.queue, methods=["GET"], response_model=None)
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

    async def queue(self, request: Request) -> HTMLResponse:
        kind = request.query_params.get("kind", "")
        if kind and kind not in KINDS:
            raise BadInput("There is no such kind of work.", field="kind", remedy=f"Use {', '.join(KINDS)}.")
        async with self._desk.visit(request) as visit:
            items, more = await _waiting(visit, [kind] if kind else KINDS)
            at = _selected(items, request.query_params.get("item"))
            context = {
                "items": items,
                "kind": kind,
                "more": more,
                "selected": await self._selected_view(visit, items[at]) if at is not None else None,
                "next_item": _next_page(items, at, kind),
                "tabs": _tabs(kind, await queue.counts(visit.session)),
            }
            if wants_fragment(request, "panel"):
                return await visit.fragment("queue.html", "panel", **context)
            return await visit.render("queue.html", [Crumb("Queue")], **context)

    async def _selected_view(self, visit: Visit, item: QueueItem) -> Any:
        return await subject_view(visit.session, visit.actor, item.kind, item.subject_id, await visit.now())

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
                item = await _view(visit, kind, request.path_params["id"])
                return await visit.render("decision.html", [_above(visit, kind), Crumb(item.title)], item=item)

        return show

    def decide(self, kind: str) -> Callable[[Request], Awaitable[Response]]:
        """The form of one kind: an update of its workflow, then the next row or the subject's page."""
        way = WAYS[kind]

        async def post(request: Request) -> Response:
            posted = await self._desk.posted(request)
            subject_id = request.path_params["id"]
            sent = _decision(posted, way.updates)
            permissions.check(posted.actor, "payouts.cancel" if sent.decision == "cancel" else way.permission)
            result = await subjects.decide(kind, subject_id, sent.decision, sent.reason, body=sent, once=posted.once)
            words = f"{sent.decision.replace('_', ' ').capitalize()} recorded; the {kind} is {result.state.replace('_', ' ')}."
            if result.approvals < result.approvals_needed:
                words += f" {result.approvals} of {result.approvals_needed} approvals are there."
            return redirect(posted.form.text("next") or href(kind, subject_id), "ok", words)

        return post

    async def decide_review(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "reviews.decide")
        review_id = request.path_params["id"]
        sent = _decision(posted, ("confirm", "dismiss"))

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

        result = await posted.once.write(Decided, sent, work)
        return redirect(href("review", review_id), "ok", f"Recorded; the breach is {result.state}.")

    async def decide_identity(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "traders.decide_identity")
        trader_id = request.path_params["id"]
        sent = _decision(posted, ("verify", "refuse"))

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

        result = await posted.once.write(Decided, sent, work)
        target = posted.form.text("next") or href("trader", trader_id)
        return redirect(target, "ok", f"Recorded; the trader's identity is {result.state}.")


async def _waiting(visit: Visit, kinds: Sequence[str]) -> tuple[list[QueueItem], bool]:
    """The most urgent rows of these kinds by deadline, or age where there is none; and whether there are more."""
    pages = [await queue.page(visit.session, Window(limit=_ROWS), kind=kind) for kind in kinds]
    items = sorted((item for page in pages for item in page.items), key=lambda item: item.deadline or item.since)
    return items[:_ROWS], len(items) > _ROWS or any(page.next_cursor for page in pages)


def _decision(posted: Posted, allowed: tuple[str, ...]) -> Decided:
    decision = posted.form.text("decision")
    if decision not in allowed:
        raise BadInput("Choose what to decide.", field="decision", remedy="Use one of the buttons.")
    return Decided(decision=decision, reason=posted.form.needed("reason", shortest=3, longest=1000))


def _above(visit: Visit, kind: str) -> Crumb:
    if visit.viewer.is_trader:
        return Crumb("Payouts", "/payouts") if kind == "payout" else Crumb("Overview", "/")
    places = {"payout": Crumb("Payouts", "/payouts"), "identity": Crumb("Queue", "/queue?kind=identity")}
    return places.get(kind, Crumb("Risk", "/risk"))


async def _view(visit: Visit, kind: str, subject_id: str) -> Any:
    if kind == "payout":
        return await decisions.payout(visit.session, visit.scope, visit.actor, subject_id, await visit.now())
    if kind == "dispute":
        return await decisions.dispute(visit.session, visit.scope, visit.actor, subject_id)
    return await subject_view(visit.session, visit.actor, kind, subject_id, await visit.now())


def _selected(items: list[QueueItem], wanted: str | None) -> int | None:
    """The row asked for, or the most urgent one."""
    if not items:
        return None
    return next((at for at, item in enumerate(items) if item.subject_id == wanted), 0)


def _next_page(items: list[QueueItem], at: int | None, kind: str) -> str:
    """Where a decision leads: the row after this one."""
    here = f"/queue?kind={kind}"
    if at is None or len(items) < 2:
        return here
    following = items[at + 1] if at + 1 < len(items) else items[0]
    return f"{here}&item={following.subject_id}"


def _tabs(kind: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    whole = sum(counts.get(name, 0) for name in KINDS)
    return [
        {
            "label": label,
            "href": f"/queue?kind={name}" if name else "/queue",
            "current": name == kind,
            "count": counts.get(name, 0) if name else whole,
        }
        for name, label in _TABS
    ]
