"""What the trader of an account signs in to its platform with: shown once, and reset."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Visit, redirect
from console.queries import accounts
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from firm import credentials
from front import credentials as front
from front.permissions import check
from store import credentials as stored
from store.read import accounts as read_accounts
from store.read.accounts import AccountView


class Asked(BaseModel):
    account_id: str


class CredentialPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/accounts/{ref}/sign-in", self.show, methods=["POST"], response_model=None)
        router.add_api_route("/accounts/{ref}/sign-in/reset", self.reset, methods=["POST"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        """The one answer that holds the password. It is stored nowhere: a form that is sent again shows none."""
        await self._desk.posted(request, "credentials.show")
        async with self._desk.visit(request, PEOPLE) as visit:
            check(visit.actor, "credentials.show")
            account = await read_accounts.one(visit.session, visit.scope, request.path_params["ref"])
            shown = await credentials.show(visit.session, account.id, actor=visit.actor)
            crumbs = [Crumb("Overview", "/"), Crumb(account.number, f"/accounts/{account.number}"), Crumb("Login")]
            resettable = front.can_reset(self._desk.deps, account.platform)
            return await visit.render("sign_in_shown.html", crumbs, account=account, shown=shown, resettable=resettable)

    async def reset(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "credentials.reset")
        reason = posted.form.text("reason")

        async def work(session: AsyncSession) -> Asked:
            account_id = await accounts.id_of(session, posted.scope, request.path_params["ref"])
            await front.reset(session, self._desk.deps, account_id, posted.actor, reason)
            return Asked(account_id=account_id)

        await posted.once.write(Asked, Asked(account_id=reason), work)
        words = "The platform is asked for a new password. It can be shown in a moment."
        return redirect(f"/accounts/{request.path_params['ref']}", "ok", words)


async def of_account(visit: Visit, desk: Desk, account: AccountView) -> dict[str, object]:
    """What the page of an account shows of its credentials."""
    found = await stored.standing(visit.session, account.id)
    may_reset = visit.actor.role in credentials.RESETTERS and account.login is not None
    return {
        "sign_in": found,
        "resettable": may_reset and front.can_reset(desk.deps, account.platform),
    }
