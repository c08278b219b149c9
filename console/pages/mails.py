"""The firm's mail: what leaves, what is held, and addresses that cannot be reached."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, redirect
from console.lists import Table
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.approvals import STAFF
from domain.errors import BadInput
from firm import inbound, mails
from front import permissions
from store.read import mails as read
from store.read import mails_in
from store.read.pages import Window


class MailPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/mails", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/mails/{id}/release", self.release, methods=["POST"], response_model=None)
        router.add_api_route("/mails/clear", self.clear, methods=["POST"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        state, cursor = request.query_params.get("state", ""), request.query_params.get("cursor")
        if state and state not in read.STATES:
            raise BadInput("There is no such state.", field="state", remedy="Choose one of the tabs.")
        async with self._desk.visit(request, STAFF) as visit:
            permissions.check(visit.actor, "mails.read")
            found = await read.page(visit.session, Window(cursor=cursor), state=state or None)
            held = await mails_in.page(visit.session, Window(limit=100), state="held")
            return await visit.render(
                "mails.html",
                [Crumb("Tickets", "/tickets"), Crumb("Mail")],
                rows=found.items,
                held=held.items,
                unreachable=await read.unreachable(visit.session),
                state=state,
                states=read.STATES,
                may_release=permissions.may(visit.actor, "mails.release"),
                table=Table("/mails", {"state": state}, "", cursor, found.next_cursor),
            )

    async def release(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "mails.release")
        mail_id = request.path_params["id"]

        async def work(session: AsyncSession) -> Made:
            received = await inbound.release(session, mail_id=mail_id, actor=posted.actor)
            return Made(id=str(received.ticket_id))

        made = await posted.once.write(Made, Made(id=mail_id), work)
        return redirect(href("ticket", made.id), "ok", "The mail was accepted.")

    async def clear(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "mails.release")
        address = posted.form.needed("address", longest=254)

        async def work(session: AsyncSession) -> Made:
            await mails.clear_address(session, address=address, actor=posted.actor.user_id, role=posted.actor.role)
            return Made(text=address)

        await posted.once.write(Made, Made(text=address), work)
        return redirect("/mails", "ok", "Mail is sent to this address again.")
