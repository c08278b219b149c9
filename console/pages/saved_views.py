"""Views of lists that a person keeps under a name: the filters and the order of an address, never what was searched."""

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Posted, redirect
from console.pages.mine import Made
from firm import saved_filters
from front import saved_views
from front.lists import asked_from


class SavedViewPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/views", self.save, methods=["POST"], response_model=None)
        router.add_api_route("/views/delete", self.forget, methods=["POST"], response_model=None)

    async def save(self, request: Request) -> Response:
        posted, page = await self._posted(request)
        name = posted.form.needed("name", longest=60)
        query = self._query(posted, page)

        async def work(session: AsyncSession) -> Made:
            await saved_filters.save(session, posted.actor, page, name, query)
            return Made(text=name)

        await posted.once.write(Made, Made(text=f"{page} {name} {query}"), work)
        return redirect(_address(page, query), "ok", f"The view {name} is saved.")

    async def forget(self, request: Request) -> Response:
        posted, page = await self._posted(request)
        name = posted.form.needed("name", longest=60)

        async def work(session: AsyncSession) -> Made:
            await saved_filters.forget(session, posted.actor, page, name)
            return Made(text=name)

        await posted.once.write(Made, Made(text=f"{page} {name}"), work)
        return redirect(_address(page, posted.form.text("query")), "ok", f"The view {name} is deleted.")

    async def _posted(self, request: Request) -> tuple[Posted, str]:
        """The form, and the list that it is about. Raises NotFound, NotAllowed."""
        posted = await self._desk.posted(request)
        page = posted.form.text("page")
        saved_views.may_keep(posted.actor, page.removeprefix("/"))
        return posted, page

    def _query(self, posted: Posted, page: str) -> str:
        """The query of the address, as the list itself reads it. Raises BadInput."""
        fields, name = dict(parse_qsl(posted.form.text("query"))), page.removeprefix("/")
        if name == saved_views.QUEUE:
            return saved_views.query_of_queue(fields, self._desk.deps.subjects.readable_by(posted.actor))
        return saved_views.query_of(name, asked_from(fields, saved_views.LISTS[name][0]))


def _address(page: str, query: str) -> str:
    return page + (f"?{query}" if query else "")
