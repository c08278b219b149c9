"""Pages for people who are not signed in: becoming a trader, an invitation, a new password, a confirmed address, a
confirmed account for payouts."""

import secrets
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from console import templating
from console.desk import Desk, Form, read_form, redirect, shell
from domain.errors import BadInput, PropOSError
from firm import beneficiaries, confirmations, passwords, staff
from front.auth import address_of, browser_of, set_cookie
from front.recovery import ask_recovery
from front.sign_up import SignUpBody, sign_up
from front.visits import note_visit
from store.scope import FIRM

_TYPED: Final = ("said", "token", "name", "email", "country", "login")


class OuterDoors:
    """Each form comes back with what was typed, except passwords, and says what is wrong."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for path, take in (
            ("/sign-up", self.sign_up),
            ("/forgot", self.forgot),
            ("/recover", self.recover),
            ("/invited", self.accept),
            ("/confirm", self.confirm),
            ("/bank-account", self.bank_account),
        ):
            router.add_api_route(path, self.show, methods=["GET"], response_model=None)
            router.add_api_route(path, take, methods=["POST"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        return _page(request, token=request.query_params.get("token", ""))

    async def sign_up(self, request: Request) -> Response:
        form, deps = await read_form(request), self._desk.deps
        kept = {name: form.text(name) for name in ("name", "email", "country")}
        try:
            body = _sign_up_body(form)
            signed_in = await sign_up(deps, body, form.key, browser_of(request))
        except PropOSError as problem:
            return _page(request, problem, **kept)
        response = redirect("/", "ok", "Welcome. We sent you an e-mail: open its link to confirm your address.")
        set_cookie(response, deps, signed_in)
        await note_visit(request, response, deps, signed_in, source="console")
        return response

    async def forgot(self, request: Request) -> Response:
        form = await read_form(request)
        try:
            said = await ask_recovery(self._desk.deps, form.needed("login", longest=200), address_of(request))
        except PropOSError as problem:
            return _page(request, problem, login=form.text("login"))
        return _page(request, said=said)

    async def recover(self, request: Request) -> Response:
        form = await read_form(request)
        token = form.text("token")
        try:
            await passwords.recover(self._desk.deps.db, token=token, new=_new_password(form))
        except PropOSError as problem:
            return _page(request, problem, token=token)
        return redirect("/sign-in", "ok", "Your password is set. Sign in with it.")

    async def accept(self, request: Request) -> Response:
        form = await read_form(request)
        token, name = form.text("token"), form.text("name")
        try:
            name = form.needed("name", longest=200)
            await staff.accept(self._desk.deps.db, token=token, name=name, password=_new_password(form))
        except PropOSError as problem:
            return _page(request, problem, token=token, name=name)
        return redirect("/sign-in", "ok", "Your login is the address that was invited. Sign in with it.")

    async def confirm(self, request: Request) -> Response:
        form = await read_form(request)
        try:
            async with self._desk.deps.db.transaction(FIRM) as session:
                await confirmations.confirm(session, form.text("token"))
        except PropOSError as problem:
            return _page(request, problem, token=form.text("token"))
        return redirect("/", "ok", "Your e-mail address is confirmed.")

    async def bank_account(self, request: Request) -> Response:
        form = await read_form(request)
        try:
            async with self._desk.deps.db.transaction(FIRM) as session:
                await beneficiaries.confirm_link(session, form.text("token"))
        except PropOSError as problem:
            return _page(request, problem, token=form.text("token"))
        return redirect("/", "warn", "Support will contact you to confirm this account. Payouts to it wait until then.")


def _new_password(form: Form) -> str:
    """Raises BadInput."""
    new = form.secret("new")
    if new != form.secret("again"):
        raise BadInput("The two passwords differ.", field="again", remedy="Type the same one twice.")
    return new


def _sign_up_body(form: Form) -> SignUpBody:
    """Raises BadInput that names the field."""
    fields = {"name": form.text("name"), "email": form.text("email"), "country": form.text("country").upper()}
    try:
        return SignUpBody.model_validate({**fields, "password": _new_password(form)})
    except ValidationError as exc:
        first = exc.errors(include_input=False)[0]
        field = str(first["loc"][0])
        raise BadInput(f"{field.capitalize()}: {first['msg'].removeprefix('Value error, ')}.", field=field) from exc


def _page(request: Request, problem: PropOSError | None = None, **values: Any) -> HTMLResponse:
    words = f"{problem.message} {problem.remedy or ''}".strip() if problem else ""
    known = {"page": request.url.path, "problem": words, "key": secrets.token_hex(16), **shell(request)}
    context = {**dict.fromkeys(_TYPED, ""), **known, **values}
    status = problem.status if problem else 200
    return HTMLResponse(templating.page("doors.html", context), status, headers=templating.HEADERS)
