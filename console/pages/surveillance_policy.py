"""The surveillance policy in force, and the form that proposes another one."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, redirect
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.errors import BadInput
from firm import surveillance_policies
from front import permissions
from store.read import policy_changes


class SurveillancePolicyPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/risk/policy", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/risk/policy", self.propose, methods=["POST"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            found = await policy_changes.in_force(visit.session)
            return await visit.render(
                "surveillance_policy.html",
                [Crumb("Risk", "/risk"), Crumb("Surveillance policy")],
                text=json.dumps(found.policy.model_dump(mode="json"), indent=2),
                hash=found.hash,
                may_propose=permissions.may(visit.actor, "policy_changes.decide"),
            )

    async def propose(self, request: Request) -> Response:
        """Raises BadInput, and what `firm.surveillance_policies` refuses with."""
        posted = await self._desk.posted(request, "policy_changes.decide")
        text = posted.form.needed("policy", longest=50_000)
        body, reason = _read(text), posted.form.needed("reason", shortest=3, longest=1000)

        async def work(session: AsyncSession) -> Made:
            row = await surveillance_policies.propose(session, body, actor=posted.actor, reason=reason)
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=f"{text}\n{reason}"), work)
        return redirect(href("policy_change", made.id), "ok", "The change is proposed. Somebody else must approve it.")


def _read(text: str) -> dict[str, Any]:
    """Raises BadInput."""
    try:
        body = json.loads(text)
    except ValueError as exc:
        raise BadInput(f"The policy is not JSON: {exc}.", field="policy", remedy="Go back and correct it.") from exc
    if not isinstance(body, dict):
        raise BadInput("The policy is not a JSON object.", field="policy", remedy="Go back and correct it.")
    return body
