"""HTTP routes of the fake Stripe: the API, the hosted pages, and the provider's own desk."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from sandbox.stripe import pages
from sandbox.stripe.desk import add_desk
from sandbox.stripe.fake import FakeStripe
from sandbox.stripe.fake import Request as ApiRequest
from sandbox.stripe.objects import accounts, checkouts, identity
from sandbox.stripe.state import Object

PREFIX = "/stripe"


def stripe_router(fake: FakeStripe) -> APIRouter:
    router = APIRouter(prefix=PREFIX)
    _add_api(router, fake)
    _add_checkout(router, fake)
    _add_onboarding(router, fake)
    _add_identity(router, fake)
    add_desk(router, fake)
    return router


def _add_api(router: APIRouter, fake: FakeStripe) -> None:
    @router.api_route("/v1/{rest:path}", methods=["GET", "POST", "DELETE"])
    @router.api_route("/v2/{rest:path}", methods=["GET", "POST", "DELETE"])
    async def call(request: Request) -> Response:
        body = (await request.body()).decode(errors="replace")
        path = request.url.path.removeprefix(PREFIX)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer, more = await fake.answer(ApiRequest(request.method, path, request.url.query, body, headers))
        return JSONResponse(answer.body, answer.status, headers=more)


def _found(fake: FakeStripe, id: str, kind: str) -> Object | None:
    found = fake.state.find(id)
    return found if found is not None and found["object"] == kind else None


def _gone(text: str) -> HTMLResponse:
    return HTMLResponse(pages.gone(text), status_code=404)


def _add_checkout(router: APIRouter, fake: FakeStripe) -> None:
    @router.get("/pay/{session_id}")
    async def page(session_id: str, declined: bool = False) -> Response:
        found = _found(fake, session_id, "checkout.session")
        return _gone("There is no such payment.") if found is None else HTMLResponse(pages.checkout(found, declined))

    @router.post("/pay/{session_id}")
    async def pay(
        session_id: str, outcome: Annotated[Literal["card", "bank_debit", "declined", "cancelled"], Form()]
    ) -> Response:
        found = _found(fake, session_id, "checkout.session")
        if found is None:
            return _gone("There is no such payment.")
        if outcome != "cancelled":
            checkouts.pay(fake.state, found, outcome)
            fake.commit()
            if found["status"] == "open":
                return RedirectResponse(f"{PREFIX}/pay/{session_id}?declined=true", status_code=303)
        return RedirectResponse(checkouts.return_address(found), status_code=303)


def _add_onboarding(router: APIRouter, fake: FakeStripe) -> None:
    """A link works for five minutes, then the payee goes to the firm's page for a new one."""

    def _link(link_id: str) -> tuple[Object, Object] | None:
        link = _found(fake, link_id, "account_link")
        account = None if link is None else _found(fake, link["_for"], "account")
        return None if link is None or account is None else (link, account)

    @router.get("/onboarding/{link_id}")
    async def page(link_id: str) -> Response:
        known = _link(link_id)
        return _gone("This link has expired.") if known is None else HTMLResponse(pages.onboarding(known[1]))

    @router.post("/onboarding/{link_id}")
    async def submit(link_id: str, outcome: Annotated[Literal["complete", "leave"], Form()]) -> Response:
        known = _link(link_id)
        if known is None:
            return _gone("This link has expired.")
        link, account = known
        if outcome == "complete":
            accounts.set_stage(fake.state, account, "ready")
            fake.commit()
        return RedirectResponse(link["_return_url"], status_code=303)


def _add_identity(router: APIRouter, fake: FakeStripe) -> None:
    kind = "identity.verification_session"

    @router.get("/identity/{session_id}")
    async def page(session_id: str) -> Response:
        found = _found(fake, session_id, kind)
        return _gone("There is no such check.") if found is None else HTMLResponse(pages.identity(found))

    @router.post("/identity/{session_id}")
    async def submit(
        session_id: str,
        outcome: Annotated[Literal["complete", "fail", "leave"], Form()],
        name: Annotated[str, Form(max_length=120)] = "Jo Doe",
    ) -> Response:
        found = _found(fake, session_id, kind)
        if found is None:
            return _gone("There is no such check.")
        if outcome != "leave":
            identity.submit(fake.state, found, name=name, passes=outcome == "complete")
            fake.commit()
        back = found["_return_url"]
        return RedirectResponse(back, status_code=303) if back else HTMLResponse(pages.identity(found))
