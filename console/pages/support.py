"""Tickets: the list, the conversation with what the record says beside it, answers, and the end of a ticket."""

from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, Form, Posted, Visit, redirect
from console.lists import table_of
from console.pages.mine import Made
from console.present import tickets as present
from console.present.tickets import Draft
from console.views.frame import Crumb
from domain.approvals import PEOPLE, Actor
from domain.errors import BadInput, Conflict
from domain.tickets import TICKET
from firm import held_answers, ticket_desk, tickets
from firm.service import ahead
from front.lists import asked_from
from store.read import tickets as read
from store.read.listing import Asked
from store.read.pages import Window
from store.service_time import service_now

_EVERYBODY = PEOPLE
_STAFF_TABS: Final = (
    ("open", "to answer"), ("late", "by deadline"), ("mine", "mine"), ("snoozed", "snoozed"),
    ("waiting_for_trader", "waiting for trader"), ("solved", "solved"), ("", "all"),
)  # fmt: skip
_TRADER_TABS: Final = (("", "all"), ("open", "open"), ("waiting_for_trader", "waiting for you"), ("solved", "solved"))
LONGEST: Final = 5000
_SENT_BY_STAFF: Final = f"The answer leaves in {held_answers.WAIT.seconds} seconds. Until then you can take it back."


class SupportPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/tickets", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/tickets", self.open, methods=["POST"], response_model=None)
        router.add_api_route("/tickets/{id}", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/tickets/{id}/reply", self.reply, methods=["POST"], response_model=None)
        router.add_api_route("/tickets/{id}/take-back", self.take_back, methods=["POST"], response_model=None)
        router.add_api_route("/tickets/{id}/solve", self.solve, methods=["POST"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        asked, cursor = asked_from(request.query_params, read.TICKETS), request.query_params.get("cursor")
        tab = asked.filters["state"]
        async with self._desk.visit(request, _EVERYBODY) as visit:
            tabs = _TRADER_TABS if visit.viewer.is_trader else _STAFF_TABS
            if tab not in {name for name, _ in tabs} | TICKET.states:
                raise BadInput("There is no such state.", field="state", remedy="Choose one of the tabs.")
            await ahead.read(visit.session)
            wanted, desk = tab_of(asked, visit.actor)
            found = await read.page(visit.session, visit.scope, Window(cursor=cursor), wanted, desk=desk)
            totals = await read.totals(visit.session, visit.scope, wanted, desk)
            looking = (
                {}
                if visit.viewer.is_trader
                else await ticket_desk.looking(visit.session, [row.id for row in found.items])
            )
            exports, shown = visit.scope.staff, replace(asked, order=wanted.order)
            return await visit.render(
                "tickets.html",
                [Crumb("Messages", "/my/messages"), Crumb("All")] if visit.viewer.is_trader else [Crumb("Tickets")],
                rows=found.items,
                state=tab,
                tabs=tabs,
                now=await service_now(visit.session),
                looking=looking,
                table=table_of("/tickets", "tickets", read.TICKETS, shown, cursor, found, totals, exports=exports),
            )

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            return await ticket_page(self._desk, visit, request.path_params["id"], await _taken_back(request, visit))

    async def open(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "tickets.open")
        subject = posted.form.needed("subject", longest=tickets.MAX_SUBJECT)
        body = posted.form.needed("body", longest=4000)

        async def work(session: AsyncSession) -> Made:
            row = await tickets.open_ticket(session, actor=posted.actor, subject=subject, body=body)
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=f"{subject}\n{body}"), work)
        return redirect(href("ticket", made.id), "ok", "Your question was sent to support.")

    async def reply(self, request: Request) -> Response:
        """Sends an answer or keeps a note. What cannot be sent comes back as a draft, with what arrived meanwhile."""
        posted = await self._desk.posted(request, "tickets.write")
        ticket_id, draft = request.path_params["id"], draft_of(posted.form)
        try:
            made = await _send(posted, ticket_id, draft)
        except (BadInput, Conflict) as problem:
            kept = Draft(draft.body, draft.fills, problem.message, problem.remedy or "", draft.seen, draft.note)
            async with self._desk.visit(request, _EVERYBODY) as visit:
                return await ticket_page(self._desk, visit, ticket_id, kept, status=problem.status)
        told = "The note was added." if draft.note else _SENT_BY_STAFF if posted.scope.staff else "Reply sent."
        return redirect(href("ticket", made.id), "ok", told)

    async def take_back(self, request: Request) -> Response:
        """An answer that has not left comes back into the form."""
        posted, ticket_id = await self._desk.posted(request, "tickets.write"), request.path_params["id"]
        message_id = posted.form.needed("message", longest=32)

        async def work(session: AsyncSession) -> Made:
            taken = await held_answers.take_back(
                session, ticket_id=ticket_id, message_id=message_id, actor=posted.actor
            )
            query = urlencode([("back", taken.mail_id), *(("fill", each) for each in taken.fills)])
            return Made(id=taken.ticket_id, text=query)

        made = await posted.once.write(Made, Made(text=message_id), work)
        return redirect(f"{href('ticket', made.id)}?{made.text}", "ok", "Nothing was sent. Your text is below.")

    async def solve(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "tickets.solve")
        ticket_id = request.path_params["id"]

        async def work(session: AsyncSession) -> Made:
            site = self._desk.deps.public_url
            return Made(id=(await tickets.solve(session, ticket_id=ticket_id, actor=posted.actor, site=site)).id)

        made = await posted.once.write(Made, Made(), work)
        return redirect(href("ticket", made.id), "ok", "Marked as solved.")


async def _taken_back(request: Request, visit: Visit) -> Draft | None:
    """The answer that was just taken back, as a draft."""
    mail_id = request.query_params.get("back")
    if mail_id is None or not visit.scope.staff:
        return None
    body = await held_answers.text_of(visit.session, request.path_params["id"], mail_id)
    return Draft(body=body, fills=tuple(request.query_params.getlist("fill")[:10])) if body else None


def draft_of(form: Form) -> Draft:
    """What stands in the form of an answer. Raises BadInput for too much of it."""
    body, fills = form.text("body"), tuple(form.texts("fill"))
    if len(body) > LONGEST or len(fills) > 10:
        raise BadInput(
            f"An answer has at most {LONGEST} characters and 10 macros.", field="body", remedy="Go back and shorten it."
        )
    return Draft(body=body, fills=fills, seen=form.text("seen"), note=form.text("kind") == tickets.NOTE)


async def _send(posted: Posted, ticket_id: str, draft: Draft) -> Made:
    if not draft.body:
        raise BadInput("There is nothing to send yet.", field="body", remedy="Write something first.")
    staff, seen = posted.scope.staff, draft.seen or None

    async def work(session: AsyncSession) -> Made:
        if draft.note:
            note = await tickets.note(
                session, ticket_id=ticket_id, actor=posted.actor, body=draft.body, seen=seen if staff else None
            )
            return Made(id=note.ticket_id)
        ticket = await tickets.reply(
            session,
            ticket_id=ticket_id,
            actor=posted.actor,
            body=draft.body,
            seen=seen,
            fills=draft.fills,
            may_undo=staff,
        )
        return Made(id=ticket.id)

    return await posted.once.write(Made, Made(text=f"{'note: ' if draft.note else ''}{draft.body}"), work)


async def ticket_page(
    desk: Desk, visit: Visit, ticket_id: str, draft: Draft | None, *, status: int = 200
) -> HTMLResponse:
    """The page of a ticket, with a draft that was not sent."""
    page = await present.page(
        visit.session, visit.scope, visit.actor, ticket_id, draft=draft, calendars=desk.deps.calendars
    )
    mine = visit.viewer.is_trader
    above = Crumb("Messages", "/my/messages") if mine else Crumb("Tickets", "/tickets")
    crumbs = [above, Crumb(page.ticket.subject)]
    return await visit.render("ticket.html", crumbs, status, page=page, ticket=page.ticket)


def tab_of(asked: Asked, actor: Actor) -> tuple[Asked, read.AtDesk]:
    """What a tab of the list asks for. A trader has no tab beside the states."""
    tab = asked.filters.get("state", "")
    state = tab if tab in TICKET.states else ""
    wanted = replace(asked, filters={**asked.filters, "state": state})
    if tab == "late":
        wanted = replace(wanted, order=asked.order or "due")
    aside: read.Aside = "only" if tab == "snoozed" else "without" if tab in ("open", "late") else "with"
    return wanted, read.AtDesk(aside, actor.user_id if tab == "mine" else None, has_deadline=tab == "late")
