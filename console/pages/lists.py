"""The lists of challenges, traders, deals, ledger entries and cases; and the files of every list."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console import templating
from console.addresses import page_of_id
from console.desk import Desk, Visit
from console.lists import choices_of, table_of
from console.pages.support import tab_of
from console.views.frame import Crumb
from domain.approvals import Actor
from domain.errors import BadInput, NotAllowed
from front import permissions
from front.exports import Format, export
from front.lists import asked_from
from front.saved_views import LISTS as STAFF_LISTS
from store.read import (
    accounts,
    breaches,
    cases,
    challenges,
    deals,
    decided,
    entries,
    listing,
    named,
    passes,
    payouts,
    people,
    tickets,
)
from store.read.listing import Asked, Listing
from store.read.pages import Page, Window
from store.scope import scope_of

Read = Callable[[AsyncSession, Actor, Window, Asked], Awaitable[Page[Any]]]


@dataclass(frozen=True)
class Shown:
    """A list of STAFF_LISTS as a page. `choices`: the filters with values to choose from."""

    name: str
    noun: str
    read: Read
    above: tuple[Crumb, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"/{self.name}"

    @property
    def listing(self) -> Listing:
        return STAFF_LISTS[self.name][0]

    @property
    def right(self) -> str:
        """To open it."""
        return STAFF_LISTS[self.name][1]

    @property
    def template(self) -> str:
        return f"{self.listing.name}.html"


async def _challenges(session: AsyncSession, actor: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await challenges.page(session, scope_of(actor), window, asked)


async def _traders(session: AsyncSession, actor: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await people.page(session, scope_of(actor), window, asked)


async def _breaches(session: AsyncSession, actor: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await breaches.page(session, scope_of(actor), window, asked)


async def _passes(session: AsyncSession, _: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await passes.page(session, window, asked)


async def _accounts(session: AsyncSession, actor: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await accounts.page(session, scope_of(actor), window, asked)


async def _payouts(session: AsyncSession, actor: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await payouts.page(session, scope_of(actor), window, asked)


async def _tickets(session: AsyncSession, actor: Actor, window: Window, asked: Asked) -> Page[Any]:
    asked, desk = tab_of(asked, actor)
    return await tickets.page(session, scope_of(actor), window, asked, desk=desk)


async def _deals(session: AsyncSession, _: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await deals.page(session, window, asked)


async def _entries(session: AsyncSession, _: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await entries.page(session, window, asked)


async def _decisions(session: AsyncSession, _: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await decided.page(session, window, asked)


async def _cases(session: AsyncSession, _: Actor, window: Window, asked: Asked) -> Page[Any]:
    return await cases.page(session, window, asked)


_ACCOUNTS: Final = Crumb("Accounts", "/accounts")
LISTS: Final = (
    Shown("challenges", "challenges", _challenges, (_ACCOUNTS,), ("state",)),
    Shown("breaches", "breaches", _breaches, (_ACCOUNTS,)),
    Shown("passes", "passes", _passes, (_ACCOUNTS,)),
    Shown("traders", "traders", _traders, (), ("identity",)),
    Shown("deals", "deals", _deals, (_ACCOUNTS,), ("side", "entry")),
    Shown("ledger", "ledger entries", _entries, (Crumb("Payouts", "/payouts"),), ("layer",)),
    Shown(
        "decisions",
        "decisions",
        _decisions,
        (Crumb("Reports", "/reports"), Crumb("Decisions", "/reports/decision-times")),
        ("kind", "outcome"),
    ),
    Shown("cases", "cases", _cases, (Crumb("Risk", "/risk"),), ("state",)),
)
_OF_OTHER_PAGES: Final[dict[str, Read]] = {"accounts": _accounts, "payouts": _payouts, "tickets": _tickets}
FILES: Final[dict[str, tuple[Listing, str, Read]]] = {
    **{each.path: (each.listing, each.right, each.read) for each in LISTS},
    **{f"/{name}": (*STAFF_LISTS[name], read) for name, read in _OF_OTHER_PAGES.items()},
}
_ABOUT: Final = {entries.ENTRIES.name: "reference", decided.DECISIONS.name: "subject_id"}  # leads to another page
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class ListPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for shown in LISTS:
            router.add_api_route(shown.path, self._page(shown), methods=["GET"], response_model=None)
        for path in FILES:
            router.add_api_route(f"{path}/export", self._file(path), methods=["POST"], response_model=None)

    def _page(self, shown: Shown) -> Callable[[Request], Awaitable[Response]]:
        async def listed(request: Request) -> Response:
            asked, cursor = asked_from(request.query_params, shown.listing), request.query_params.get("cursor")
            async with self._desk.visit(request) as visit:
                permissions.check(visit.actor, shown.right)
                if any(not asked.filters.get(name) for name in shown.listing.needs):
                    return RedirectResponse(shown.above[-1].href or "/", status_code=303)  # which leads to its parts
                return await _rendered(visit, shown, asked, cursor)

        return listed

    def _file(self, path: str) -> Callable[[Request], Awaitable[Response]]:
        listing, right, read = FILES[path]

        async def download(request: Request) -> Response:
            posted = await self._desk.posted(request, right)
            if not posted.scope.staff:
                raise NotAllowed("Only staff can export lists.")
            fields = {name: posted.form.text(name) for name in (*listing.filters, "q", "sort")}
            form, asked = _format(posted.form.text("format")), asked_from(fields, listing)
            async with self._desk.deps.db.transaction() as session:
                rows = partial(_with, read, posted.actor, asked)
                data = await export(session, posted.once, listing, asked, form, rows)
            headers = {
                "Content-Disposition": f'attachment; filename="{listing.name}.{form}"',
                **templating.HEADERS,
            }
            return Response(data, media_type=_TYPES[form], headers=headers)

        return download


async def _with(read: Read, actor: Actor, asked: Asked, session: AsyncSession, window: Window) -> Page[Any]:
    return await read(session, actor, window, asked)


async def _rendered(visit: Visit, shown: Shown, asked: Asked, cursor: str | None) -> HTMLResponse:
    page = await shown.read(visit.session, visit.actor, Window(cursor=cursor), asked)
    totals = await listing.totals(visit.session, shown.listing, visit.scope, asked)
    exports = visit.scope.staff
    choices = choices_of(shown.listing, asked, *shown.choices)
    table = table_of(shown.path, shown.noun, shown.listing, asked, cursor, page, totals, choices, exports=exports)
    about = _ABOUT.get(shown.listing.name)
    pages = {getattr(row, about): page_of_id(getattr(row, about)) for row in page.items} if about else {}
    told = [row.sentence for row in page.items] if shown.listing is cases.CASES else []
    names = await named.in_texts(visit.session, told)
    crumbs = [*shown.above, Crumb(shown.noun.capitalize())]
    return await visit.render(
        shown.template, crumbs, rows=page.items, table=table, pages=pages, named=partial(named.written, names=names)
    )


def _format(text: str) -> Format:
    """Raises BadInput."""
    for known in get_args(Format):
        if text == known:
            form: Format = known
            return form
    raise BadInput("There is no such format.", field="format", remedy="Use csv or json.")
