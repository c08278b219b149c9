"""Accounts: the list with live rooms, and the account page."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console import templating
from console.addresses import href
from console.desk import Desk, Visit, redirect
from console.lists import choices_of, table_of
from console.pages import credentials, my_account
from console.pages.orders import CHOICES
from console.present import account as present
from console.present.curve import POINTS, RANGES, Shown, curve
from console.queries import accounts
from console.views.account import AccountPage
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import BadInput
from firm import growth, platform_changes
from front import account_actions
from front.lacks import lacks_of
from front.lists import asked_from
from front.permissions import may
from front.subjects.platform_change import PlatformChanging
from store.read import listing
from store.read.accounts import ACCOUNTS
from store.read.pages import Window
from store.read.timeline import KINDS, Kind

_EVERYBODY = PEOPLE
_PAGE = 50
_NARROWEST = 200  # pixels


class _Change(BaseModel):
    """What was sent, for the idempotency key."""

    to_platform: str
    close_positions: bool
    reason: str


class AccountPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/accounts", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/rows", self.rows, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/{ref}", self.show, methods=["GET"], response_model=None)
        router.add_api_route(
            "/accounts/{ref}/platform-change", self.change_platform, methods=["POST"], response_model=None
        )
        router.add_api_route("/accounts/{ref}/live", self.live, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/{ref}/curve.json", self.curve, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        asked, cursor = asked_from(request.query_params, ACCOUNTS), request.query_params.get("cursor")
        async with self._desk.visit(request) as visit:
            sold = await accounts.shelf(visit.session)
            found = await accounts.page(visit.session, visit.scope, Window(limit=_PAGE, cursor=cursor), asked, sold)
            totals = await listing.totals(visit.session, ACCOUNTS, visit.scope, asked)
            named = ("state", "status", "product", "platform")
            choices = choices_of(ACCOUNTS, asked, *named, product=sold.names, platform=visit.platform_names)
            exports = visit.scope.staff
            return await visit.render(
                "accounts.html",
                [Crumb("Accounts")],
                rows=found.items,
                table=table_of(
                    "/accounts", "accounts", ACCOUNTS, asked, cursor, found, totals, choices, exports=exports
                ),
            )

    async def rows(self, request: Request) -> HTMLResponse:
        numbers = [int(part) for part in request.query_params.get("numbers", "").split(",") if _is_number(part)]
        async with self._desk.visit(request) as visit:
            sold = await accounts.shelf(visit.session)
            rows = await accounts.these(visit.session, visit.scope, numbers[:_PAGE], sold)
            return await visit.fragment("accounts.html", "rows", rows=rows)

    async def show(self, request: Request) -> HTMLResponse:
        name, shown = _range(request), request.query_params.get("show")
        tag: Kind | None = next((kind for kind in KINDS if kind == shown), None)
        older = request.query_params.get("older")
        async with self._desk.visit(request, _EVERYBODY) as visit:
            ref = request.path_params["ref"]
            if visit.viewer.is_trader:
                return await my_account.page(self._desk, visit, ref, request, name, tag)
            page = await present.page(visit.session, visit.scope, visit.actor, ref, tag, older)
            crumbs = [Crumb("Accounts", "/accounts"), Crumb(page.account.number)]
            extra: dict[str, Any] = {}
            checks = page.account.status == "active" and may(visit.actor, "orders.check")
            extra["order_choices"] = tuple(CHOICES) if checks else ()
            extra |= await credentials.of_account(visit, self._desk, page.account)
            extra["targets"] = self._targets(visit, page)
            frozen = page.frozen is not None
            extra["menu"] = account_actions.acts(visit.actor)
            extra["shortcuts"] = account_actions.shortcuts(visit.actor, status=page.account.status, frozen=frozen)
            extra["growth"] = await growth.shown(visit.session, page.account.id, self._desk.deps.calendars)
            return await visit.render(
                "account.html", crumbs, page=page, range=name, ranges=RANGES, tag=tag, older=older, **extra
            )

    def _targets(self, visit: Visit, page: AccountPage) -> list[str]:
        """The platforms that this person may propose for the account."""
        free = page.account.status == "active" and page.change is None
        if not free or not may(visit.actor, "platform_changes.propose"):
            return []
        lacks = lacks_of(self._desk.deps)
        return [name for name, missing in lacks.items() if not missing and name != page.account.platform]

    async def change_platform(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "platform_changes.propose")
        form = posted.form
        sent = _Change(
            to_platform=form.needed("to_platform", longest=40),
            close_positions=form.text("close_positions") == "yes",
            reason=form.needed("reason", shortest=3, longest=1000),
        )

        async def work(session: AsyncSession) -> PlatformChanging:
            account_id = await accounts.id_of(session, posted.scope, request.path_params["ref"])
            row = await platform_changes.propose(
                session,
                account_id=account_id,
                to_platform=sent.to_platform,
                close_positions=sent.close_positions,
                lacks=lacks_of(self._desk.deps),
                actor=posted.actor,
                reason=sent.reason,
            )
            return PlatformChanging(id=row.id, state=row.state)

        made = await posted.once.write(PlatformChanging, sent, work)
        return redirect(href("platform_change", made.id), "ok", "Proposed. A second person must approve it.")

    async def live(self, request: Request) -> HTMLResponse:
        """What of the page follows the market."""
        async with self._desk.visit(request) as visit:
            page = await present.live_parts(visit.session, visit.scope, request.path_params["ref"])
            return await visit.fragment("_account_live.html", "answer", page=page)

    async def curve(self, request: Request) -> JSONResponse:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            data = await curve(visit.session, visit.scope, request.path_params["ref"], _shown(request))
            return JSONResponse(data, headers=templating.HEADERS)


def _is_number(part: str) -> bool:
    return part.isdecimal() and len(part) <= 12


def _shown(request: Request) -> Shown:
    """The range, or the part of it that was zoomed in on (`from` and `to`, in seconds), as wide as the picture;
    `before` which second, where a part of it is there already."""
    asked = request.query_params
    moments = ("from", "to", "before")
    given = {name: asked.get(name, "") for name in (*moments, "width")}
    for name, text in given.items():
        if text and not (text.isdecimal() and len(text) <= 10):
            raise BadInput(f"{name} is no number.", field=name, remedy="Give whole seconds, or whole pixels.")
    since, until, before = (datetime.fromtimestamp(int(given[name]), UTC) if given[name] else None for name in moments)
    width = min(max(int(given["width"] or POINTS), _NARROWEST), POINTS)
    return Shown(_range(request), since, until, before, width)


def _range(request: Request) -> str:
    name = request.query_params.get("range", "phase")
    if name not in dict(RANGES):
        raise BadInput("There is no such range.", field="range", remedy="Use 1d, 1w, phase or all.")
    return name
