"""Proof sheets, and breaches that lead to them."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.desk import Desk, redirect
from console.present import proof
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from store.models import Account
from store.read import breaches
from store.read.pages import account_number

_EVERYBODY = PEOPLE


class ProofPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/proofs/{proof}.json", self.download, methods=["GET"], response_model=None)
        router.add_api_route("/proofs/{proof}", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/breaches/{breach}", self.breach, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            body = await breaches.proof(visit.session, visit.scope, request.path_params["proof"])
            account = await visit.session.get_one(Account, body["account"]["account_id"])
            view = proof.view(body, account_number(account.number))
            home = Crumb("Overview", "/") if visit.viewer.is_trader else Crumb("Accounts", "/accounts")
            crumbs = [home, Crumb(view.account_number, f"/accounts/{view.account_number}"), Crumb("Proof sheet")]
            return await visit.render("proof.html", crumbs, proof=view)

    async def download(self, request: Request) -> Response:
        """The sheet itself, as `propos proof check` reads it."""
        async with self._desk.visit(request, _EVERYBODY) as visit:
            body = await breaches.proof(visit.session, visit.scope, request.path_params["proof"])
        headers = {"Content-Disposition": f'attachment; filename="{body["proof_id"]}.json"', **templating.HEADERS}
        return Response(json.dumps(body, indent=2), media_type="application/json", headers=headers)

    async def breach(self, request: Request) -> Response:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            row = await breaches.one(visit.session, visit.scope, request.path_params["breach"])
        return redirect(f"/proofs/{row.proof_id}")
