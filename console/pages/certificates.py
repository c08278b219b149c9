"""Certificates: their trader makes, renews and revokes them; anybody with the link reads the page."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console import templating
from console.desk import Desk, Posted, redirect
from console.views.frame import Crumb
from domain.certificates import KINDS, NAMES_SHOWN, Kind, NameShown
from domain.errors import BadInput, NotFound
from firm import certificates
from firm.certificates import Choice
from front import certificates as front
from front.auth import address_of
from front.certificates import CertificateLinked
from front.permissions import CAN
from store.read import certificates as read

_NAMES: Final[dict[str, NameShown]] = {name: name for name in NAMES_SHOWN}
_KINDS: Final[dict[str, Kind]] = {kind: kind for kind in KINDS}
_HIDDEN: Final = {"X-Robots-Tag": "noindex, nofollow, noarchive", "Referrer-Policy": "no-referrer"}


class Sent(BaseModel):
    """The form, for the idempotency key."""

    text: str = ""


class CertificatePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/certificates", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/certificates", self.make, methods=["POST"], response_model=None)
        router.add_api_route("/certificates/{id}/renew", self.renew, methods=["POST"], response_model=None)
        router.add_api_route("/certificates/{id}/revoke", self.revoke, methods=["POST"], response_model=None)
        router.add_api_route("/c/{token}", self.public, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        return await self._page(request)

    async def make(self, request: Request) -> HTMLResponse:
        """The one page that shows the link. A form that is sent again shows none."""
        posted = await self._desk.posted(request, "certificates.manage")
        of, choice = posted.form.needed("of", longest=60), _choice(posted)
        kind, _, subject_id = of.partition("/")
        if kind not in _KINDS:
            raise NotFound
        body = Sent(text=f"{of} {choice}")
        return await self._page(request, await front.make(posted.once, _KINDS[kind], subject_id, choice, body))

    async def renew(self, request: Request) -> HTMLResponse:
        posted = await self._desk.posted(request, "certificates.manage")
        choice = _choice(posted)
        made = await front.renew(posted.once, request.path_params["id"], choice, Sent(text=str(choice)))
        return await self._page(request, made)

    async def _page(self, request: Request, made: CertificateLinked | None = None) -> HTMLResponse:
        async with self._desk.visit(request, CAN["certificates.read"]) as visit:
            earned = await read.earned(visit.session, visit.scope)
            return await visit.render(
                "certificates.html",
                [Crumb("Overview", "/"), Crumb("Certificates")],
                rows=await read.certificates(visit.session, visit.scope),
                earned=[each for each in earned if each.certificate_id is None],
                made=made,
            )

    async def revoke(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "certificates.manage")

        async def work(session: AsyncSession) -> Sent:
            await certificates.revoke(session, request.path_params["id"], actor=posted.actor)
            return Sent()

        await posted.once.write(Sent, None, work)
        return redirect("/certificates", "ok", "The link is revoked and no longer works.")

    async def public(self, request: Request) -> HTMLResponse:
        """For anybody. No link, a revoked one and one whose payout came back are answered alike."""
        token = request.path_params["token"]
        headers = {**templating.HEADERS, **_HIDDEN}
        try:
            found = await front.opened(self._desk.deps, address_of(request), token)
        except NotFound:
            return HTMLResponse(templating.page("certificate_none.html", {"theme": "auto"}), 404, headers=headers)
        values = {"certificate": found, "theme": "auto"}
        return HTMLResponse(templating.page("certificate.html", values), headers=headers)


def _choice(posted: Posted) -> Choice:
    """Raises BadInput."""
    name = posted.form.text("name", "initials")
    if name not in _NAMES:
        raise BadInput("Choose how your name is shown.", field="name", remedy="Your name, your initials, or neither.")
    return Choice(_NAMES[name], posted.form.text("amount") == "yes")
