"""The page of every subject that people decide, and its form."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import deciding
from console.deciding import Item
from console.desk import STAFF_RAIL, Desk, Visit
from console.formats import words
from console.pages import my_payout
from console.present.subjects import view_of
from console.views.frame import Crumb
from contracts.messages import DecisionResult
from front.permissions import may
from front.subjects.subject import Subject
from front.workflow_history import WORKFLOWS
from store.read import work_history

# States that do not say by their name what happens next.
_STATE_WORDS: Final = {"releasing": "ending: its money is going back to the account"}


class DecisionPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for subject in self._desk.deps.subjects.decided:
            page = subject.href("{id}")
            router.add_api_route(page, self._page(subject), methods=["GET"], response_model=None)
            router.add_api_route(f"{page}/decision", self._decide(subject), methods=["POST"], response_model=None)

    def _page(self, subject: Subject) -> Callable[[Request], Awaitable[HTMLResponse]]:
        async def show(request: Request) -> HTMLResponse:
            async with self._desk.visit(request, subject.read.roles) as visit:
                item = await view_of(visit.session, visit.actor, subject, request.path_params["id"])
                if subject.name == "payout" and visit.viewer.is_trader:
                    return await my_payout.page(visit, item)
                item = deciding.offered(self._desk, item)
                staff = not visit.viewer.is_trader
                worked = await work_history.of(visit.session, subject.name, item.subject_id) if staff else []
                workflow = subject.name in WORKFLOWS and may(visit.actor, "workflows.read")
                crumbs = [_above(visit, subject), Crumb(item.title)]
                return await visit.render("decision.html", crumbs, item=item, worked=worked, workflow=workflow)

        return show

    def _decide(self, subject: Subject) -> Callable[[Request], Awaitable[Response]]:
        async def post(request: Request) -> Response:
            posted = await self._desk.posted(request)
            item = Item(subject, request.path_params["id"])
            verb, sent = deciding.read(posted, item)
            missing = 0
            if verb.carry_out is None:
                result = await deciding.send(self._desk, posted, sent, item, verb)
                text, missing = _taken(subject, result), result.approvals_needed - result.approvals
            else:
                text = _recorded(subject, (await deciding.write(self._desk, posted, sent, item, verb)).state)
            return await deciding.landing(self._desk, posted, item, text, missing=missing)

        return post


def _recorded(subject: Subject, state: str) -> str:
    return f"Decision recorded. The {subject.label} is now {_STATE_WORDS.get(state, words(state))}."


def _taken(subject: Subject, result: DecisionResult) -> str:
    text = _recorded(subject, result.state)
    if result.approvals >= result.approvals_needed:
        return text
    if result.decision == "approve":
        return f"{text} It has {result.approvals} of {result.approvals_needed} approvals."
    if subject.name == "dispute":
        return f"{text} {result.approvals} of {result.approvals_needed} people say so; another person must decide too."
    return text


def _above(visit: Visit, subject: Subject) -> Crumb:
    if visit.viewer.is_trader:
        return Crumb("Payouts", "/payouts") if subject.under == "/payouts" else Crumb("Overview", "/")
    return Crumb(dict(STAFF_RAIL)[subject.under], subject.under)
