"""Proof sheets, breaches that lead to them, and the evidence of disputes."""

import json
import secrets

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.desk import Desk, redirect
from console.present import proof
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from front.auth import COOKIE
from front.exports import prove_export
from front.once import Once
from store.models import Account
from store.read import breaches, disputes
from store.read.pages import account_number

_EVERYBODY = PEOPLE


class ProofPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/proofs/{proof}.json", self.download, methods=["GET"], response_model=None)
        router.add_api_route("/proofs/{proof}", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/disputes/{id}/pack", self.pack, methods=["GET", "POST"], response_model=None)
        router.add_api_route("/breaches/{breach}", self.breach, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            body = await breaches.proof(visit.session, visit.scope, request.path_params["proof"])
            account = await visit.session.get_one(Account, body["account"]["account_id"])
            view = proof.view(body, account_number(account.number), account.platform)
            home = Crumb("Overview", "/") if visit.viewer.is_trader else Crumb("Accounts", "/accounts")
            crumbs = [home, Crumb(view.account_number, f"/accounts/{view.account_number}"), Crumb("Proof sheet")]
            return await visit.render("proof.html", crumbs, proof=view)

    async def download(self, request: Request) -> Response:
        """The sheet itself, as `propos proof check` reads it."""
        async with self._desk.visit(request, _EVERYBODY) as visit:
            body = await breaches.proof(visit.session, visit.scope, request.path_params["proof"])
        headers = {"Content-Disposition": f'attachment; filename="{body["proof_id"]}.json"', **templating.HEADERS}
        return Response(json.dumps(body, indent=2), media_type="application/json", headers=headers)

    async def pack(self, request: Request) -> Response:
        """The frozen evidence of a dispute, as `propos dispute check` reads it. Staff prove who they are
        first, and that form comes back here."""
        dispute_id, deps = request.path_params["id"], self._desk.deps
        if request.method == "POST":
            posted = await self._desk.posted(request, "disputes.read")
            once, scope = posted.once, posted.scope
        else:
            async with self._desk.visit(request, _EVERYBODY) as visit:
                scope, key = visit.scope, secrets.token_hex(20)
                once = Once(deps, visit.actor, f"GET {request.url.path}", key, request.cookies.get(COOKIE, ""))
        async with deps.db.transaction() as session:
            data = await disputes.pack(session, scope, dispute_id)
            await prove_export(session, once, dispute_id)
        headers = {"Content-Disposition": f'attachment; filename="{dispute_id}.zip"', **templating.HEADERS}
        return Response(data, media_type="application/zip", headers=headers)

    async def breach(self, request: Request) -> Response:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            row = await breaches.one(visit.session, visit.scope, request.path_params["breach"])
        return redirect(f"/proofs/{row.proof_id}")
