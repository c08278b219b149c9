"""Messages that the program has given up: tried again, or given up for good."""

from typing import get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, redirect
from console.lists import Table
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.errors import BadInput, NotFound
from firm import parked
from front import giving_up, permissions
from store.read import parked as read
from store.read.pages import Window


class ParkedPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/messages", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/messages/{box}/{number}/retry", self.retry, methods=["POST"], response_model=None)
        router.add_api_route("/messages/{box}/{number}/drop", self.drop, methods=["POST"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        cursor, box = request.query_params.get("cursor"), _box(request.query_params.get("box", ""))
        async with self._desk.visit(request) as visit:
            found = await read.page(visit.session, Window(cursor=cursor), box=box)
            return await visit.render(
                "parked.html",
                [Crumb("Risk", "/risk"), Crumb("Messages")],
                rows=found.items,
                may_retry=permissions.may(visit.actor, "messages.retry"),
                may_drop=permissions.may(visit.actor, "messages.drop"),
                table=Table("/messages", {"box": box or ""}, cursor=cursor, next_cursor=found.next_cursor),
            )

    async def retry(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "messages.retry")
        box, number = _named(request)

        async def work(session: AsyncSession) -> Made:
            await parked.retry(session, box, number, actor=posted.actor.user_id, role=posted.actor.role)
            return Made(id=str(number))

        await posted.once.write(Made, Made(id=str(number)), work)
        return redirect("/messages", "ok", "The message is tried again. If it fails, it comes back here.")

    async def drop(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "messages.drop")
        box, number = _named(request)
        reason = posted.form.needed("reason", shortest=3, longest=1000)

        async def work(session: AsyncSession) -> Made:
            await giving_up.give_up(session, posted.once, box, number, reason=reason)
            return Made(id=str(number))

        await posted.once.write(Made, Made(id=str(number), text=reason), work)
        return redirect("/messages", "ok", "The message is given up.")


def _box(text: str) -> read.Box | None:
    """Raises BadInput."""
    for known in get_args(read.Box):
        if text == known:
            box: read.Box = known
            return box
    if text:
        raise BadInput("There is no such box.", field="box", remedy="Use inbox or outbox.")
    return None


def _named(request: Request) -> tuple[parked.Box, int]:
    """Raises NotFound."""
    box, number = request.path_params["box"], request.path_params["number"]
    if box not in get_args(parked.Box) or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise NotFound
    return box, int(number)
