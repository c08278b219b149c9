"""Views of lists that a person keeps under a name: the filters and the order of an address, never what was searched."""

from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Posted, redirect
from console.pages.lists import FILES
from console.pages.mine import Made
from console.queries.work import read_filter
from domain.errors import BadInput, NotFound
from firm import saved_filters
from front import permissions
from front.lists import asked_from

_QUEUE = "/queue"


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
        if page != _QUEUE and page not in FILES:
            raise NotFound
        permissions.check(posted.actor, "queue.read" if page == _QUEUE else FILES[page][1])
        permissions.check(posted.actor, "queue.work")
        return posted, page

    def _query(self, posted: Posted, page: str) -> str:
        """The query of the address, as the list itself reads it. Raises BadInput, also for a search: a name is kept
        nowhere in the clear."""
        fields = dict(parse_qsl(posted.form.text("query")))
        if page == _QUEUE:
            return read_filter(fields, self._desk.deps.subjects.readable_by(posted.actor)).query
        listing = FILES[page][0]
        asked = asked_from(fields, listing)
        private = [name for name, value in asked.filters.items() if value and listing.filters[name].private]
        if asked.search or private:
            raise BadInput(
                "A saved view cannot contain a search, because a search may be a name.",
                field=private[0] if private else "q",
                remedy="Clear the search, then save the filters.",
            )
        given = {**asked.filters, "sort": asked.order}
        query = urlencode({name: value for name, value in given.items() if value})
        if len(query) > saved_filters.LONGEST:
            raise BadInput("This view is too long to be saved.", field="query", remedy="Use fewer filters.")
        return query


def _address(page: str, query: str) -> str:
    return page + (f"?{query}" if query else "")
