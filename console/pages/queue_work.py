"""What people do in the work queue besides deciding: claim, snooze and escalate items, undo, export a list."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from console import templating
from console.deciding import undo_of
from console.desk import Desk, Posted, redirect
from console.queries.work import items, read_filter
from console.views.work import WorkFilter
from domain.approvals import Actor
from domain.errors import BadInput, NotAllowed, NotFound
from domain.undo import Undoable
from front import escalating, undo, working
from front.auth import COOKIE
from front.escalating import EscalateBody
from front.exports import MOST, csv_of, json_of, log_export, prove_export, too_long
from front.once import Once
from front.undo import Offer
from front.working import Mark
from store.read.pages import View, Window
from store.read.queue import QueueItem

_HOURS: Final = {"1", "4", "24", "72"}
_PAGE: Final = 200
_OFFERS: Final = {
    "claim": Offer("claim", 0),
    "take-over": Offer("claim", 0),
    "release": Offer("release", 0),
    "snooze": Offer("snooze", 0),
}
Work = Callable[[AsyncSession], Awaitable[object]]


class QueueWorkPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/queue/export", self.export, methods=["GET", "POST"], response_model=None)
        router.add_api_route("/queue/{kind}/{id}/escalate", self.escalate, methods=["POST"], response_model=None)
        router.add_api_route("/queue/{kind}/{id}/undo", self.undo, methods=["POST"], response_model=None)
        for verb in working.MARKS:
            router.add_api_route(f"/queue/{{kind}}/{{id}}/{verb}", self._marks(verb), methods=["POST"])

    def _marks(self, verb: Mark) -> Callable[[Request], Awaitable[Response]]:
        async def post(request: Request) -> Response:
            posted = await self._desk.posted(request, "queue.read")
            kind, subject_id = request.path_params["kind"], request.path_params["id"]
            subject = working.subject_of(self._desk.deps.subjects, kind)
            hours = _hours(posted) if verb == "snooze" else 0
            place = {name: posted.form.text(name) for name in ("kind", "show", "cursor")}
            chosen = read_filter(place, self._desk.deps.subjects)
            made = await working.mark(posted.once, subject, subject_id, verb, hours)
            item = f"{kind}/{subject_id}"
            undoes = undo_of(chosen, item, _OFFERS.get(verb))
            return redirect(chosen.href("" if verb == "snooze" else item), "ok", made.words, **undoes)

        return post

    async def escalate(self, request: Request) -> Response:
        """Gives the item to a role or a person that should decide it."""
        posted = await self._desk.posted(request, "queue.work")
        kind, subject_id = request.path_params["kind"], request.path_params["id"]
        self._check(posted.actor, kind)
        reason = posted.form.needed("reason", shortest=3, longest=1000)
        role, to = posted.form.text("to").partition("role:")[1:]
        try:
            body = EscalateBody(
                to_role=to if role else None, to_user=None if role else posted.form.text("to"), reason=reason
            )
        except (ValidationError, NotFound) as error:
            raise BadInput("Choose who should decide it.", field="to", remedy="Use one of the list.") from error
        place = {name: posted.form.text(name) for name in ("kind", "show", "cursor")}
        chosen = read_filter(place, self._desk.deps.subjects)
        await escalating.escalate(posted.once, self._desk.deps.subjects.by_name[kind], subject_id, body)
        return redirect(chosen.href(f"{kind}/{subject_id}"), "ok", "Escalated. The item is released.")

    async def undo(self, request: Request) -> Response:
        """Takes back what was just done; the address says what, and which list the person came from."""
        posted = await self._desk.posted(request, "queue.work")
        kind, subject_id = request.path_params["kind"], request.path_params["id"]
        self._check(posted.actor, kind)
        what = next((known for known in get_args(Undoable) if known == request.query_params.get("what")), None)
        if what is None:
            raise BadInput("This cannot be undone.", field="what", remedy="Go to the queue.")
        chosen = read_filter(request.query_params, self._desk.deps.subjects)
        subject = self._desk.deps.subjects.by_name[kind]
        made = await undo.undo(posted.once, subject, subject_id, what)
        return redirect(chosen.href(f"{kind}/{subject_id}"), "ok", f"Undone. {made.words}")

    def _check(self, actor: Actor, kind: str) -> None:
        """Raises NotFound, or NotAllowed for who may decide nothing about this kind of work."""
        if actor.role not in working.subject_of(self._desk.deps.subjects, kind).deciders:
            raise NotAllowed("Only people who can decide this item can claim or snooze it.")

    async def export(self, request: Request) -> Response:
        """The items of a filter as CSV or JSON, after a proof of the person. The audit trail says who took it."""
        deps, params = self._desk.deps, dict(request.query_params)
        if request.method == "POST":  # the proof comes back here, with what was asked for
            posted = await self._desk.posted(request, "queue.read")
            params = {name: posted.form.text(name) for name in ("kind", "show", "format")}
            actor, once = posted.actor, posted.once
        else:
            async with self._desk.visit(request) as visit:
                actor, key = visit.actor, secrets.token_hex(20)
                once = Once(deps, actor, f"GET {request.url.path}", key, request.cookies.get(COOKIE, ""))
        subjects = deps.subjects.readable_by(actor)
        chosen, form = read_filter(params, subjects), params.get("format", "")
        if form not in ("csv", "json"):
            raise BadInput("The queue is exported as csv or json.", field="format", remedy="Use one of the two.")
        async with deps.db.transaction() as session:
            await prove_export(session, once, f"queue {chosen.query} {form}")
            found = list[QueueItem]()
            cursor: str | None = None
            while len(found) < MOST:
                page, cursor = await items(session, chosen, subjects, actor, Window(limit=_PAGE, cursor=cursor))
                found += page
                if cursor is None:
                    break
            if cursor is not None:
                raise too_long()
            evidence = {"query": chosen.query, "format": form, "rows": len(found)}
            await log_export(session, actor, "queue", evidence)
        return _file(found, chosen, form)


def _hours(posted: Posted) -> int:
    text = posted.form.text("hours")
    if text not in _HOURS:
        raise BadInput("This time is not in the list.", field="hours", remedy="Choose one of the list.")
    return int(text)


def _file(found: Sequence[QueueItem], chosen: WorkFilter, form: str) -> Response:
    rows = [_line(item) for item in found]
    data, media = (json_of(rows), "application/json") if form == "json" else (csv_of(rows), "text/csv; charset=utf-8")
    name = "-".join(filter(None, ("queue", chosen.tab.replace(",", "-"), chosen.part)))[:80]
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', **templating.HEADERS}
    return Response(data, media_type=media, headers=headers)


class _Line(View):
    """An item in a file."""

    kind: str
    id: str
    subject: str
    state: str
    account: str | None
    trader: str | None
    amount_minor: int | None
    currency: str | None
    count: int
    waiting_since: datetime
    deadline: datetime | None
    due: datetime
    claimed_by: str | None
    escalated_to: str | None


def _line(item: QueueItem) -> _Line:
    return _Line(
        kind=item.kind,
        id=item.subject_id,
        subject=item.words,
        state=item.state,
        account=item.account_number,
        trader=item.trader_name,
        amount_minor=item.amount_minor,
        currency=item.currency,
        count=item.alike,
        waiting_since=item.since,
        deadline=item.deadline,
        due=item.due,
        claimed_by=item.holder,
        escalated_to=item.escalated_to,
    )
