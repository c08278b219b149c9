"""What every page needs: the person and what they may see, the frame around the page, forms of this session only."""

import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from console import templating
from console.addresses import queue_href
from console.formats import MOST_COUNTED
from console.lists import Table
from console.proofs import prove_first
from console.queries import frame
from console.views.frame import Count, Crumb, Flash, RailItem, Viewer
from domain.approvals import STAFF, Actor
from domain.errors import BadInput, NotAllowed, NotSignedIn
from firm import saved_filters
from firm.notifications.choices import owner_of
from front import permissions, reports
from front.auth import COOKIE, recognise
from front.deps import ApiDeps
from front.once import Once
from front.subjects.subject import Subjects
from ports.capabilities import PlatformFeatures
from store.clock import market_now
from store.identity import CurrentSession, token_digest
from store.read import notifications
from store.reading import only_reads
from store.scope import FIRM, Scope, scope_of

THEME: Final = "propos_theme"
FLASH: Final = "propos_flash"
THEMES: Final = ("light", "dark", "auto")


@dataclass(frozen=True)
class Visit:
    """One request of a signed-in person: their scope and one transaction. `subjects`: what they may open."""

    request: Request
    session: AsyncSession
    viewer: Viewer
    actor: Actor
    subjects: Subjects
    platforms: tuple[PlatformFeatures, ...]
    sign_in_id: str

    @property
    def scope(self) -> Scope:
        return scope_of(self.actor)

    @property
    def platform_names(self) -> tuple[str, ...]:
        """The platforms, when there are several: pages then say which one an account is on."""
        return tuple(each.name for each in self.platforms) if len(self.platforms) > 1 else ()

    def platform_of(self, product: str) -> str:
        """The platform on which new accounts of a product on sale are opened."""
        own = (each.name for each in self.platforms if product in each.products)
        return next(own, next((each.name for each in self.platforms if each.default), ""))

    async def now(self) -> datetime:
        """Market time."""
        return await market_now(self.session)

    async def render(
        self, template: str, crumbs: Sequence[Crumb], status: int = 200, /, **context: Any
    ) -> HTMLResponse:
        """The whole page in its frame."""
        live = await frame.live(self.session)
        waiting: list[Count] = context.get("waiting", [])  # of a page that has read it itself
        if "waiting" not in context and not self.viewer.is_trader:
            waiting = await frame.waiting(self.session, self.subjects, at_most=MOST_COUNTED)
        here = self.request.url.path
        flash = read_flash(self.request)
        values = {
            "viewer": self.viewer,
            "platform_names": self.platform_names,
            "platform_of": self.platform_of,
            "live": live,
            "rail": rail(self.viewer, here, waiting, self.subjects),
            "waits_here": [count for count in waiting if count.value and count.place == here != "/queue"],
            "crumbs": crumbs,
            "flash": flash,
            "unread": await notifications.unread(self.session, owner_of(self.actor), at_most=MOST_COUNTED),
            **shell(self.request),
            **context,
        }
        table = context.get("table")
        if isinstance(table, Table) and table.noun and not self.viewer.is_trader:
            values["saved"] = await saved_filters.of(self.session, self.actor, table.path)
        response = HTMLResponse(templating.page(template, values), status, headers=templating.HEADERS)
        if flash is not None:
            response.delete_cookie(FLASH)
        return response

    async def fragment(self, template: str, block: str, **context: Any) -> HTMLResponse:
        """One block, for a part of a page that reloads by itself."""
        shown = {"viewer": self.viewer, "platform_names": self.platform_names}
        values = {**shown, "live": await frame.live(self.session), **context}
        return HTMLResponse(templating.fragment(template, block, values), headers=templating.HEADERS)


def shell(request: Request) -> dict[str, Any]:
    """What the frame shows on every page, error pages included."""
    theme = request.cookies.get(THEME, "auto")
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    searched = request.query_params.get("q") if request.url.path == "/search" else None
    return {"theme": theme if theme in THEMES else "auto", "path": back, "query": searched}


def came_from(request: Request, header: str = "referer") -> str:
    """The page of ours that a request was sent from; the start page when the browser does not tell."""
    told = request.headers.get(header, "")
    here = f"{request.url.scheme}://{request.url.netloc}"
    return told.removeprefix(here) if told.startswith(here + "/") else "/"


class Desk:
    """The console's dependencies, and the check of who may open a page or send a form."""

    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    @asynccontextmanager
    async def visit(self, request: Request, roles: frozenset[str] = STAFF) -> AsyncIterator[Visit]:
        """Raises NotSignedIn, or NotAllowed for a role that this page is not for."""
        async with self.deps.db.transaction(FIRM) as session:
            only_reads(session)
            current = await self._current(session, request)
            actor = current.actor
            if actor.role not in roles:
                raise NotAllowed("This page is not for your role.", remedy="Ask a colleague who has the role.")
            viewer = Viewer(actor.user_id, current.name, actor.role, actor.trader_id, current.csrf)
            subjects = self.deps.subjects.readable_by(actor)
            yield Visit(request, session, viewer, actor, subjects, self.deps.platforms, current.id)

    async def _current(self, session: AsyncSession, request: Request) -> CurrentSession:
        token = request.cookies.get(COOKIE)
        current = await recognise(request, self.deps, session, token) if token else None
        if current is None:
            raise NotSignedIn
        return current

    async def posted(self, request: Request, permission: str | None = None) -> "Posted":
        """The form and the person who sends it. Raises NotSignedIn, NotAllowed (role, or a form that is not ours)."""
        form = await read_form(request)
        async with self.deps.db.transaction(FIRM) as session:
            current = await self._current(session, request)
        actor = current.actor
        if not secrets.compare_digest(form.text("csrf").encode(), current.csrf.encode()):
            raise NotAllowed(
                "This form does not belong to your session.", remedy="Go back, reload the page, send it again."
            )
        if permission is not None:
            permissions.check(actor, permission)
        token = request.cookies[COOKIE]
        await prove_first(self.deps, actor, token_digest(token), form)
        once = Once(self.deps, actor, f"{request.method} {request.url.path}", form.key, token)
        return Posted(actor, form, once, current.id)


async def read_form(request: Request) -> "Form":
    """A form of our own pages; raises NotAllowed for one that another site sends."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise NotAllowed("This form comes from another site.", remedy="Open the page here and send it again.")
    data = await request.form()
    request.state.form = data  # a page that asks for a proof carries the fields on
    return Form(data)


class Form:
    """A posted form: text fields only, checked as they are read."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str, default: str = "") -> str:
        value = self._data.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def texts(self, name: str) -> list[str]:
        """All values of a field that can be there several times, such as checkboxes."""
        return [value.strip() for value in self._data.getlist(name) if isinstance(value, str)]

    def needed(self, name: str, *, longest: int, shortest: int = 1) -> str:
        """A field that must be there; raises BadInput."""
        value = self.text(name)
        if not shortest <= len(value) <= longest:
            raise BadInput(
                f"{name.capitalize()} needs {shortest} to {longest} characters.",
                field=name,
                remedy="Go back and complete the form.",
            )
        return value

    def secret(self, name: str) -> str:
        """A password, exactly as it was typed; raises BadInput."""
        value = self._data.get(name, "")
        if not isinstance(value, str) or not 1 <= len(value) <= 200:
            raise BadInput(f"{name.capitalize()} needs 1 to 200 characters.", field=name, remedy="Type it again.")
        return value

    @property
    def key(self) -> str:
        """The idempotency key that was made when the form was shown."""
        return self.needed("key", shortest=16, longest=80)


@dataclass(frozen=True)
class Posted:
    """A form that was checked; with `once`, sending it twice is the same as once."""

    actor: Actor
    form: Form
    once: Once
    sign_in_id: str

    @property
    def scope(self) -> Scope:
        return scope_of(self.actor)


def redirect(
    to: str, tone: str = "", text: str = "", *, href: str = "", label: str = "", undo: str = "", seconds: int = 0
) -> RedirectResponse:
    """See other (303), the answer to every form, so that reloading sends nothing twice. `text` is shown once, with a
    link to what it is about and a button that takes it back."""
    target = to if to.startswith("/") and not to.startswith("//") and "\\" not in to else "/"
    response = RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})
    if text:
        ends = int(datetime.now(UTC).timestamp()) + seconds if seconds else 0
        notice = quote(json.dumps([tone, text[:300], href, label[:120], undo, str(ends)]))
        response.set_cookie(FLASH, notice, max_age=60, httponly=True, samesite="lax")
    return response


def read_flash(request: Request) -> Flash | None:
    raw = request.cookies.get(FLASH)
    if raw is None:
        return None
    try:
        tone, text, href, label, undo, ends = (str(each) for each in json.loads(unquote(raw)))
        seconds = int(ends) - int(datetime.now(UTC).timestamp()) if int(ends) else 0
    except (ValueError, TypeError):
        return None
    here = href.startswith("/") and not href.startswith("//")
    undoes = undo if undo.startswith("/queue/") and seconds >= 0 else ""
    return Flash(tone if tone in ("ok", "warn", "bad") else "", text, href if here else "", label, undoes, seconds)


STAFF_RAIL: Final = (
    ("/", "Firm"),
    ("/queue", "Queue"),
    ("/accounts", "Accounts"),
    ("/traders", "Traders"),
    ("/payouts", "Payouts"),
    ("/risk", "Risk"),
    ("/tickets", "Tickets"),
    ("/products", "Products"),
    ("/reports", "Reports"),
    ("/audit", "Audit"),
)
_TRADER_RAIL: Final = (
    ("/", "Overview"),
    ("/buy", "Buy"),
    ("/payouts", "Payouts"),
    ("/my/messages", "Messages"),
    ("/my/details", "Identity and bank"),
    ("/certificates", "Certificates"),
    ("/receipts", "Receipts"),
)
_NEEDS: Final = {"/reports": reports.RIGHT}  # pages of the rail that not everybody of the firm may open
_UNDER: Final = {
    "/proofs": "/accounts",
    "/challenges": "/accounts",
    "/breaches": "/accounts",
    "/passes": "/accounts",
    "/deals": "/accounts",
    "/ledger": "/payouts",
    "/decisions": "/reports",
    "/cases": "/risk",
    "/checkout": "/buy",
    "/compare": "/buy",
    "/reconciliation": "/payouts",
    "/platforms": "/",
    "/api-keys": "/",
    "/webhook-endpoints": "/",
    "/exposure": "/risk",
    "/macros": "/tickets",
    "/staff": "/",
    "/notifications": "/",
    "/permissions": "/",
    "/workflows": "/audit",
    "/product-drafts": "/products",
}

_UNDER_TRADER: Final = {"/accounts": "/", "/proofs": "/", "/tickets": "/my/messages", "/disputes": "/my/messages"}


def rail(viewer: Viewer, path: str, waiting: Sequence[Count], subjects: Subjects) -> list[RailItem]:
    """The left rail. The queue counts everything that waits; every other page counts what belongs to it."""
    under = _UNDER | {subject.page: subject.under for subject in subjects if subject.page}
    first = path if path.startswith("/my/") else "/" + path.split("/")[1]
    if viewer.is_trader:
        under |= _UNDER_TRADER
    here = under.get(first, first)

    def item(href: str, label: str) -> RailItem:
        own = [count for count in waiting if href == "/queue" or count.place == href]
        several = queue_href("" if href == "/queue" else ",".join(count.kind for count in own)) if own else ""
        return RailItem(
            label,
            href,
            sum(count.value for count in own),
            href == here,
            own[0].href if len(own) == 1 else several,
        )

    if viewer.is_trader:
        return [item(href, label) for href, label in _TRADER_RAIL]
    closed = {href for href, right in _NEEDS.items() if viewer.role not in permissions.CAN[right]}
    return [item(href, label) for href, label in STAFF_RAIL if href not in closed]
