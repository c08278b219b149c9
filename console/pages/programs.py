"""Programs of others: one's own API keys, and the endpoints of webhooks with what was sent to them."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Posted, Visit, redirect
from console.lists import Table
from console.views.frame import Crumb
from domain.business_events import ALL, KINDS
from domain.errors import BadInput
from domain.webhooks import LONGEST_URL
from firm import api_keys, webhooks
from front import permissions, programs
from store.read import programs as read
from store.read.pages import Window


class Sent(BaseModel):
    """The form, for the idempotency key; the answer of a form that has no other."""

    text: str = ""


class ProgramPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for method, path, page in (
            ("GET", "/api-keys", self.keys),
            ("POST", "/api-keys", self.make_key),
            ("POST", "/api-keys/{id}/rotate", self.rotate_key),
            ("POST", "/api-keys/{id}/revoke", self.revoke_key),
            ("GET", "/webhook-endpoints", self.endpoints),
            ("POST", "/webhook-endpoints", self.add_endpoint),
            ("GET", "/webhook-endpoints/{id}", self.endpoint),
            ("POST", "/webhook-endpoints/{id}/rotate", self.rotate_secret),
            ("POST", "/webhook-endpoints/{id}/switch", self.switch),
            ("POST", "/webhook-endpoints/{id}/test", self.test),
            ("POST", "/webhook-endpoints/{id}/replay", self.replay),
        ):
            router.add_api_route(path, page, methods=[method], response_model=None)

    async def keys(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN["keys.manage"]) as visit:
            return await _keys_page(visit, read_only="read" in request.query_params)

    async def make_key(self, request: Request) -> HTMLResponse:
        """The one page that shows the token. A form that is sent again shows none. Raises BadInput."""
        posted = await self._desk.posted(request, "keys.manage")
        scopes = posted.form.texts("scope")
        name, days = posted.form.needed("name", longest=200), _number(posted, "days")
        body = Sent(text=f"{name}\n{days}\n{sorted(scopes)}")
        made = await programs.make_key(posted.once, name=name, scopes=scopes, days=days, body=body)
        return await self._shown(request, made)

    async def rotate_key(self, request: Request) -> HTMLResponse:
        posted = await self._desk.posted(request, "keys.manage")
        hours = _number(posted, "overlap_hours")
        made = await programs.rotate_key(
            posted.once,
            request.path_params["id"],
            overlap_hours=hours,
            days=programs.DAYS,
            body=Sent(text=str(hours)),
        )
        return await self._shown(request, made)

    async def _shown(self, request: Request, made: programs.KeyMade) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN["keys.manage"]) as visit:
            return await _keys_page(visit, made=made)

    async def revoke_key(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "keys.manage")

        async def work(session: AsyncSession) -> Sent:
            await api_keys.revoke(session, request.path_params["id"], actor=posted.actor)
            return Sent()

        await posted.once.write(Sent, None, work)
        return redirect("/api-keys", "ok", "The key is revoked.")

    async def endpoints(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN["webhooks.read"]) as visit:
            return await visit.render(
                "webhook_endpoints.html",
                [Crumb("Firm", "/"), Crumb("Webhooks")],
                rows=await read.endpoints(visit.session),
                kinds=KINDS,
                may_manage=permissions.may(visit.actor, "webhooks.manage"),
            )

    async def add_endpoint(self, request: Request) -> HTMLResponse:
        """The one page that shows the secret. Raises BadInput."""
        posted = await self._desk.posted(request, "webhooks.manage")
        kinds = posted.form.texts("kind") or [ALL]
        url = posted.form.needed("url", shortest=8, longest=LONGEST_URL)
        note = posted.form.text("note") or "-"
        body = Sent(text=f"{url}\n{note}\n{sorted(kinds)}")
        made = await programs.add_endpoint(posted.once, url=url, kinds=kinds, note=note[:200], body=body)
        return await self._endpoint_page(request, made.id, secret=made.secret)

    async def endpoint(self, request: Request) -> HTMLResponse:
        return await self._endpoint_page(request, request.path_params["id"])

    async def rotate_secret(self, request: Request) -> HTMLResponse:
        posted = await self._desk.posted(request, "webhooks.manage")
        hours = _number(posted, "overlap_hours")
        made = await programs.rotate_secret(
            posted.once, request.path_params["id"], overlap_hours=hours, body=Sent(text=str(hours))
        )
        return await self._endpoint_page(request, made.id, secret=made.secret)

    async def _endpoint_page(self, request: Request, endpoint_id: str, secret: str | None = None) -> HTMLResponse:
        """Raises NotFound."""
        cursor = request.query_params.get("cursor") if request.method == "GET" else None
        async with self._desk.visit(request, permissions.CAN["webhooks.read"]) as visit:
            found = await read.endpoint(visit.session, endpoint_id)
            sent = await read.deliveries(visit.session, endpoint_id, Window(cursor=cursor))
            return await visit.render(
                "webhook_endpoint.html",
                [Crumb("Firm", "/"), Crumb("Webhooks", "/webhook-endpoints"), Crumb(found.id)],
                endpoint=found,
                sent=sent.items,
                table=Table(f"/webhook-endpoints/{found.id}", cursor=cursor, next_cursor=sent.next_cursor),
                secret=secret,
                overlap=programs.OVERLAP_HOURS,
                may_manage=permissions.may(visit.actor, "webhooks.manage"),
            )

    async def switch(self, request: Request) -> Response:
        posted, on = await self._desk.posted(request, "webhooks.manage"), request.query_params.get("to") == "enabled"

        async def work(session: AsyncSession) -> Sent:
            await webhooks.switch(session, request.path_params["id"], actor=posted.actor, on=on)
            return Sent()

        await posted.once.write(Sent, Sent(text=str(on)), work)
        return _back(request, "The endpoint is enabled." if on else "The endpoint is disabled.")

    async def test(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "webhooks.manage")

        async def work(session: AsyncSession) -> Sent:
            return Sent(text=await webhooks.test(session, request.path_params["id"]))

        await posted.once.write(Sent, None, work)
        return _back(request, "A test event is on its way.")

    async def replay(self, request: Request) -> Response:
        """Raises BadInput, Conflict."""
        posted = await self._desk.posted(request, "webhooks.manage")
        event, since, until = (posted.form.text(name) for name in ("event_id", "since", "until"))
        span = (_time("since", since), _time("until", until)) if since or until else None

        async def work(session: AsyncSession) -> Sent:
            count = await webhooks.replay(
                session, request.path_params["id"], actor=posted.actor, event_id=event or None, span=span
            )
            return Sent(text=str(count))

        sent = await posted.once.write(Sent, Sent(text=f"{event}\n{since}\n{until}"), work)
        return _back(request, f"{sent.text} events are sent again.")


async def _keys_page(visit: Visit, made: programs.KeyMade | None = None, *, read_only: bool = False) -> HTMLResponse:
    """`read_only`: the form offers a key that only reads."""
    everybody = visit.actor.role == "admin"
    offered = sorted(permissions.scopes_of(visit.actor.role))
    values: dict[str, Any] = {
        "rows": await programs.keys(visit.session, None if everybody else visit.actor.user_id),
        "offered": offered,
        "chosen": [scope for scope in offered if scope.endswith(".read")] if read_only else [],
        "made": made,
        "days": programs.DAYS,
        "overlap": programs.OVERLAP_HOURS,
    }
    return await visit.render("api_keys.html", [Crumb("Overview", "/"), Crumb("API keys")], **values)


def _number(posted: Posted, name: str) -> int:
    text = posted.form.needed(name, longest=4)
    if not text.isdecimal():
        raise BadInput(f"{name.replace('_', ' ').capitalize()} is a number.", field=name, remedy="Go back, correct it.")
    return int(text)


def _time(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise BadInput(
            f"{name.capitalize()} is no time.", field=name, remedy="Write it like 2026-03-01T08:00, in UTC."
        ) from None


def _back(request: Request, words: str) -> Response:
    return redirect(f"/webhook-endpoints/{request.path_params['id']}", "ok", words)
