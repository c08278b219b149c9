"""One's own notifications and choices, the link that switches mail off, and previews of every kind."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console import templating
from console.desk import Desk, redirect, shell
from console.lists import Table
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.approvals import PEOPLE, STAFF
from domain.errors import BadInput
from domain.notifications.kinds import KINDS, Channel, chosen_by, named
from firm.notifications import choices, preview, reading
from front import permissions, reminding
from store.read import notifications as read
from store.read.pages import Window
from store.scope import FIRM

_HERE = Crumb("Notifications", "/notifications")


class _Sent(BaseModel):
    on: tuple[str, ...]


class NotificationPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for path, answer, method in (
            ("/notifications", self.listed, "GET"),
            ("/notifications/read", self.read_all, "POST"),
            ("/notifications/choices", self.choices, "GET"),
            ("/notifications/choices", self.choose, "POST"),
            ("/notifications/previews", self.previews, "GET"),
            ("/notifications/previews/{kind}", self.preview, "GET"),
            ("/notifications/{id}/open", self.open, "POST"),
            ("/unsubscribe/{token}", self.ask, "GET"),
            ("/unsubscribe/{token}", self.unsubscribe, "POST"),
        ):
            router.add_api_route(path, answer, methods=[method], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        asked, cursor = request.query_params.get("show", ""), request.query_params.get("cursor")
        if asked not in ("", "unread"):
            raise BadInput("There is no such list.", field="show", remedy="Choose one of the tabs.")
        async with self._desk.visit(request, PEOPLE) as visit:
            owner = choices.owner_of(visit.actor)
            found = await read.page(visit.session, owner, Window(cursor=cursor), unread=asked == "unread")
            return await visit.render(
                "notifications.html",
                [Crumb("Notifications")],
                rows=found.items,
                newest=found.items[0].id if found.items else "",
                show=asked,
                may_preview=permissions.may(visit.actor, "notifications.preview"),
                table=Table("/notifications", {"show": asked}, "", cursor, found.next_cursor),
            )

    async def open(self, request: Request) -> Response:
        """Marks one as read and goes to what it is about."""
        posted = await self._desk.posted(request, "notifications.own")
        owner, wanted = choices.owner_of(posted.actor), request.path_params["id"]
        async with self._desk.deps.db.transaction() as session:
            href = await reading.mark_one(session, owner, wanted)
        return redirect(href)

    async def read_all(self, request: Request) -> Response:
        """Marks as read what the page showed; what came since stays unread."""
        posted = await self._desk.posted(request, "notifications.own")
        newest = posted.form.needed("newest", longest=40)
        async with self._desk.deps.db.transaction() as session:
            count = await reading.mark_until(session, choices.owner_of(posted.actor), newest)
        return redirect("/notifications", "ok", f"{count} marked as read." if count else "All of them were read.")

    async def choices(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, PEOPLE) as visit:
            found = await choices.listed(visit.session, choices.owner_of(visit.actor))
            return await visit.render("notification_choices.html", [_HERE, Crumb("Settings")], rows=found)

    async def choose(self, request: Request) -> Response:
        """A checkbox that is not sent is switched off."""
        posted = await self._desk.posted(request, "notifications.own")
        on, actor = set(posted.form.texts("on")), posted.actor
        kinds = [kind for kind in chosen_by(choices.to_of(choices.owner_of(actor))) if not kind.fixed]
        off: dict[str, list[Channel]] = {
            kind.name: [channel for channel in sorted(kind.channels) if f"{kind.name}/{channel}" not in on]
            for kind in kinds
        }

        async def work(session: AsyncSession) -> Made:
            await choices.choose(session, actor=actor, off=off)
            return Made()

        await posted.once.write(Made, _Sent(on=tuple(sorted(on))), work)
        return redirect("/notifications/choices", "ok", "Your choices are saved.")

    async def previews(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, STAFF) as visit:
            permissions.check(visit.actor, "notifications.preview")
            return await visit.render("notification_previews.html", [_HERE, Crumb("Previews")], kinds=KINDS, shown=None)

    async def preview(self, request: Request) -> HTMLResponse:
        kind = named(request.path_params["kind"])
        async with self._desk.visit(request, STAFF) as visit:
            permissions.check(visit.actor, "notifications.preview")
            shown = await preview.preview(
                visit.session,
                kind,
                site=self._desk.deps.public_url,
                works=reminding.works(self._desk.deps.subjects),
                viewer=visit.viewer.name,
            )
            return await visit.render(
                "notification_previews.html",
                [Crumb("Previews", "/notifications/previews"), Crumb(kind.name)],
                kinds=KINDS,
                shown=shown,
                variables=kind.variables,
            )

    async def ask(self, request: Request) -> HTMLResponse:
        """What the link in a mail opens. Opening it changes nothing: scanners of mail open every link."""
        token = request.path_params["token"]
        async with self._desk.deps.db.transaction(FIRM) as session:
            kind, on = await choices.mail_is_on(session, token)
        return _public(request, token, kind.tells, on=on, done=False)

    async def unsubscribe(self, request: Request) -> HTMLResponse:
        """Switches off at once, as a mail program asks for whoever presses its button (RFC 8058), which has no sign-in
        and no form of ours. The link itself says who may."""
        token, form = request.path_params["token"], await request.form()
        on = form.get("switch") == "on"
        async with self._desk.deps.db.transaction(FIRM) as session:
            kind = await choices.switch_mail(session, token, on=on)
        return _public(request, token, kind.tells, on=on, done=True)


def _public(request: Request, token: str, tells: str, *, on: bool, done: bool) -> HTMLResponse:
    values: dict[str, Any] = {**shell(request), "viewer": None, "token": token, "tells": tells, "on": on, "done": done}
    return HTMLResponse(templating.page("unsubscribe.html", values), headers=templating.HEADERS)
