"""One's own sign-ins and password."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console.desk import Desk, redirect
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import BadInput
from firm import confirmations, passwords
from front.auth import clear_cookie
from store import sign_ins


class SignInPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/sign-ins", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/sign-ins/end", self.end, methods=["POST"], response_model=None)
        router.add_api_route("/sign-ins/password", self.change, methods=["POST"], response_model=None)
        router.add_api_route("/sign-ins/confirmation", self.mail_again, methods=["POST"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, PEOPLE) as visit:
            terms = self._desk.deps.sign_ins
            found = await sign_ins.of_user(visit.session, visit.actor.user_id, terms, current=visit.sign_in_id)
            return await visit.render("sign_ins.html", [Crumb("My sign-ins")], rows=found, ends="/sign-ins/end")

    async def end(self, request: Request) -> Response:
        """Ends one sign-in, or every one."""
        posted = await self._desk.posted(request)
        wanted, actor = posted.form.text("sign_in"), posted.actor
        async with self._desk.deps.db.transaction() as session:
            if wanted:
                await sign_ins.end_one(session, actor.user_id, wanted, actor=actor)
            else:
                await sign_ins.end_all(session, actor.user_id, actor=actor)
        if wanted and wanted != posted.sign_in_id:
            return redirect("/sign-ins", "ok", "The sign-in has ended.")
        response = redirect("/sign-in", "ok", "You are signed out.")
        clear_cookie(response, self._desk.deps)
        return response

    async def change(self, request: Request) -> Response:
        """Raises BadInput, TooManyAttempts."""
        posted = await self._desk.posted(request)
        form, deps = posted.form, self._desk.deps
        new = form.secret("new")
        if new != form.secret("again"):
            raise BadInput("The two new passwords differ.", field="again", remedy="Type the same one twice.")
        await passwords.change(
            deps.db, posted.actor, old=form.secret("old"), new=new, but=posted.sign_in_id, terms=deps.sign_ins
        )
        return redirect("/sign-ins", "ok", "Your password is changed. Your other sign-ins have ended.")

    async def mail_again(self, request: Request) -> Response:
        """Raises Conflict, TooManyAttempts."""
        posted = await self._desk.posted(request)
        deps = self._desk.deps
        await confirmations.ask_again(deps.db, posted.actor, site=deps.public_url, terms=deps.sign_ins)
        return redirect("/", "ok", "We have sent you another mail. Only its link works now.")
