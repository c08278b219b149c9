"""Tickets: the list, the conversation, replies, and their end."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, redirect
from console.lists import Table
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import BadInput
from domain.tickets import TICKET
from firm import tickets
from front import permissions
from store.read import tickets as read
from store.read.pages import Window

_EVERYBODY = PEOPLE


class SupportPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/tickets", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/tickets", self.open, methods=["POST"], response_model=None)
        router.add_api_route("/tickets/{id}", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/tickets/{id}/reply", self.reply, methods=["POST"], response_model=None)
        router.add_api_route("/tickets/{id}/solve", self.solve, methods=["POST"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        state, cursor = request.query_params.get("state", ""), request.query_params.get("cursor")
        if state and state not in TICKET.states:
            raise BadInput("There is no such state.", field="state", remedy="Choose one of the tabs.")
        async with self._desk.visit(request, _EVERYBODY) as visit:
            found = await read.page(visit.session, visit.scope, Window(cursor=cursor), state=state or None)
            return await visit.render(
                "tickets.html",
                [Crumb("Tickets")],
                rows=found.items,
                state=state,
                states=("open", "waiting_for_trader", "solved"),
                table=Table("/tickets", {"state": state}, "", cursor, found.next_cursor),
            )

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            ticket = await read.one(visit.session, visit.scope, request.path_params["id"])
            return await visit.render(
                "ticket.html",
                [Crumb("Tickets", "/tickets"), Crumb(ticket.subject)],
                ticket=ticket,
                may_reply=permissions.may(visit.actor, "tickets.write"),
                may_solve=permissions.may(visit.actor, "tickets.solve")
                and TICKET.allows(ticket.state, "ticket_solved"),
            )

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
        posted = await self._desk.posted(request, "tickets.write")
        ticket_id, body = request.path_params["id"], posted.form.needed("body", longest=5000)

        async def work(session: AsyncSession) -> Made:
            await tickets.reply(session, ticket_id=ticket_id, actor=posted.actor, body=body)
            return Made(id=ticket_id)

        await posted.once.write(Made, Made(text=body), work)
        return redirect(href("ticket", ticket_id), "ok", "Reply sent.")

    async def solve(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "tickets.solve")
        ticket_id = request.path_params["id"]

        async def work(session: AsyncSession) -> Made:
            await tickets.solve(session, ticket_id=ticket_id, actor=posted.actor)
            return Made(id=ticket_id)

        await posted.once.write(Made, Made(), work)
        return redirect(href("ticket", ticket_id), "ok", "Marked as solved.")
