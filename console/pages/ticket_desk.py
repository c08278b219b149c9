"""What people of support do on the page of a ticket besides answering; macros; and the form behind a link to rate."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console import templating
from console.addresses import href
from console.desk import Desk, Posted, read_form, redirect, shell
from console.pages.mine import Made
from console.pages.support import draft_of, ticket_page
from console.present.tickets import Draft
from console.views.frame import Crumb
from domain.approvals import PEOPLE, STAFF
from domain.errors import BadInput, Conflict, PropOSError
from domain.service import macros
from firm import ticket_desk, ticket_macros, ticket_merging, ticket_ratings, ticket_steps, tickets
from front import permissions
from store.models import Ticket
from store.read import tickets as read
from store.scope import FIRM

_WORK: Final = "tickets.work"
Work = Callable[[AsyncSession], Awaitable[Ticket]]


class TicketDeskPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for name, way in (
            ("presence", self.presence), ("macro", self.macro), ("claim", self.claim), ("release", self.release),
            ("snooze", self.snooze), ("wake", self.wake), ("merge", self.merge), ("split", self.split),
            ("rating", self.rating),
        ):  # fmt: skip
            router.add_api_route(f"/tickets/{{id}}/{name}", way, methods=["POST"], response_model=None)
        router.add_api_route("/traders/{id}/tickets", self.open_for, methods=["POST"], response_model=None)
        router.add_api_route("/macros", self.macros, methods=["GET"], response_model=None)
        router.add_api_route("/macros", self.save_macro, methods=["POST"], response_model=None)
        router.add_api_route("/rate/{token}", self.rate_form, methods=["GET"], response_model=None)
        router.add_api_route("/rate/{token}", self.rate, methods=["POST"], response_model=None)

    async def presence(self, request: Request) -> HTMLResponse:
        """Notes that this person looks at the ticket, and shows who else does."""
        posted = await self._desk.posted(request, _WORK)
        ticket_id, writing = request.path_params["id"], bool(posted.form.text("body"))
        async with self._desk.visit(request) as visit:
            there = await ticket_desk.look(visit.session, ticket_id=ticket_id, actor=posted.actor, writing=writing)
            newest = await tickets.newest(visit.session, await ticket_steps.root_of(visit.session, ticket_id))
            seen = posted.form.text("seen")
            return await visit.fragment(
                "_presence.html", "presence", ticket_id=ticket_id, looking=there, arrived=bool(seen) and newest != seen
            )

    async def macro(self, request: Request) -> Response:
        """Fills a macro in, for the draft: as JSON for a script that puts it where the cursor is, else as the page."""
        posted = await self._desk.posted(request, _WORK)
        ticket_id, draft = request.path_params["id"], draft_of(posted.form)
        as_json = "application/json" in request.headers.get("accept", "")
        try:
            async with self._desk.deps.db.transaction() as session:
                made = await ticket_macros.fill(
                    session,
                    ticket_id=ticket_id,
                    macro_id=posted.form.needed("macro", longest=32),
                    actor=posted.actor,
                    calendars=self._desk.deps.calendars,
                )
        except PropOSError as problem:
            if as_json:
                return JSONResponse({"problem": f"{problem.message} {problem.remedy or ''}".strip()}, problem.status)
            if not isinstance(problem, BadInput | Conflict):
                raise
            kept = Draft(draft.body, draft.fills, problem.message, problem.remedy or "", draft.seen)
            async with self._desk.visit(request, PEOPLE) as visit:
                return await ticket_page(self._desk, visit, ticket_id, kept, status=problem.status)
        if as_json:
            return JSONResponse({"id": made.id, "text": made.text}, headers={"Cache-Control": "no-store"})
        body = f"{draft.body}\n\n{made.text}".strip()
        async with self._desk.visit(request, PEOPLE) as visit:
            kept = Draft(body, (*draft.fills, made.id), seen=draft.seen)
            return await ticket_page(self._desk, visit, ticket_id, kept)

    async def claim(self, request: Request) -> Response:
        posted, ticket_id = await self._asked(request)
        over = posted.form.text("take_over") == "yes"

        async def work(session: AsyncSession) -> Ticket:
            return await ticket_desk.claim(session, ticket_id=ticket_id, actor=posted.actor, take_over=over)

        return await _done(posted, "over" if over else "claim", work, "The ticket is yours.")

    async def release(self, request: Request) -> Response:
        posted, ticket_id = await self._asked(request)

        async def work(session: AsyncSession) -> Ticket:
            return await ticket_desk.release(session, ticket_id=ticket_id, actor=posted.actor)

        return await _done(posted, "release", work, "The ticket is released.")

    async def snooze(self, request: Request) -> Response:
        posted, ticket_id = await self._asked(request)
        text = posted.form.text("until")

        async def work(session: AsyncSession) -> Ticket:
            until = _moment(text) if text else None
            return await ticket_desk.snooze(session, ticket_id=ticket_id, actor=posted.actor, until=until)

        return await _done(posted, text, work, "Put aside.")

    async def wake(self, request: Request) -> Response:
        posted, ticket_id = await self._asked(request)

        async def work(session: AsyncSession) -> Ticket:
            return await ticket_desk.wake(session, ticket_id=ticket_id, actor=posted.actor)

        return await _done(posted, "wake", work, "The snooze has ended.")

    async def merge(self, request: Request) -> Response:
        posted, ticket_id = await self._asked(request)
        into = posted.form.needed("into", longest=32)

        async def work(session: AsyncSession) -> Ticket:
            return await ticket_merging.merge(session, source_id=ticket_id, target_id=into, actor=posted.actor)

        return await _done(posted, into, work, "Merged. You can undo it here.")

    async def split(self, request: Request) -> Response:
        posted, ticket_id = await self._asked(request)

        async def work(session: AsyncSession) -> Ticket:
            return await ticket_merging.split(session, source_id=ticket_id, actor=posted.actor)

        return await _done(posted, "split", work, "The merge is undone.")

    async def _asked(self, request: Request) -> tuple[Posted, str]:
        return await self._desk.posted(request, _WORK), request.path_params["id"]

    async def rating(self, request: Request) -> Response:
        """A trader rates on the page of the ticket."""
        posted, ticket_id = await self._desk.posted(request, "tickets.rate"), request.path_params["id"]
        score, comment = _score(posted.form.text("score")), posted.form.text("comment")

        async def work(session: AsyncSession) -> Made:
            await ticket_ratings.rate(session, ticket_id=ticket_id, actor=posted.actor, score=score, comment=comment)
            return Made(id=ticket_id)

        await posted.once.write(Made, Made(text=f"{score} {comment}"), work)
        return redirect(href("ticket", ticket_id), "ok", "Thank you.")

    async def open_for(self, request: Request) -> Response:
        """The firm writes to a trader first."""
        posted = await self._desk.posted(request, "tickets.open_for")
        subject = posted.form.needed("subject", longest=tickets.MAX_SUBJECT)
        body = posted.form.needed("body", longest=4000)

        async def work(session: AsyncSession) -> Made:
            row = await tickets.open_for(
                session, actor=posted.actor, trader_id=request.path_params["id"], subject=subject, body=body
            )
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=f"{subject}\n{body}"), work)
        return redirect(href("ticket", made.id), "ok", "Sent. The ticket waits for the trader.")

    async def macros(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, STAFF) as visit:
            return await visit.render(
                "macros.html",
                [Crumb("Tickets", "/tickets"), Crumb("Macros")],
                macros=await ticket_macros.in_use(visit.session),
                facts=macros.FACTS,
                may_change=permissions.may(visit.actor, "macros.change"),
                ratings=await read.ratings(visit.session),
                scores=ticket_ratings.SCORES,
            )

    async def save_macro(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "macros.change")
        form, macro_id = posted.form, posted.form.text("macro") or None
        retired = form.text("retire") == "yes"

        async def work(session: AsyncSession) -> Made:
            if retired and macro_id:
                row = await ticket_macros.retire(session, actor=posted.actor, macro_id=macro_id)
            else:
                row = await ticket_macros.save(
                    session, actor=posted.actor, name=form.text("name"), body=form.text("body"), macro_id=macro_id
                )
            return Made(id=row.id)

        sent = Made(text=f"{macro_id} {retired} {form.text('name')}\n{form.text('body')}")
        await posted.once.write(Made, sent, work)
        return redirect("/macros", "ok", "The macro is retired." if retired else "The macro is saved.")

    async def rate_form(self, request: Request) -> HTMLResponse:
        """What a mailed link opens. Opening it changes nothing."""
        token = request.path_params["token"]
        async with self._desk.deps.db.transaction(FIRM) as session:
            await ticket_ratings.by_token(session, token)
        return _public(request, token, done=False)

    async def rate(self, request: Request) -> HTMLResponse:
        """Whoever has the link may rate: it is a secret of its own, and rates one solution of one ticket."""
        token, form = request.path_params["token"], await read_form(request)
        async with self._desk.deps.db.transaction(FIRM) as session:
            score = _score(form.text("score"))
            await ticket_ratings.rate_by_link(session, token, score=score, comment=form.text("comment"))
        return _public(request, token, done=True)


def _public(request: Request, token: str, *, done: bool) -> HTMLResponse:
    values = {**shell(request), "viewer": None, "token": token, "done": done, "scores": ticket_ratings.SCORES}
    return HTMLResponse(templating.page("rate.html", values), headers=templating.HEADERS)


async def _done(posted: Posted, text: str, work: Work, told: str) -> Response:
    async def made(session: AsyncSession) -> Made:
        return Made(id=(await work(session)).id)

    found = await posted.once.write(Made, Made(text=text), made)
    return redirect(href("ticket", found.id), "ok", told)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
    except ValueError:
        raise BadInput("This is not a valid time.", field="until", remedy="Choose one of the list.") from None
    return found


def _score(text: str) -> int:
    if text not in {str(score) for score in ticket_ratings.SCORES}:
        raise BadInput("A rating is a number from 1 to 5.", field="score", remedy="Choose one of the five.")
    return int(text)
